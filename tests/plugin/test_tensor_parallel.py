"""A bench whose model is in parts on two processes: parity, what its Record says, and a rank that is lost."""

import json

import pytest
from test_records import rows

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

BENCH = """
    import threading

    import pytest

    pytestmark = [pytest.mark.models("random:llama-tiny"), pytest.mark.variants("fp32+tensor-parallel:2")]

    def bench_lost(model, measure):
        [other] = model.elsewhere._others
        threading.Timer(0.3, other.child.process.kill).start()
        measure(model.generate, ["the of and"], max_new_tokens=1500)

    @pytest.mark.parity(tokens=1, cosine=0.9999)
    def bench_next(model, measure):
        measure(model.generate, ["the of and"], max_new_tokens=4)
"""


def test_a_bench_that_loses_a_rank_is_in_error_and_the_next_one_runs(pytester, monkeypatch, tmp_path):
    if torch.accelerator.current_accelerator(check_available=True) is not None:
        pytest.skip("transformers would put the ranks on the accelerator")
    monkeypatch.setenv("PYTEST_MODELBENCH_CACHE", str(tmp_path))
    pytester.makepyfile(bench_a=BENCH)
    result = pytester.runpytest_subprocess("--bench-rounds", "2")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["rank 1 on cpu ended: crashed: signal SIGKILL*"])
    lost, done = sorted(rows(pytester), key=lambda row: row["bench"])
    assert (lost["outcome"], done["outcome"]) == ("error", "passed")
    assert lost["reason"].startswith("rank 1 on cpu ended")
    record = json.loads(done["detail"])["record"]
    assert record["model"]["details"]["ranks_agreed"] == 2
    assert record["model"]["ran_on"].partition(" on ")[2].startswith("2 ranks (gloo): the CPU")
    assert record["memory"]["sources"]["process_peak_bytes"].endswith("the sum of 2 processes")
    assert record["scores"]["parity_tokens"]["value"] == 1
