"""Commands: what `python -m pytest_modelbench` can do with results, a file each.

A command is a module with `add_arguments(parser)` and `run(arguments) -> exit status`; its docstring is its help.
"""

from __future__ import annotations

import sys

from ..quantity import plain


def say(line: str = "") -> None:
    """Print a line, in ASCII where the stream does not speak UTF-8."""
    print(plain(line, "utf" in (sys.stdout.encoding or "").lower()))
