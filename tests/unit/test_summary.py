"""The flat columns of a Record."""

from dataclasses import replace

import pytest
from records import FULL, ended, timed

from pytest_modelbench.record import Timing, TokenTimes
from pytest_modelbench.summary import column_type, row, throughput

PROMISED = [
    "bench",
    "model",
    "variant",
    "device",
    "dataset",
    "batch_size",
    "outcome",
    "median_seconds",
    "p95_seconds",
    "rounds",
    "ttft_seconds",
    "tokens_per_second",
    "peak_memory_bytes",
    "caveats",
    "commit",
    "branch",
    "dirty",
    "started_utc",
    "fingerprint",
    "gpu_name",
    "cpu_name",
]


def test_the_promised_columns_are_in_every_row():
    for record in (FULL, timed(), ended("skipped", "no cuda")):
        assert set(PROMISED) <= set(row(record))


def test_every_value_has_the_type_of_its_column():
    for record in (FULL, timed(variant="eager"), ended("oom", "too large")):
        for name, value in row(record).items():
            kind = column_type(name)
            assert value is None or isinstance(value, (int, float) if kind is float else kind), name


def test_numbers_of_a_full_record():
    found = row(FULL)
    assert found["median_seconds"] == 0.2
    assert found["p99_seconds"] is None  # three rounds have no 99th percentile
    assert found["ttft_seconds"] == 0.05
    assert found["tokens_per_second"] == pytest.approx(6 / 0.2)
    assert found["prefill_tokens_per_second"] == pytest.approx(12 / 0.05)
    assert found["peak_memory_bytes"] == 2**30
    assert found["caveats"] == "recompiled"
    assert found["score_contains"] == 0.75
    assert found["count_tokens"] == 6
    assert found["axis_n"] == "8"
    assert found["dirty"] is True


def test_decode_counts_the_steps_after_the_first_token_of_every_sequence():
    # rounds of 2, 0 and 1 gaps, two sequences at once: 2*2/0.03 and 2*1/0.03; the round without gaps says nothing
    assert row(FULL)["decode_tokens_per_second"] == pytest.approx((4 / 0.03 + 2 / 0.03) / 2)


def test_tpot_is_null_under_two_tokens_a_sequence():
    assert row(FULL)["tpot_seconds"] is not None
    assert FULL.tokens is not None
    single = replace(FULL.tokens, new_tokens=2, itl_seconds=((), (), ()))
    assert row(replace(FULL, tokens=single))["tpot_seconds"] is None


def test_a_batch_whose_sequences_end_at_different_times_by_hand():
    """Two prompts of 7 and 5 tokens; one text has 5 tokens, the other ends at its 2nd; steps of 0.1 s after 0.5 s."""
    tokens = TokenTimes(
        ttft_seconds=(0.5, 0.5),
        itl_seconds=((0.1,) * 4, (0.1,) * 4),
        e2el_seconds=(0.9, 0.9),
        batch_size=2,
        prompt_tokens=12,
        new_tokens=7,
        taken_by="a clock in a test",
    )
    found = row(replace(timed(), tokens=tokens))
    assert found["prefill_tokens_per_second"] == pytest.approx(12 / 0.5)
    assert found["decode_tokens_per_second"] == pytest.approx((4 + 1) / 0.4), "tokens after the first ones of each"
    assert found["tpot_seconds"] == pytest.approx(0.1), "of the text that e2el is the end of"
    assert found["itl_p50_seconds"] == pytest.approx(0.1)


def test_a_batch_of_equal_lengths_by_hand():
    """Eight at once, 16 new tokens each: batch * (n - 1) / (last - first)."""
    tokens = TokenTimes((0.2,), ((0.05,) * 15,), (0.95,), 8, 8 * 128, 8 * 16, "a clock in a test")
    found = row(replace(timed(), tokens=tokens))
    assert found["prefill_tokens_per_second"] == pytest.approx(8 * 128 / 0.2)
    assert found["decode_tokens_per_second"] == pytest.approx(8 * 15 / 0.75)
    assert found["tpot_seconds"] == pytest.approx(0.75 / 15)


def test_what_was_not_measured_is_none_not_zero():
    found = row(ended("oom", "too large"))
    assert found["median_seconds"] is None
    assert found["tokens_per_second"] is None
    assert found["peak_memory_bytes"] is None
    assert found["reason"] == "too large"


def test_throughput_of_each_is_over_the_mean_call():
    record = replace(timed(), timing=Timing("each", (1.0, 3.0)), counts={"images": 8.0})
    assert throughput(record) == {"images": 4.0}
