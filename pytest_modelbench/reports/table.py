"""CSV and JSON: the flat rows of Records, for whoever reads with something else.

CSV is one row a Record with the columns of `records` (docs/reference/records.md). JSON says the same with its parts
nested, under a version; `json_schema` describes it. Raw numbers are in the store.
"""

from __future__ import annotations

import csv as csv_format
import io
import json as json_format
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from ..declare import report
from ..files import written_whole
from ..record import CAVEATS, OUTCOMES, Record
from ..results import Results
from ..summary import column_type, row, throughput
from ..verdict import Verdict, Verdicts

#: Of the JSON report. A new key keeps it; a key that goes or changes its meaning raises it.
JSON_VERSION = 1
#: A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@report("csv")
def csv(results: Results, place: Path) -> Path:
    """One row a Record; the columns are those of all of them. Text that a spreadsheet would run begins with a `'`."""
    rows = [row(record) for record in results.records]
    names = list(dict.fromkeys(name for found in rows for name in found))
    text = io.StringIO()
    writer = csv_format.DictWriter(text, names)  # lines end as in RFC 4180
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in found.items()} for found in rows)
    return written_whole(place, text.getvalue(), "the CSV report")


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


@report("json")
def json(results: Results, place: Path) -> Path:
    """Records and verdicts as one object, which `json_schema` describes."""
    content = {
        "format": "modelbench-report",
        "version": JSON_VERSION,
        "benches": [_bench(record) for record in results.records],
        "verdicts": _verdicts(results.verdicts) if results.verdicts else None,
    }
    text = json_format.dumps(_finite(content), indent=1, ensure_ascii=True, allow_nan=False)
    return written_whole(place, text + "\n", "the JSON report")


def _bench(record: Record) -> dict[str, Any]:
    """One Record: the columns that every Record has, and its parts by name."""
    columns = row(record)
    return {
        **{name: value for name, value in columns.items() if not name.startswith(("axis_", "count_", "score_"))},
        "axes": dict(record.axes),
        "counts": dict(record.counts),
        "throughput": throughput(record),
        "scores": {
            name: {
                "value": score.value,
                "unit": score.unit,
                "direction": score.direction,
                "standard_error": score.standard_error,
                "low": score.low,
                "high": score.high,
                "items": len(score.items),
            }
            for name, score in record.scores.items()
        },
        "caveats": [{"kind": caveat.kind, "detail": caveat.detail} for caveat in record.caveats],
        "notes": list(record.notes),
    }


def _verdicts(verdicts: Verdicts) -> dict[str, Any]:
    return {
        "against": verdicts.against,
        "head": verdicts.head,
        "how": verdicts.how,
        "alarms_per_suite": verdicts.alarms_per_suite,
        "changed": {fact: {"before": before, "after": after} for fact, (before, after) in verdicts.changed.items()},
        "notes": list(verdicts.notes),
        "verdicts": [
            {field.name: getattr(verdict, field.name) for field in fields(Verdict)} for verdict in verdicts.verdicts
        ],
    }


def _finite(value: Any) -> Any:
    """Without numbers that JSON cannot say: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(inner) for inner in value]
    return value


# -- the schema, made of the same types as the report itself, so that the two cannot differ

_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what `json` writes."""
    verdict = _object({name: _described(kind) for name, kind in get_type_hints(Verdict).items()})
    changed = _object({"before": _described(str), "after": _described(str)})
    verdicts = {
        "against": _described(str),
        "head": _described(str),
        "how": {"enum": ["paired", "stored"]},
        "alarms_per_suite": _described(float | None),
        "changed": {"type": "object", "additionalProperties": changed},
        "notes": _list(_described(str)),
        "verdicts": _list(verdict),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"modelbench-report, version {JSON_VERSION}",
        "description": "What --bench-report json:PLACE writes. Names end in their SI unit; null is what was not "
        "measured. New keys may come without a new version.",
        **_object(
            {
                "format": {"const": "modelbench-report"},
                "version": {"const": JSON_VERSION},
                "benches": _list(_bench_schema()),
                "verdicts": {"anyOf": [{"type": "null"}, _object(verdicts)]},
            }
        ),
    }


def _bench_schema() -> dict[str, Any]:
    columns = {name: _described(column_type(name) | None) for name in row(Record("", {}, "", "passed"))}
    by_unit = {"type": "object", "additionalProperties": _described(float | None)}
    score = {
        "value": _described(float | None),
        "unit": _described(str),
        "direction": {"enum": ["higher", "lower"]},
        "standard_error": _described(float | None),
        "low": _described(float | None),
        "high": _described(float | None),
        "items": {"type": "integer", "minimum": 0},
    }
    return _object(
        columns
        | {
            "outcome": {"enum": list(OUTCOMES)},
            "axes": {"type": "object", "additionalProperties": _described(str)},
            "counts": by_unit,
            "throughput": by_unit,
            "scores": {"type": "object", "additionalProperties": _object(score)},
            "caveats": _list(_object({"kind": {"enum": list(CAVEATS)}, "detail": _described(str)})),
            "notes": _list(_described(str)),
        }
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _described(kind: Any) -> dict[str, Any]:
    """A type of Python's as JSON Schema has it."""
    if kind in _JSON_TYPES:
        return {"type": _JSON_TYPES[kind]}
    inner = get_args(kind)
    if all(isinstance(value, str) for value in inner):  # a Literal
        return {"enum": list(inner)}
    return {"type": [_JSON_TYPES[one] for one in inner]}
