"""Places: `KIND:PLACE` as people write it, the store it means, and the Records or rows that are read from there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import signature
from itertools import groupby
from pathlib import Path
from typing import Any

from .catalog import Catalog
from .errors import StoreError, UsageError
from .record import Record
from .results import HISTORY_COLUMNS, Results
from .summary import row

#: Where a session writes unless told otherwise, and where commands look.
USUAL = Path("reports/data")


def usual_store(start: Path | None = None) -> Path:
    """`reports/data` of the nearest folder from `start` upwards that has it, up to the top of the repository."""
    here = start or Path.cwd()
    for folder in (here, *here.parents):
        if (folder / USUAL).is_dir():
            return folder / USUAL
        if (folder / ".git").exists():
            break
    return USUAL


def split(text: str, default: str) -> tuple[str, str]:
    """`KIND:PLACE` in its two parts; a path alone is of the default kind. A single letter is a Windows drive."""
    kind, separator, place = text.partition(":")
    if not separator or len(kind) == 1 or "/" in kind:
        return default, text
    if not (kind and place):
        raise UsageError(f"{text!r} is not KIND:PLACE; write for example {default}:results/data")
    return kind, place


def store_at(text: str | None, catalog: Catalog | None = None) -> Any:
    """The store that `text` means; nothing given is the usual one. Raises UnknownName for an undeclared kind."""
    kind, place = split(text or str(usual_store()), "parquet")
    return (catalog or Catalog()).find("store", kind, where=repr(text) if text else "")(Path(place))


def stored_at(text: str | None) -> Any:
    """As `store_at`, of a store that is to be read. Raises StoreError where there is none."""
    store = store_at(text)
    place = getattr(store, "place", None)
    if isinstance(place, Path) and not place.exists():
        raise StoreError(f"{place} holds no Records: there is no such folder; name another one, or run some benches")
    return store


def rows_at(text: str | None, columns: Sequence[str] | None = None) -> list[Mapping[str, Any]]:
    """A row a Record, the oldest session first; raw numbers are not read where the store can do without.

    `columns` are enough where only some are looked at; those that a file lacks are None.
    """
    store = stored_at(text)
    rows: Iterable[Mapping[str, Any]]
    rows = store.rows(columns=columns) if hasattr(store, "rows") else map(row, store.records())
    return sorted(rows, key=lambda found: (found["started_utc"], found["session"]))


def records_at(text: str | None, session: str | None = None) -> Iterator[Record]:
    """Every Record, or those of one session, whole, the oldest session first."""
    store = stored_at(text)
    if session is not None and "session" in signature(store.records).parameters:
        yield from store.records(session=session)
    else:
        yield from (record for record in store.records() if session in (None, record.session))


def sessions_at(text: str | None) -> Iterator[tuple[str, list[Record]]]:
    """Whole Records, a session at a time."""
    for session, records in groupby(records_at(text), key=lambda record: record.session):
        yield session, list(records)


def results_at(text: str | None, session: str | None = None) -> Results:
    """What a report over a store is made of: one session's Records (the last one's), and rows of those before it.

    `session` may be the beginning of one's name. Raises UsageError when none is called so.
    """
    brief = rows_at(text, ("session", "started_utc"))
    names = list(dict.fromkeys(str(found["session"]) for found in brief))
    if not names:
        raise StoreError(f"{text or usual_store()} holds no Records yet: run some benches")
    chosen = named(session, names) if session else names[-1]
    store, records = stored_at(text), list(records_at(text, chosen))
    verdicts = getattr(store, "verdicts", lambda _: None)(chosen)
    began, keys = min(record.started_utc for record in records), {record.key for record in records}
    rows = store.rows(keys=keys, columns=HISTORY_COLUMNS) if hasattr(store, "rows") else rows_at(text)
    history = [
        found for found in rows
        if found["started_utc"] < began and found["key"] in keys and found["outcome"] == "passed"
    ]  # fmt: skip
    return Results(records, verdicts, history)


def named(beginning: str, names: Sequence[str]) -> str:
    """The one session whose name begins so."""
    found = [name for name in names if name.startswith(beginning)]
    if len(found) == 1 or beginning in found:
        return beginning if beginning in found else found[0]
    said = f"{len(found)} sessions begin with" if found else "no stored session is called"
    shown = ", ".join((found or list(names))[-5:])
    raise UsageError(f"{said} {beginning!r}; the last ones are {shown}")
