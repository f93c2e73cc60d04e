"""A Record against stored sessions: every verdict, and all that may not be compared."""

from dataclasses import replace

import pytest
from records import ENVIRONMENT, ended, timed

from pytest_modelbench.gate.stored import Baseline, concluded, judge
from pytest_modelbench.record import Caveat, DatasetFacts, Memory, Score, Timing
from pytest_modelbench.stores.parquet import Parquet

#: Medians of sessions that differ by about a percent.
STEADY = (0.100, 0.101, 0.099, 0.1005, 0.0995, 0.1, 0.1012, 0.0991)


@pytest.fixture
def baseline(tmp_path):
    """Makes a baseline of one bench: a session for each of `seconds`, changed by `change`."""

    def made(seconds=STEADY, change=lambda record: record, suite=1):
        store = Parquet(tmp_path / "baseline")
        for number, length in enumerate(seconds):
            when = {"session": f"s{number}", "started_utc": f"2026-01-{number + 1:02d}T10:00:00Z"}
            store.append([replace(change(timed(seconds=length)), **when)])
        return Baseline(store.newest_first(), store.slim, "a/place", suite)

    return made


def say(record, stored, fail=None, strict=False, required=False):
    (verdict,) = judge(record, stored, fail, strict, required)
    return verdict


def test_a_slowdown_beyond_the_limit_and_the_sessions_fails(baseline):
    verdict = say(timed(seconds=0.12), baseline())
    assert (verdict.word, verdict.failing, verdict.advisory, verdict.pairs) == ("slower", True, False, 8)
    assert verdict.change == pytest.approx(0.2, abs=0.01)
    assert 0.05 < verdict.low < 0.2 < verdict.high < 0.3
    assert verdict.limit == 0.05
    assert verdict.reason == ""


def test_a_speed_up_is_faster_and_does_not_fail(baseline):
    verdict = say(timed(seconds=0.08), baseline())
    assert (verdict.word, verdict.failing) == ("faster", False)


def test_within_the_limit_is_the_same(baseline):
    assert say(timed(seconds=0.1), baseline()).word == "same"


def test_a_change_beyond_the_limit_that_sessions_show_by_themselves_is_unclear(baseline):
    noisy = baseline((0.1, 0.13, 0.09, 0.12, 0.1, 0.11))
    verdict = say(timed(seconds=0.12), noisy)
    assert (verdict.word, verdict.failing) == ("unclear", False)
    assert verdict.change == pytest.approx(verdict.after / verdict.before - 1), "as the numbers beside it say"
    assert verdict.detectable > 0.3
    assert say(timed(seconds=0.12), noisy, strict=True).failing


def test_a_larger_suite_needs_more(baseline):
    assert say(timed(seconds=0.11), baseline()).word == "slower"
    found = say(timed(seconds=0.11), baseline(suite=200))
    assert (found.word, found.reason) == ("unclear", "among 200 benches that may be chance")
    assert found.low > found.limit, "of one bench alone it would not be"


@pytest.mark.parametrize(("sessions", "word"), [(1, "unclear"), (4, "slower")])
def test_fewer_than_five_sessions_are_advisory(baseline, sessions, word):
    verdict = say(timed(seconds=0.2), baseline(STEADY[:sessions]))
    assert (verdict.word, verdict.advisory, verdict.failing) == (word, True, False)
    assert "session" in verdict.reason
    assert say(timed(seconds=0.2), baseline(STEADY[:sessions]), strict=True).failing


def test_only_the_newest_ten_sessions_count(baseline):
    old_and_new = (*[0.05] * 10, *STEADY, 0.1, 0.1)
    verdict = say(timed(seconds=0.1), baseline(old_and_new))
    assert (verdict.word, verdict.pairs) == ("same", 10)


def test_a_bench_that_the_baseline_does_not_have_is_new(baseline):
    verdict = say(timed(n="2"), baseline())
    assert (verdict.word, verdict.failing) == ("new", False)
    assert say(timed(n="2"), baseline(), required=True).failing


def test_no_baseline_is_missing(baseline):
    verdict = say(timed(), baseline(()))
    assert (verdict.word, verdict.failing) == ("missing", False)
    assert verdict.reason == "there are no Records at a/place"
    assert say(timed(), baseline(()), required=True).failing


