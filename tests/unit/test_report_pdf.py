"""The PDF, printed by a real Chromium."""

import shutil
import stat

import pytest
from pypdf import PdfReader
from records import FULL, ended, timed

from pytest_modelbench.errors import StoreError, Unavailable
from pytest_modelbench.reports.pdf import VARIABLE, pdf
from pytest_modelbench.results import Results

needs_chromium = pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here")


@needs_chromium
def test_the_page_is_printed(tmp_path):
    file = pdf(
        Results([FULL, timed("b.py::bench_<img src=x onerror=alert(1)>"), ended("failed", "boom")]), tmp_path / "a.pdf"
    )
    text = "\n".join(page.extract_text() for page in PdfReader(file).pages)
    assert "1 of 3 benches did not pass" in " ".join(text.split())
    assert "onerror" in text
    assert [path.name for path in tmp_path.iterdir()] == ["a.pdf"]


def test_no_browser_is_said_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("pytest_modelbench.reports.pdf._BROWSERS", ("chromium",))
    with pytest.raises(Unavailable, match=r"needs Chromium or Chrome, and none is on the path: .* set CHROME_PATH"):
        pdf(Results([FULL]), tmp_path / "a.pdf")
    monkeypatch.setenv(VARIABLE, "/no/such/browser")
    with pytest.raises(Unavailable, match="CHROME_PATH=/no/such/browser is no program"):
        pdf(Results([FULL]), tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())


def test_a_browser_that_prints_nothing_is_quoted(tmp_path, monkeypatch):
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\necho 'no display' >&2\n")
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv(VARIABLE, str(browser))
    with pytest.raises(StoreError, match=r"a\.pdf: .*browser printed nothing: no display"):
        pdf(Results([FULL]), tmp_path / "a.pdf")
    assert not (tmp_path / "a.pdf").exists()
