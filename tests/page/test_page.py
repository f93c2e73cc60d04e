"""The page in a real Chromium: what a reader does, and what a hostile name does not."""

import csv
import json
import re
from dataclasses import replace

import pytest
from suites import costed, grid, judged, past, suite

from pytest_modelbench.groups import side_by_side
from pytest_modelbench.record import Caveat
from pytest_modelbench.reports.html import MOST_ROWS
from pytest_modelbench.reports.html.compare import row_id
from pytest_modelbench.results import Results

TIMES = "\N{MULTIPLICATION SIGN}"
EVIL = "<img src=x onerror=alert(1)>"


def cells(tab, column):
    """The texts of a column, from top to bottom."""
    return tab.locator(f"#results tbody tr:not(.g,.panel) td.{column}").all_inner_texts()


def labels(tab):
    return [text.strip() for text in tab.locator("#results tbody tr:not(.g,.panel) th").all_inner_texts()]


def shown(tab):
    return tab.locator("#count").inner_text()


def address(tab):
    return tab.evaluate("location.hash")


def seconds(text):
    number, unit = text.replace(",", "").split()
    return float(number) * {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1}[unit]


# -- without and with the script


def test_without_script_everything_that_matters_is_there(opened):
    records = suite(300)
    tab = opened(records, script=False)
    assert tab.locator("h1").inner_text() == "3 of 300 benches did not pass"
    assert tab.locator("#results tbody tr:not(.g)").count() == MOST_ROWS
    assert "100 more rows" in tab.locator("#results").inner_text()
    assert tab.locator("details", has_text="bench_op_").count() > 5
    assert not tab.locator("#find").is_visible()


def test_the_script_writes_each_number_as_the_page_without_it(opened):
    records = suite(190)
    plain, live = opened(records, script=False), opened(records)
    assert labels(live) == labels(plain)
    for column in ("median_seconds", "spread_ratio", "against", "rate"):
        assert [text for text in cells(live, column) if text] == [
            text.removesuffix(" tokens/s") for text in cells(plain, column)
        ]
    keyed = "#results td[data-k^={}]"
    for there, here in (("peak", "Peak"), ("score", "Score")):
        told = plain.locator(keyed.format(there)).all_inner_texts()
        assert live.locator(keyed.format(here)).all_inner_texts() == [text for text in told if text]


def test_quantities_of_any_size_read_the_same(opened):
    every = [
        replace(
            record,
            axes={"n": str(n)},
            timing=replace(record.timing, rounds_seconds=(0.9995 * 10.0**-n, 1.0001 * 10.0**-n)),
        )
        for n, record in enumerate(suite(10) + suite(2))
    ]
    assert cells(opened(every), "median_seconds") == cells(opened(every, script=False), "median_seconds")


# -- sort, filter, columns, reference, address


def test_a_click_on_a_head_sorts_and_what_is_missing_comes_last(opened):
    tab = opened(suite(40))
    tab.click("[data-sort=median_seconds]")
    assert tab.locator("th.median_seconds").get_attribute("aria-sort") == "ascending"
    up = cells(tab, "median_seconds")
    assert up[-1] == "oom"
    times = [seconds(text) for text in up[:-1]]
    assert times == sorted(times)
    tab.click("[data-sort=median_seconds]")
    down = cells(tab, "median_seconds")
    assert down[-1] == "oom"
    assert [seconds(text) for text in down[:-1]] == times[::-1]
    assert address(tab) == "#sort=-median_seconds"
    tab.click("[data-sort=median_seconds]")
    assert address(tab) == ""


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("int8", 10), ("-int8", 30), ("s:oom", 1), ("s:passed bench:op_1", 7), ("variant:onnx batch_size:8", 5),
        ("caveat:recompiled", 1), ('"bench_op_4[eager"', 2), ("nothing like it", 0),
    ],
)  # fmt: skip
def test_words_filter(opened, query, rows):
    tab = opened(suite(40))
    tab.fill("#find", query)
    tab.wait_for_selector(f"#count:text-is('{rows} of 40 rows')")
    assert len(labels(tab)) == rows


def test_a_chip_filters_by_outcome(opened):
    tab = opened(suite(40))
    tab.click("[data-s=oom]")
    assert shown(tab) == "1 of 40 rows"
    assert address(tab) == "#s=oom"
    tab.click("[data-s=oom]")
    assert shown(tab) == "40 of 40 rows"


