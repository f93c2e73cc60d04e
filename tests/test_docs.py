"""The manual names everything there is, leads nowhere that is not, and shows no code that does not run.

Pages of tutorial/ and how-to/ quote bench files: tests/examples/test_examples.py runs those and checks the quotes.
"""

import argparse
import ast
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
import typing
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest
from pyarrow import parquet

import pytest_modelbench
from pytest_modelbench import __main__ as commands
from pytest_modelbench import environment, errors, fixtures, hookspecs, options, plugin, record
from pytest_modelbench.catalog import BUILT_IN, Catalog
from pytest_modelbench.declare import EXTRAS
from pytest_modelbench.stores.parquet import Parquet
from pytest_modelbench.stores.parquet.layout import KINDS
from pytest_modelbench.tasks import TASKS
from pytest_modelbench.variants.compiled import MODES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "reports/README.md"])
REFERENCE = sorted(DOCS.glob("reference/*.md"))
#: Pages whose code is checked here; the other folders' by test_examples.py.
WITH_CODE = sorted([*REFERENCE, *DOCS.glob("explanation/**/*.md")])
#: Every Python block of this page is run on stored Records.
ON_RECORDS = DOCS / "reference/records.md"
PLACEHOLDERS = {"count": "count_<unit>", "score": "score_<metric>", "axis": "axis_<name>"}


def shown(page):
    return page.relative_to(ROOT).as_posix()


def code_spans(pages):
    """What stands between backticks, code blocks left out."""
    return " ".join(span for page in pages for span in re.findall(r"`([^`\n]+)`", without_blocks(page)))


def without_blocks(page):
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


class Options:
    """Stands for pytest's parser, and takes down what is declared."""

    def __init__(self):
        self.names = []

    def getgroup(self, *_):
        return self

    def addoption(self, *names, **_):
        self.names += names


def option_names():
    parser = Options()
    options.add_options(parser)
    return parser.names + [f"--{axis}" for axis in options.AXES]


def marks():
    tree = ast.parse(dedent(inspect.getsource(plugin.pytest_configure)))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [found[1] for text in texts if (found := re.match(r"(\w+)(\(.*\))?: ", text))]


def fixture_names():
    kind = type(pytest.fixture(lambda: None))
    return [name for name, thing in vars(fixtures).items() if isinstance(thing, kind)]


def error_names(root=errors.ModelbenchError):
    return [root.__name__, *(name for child in root.__subclasses__() for name in error_names(child))]


GOLDEN = record.from_dict(json.loads((ROOT / "tests/golden/record-v1.json").read_text()))


def command_options():
    """Of each command; `--help` is of all."""
    found = set()
    for name in commands.COMMANDS:
        parser = argparse.ArgumentParser(add_help=False)
        import_module(f"pytest_modelbench.commands.{name.replace('-', '_')}").add_arguments(parser)
        found |= {option for action in parser._actions for option in action.option_strings}
    return sorted(found)


def column_names(folder):
    Parquet(folder).append([GOLDEN])
    names = [name for file in folder.glob("*/*.parquet") for name in parquet.read_schema(file).names]
    return {PLACEHOLDERS.get(name.partition("_")[0], name) for name in names}


THERE_IS = {
    "option": option_names(),
    "mark": marks(),
    "fixture": fixture_names(),
    "hook": [name for name in vars(hookspecs) if name.startswith("pytest_")],
    **{kind: list(names) for kind, names in BUILT_IN.items()},
    "mode": list(MODES),
    "command": list(commands.COMMANDS),
    "option of a command": command_options(),
    "task": [task.name for task in TASKS],
    "public name": list(pytest_modelbench.__all__),
    "caveat": list(record.CAVEATS),
    "outcome": list(record.OUTCOMES),
    "end of rounds": list(typing.get_args(typing.get_type_hints(record.Timing)["stopped_by"])),
    "kind of a raw number": KINDS,
    "error": error_names(),
    "variable": [*environment.THREAD_VARIABLES, *environment.VARIABLES, *environment.BRANCH_VARIABLES],
}


@pytest.mark.parametrize("kind", THERE_IS)
def test_reference_names(kind):
    assert THERE_IS[kind], f"found no {kind}: look at how this test looks for them"
    text = code_spans(REFERENCE)
    unnamed = [name for name in THERE_IS[kind] if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]
    assert not unnamed, f"docs/reference says nothing of {kind} {', '.join(unnamed)}"


def test_reference_has_each_column(tmp_path):
    first_cells = re.findall(r"^\| (`.*?) \|", ON_RECORDS.read_text(), re.MULTILINE)
    assert column_names(tmp_path) <= {name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}


