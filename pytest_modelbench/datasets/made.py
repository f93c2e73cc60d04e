"""Made: inputs of a stated size, without references."""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .table import Encoded, Part, Table, whole

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


def _images(source: Source) -> Table:
    """`n` pictures of `size` by `size` pixels, arrays (height, width, 3) of uint8: noise, which nothing can guess."""
    options = source.options
    size = whole(options.get("size", "224"), "size", 1, source)
    n = whole(options.get("n", "8"), "n", 1, source)
    random = Random(whole(options.get("seed", "0"), "seed", 0, source))

    def pixels(content: bytes) -> Any:
        import numpy

        return numpy.frombuffer(content, "uint8").reshape(size, size, 3)

    return Table({"image": [Encoded(random.randbytes(size * size * 3), pixels) for _ in range(n)]}, inputs="image")


def _sounds(source: Source) -> Table:
    """`n` sounds of `seconds` at `sampling_rate` samples a second, quiet noise."""
    options = source.options
    seconds = options.get("seconds", "5")
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", seconds) or float(seconds) <= 0:
        raise UsageError(f"{source.text!r}: seconds={seconds} is not a number of seconds above 0")
    rate = whole(options.get("sampling_rate", "16000"), "sampling_rate", 1, source)
    n = whole(options.get("n", "2"), "n", 1, source)
    random = Random(whole(options.get("seed", "0"), "seed", 0, source))
    samples = max(round(float(seconds) * rate), 1)

    def sound(content: bytes) -> dict[str, Any]:
        import numpy

        # -26 dBFS: as loud as speech is
        return {"array": numpy.frombuffer(content, "int8").astype("float32") / 128 * 0.05, "sampling_rate": rate}

    return Table({"audio": [Encoded(random.randbytes(samples), sound, f"@{rate}") for _ in range(n)]}, inputs="audio")


MADE = {
    "prompts": Part(_prompts, ("tokens", "n", "seed")),
    "images": Part(_images, ("size", "n", "seed")),
    "sounds": Part(_sounds, ("seconds", "sampling_rate", "n", "seed")),
}
