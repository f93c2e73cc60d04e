"""How verdicts are worded."""

import pytest

from pytest_modelbench import said
from pytest_modelbench.reports.verdicts import lines
from pytest_modelbench.verdict import Verdict, Verdicts


def verdict(name="generate[compiled]", word="slower", quantity="seconds", **numbers):
    usual = {"before": 0.341, "after": 0.367, "change": 0.0762, "low": 0.061, "high": 0.092, "pairs": 6, "limit": 0.05}
    if word in said.NOT_JUDGED:
        usual = {}
    nodeid = f"benches/bench_llama.py::bench_{name}"
    return Verdict(nodeid, nodeid, quantity, word, **(usual | numbers))


WORSE = verdict(
    quantity="score_accuracy", unit="ratio", direction="higher", before=0.925, after=0.9, change=-0.025, low=-0.041,
    high=-0.012, pairs=None, items=400, differing=14, limit=0.01, failing=True,
)  # fmt: skip


def test_the_word_and_the_percent_come_first():
    assert said.sentence(WORSE, "main", "paired") == (
        "Worse: score_accuracy -2.5 pt against main, 0.925 -> 0.9 (95 % CI -4.1..-1.2 pt, 400 items; limit -1 pt)"
    )
    stored = verdict("x", "unclear", low=-0.01, detectable=0.08, reason="it rests on few", advisory=True)
    assert said.sentence(stored, "reports/baseline", "stored") == (
        "Unclear: +7.6 % against reports/baseline, median 341 ms -> 367 ms (95 % CI -1.0..+9.2 %, 6 sessions, "
        "advisory; limit +5 %; would have seen 8.0 %); it rests on few"
    )
    assert said.sentence(verdict("x", "missing", reason="no baseline at a/b"), "a/b", "stored") == (
        "Missing: no baseline at a/b"
    )


@pytest.mark.parametrize(
    ("change", "quantity", "direction", "text"),
    [
        (0.0, "seconds", "lower", "0.0 %"),
        (-0.0001, "seconds", "lower", "0.0 %"),
        (0.999, "seconds", "lower", "+99.9 %"),
        (1.0, "seconds", "lower", "2.00x slower"),
        (-0.5, "seconds", "lower", "2.00x faster"),
        (-0.49, "seconds", "lower", "-49.0 %"),
        (-0.6, "tokens_per_second", "higher", "2.50x slower"),
        (2.0, "peak_memory", "lower", "3.00x more"),
        (-0.012, "score_accuracy", "higher", "-1.2 pt"),
        (-0.00004, "score_accuracy", "higher", "-0.0040 pt"),
        (0.0, "score_accuracy", "higher", "0.0 pt"),
    ],
)
def test_changes(change, quantity, direction, text):
    unit = "ratio" if quantity.startswith("score") else "seconds"
    found = verdict("x", quantity=quantity, direction=direction, unit=unit, change=change)
    assert said.change(found) == text


def test_the_interval_of_a_factor_is_of_factors():
    assert said.interval(verdict(change=2.2, low=2.1, high=2.4)) == "3.10..3.40x"
    assert said.interval(verdict(change=-0.6, low=-0.7, high=-0.55)) == "2.22..3.33x"
    assert said.interval(verdict(change=1.2, low=-0.1, high=4.0)) == "-10.0..+400.0 %"


def test_limits_have_the_sign_of_harm():
    assert said.limit(verdict()) == "+5 %"
    assert said.limit(verdict(quantity="tokens_per_second", direction="higher")) == "-5 %"
    assert said.limit(WORSE) == "-1 pt"
    assert said.limit(verdict(quantity="score_x", unit="ratio", direction="higher", limit=0.0)) == "0 pt"


def test_a_bench_counts_once_by_its_worst():
    found = [verdict("a", "same"), verdict("a", "slower", quantity="peak_memory"), verdict("b", "same"), WORSE]
    assert said.counts(found) == {"worse": 1, "more memory": 1, "same": 1}


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        ([verdict(failing=True), verdict("b", "same")], "1 of 2 benches is slower than main, beyond its limit"),
        ([verdict(failing=True), WORSE], "1 of 1 bench is slower than main, beyond its limit"),
        ([verdict("b", failing=True), WORSE], "2 of 2 benches are slower or worse than main, beyond their limits"),
        ([verdict("b", "missing", failing=True)], "1 of 1 bench fails against main: 1 missing"),
        ([verdict("b", "same"), verdict("c", "new")], "none of 2 benches fails against main: 1 new, 1 same"),
        ([verdict("b", "incomparable")], "no bench could be judged against main: 1 incomparable"),
        ([], "nothing was compared against main: no bench in common"),
    ],
)
def test_the_headline_is_what_the_rows_say(verdicts, text):
    assert said.headline(Verdicts(tuple(verdicts), "main", "3f9c1de", "paired")) == text


MANY = Verdicts(
    (
        *(verdict(f"slow[{n}]", failing=True, change=0.05 + n / 100, high=0.06 + n / 100) for n in range(5)),
        *(verdict(f"unclear[{n}]", "unclear", low=-0.01, reason="the machine was unstable") for n in range(200)),
        *(verdict(f"same[{n}]", "same", change=0.001, low=-0.02, high=0.024) for n in range(9000)),
        verdict("fast", "faster", change=-0.184, low=-0.2, high=-0.17),
        *(verdict(f"new[{n}]", "new") for n in range(29)),
        *(verdict(f"other[{n}]", "incomparable", reason="the baseline is of another machine") for n in range(3)),
        WORSE,
    ),
    "main (a1b2c3d)",
    "3f9c1de",
    "paired",
    alarms_per_suite=0.01,
    changed={"torch": ("2.12.1", "2.13.0")},
)


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_the_worst_of_many_and_counts_all(width):
    shown = lines(MANY, width=width)
    assert len(shown) <= 20
    assert max(map(len, shown[:-3])) <= width
    text = "\n".join(shown)
    assert text.startswith("modelbench  3f9c1de against main (a1b2c3d):")
    assert "5 slower, 1 worse, 3 incomparable, 200 unclear, 29 new, 1 faster, 9,000 same" in text
    rows = [line.split()[:2] for line in shown if line.startswith(("slower", "worse"))]
    assert rows[0] == ["slower", "slow[4]"]
    assert rows[-1][0] == "worse"
    assert "more unclear; all rows: -v" in text
    assert "faster  1; the most: fast, -18.4 %" in text
    assert "same    9,000; none slower by more than 2.4 %" in text
    assert "not judged: 29 new, 3 incomparable (the baseline is of another machine)" in text
    assert "changed too: torch 2.12.1 -> 2.13.0" in text
    assert "Identical code would raise 0.01 alarms" in text


def test_verbose_shows_every_row():
    shown = "\n".join(lines(MANY, width=120, verbose=True))
    assert shown.count("the machine was unstable") == 200
    assert "all rows" not in shown


def test_the_numbers_leave_before_the_name():
    assert "341 ms -> 367 ms" in "\n".join(lines(MANY, width=120))
    assert "341 ms -> 367 ms" not in "\n".join(lines(MANY, width=60))


def test_colour_repeats_words():
    import re

    plain, coloured = lines(MANY, width=100), lines(MANY, width=100, color=True)
    assert [re.sub("\x1b\\[[0-9;]*m", "", line) for line in coloured] == plain
    assert coloured != plain


def test_what_a_name_hides_is_shown():
    hostile = Verdicts((verdict("x\u202e[y]", "unclear"),), "main\n", "h", "paired")
    assert "\u202e" not in "".join(lines(hostile, width=100))
