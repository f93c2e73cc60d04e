"""A real Chromium for the tests of the page: the one on the PATH, or the one that CHROME_PATH names."""

import os
import shutil

import pytest

from pytest_modelbench.reports.html import html
from pytest_modelbench.results import Results


# Not a session's: until it ends, this thread has a running event loop, in which asyncio.run of another test fails.
@pytest.fixture(scope="module")
def chromium():
    """The running browser. Without one the tests skip, or fail where MODELBENCH_NEEDS_CHROMIUM is set, as in CI."""
    names = (os.environ.get("CHROME_PATH", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        found = None
    if found is None:
        why = "no Chromium with playwright: apt-get install chromium; pip install 'pytest-modelbench[dev]'"
        (pytest.fail if os.environ.get("MODELBENCH_NEEDS_CHROMIUM") else pytest.skip)(why)
    with sync_playwright() as playwright:
        # a container's user may have no sandbox, and no shared memory to speak of
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, tmp_path):
    """opened(results, hash="", **context): a report in a tab; nothing may be asked of the network or be refused."""
    contexts, wrong = [], []

    def open_(results, hash="", width=1400, height=1000, script=True, **more):
        place = tmp_path / f"report{len(contexts)}.html"
        html(results if isinstance(results, Results) else Results(results), place)
        context = chromium.new_context(viewport={"width": width, "height": height}, java_script_enabled=script, **more)
        contexts.append(context)
        context.set_default_timeout(10_000)
        tab = context.new_page()
        tab.on("request", lambda request: request.url.partition("#")[0] == place.as_uri() or wrong.append(request.url))
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("dialog", lambda dialog: wrong.append(dialog.message) or dialog.dismiss())
        tab.goto(place.as_uri() + hash)
        if script:
            tab.wait_for_selector("html[data-ready]")
        return tab

    yield open_
    for context in contexts:
        context.close()
    wrong = [said for said in wrong if not said.startswith("blob:")]  # a download of the page's own
    assert not wrong
