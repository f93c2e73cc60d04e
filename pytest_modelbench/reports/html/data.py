"""The rows as the page's script reads them: columns, dictionaries for words, four digits; deflated where they are many.

    {"n": 2, "groups": [[title, said], ...], "units": {...}, "meanings": {...}, "columns": [
        {"name": "label", "words": ["eager", "onnx"], "at": [0, 1]},
        {"name": "median_seconds", "head": "Median", "quantity": "seconds", "better": "lower", "values": [0.6, null]}]}

Measured with 10,000 rows of 20 numbers: objects 6.05 MB, columns 2.23 MB, columns deflated 0.78 MB in base64, which
Chromium reads in 85 ms.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any

from ... import said
from ...groups import Group, Row
from ...quantity import UNITS, visible
from ...record import CAVEATS
from ...results import Results
from ...summary import throughput
from ...verdict import Verdicts
from .compare import noted, row_id, said_of, typeset

#: Rows up to which the block is text that a reader of the source can read (chosen here: of 1,000 rows it is 225 kB of
#: text and 83 kB deflated).
PLAIN_ROWS = 500
#: Sessions of the small line in a row.
MOST_SESSIONS = 20


@dataclass(frozen=True)
class _Number:
    """A column of numbers: its name in the summary row, its head, what it counts, and which way is better."""

    name: str
    head: str
    quantity: str
    better: str = "lower"
    #: Whether it is shown before a reader asks for it.
    shown: bool = False


NUMBERS = (
    _Number("median_seconds", "Median", "seconds", shown=True),
    _Number("p5_seconds", "5 %", "seconds"),
    _Number("p95_seconds", "95 %", "seconds"),
    _Number("p99_seconds", "p99", "seconds"),
    _Number("spread_ratio", "Spread", "ratio", shown=True),
    _Number("device_median_seconds", "On the device", "seconds"),
    _Number("first_call_seconds", "First call", "seconds"),
    _Number("compile_seconds", "Compilation", "seconds"),
    _Number("load_seconds", "Loading", "seconds"),
    _Number("ttft_seconds", "ttft", "seconds", shown=True),
    _Number("itl_p50_seconds", "itl", "seconds"),
    _Number("itl_p95_seconds", "itl, 95 %", "seconds"),
    _Number("tpot_seconds", "tpot", "seconds"),
    _Number("e2el_seconds", "e2el", "seconds"),
    _Number("decode_tokens_per_second", "Decode, tokens/s", "count", "higher"),
    _Number("prefill_tokens_per_second", "Prefill, tokens/s", "count", "higher"),
    _Number("peak_memory_bytes", "Peak memory", "bytes", shown=True),
    _Number("weight_bytes", "Weights", "bytes"),
    _Number("energy_joules", "Energy", "joules"),
    _Number("joules_per_token", "Energy a token", "joules"),
    _Number("mfu", "MFU", "ratio", "higher"),
    _Number("mbu", "MBU", "ratio", "higher"),
    _Number("rounds", "Rounds", "count", "higher"),
    _Number("wall_seconds", "Wall time", "seconds"),
)


def block(results: Results, groups: Sequence[Group]) -> dict[str, Any]:
    """The data block: its text, and whether it is deflated; no tag can begin in it."""
    from markupsafe import Markup

    rows = [(place, row) for place, group in enumerate(groups) for row in group.rows]
    parts = {
        "n": json.dumps(len(rows)),
        "groups": _json([[visible(group.title), visible(" · ".join(said_of(group)))] for group in groups]),
        "units": _json({name: [[unit.name, unit.scale] for unit in units] for name, units in UNITS.items()}),
        "meanings": _json(CAVEATS),
        "columns": "[" + ",".join(_columns(results, groups, rows)) + "]",
    }
    text = "{" + ",".join(f'"{name}":{value}' for name, value in parts.items()) + "}"
    deflated = len(rows) > PLAIN_ROWS
    if deflated:
        text = base64.b64encode(zlib.compress(text.encode(), 4)).decode()
    return {"text": Markup(text.replace("<", "\\u003c")), "deflated": deflated}


def _columns(results: Results, groups: Sequence[Group], rows: Sequence[tuple[int, Row]]) -> Iterable[str]:
    every = [row for _, row in rows]
    all_simulated = all(row.record.simulated for row in every)
    nodes = [row.record.nodeid.partition("[") for row in every]
    words: dict[str, Iterable[str]] = {
        "label": (row.label for row in every),
        "bench": (row.record.bench for row in every),
        "file": (node[0] for node in nodes),
        "call": (node[1] + node[2] for node in nodes),
        "outcome": (row.record.outcome for row in every),
        "reason": (" ".join(row.record.reason.split())[:300] for row in every),
        "caveats": ("; ".join(row.caveats) for row in every),
        "kinds": (noted(row, all_simulated) for row in every),
        "score_of": (groups[place].score for place, _ in rows),
    }
    axes = dict.fromkeys(name for row in every for name in row.record.axes)
    words |= {f"axis:{name}": [row.record.axes.get(name, "") for row in every] for name in axes}
    yield _object(name="id", values=_json([row_id(row) for row in every]))
    yield _object(name="group", values=_json([place for place, _ in rows]))
    yield from (_words(name, values) for name, values in words.items())
    yield from _rates(every)
    numbers = map(itemgetter(*(number.name for number in NUMBERS)), (row.columns for row in every))
    for number, values in zip(NUMBERS, zip(*numbers, strict=True), strict=False):  # no row, no column
        yield from _numbers(number, values)
    yield from _scores(rows, groups)
    if results.verdicts is not None:
        yield from _verdicts(results.verdicts, every)
    yield from _history(results.history, every)


def _rates(rows: Sequence[Row]) -> Iterable[str]:
    """The throughput of each row, and what it is of."""
    found = []
    for row in rows:
        rates = throughput(row.record)
        unit = "tokens" if "tokens" in rates else next((unit for unit in rates if unit not in ("flops", "bytes")), "")
        found.append((rates.get(unit), unit))
    if any(unit for _, unit in found):
        units = {unit for _, unit in found if unit}
        head = f"{units.pop()}/s" if len(units) == 1 else "Throughput"  # one unit is said once
        yield from _numbers(_Number("rate", head, "rate", "higher", True), [rate for rate, _ in found])
        yield _words("rate_of", [unit if head == "Throughput" else "" for _, unit in found])


def _scores(rows: Sequence[tuple[int, Row]], groups: Sequence[Group]) -> Iterable[str]:
    """The first score of each group, as the table without script shows it."""
    scores = [row.record.scores.get(groups[place].score) for place, row in rows]
    if any(scores):
        yield from _numbers(
            _Number("score", "Score", "text", "", True), [score.value if score else None for score in scores]
        )
        yield _words("score_text", (row.texts["score"] for _, row in rows))


def _verdicts(verdicts: Verdicts, rows: Sequence[Row]) -> Iterable[str]:
    """The worst verdict of each row, the words of all of them to filter by, and the change of its time."""
    worst = said.by_bench(verdicts)
    every: dict[str, list[str]] = {}
    for verdict in verdicts:
        every.setdefault(verdict.key, []).extend((verdict.word, verdict.said))
    of = [worst.get(row.columns["key"]) for row in rows]
    yield _words("verdict", [found.said if found else "" for found in of])
    yield _words("verdict_word", [found.word if found else "" for found in of])
    yield _words("said", [" ".join(dict.fromkeys(every.get(row.columns["key"], ()))) for row in rows])
    times = {verdict.key: verdict for verdict in verdicts if verdict.quantity == "seconds"}
    of = [times.get(row.columns["key"]) for row in rows]
    yield from _numbers(
        _Number("change", "Change", "text", shown=True), [found.change if found else None for found in of]
    )
    yield _words(
        "change_text", [typeset(said.change(found)) if found and found.change is not None else "" for found in of]
    )


def _history(history: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> Iterable[str]:
    """Medians of the last sessions, in per mille of this one's: a small line shows no more."""
    earlier: dict[str, list[float]] = {}
    for found in history:
        if found.get("median_seconds"):
            earlier.setdefault(found["key"], []).append(found["median_seconds"])
    if not earlier:
        return
    lines = []
    for row in rows:
        now = row.columns["median_seconds"]
        past = earlier.get(row.columns["key"], [])[1 - MOST_SESSIONS :]
        lines.append([round(1000 * value / now) for value in [*past, now]] if now and past else None)
    yield _object(name="history", head="Trend", values=_json(lines))