def test_another_reference(opened):
    tab = opened(suite(8))
    tab.select_option("#reference", "onnx")
    assert cells(tab, "against")[:2] != ["", ""]
    assert [text for text in cells(tab, "against") if text == "reference"] == ["reference"] * 2
    assert re.fullmatch(rf"1\.\d\d{TIMES} faster", cells(tab, "against")[0])
    tab.select_option("#reference", "batch_size:1")
    assert address(tab) == "#ref=batch_size%3A1"
    assert cells(tab, "against").count("reference") == 4
    assert all(re.fullmatch(rf"reference|[78]\.\d\d{TIMES} slower", text) for text in cells(tab, "against"))


def test_columns_are_chosen(opened):
    tab = opened(suite(8))
    assert not tab.locator("th.first_call_seconds").count()
    tab.click(".menu summary")
    tab.check("input[value=first_call_seconds]")
    assert tab.locator("th.first_call_seconds").count() == 1
    assert "first_call_seconds" in address(tab)
    tab.uncheck("input[value=first_call_seconds]")
    assert address(tab) == ""


def test_an_address_brings_everything_back_and_what_it_does_not_know_is_ignored(opened):
    records = suite(1000)
    tab = opened(records, "#q=int8&sort=-median_seconds&ref=onnx&nonsense=1")
    assert shown(tab) == "250 of 1,000 rows"
    assert tab.locator("th.median_seconds").get_attribute("aria-sort") == "descending"
    assert tab.input_value("#find") == "int8"
    assert tab.locator("th.against").inner_text() == "Against onnx"
    last = next(row for group in side_by_side(records) for row in group.rows if row.record is records[900])
    tab = opened(records, f"#row={row_id(last)}")
    tab.wait_for_selector("#live tr.panel")
    assert tab.locator("tr.open").is_visible()
    assert tab.evaluate("document.querySelector('tr.open').getBoundingClientRect().top < innerHeight")


# -- rows, keys, charts


def test_a_row_opens_to_its_command_and_charts(opened):
    tab = opened(suite(40))
    tab.locator("button.opens").first.click()
    panel = tab.locator("tr.panel")
    assert "pytest 'benches/bench_0.py::bench_op_0[int8-8]'" in panel.inner_text()
    assert panel.locator("svg.chart").count() >= 2
    assert tab.locator("button.opens[aria-expanded=true]").count() == 1
    tab.keyboard.press("Escape")
    assert not tab.locator("tr.panel").count()


def test_keys(opened):
    tab = opened(suite(40))
    tab.keyboard.press("/")
    tab.keyboard.type("int8 j")  # letters are text there
    assert tab.input_value("#find") == "int8 j"
    tab.keyboard.press("Escape")
    tab.keyboard.press("j")
    tab.keyboard.press("j")
    tab.keyboard.press("k")
    assert tab.evaluate("document.activeElement.closest('tr').dataset.row") == "0"
    tab.keyboard.press("r")
    assert address(tab) == "#ref=int8"
    tab.keyboard.press("Enter")
    assert tab.locator("tr.panel").count() == 1
    tab.keyboard.press("?")
    assert tab.locator("#help").is_visible()
    tab.keyboard.press("Escape")
    assert not tab.locator("#help").is_visible()
    tab.keyboard.press("3")
    tab.wait_for_timeout(1000)  # it may scroll smoothly
    assert tab.evaluate("document.querySelector('#details').getBoundingClientRect().top < innerHeight")


def test_a_chart_is_read_under_the_pointer_and_by_keys(opened):
    tab = opened(suite(8))
    tab.locator("details summary", has_text="eager, cpu, 8").click()
    holder = tab.locator("details[open] .drawing", has_text="in the order they ran").first
    holder.locator("svg").hover()
    told = holder.locator(".reading").inner_text()
    assert re.fullmatch(r"round \d+: \d\.\d+ ms", told)
    holder.locator("svg").focus()
    tab.keyboard.press("ArrowRight")
    assert holder.locator(".reading").inner_text() != told
    device = tab.locator("details[open] .drawing", has_text="The device meanwhile").first
    device.locator("svg[data-x]").first.hover()
    assert "cpu_busy_ratio" in device.locator(".reading").inner_text()


