"""Scoring: texts to rows of token ids, and rows to log-likelihoods by any decoder that gives logits.

Token boundaries are those of lm-evaluation-harness 0.4 (`TemplateLM._encode_pair`, `get_rolling_token_windows`): a
context and its continuation are encoded together and cut where the context alone ends; spaces at its end go to the
continuation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..generation import Decoder, Prompts
from ..likelihood import Likelihood

if TYPE_CHECKING:
    import numpy


@dataclass(frozen=True)
class Row:
    """Token ids, of which the last `scored` are judged, each by what stands before it."""

    ids: tuple[int, ...]
    scored: int

    @property
    def read(self) -> tuple[int, ...]:
        """What the model reads: all but the last."""
        return self.ids[:-1]


def continuations(tokenizer: Any, contexts: Sequence[str], texts: Sequence[str], longest: int | None) -> list[Row]:
    """The row of each text after its context; of a context that is too long for the model, its end.

    Raises UsageError for lists of two lengths, and for a text of no tokens or of more than the model can read.
    """
    _refuse_unlike(contexts=contexts, continuations=texts)
    return [_continuation(tokenizer, *pair, longest) for pair in zip(contexts, texts, strict=True)]


def _continuation(tokenizer: Any, context: str, text: str, longest: int | None) -> Row:
    spaces = len(context) - len(context.rstrip())
    if spaces:
        context, text = context[:-spaces], context[-spaces:] + text
    if context:
        begin = _begin(tokenizer, context)
        whole, before = [*begin, *_encode(tokenizer, context + text)], len(begin) + len(_encode(tokenizer, context))
    else:
        whole, before = [_prefix(tokenizer), *_encode(tokenizer, text)], 1
    scored = len(whole) - before
    if scored < 1:
        raise UsageError(f"the continuation {text!r:.60} adds no token to its context: there is nothing to judge")
    if longest is not None and scored > longest:
        raise UsageError(
            f"a continuation of {scored:,} tokens is longer than the {longest:,} that the model reads at once: "
            "use model.rolling for long texts"
        )
    return Row(tuple(whole if longest is None else whole[-longest - 1 :]), scored)


def choices_of_each(prompts: Sequence[str], choices: Sequence[str] | Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """The choices of each prompt, be they the same for all or not. Raises UsageError for a prompt without."""
    shared = tuple(text for text in choices if isinstance(text, str))
    each = [shared] * len(prompts) if shared else [tuple(texts) for texts in choices]
    _refuse_unlike(prompts=prompts, choices=each)
    if len(shared) not in (0, len(choices)) or not all(each):
        raise UsageError("choices are a list of texts for all prompts, or a list of texts for each of them")
    return each


def window_size(window: int | None, stride: int | None, longest: int | None) -> int:
    """The tokens of a window. Raises UsageError for more than the model reads, or a stride that leaves tokens out."""
    size = longest if window is None else window
    if size is None or not 1 <= size <= (longest or size):
        raise UsageError(f"window={window}: give 1 to {longest or 'any number of'} tokens")
    if stride is not None and not 1 <= stride <= size:
        raise UsageError(f"stride={stride}: give 1 to {size} tokens, which is the window")
    return size


def windows(tokenizer: Any, texts: Sequence[str], window: int, stride: int) -> list[list[Row]]:
    """For each text, rows that judge each of its tokens once, each row reading up to `window` tokens.

    The first row judges all it reads, the others move on by `stride` tokens; so a token has at least
    `window - stride` tokens before it, or the whole beginning. The first token of a text comes after the model's
    beginning-of-text token. The last row is filled up with earlier tokens.
    """
    _refuse_unlike(texts=texts)
    return [_windows([_prefix(tokenizer), *_encode(tokenizer, text)], window, stride) for text in texts]


def _windows(ids: list[int], window: int, stride: int) -> list[Row]:
    if len(ids) < 2:
        raise UsageError("a text without a token has no likelihood: leave empty texts out")
    rows: list[Row] = []
    judged = 0
    while judged < len(ids) - 1:
        scored = min(stride if rows else window, len(ids) - 1 - judged)
        judged += scored
        rows.append(Row(tuple(ids[max(judged - window, 0) : judged + 1]), scored))
    return rows


def _refuse_unlike(**lists: Sequence[Any]) -> None:
    """Raise UsageError for a text where a list is wanted, an empty list, or lists of two lengths."""
    for name, given in lists.items():
        if isinstance(given, str) or not len(given):
            raise UsageError(f"{name} must be a list of at least one text, not {given!r:.60}")
    if len({len(given) for given in lists.values()}) > 1:
        raise UsageError(f"{' and '.join(f'{len(given)} {name}' for name, given in lists.items())}: each needs one")


def likelihoods(decoder: Decoder, rows: Sequence[Row], batch_size: int) -> list[Likelihood]:
    """The Likelihood of each row, in their order.

    What several rows read alike is read once: four answers of one token after one question are one pass. Rows are
    batched by length, the longest first, so that memory that does not suffice is known at once.
    """
    if batch_size < 1:
        raise UsageError(f"batch_size={batch_size}: give at least 1")
    alike: dict[tuple[int, ...], list[int]] = {}
    for at, row in enumerate(rows):
        alike.setdefault(row.read, []).append(at)
    order = sorted(alike, key=len, reverse=True)
    found: dict[int, Likelihood] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        last = max(rows[at].scored for read in batch for at in alike[read])
        logits = decoder.logits(_padded(batch), last)  # (sequences, last, vocabulary)
        for read, own in zip(batch, logits, strict=True):
            judged = _judge(own, [rows[at] for at in alike[read]])
            found |= dict(zip(alike[read], judged, strict=True))
    return [found[at] for at in range(len(rows))]


def _judge(logits: Any, rows: Sequence[Row]) -> Iterator[Likelihood]:
    """Rows that were read alike, by their logits (last, vocabulary)."""
    import torch

    norms, likeliest = logits.logsumexp(-1), logits.argmax(-1)  # (last,)
    for row in rows:
        targets = torch.tensor(row.ids[-row.scored :], device=logits.device)
        chosen = logits[-row.scored :].gather(-1, targets[:, None])[:, 0] - norms[-row.scored :]
        yield Likelihood(tuple(chosen.tolist()), bool((likeliest[-row.scored :] == targets).all()))


def _padded(reads: Sequence[tuple[int, ...]]) -> Prompts:
    import numpy

    width = max(map(len, reads))
    ids: numpy.ndarray = numpy.zeros((len(reads), width), dtype=numpy.int64)
    mask = numpy.zeros_like(ids)
    for at, read in enumerate(reads):
        ids[at, width - len(read) :], mask[at, width - len(read) :] = read, 1
    return Prompts(ids, mask)


def _encode(tokenizer: Any, text: str) -> list[int]:
    # not verbose: a text that is longer than the model reads at once is what windows are for
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def _begin(tokenizer: Any, context: str) -> list[int]:
    """What the tokenizer itself puts before a text; nothing where a template already wrote it."""
    if tokenizer.bos_token and context.startswith(tokenizer.bos_token):
        return []
    whole, bare = tokenizer("a")["input_ids"], tokenizer("a", add_special_tokens=False)["input_ids"]
    return list(whole[: next((at for at in range(len(whole)) if whole[at : at + len(bare)] == bare), 0)])


def _prefix(tokenizer: Any) -> int:
    """The token before a text that has nothing before it, as lm-eval chooses it; random weights have only padding."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id):
        if token is not None:
            return int(token)
    raise UsageError("the tokenizer has no beginning-of-text, end-of-text or padding token: give a context")
