"""From `bench_*.py` to items: bench functions, plural marks as axes, and what the command line asks of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

# Loaded by every pytest run that collects a test: what only an axis needs is imported where one is set.
from .errors import ModelbenchError, UsageError
from .session import SESSION

if TYPE_CHECKING:
    from .catalog import Catalog
    from .settings import Settings

#: Axis fixture -> the plural mark that declares its values. The order is the order in ids.
MARKS = {"model": "models", "variant": "variants", "device": "devices", "dataset": "datasets"}
#: Where neither a mark nor the command line says anything. Nothing is probed at collection.
DEFAULTS = {"variant": ("eager",), "device": ("cpu",)}
PATTERN = "bench_*.py"
PREFIX = "bench_"


class Wanted(NamedTuple):
    """One value of an axis: its text, and the options that its mark gives beside it."""

    text: str
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return self.text


class BenchClass(pytest.Class):
    """A class in a file of benches: its methods named `bench_*` are items too."""

    def funcnamefilter(self, name: str) -> bool:
        return name.startswith(PREFIX) or super().funcnamefilter(name)


class BenchModule(pytest.Module):
    """A file of benches: functions named `bench_*` are items, beside ordinary tests."""

    def funcnamefilter(self, name: str) -> bool:
        return name.startswith(PREFIX) or super().funcnamefilter(name)

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        try:
            self.config.stash[SESSION].catalog.add_from(self.obj)
        except ModelbenchError as error:
            raise self.CollectError(str(error)) from error
        return super().collect()


def bench_module(path: Path, parent: pytest.Collector) -> BenchModule | None:
    """The collector for a file named like a bench file."""
    return BenchModule.from_parent(parent, path=path) if fnmatch(path.name, PATTERN) else None


def bench_class(collector: pytest.Collector, name: str) -> BenchClass | None:
    """The collector for a class in a bench file: `Bench*`, or what pytest takes for tests."""
    if not isinstance(collector, (BenchModule, BenchClass)):
        return None
    taken = name.startswith("Bench") or collector.classnamefilter(name)
    return BenchClass.from_parent(collector, name=name) if taken else None


def is_bench(item: pytest.Item) -> bool:
    """Whether an item becomes a Record: it is named like a bench, or it asks for `measure` or `benchmark`."""
    if not isinstance(item, pytest.Function):
        return False
    return _is_named(item) or _made_by(item, "measure", __package__) or _made_by(item, "benchmark", "pytest_benchmark")


def _is_named(function: Any) -> bool:
    return str(function.originalname).startswith(PREFIX) and function.getparent(BenchModule) is not None


def measures_nothing(item: pytest.Item) -> bool:
    """Whether a function is named like a bench and takes nothing that could measure."""
    return _is_named(item) and not {"measure", "benchmark"} & set(getattr(item, "fixturenames", ()))


def _made_by(function: Any, fixture: str, package: str) -> bool:
    """Whether a function uses a fixture, and the one of that package: not an override, not another of its name."""
    definitions = function._fixtureinfo.name2fixturedefs.get(fixture)  # pytest has no public way to see an override
    return bool(definitions) and definitions[-1].func.__module__.startswith(f"{package}.")


def parametrize(metafunc: pytest.Metafunc, settings: Settings, catalog: Catalog) -> None:
    """Give each axis that this function uses its values, once.

    An ordinary test is left alone, unless it takes one of our fixtures and is marked for it.
    Raises CollectError for a mark without values, or an unknown name.
    """
    function = metafunc.definition
    bench = _is_named(function) or _made_by(function, "measure", __package__)
    try:
        for axis, mark in MARKS.items():
            if not bench and not (_made_by(function, axis, __package__) and function.get_closest_marker(mark)):
                continue
            declared = _declared(metafunc, axis, mark)
            asked = settings.asked[axis]
            if _is_ours_to_set(metafunc, axis, declared):
                _set_axis(metafunc, axis, declared, asked, catalog)
    except UsageError as error:
        raise pytest.Collector.CollectError(str(error)) from error


def _where(metafunc: pytest.Metafunc) -> str:
    return f"{metafunc.definition.name} in {metafunc.definition.path.name}"


def _declared(metafunc: pytest.Metafunc, axis: str, name: str) -> tuple[Wanted, ...] | None:
    """The values of the nearest plural mark, or None without one."""
    if axis not in metafunc.fixturenames:
        if any(mark.name == name for mark in metafunc.definition.own_markers):
            raise UsageError(
                f"{_where(metafunc)} is marked {name} but uses no fixture that depends on it: take `{axis}`"
            )
        return None
    mark = metafunc.definition.get_closest_marker(name)
    if mark is None:
        return None
    if not mark.args or not all(isinstance(value, str) and value for value in mark.args):
        raise UsageError(
            f'mark {name}{mark.args!r} on {_where(metafunc)} needs names: write @pytest.mark.{name}("...", ...)'
        )
    if mark.kwargs and axis != "dataset":
        raise UsageError(f"mark {name} on {_where(metafunc)} takes no option {', '.join(mark.kwargs)}")
    return tuple(Wanted(text, tuple(sorted(mark.kwargs.items()))) for text in dict.fromkeys(mark.args))


def _is_ours_to_set(metafunc: pytest.Metafunc, axis: str, declared: object) -> bool:
    """Not when the function does not use the axis, sets it by parametrize, or overrides the fixture without a mark."""
    if axis not in metafunc.fixturenames:
        return False
    for mark in metafunc.definition.iter_markers("parametrize"):
        arguments = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        if axis in (re.split(r"\s*,\s*", arguments) if isinstance(arguments, str) else arguments):
            return False
    return declared is not None or _made_by(metafunc.definition, axis, __package__)


def _set_axis(
    metafunc: pytest.Metafunc,
    axis: str,
    declared: tuple[Wanted, ...] | None,
    asked: tuple[str, ...] | None,
    catalog: Catalog,
) -> None:
    usual = declared or tuple(Wanted(text) for text in DEFAULTS.get(axis, ()))
    values = usual if asked is None else _narrowed(axis, usual, declared is not None, asked)
    if not values:
        raise UsageError(
            f"{_where(metafunc)} takes `{axis}` and says nowhere which: "
            f'add @pytest.mark.{MARKS[axis]}("...") or run with --{axis} ...'
        )
    where = _where(metafunc) if asked is None else f"--{axis}"
    for value in values:
        _check(axis, value, catalog, where)
    shown = len(usual) > 1 or values != usual
    ids: list[Any] = _ids(axis, values) if shown else [pytest.HIDDEN_PARAM]
    metafunc.parametrize(axis, values, indirect=True, scope="session", ids=ids)


def _check(axis: str, value: Wanted, catalog: Catalog, where: str) -> None:
    """Raise UsageError for a value that can name nothing; nothing is opened or probed."""
    text = value.text
    if axis == "device":
        from .device import parse as parse_device

        parse_device(text, where)
    elif axis == "variant":
        from .variants import parse as parse_variant

        parse_variant(text, catalog, where)
    else:
        from .source import parse

        source = parse(text)
        if axis == "dataset":
            from .datasets import check

            check(source, dict(value.options))


def _ids(axis: str, values: Sequence[Wanted]) -> list[str]:
    """Short where that is enough, in full where two would clash."""
    short = [short_name(axis, value.text) for value in values]
    return [value.text if short.count(name) > 1 else name for name, value in zip(short, values, strict=True)]


def short_name(axis: str, text: str) -> str:
    """How a value is called in ids and on the command line."""
    if axis not in ("model", "dataset"):
        return text
    from .source import short

    return short(text)


def _narrowed(axis: str, usual: tuple[Wanted, ...], is_declared: bool, asked: tuple[str, ...]) -> tuple[Wanted, ...]:
    """What the command line leaves or puts instead.

    A declared device binds: asked devices outside it leave the bench to `narrow`. A short name narrows to the
    declared value of that name; anything complete (a variant, `hub:...`, a path) takes the place of what is declared.
    """
    if axis == "device" and is_declared:
        pairs = [(value.text, name) for name in asked for value in usual if _same_device(value.text, name)]
        # of "cuda" and "cuda:1" the one with an index says more
        return tuple(dict.fromkeys(Wanted(max(pair, key=len)) for pair in pairs)) or usual
    from .source import complete

    options = usual[0].options if usual else ()
    values: list[Wanted] = []
    for text in asked:
        matches = [value for value in usual if matches_name(axis, value.text, text)]
        if matches:
            values += matches
        elif axis in ("variant", "device") or complete(text):
            values.append(Wanted(text, options))
    return tuple(dict.fromkeys(values)) or usual


def _same_device(declared: str, asked: str) -> bool:
    return declared == asked or (
        declared.partition(":")[0] == asked.partition(":")[0] and (":" not in declared or ":" not in asked)
    )


def matches_name(axis: str, text: str, asked: str) -> bool:
    """Whether a value of an axis is what the command line calls `asked`."""
    if axis == "device":
        return _same_device(text, asked)
    return asked in (text, short_name(axis, text))


def _named(axis: str, text: str, asked: Iterable[str]) -> bool:
    return any(matches_name(axis, text, name) for name in asked)


def axis_values(item: pytest.Item) -> dict[str, Any]:
    """The parameters of an item, by name; empty for an item without any."""
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec else {}


def narrow(items: list[pytest.Item], settings: Settings, arguments: Sequence[str], keyword: str) -> list[pytest.Item]:
    """Take out of `items`, and return, what the axis options and `simulated` leave out; give -k its words.

    Raises UsageError for a short name on the command line that no collected bench declares.
    """
    for item in items:
        for axis, value in _wanted(item):  # -k sees the values, those that an id leaves out too
            item.extra_keyword_matches.update((value.text, short_name(axis, value.text)))
    _check_asked(items, settings)
    asked = {axis: names for axis, names in settings.asked.items() if names is not None}
    kept: list[pytest.Item] = []
    out: list[pytest.Item] = []
    for item in items:
        idle = _is_idle_simulation(item, settings, arguments, keyword)
        (kept if _is_asked(item, asked) and not idle else out).append(item)
    items[:] = kept
    return out


def _wanted(item: pytest.Item) -> Iterator[tuple[str, Wanted]]:
    """The axes of ours and their values; not what an item sets by parametrize."""
    callspec = getattr(item, "callspec", None)
    if callspec:
        for axis, value in callspec.params.items():
            if axis in MARKS and isinstance(value, Wanted):
                yield axis, value


def _is_asked(item: pytest.Item, asked: dict[str, tuple[str, ...]]) -> bool:
    return not asked or all(_named(axis, value.text, asked[axis]) for axis, value in _wanted(item) if axis in asked)


def _is_idle_simulation(item: pytest.Item, settings: Settings, arguments: Sequence[str], keyword: str) -> bool:
    """A simulated bench runs with --bench-mock, or when its file or a word of its name is asked for."""
    # keywords hold the names of all marks, and are quicker asked
    if settings.mock or "simulated" not in item.keywords or item.get_closest_marker("simulated") is None:
        return False
    by_path = any(Path(argument.partition("::")[0]).name == item.path.name for argument in arguments)
    words = set(re.findall(r"\w+", keyword)) - {"and", "or", "not"}
    by_word = any(word in item.nodeid for word in words if word not in PREFIX)  # "bench" names them all
    return not (by_path or by_word)


def _check_asked(items: Iterable[pytest.Item], settings: Settings) -> None:
    if not settings.asked["model"] and not settings.asked["dataset"]:
        return
    seen = {axis: set[str]() for axis in MARKS}
    for item in items:
        for axis, value in _wanted(item):
            seen[axis].add(value.text)
    for axis in ("model", "dataset"):
        for name in settings.asked[axis] or ():
            if seen[axis] and not any(matches_name(axis, text, name) for text in seen[axis]):
                known = sorted({short_name(axis, text) for text in seen[axis]} | seen[axis])
                from difflib import get_close_matches

                near = get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise UsageError(f"--{axis} {name!r}: no bench declares it{hint} (known: {', '.join(known)})")


def group(items: list[pytest.Item]) -> None:
    """Bring benches of one device, model and variant together, so that each is built once and closed before the next.

    Groups keep the order of their first bench, and other items their place among them.
    """
    keys = [built_for(item) for item in items]
    if not any(keys):
        return
    places: dict[Any, int] = {}
    order = [(places.setdefault(key, at) if key else at, at) for at, key in enumerate(keys)]
    items[:] = [items[at] for _, at in sorted(order)]


def built_for(item: pytest.Item) -> tuple[str, ...]:
    """What must be built for a bench: device, model and variant; empty for an item without a model."""
    callspec = getattr(item, "callspec", None)
    if not callspec or not isinstance(callspec.params.get("model"), Wanted) or not is_bench(item):
        return ()
    return tuple(str(callspec.params[axis]) for axis in ("device", "model", "variant") if axis in callspec.params)
