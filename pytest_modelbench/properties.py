"""Properties: a Record in a few names and values, for JUnit's file and whatever else reads a report's properties."""

from __future__ import annotations

from .quantity import visible
from .record import Record
from .summary import row, throughput

_COLUMNS = (
    "record_id", "median_seconds", "spread_ratio", "rounds", "ttft_seconds", "decode_tokens_per_second",
    "peak_memory_bytes", "energy_joules", "caveats",
)  # fmt: skip


def properties(record: Record) -> list[tuple[str, str]]:
    """`modelbench.<name>` and its value in SI units, as the columns are named; what was not measured is left out.

    Throughput is `modelbench.throughput.<unit>_per_second`, a score `modelbench.score_<metric>` with its unit in
    `modelbench.score_<metric>.unit`. Control characters are shown as escapes: XML cannot hold them.
    """
    columns = row(record)
    found = [(name, columns[name]) for name in _COLUMNS if columns[name] not in (None, "")]
    found += [(f"throughput.{unit}_per_second", rate) for unit, rate in throughput(record).items()]
    for name, score in record.scores.items():
        found += [(f"score_{name}", score.value), (f"score_{name}.unit", score.unit)]
    return [(f"modelbench.{name}", visible(_text(value))) for name, value in found]


def _text(value: object) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)
