"""How seconds, bytes, joules, ratios and names are written for people: three significant digits, one unit a group.

Inside the project everything is SI; milliseconds and GiB exist only here. The terminal, the HTML page and every other
report write numbers through this file, so that one number reads the same everywhere.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

#: What stands where a number was not measured (an en dash; a hyphen where UTF-8 is not spoken).
ABSENT = "\N{EN DASH}"


@dataclass(frozen=True)
class Unit:
    """One unit of a quantity: `scale` of the SI unit make one of these."""

    name: str
    scale: float


#: Quantity -> its units, small to large. Sizes in powers of two (IEC 80000-13), the rest in powers of ten.
UNITS: dict[str, tuple[Unit, ...]] = {
    "seconds": (Unit("ns", 1e-9), Unit("µs", 1e-6), Unit("ms", 1e-3), Unit("s", 1.0)),
    "bytes": (Unit("B", 1.0), Unit("KiB", 2.0**10), Unit("MiB", 2.0**20), Unit("GiB", 2.0**30), Unit("TiB", 2.0**40)),
    "joules": (Unit("mJ", 1e-3), Unit("J", 1.0), Unit("kJ", 1e3)),
    "watts": (Unit("mW", 1e-3), Unit("W", 1.0), Unit("kW", 1e3)),
    "hertz": (Unit("Hz", 1.0), Unit("kHz", 1e3), Unit("MHz", 1e6), Unit("GHz", 1e9)),
    "flops": tuple(Unit(f"{prefix}FLOP", 1e3**i) for i, prefix in enumerate(("", "k", "M", "G", "T", "P"))),
    "flops_per_second": tuple(
        Unit(f"{prefix}FLOP/s", 1e3**i) for i, prefix in enumerate(("", "k", "M", "G", "T", "P"))
    ),
    # bandwidths in powers of ten, as the makers of memory state them
    "bytes_per_second": tuple(Unit(f"{prefix}B/s", 1e3**i) for i, prefix in enumerate(("", "k", "M", "G", "T"))),
    "count": (Unit("", 1.0), Unit("k", 1e3), Unit("M", 1e6), Unit("G", 1e9)),
}

#: How samplers and metrics may spell a quantity.
_SPELLINGS = {
    "s": "seconds",
    "B": "bytes",
    "byte": "bytes",
    "J": "joules",
    "W": "watts",
    "watt": "watts",
    "Hz": "hertz",
}


def digits(value: float) -> str:
    """Three significant digits; a whole part is never cut, and zero has no sign.

    >>> [digits(x) for x in (331.4, 4.2, 0.3124, 1234.5, -0.0)]
    ['331', '4.20', '0.312', '1,234', '0']
    """
    if not math.isfinite(value):
        return ABSENT
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if round(abs(value) / 10**exponent, 2) >= 10:  # 9.996 becomes 10.0, not 10.00
        exponent += 1
    if exponent < -6:
        return f"{value:.2e}"
    return f"{value:,.{max(0, 2 - exponent)}f}"


def unit_for(quantity: str, values: Iterable[float | None]) -> Unit:
    """The one unit in which a group of values is written: the largest value reads as 1 to 999 of it.

    A quantity that is not in UNITS is its own unit.

    >>> unit_for("seconds", [0.000312, 0.00265]).name
    'ms'
    """
    units = UNITS.get(_SPELLINGS.get(quantity, quantity))
    if units is None:
        return Unit(quantity, 1.0)
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    if not largest:
        return next((unit for unit in units if unit.scale == 1.0), units[0])
    # 999.6 ms would read as 1,000 ms: it is 1.00 s
    return [units[0], *(unit for unit in units if largest >= 0.9995 * unit.scale)][-1]


def text(value: float | None, unit: Unit) -> str:
    """A value in SI units as people read it: `331 ms`; absent is a dash.

    >>> text(0.331, unit_for("seconds", [0.331]))
    '331 ms'
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{digits(value / unit.scale)} {unit.name}".rstrip()


def quantity_text(quantity: str, value: float | None) -> str:
    """A value that stands alone, in the unit that suits it.

    >>> quantity_text("bytes", 0.78 * 2**30), quantity_text("seconds", 4.2e-6)
    ('799 MiB', '4.20 µs')
    """
    return text(value, unit_for(quantity, [value]))


