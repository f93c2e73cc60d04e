"""`python -m pytest_modelbench COMMAND`, and `modelbench COMMAND`: work with results without running a bench.

Exit status: 0 done, 1 done and something is worse than its limit, 2 it could not be done.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from .errors import ModelbenchError

#: Command -> what it does; the module in `commands/` is imported when it is asked for.
COMMANDS: dict[str, str] = {
    "models": "list the models that are here",
    "variants": "try every variant on some models, and show which run",
    "export": "export a model to a file that another runtime reads",
    "list": "list stored Records, or sessions",
    "show": "show one stored Record",
    "report": "write reports of stored Records",
    "compare": "compare stored sessions, with the verdicts of the gate",
    "history": "show what a bench measured over stored sessions",
    "copy": "copy Records from one store to another",
    "compact": "put the stored sessions of each month into one file",
    "import": "import what other tools measured",
    "bisect": "find the commit that made a bench slower",
    "serve": "serve the page over all stored sessions on this machine",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its own mistakes are one line on standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser("modelbench", description="Work with results of benches.")
    chosen = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name, text in COMMANDS.items():
        command = chosen.add_parser(name, help=text, description=text)
        if name in given:  # the others stay unloaded
            module = import_module(f".commands.{name.replace('-', '_')}", __package__)
            command.description = module.__doc__
            command.formatter_class = argparse.RawDescriptionHelpFormatter
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    if not given:
        parser.print_help()
        return 2
    end = given.index("--") if "--" in given else len(given)
    asked = parser.parse_args(given[:end])
    if end < len(given):
        if "rest" not in asked:
            parser.error(f"{asked.command} takes nothing after --")
        asked.rest = given[end + 1 :]
    try:
        status: int = asked.run(asked)
        sys.stdout.flush()
    except ModelbenchError as error:
        print(f"modelbench {asked.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `| head` has seen enough; what is left in the buffer must not be tried again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


if __name__ == "__main__":
    sys.exit(main())
