"""`modelbench export`, `models` and `variants`."""

import json
import stat

import pytest

from pytest_modelbench.__main__ import main

pytest.importorskip("transformers")
pytest.importorskip("onnxscript")

SMALL = "random:bert?num_hidden_layers=1&hidden_size=32&num_attention_heads=2&intermediate_size=32"


@pytest.fixture(scope="module", autouse=True)
def own_cache(exports_cache):
    pass


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # leases of our own: no waiting for other sessions
    return tmp_path


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint of the encoder that other tests export too."""
    from stand_in import CPU, settings

    from pytest_modelbench.models import open_model
    from pytest_modelbench.source import parse

    folder = tmp_path_factory.mktemp("models") / "tiny"
    model = open_model(parse("random:bert-tiny"), CPU, settings())
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def said(capsys, *arguments, status=0):
    assert main(arguments) == status
    return capsys.readouterr().out


def refused(capsys, *arguments):
    assert main(arguments) == 2
    return capsys.readouterr().err


def test_a_file_with_its_axes_open_and_how_near_it_is(capsys, here):
    import onnxruntime

    out = said(capsys, "export", "random:bert-tiny", "--output", "tiny.onnx", "--max-length", "40")
    assert "random:bert-tiny: embedding (its architecture BertModel is" in out
    assert "onnx: tiny.onnx, " in out
    assert "opset 20: input_ids (" in out
    assert "cosine 1" in out
    assert stat.S_IMODE((here / "tiny.onnx.data").stat().st_mode) == stat.S_IMODE((here / "tiny.onnx").stat().st_mode)
    session = onnxruntime.InferenceSession(here / "tiny.onnx")  # finds its weights under the new name
    assert not any(isinstance(size, int) for entry in session.get_inputs() for size in entry.shape)
    again = said(capsys, "export", "random:bert-tiny", "--output", "tiny.onnx")  # over the first
    assert again.splitlines()[1] == out.splitlines()[1]


def test_an_opset_that_is_not_honoured_is_said(capsys):
    out = said(capsys, "export", SMALL, "--opset", "14", "--output", "small.onnx")
    assert "opset 18: input_ids" in out
    assert "opset 14 was not honoured: torch's exporter wrote 18" in out


def test_beyond_the_limit_is_a_status_of_one(capsys):
    out = said(capsys, "export", "random:bert-tiny", "--to", "ort-int8", "--cosine", "0.99999999", status=1)
    assert "is under the limit 1" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["random:mamba?hidden_size=32&num_hidden_layers=1&vocab_size=300&state_size=4"],
            "as llama's, qwen2's or gpt2's",
        ),
        (["random:bert-tiny", "--to", "onnx-genai", "--opset", "18"], "--opset is of ONNX files"),
        (["random:bert-tiny", "--output", "not/there.onnx"], "there is no folder not"),
        (["random:bert-tiny", "--dtype", "bf16"], "use fp32 or fp16"),
        (["./not-there"], "is not there: no file or folder"),
        (["random:birt-tiny"], "unknown architecture 'birt-tiny'"),
    ],
)
def test_what_cannot_be_exported_says_why(capsys, arguments, says):
    assert says in refused(capsys, "export", *arguments)


def test_damaged_weights_are_named(capsys, saved, here):
    (here / "damaged").mkdir()
    for path in saved.iterdir():
        (here / "damaged" / path.name).write_bytes(path.read_bytes()[: 5000 if path.suffix == ".safetensors" else None])
    assert "truncated or damaged" in refused(capsys, "export", "./damaged")


def test_a_models_own_code_is_refused_until_named(capsys, saved, here):
    (here / "own").mkdir()
    for path in saved.iterdir():
        (here / "own" / path.name).write_bytes(path.read_bytes())
    config = json.loads((here / "own/config.json").read_text())
    (here / "own/config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "own.Own"}}))
    assert "brings its own Python code" in refused(capsys, "export", "./own")


def test_models_that_are_here(capsys, saved):
    out = said(capsys, "models", str(saved.parent))
    assert f"in {saved.parent}:" in out
    assert f"  {saved}  embedding  " in out
    assert "in the hub's cache:" in out
    assert "random:llama-tiny" in out


def test_models_of_packages(capsys, tmp_path, monkeypatch, saved):
    package = tmp_path / "site" / "some_weights"
    package.mkdir(parents=True)
    information = tmp_path / "site" / "some_weights-1.0.dist-info"
    information.mkdir()
    files = ["some_weights/model/config.json", "some_weights/model/model.safetensors"]
    (package / "model").mkdir()
    for name in files:
        (tmp_path / "site" / name).write_bytes((saved / name.rpartition("/")[2]).read_bytes())
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: some-weights\nVersion: 1.0\n")
    (information / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    monkeypatch.syspath_prepend(tmp_path / "site")
    line = next(line for line in said(capsys, "models").splitlines() if "package:some" in line)
    assert line.split()[:2] == ["package:some_weights", "embedding"]


def test_models_of_no_folder(capsys):
    assert "not-there is no folder" in refused(capsys, "models", "not-there")


def test_variants_are_tried_and_each_says_what_became_of_it(capsys, here):
    arguments = ["--only", "eager,fp16,static,flex_attention", "--markdown", "table.md"]
    out = said(capsys, "variants", "random:llama-tiny", "random:bert-tiny", *arguments)
    assert "random:llama-tiny  eager  runs  1.000000, 0e+00, 100% of tokens" in out
    assert "random:bert-tiny  static  skipped: variant 'static' does not know how to run the task embedding" in out
    table = (here / "table.md").read_text()
    assert "CPU: torch " in table
    assert "| `eager` | 1.000000, 0e+00, 100% of tokens | 1.000000, 0e+00 |" in table
    assert "| `flex_attention` | skipped | skipped |" in table
    assert table.count("- `flex_attention`, skipped: ") == 1


def test_a_variant_that_falls_back_is_a_status_of_one(capsys):
    pytest.importorskip("kernels")
    out = said(capsys, "variants", "random:llama-tiny", "--only", "kernelized", status=1)
    assert "kernelized  fallback: asked for kernelized, plain torch would run" in out


def test_a_misspelt_variant_is_told_before_any_is_tried(capsys):
    assert "did you mean 'eager'" in refused(capsys, "variants", "random:llama-tiny", "--only", "eger")