def percent(ratio: float | None) -> str:
    """A ratio as percent, with one decimal under 100 %; `0.0 %`, never `-0.0 %`.

    >>> percent(0.0204), percent(-0.0001), percent(1.5)
    ('2.0 %', '0.0 %', '150 %')
    """
    if ratio is None or not math.isfinite(ratio):
        return ABSENT
    shown = f"{ratio * 100:.0f}" if abs(ratio) >= 0.9995 else f"{ratio * 100:.1f}"
    return f"{shown.removeprefix('-') if not float(shown) else shown} %"


def column_text(name: str, value: str | float | bool | None) -> str:
    """The value of a column, in the unit that its name ends in; nothing where there is none.

    >>> column_text("p95_seconds", 0.367), column_text("mfu", 0.31), column_text("tokens_per_second", 193.0)
    ('367 ms', '31.0 %', '193')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if name.endswith("_ratio") or name in ("mfu", "mbu"):
        return percent(value)
    if name.endswith(("flops_per_second", "bytes_per_second")):
        return quantity_text(name[-len("flops_per_second") :], value)
    ends = {"flops": "flops", "moved": "bytes", "token": "joules"}
    quantity = ends.get(end := name.rpartition("_")[2], end)
    if quantity in UNITS and not name.endswith("_per_second"):
        return quantity_text(quantity, value)
    return f"{value:,}" if isinstance(value, int) else digits(value)


def duration(seconds: float) -> str:
    """A wall time: `48.2 s`, `1 min 48 s`, `1 h 52 min`."""
    if seconds < 59.95:
        return quantity_text("seconds", seconds) if seconds > 0 else "0 s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def speed(reference: float, value: float) -> str:
    """Time against a reference's time, never below 1 and never without its word.

    >>> speed(616, 331), speed(8, 10), speed(1, 1.0004)
    ('1.86x faster', '1.25x slower', '1.00x as fast')
    """
    return _factor(reference, value, "faster", "slower", "as fast")


def amount(reference: float, value: float) -> str:
    """Anything but time against a reference's: `1.21x more`, `1.40x less`."""
    return _factor(value, reference, "more", "less", "as much")


def _factor(above: float, below: float, over: str, under: str, even: str) -> str:
    if not (above > 0 and below > 0 and math.isfinite(above) and math.isfinite(below)):
        return ABSENT
    factor = above / below
    shown = digits(max(factor, 1 / factor))
    return f"{shown}x {even if shown == '1.00' else over if factor > 1 else under}"


def plain(line: str, utf8: bool) -> str:
    """`line` for a stream: as it is where UTF-8 is spoken, else ASCII, with `us` for microseconds.

    >>> plain("4.20 µs naïve", utf8=False)
    '4.20 us na\\\\xefve'
    """
    if utf8:
        return line
    return line.replace("µ", "u").replace(ABSENT, "-").encode("ascii", "backslashreplace").decode("ascii")


def visible(name: str) -> str:
    """A name with what the eye cannot see, or what turns text around, as escapes.

    Control and format characters (bidi overrides among them), line separators and lone surrogates could make one
    name look like another, or move a terminal's cursor.

    >>> visible("a\\u202eb\\n")
    'a\\\\u202eb\\\\n'
    """
    if name.isascii() and name.isprintable():
        return name
    return "".join(
        ascii(character)[1:-1] if unicodedata.category(character) in _HIDDEN else character for character in name
    )


_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def cells(line: str) -> int:
    """How many columns of a terminal a line takes: wide East Asian characters two, combining marks none."""
    if line.isascii():
        return len(line)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in line
    )


def shortened(name: str, width: int) -> str:
    """A name that takes at most `width` columns, cut in its middle: both its ends tell benches apart.

    >>> shortened("generate[b8-l512-compiled]", 16)
    'generat..mpiled]'
    """
    if cells(name) <= width:
        return name
    if width <= 4:
        return _taken(name, width)
    tail = _taken(name[::-1], (width - 2) // 2)[::-1]
    return _taken(name, width - 2 - cells(tail)) + ".." + tail


def _taken(name: str, width: int) -> str:
    """The longest beginning of `name` that takes at most `width` columns."""
    end = 0
    while end < len(name) and cells(name[: end + 1]) <= width:
        end += 1
    return name[:end]
