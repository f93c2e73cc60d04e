"""PDF: the page, printed by Chromium. Why not something lighter: docs/explanation/decisions/0006-pdf-by-chromium.md."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ..catalog import Catalog
from ..declare import report
from ..errors import StoreError, Unavailable
from ..files import written_whole
from ..results import Results

#: Where a browser is named that is not on the path (as Lighthouse and Karma have it).
VARIABLE = "CHROME_PATH"
_BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge", "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)  # fmt: skip
#: Chosen here: a page of 10,000 rows prints its 500 worst in seconds, on a busy machine in a minute.
_SECONDS = 180


@report("pdf")
def pdf(results: Results, place: Path) -> Path:
    """Print the page to `place`. Raises Unavailable where there is no browser, StoreError where it does not print."""
    browser = _browser()
    with tempfile.TemporaryDirectory(prefix="modelbench-pdf-") as folder:
        page, printed = Path(folder, "page.html"), Path(folder, "page.pdf")
        Catalog().find("report", "html")(results, page)
        command = [
            browser, "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            f"--user-data-dir={folder}/profile", "--no-pdf-header-footer", f"--print-to-pdf={printed}", page.as_uri(),
        ]  # fmt: skip
        if getattr(os, "geteuid", lambda: 1)() == 0:
            command.insert(1, "--no-sandbox")  # as root it has none; what it opens is a page of ours, without a network
        try:
            ran = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
            )
        except (subprocess.TimeoutExpired, OSError) as error:
            raise StoreError(f"cannot write the PDF to {place}: {browser}: {error}; see that it starts") from error
        if ran.returncode or not printed.exists():
            said = (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]
            raise StoreError(f"cannot write the PDF to {place}: {browser} printed nothing: {said}; see that it starts")
        return written_whole(place, printed.read_bytes(), "the PDF report")


def _browser() -> str:
    """The browser that is named, else the first that is here."""
    named = os.environ.get(VARIABLE)
    found = next(filter(None, map(shutil.which, [named] if named else _BROWSERS)), None)
    if found is None:
        said = f"{VARIABLE}={named} is no program" if named else "none is on the path"
        raise Unavailable(f"report 'pdf' needs Chromium or Chrome, and {said}: install one, or set {VARIABLE} to it")
    return found
