"""A badge: one thing said in a few letters, as SVG, or as the JSON of an endpoint of shields.io.

The place says what: `verdict.svg`, `tokens.svg`, `ttft.svg`, `memory.svg`, `score.svg`, or any name with `?show=ttft`;
and of which bench, where several have it: `tokens.svg?bench=decode&variant=onnx`. The end of the name says how: `.svg`
or `.json`. A picture is made here and fetches nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from pathlib import Path

from ..declare import report
from ..errors import UnknownName, UsageError
from ..files import written_whole
from ..groups import outcomes, score_text
from ..quantity import digits, quantity_text, visible
from ..record import Record
from ..reports import aimed, chosen, title
from ..results import Results
from ..said import NOT_JUDGED, by_bench, counted, counts, largest_harm
from ..source import short
from ..summary import row

_GOOD, _BAD, _GREY, _PLAIN = "#0b66a8", "#b4470b", "#6e7781", "#57606a"
_KEYS = ("show", "label", "metric")


@report("badge")
def badge(results: Results, place: Path) -> Path:
    """Write the badge that the place names. Raises UsageError where it could be of several benches."""
    file, asked = aimed(place)
    words = {key: asked.pop(key) for key in _KEYS if key in asked}
    what = words.get("show", file.stem)
    if what not in SHOWN:
        raise UnknownName("badge", what, SHOWN, str(place))
    label, message, color = SHOWN[what](results, asked, words)
    label, message = visible(words.get("label", label)), visible(message)
    if file.suffix == ".json":
        content = {"schemaVersion": 1, "label": label, "message": message, "color": color.removeprefix("#")}
        return written_whole(file, json.dumps(content) + "\n", "the badge")
    if file.suffix != ".svg":
        raise UsageError(f"{file}: a badge is an .svg or a .json; name it so")
    return written_whole(file, _svg(label, message, color), "the badge")


_Said = tuple[str, str, str]


def _verdict(results: Results, asked: dict[str, str], words: dict[str, str]) -> _Said:
    """What makes the exit status: what failed, then what the gate said; how much harm it can rule out."""
    records = chosen(results.records, asked)
    keys = {record.key for record in records}
    verdicts = [verdict for verdict in results.verdicts or () if not asked or verdict.key in keys]
    failing = [verdict for verdict in verdicts if verdict.failing]
    bad: dict[str, int] = {word: n for word, n in outcomes(records).items() if word not in ("passed", "skipped")}
    if failing:
        return "benches", counted(counts(failing)), _BAD
    if bad:
        return "benches", counted(bad), _BAD
    if not verdicts or all(verdict.word in NOT_JUDGED for verdict in verdicts):
        return "benches", "not judged", _GREY
    unclear = counts(verdict for verdict in by_bench(verdicts).values() if verdict.word == "unclear")
    harm = largest_harm(verdicts).replace("more than", "over")
    return "benches", counted(unclear) or harm or "none slower", _GREY if unclear else _GOOD


def _tokens(results: Results, asked: dict[str, str], words: dict[str, str]) -> _Said:
    record = _one(results, asked, lambda record: row(record)["tokens_per_second"] is not None, "tokens")
    if record is None:
        return "tokens", "not measured", _GREY
    return title(record), f"{digits(row(record)['tokens_per_second'])} tokens/s", _PLAIN


def _ttft(results: Results, asked: dict[str, str], words: dict[str, str]) -> _Said:
    record = _one(results, asked, lambda record: row(record)["ttft_seconds"] is not None, "ttft")
    return ("ttft", quantity_text("seconds", row(record)["ttft_seconds"]), _PLAIN) if record else _nothing("ttft")


def _memory(results: Results, asked: dict[str, str], words: dict[str, str]) -> _Said:
    record = _one(results, asked, lambda record: record.memory.peak_bytes is not None, "memory")
    said = "peak memory"
    return (said, quantity_text("bytes", record.memory.peak_bytes), _PLAIN) if record else _nothing(said)


def _score(results: Results, asked: dict[str, str], words: dict[str, str]) -> _Said:
    """Under the name of the data that it is of, else of the metric."""
    metric = words.get("metric", "")
    record = _one(results, asked, lambda record: metric in record.scores if metric else bool(record.scores), "score")
    if record is None:
        return _nothing(metric or "score")
    if not metric and len(record.scores) > 1:
        known = ", ".join(record.scores)
        raise UsageError(
            f"{record.key} has several scores ({known}): choose one with ?metric={next(iter(record.scores))}"
        )
    name = metric or next(iter(record.scores))
    label = short(record.dataset.source) if record.dataset else name
    return label, score_text(record.scores[name]), _PLAIN


#: What a badge can say.
SHOWN: dict[str, Callable[[Results, dict[str, str], dict[str, str]], _Said]] = {
    "verdict": _verdict,
    "tokens": _tokens,
    "ttft": _ttft,
    "memory": _memory,
    "score": _score,
}


def _nothing(label: str) -> _Said:
    return label, "not measured", _GREY


def _one(results: Results, asked: dict[str, str], has: Callable[[Record], bool], what: str) -> Record | None:
    """The passed Record that has it; a number of one bench must not stand for another's."""
    found = [record for record in chosen(results.records, asked) if record.outcome == "passed" and has(record)]
    if len(found) > 1:
        name = title(found[0])
        if len({record.bench for record in found if title(record) == name}) > 1:
            name = found[0].bench  # two files have a function of this name
        axes = "&".join(f"{name}={short(value)}" for name, value in found[0].axes.items())
        example = f"?bench={name}" + (f"&{axes}" if axes else "")
        raise UsageError(f"{len(found)} benches have {what}: choose one in the place of the badge, such as {example}")
    return found[0] if found else None


# -- the picture

#: Widths of Verdana's letters at 11 px, rounded; `textLength` makes any other font fit.
_NARROW, _WIDE = set("fijlrtI.,:;!'|()[] "), set("mwMW%@")


def _width(text: str) -> int:
    return round(sum(4.0 if c in _NARROW else 10.5 if c in _WIDE else 7.0 if c.isascii() else 11.0 for c in text)) + 10


def _svg(label: str, message: str, color: str) -> str:
    left, right = _width(label), _width(message)
    whole, said = left + right, escape(f"{label}: {message}")
    texts = "".join(
        f'<text x="{at + width / 2}" y="14" textLength="{width - 10}">{escape(text)}</text>'
        for text, at, width in ((label, 0, left), (message, left, right))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" aria-label="{said}">'
        f"<title>{said}</title>"
        f'<clipPath id="r"><rect width="{whole}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#3d444d"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{color}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f"{texts}</g></svg>\n"
    )
