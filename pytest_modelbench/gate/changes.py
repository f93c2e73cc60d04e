"""Changes: what else differs between two sides beside the code, by their environments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Facts that can move a number, what moves it most first; the commit is what is compared, the rest is the machine.
_FACTS = (
    ("gpu", ("driver", "cuda", "power_limit_watts", "sm_clock_max_hertz", "ecc", "mig")),
    ("versions", ()),
    ("host", ("governor", "kernel", "affinity", "core_quota", "container")),
    ("threads", ()),
    ("torch_flags", ()),
    ("variables", ()),
)
_FIRST = ("torch", "transformers", "onnxruntime")


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Fact -> (before, after), where they differ: `{"torch": ("2.12.1", "2.13.0")}`."""
    found = {}
    for part, names in _FACTS:
        old, new = before.get(part) or {}, after.get(part) or {}
        wanted = names or sorted({*old, *new}, key=lambda name: (name not in _FIRST, name))
        for name in wanted:
            if old.get(name) != new.get(name):
                found[name] = (_text(old.get(name)), _text(new.get(name)))
    return found


def _text(value: Any) -> str:
    return "unset" if value is None else str(value)
