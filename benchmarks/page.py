"""The page: how large it is, when it can be used, and how long a sort and a filter take, in a real Chromium from disk.

Usable is when the script has put its table in the place of the plain one, counted from the start of the navigation on
the clock of the page. Sorting and filtering are timed from the click to the rows in the document, layout included.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .figure import Figure, middle

SIZES = (10, 1_000, 10_000)
#: Rows -> the largest file, in MB.
LARGEST = {1_000: 0.5, 10_000: 3.0}
WATCH = """
new MutationObserver(() => { window.usable ??= performance.now(); })
  .observe(document, {subtree: true, attributes: true, attributeFilter: ["data-ready"]})
"""
TIMED = """(selector) => {
  const began = performance.now();
  document.querySelector(selector).click();
  document.body.getBoundingClientRect();
  return performance.now() - began;
}"""


def figures(quick: bool) -> Iterator[Figure]:
    """Megabytes, seconds and milliseconds, for a few, a thousand and ten thousand benches."""
    from pytest_modelbench.reports.html import html
    from pytest_modelbench.results import Results

    chromium, why = _chromium()
    for size in (10, 1_000) if quick else SIZES:
        with tempfile.TemporaryDirectory() as folder:
            page = html(Results(_records(size)), Path(folder, "report.html"))
            yield Figure(f"the page of {size:,} benches", "MB", page.stat().st_size / 1e6, LARGEST.get(size))
            told = _timed(chromium, page, 1 if quick else 7) if chromium else {}
            targets = {"usable": 1.0, "sorted": 50.0, "filtered": 50.0}
            for what, target in targets.items():
                unit = "s" if what == "usable" else "ms"
                name = f"the page of {size:,} benches, {what}"
                if not told:
                    yield Figure(name, unit, None, target, note=f"not measured: {why}")
                    continue
                value, interval = middle(told[what])
                yield Figure(name, unit, value, target, interval)


def _chromium() -> tuple[str, str]:
    """The browser, or why there is none."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "", "no playwright"
    names = (os.environ.get("CHROME_PATH", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), "")
    return found, "" if found else "no Chromium"


def _timed(chromium: str, page: Path, turns: int) -> dict[str, list[float]]:
    from playwright.sync_api import sync_playwright

    found: dict[str, list[float]] = {"usable": [], "sorted": [], "filtered": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"],
            env=os.environ | {"TMPDIR": "/tmp"},  # a socket of the browser lies there, and its path must be short
        )  # fmt: skip
        for turn in range(turns + 1):
            tab = browser.new_page()
            tab.add_init_script(WATCH)
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready]")
            if turn:  # the first page warms the browser
                found["usable"].append(tab.evaluate("usable") / 1e3)
                found["sorted"].append(tab.evaluate(TIMED, "[data-sort=median_seconds]"))
                found["filtered"].append(tab.evaluate(TIMED, "[data-s=passed]"))
            tab.close()
        browser.close()
    return found


def _records(size: int) -> list[Any]:
    """Benches of four variants and two batch sizes, sixty rounds each, with what a text model has besides."""
    from pytest_modelbench.record import Memory, Record, Score, Timing, TokenTimes

    draw = random.Random(0)
    times = {"eager": 1.0, "compiled": 0.6, "onnx": 0.5, "int8": 0.4}
    records = []
    for place in range(size):
        bench, variant, batch = place // 8, list(times)[place % 4], (1, 8)[place // 4 % 2]
        seconds = 10 ** draw.uniform(-5, 0) * times[variant]
        rounds = tuple(seconds * (1 + abs(draw.gauss(0, 0.02))) for _ in range(60))
        name = f"benches/bench_{bench % 40}.py::bench_operation_{bench}"
        axes = {"model": "random:llama-tiny", "variant": variant, "device": "cuda:0", "batch_size": str(batch)}
        records.append(
            Record(
                name, axes, f"{name}[{variant}-{batch}]", "passed" if place % 50 else "oom",
                timing=Timing("repeat", rounds, first_call_seconds=3 * seconds),
                tokens=TokenTimes((seconds / 9,), ((seconds / 70,) * 9,), (seconds,), batch, 20, 10 * batch, "a clock"),
                counts={"tokens": 10.0 * batch},
                scores={"contains": Score(round(draw.uniform(0.8, 1), 3), "ratio", "higher")},
                memory=Memory(process_peak_bytes=round(2**30 * (1 + draw.random()))),
                session="s", started_utc="2026-01-31T10:00:00Z", wall_seconds=1.0,
            )
        )  # fmt: skip
    return records
