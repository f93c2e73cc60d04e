"""Joules from a counter's readings, by hand."""

from dataclasses import replace

import pytest
from records import timed

from pytest_modelbench import energy
from pytest_modelbench.record import Idle, Series, TokenTimes
from pytest_modelbench.summary import row


def series(name, values, sampler="nvml", period_seconds=0.1, unit="joules"):
    return Series(sampler, name, unit, tuple(int(i * period_seconds * 1e9) for i in range(len(values))), tuple(values))


#: 200 W over two seconds.
COUNTER = series("energy_joules", [1000.0 + 20 * i for i in range(21)])
BUSY = series("gpu_busy_ratio", [1.0] * 21, unit="ratio")
HOST = series("energy_joules", [3.0 * i for i in range(21)], sampler="rapl")


def on_gpu(*samples, **changes):
    """Five rounds of 0.1 s on a GPU."""
    record = replace(timed(device="cuda:0"), samples=samples, **changes)
    return replace(record, environment=record.environment | {"gpu": {"name": "a GPU"}})


def test_a_call_costs_the_mean_power_times_its_seconds():
    found = row(on_gpu(HOST, BUSY, COUNTER, counts={"tokens": 8.0}, idle=Idle(70.0, 1.0, "a counter")))
    assert found["energy_joules"] == pytest.approx(200 * 0.1), "the device's counter, not the host's before it"
    assert found["joules_per_token"] == pytest.approx(20 / 8)
    assert found["idle_watts"] == 70


def test_tokens_of_a_stream_are_those_it_gave():
    tokens = TokenTimes((0.1,), ((0.1,),), (0.2,), 1, None, 4, "a clock")
    assert energy.joules_per_token(on_gpu(BUSY, COUNTER, tokens=tokens)) == pytest.approx(20 / 4)


def test_a_window_under_ten_periods_gives_no_joules_but_a_caveat():
    short = [series("energy_joules", [0.0, 20.0, 40.0]), series("gpu_busy_ratio", [1.0] * 3)]
    record = on_gpu(*short)
    assert row(record)["energy_joules"] is None
    (caveat,) = energy.short_window(short, "cuda", record.timing)
    assert caveat.kind == "short_window"
    assert caveat.detail == "0.2 s of at least 1 s: the number of rounds was fixed"
    assert energy.short_window([BUSY, COUNTER], "cuda", record.timing) == ()
    assert energy.short_window([BUSY], "cuda", record.timing) == (), "without a counter nothing is missed"


def test_the_hosts_joules_are_not_an_accelerators():
    assert energy.joules_per_call(on_gpu(HOST, BUSY)) is None
    on_cpu = replace(timed(device="cpu"), samples=(HOST,))
    assert energy.joules_per_call(on_cpu) == pytest.approx(30 * 0.1)


def test_a_hosts_counter_needs_ten_milliseconds():
    quick = series("energy_joules", [0.0, 1.0], sampler="rapl", period_seconds=0.02)
    assert energy.joules_per_call(replace(timed(), samples=(quick,))) == pytest.approx(50 * 0.1)
    assert energy.least_seconds("cpu") == pytest.approx(0.01)


def test_a_counter_that_was_set_back_gives_nothing():
    assert energy.joules_per_call(on_gpu(BUSY, replace(COUNTER, values=COUNTER.values[::-1]))) is None


def test_idle_watts_are_the_counters_where_the_window_is_long_enough():
    power = series("power_watts", [80.0, 90.0, 70.0], unit="watts")
    assert energy.idle([BUSY, power, COUNTER], "cuda") == Idle(
        pytest.approx(200), pytest.approx(2), "energy counter of nvml"
    )
    assert energy.idle([BUSY, power], "cuda") == Idle(80.0, pytest.approx(0.2), "median power of nvml")
    assert energy.idle([BUSY], "cuda") is None
    assert energy.idle([power], "cuda") is None, "it may be the host's"
