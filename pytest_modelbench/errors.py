"""The exception tree. Each message says what is wrong, where, and what to do, in that order.

::

    ModelbenchError
    ├── UsageError          what was asked cannot be meant: a wrong option, mark, name or call
    │   ├── UnknownName     a name that nothing declares, with the near one
    │   └── DuplicateName   one name, two things, with both places
    ├── Unavailable         the device, library or file is not here: the bench skips with the remedy
    │   └── Unsupported     this variant cannot run this model or device: the bench skips with the reason
    ├── Refused             unsafe unless asked for by name: pickled weights, a model's own code
    ├── Fallback            something else ran than was asked: the Record is `invalid`, nothing is timed
    ├── NotFinite           a score is no finite number: the Record is `invalid`
    ├── Disagreement        a variant's output is further from eager's than the mark `parity` allows
    ├── Lost                the process of an isolated bench, or another rank, crashed or hung: the Record is `error`
    └── StoreError          a place that Records cannot be written to or read from
"""

from __future__ import annotations

from collections.abc import Iterable


class ModelbenchError(Exception):
    """Everything this project raises on purpose."""


class UsageError(ModelbenchError):
    """What was asked for cannot be meant."""


class UnknownName(UsageError):
    """A name that nothing declares.

    >>> str(UnknownName("variant", "compild", known=["compiled", "eager"], where="benches/bench_vit.py"))
    "unknown variant 'compild' in benches/bench_vit.py; did you mean 'compiled'? (known: compiled, eager)"
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        from difflib import get_close_matches  # not with the plugin, in every pytest run

        near = get_close_matches(name, self.known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        place = f" in {where}" if where else ""
        super().__init__(f"unknown {kind} {name!r}{place}{hint} (known: {', '.join(self.known) or 'none'})")


class DuplicateName(UsageError):
    """Two things of one name: two different `compiled` in one table would be a lie."""

    def __init__(self, kind: str, name: str, first: str, second: str) -> None:
        super().__init__(f"two things are called {kind} {name!r}: {first} and {second}; rename one of them")


class Unavailable(ModelbenchError):
    """The device, library or file is not here; the message ends with the remedy."""


class Unsupported(Unavailable):
    """This variant cannot run this model, or not on this device; the message says what can."""


class Refused(ModelbenchError):
    """Unsafe unless asked for by name."""


class Fallback(ModelbenchError):
    """Something else ran than was asked for. Never timed."""


class NotFinite(ModelbenchError):
    """A metric gave no finite number."""


class Disagreement(ModelbenchError):
    """A variant's output is further from eager's than its bench allows."""


class Lost(ModelbenchError):
    """A process that a bench runs in or computes with ended before the bench did."""


class StoreError(ModelbenchError):
    """A place that Records cannot be written to or read from."""
