"""OpenMetrics text, for node_exporter's textfile collector, a Pushgateway, or anything else that Prometheus reads.

The format: https://prometheus.io/docs/specs/om/open_metrics_spec/. There are no timestamps: the textfile collector
refuses them, and a scrape has its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..declare import report
from ..files import written_whole
from ..quantity import visible
from ..record import Record
from ..results import Results
from ..summary import AXES, row, throughput

#: Column of a row -> what it is. A name that ends in a unit of SI states it; "per second" is none.
_COLUMNS = {
    "median_seconds": "Median time of one call.",
    "p95_seconds": "95th percentile of the time of one call.",
    "spread_ratio": "Half the 5 to 95 percent range over the median.",
    "ttft_seconds": "Time to the first new token.",
    "tpot_seconds": "Time per output token after the first.",
    "e2el_seconds": "Time to the last token.",
    "decode_tokens_per_second": "New tokens a second after the first.",
    "peak_memory_bytes": "What the process held at its peak, on the device where there is one.",
    "energy_joules": "Energy of one call.",
}
_UNITS = ("seconds", "bytes", "joules", "ratio")


@report("openmetrics")
def openmetrics(results: Results, place: Path) -> Path:
    """A gauge a quantity, a sample a bench; of a bench that ran twice the last one counts."""
    records = list({record.key: record for record in results.records}.values())
    lines = [line for family in (*_families(records), *_judged(results)) for line in family]
    return written_whole(place, "\n".join([*_session(records), *lines, "# EOF", ""]), "the OpenMetrics report")


def _families(records: list[Record]) -> Iterator[list[str]]:
    for column, text in _COLUMNS.items():
        yield _gauge(column, text, [(_labels(record), row(record)[column]) for record in records])
    rates = [({**_labels(record), "unit": unit}, r) for record in records for unit, r in throughput(record).items()]
    yield _gauge("throughput_per_second", "Units of work a second.", rates)
    scores = [
        ({**_labels(record), "metric": metric, "unit": score.unit, "better": score.direction}, score.value)
        for record in records
        for metric, score in record.scores.items()
    ]
    yield _gauge("score", "How well: one metric of the outputs.", scores)
    passed = [({**_labels(record), "outcome": record.outcome}, float(record.outcome == "passed")) for record in records]
    yield _gauge("passed", "Whether the bench passed.", passed)
    caveats = [(_labels(record), float(len({caveat.kind for caveat in record.caveats}))) for record in records]
    yield _gauge("caveats", "How many kinds of caveats the bench has.", caveats)


def _judged(results: Results) -> Iterator[list[str]]:
    """The gate's words; a change is of the quantity against the baseline."""
    of_key = {record.key: _labels(record) for record in results.records}
    verdicts = list(results.verdicts or ())
    said = [
        ({**of_key.get(v.key, {"bench": v.key}), "quantity": v.quantity, "verdict": v.word}, float(v.failing))
        for v in verdicts
    ]
    yield _gauge("verdict_failing", "Whether the gate fails the bench by this quantity.", said)
    changes = [({**of_key.get(v.key, {"bench": v.key}), "quantity": v.quantity}, v.change) for v in verdicts]
    yield _gauge("change_ratio", "Change against the baseline; of a score the difference.", changes)


def _labels(record: Record) -> dict[str, str]:
    """The bench and its axes; axes that are not ours have names of their own, which could be a label of ours."""
    named = {name if name in AXES else f"axis_{_label(name)}": value for name, value in record.axes.items()}
    return {"bench": record.bench, **named}


def _label(name: str) -> str:
    """A parameter's name, which may have any letter, in the letters that a label may have."""
    return re.sub(r"[^a-zA-Z0-9_]", lambda found: f"_u{ord(found[0]):x}_", name)


def _session(records: list[Record]) -> list[str]:
    """What all samples are of, as an info metric: commit, session, machine."""
    if not records:
        return []
    first = row(records[0])
    facts = {name: first[name] for name in ("session", "commit", "branch", "fingerprint", "gpu_name", "cpu_name")}
    known = {name: str(value) for name, value in facts.items() if value is not None}
    return [
        "# TYPE modelbench_session info",
        "# HELP modelbench_session The session that these samples are of.",
        f"modelbench_session_info{_braced(known)} 1",
    ]


def _gauge(name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float | None]]) -> list[str]:
    """A family; nothing where nothing was measured."""
    lines = [
        f"modelbench_{name}{_braced(labels)} {value!r}"
        for labels, value in samples
        if value is not None and math.isfinite(value)
    ]
    if not lines:
        return []
    unit = name.rpartition("_")[2]
    states_unit = unit in _UNITS and not name.endswith("_per_second")
    units = [f"# UNIT modelbench_{name} {unit}"] if states_unit else []
    return [f"# TYPE modelbench_{name} gauge", *units, f"# HELP modelbench_{name} {text}", *lines]


def _braced(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return visible(value).replace("\\", "\\\\").replace('"', '\\"')
