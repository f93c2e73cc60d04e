"""Overlap: what a text shares with references: BLEU and chrF (sacrebleu), ROUGE (rouge-score), METEOR (nltk)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ..declare import metric
from ..errors import Unavailable
from ..metrics import answers, one_of
from ..scores import Judged

_ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")


@metric("points", "higher", requires=("sacrebleu",), span=(0.0, 100.0))
def bleu(predictions: Sequence[str], references: Sequence[Any]) -> Judged:
    """BLEU of the whole, 0 to 100, with sacrebleu's own settings (`13a`, mixed case, exponential smoothing).

    An item is the text's own BLEU with effective order. Papineni et al. 2002; Post 2018, arXiv 1804.08771.
    """
    from sacrebleu.metrics import BLEU

    pairs = answers("bleu", predictions, references)
    single, whole = BLEU(effective_order=True), BLEU()
    found = [single.sentence_score(text, right) for text, right in pairs]

    def judge(at: Sequence[int]) -> float:
        """By the sums of what each text counts, which is how the whole is computed."""
        some = [found[i] for i in at]
        return float(
            BLEU.compute_bleu(
                correct=[sum(counts) for counts in zip(*(score.counts for score in some), strict=True)],
                total=[sum(counts) for counts in zip(*(score.totals for score in some), strict=True)],
                sys_len=sum(score.sys_len for score in some),
                ref_len=sum(score.ref_len for score in some),
                smooth_method="exp",
            ).score
        )

    value = whole.corpus_score([text for text, _ in pairs], _streams(pairs)).score
    return Judged(value, tuple(score.score for score in found), judge, len(pairs))


@metric("points", "higher", requires=("sacrebleu",), span=(0.0, 100.0))
def chrf(predictions: Sequence[str], references: Sequence[Any]) -> Judged:
    """chrF of the whole, 0 to 100: the F2 of character n-grams up to 6. Works for scripts without spaces.

    An item is the text's own chrF. Popović 2015, with sacrebleu's settings.
    """
    import numpy as np
    from sacrebleu.metrics import CHRF

    pairs = answers("chrf", predictions, references)
    counts = np.array([_counts(text, right) for text, right in pairs])  # (texts, orders, said and right and shared)
    value = CHRF().corpus_score([text for text, _ in pairs], _streams(pairs)).score
    return Judged(value, [_f2(found) for found in counts], lambda at: _f2(counts[list(at)].sum(0)), len(pairs))


def _counts(text: str, right: list[str]) -> list[tuple[int, int, int]]:
    """N-grams of a text, of the reference it is nearest to, and those they share, for n from 1 to 6.

    What sacrebleu counts; for samples of the texts it would count them again, a second for a thousand texts.
    """
    said = _character_ngrams(text)
    found = []
    for answer in right:
        true = _character_ngrams(answer)
        # n-grams are not held against a text where the reference is too short to have any
        found.append(
            [
                (ours.total() if theirs else 0, theirs.total(), (ours & theirs).total())
                for ours, theirs in zip(said, true, strict=True)
            ]
        )
    return max(found, key=_f2)


def _character_ngrams(text: str) -> list[Counter[str]]:
    bare = "".join(text.split())
    return [Counter(bare[at : at + n] for at in range(len(bare) - n + 1)) for n in range(1, 7)]


def _f2(counts: Any) -> float:
    """Popović's F with beta 2 of the mean precision and recall over the orders that both have, 0 to 100."""
    known = [(shared / said, shared / right) for said, right, shared in counts if said and right]
    precision, recall = (sum(values) / len(known) for values in zip(*known, strict=True)) if known else (0.0, 0.0)
    return float(100 * 5 * precision * recall / (4 * precision + recall)) if precision + recall else 0.0


def _streams(pairs: list[tuple[str, list[str]]]) -> list[list[str | None]]:
    """References as sacrebleu takes them: the first of each text, the second of each, None where there is none."""
    most = max(len(right) for _, right in pairs)
    return [[right[at] if at < len(right) else None for _, right in pairs] for at in range(most)]


@metric("ratio", "higher", requires=("rouge_score",))
def rouge(
    predictions: Sequence[str],
    references: Sequence[Any],
    option: str = "rougeL",
    tell: Callable[[float | None], None] = lambda share: None,
) -> list[float]:
    """ROUGE's F: `rouge1`, `rouge2` (n-grams), `rougeL` (longest common subsequence), `rougeLsum` (of lines).

    Of several references the best counts. Lin 2004, by Google's rouge-score without stemming. It knows a to z and
    digits only: other scripts score 0.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([one_of("rouge", option, _ROUGE)])
    pairs, items = answers("rouge", predictions, references), []
    for at, (text, right) in enumerate(pairs):
        tell(at / len(pairs))
        items.append(scorer.score_multi(right, text)[option].fmeasure)
    return items


@metric("ratio", "higher", requires=("nltk",))
def meteor(predictions: Sequence[str], references: Sequence[Any], option: str = "wordnet") -> list[float]:
    """METEOR, which also takes words of one stem and synonyms for equal. Banerjee & Lavie 2005, by nltk.

    Synonyms are WordNet's, where nltk has downloaded it; `meteor:stems` does without. nltk looks them up by the
    stem, so it finds those of words that are their own stem (car, not automobile). Of several references the best
    counts. Words are cut at white space.
    """
    from nltk.translate.meteor_score import meteor_score

    known: Any = _NoSynonyms() if one_of("meteor", option, ("wordnet", "stems")) == "stems" else _wordnet()
    return [
        meteor_score([answer.split() for answer in right], text.split(), wordnet=known)
        for text, right in answers("meteor", predictions, references)
    ]


class _NoSynonyms:
    """Stands for a WordNet in which no word has a synonym."""

    def synsets(self, word: str) -> list[Any]:
        return []


def _wordnet() -> Any:
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        raise Unavailable(
            "metric 'meteor' needs WordNet, which is not here: python -m nltk.downloader wordnet where there is a "
            "network, or use meteor:stems, which does without synonyms"
        ) from None
    return wordnet