def test_each_room_is_in_the_picture_of_the_house():
    package = Path(pytest_modelbench.__file__).parent
    rooms = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    rooms |= {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert rooms <= set(re.findall(r"`([^`\n]+)`", without_blocks(DOCS / "explanation/architecture.md")))


def test_the_tables_of_metrics_say_what_each_declares():
    found = {}
    for line in (DOCS / "reference/metrics.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].strip("`") in BUILT_IN["metric"]:
            found[cells[0].strip("`")] = tuple(cells[1:4])
    for name in BUILT_IN["metric"]:
        metric = Catalog().metric(name)
        needs = ", ".join(f"`{library}`" for library in metric.requires) or "nothing"
        assert found.get(name) == (metric.unit, metric.direction, needs), name


def test_each_library_that_something_needs_is_in_an_extra_of_ours():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for library, package in EXTRAS.items():
        if match := re.fullmatch(r"pytest-modelbench\[(.+)\]", package):
            assert match[1] in extras, library


def test_the_index_has_each_page():
    index = DOCS / "README.md"
    listed = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#]+)\)", index.read_text())}
    assert set(DOCS.rglob("*.md")) - {index} <= listed


def anchors(page):
    """Of each heading: lower case, without punctuation, hyphens for spaces, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_each_link_leads_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)", without_blocks(page)):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{shown(page)} links to {target}"
        assert not anchor or anchor in anchors(file), f"{shown(page)} links to #{anchor}, which {file.name} has not"


@pytest.mark.parametrize("page", WITH_CODE, ids=shown)
def test_each_option_that_is_shown_exists(page):
    ours = r"--(?:bench-[a-z-]+|device|model|variant|dataset)\b"
    assert set(re.findall(ours, page.read_text())) <= set(option_names())


def files_in(page):
    """Blocks that begin with the name of a file, by that name."""
    named = [(re.match(r"# (\w+\.py)\n", block), block) for block in blocks(page, "python")]
    return {name[1]: block for name, block in named if name}


@pytest.mark.parametrize("page", WITH_CODE, ids=shown)
def test_each_python_block_is_quoted_or_run(page):
    sources = [path.read_text() for path in (*ROOT.glob("tests/examples/*.py"), *ROOT.glob("benches/*.py"))]
    run = blocks(page, "python") if page == ON_RECORDS else files_in(page).values()
    for block in set(blocks(page, "python")) - set(run):
        quoted = any(block.strip() in source for source in sources)
        assert quoted, f"{shown(page)} shows code that nothing runs:\n{block}"


@pytest.mark.parametrize("page", [page for page in WITH_CODE if files_in(page)], ids=shown)
def test_files_that_a_page_shows_run_as_it_says(page, tmp_path):
    for name, text in files_in(page).items():
        (tmp_path / name).write_text(text)
    says = [line for block in blocks(page, "console") for line in re.findall(r"^\$ pytest (.*)$", block, re.MULTILINE)]
    commands = [line.split() for line in says if line.split()[0] in files_in(page)]
    assert commands, f"{shown(page)} shows files and no command that runs them"
    # a temporary folder of its own has leases of its own: no waiting for other sessions
    own = os.environ | {"TMPDIR": str(tmp_path)}
    for command in commands:
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", *command, "--bench-rounds=3", "-p", "no:cacheprovider"],
            cwd=tmp_path, env=own, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        for place in re.findall(r"\w+:(\S+)", " ".join(command)):
            assert (tmp_path / place).exists()
        stored = parquet.read_table(tmp_path / "reports/data/samples")
        assert "load_average" in stored["name"].to_pylist()


@pytest.mark.parametrize("block", blocks(ON_RECORDS, "python"), ids=lambda block: block.split()[1])
def test_records_are_read_as_the_page_says(block, tmp_path, monkeypatch):
    for name in re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE):
        pytest.importorskip(name)
    # the file of the earlier session comes first, and lacks columns
    earlier = replace(GOLDEN, session="earlier", started_utc="2025-12-31T10:02:00Z", counts={}, scores={})
    Parquet(tmp_path / "reports/data").append([GOLDEN, earlier])
    monkeypatch.chdir(tmp_path)
    *statements, last = ast.parse(block).body
    scope = {}
    exec(compile(ast.Module(statements, []), ON_RECORDS.name, "exec"), scope)
    if isinstance(last, ast.Expr):
        answer = eval(compile(ast.Expression(last.value), ON_RECORDS.name, "eval"), scope)
        assert answer is None or answer.fetchall()  # DuckDB asks nothing before somebody looks
    else:
        exec(compile(ast.Module([last], []), ON_RECORDS.name, "exec"), scope)