def test_rows_are_taken_away_as_csv(opened, tmp_path):
    tab = opened(suite(40), "#q=int8")
    with tab.expect_download() as caught:
        tab.click("text=CSV of these rows")
    caught.value.save_as(tmp_path / "rows.csv")
    rows = list(csv.DictReader((tmp_path / "rows.csv").read_text().splitlines()))
    assert len(rows) == 10
    assert {row["axis_variant"] for row in rows} == {"int8"}
    assert float(rows[0]["median_seconds"]) == pytest.approx(0.0032, rel=0.1)


# -- size and speed


def test_ten_thousand_rows_are_few_in_the_page_and_quick(opened):
    tab = opened(suite(10_000))
    assert tab.locator("#live tbody tr").count() < 120
    assert tab.locator("#live").get_attribute("aria-rowcount") == "12501"
    for act in (
        "document.querySelector('[data-sort=median_seconds]').click()",
        "document.querySelector('[data-s=oom]').click()",
    ):
        # the budget is 50 ms on a quiet machine (benchmarks/page.py); a busy one gets ten times that
        assert (
            tab.evaluate(f"(() => {{ const then = performance.now(); {act}; return performance.now() - then; }})()")
            < 500
        )
    tab.click("[data-s=oom]")
    tab.evaluate("scrollTo(0, document.querySelector('#live tbody').getBoundingClientRect().top + 27 * 9000)")
    tab.wait_for_selector("#live tr[aria-rowindex='9001']")


@pytest.mark.parametrize(("size", "most"), [(1000, 500_000), (10_000, 3_000_000)])
def test_pages_stay_small(size, most, tmp_path):
    from pytest_modelbench.reports.html import html

    assert html(Results(suite(size)), tmp_path / "r.html").stat().st_size <= most


def test_script_and_style_stay_small(tmp_path):
    from pytest_modelbench.reports.html import page

    text = page(Results(suite(8)))
    script, style = re.findall(r"<script>(.*?)</script>|<style>(.*?)</style>", text, re.DOTALL)[::-1]
    assert len(script[0].encode()) <= 30_000
    assert len(style[1].encode()) <= 12_000


# -- readers of every kind


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_axe_finds_nothing(opened, scheme, width):
    from axe_playwright_python.sync_playwright import Axe  # of the dev extra, as playwright is

    records = [*suite(40), *grid(), *costed()]
    tab = opened(
        Results(records, judged(suite(40)), past(suite(8), 8)), color_scheme=scheme, width=width, bypass_csp=True
    )
    tab.locator("button.opens").first.click()
    found = Axe().run(tab).response["violations"]
    assert not [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]


def test_colours_follow_the_reader_and_the_button(opened):
    tab = opened(suite(8), color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert tab.evaluate(background) == "rgb(15, 20, 25)"
    tab.click("#theme")
    assert tab.evaluate(background) == "rgb(255, 255, 255)"


def test_a_telephone_scrolls_one_way_only(opened):
    records = [*suite(40), *grid(), *costed()]
    results = Results(records, judged(suite(40)), past(suite(8), 8))
    for width in (390, 320):  # 320 is a desk of 1,280 at 400 %
        for script in (True, False):
            tab = opened(results, width=width, height=800, script=script)
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert not tab.locator("#static thead").is_visible()


def test_print_shows_more_rows_and_no_controls(opened):
    tab = opened(suite(700))
    tab.emulate_media(media="print", color_scheme="dark")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("#live tbody tr").count() == 500
    assert not tab.locator(".tools").is_visible()
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.locator("#live tbody tr").count() < 120


def test_names_are_text(opened):
    evil = [
        replace(
            record, bench=f"b.py::bench_{EVIL}", nodeid=f"{'../' * 40}{EVIL}[{place}]", reason=EVIL,
            axes={"model": "../" * 40 + EVIL, "variant": f"{EVIL}{place}", "</script><script>alert(2)</script>": EVIL},
            caveats=(Caveat("unstable", EVIL),), environment={"git": {"commit": EVIL, "branch": EVIL}}, session=EVIL,
        )
        for place, record in enumerate(suite(8))
    ]  # fmt: skip
    tab = opened(evil)  # a dialog or a request would fail it
    tab.locator("button.opens").first.click()
    assert not tab.locator("img").count()
    assert EVIL in tab.locator("tr.panel").inner_text()
    assert "../" * 40 in tab.locator("tr.panel").inner_text()
    assert tab.locator("script").count() == 2
    assert json.loads(tab.locator("#data").text_content())["n"] == 8
