"""A hostile name is text in every report, and names no file."""

from pathlib import Path

EVIL = "<img src=x onerror=alert(1)>"
UP = "../" * 12 + "outside"

BENCH = f"""
    import pytest

    @pytest.mark.parametrize("prompt", [{EVIL!r}, {UP!r}])
    def bench_evil(prompt, measure):
        run = measure(len, prompt)
        run.count(**{{prompt: 1}})
        run.score("exact_match", [prompt], [prompt])

    @pytest.mark.models({UP!r})
    def bench_model(model, measure): ...
"""


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_names_are_text_and_write_nothing_outside_the_reports(pytester):
    (pytester.path / "deep/deeper").mkdir(parents=True)
    pytester.path.joinpath("deep/deeper/bench_evil.py").write_text("\n".join(line[4:] for line in BENCH.splitlines()))
    pytester.path.joinpath("deep/deeper/pytest.ini").write_text("[pytest]\n")
    before = files(pytester.path)
    result = pytester.runpytest("deep/deeper", "--rootdir", "deep/deeper", "--bench-rounds", "3", "-q")
    result.assert_outcomes(passed=2, errors=1)  # there is no such model
    written = {path for path in files(pytester.path) - before if not {"__pycache__", ".pytest_cache"} & set(path.parts)}
    assert written
    assert {path.relative_to(pytester.path).parts[:3] for path in written} == {("deep", "deeper", "reports")}
    assert not [path for path in written if "outside" in path.name or "img" in path.name]
    page = (pytester.path / "deep/deeper/reports/modelbench.html").read_text()
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert UP in page
