"""How numbers and names are written for people."""

import math

import pytest

from pytest_modelbench import quantity
from pytest_modelbench.quantity import ABSENT, amount, cells, digits, duration, percent, plain, speed, text, unit_for


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (331.4, "331"),
        (4.2, "4.20"),
        (0.3124, "0.312"),
        (9.996, "10.0"),
        (99.96, "100"),
        (999.6, "1,000"),
        (1234567.0, "1,234,567"),
        (0.0, "0"),
        (-0.0, "0"),
        (-4.2, "-4.20"),
        (1e-9, "1.00e-09"),
        (math.nan, ABSENT),
        (math.inf, ABSENT),
    ],
)
def test_three_significant_digits(value, said):
    assert digits(value) == said


def test_a_group_has_the_unit_of_its_largest_value():
    unit = unit_for("seconds", [0.000312, None, 0.00265])
    assert [text(value, unit) for value in (0.000312, 0.00265)] == ["0.312 ms", "2.65 ms"]


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("seconds", 0.9994, "999 ms"),
        ("seconds", 0.9996, "1.00 s"),
        ("seconds", 1e-12, "0.00100 ns"),
        ("seconds", 4.2e-6, "4.20 µs"),
        ("seconds", 0.0, "0 s"),
        ("bytes", 0, "0 B"),
        ("bytes", 1.12 * 2**30, "1.12 GiB"),
        ("joules", 0.5, "500 mJ"),
        ("W", 250.0, "250 W"),
        ("furlongs", 3.0, "3.00 furlongs"),
        ("seconds", None, ABSENT),
        ("seconds", math.nan, ABSENT),
    ],
)
def test_a_value_alone_has_the_unit_that_suits_it(kind, value, said):
    assert quantity.quantity_text(kind, value) == said


@pytest.mark.parametrize(
    ("ratio", "said"), [(0.0204, "2.0 %"), (-0.0001, "0.0 %"), (1.5, "150 %"), (-0.071, "-7.1 %"), (None, ABSENT)]
)
def test_percent_has_one_decimal_and_no_minus_zero(ratio, said):
    assert percent(ratio) == said


@pytest.mark.parametrize(
    ("reference", "value", "said"),
    [
        (616, 331, "1.86x faster"),
        (8, 10, "1.25x slower"),
        (1, 1.0001, "1.00x as fast"),
        (5, 5, "1.00x as fast"),
        (1, 1e-6, "1,000,000x faster"),
        (0, 1, ABSENT),
        (1, 0, ABSENT),
        (math.nan, 1, ABSENT),
    ],
)
def test_a_ratio_is_never_below_one_and_has_its_word(reference, value, said):
    assert speed(reference, value) == said


def test_amounts_are_more_or_less():
    assert amount(100, 121) == "1.21x more"
    assert amount(140, 100) == "1.40x less"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (0.25, "250 ms"), (48.2, "48.2 s"), (59.96, "1 min 0 s"), (108, "1 min 48 s"), (6720, "1 h 52 min")],
)
def test_wall_times(seconds, said):
    assert duration(seconds) == said


def test_without_utf8_only_ascii_is_written():
    assert plain("4.20 µs naïve " + ABSENT, utf8=False) == "4.20 us na\\xefve -"
    assert plain("4.20 µs", utf8=True) == "4.20 µs"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain-name[1]", "plain-name[1]"),
        ("grüße 東京", "grüße 東京"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines\t", "two\\nlines\\t"),
        ("\udc80", "\\udc80"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
    ],
)
def test_what_the_eye_cannot_see_is_shown(name, shown):
    assert quantity.visible(name) == shown


def test_names_are_cut_in_their_middle():
    assert quantity.shortened("generate[b8-l512-compiled]", 16) == "generat..mpiled]"
    assert quantity.shortened("short", 16) == "short"


@pytest.mark.parametrize("width", range(1, 14))
def test_a_cut_name_fits_however_wide_its_letters_are(width):
    assert cells(quantity.shortened("東京タワー-benchmark-大阪", width)) <= width
