"""Packages: data that an installed package ships; a function a part, named in PARTS."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..declare import check_requirements
from .table import Table

if TYPE_CHECKING:
    from ..source import Source


def _capitals(source: Source) -> Table:
    """Questions for the capitals of countries, the most populous country first.

    Of two entries with one ISO code (Myanmar and Burma) the first is kept; a country without a code or a capital is
    not asked for. Population is the package's figure; the order of equal or missing ones is that of their names.
    """
    check_requirements(f"dataset {source.text!r}", ("countryinfo",))
    from importlib.metadata import version

    import countryinfo

    countries: dict[str, dict[str, Any]] = {}
    for country in countryinfo.all_countries():
        facts = country.info()
        code = (facts.get("ISO") or {}).get("alpha2")
        if code and facts.get("capital"):
            countries.setdefault(code, facts)
    rows = sorted(countries.values(), key=lambda facts: (-(facts.get("population") or 0), facts["name"]))
    return Table(
        {
            "prompt": [
                f"What is the capital of {facts['name']}? Answer with the name of the city alone." for facts in rows
            ],
            "capital": [facts["capital"] for facts in rows],
            "country": [facts["name"] for facts in rows],
        },
        revision=version("countryinfo"),
        inputs="prompt",
        references="capital",
    )


#: What can be asked of a package: `package#part` -> its reader.
PARTS: dict[str, Callable[[Source], Table]] = {"countryinfo#capitals": _capitals}
