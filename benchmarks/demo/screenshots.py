"""Screenshots of each section of a report, in light and dark, on a desk and on a telephone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WIDTHS = (1400, 390)
SCHEMES = ("light", "dark")
#: Chosen here: a section that is longer than this is cut, or no picture of it could be looked at.
MOST_PIXELS = 2600


def screenshots(page: Path, folder: Path) -> Iterator[Path]:
    """Write `SECTION-WIDTH-SCHEME.png` into `folder`, and give the place of each."""
    from playwright.sync_api import sync_playwright

    names = (os.environ.get("CHROME_PATH", ""), "chromium", "chromium-browser", "google-chrome")
    chromium = next((path for name in names if name and (path := shutil.which(name))), None)
    if chromium is None:
        raise SystemExit("screenshots need Chromium: apt-get install chromium, or set CHROME_PATH to one")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        for width in WIDTHS:
            for scheme in SCHEMES:
                tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                tab.goto(page.resolve().as_uri())
                tab.wait_for_selector("html[data-ready]")
                yield from _sections(tab, folder, f"{width}-{scheme}")
                tab.close()
        browser.close()


def _sections(tab: Any, folder: Path, named: str) -> Iterator[Path]:
    first = tab.evaluate("document.querySelector('#results').getBoundingClientRect().top")
    place = folder / f"first-{named}.png"
    tab.screenshot(
        path=place, full_page=True, clip={"x": 0, "y": 0, "width": tab.viewport_size["width"], "height": first}
    )
    yield place
    for section in (
        "results",
        "gate",
        "unmeasured",
        "details",
        "pareto",
        "roofline",
        "heatmap",
        "trend",
        "caveats",
        "environment",
        "rows",
    ):
        found = tab.locator(f"#{section}")
        if not found.count():
            continue
        if section == "details":
            found.locator("summary").first.click()
        box = found.bounding_box()
        place = folder / f"{section}-{named}.png"
        box["height"] = min(box["height"], MOST_PIXELS)
        box["y"] += tab.evaluate("scrollY")
        tab.screenshot(path=place, full_page=True, clip=box)
        yield place
