"""Made: inputs of a stated size, without references."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from .table import Part, Table, whole

if TYPE_CHECKING:
    from ..source import Source


#: Each is one token, with a space before it and without, in SmolLM2's tokenizer (checked by a test).
WORDS = """
the of and to in is that for as with was on are by be this from at or have an not which it all can one has more but
other about their into its time only new some over after most people also first may use would two many like these work
between part such under where day through while long year life world water house place number state city
""".split()  # noqa: SIM905  seventy quoted words would read worse


def _prompts(source: Source) -> Table:
    """`n` different prompts of `tokens` common English words each, the same for the same `seed`.

    A word is one token for most models' tokenizers but not for all, and a chat template adds its own: the Record's
    `prompt_tokens` is what the model read, and `Dataset.cut` makes a length exact.
    """
    options = source.options
    tokens = whole(options.get("tokens", "128"), "tokens", 1, source)
    n = whole(options.get("n", "8"), "n", 1, source)
    random = Random(whole(options.get("seed", "0"), "seed", 0, source)).random  # Python promises never to change it
    prompts = [" ".join(WORDS[int(random() * len(WORDS))] for _ in range(tokens)) for _ in range(n)]
    return Table({"prompt": prompts}, inputs="prompt")


MADE = {"prompts": Part(_prompts, ("tokens", "n", "seed"))}
