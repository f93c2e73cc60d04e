"""What fewer bits a weight saved, and what they cost: the tables of `impact.py`, their rows as links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...groups import Group
from ...impact import impact
from .compare import row_id, typeset

#: Tables in a page (chosen here).
MOST_TABLES = 20


def quantization(groups: Sequence[Group]) -> dict[str, Any]:
    """A table a group that has rows of fewer bits than its reference."""
    found = [(group, table) for group in groups if (table := impact(group))]
    return {
        "quantization": [
            {
                "title": ", ".join(filter(None, (group.title, group.subtitle))),
                "heads": table.heads[1:],
                "rows": [
                    {"id": row_id(row), "name": label, "texts": list(map(typeset, texts))}
                    for row, (label, *texts) in zip(table.rows, table.texts, strict=True)
                ],
            }
            for group, table in found[:MOST_TABLES]
        ]
    }
