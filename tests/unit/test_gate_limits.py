"""What is tolerated, in which direction harm lies, and what fails a bench."""

from dataclasses import replace

import pytest
from records import FULL, timed

from pytest_modelbench.errors import UnknownName, UsageError
from pytest_modelbench.gate.limits import Limit, check_name, limit_for, limits_of, parse, parse_fail, with_consequence
from pytest_modelbench.gate.quantities import harm, measured, quantities
from pytest_modelbench.verdict import Verdict


@pytest.mark.parametrize(
    ("text", "limit"),
    [("5%", Limit(5, "%")), ("+2.5 %", Limit(2.5, "%")), ("500%", Limit(500, "%")), (" 3% ", Limit(3, "%"))],
)
def test_a_percent_is_a_limit(text, limit):
    assert parse(text, "seconds", "a test") == limit


def test_points_are_of_scores():
    assert parse("1pt", "score_accuracy", "a test") == Limit(1, "pt")
    assert parse("0pt", "score", "a test") == Limit(0, "pt")


@pytest.mark.parametrize(
    ("text", "quantity", "said"),
    [
        ("5", "seconds", "is no limit; write a percent"),
        (0.05, "seconds", "is no limit; write a percent"),
        ("-5%", "seconds", "is no limit"),
        ("a lot", "seconds", "is no limit"),
        ("nan%", "seconds", "is no limit"),
        ("", "seconds", "is no limit"),
        ("1pt", "seconds", "points are of scores"),
        ("0%", "peak_memory", "would fail on noise alone"),
    ],
)
def test_what_is_no_limit_is_said_with_its_place(text, quantity, said):
    with pytest.raises(UsageError, match=f"^mark tolerance of x: {quantity} .*{said}"):
        parse(text, quantity, "mark tolerance of x")


def test_the_near_quantity_is_named():
    with pytest.raises(UnknownName, match="unknown quantity 'second' in a test; did you mean 'seconds'"):
        check_name("second", [], "a test")
    with pytest.raises(UnknownName, match="did you mean 'score_accuracy'"):
        check_name("score_acuracy", ["accuracy"], "a test")


def test_limits_of_the_command_line():
    assert parse_fail(None) == {}
    assert parse_fail("3%") == {"seconds": Limit(3, "%")}
    assert parse_fail("seconds=3%, score_bleu=1pt,peak_memory=2%") == {
        "seconds": Limit(3, "%"),
        "score_bleu": Limit(1, "pt"),
        "peak_memory": Limit(2, "%"),
    }
    for wrong in ("", "3%,4%", "speed=3%", "seconds=", "score_=1pt"):
        with pytest.raises(UsageError):
            parse_fail(wrong)


def test_the_mark_goes_before_the_command_line_before_the_usual():
    limits = limits_of("seconds=3%,energy=4%", {"seconds": "2%"})
    assert [limit_for(name, limits) for name in ("seconds", "energy", "score_x", "peak_memory")] == [
        Limit(2, "%"),
        Limit(4, "%"),
        Limit(0, "pt"),
        None,
    ]


def test_a_limit_in_the_unit_of_the_change():
    assert Limit(5, "%").of("seconds", "seconds", 3.0) == 0.05
    assert Limit(1, "pt").of("score_accuracy", "ratio", 0.9) == pytest.approx(0.01)
    assert Limit(1, "pt").of("score_perplexity", "perplexity", 17.5) == 1.0
    assert Limit(10, "%").of("score_perplexity", "perplexity", 20.0) == 2.0


def test_what_a_record_can_be_judged_by():
    found = measured(FULL)
    assert found["seconds"] == 0.2
    assert found["peak_memory"] == 2**30
    assert found["score_contains"] == 0.75
    assert found["tokens_per_second"] == pytest.approx(30)
    assert "energy" not in found
    assert quantities(FULL)["score_contains"].direction == "higher"
    assert measured(replace(timed(), timing=None)) == {}


def test_harm_has_the_direction_of_its_quantity():
    assert harm(0.1, "lower") == 0.1
    assert harm(0.1, "higher") == -0.1


VERDICT = Verdict("k", "n", "seconds", "slower")


@pytest.mark.parametrize(
    ("verdict", "how", "failing"),
    [
        (VERDICT, {}, True),
        (replace(VERDICT, advisory=True), {}, False),
        (replace(VERDICT, advisory=True), {"strict": True}, True),
        (replace(VERDICT, word="unclear"), {}, False),
        (replace(VERDICT, word="unclear"), {"strict": True}, True),
        (replace(VERDICT, word="missing"), {"strict": True}, False),
        (replace(VERDICT, word="missing"), {"required": True}, True),
        (replace(VERDICT, word="new"), {"required": True}, True),
        (replace(VERDICT, word="same"), {"strict": True, "required": True}, False),
    ],
)
def test_what_fails(verdict, how, failing):
    assert with_consequence(verdict, **how).failing is failing
