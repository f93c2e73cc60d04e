"""Samples by phase: exact moments of two generations."""

from dataclasses import replace

from records import FULL, timed

from pytest_modelbench.detail import charts
from pytest_modelbench.phases import Span, phases, spans
from pytest_modelbench.record import Series, Timing, TokenTimes

S = 10**9
#: Two generations of 1 s, their first tokens after 0.2 s and 0.3 s, with a pause of 0.5 s between them.
TIMING = Timing("repeat", (1.0, 1.0), started_ns=(10 * S, 11 * S + S // 2))
TOKENS = TokenTimes((0.2, 0.3), ((0.4,), (0.3,)), (0.6, 0.6), 1, 8, 2, "a clock in a test")
RECORD = replace(timed(), timing=TIMING, tokens=TOKENS)


def test_a_generation_is_prefill_until_its_first_token():
    assert spans(RECORD) == [
        Span("prefill", 10_000_000_000, 10_200_000_000),
        Span("decode", 10_200_000_000, 10_600_000_000),
        Span("prefill", 11_500_000_000, 11_800_000_000),
        Span("decode", 11_800_000_000, 12_100_000_000),
    ]


def test_each_moment_has_its_phase():
    at = [9.9, 10.0, 10.19, 10.2, 10.59, 10.6, 11.0, 11.5, 11.9, 13.0]
    assert phases(spans(RECORD), [round(seconds * S) for seconds in at]) == [
        None, "prefill", "prefill", "decode", "decode", None, None, "prefill", "decode", None,
    ]  # fmt: skip


def test_what_is_no_generation_has_no_phase():
    assert spans(timed()) == []
    assert phases([], [1, 2]) == [None, None]
    assert spans(replace(RECORD, timing=replace(TIMING, loops=4))) == []
    assert spans(replace(RECORD, timing=replace(TIMING, started_ns=()))) == []
    assert len(spans(FULL)) == 6


def test_the_timeline_shows_prefill():
    watched = Series("nvml", "power_watts", "watts", (10 * S, 11 * S, 12 * S), (300.0, 500.0, 400.0))
    timeline = charts(replace(RECORD, samples=(watched,)))[-1]
    assert timeline.svg.count('class="part"') == 1
    assert "The dark part of a round is prefill." in timeline.said
    plain = charts(replace(RECORD, samples=(watched,), tokens=None))[-1]
    assert 'class="part"' not in plain.svg
    assert "prefill" not in plain.said


def test_the_timeline_hatches_when_the_device_slowed_itself_down():
    # idle (0x1) is no slowing, a power cap (0x4) is
    reasons = Series("nvml", "clock_event_reasons", "bitmask", (10 * S, 11 * S, 12 * S), (4.0, 1.0, 4.0))
    timeline = charts(replace(RECORD, samples=(reasons,)))[-1]
    assert timeline.svg.count('class="slowed"') == 1
    assert "Hatched: the device slowed itself down." in timeline.said
    idle = charts(replace(RECORD, samples=(replace(reasons, values=(1.0, 1.0, 1.0)),)))[-1]
    assert "slowed" not in idle.svg + idle.said


def test_the_timeline_shows_the_device_first_and_counters_last():
    names = ["resident_bytes", "cpu_seconds", "energy_joules", "mine", "power_watts", "sm_activity_ratio"]
    samples = tuple(Series("s", name, "", (10 * S, 11 * S), (1.0, 2.0)) for name in names)
    drawn = charts(replace(RECORD, samples=samples))[-1].svg
    assert sorted(names, key=drawn.index) == [
        "sm_activity_ratio", "power_watts", "resident_bytes", "mine", "cpu_seconds", "energy_joules",
    ]  # fmt: skip
