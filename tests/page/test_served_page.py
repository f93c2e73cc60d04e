"""`modelbench serve` in a real Chromium: the report comes, keeps its place, and comes again when there is news."""

import threading
from dataclasses import replace

import pytest
from suites import suite

from pytest_modelbench.commands.serve import server
from pytest_modelbench.stores.parquet import Parquet


@pytest.fixture
def served(tmp_path):
    """A store of one session, and the address that serves it."""
    store = Parquet(tmp_path / "data")
    store.append([replace(record, session="s1", started_utc="2026-01-31T10:00:00Z") for record in suite(10)])
    with server(str(tmp_path / "data"), 0) as answering:
        thread = threading.Thread(target=answering.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield store, f"http://127.0.0.1:{answering.server_address[1]}/"
        answering.shutdown()
        thread.join()


def test_new_results_come_by_themselves_and_the_place_is_kept(chromium, served):
    store, address = served
    context = chromium.new_context()
    tab = context.new_page()
    wrong, asked = [], set()
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda request: asked.add(request.url.partition("#")[0]))
    tab.goto(f"{address}#q=newer")
    report = tab.frame_locator("#report")
    report.locator("html[data-ready]").wait_for(timeout=10_000)
    assert report.locator("h1").inner_text()
    assert tab.title() != "modelbench"
    before = report.locator("body").inner_text()
    newer = [
        replace(record, bench="b.py::bench_newer", session="s2", started_utc="2026-02-01T10:00:00Z")
        for record in suite(10)
    ]
    store.append(newer)
    tab.wait_for_function(
        "before => document.getElementById('report').contentDocument?.body?.innerText.includes('newer')"
        " && document.getElementById('report').contentDocument.body.innerText !== before",
        arg=before, timeout=20_000,
    )  # fmt: skip
    assert tab.evaluate("document.getElementById('report').contentWindow.location.hash") == "#q=newer"
    assert tab.evaluate("location.hash") == "#q=newer"
    assert asked <= {address, f"{address}report", f"{address}version"}
    assert not wrong
    context.close()


def test_what_another_tool_measured_says_so_and_is_not_repeated(opened):
    theirs = replace(suite(1)[0], bench="llama-bench::tg128", nodeid="llama-bench::tg128", imported="llama-bench b1")
    tab = opened([theirs])
    tab.locator("#results tbody th button").first.click()
    panel = tab.locator("tr.panel")
    panel.wait_for()
    assert "imported from llama-bench b1" in tab.locator("#results").inner_text()
    assert "pytest" not in panel.inner_text()
    tab.keyboard.press("c")
