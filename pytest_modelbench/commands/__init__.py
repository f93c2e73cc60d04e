"""Commands: what `python -m pytest_modelbench` can do with results, a file each.

A command is a module with `add_arguments(parser)` and `run(arguments) -> exit status`; its docstring is its help.
"""
