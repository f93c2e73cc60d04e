"""Names in Markdown: what GitHub would make a link of."""

import re

import pytest

from pytest_modelbench.markup import markdown

#: Where the extended autolinks of GFM 0.29 (section 6.9) and GitHub's mentions and references begin.
LINKS = re.compile(r"(^|[\s*_~(])www\.|https?://|ftp://|\w@\w|(^|\s)@\w|#\d", re.IGNORECASE)


@pytest.mark.parametrize(
    "name", ["http://e.org", "ftp://e.org", "www.e.org", "of (www.e.org)", "WWW.e.org", "a@e.org", "@all", "fixes #1"]
)
def test_what_github_would_link_is_no_link(name):
    assert LINKS.search(name)
    escaped = markdown(name)
    assert not LINKS.search(escaped)
    assert re.sub(r"<!-- -->|\\", "", escaped) == name
