"""One HTML file that needs nothing else: no network, and a policy that allows no script or style but its own.

What is read without script stands in the page as plain tables and pictures, drawn here and nowhere else; the script
adds sorting, filtering, readings under the pointer and the rows that the page has no room to show at once. Names are
data: the template escapes whatever is not markup of ours, the script makes text nodes of them, and what the eye cannot
see in a name is shown as an escape.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from ...declare import report
from ...files import whole_file, written_to
from ...groups import REFERENCE, WORST_FIRST, Row, side_by_side
from ...provenance import environments
from ...quantity import visible
from ...results import Results
from .compare import compared, failures, left_out, row_id
from .data import block
from .first import first_screen
from .gate import gate
from .heatmap import heatmaps
from .opened import caveats, opened
from .pareto import pareto
from .quantized import quantization
from .roofline import roofline
from .trend import trend

#: Rows that the page shows without its script (chosen here, so that 1,000 benches stay under half a megabyte).
MOST_ROWS = 200
MOST_FAILURES = 100
#: More facts than these under one heading are folded.
FOLDED_BEYOND = 14
_FOLDER = Path(__file__).parent


@report("html")
def html(results: Results, place: Path) -> Path:
    """Write the page to `place`, whole or not at all. Raises StoreError where it cannot be written."""
    place = Path(place)
    text = page(results).encode()
    with written_to(place, "the HTML report"):
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(place) as file:
            file.write(text)
    return place


def page(results: Results) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=lambda value: visible(value) if type(value) is str else value,
    )  # fmt: skip
    return environment.get_template("page.html.j2").render(_context(results))


def _context(results: Results) -> dict[str, Any]:
    records = results.records
    groups = side_by_side(records)
    rows = sorted((row for group in groups for row in group.rows), key=_interest)
    drawn = opened(rows, {id(record): place for place, record in enumerate(records)})
    ids = {row.columns["key"]: row_id(row) for row in rows}
    bad = [row for row in rows if row.record.outcome != "passed"]
    parts: dict[str, Any] = {
        **_own_code(),
        **first_screen(results, rows, ids),
        "reference": REFERENCE,
        **compared(groups, {item["id"] for item in drawn}, rows[:MOST_ROWS]),
        "left_out": left_out(len(rows), MOST_ROWS, "rows are shown by the page's script"),
        "failures": failures(bad[:MOST_FAILURES]),
        "failures_left_out": left_out(len(bad), MOST_FAILURES, "are in the table above"),
        "details": drawn,
        "details_left_out": left_out(
            sum(1 for row in rows if row.columns["rounds"]), len(drawn), "benches are not drawn here; the worst are"
        ),
        **gate(results.verdicts, ids),
        **pareto(groups),
        **roofline(rows),
        **heatmaps(rows),
        **quantization(groups),
        **trend(results, rows),
        "caveats": caveats(rows),
        **_environment(results),
        "block": block(results, groups),
    }
    return parts | {"sections": [(id, title) for id, title, there in _SECTIONS if rows or there == "always"]}


#: Anchor, name, and whether it is there without a row.
_SECTIONS = (
    ("results", "Compare", ""), ("gate", "Gate", ""), ("details", "Distributions", ""), ("pareto", "Pareto", ""),
    ("roofline", "Roofline", ""), ("heatmap", "Heatmap", ""), ("trend", "Trend", ""), ("caveats", "Caveats", ""),
    ("environment", "Environment", "always"), ("rows", "Rows", ""),
)  # fmt: skip


def _own_code() -> dict[str, Any]:
    """The style and the script, with the hashes by which the policy knows them."""
    from markupsafe import Markup

    texts = {
        name: _slim((_FOLDER / f"page.{kind}").read_text("utf-8"))
        for name, kind in (("style", "css"), ("script", "js"))
    }
    hashes = {
        f"{name}_hash": "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for name, text in texts.items()
    }
    return {**{name: Markup(text) for name, text in texts.items()}, **hashes}


def _slim(code: str) -> str:
    """Code without indentation, comments and the air around signs, which are for who reads the source.

    No text of the script holds such a sign between spaces (tests/unit/test_report_html.py).
    """
    lines = (re.sub(r"(^| )// .*", "", line.strip()) for line in code.splitlines())
    return re.sub(AIR, r"\1", "\n".join(line for line in lines if line))


#: Signs of the script that need no space around them.
AIR = r" (=>|={1,3}|!==|&&|\|\||\?\?) "


def _interest(row: Row) -> tuple[int, bool]:
    """Which rows are shown where not all can be: the worst outcome first, then those with caveats."""
    return WORST_FIRST.index(row.record.outcome), not row.kinds


def _environment(results: Results) -> dict[str, Any]:
    parts, number, differing = environments(results.records)
    plural = "" if number == 1 else "s"
    differ = f", which differ in {differing} fact{'s' if differing != 1 else ''}." if differing else "."
    verdicts = results.verdicts
    return {
        "compared_with": verdicts.against if verdicts is not None else "",
        "differing": list(verdicts.changed.items()) if verdicts is not None else [],
        "environment": [
            {"title": title, "rows": rows, "folded": len(rows) > FOLDED_BEYOND} for title, rows in parts.items()
        ],
        "environment_said": f"What the numbers depend on. {number} environment{plural} in this session{differ}",
    }