ELSEWHERE = ENVIRONMENT | {"fingerprint": "another", "host": {"cpu_name": "an older one", "cores_usable": 4}}
DATA = DatasetFacts("d", digest="sha256:00", n=4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: replace(r, environment=ELSEWHERE), "the baseline is of another machine (an older one, 4 cores)"),
        (lambda r: replace(r, simulated=True), "the baseline is simulated"),
        (lambda r: replace(r, timing=replace(r.timing, cold=True)), "the baseline is cold, this is hot"),
        (lambda r: replace(r, dataset=DATA), "the baseline has 4 items, this none"),
        (lambda r: replace(r, outcome="failed"), "the baseline's bench failed"),
    ],
)
def test_what_is_incomparable_is_said_and_counted(baseline, change, reason):
    stored = baseline(change=change)
    verdict = say(timed(), stored)
    assert (verdict.word, verdict.reason, verdict.failing) == ("incomparable", reason, False)
    assert stored.refused[reason] == 8
    notes = concluded([verdict], [timed()], stored, whole=False).notes
    assert notes[0] == f"8 stored Records not compared: {reason}"


def test_other_data_of_equal_size_is_incomparable(baseline):
    stored = baseline(change=lambda record: replace(record, dataset=DATA))
    other = replace(timed(), dataset=replace(DATA, digest="sha256:11"))
    assert say(other, stored).reason == "the baseline is of other data (the digests differ)"


def test_sessions_of_another_machine_leave_those_of_this_one(baseline):
    times = iter(range(8))
    stored = baseline(change=lambda r: replace(r, environment=ELSEWHERE) if next(times) % 3 == 0 else r)
    assert (say(timed(), stored).word, say(timed(), stored).pairs) == ("same", 5)
    assert stored.refused.total() == 3


@pytest.mark.parametrize("kind", ["throttled", "recompiled", "shared_device", "unstable", "fallback", "truncated"])
def test_no_verdict_on_a_record_whose_caveat_explains_it(baseline, kind):
    record = replace(timed(seconds=0.2), caveats=(Caveat(kind, "the detail"),))
    verdict = say(record, baseline())
    assert (verdict.word, verdict.failing) == ("unclear", False)
    assert verdict.reason == f"not called slower: explained by {kind} (the detail)"


def test_a_caveat_that_the_baseline_has_too_explains_nothing(baseline):
    throttled = (Caveat("throttled", "a bit"),)
    stored = baseline(change=lambda record: replace(record, caveats=throttled))
    assert say(replace(timed(seconds=0.2), caveats=throttled), stored).word == "slower"
    verdict = say(timed(seconds=0.05), stored)
    assert verdict.reason == "not called faster: explained by the baseline's throttled"


def test_a_fallback_must_be_the_same_on_both_sides(baseline):
    graph = (Caveat("fallback", "1 graph break"),)
    stored = baseline(change=lambda record: replace(record, caveats=graph))
    assert say(replace(timed(seconds=0.2), caveats=graph), stored).word == "slower"
    other = replace(timed(seconds=0.2), caveats=(Caveat("fallback", "CPUExecutionProvider"),))
    assert say(other, stored).reason == "not called slower: explained by fallback (CPUExecutionProvider)"


def test_a_bench_that_was_rewritten_is_advisory(baseline):
    stored = baseline(change=lambda record: replace(record, source_digest="of then"))
    verdict = say(replace(timed(seconds=0.2), source_digest="of now"), stored)
    assert (verdict.word, verdict.advisory, verdict.failing) == ("slower", True, False)
    assert verdict.reason == "the bench's own text changed since"


def test_a_skipped_bench_that_the_baseline_has_is_missing(baseline):
    verdict = say(ended("skipped", "needs onnx"), baseline())
    assert (verdict.word, verdict.reason) == ("missing", "the baseline has it, skipped here: needs onnx")
    assert judge(ended("skipped", "x", n="2"), baseline(), None, False, False) == ()
    elsewhere = baseline(change=lambda record: replace(record, environment=ELSEWHERE, dataset=DATA))
    verdict = say(ended("skipped", "no cuda"), elsewhere, required=True)
    assert (verdict.word, verdict.failing) == ("missing", False)  # pytest says that it was skipped


