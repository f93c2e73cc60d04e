"""What other tools wrote, as Records.

The files in imports/ are made after each tool's documentation; lm-eval's it wrote itself, shortened. pytest-benchmark
writes its own here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
from records import timed

from pytest_modelbench.__main__ import main
from pytest_modelbench.detail import charts
from pytest_modelbench.errors import StoreError, UnknownName
from pytest_modelbench.groups import side_by_side
from pytest_modelbench.importers import TOOLS, records_of
from pytest_modelbench.record import from_dict, to_dict
from pytest_modelbench.reports.pytest_benchmark import pytest_benchmark
from pytest_modelbench.results import Results
from pytest_modelbench.stores.parquet import Parquet
from pytest_modelbench.summary import row

FILES = sorted((Path(__file__).parent / "imports").iterdir())


def one(name):
    (record,) = records_of(Path(__file__).parent / "imports" / name)
    return record


def changed(tmp_path, name, change):
    """The file with a change to its content."""
    content = json.loads((Path(__file__).parent / "imports" / name).read_text())
    change(content)
    file = tmp_path / name
    file.write_text(json.dumps(content))
    return file


# -- all of them


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_is_known_by_what_is_in_it_and_says_whose_it_is(file):
    tool = next(tool for tool in TOOLS if file.name.startswith(tool))
    for record in records_of(file):
        assert record.imported.startswith(tool)
        assert record.bench.startswith(f"{tool}::")
        assert record.environment["fingerprint"].startswith("imported-")
        assert record.notes[-1] == f"imported from {file.name}"
        assert f"imported from {record.imported}" in side_by_side([record])[0].rows[0].kinds
        assert row(record)["imported"] == record.imported
        assert from_dict(to_dict(record)) == record


def test_each_tool_has_a_file():
    files = {file.name for file in FILES} | {"pytest-benchmark"}
    assert all(any(name.startswith(tool) for name in files) for tool in TOOLS)


def test_the_same_file_is_the_same_session(tmp_path):
    file = shutil.copy(FILES[0], tmp_path / "again.json")
    assert records_of(FILES[0])[0].session == records_of(Path(file))[0].session
    other = changed(tmp_path, "llama-bench.json", lambda rows: rows.pop())
    assert records_of(other)[0].session != records_of(FILES[0])[0].session


def test_a_machine_is_never_one_of_ours_but_its_own(tmp_path):
    other = changed(tmp_path, "llama-bench.json", lambda rows: rows[0].update(gpu_info="NVIDIA H100"))
    first, second, _ = records_of(other)
    assert first.environment["fingerprint"] != second.environment["fingerprint"]
    assert timed().environment["fingerprint"] not in (first.environment["fingerprint"],)


# -- one by one


def test_llama_bench():
    prompt, new, deep = records_of(Path(__file__).parent / "imports/llama-bench.json")
    assert [record.bench for record in (prompt, new, deep)] == [
        "llama-bench::pp512", "llama-bench::tg128", "llama-bench::tg128@d4096"
    ]  # fmt: skip
    assert row(new)["tokens_per_second"] == pytest.approx(131.4, abs=0.1)
    assert (new.imported, new.started_utc) == ("llama-bench b6122 (cd1fce6d4)", "2025-08-09T10:41:12Z")
    assert (new.axes["model"], new.axes["device"], new.axes["n_gpu_layers"]) == ("ggml-model-q4_0.gguf", "CUDA", "99")
    assert (new.model.parameters, new.model.weight_bytes) == (6738415616, 3825065984)
    assert row(new)["gpu_name"] == "NVIDIA GeForce RTX 3090"
    assert len(prompt.timing.rounds_seconds) == 5


def test_llama_bench_as_lines(tmp_path):
    rows = json.loads((Path(__file__).parent / "imports/llama-bench.json").read_text())
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(found) + "\n" for found in rows))
    assert records_of(file)[0].bench == "llama-bench::pp512"


def test_vllm_serve():
    record = one("vllm-serve.json")
    columns = row(record)
    assert (columns["tokens_per_second"], columns["median_seconds"]) == (4.8, 2.5)
    assert columns["ttft_seconds"] == 0.055
    assert columns["tpot_seconds"] == pytest.approx(0.011, rel=0.02)
    assert columns["itl_p50_seconds"] == 0.011
    assert record.tokens.e2el_seconds == (0.093, 0.093, 0.08)
    assert record.axes["model"] == "meta-llama/Llama-3.2-1B-Instruct"
    assert record.notes[0] == "1 request failed"
    assert record.started_utc == "2026-01-31T10:02:00Z"


def test_vllm_serve_without_detail_has_no_token_times(tmp_path):
    file = changed(tmp_path, "vllm-serve.json", lambda found: [found.pop(key) for key in ("ttfts", "itls")])
    (record,) = records_of(file)
    assert record.tokens is None
    assert any("--save-detailed" in note for note in record.notes)


#: Several tokens a chunk: 9, 7 and 6 tokens came in 5, 4 and 3 chunks.
CHUNKED = (0.043 / 8, 0.033 / 6, 0.025 / 5)


def test_chunks_of_several_tokens_are_not_taken_for_tokens(tmp_path):
    (record,) = records_of(changed(tmp_path, "vllm-serve.json", lambda found: found.update(output_lens=[9, 7, 6, 0])))
    columns = row(record)
    assert columns["itl_p50_seconds"] is columns["itl_p95_seconds"] is None
    assert columns["tpot_seconds"] == pytest.approx(median(CHUNKED))
    assert columns["decode_tokens_per_second"] == pytest.approx(1 / median(CHUNKED))
    assert columns["new_tokens"] == 6
    assert [chart.title for chart in charts(record)] == ["Rounds", "Gaps between chunks, of one token or several"]
    assert from_dict(to_dict(record)) == record


def test_chunks_of_nobody_knows_how_many_tokens_give_no_rate(tmp_path):
    (record,) = records_of(changed(tmp_path, "vllm-serve.json", lambda found: found.pop("output_lens")))
    columns = row(record)
    unknown = ("itl_p50_seconds", "tpot_seconds", "decode_tokens_per_second", "new_tokens")
    assert [columns[name] for name in unknown] == [None] * 4
    assert columns["ttft_seconds"] == 0.055


def test_chunks_of_aiperf(tmp_path):
    lines = (
        (Path(__file__).parent / "imports/aiperf.jsonl").read_text().replace('{"value": 5, "unit": "tokens"}', "null")
    )
    file = tmp_path / "profile_export.jsonl"
    file.write_text(lines.replace('{"value": 4, "unit": "tokens"}', '{"value": 7, "unit": "tokens"}'))
    (record,) = records_of(file)
    assert row(record)["tpot_seconds"] == pytest.approx((0.2709 - 0.2559) / 6)
    assert row(record)["itl_p50_seconds"] is None


def test_vllm_latency_and_throughput():
    assert one("vllm-latency.json").timing.rounds_seconds == (0.50, 0.51, 0.52)
    assert row(one("vllm-throughput.json"))["tokens_per_second"] == 4096.0


def test_aiperf_requests():
    record = one("aiperf.jsonl")
    assert record.tokens.ttft_seconds == pytest.approx((0.2559, 0.12))
    assert record.tokens.itl_seconds[0] == pytest.approx((0.0049, 0.0053, 0.0048))
    assert record.counts == {"requests": 2.0, "tokens": 9.0}
    assert record.notes[0] == "1 request failed"
    assert record.timing.rounds_seconds[0] == pytest.approx(0.2709, abs=1e-3)


def test_one_request_of_aiperf(tmp_path):
    line = (Path(__file__).parent / "imports/aiperf.jsonl").read_text().splitlines()[1]
    file = tmp_path / "profile_export.jsonl"
    file.write_text(line + "\n")
    (record,) = records_of(file)
    assert record.counts == {"requests": 1.0, "tokens": 4.0}


def test_aiperf_of_a_version_with_another_configuration(tmp_path):
    def change(found):
        found["input_config"] = {"phases": {"profiling": {"concurrency": 40}}}
        found["run_info"] = {"variation_label": "concurrency_40"}
        del found["benchmark_duration"]

    (record,) = records_of(changed(tmp_path, "aiperf.json", change))
    assert record.axes == {"id": "concurrency_40"}
    assert record.timing.rounds_seconds == (4.0,)


def test_aiperf_summary():
    record = one("aiperf.json")
    assert row(record)["tokens_per_second"] == 512.0
    assert record.tokens is None
    assert (record.axes["model"], record.axes["concurrency"]) == ("Qwen/Qwen3-0.6B", "8")
    assert any("profile_export.jsonl" in note for note in record.notes)


def test_lm_eval():
    record = one("lm-eval.json")
    score = record.scores["acc"]
    assert (score.value, score.standard_error, score.unit, score.direction) == (0.75, 0.25, "ratio", "higher")
    assert (record.dataset.source, record.dataset.n, record.dataset.revision) == ("lm-eval:capitals_of_four", 4, "1.0")
    assert (record.axes["model"], record.axes["shots"]) == ("dummy", "0")
    assert record.timing is None


def test_lm_eval_metrics_have_their_direction_and_their_filter(tmp_path):
    def change(found):
        found["results"]["capitals_of_four"] |= {"word_perplexity,none": 12.5, "exact_match,strict-match": 0.5}
        found["higher_is_better"]["capitals_of_four"]["word_perplexity"] = False
        found["config"]["model_args"] = "pretrained=org/name,dtype=float32"

    (record,) = records_of(changed(tmp_path, "lm-eval.json", change))
    assert (record.scores["word_perplexity"].direction, record.scores["word_perplexity"].unit) == (
        "lower",
        "perplexity",
    )
    assert "exact_match,strict-match" in record.scores
    assert record.axes["model"] == "org/name"


def test_optimum_benchmark(tmp_path):
    records = {record.bench: record for record in records_of(Path(__file__).parent / "imports/optimum-benchmark.json")}
    decode = records["optimum-benchmark::decode"]
    assert set(records) == {f"optimum-benchmark::{part}" for part in ("load_model", "prefill", "decode", "per_token")}
    assert decode.counts == {"tokens": 62.0}
    assert row(decode)["peak_memory_bytes"] == 6499070000
    assert (decode.axes["batch_size"], decode.axes["device"]) == ("2", "cuda")
    assert row(decode)["gpu_name"] == "NVIDIA A10G"
    content = json.loads((Path(__file__).parent / "imports/optimum-benchmark.json").read_text())["report"]
    alone = tmp_path / "benchmark_report.json"
    alone.write_text(json.dumps(content))
    assert len(records_of(alone)) == 4


@pytest.fixture(scope="module")
def pytest_benchmarks(tmp_path_factory):
    """Files that pytest-benchmark wrote: with its rounds, and without."""
    folder = tmp_path_factory.mktemp("pytest-benchmark")
    (folder / "test_a.py").write_text(
        "import pytest\n@pytest.mark.parametrize('n', [10, 20])\ndef test_sum(benchmark, n): benchmark(sum, range(n))\n"
    )
    subprocess.run(
        [sys.executable, "-m", "pytest", "test_a.py", "-q", "-p", "no:modelbench", "-p", "no:codspeed",
         "--benchmark-max-time=0.01", "--benchmark-min-rounds=5", "--benchmark-json=whole.json",
         "--benchmark-save=short", "--benchmark-storage=saved"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    (saved,) = (folder / "saved").rglob("*.json")
    return folder / "whole.json", saved


def test_pytest_benchmark(pytest_benchmarks):
    whole, short = pytest_benchmarks
    content = json.loads(whole.read_text())
    for record, bench in zip(records_of(whole), content["benchmarks"], strict=True):
        assert list(record.timing.rounds_seconds) == bench["stats"]["data"]
        assert record.axes == {"n": str(bench["params"]["n"])}
        assert record.bench == "pytest-benchmark::test_a.py::test_sum"
    for record, bench in zip(records_of(short), json.loads(short.read_text())["benchmarks"], strict=True):
        assert record.timing.rounds_seconds == pytest.approx((bench["stats"]["mean"],))
        assert record.timing.loops == bench["stats"]["rounds"] * bench["stats"]["iterations"]
        assert "the time is the mean of" in record.notes[0]


def test_what_our_own_report_wrote_comes_back(tmp_path):
    file = pytest_benchmark(Results([timed(variant="eager")]), tmp_path / "ours.json")
    (record,) = records_of(file)
    assert record.timing.rounds_seconds == timed().timing.rounds_seconds
    assert record.key != timed(variant="eager").key


# -- what cannot be mapped


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not JSON", "is neither JSON nor JSON lines"),
        ("{}", "is of no tool that is known"),
        ("[]", "is of no tool that is known"),
        ('{"benchmarks": [], "machine_info": {}}', "has no result of pytest-benchmark in it"),
        ('{"benchmarks": [{}], "machine_info": {}}', "is not as pytest-benchmark writes it: it has no 'stats'"),
        ('[{"samples_ns": [], "n_prompt": 1, "n_gen": 0, "model_filename": "a"}]', "its times are not seconds"),
        ('[{"samples_ns": [-1], "n_prompt": 1, "n_gen": 0, "model_filename": "a"}]', "its times are not seconds"),
        ('{"duration": 1, "completed": 0, "request_throughput": 0}', "no request was completed"),
        ('{"avg_latency": 1, "latencies": ["fast"]}', "is not as vllm writes it"),
        ('{"a": {"latency": {"unit": "ms", "values": [1]}, "memory": {}}}', "are in 'ms', not in s"),
    ],
)
def test_a_file_that_cannot_be_mapped_is_named(text, said, tmp_path):
    file = tmp_path / "strange.json"
    file.write_text(text)
    with pytest.raises(StoreError) as error:
        records_of(file)
    assert str(error.value).startswith(str(file))
    assert said in str(error.value)


def test_a_file_that_is_not_there_and_a_tool_that_is_none(tmp_path):
    with pytest.raises(StoreError, match=r"cannot read .*nothing\.json: No such file"):
        records_of(tmp_path / "nothing.json")
    with pytest.raises(UnknownName, match="did you mean 'llama-bench'"):
        records_of(FILES[0], "lama-bench")
    with pytest.raises(StoreError, match="is not as lm-eval writes it"):
        records_of(Path(__file__).parent / "imports/llama-bench.json", "lm-eval")


# -- the command


def test_files_become_records_of_a_store_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files = [shutil.copy(file, tmp_path) for file in FILES]
    assert main(["import", *files, "--store", "got"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(
        "3 Records of llama-bench b6122 (cd1fce6d4) from" in line and line.endswith("into got") for line in lines
    )
    for file in files:  # a later time of the same bytes makes no other Records
        os.utime(file, (1, 1))
    assert main(["import", *files, "--store", "got"]) == 0
    assert all("is in got already, as session import-" in line for line in capsys.readouterr().out.splitlines())
    records = list(Parquet("got").records())
    assert len(records) == sum(len(records_of(file)) for file in FILES)
    assert main(["list", "got", "--last", "0"]) == 0
    out = capsys.readouterr().out
    assert "imported from llama-bench" in out
    assert main(["show", "--store", "got", records[0].record_id]) == 0
    assert "Repeat it" not in capsys.readouterr().out
    assert main(["report", "got", "--to", "page.html"]) == 0
    assert "imported from" in Path("page.html").read_text()


def test_one_bad_file_stores_nothing(tmp_path, capsys):
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    assert main(["import", str(FILES[0]), str(bad), "--store", str(tmp_path / "got")]) == 2
    assert f"modelbench import: {bad} is of no tool that is known" in capsys.readouterr().err
    assert not (tmp_path / "got").exists()
