"""The cost of sampling, on a clock of our own."""

import re

import pytest

from pytest_modelbench.samplers import cost


class Sampling:
    """Stands for the sampling process, and takes down what is asked of it."""

    def __init__(self, problems=()):
        self.running, self.problems, self.windows = False, problems, 0

    def start(self):
        assert not self.running
        self.running, self.windows = True, self.windows + 1

    def stop(self):
        self.running = False
        return ()


def numbers(sentence):
    return [float(text) for text in re.findall(r"([+-][\d.]+) %", sentence)]


@pytest.mark.parametrize("share", [0.0, 0.004, 0.05])
def test_a_known_cost_is_read_back(share):
    sampling, blocks = Sampling(), []

    def block(calls):
        blocks.append((sampling.running, calls))
        drift = 1 + len(blocks) / 500
        return 0.01 * drift * (1 + share * sampling.running)

    said = cost.measured(sampling, block, 0.01)
    ratio, low, high = numbers(said)
    assert ratio == pytest.approx(share * 100, abs=0.02)
    assert low <= ratio <= high
    assert "30 pairs of blocks of 500 ms" in said
    assert {calls for _, calls in blocks} == {50}, "calls of 10 ms fill a block of half a second"
    assert sampling.windows == cost.PAIRS
    order = [running for running, _ in blocks]
    assert order[:8] == [False, True, True, False] * 2


def test_a_long_call_is_a_block():
    assert "blocks of 1.50 s" in cost.measured(Sampling(), lambda calls: 1.5 / calls, 1.5)


def test_what_cannot_sample_has_no_cost():
    said = cost.measured(Sampling(problems=("not sampled: gone",)), lambda calls: 0.5, 0.5)
    assert said == "sampling costs were not measured: not sampled: gone"


def test_sampling_ends_with_a_failing_block():
    sampling = Sampling()

    def block(calls):
        if sampling.running:
            raise RuntimeError("of the bench")
        return 0.5

    with pytest.raises(RuntimeError, match="of the bench"):
        cost.measured(sampling, block, 0.5)
    assert not sampling.running