def test_what_fell_back_is_invalid_and_what_failed_has_no_verdict(baseline):
    assert say(ended("invalid", "CPU ran"), baseline()).word == "invalid"
    assert judge(ended("failed", "x"), baseline(), None, False, False) == ()


def test_memory_and_rates_are_judged_where_a_limit_names_them(baseline):
    def with_memory(record, size=100):
        return replace(record, memory=Memory(process_peak_bytes=size), counts={"tokens": 10})

    stored = baseline((0.1,) * 5, change=with_memory)
    assert [v.quantity for v in judge(with_memory(timed()), stored, None, False, False)] == ["seconds"]
    limits = "peak_memory=10%,tokens_per_second=5%"
    found = judge(with_memory(timed(seconds=0.2), 120), stored, limits, False, False)
    words = {verdict.quantity: (verdict.word, verdict.said) for verdict in found}
    assert words == {
        "seconds": ("slower", "slower"),
        "peak_memory": ("slower", "more memory"),
        "tokens_per_second": ("slower", "slower"),
    }
    found = judge(with_memory(timed(seconds=0.05), 80), stored, limits, False, False)
    assert {verdict.said for verdict in found} == {"faster", "less memory"}


def scored(record, *items):
    return replace(record, scores={"accuracy": Score(sum(items) / len(items), "ratio", "higher", items)})


def test_faster_but_worse_fails_and_says_the_trade(baseline):
    stored = baseline(change=lambda record: scored(record, *[1.0] * 40))
    speed, score = judge(scored(timed(seconds=0.049), *[1.0] * 30, *[0.0] * 10), stored, None, False, False)
    assert (speed.word, speed.failing) == ("faster", False)
    assert (score.said, score.failing) == ("worse", True)
    assert score.reason == "faster but worse: 2.04x faster for 25 pt lost"


def test_a_bench_that_is_not_there_any_more_is_missing_in_a_whole_run(baseline):
    stored, other = baseline(), timed(n="other")
    assert [verdict.word for verdict in concluded([], [other], stored, whole=True)] == ["missing"]
    assert list(concluded([], [other], stored, whole=False)) == []
    elsewhere = replace(other, bench="benches/bench_y.py::bench_x")
    assert list(concluded([], [elsewhere], stored, whole=True)) == []


def test_what_else_changed_is_said(baseline):
    newer = ENVIRONMENT | {"versions": {"python": "3.11.7", "torch": "2.14.0"}}
    record = replace(timed(), environment=newer)
    found = concluded([say(record, baseline())], [record], baseline(), whole=True)
    assert found.changed == {"torch": ("2.13.0", "2.14.0")}
    assert (found.against, found.head, found.how) == ("a/place", "3f9c1de with changes", "stored")


def test_verdicts_are_kept_beside_the_records(tmp_path, baseline):
    found = concluded([say(timed(seconds=0.2), baseline())], [timed()], baseline(), whole=True)
    store = Parquet(tmp_path / "data")
    store.append([timed()])
    assert store.verdicts("s1") is None
    store.append_verdicts("s1", found)
    assert Parquet(tmp_path / "data").verdicts("s1") == found
    assert store.verdicts("s") is None


def test_a_report_of_a_store_has_what_the_gate_said(tmp_path, baseline):
    from pytest_modelbench.places import results_at

    found = concluded([say(timed(seconds=0.2), baseline())], [timed()], baseline(), whole=True)
    store = Parquet(tmp_path / "data")
    store.append([timed()])
    store.append_verdicts("s1", found)
    store.append([replace(ended("failed"), session="s0", started_utc="2026-01-01T10:00:00Z")])
    seen = results_at(str(tmp_path / "data"))
    assert seen.verdicts == found
    assert seen.history == [], "what failed is no part of a trend"


def test_no_bench_in_common_is_said(baseline):
    stored = baseline()
    notes = concluded([say(timed(n="2"), stored)], [timed(n="2")], stored, whole=False).notes
    assert notes == (
        "No bench in common: were files or functions renamed, or axes added? Both are part of a bench's identity.",
    )


def test_nothing_measured_on_both_sides_is_unclear(baseline):
    untimed = replace(timed(), timing=Timing("repeat", ()))
    assert say(untimed, baseline()).word == "unclear"