def _numbers(number: _Number, values: Sequence[float | None]) -> Iterable[str]:
    """A column of numbers, where any row has one."""
    if any(value is not None for value in values):
        yield _object(
            name=number.name, head=number.head, quantity=number.quantity, better=number.better,
            shown=number.shown, values="[" + ",".join(map(_SHOWN if number.shown else _OTHER, values)) + "]",
        )  # fmt: skip


def _digits(places: str, value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "null"
    return f"{value:.0f}" if abs(value) >= 1e6 else format(value, places)  # a whole part is never cut


#: What the page also shows without its script has twice the digits: rounded twice, the last of three could differ.
_SHOWN, _OTHER = partial(_digits, ".8g"), partial(_digits, ".4g")


def _words(name: str, values: Iterable[str]) -> str:
    """A column of words: each once, and where it stands."""
    places: dict[str, int] = {}
    at = [places.setdefault(value, len(places)) for value in values]
    return _object(name=name, words=_json([visible(word) for word in places]), at=_json(at))


def _object(**parts: str | bool) -> str:
    """JSON of what is JSON already (`values`, `words`, `at`) and of plain words."""
    ready = {"values", "words", "at"}
    return "{" + ",".join(f'"{key}":{part if key in ready else _json(part)}' for key, part in parts.items()) + "}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
