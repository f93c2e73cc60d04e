"""Who may import whom, and what loading the plugin costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_modelbench

PACKAGE = Path(pytest_modelbench.__file__).parent
HEAVY = {"torch", "transformers", "numpy", "pyarrow", "jinja2", "rich", "onnxruntime", "onnx", "datasets", "evaluate",
         "pynvml", "psutil", "filelock", "duckdb", "accelerate", "gguf", "tokenizers", "safetensors",
         "bitsandbytes", "torchao", "openvino", "kernels", "onnxruntime_genai", "tensorflow", "keras",
         "ai_edge_litert"}  # fmt: skip
#: The pytest skin.
SKIN = {"plugin", "options", "collect", "fixtures", "recording", "accounts", "progress", "session", "hookspecs",
        "isolation", "inside", "judging", "agreement", "against", "pairing", "playing"}  # fmt: skip
#: Known to everyone; the standard library and each other only.
WORDS = {"errors", "record", "quantity", "declare", "settings", "source", "stats", "summary", "generation", "model",
         "catalog", "choice", "phases", "files", "cache", "groups", "pareto", "paired", "svg", "detail", "provenance",
         "cost", "energy", "datasheet", "caveats", "verdict", "results", "places", "markup", "said", "likelihood",
         "properties", "scores", "impact", "forward", "ports", "weights", "parity", "changepoints"}  # fmt: skip
#: `models` and `datasets` are rooms of several files that read one thing together; in the others each file is a choice.
LEAVES = {"variants", "metrics", "samplers", "stores", "reports", "importers"}


def imports(path):
    """(module, whether at the top level) of each import in a file; ours are written `.room.file`."""
    tree = ast.parse(path.read_text())
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    top = set(tree.body)
    for node in ast.walk(tree):
        if node in guarded:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in top
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(PACKAGE).parts[:-1]
            if node.level:
                base = [*package[: len(package) - node.level + 1], *((node.module or "").split("."))]
                names = [alias.name for alias in node.names] if not node.module else [""]
                for name in names:
                    yield "." + ".".join(part for part in (*base, name) if part), node in top
            else:
                yield node.module or "", node in top


FILES = sorted(PACKAGE.rglob("*.py"))


def room(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_heavy_library_at_the_top_of_a_file(path):
    heavy = {name for name, top in imports(path) if top and name.split(".")[0] in HEAVY}
    assert not heavy


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_pytest_stays_in_the_skin(path):
    if room(path) not in SKIN:
        assert "pytest" not in {name.split(".")[0] for name, _ in imports(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_arrows_go_down(path):
    mine = {name.split(".")[1] for name, _ in imports(path) if name.startswith(".") and len(name) > 1}
    here = room(path)
    if here in WORDS:
        assert mine <= WORDS
    elif here in LEAVES:
        assert not (mine & (SKIN | LEAVES) - {here})
    if here not in SKIN and here != "__init__":
        assert not mine & SKIN


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_files_of_one_folder_do_not_import_each_other(leaf):
    for path in (PACKAGE / leaf).glob("*.py"):
        siblings = {name for name, _ in imports(path) if name.startswith(f".{leaf}.")}
        assert path.name == "__init__.py" or not siblings, f"{path.name} imports {siblings}"


def test_every_room_has_its_place():
    known = SKIN | WORDS | LEAVES | {"__init__", "__main__"}
    path_and_readers = {
        "device",
        "tasks",
        "datasets",
        "measure",
        "run",
        "rounds",
        "memory",
        "canary",
        "compiler",
        "cold",
        "quiet",
        "child",
        "conduct",
        "gate",
        "journal",
        "environment",
        "models",
        "exports",
        "providers",
        "tensorflow",
        "trial",
        "parallel",
        "commands",
        "ci",
    }
    assert {room(path) for path in FILES} - known == path_and_readers


def test_loading_the_plugin_brings_in_nothing_heavy():
    code = "import sys, pytest_modelbench.plugin; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {name.split(".")[0] for name in out.split()} & HEAVY


def test_collecting_benches_brings_in_nothing_heavy(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest

        @pytest.mark.models("package:nothing", "random:llama-tiny")
        @pytest.mark.variants("eager", "compiled", "onnx")
        @pytest.mark.datasets("package:countryinfo#capitals")
        def bench_a(model, dataset, measure): ...
        """,
        conftest=f"""
        import sys
        def pytest_collection_finish(session):
            print("HEAVY", *sorted({{name.split(".")[0] for name in sys.modules}} & {HEAVY!r}))
        """,
    )
    result = pytester.runpytest_subprocess("--collect-only", "-q", "-s", "-p", "no:codspeed")  # it loads rich
    result.stdout.fnmatch_lines(["*6 tests collected*"])
    assert "HEAVY\n" in result.stdout.str() + "\n"
