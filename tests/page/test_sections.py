"""The sections of the page: what each shows, and what it says when it has nothing to show."""

import re
from dataclasses import replace

from suites import costed, grid, judged, past, suite

from pytest_modelbench.reports.html import page
from pytest_modelbench.results import Results
from pytest_modelbench.verdict import Verdict, Verdicts


def text(tab, section):
    return tab.locator(f"#{section}").inner_text()


# -- the first screen and the gate


def test_the_headline_is_the_gates_and_what_to_look_at_is_what_fails(opened):
    records = suite(40)
    tab = opened(Results(records, judged(records)))
    assert (
        tab.locator("h1")
        .inner_text()
        .startswith("13 of 40 benches are slower than main (a1b2c3d), beyond their limits")
    )
    assert tab.title().startswith("13 of 40 benches")
    looks = tab.locator(".look li").all_inner_texts()
    assert len(looks) == 3
    assert "is slower" in looks[0]
    session = tab.locator(".card", has_text="This session").inner_text()
    assert "main (a1b2c3d), in the same session" in session
    assert "2.12.1 2.13.0" in session
    assert "0.01 alarms" in session


def test_what_else_changed_is_under_environment(opened):
    records = suite(8)
    verdicts = judged(records)
    many = {f"package {n}": (str(n), str(n + 1)) for n in range(6)}
    tab = opened(Results(records, replace(verdicts, changed=many)))
    assert "and 2 more" in tab.locator(".card", has_text="This session").inner_text()
    assert tab.locator("#environment tbody tr").count() == 6
    same = opened(Results(records, replace(verdicts, changed={})))
    assert "The same as that of main (a1b2c3d)." in text(same, "environment")


def test_nothing_failing_needs_no_action(opened):
    records = suite(8)
    same = tuple(
        Verdict(r.key, r.nodeid, "seconds", "same", change=0.0, low=-0.01, high=0.02, limit=0.05) for r in records
    )
    tab = opened(Results(records, Verdicts(same, "main", "3f9c1de", "stored")))
    assert tab.locator("h1").inner_text() == "None of 8 benches fails against main: 8 same"
    assert not tab.locator("h1 em").count()
    assert tab.locator(".next").inner_text() == "No action needed."


def test_the_gate_draws_each_verdict_with_its_limit(opened):
    records = suite(100)
    tab = opened(Results(records, judged(records)))
    rows = tab.locator("#gate table").first.locator("tbody tr")
    assert rows.count() == 40
    first = rows.first.inner_text()
    assert "slower" in first
    assert "limit +5 %: fails" in first
    assert tab.locator("#gate .v-slower line.limit").count() > 10
    assert "more: " in text(tab, "gate")
    assert "none slower by more than 2.1 %" in text(tab, "gate")
    assert "1 new" in text(tab, "gate")
    assert "−2.5 pt" in text(tab, "gate")  # noqa: RUF001  a minus is a minus on the page


def test_a_chip_of_a_verdict_filters_and_a_row_of_the_gate_opens_its_bench(opened):
    records = suite(40)
    tab = opened(Results(records, judged(records)))
    tab.click("[data-v=unclear]")
    assert tab.locator("#count").inner_text() == "7 of 40 rows"
    assert set(tab.locator("td.verdict").all_inner_texts()) == {"unclear"}
    tab.locator("#gate tbody a").first.click()
    tab.wait_for_selector("tr.panel")
    assert tab.locator("#count").inner_text() == "40 of 40 rows"


def test_without_a_baseline_the_gate_says_how_to_have_one(opened):
    assert "--bench-baseline PLACE" in text(opened(suite(8)), "gate")


# -- trend


def test_a_trend_tells_when_it_changed(opened):
    records = suite(8)
    tab = opened(Results(records, history=past(records, 30)))
    first = tab.locator("#trend .drawing").first
    assert re.search(r"31 sessions\. \+2\d\.\d % slower from session 1[4-7] on", first.inner_text())
    assert first.locator(".change.v-slower").count() == 1
    assert "No change." in tab.locator("#trend .drawing").nth(1).inner_text()
    assert "The newest lies within what the 10 before it predict." in first.inner_text()
    size = "path => [path.getBBox().width, path.getBBox().height]"
    band, dots = (first.locator(f"svg .{what}").evaluate(size) for what in ("band", "dots"))
    assert 0.3 < band[0] / dots[0] < 0.4, "the last 11 of 31 sessions"
    assert 0 < band[1] < dots[1] / 2, "the step down in the middle is no part of it"
    first.locator("svg").hover()
    assert re.match(r"[0-9a-f]{7} 2026-01-31: \d\.\d+ ms", first.locator(".reading").inner_text())
    assert tab.locator("#live svg.trend").count() == 8


