"""The comment: verdict first, folds that are whole, names that do nothing; GitHub's summary and annotations."""

import re
from dataclasses import replace

import pytest
from records import ended, timed
from test_said import MANY, WORSE, verdict

from pytest_modelbench.catalog import Catalog
from pytest_modelbench.ci import MOST_BYTES, annotated, summarise
from pytest_modelbench.reports.markdown import text
from pytest_modelbench.results import Results
from pytest_modelbench.verdict import Verdicts

SLOW = verdict(failing=True)


def results(*verdicts, how="paired", **rest):
    return Results([timed()], Verdicts(verdicts, "main (a1b2c3d)", "3f9c1de", how, **rest))


def test_what_fails_comes_first_with_the_command_that_repeats_it():
    shown = text(results(SLOW, WORSE, verdict("b", "same"), verdict("c", "unclear", detectable=0.08)))
    lines = shown.splitlines()
    assert lines[0] == "<!-- modelbench:main -->"
    assert lines[1].startswith("### modelbench: 1 of 3 benches is slower than main")
    assert "| **slower** | generate\\[compiled\\] | 341 ms | 367 ms | +7.6 % | +6.1 to +9.2 % | +5 % |" in lines
    assert "pytest 'benches/bench_llama.py::bench_generate[compiled]' --bench-against=main" in lines
    assert "<details><summary>1 unclear, 1 same" in shown
    assert shown.count("<details>") == shown.count("</details>") == 2


@pytest.mark.parametrize(
    ("against", "how", "option"),
    [
        ("my results/baseline", "stored", "--bench-baseline='my results/baseline'"),
        ("the other (copy)", "paired", "--bench-against='the other (copy)'"),
        ("HEAD~1 (a1b2c3d)", "paired", "--bench-against='HEAD~1'"),
    ],
)
def test_the_command_names_what_was_compared_with(against, how, option):
    shown = text(Results([timed()], Verdicts((SLOW,), against, "3f9c1de", how)))
    assert f"pytest 'benches/bench_llama.py::bench_generate[compiled]' {option}" in shown.splitlines()


def test_when_all_is_well_one_line_is_left():
    shown = text(results(verdict("a", "same", low=-0.01, high=0.024), verdict("b", "faster", change=-0.2)))
    assert shown.splitlines()[1:] == [
        "### modelbench: none of 2 benches fails against main (a1b2c3d): 1 faster, 1 same "
        "(none slower by more than 2.4 %)".replace("(a1b2c3d)", "\\(a1b2c3d\\)")
    ]


def test_what_was_not_judged_is_shown():
    shown = text(results(verdict("a", "missing", reason="there are no Records at x"), how="stored"))
    assert "no bench could be judged" in shown
    assert "| missing | a<br>there are no Records at x |" in shown


def test_without_a_baseline_the_medians_are_folded():
    shown = text(Results([timed(), ended("oom", "64 GiB asked", n="2")]))
    assert shown.startswith("<!-- modelbench -->\n### modelbench: 2 benches ran: 1 passed, 1 oom; nothing was compared")
    assert "| 100 ms |" in shown


@pytest.mark.parametrize("limit", [60_000, 20_000, 5_000, 2_000])
def test_what_is_too_long_loses_folds_then_rows_and_says_so(limit):
    shown = text(Results([timed()], MANY), 500, limit)
    assert len(shown) <= limit
    assert shown.count("<details>") == shown.count("</details>")
    assert "More is in the report" in shown or "more in the report" in shown
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1


def test_names_do_nothing():
    hostile = replace(SLOW, nodeid="f.py::bench_x[a|b`c` @all #1 <img src=x>\n]", reason="see https://a.b")
    shown = text(results(hostile))
    assert "<img" not in shown
    assert "@all" not in shown
    assert "```console" not in shown
    row = next(line for line in shown.splitlines() if line.startswith("| **slower**"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 8


def test_the_report_is_built_in(tmp_path):
    place = tmp_path / "deep" / "comment.md"
    assert Catalog().find("report", "markdown")(results(SLOW), place) == place
    assert place.read_text().startswith("<!-- modelbench:main -->")


def test_the_summary_of_a_job_is_appended_to_and_small(tmp_path):
    place = tmp_path / "summary.md"
    place.write_text("what another step said\n")
    summarise(Results([timed()], MANY), {"GITHUB_STEP_SUMMARY": str(place)})
    assert place.read_text().startswith("what another step said\n<!-- modelbench:main -->")
    assert place.stat().st_size <= MOST_BYTES
    summarise(Results([timed()], MANY), {})
    wide = replace(
        MANY, against="\N{BALLOT BOX}" * 100, verdicts=tuple(replace(v, reason="\N{SNOWMAN}" * 2000) for v in MANY)
    )
    place.write_text("")
    summarise(Results([timed()], wide), {"GITHUB_STEP_SUMMARY": str(place)})
    assert 0 < place.stat().st_size <= MOST_BYTES + 1


def test_annotations_are_ten_and_cannot_be_broken_out_of():
    github = {"GITHUB_ACTIONS": "true"}
    assert annotated(results(SLOW), {}) == []
    assert annotated(Results([timed()]), github) == []
    (line,) = annotated(results(SLOW), github)
    assert line.startswith(
        "::error file=benches/bench_llama.py,title=bench_generate[compiled]::Slower: +7.6 %25 against"
    )
    many = [verdict(f"x[{n}]", failing=True) for n in range(14)]
    lines = annotated(results(*many), github)
    assert len(lines) == 10
    assert lines[-1] == "::error title=modelbench::5 more benches fail: see the summary of the job"
    hostile = replace(SLOW, key="a,b:c.py::bench\n::error::x", reason="%\n::warning::y")
    (line,) = annotated(results(hostile), github)
    assert "\n" not in line
    assert line.startswith("::error file=a%2Cb%3Ac.py,title=bench%0A%3A%3Aerror%3A%3Ax::")
