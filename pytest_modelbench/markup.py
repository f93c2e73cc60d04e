"""Names in Markdown: whatever somebody called a model or a bench is shown, and does nothing."""

from __future__ import annotations

import re

from .quantity import visible

#: What Markdown takes for tables, emphasis, code, links, mathematics; HTML; and what GitHub would link.
_SPECIAL = re.compile(r"[\\`*_{}\[\]()|~!$]|[&<>]|[@#]|://|www(?=\.)", re.IGNORECASE)
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
#: Between two letters that are a link together; it is not seen.
_APART = "<!-- -->"


def markdown(text: str) -> str:
    r"""A name as one line of Markdown text, its markup escaped.

    >>> print(markdown("a|b `c` <img> @all #1"))
    a\|b \`c\` &lt;img&gt; @<!-- -->all #<!-- -->1
    """
    return _SPECIAL.sub(_harmless, " ".join(visible(text).split()))


def _harmless(found: re.Match[str]) -> str:
    special = found[0]
    if special in ("@", "#") or special.lower() == "www":
        return special + _APART
    if special == "://":
        return f":{_APART}//"
    return _HTML.get(special, "\\" + special)
