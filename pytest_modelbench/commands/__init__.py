"""Commands: what `python -m pytest_modelbench` can do without a bench, a file each.

A command is a module with `add_arguments(parser)` and `run(arguments) -> exit status`; its docstring is its help.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..quantity import plain

if TYPE_CHECKING:
    from ..device import Device
    from ..model import Model


def say(line: str = "") -> None:
    """Print a line, in ASCII where the stream does not speak UTF-8."""
    print(plain(line, "utf" in (sys.stdout.encoding or "").lower()))


def opened(text: str, device: Device, trust_remote_code: bool = False, allow_pickle: bool = False) -> Model:
    """The model of a source, its weights not yet read; it may run its own code or open pickles where that is said."""
    from ..models import open_model
    from ..settings import Settings
    from ..source import parse

    named, nobody = frozenset({text}), frozenset[str]()
    settings = Settings(
        Path.cwd(),
        stores=(),
        reports=(),
        asked={},
        trust_remote_code=named if trust_remote_code else nobody,
        allow_pickle=named if allow_pickle else nobody,
    )
    return open_model(parse(text), device, settings)
