"""Whatever a bench or a model is called: reports show it as text, and write only the files that were asked for."""

import json

import pytest

KINDS = {
    "csv": "rows.csv",
    "json": "report.json",
    "pytest-benchmark": "benchmark.json",
    "openmetrics": "benches.prom",
    "badge": "verdict.svg",
    "model-card": "card.md?model=../../../evil/model",
}
BENCHES = """
    import pytest

    @pytest.mark.parametrize("model", ["../../../evil/model", "<img src=x onerror=alert(1)>"])
    @pytest.mark.parametrize("path", ["../../evil.html", "/etc/evil", "a\\nb\\x1b[2J\\u202e"])
    def bench_names(model, path, measure):
        run = measure(sum, [1])
        run.score("exact_match", ["a"], ["a"])
"""


@pytest.fixture
def below(pytester):
    """A project three folders deep, so that what climbs out of it still lands where we look."""
    folder = pytester.mkdir("a") / "b" / "c"
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "bench_a.py").write_text("\n".join(line[4:] for line in BENCHES.splitlines()))
    return folder


def test_names_decide_no_file_and_are_markup_nowhere(pytester, below, monkeypatch):
    monkeypatch.chdir(below)
    places = [f"--bench-report={kind}:out/{place}" for kind, place in KINDS.items()]
    result = pytester.runpytest_subprocess("--bench-rounds=3", "bench_a.py", "--junitxml=out/junit.xml", *places)
    result.assert_outcomes(passed=6)
    written = {path.relative_to(pytester.path).as_posix() for path in pytester.path.rglob("*") if path.is_file()}
    theirs = ("a/b/c/reports/data/", "a/b/c/.pytest_cache/", "a/b/c/__pycache__/", "runpytest-", "stdout", "stderr")
    names = {place.partition("?")[0] for place in KINDS.values()} | {"junit.xml"}
    assert {path for path in written if not path.startswith(theirs)} == {
        "a/b/c/pytest.ini",
        "a/b/c/bench_a.py",
        "a/b/c/reports/.gitignore",
        "a/b/c/reports/modelbench.html",
        *(f"a/b/c/out/{name}" for name in names),
    }
    page = (below / "reports/modelbench.html").read_text()
    assert "<img src" not in page
    for name in ("card.md", "verdict.svg"):
        text = (below / "out" / name).read_text()
        assert "<img" not in text
        assert not {"\x1b", "\u202e"} & set(text)
    benches = json.loads((below / "out/report.json").read_text())["benches"]
    assert {bench["axes"]["model"] for bench in benches} == {"../../../evil/model", "<img src=x onerror=alert(1)>"}
    assert not {"\x1b", "\u202e"} & set(result.stdout.str())
