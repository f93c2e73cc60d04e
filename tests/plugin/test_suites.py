"""The marks of our own benches select suites."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def collected(*arguments):
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "benches/", "--co", "-q", "--device", "cpu", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode in (0, 5), ran.stdout + ran.stderr
    return set(re.findall(r"^benches/\S+", ran.stdout, re.MULTILINE))


@pytest.fixture(scope="module")
def full():
    return collected("-m", "full")


@pytest.fixture(scope="module")
def quick():
    return collected("-m", "quick")


def test_the_quick_suite_leaves_out_what_marks_say(full, quick):
    assert quick < full
    assert "benches/bench_encoder.py::bench_embed[eager]" in quick
    assert "benches/bench_encoder.py::bench_embed[compiled]" in full - quick
    assert not any("compiled" in name and "bench_llama" in name for name in quick)


@pytest.mark.parametrize(
    ("mark", "file"),
    [("text", "encoder"), ("vision", "vision"), ("speech", "speech"), ("multimodal", "multimodal")],
)
def test_marks_combine(mark, file, quick):
    chosen = collected("-m", f"{mark} and quick")
    assert chosen <= quick
    assert any(f"bench_{file}.py" in name for name in chosen)
