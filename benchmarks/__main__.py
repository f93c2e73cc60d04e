"""Measure ours and the peers, and print one table: `python -m benchmarks [--quick] [--markdown] [IDEA ...]`."""

from __future__ import annotations

import argparse
import platform
import sys
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .figure import HEADS, Figure

#: One file an idea, in the order of the table.
IDEAS = ("calls", "wall", "load", "suite", "storage", "lookup", "page", "streams", "sampling", "spins")


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("ideas", nargs="*", metavar="IDEA", help=f"only these of: {', '.join(IDEAS)}")
    parser.add_argument("--quick", action="store_true", help="a minute of it: every row, no number to rely on")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown, for the manual")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.ideas) - set(IDEAS):
        parser.error(f"unknown idea {', '.join(sorted(unknown))} (known: {', '.join(IDEAS)})")
    rows = []
    for idea in asked.ideas or IDEAS:
        print(f"{idea} ...", file=sys.stderr, flush=True)
        for row in import_module(f"{__package__}.{idea}").figures(asked.quick):
            print("  " + " | ".join(cell for cell in row.cells() if cell), file=sys.stderr, flush=True)
            rows.append(row)
    if asked.markdown:
        print(_markdown(rows))
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(_table(rows))
    if asked.quick:
        print("--quick: too few turns to rely on any of these numbers")


def _table(rows: list[Figure]) -> Table:
    table = Table(*HEADS, title=_machine(), show_lines=False)
    for row in rows:
        style = {"no": "bold red", "unclear": "yellow"}.get(row.met, "")
        table.add_row(*row.cells(), style=style)
    return table


def _markdown(rows: list[Figure]) -> str:
    lines = [HEADS, ["---"] * len(HEADS), *(row.cells() for row in rows)]
    return f"{_machine()}\n\n" + "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _machine() -> str:
    """The kind of machine, by what the plugin itself says of one; no name of it."""
    from pytest_modelbench.environment import environment

    seen = environment(None, Path())
    return (
        f"{seen['host']['cores_usable']} cores, {seen['host']['system']}, Python {platform.python_version()}; medians, "
        "95 % intervals in brackets"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
