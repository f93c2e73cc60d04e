"""The table at the end of a session."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from records import FULL, ended, timed

from pytest_modelbench.quantity import cells
from pytest_modelbench.record import CAVEATS, Caveat, Record, Score
from pytest_modelbench.reports.terminal import MOST_LINES, lines

LLAMA = "benches/bench_llama.py::bench_generate"


def table(records, width=120, **options):
    return lines(records, **{"width": width, "seconds": 108.0} | options)


def three() -> list[Record]:
    """A group of variants with everything a row can show."""
    made = []
    for variant, factor in (("eager", 1.0), ("onnx", 0.5), ("compiled", 1.25)):
        rounds = tuple(seconds * factor for seconds in FULL.timing.rounds_seconds)
        timing = replace(FULL.timing, rounds_seconds=rounds)
        made.append(replace(FULL, axes={"variant": variant, "device": "cpu"}, timing=timing, caveats=()))
    return made


def test_variants_stand_side_by_side_the_fastest_first():
    rows = table(three())
    assert rows[0] == "modelbench  3 benches, cpu (8 cores), 3f9c1de with changes, torch 2.13.0"
    assert [row.split()[0] for row in rows[3:6]] == ["onnx", "eager", "compiled"]
    assert re.match(r"  onnx +100 ms +45.0 % +2.00x faster +60.0 +50.0 ms +1.00 GiB +0.750$", rows[3])
    assert "reference" in rows[4]
    assert "1.25x slower" in rows[5]
    assert rows[1].split() == ["median", "spread", "against", "eager", "tokens/s", "ttft", "peak"]
    assert rows[2].startswith("generate")
    assert rows[2].endswith("contains")
    assert rows[-1] == "3 passed in 1 min 48 s. Nothing to compare with."


def test_digits_stand_under_each_other():
    rows = [row for row in table(three()) if " ms " in row]
    assert len({row.index(" ms") for row in rows}) == 1
    assert len({len(row) for row in rows}) == 1


@pytest.mark.parametrize(
    ("width", "gone"),
    [(100, []), (76, ["peak"]), (70, ["peak", "ttft"]), (60, ["peak", "ttft", "tokens/s"]),
     (48, ["peak", "ttft", "tokens/s", "spread"])],
)  # fmt: skip
def test_columns_leave_in_the_stated_order(width, gone):
    head = table(three(), width=width)[1]
    assert [name for name in ("peak", "ttft", "tokens/s", "spread", "against", "median") if name not in head] == gone


@pytest.mark.parametrize("width", [48, 60, 80, 120, 200])
def test_no_row_is_wider_than_the_terminal(width):
    strange = [
        *three(),
        ended("failed", "a very long reason " * 30, bench=LLAMA, variant="x" * 80, device="cpu"),
        timed("tests/test_y.py::test_" + "東京" * 60, 0.2),
        replace(
            timed("b.py::bench_z", variant="a"), caveats=(Caveat("recompiled", "1 of 5 rounds"), Caveat("unstable"))
        ),
    ]
    for row in table(strange, width=width)[:-3]:
        assert cells(row) <= width, row


def test_what_did_not_pass_says_why():
    rows = table(
        [
            *three(),
            ended("invalid", "asked for CUDA, CPUExecutionProvider ran", bench=LLAMA, variant="cuda", device="cpu"),
            ended("oom", "11.2 GiB asked", bench=LLAMA, variant="nf4", device="cpu"),
            ended("skipped", "pip install 'x'", bench=LLAMA, variant="kernelized", device="cpu"),
            ended("error", "FileNotFoundError: a.gguf", bench=LLAMA, variant="gguf", device="cpu"),
            ended("failed", "assert 0.3 > 0.75", bench=LLAMA, variant="int8", device="cpu"),
        ]
    )
    text = "\n".join(rows)
    for name, outcome, reason in (
        ("cuda", "invalid", "asked for CUDA, CPUExecutionProvider ran"),
        ("nf4", "oom", "11.2 GiB asked"),
        ("kernelized", "skipped", "pip install 'x'"),
        ("gguf", "error", "FileNotFoundError: a.gguf"),
        ("int8", "failed", "assert 0.3 > 0.75"),
    ):
        assert re.search(rf"^  {name} +{outcome} +{re.escape(reason)}$", text, re.MULTILINE), name
    assert rows[-1].startswith("3 passed, 1 failed, 1 skipped, 1 oom, 1 error, 1 invalid in ")


def test_a_group_without_its_reference_says_so():
    rows = table([timed(variant="onnx"), timed(variant="compiled")])
    assert any("no ratio: eager did not run" in row for row in rows)
    assert "against" not in rows[1]
    rows = table([timed(variant="onnx"), ended("failed", "boom", variant="eager")])
    assert any("no ratio: eager was not measured (failed)" in row for row in rows)


def test_devices_are_held_against_the_cpu():
    records = [replace(timed(), axes={"device": device}) for device in ("cpu", "cuda")]
    records[1] = replace(records[1], timing=replace(records[1].timing, rounds_seconds=(0.01,) * 9))
    text = "\n".join(table(records))
    assert re.search(r"  cuda .* [0-9.]+x faster than cpu", text)
    assert re.search(r"  cpu .* reference", text)


def test_seconds_of_audio_a_second_are_rtfx():
    assert " RTFx" in "\n".join(table([replace(timed(), counts={"audio_seconds": 30.0})]))


def test_caveats_are_named_in_their_row():
    caveat = Caveat("recompiled", "1 of 80 rounds")
    assert table([replace(timed(variant="compiled"), caveats=(caveat,))])[3].endswith("  recompiled (1 of 80 rounds)")
    narrow = table([replace(timed(variant="compiled"), caveats=(caveat,))], width=56)
    assert any("!recompiled" in row for row in narrow)


def test_simulated_records_say_so():
    rows = table([replace(timed(variant="eager"), simulated=True)])
    assert "SIMULATED" in rows[0]
    assert rows[3].endswith("simulated")


def test_colour_repeats_words():
    colored = table([*three(), ended("failed", "boom", bench=LLAMA, variant="int8", device="cpu")], color=True)
    bare = [re.sub(r"\x1b\[[0-9;]*m", "", row) for row in colored]
    assert bare == table([*three(), ended("failed", "boom", bench=LLAMA, variant="int8", device="cpu")], color=False)
    assert any("\x1b[1;38;5;208mfailed\x1b[0m" in row for row in colored)


def test_plain_streams_get_ascii():
    records = [timed("b.py::bench_grün\u202e", 4.2e-6)]
    assert all(row.isascii() for row in table(records, utf8=False))
    assert any("4.20 us" in row for row in table(records, utf8=False))
    assert any("4.20 µs" in row and "\\u202e" in row for row in table(records, utf8=True))


def test_names_cannot_move_the_cursor():
    rows = table([timed("b.py::bench_\x1b[2J"), ended("failed", "line\nline \x1b[1A", bench="b.py::bench_c")])
    assert not any("\x1b" in row or "\n" in row for row in rows)


def test_at_most_forty_lines_the_worst_first():
    many = [timed(n=str(i)) for i in range(10_000)]
    bad = [ended("failed", f"reason {i}", bench="b.py::bench_bad", n=str(i)) for i in range(3)]
    rows = table([*many, *bad], report_places=[Path("reports/modelbench.html")])
    assert len(rows) <= 40
    text = "\n".join(rows)
    assert all(f"reason {i}" in text for i in range(3))
    assert text.index("reason 0") < text.index(" ms")
    shown = sum(1 for row in rows if re.match("  n=", row))
    assert f"  and {10_003 - shown:,} more benches; all rows: -v" in rows


def test_many_groups_also_fit():
    rows = table([timed(f"f{i}.py::bench_{i}", variant=v) for i in range(100) for v in ("eager", "onnx")])
    assert len(rows) <= 40
    assert sum("reference" in row for row in rows) > 5


def test_verbose_shows_all():
    rows = table([timed(n=str(i)) for i in range(100)], verbose=True)
    assert sum(1 for row in rows if row.startswith("  n=")) == 100


def test_nothing_ran_is_said():
    assert table([], seconds=0.2)[0] == "modelbench  0 benches: nothing was measured"


def test_what_ran_untimed_is_not_a_number():
    rows = table([replace(ended("passed"), axes={"variant": "eager"})])
    assert any(re.match(r"  eager +passed +not timed$", row) for row in rows)


def test_the_same_function_in_two_files_is_told_apart():
    text = "\n".join(table([timed("a.py::bench_x", variant="eager"), timed("b.py::bench_x", variant="eager")]))
    assert "a.py::x" in text
    assert "b.py::x" in text


def test_benches_of_one_row_share_their_file():
    rows = table([timed(f"tests/test_a.py::test_{name}") for name in "abc"])
    assert rows[2] == "tests/test_a.py"
    assert [row.split()[0] for row in rows[3:6]] == ["test_a", "test_b", "test_c"]


def test_places_are_said():
    assert "reports/modelbench.html" in table(three(), report_places=[Path("reports/modelbench.html")])[-1]


def caveated(*kinds):
    return [replace(timed(n=str(n)), caveats=(Caveat(kind, "a detail"),)) for n, kind in enumerate(kinds)]


def test_what_to_do_about_caveats_is_said_once_a_kind():
    printed = lines(caveated("few_samples", "recompiled", "recompiled"), width=120)
    said = [line for line in printed if line.startswith("!")]
    assert said == [
        f"!recompiled, 2 benches: {CAVEATS['recompiled']}",
        f"!few_samples, 1 bench: {CAVEATS['few_samples']}",
    ]
    assert not [line for line in lines([timed()], width=120) if line.startswith("!")]


def test_in_a_narrow_terminal_the_remedy_is_what_stays():
    printed = lines(caveated(*CAVEATS), width=60)
    assert "!recompiled, 1 bench: warm up with every shape that is timed" in printed
    assert len([line for line in printed if line.startswith("!")]) == len(CAVEATS)
    assert max(map(len, printed)) <= 60
    assert len(printed) <= MOST_LINES


def scored(variant: str, seconds: float, score: float) -> Record:
    return replace(timed(LLAMA, seconds, variant=variant), scores={"contains": Score(score, "ratio", "higher")})


def test_the_front_is_said_and_what_it_beats_is_dim():
    records = [scored("eager", 1.0, 0.9), scored("onnx", 0.5, 0.9), scored("int8", 0.25, 0.8)]
    rows = table(records)
    assert rows[-2] == "  best of time and contains: int8, onnx; 1 dominated"
    colored = table(records, color=True)
    assert [row.startswith("\x1b[2m") for row in colored[3:6]] == [False, False, False]
    assert [row.split()[0].endswith("\x1b[2meager") for row in colored[3:6]] == [False, False, True]


def test_a_score_has_its_interval_beside_it_where_there_is_room():
    score = Score(0.75, "ratio", "higher", low=0.3006, high=0.9544)
    records = [replace(timed(LLAMA, 1.0, variant=name), scores={"contains": score}) for name in ("eager", "onnx")]
    wide = table(records, width=120)
    assert wide[1].endswith("95 %")
    assert any(row.endswith("0.750  0.301..0.954") for row in wide)
    title = next(row for row in wide if row.rstrip().endswith("contains"))
    assert len(title) == len(wide[1]) - len("0.301..0.954") - 2, "its name stands over the score"
    assert not any("0.301" in row for row in table(records, width=50))


def test_no_score_no_front():
    assert not [row for row in table([timed(variant="eager"), timed(variant="onnx")]) if "best of" in row]


def test_where_lines_are_short_the_front_goes_first():
    groups = [replace(scored(variant, 1.0, 0.9), bench=f"b.py::bench_{n}") for n in range(12) for variant in "ab"]
    rows = table(groups)
    assert len(rows) <= MOST_LINES
    assert not [row for row in rows if "best of" in row or "more bench" in row]


def test_columns_are_those_asked_for_in_their_order():
    rows = table([FULL], columns=["peak", "p95_seconds", "energy_joules", "score_contains", "mfu", "axis_n", "cold"])
    assert rows[1].split() == ["peak", "p95_seconds", "score_contains", "mfu", "axis_n", "cold"]
    assert re.match(r"  eager +1.00 GiB +290 ms +0.750 +20.0 % +8 +no  recompiled", rows[3])


def test_of_columns_asked_for_the_last_leave_a_narrow_terminal():
    asked = ["median", "p95_seconds", "itl_p50_seconds", "e2el_seconds"]
    shown = [table([FULL], width=width, columns=asked)[1].split() for width in (120, 90, 70, 50, 30)]
    assert [len(names) for names in shown] == sorted((len(names) for names in shown), reverse=True)
    assert all(names == asked[: len(names)] for names in shown)
    assert shown[0] == asked
    assert shown[-1] == ["median"]


def test_a_title_that_finds_no_room_beside_the_score_keeps_its_axes():
    records = [
        replace(one, axes=one.axes | {"batch_size": size}) for one in three() for size in ("200 of 8", "1000 of 8")
    ]
    titles = [row for row in table(records, width=56, columns=["median", "score"]) if row.startswith("generate")]
    assert titles == [f"generate, batch_size={size} of 8; score: contains" for size in (200, 1000)]


def test_the_counts_agree_with_pytests_where_the_gate_fails_benches():
    records = [timed(n="1"), timed(n="2"), ended("skipped", "no cuda", n="3")]
    assert lines(records, width=100, beyond=1, note="")[-1] == "1 passed, 1 failed by the gate, 1 skipped in 0 s."
    assert lines(records, width=100, beyond=2, note="")[-1] == "2 failed by the gate, 1 skipped in 0 s."
