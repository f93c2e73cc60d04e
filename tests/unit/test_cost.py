"""Costs by hand."""

from dataclasses import replace

import pytest
from records import timed

from pytest_modelbench.cost import Call, Sizes, bound_by, mbu, mfu
from pytest_modelbench.datasheet import SHEETS
from pytest_modelbench.record import Cost, TokenTimes
from pytest_modelbench.summary import row

SIZES = Sizes(
    layers=2,
    heads=4,
    kv_heads=2,
    head_size=16,
    body_parameters=1000,
    head_parameters=100,
    read_bytes=1,
    element_bytes=4,
)


def test_flops_of_a_generation():
    # prompt of 3: 9 pairs; the second token attends to 4, the third to 5
    call = Call(sequences=2, prompt_tokens=3, new_tokens=3)
    assert call.kept_tokens == 5
    assert call.attended_tokens == 9 + 4 + 5
    assert SIZES.flops(call) == 2 * (2 * 1000 * 5 + 2 * 100 * 3 + 4 * 2 * 4 * 16 * 18)


def test_one_new_token_is_the_prompt_alone():
    assert Call(1, 3, 1).attended_tokens == 9
    assert SIZES.flops(Call(1, 3, 1)) == 2 * 1000 * 3 + 2 * 100 + 4 * 2 * 4 * 16 * 9


def test_bytes_of_the_cache():
    assert SIZES.kv_bytes(sequences=3, tokens=5) == 2 * 2 * 2 * 16 * 3 * 5 * 4


def costing(seconds=0.1, flops=None, bytes_moved=None, **changes):
    """A call of `seconds` on a device of 1 GFLOP/s and 1 GB/s."""
    cost = Cost(flops, bytes_moved, peak_flops_per_second=1e9, peak_bytes_per_second=1e9)
    return replace(timed(seconds=seconds), cost=cost, **changes)


def test_utilisations_are_of_the_median_call():
    record = costing(flops=5e7, bytes_moved=2e7)
    assert mfu(record) == pytest.approx(0.5)
    assert mbu(record) == pytest.approx(0.2)
    assert row(record)["bound_by"] == "compute"
    assert row(record)["flops"] == 5e7


def test_mbu_of_a_generation_is_of_a_decode_step():
    tokens = TokenTimes((0.02,), ((0.01, 0.03),), (0.06,), 1, 4, 3, "a clock")
    record = costing(bytes_moved=6e7, tokens=tokens)
    record = replace(record, cost=replace(record.cost, step_bytes=1e7))
    assert mbu(record) == pytest.approx(1e7 / 0.02 / 1e9)


@pytest.mark.parametrize(
    ("flops", "bytes_moved", "bound"),
    [
        (5e7, 4e7, "compute"),
        (4e7, 5e7, "bandwidth"),
        (1e7, 2e7, "host"),
        (None, 5e7, "bandwidth"),
        (None, 1e7, None),  # the arithmetic may explain it
        (None, None, None),
    ],
)
def test_what_a_time_went_to(flops, bytes_moved, bound):
    assert bound_by(costing(flops=flops, bytes_moved=bytes_moved)) == bound


def test_a_device_that_waits_is_bound_by_its_host():
    record = costing(flops=5e7)
    waiting = replace(record.timing, device_seconds=(0.04,) * 5)
    assert bound_by(replace(record, timing=waiting)) == "host"
    busy = replace(record.timing, device_seconds=(0.09,) * 5)
    assert bound_by(replace(record, timing=busy)) == "compute"


def test_without_peaks_there_is_no_utilisation():
    record = replace(timed(), cost=Cost(flops=5e7))
    assert (mfu(record), mbu(record), bound_by(record)) == (None, None, None)


@pytest.mark.parametrize("name", SHEETS)
def test_sheets_state_dense_figures(name):
    sheet = SHEETS[name]
    assert sheet.half <= 1e15, "an H100's sparse bfloat16 is 1.98 PFLOP/s"
    assert sheet.tf32 == pytest.approx(sheet.half / 2, rel=0.02)
    assert sheet.flops_per_second("bfloat16") == sheet.flops_per_second("float16") == sheet.half
    assert sheet.flops_per_second("float64") is None