def test_a_newest_session_outside_the_prediction_is_said(opened):
    records = suite(8)
    faster = [row | {"median_seconds": row["median_seconds"] / 2} for row in past(records, 6)]
    said = opened(Results(records, history=faster)).locator("#trend .drawing").nth(1).inner_text()
    assert "The newest lies outside what the 6 before it predict." in said


def test_other_machines_are_not_joined_and_few_sessions_are_points(opened):
    records = suite(8)
    elsewhere = [row | {"fingerprint": "another"} for row in past(records, 10)]
    tab = opened(Results(records, history=[*elsewhere, *past(records, 3)]))
    assert "80 results of other machines are left out" in text(tab, "trend")
    assert "4 sessions: points only." in text(tab, "trend")
    assert not tab.locator("#trend .mid").count()
    assert "No earlier session" in text(opened(records), "trend")


# -- speed and quality, roofline, heatmap, quantization


def test_pareto_fronts_name_what_is_beaten_and_lead_to_rows(opened):
    tab = opened(suite(8))
    assert tab.locator("#pareto svg.chart").count() == 4
    assert "is beaten by" in text(tab, "pareto")
    tab.locator("#pareto a circle").first.click()
    tab.wait_for_selector("tr.panel")
    bare = [replace(record, scores={}) for record in suite(8)]
    assert "Needs a score" in text(opened(bare), "pareto")


def test_fewer_bits_say_what_they_saved_and_what_they_cost(opened):
    tab = opened(costed())
    assert "bits/weight" in tab.locator("#pareto table thead").inner_text()
    row = tab.locator("#pareto table tbody tr").nth(1).inner_text()
    assert "int8" in row
    assert "8.0" in row
    assert "4.00× less" in row  # noqa: RUF001
    assert re.search(r"2\.\d\d× faster", row)  # noqa: RUF001
    assert re.search(r"[+−]\d+\.\d+ pt", row)  # noqa: RUF001


def test_roofs_stand_over_what_was_reached(opened):
    tab = opened(costed())
    assert tab.locator("#roofline circle").count() == 4
    assert "Measured here: 100 GFLOP/s, 20.0 GB/s." in text(tab, "roofline")
    assert tab.locator("#roofline tbody tr").count() == 4
    assert "No peaks measured" in text(opened(suite(4)), "roofline")


def test_a_heatmap_has_numbers_in_the_order_of_numbers_and_says_oom(opened):
    tab = opened(grid())
    times, ratios = tab.locator("#heatmap table").all()
    assert times.locator("tbody th").all_inner_texts() == ["1", "2", "8"]
    assert times.locator("tbody td").all_inner_texts()[0] == "0.133 ms"
    assert times.locator("td.hatched").inner_text() == "oom"
    assert set(ratios.locator("td[class^=f]").all_inner_texts()) == {"2.00× faster"}  # noqa: RUF001
    assert "No bench is parametrized over two axes" in text(opened(suite(4)), "heatmap")


# -- any data


def test_pages_of_any_results_are_made():
    records = [*grid(), *costed(), *suite(30)]
    wild = [
        Verdict("k", "n", "seconds", "slower", before=0.0, after=1.0, change=float("inf"), failing=True),
        Verdict("k", "n", "energy", "faster", unit="joules", change=-1.0, low=-1.0, high=-0.9, limit=0.0),
        Verdict(
            "k2", "n2", "tokens_per_second", "slower", unit="1/s", direction="higher", change=-0.5, low=-0.6, high=0.1
        ),
        Verdict("k3", "n3", "score_x", "same", unit="ratio", direction="higher", change=0.0),
    ]
    for verdicts in (None, Verdicts((), "main", "x", "stored"), Verdicts(tuple(wild), "main", "x", "paired")):
        for some in ([], records[:1], records):
            made = page(Results(some, verdicts, past(some, 2)))
            assert ">nan" not in made.lower()
            assert '"nan' not in made.lower()
            assert "Infinity" not in made
