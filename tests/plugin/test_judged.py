"""What becomes of scores and datasets in a session: the Record, the outcome, the terminal."""

import json

import pyarrow.parquet as pq
import pytest

BENCHES = """
    import math
    import pytest
    from pytest_modelbench import metric
    from pytest_modelbench.errors import Unavailable

    timed = []

    @metric("", "higher")
    def looks(predictions, references=None, tell=None):
        tell(0.25)
        assert len(timed) == 6, "the first call, the warm-up of two, and three items: all before a metric runs"
        return [1.0, 2.0, 6.0]

    @metric("", "higher")
    def breaks(predictions, references=None):
        return [1.0, math.nan]

    @metric("", "higher")
    def lacks(predictions, references=None):
        raise Unavailable("metric 'lacks' needs a checkpoint: hf download it")

    def bench_scored(measure):
        run = measure.each(lambda at: timed.append(at) or at % 2, [1, 2, 3])
        assert run.score("looks", run.outputs) == 3
        run.score("f1:micro", run.outputs, [1, 0, 0])
        run.score("accuracy", run.outputs, [1, 0, 0])
        assert run.composite({"f1_micro": 1, "accuracy": 1}, name="both") == pytest.approx(2 / 3)

    def bench_broken(measure):
        measure(sum, [1]).score("breaks", [1, 2])

    def bench_lacking(measure):
        measure(sum, [1]).score("lacks", [1, 2])

    def bench_no_references(measure):
        measure(sum, [1]).score("accuracy", [1, 2])

    @pytest.mark.datasets("q.csv", template="{question}?", references="answer", limit=2)
    def bench_data(dataset, measure):
        run = measure.each(len, dataset.inputs)
        assert run.score("accuracy", run.outputs, dataset.references) == 0.5

    @pytest.mark.datasets("q.csv", template="{qestion}")
    def bench_bad_data(dataset, measure): ...

    @pytest.mark.datasets("q.csv?inputs=question", stream=True)
    def bench_streamed(dataset, measure):
        assert measure.each(len, dataset.batches(2)).outputs == [2, 1]
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory, request):
    """One run for all tests here."""
    import subprocess
    import sys
    from textwrap import dedent

    folder = tmp_path_factory.mktemp("scores")
    (folder / "bench_scores.py").write_text(dedent(BENCHES))
    (folder / "q.csv").write_text("question,answer\nabc,4\nxy,9\nz,2\n")
    command = [sys.executable, "-m", "pytest", "bench_scores.py", "--bench-rounds=3", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    rows = [row for file in folder.glob("reports/data/records/*.parquet") for row in pq.read_table(file).to_pylist()]
    return ran, {row["bench"].partition("::bench_")[2]: row for row in rows}


def test_scores_are_columns_and_their_items_are_kept(session):
    row = session[1]["scored"]
    assert row["outcome"] == "passed", session[0].stdout
    assert (row["score_looks"], row["score_f1_micro"]) == (3.0, pytest.approx(2 / 3))
    scores = json.loads(row["detail"])["record"]["scores"]
    assert scores["looks"]["items"] == [1.0, 2.0, 6.0]
    assert scores["looks"]["low"] < 3 < scores["looks"]["high"]
    assert scores["both"]["items"] == [1.0, 1.0, 0.0], "micro F1 is the mean of rights, as accuracy is"


def test_no_finite_number_makes_the_row_invalid(session):
    row = session[1]["broken"]
    assert (row["outcome"], row["median_seconds"]) == ("invalid", None)
    assert row.get("score_breaks") is None
    assert "metric 'breaks' gave nan for item 1: no finite number" in row["reason"]


def test_what_a_metric_lacks_skips_and_says_what_to_do(session):
    row = session[1]["lacking"]
    assert (row["outcome"], row["reason"]) == ("skipped", "metric 'lacks' needs a checkpoint: hf download it")
    assert row["median_seconds"] > 0, "what was timed is kept"


def test_missing_references_are_said(session):
    row = session[1]["no_references"]
    assert row["outcome"] == "failed"
    assert "metric 'accuracy' needs references, and there are none" in row["reason"]


def test_a_dataset_is_pinned_in_the_record(session):
    row = session[1]["data"]
    assert row["outcome"] == "passed", row["reason"]
    assert (row["dataset"], row["dataset_items"]) == ("q.csv", 2)
    assert row["dataset_revision"].startswith("sha256:")
    # what sha256sum says of {"inputs":["abc?","xy?"],"references":[4,9]}
    assert row["dataset_digest"] == "0deb010e979103c2693338814865771ff63b55b20f2c9317277c734d4c80a66c"
    assert session[1]["streamed"]["outcome"] == "passed", session[1]["streamed"]["reason"]


def test_a_template_that_names_nothing_ends_before_it_is_timed(session):
    row = session[1]["bad_data"]
    assert row["outcome"] == "error"
    assert "template '{qestion}' names 'qestion', and the columns are question, answer" in row["reason"]


def test_an_option_that_no_dataset_has_stops_collection(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest

        @pytest.mark.datasets("./q.csv", tmplate="{question}")
        def bench_a(dataset, measure): ...
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*unknown dataset option 'tmplate' in './q.csv'; did you mean 'template'?*"])
