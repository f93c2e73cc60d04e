"""The page: one file, nothing from outside, names are data."""

import base64
import hashlib
import os
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from records import FULL, ended, timed

import pytest_modelbench.reports.html
from pytest_modelbench.catalog import Catalog
from pytest_modelbench.errors import StoreError
from pytest_modelbench.record import Caveat, Timing
from pytest_modelbench.reports.html import AIR, html
from pytest_modelbench.reports.html.opened import MOST_CHARACTERS
from pytest_modelbench.results import Results

EVIL = "<img src=x onerror=alert(1)>"


def page(records, tmp_path) -> str:
    return html(Results(records), tmp_path / "report.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_catalog_finds_the_report(tmp_path):
    assert Catalog().find("report", "html")(Results([FULL]), tmp_path / "r.html").exists()


def test_nothing_comes_from_outside_and_no_attribute_is_style_or_script(tmp_path):
    text = page([FULL, ended("failed", "boom")], tmp_path)
    for tag, attributes in Tags(text).tags:
        assert tag not in {"link", "img", "iframe", "object", "base", "form"}
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")
        assert "src" not in attributes
    assert "https://" not in text
    assert set(re.findall(r"http://[^\s\"<]*", text)) == {"http://www.w3.org/2000/svg"}  # the name of a namespace


def test_the_policy_allows_exactly_the_style_and_script_of_the_page(tmp_path):
    text = page([FULL], tmp_path)

    def digest(tag):
        found = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert found
        return "sha256-" + base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()

    policy = (
        f"default-src 'none'; script-src '{digest('script')}'; style-src '{digest('style')}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in text
    assert text.index("Content-Security-Policy") < text.index("<style")


def test_what_is_taken_out_of_the_script_is_no_text():
    code = (Path(pytest_modelbench.reports.html.__file__).parent / "page.js").read_text()
    texts = re.findall(r'"[^"\n]*"|`[^`]*`', re.sub(r"/[^/\n]+/[gsm]*[,).]|(^| )// .*", "", code, flags=re.MULTILINE))
    assert len(texts) > 200
    for text in texts:
        shown = re.sub(r"\$\{[^}]*\}", "", text)
        assert not re.search(AIR, shown), text
        assert "// " not in shown, text


def test_every_name_is_escaped(tmp_path):
    evil = replace(
        FULL,
        bench=f"b.py::bench_{EVIL}",
        axes={"variant": EVIL, "model": EVIL + "\u202e", "n": EVIL},
        nodeid=EVIL,
        session=EVIL,
        caveats=(Caveat("unstable", EVIL),),
        notes=(EVIL,),
        counts={EVIL: 1.0},
        scores={EVIL: FULL.scores["contains"]},
        samples=tuple(replace(series, sampler=EVIL, name=EVIL, unit=EVIL) for series in FULL.samples),
        model=replace(FULL.model, source=EVIL, details={EVIL: EVIL}),
        environment={EVIL: {EVIL: EVIL}, "git": {"commit": EVIL, "branch": EVIL}},
    )
    text = page([evil, replace(evil, outcome="failed", reason=EVIL, axes={"variant": "b"})], tmp_path)
    assert "<img" not in text
    assert "\u202e" not in text
    assert "\\u202e" in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_the_headline_says_what_happened(tmp_path):
    def headline(*records):
        found = re.search(r"<h1>(.*?)</h1>", page(records, tmp_path))
        assert found
        return re.sub("<.*?>", "", found[1])

    assert headline() == "No bench ran"
    assert headline(FULL) == "1 bench ran, all passed"
    assert headline(FULL, timed(), ended("failed")) == "1 of 3 benches did not pass"
    assert headline(FULL, ended("skipped")) == "1 bench ran, all passed, 1 skipped"
    assert headline(ended("skipped")) == "All 1 benches were skipped: nothing was measured"


def test_variants_are_side_by_side_with_the_fastest_first(tmp_path):
    text = page(
        [timed(variant="eager"), timed(seconds=0.05, variant="onnx"), timed(seconds=0.2, variant="int8")], tmp_path
    )
    results = text[text.index("<tbody>") : text.index('id="details"')]
    assert results.index(">onnx<") < results.index(">eager<") < results.index(">int8<")
    assert "2.00\N{MULTIPLICATION SIGN} faster" in results
    assert "2.00\N{MULTIPLICATION SIGN} slower" in results
    assert results.count("reference") == 1
    assert results.count("<rect") == 3


def test_reasons_and_remedies_are_there(tmp_path):
    records = [
        replace(timed(variant="a"), caveats=(Caveat("oversubscribed", "8 threads on 2 cores"),)),
        ended("oom", "11.2 GiB asked", variant="b"),
        ended("skipped", "pip install 'x'", variant="c"),
    ]
    text = page(records, tmp_path)
    assert "8 threads on 2 cores" in text
    assert "set OMP_NUM_THREADS" in text
    assert text.count("11.2 GiB asked") >= 2
    assert "pip install &#39;x&#39;" in text


def test_a_full_record_is_opened(tmp_path):
    text = page([FULL], tmp_path)
    for said in (
        "Gaps between tokens (itl)", "The device meanwhile", "ttft", "0.750", "first call, cold", "2.50 s",
        "higher is better", "VmHWM", "package:countryinfo#capitals", "2.13.0", "a note", "opset", "4 items",
    ):  # fmt: skip
        assert said in text, said


@pytest.mark.parametrize(
    "rounds", [(0.1,), (0.1, 0.1), (0.0, 0.0), (1e-9, 100.0), tuple(0.001 * i for i in range(5000))]
)
def test_any_rounds_can_be_drawn(tmp_path, rounds):
    text = page([replace(timed(), timing=Timing("repeat", rounds, tuple(range(len(rounds)))))], tmp_path)
    drawn = text[: text.rindex("<script>")].lower()  # the script speaks of isNaN
    assert "nan" not in drawn.replace("nano", "")
    assert "inf%" not in drawn
    assert len(drawn) < 60_000


def test_one_round_has_no_distribution(tmp_path):
    assert "1 round: no distribution." in page([replace(timed(), timing=Timing("repeat", (0.1,)))], tmp_path)


def test_very_unlike_times_are_dots_on_a_logarithmic_axis(tmp_path):
    text = page([timed(variant="eager"), timed(seconds=100.0, variant="slow")], tmp_path)
    assert "dots on a logarithmic axis" in text
    assert "<rect" not in text


def test_simulated_records_say_so(tmp_path):
    assert "SIMULATED: 1 of 2 benches" in page([replace(timed(n="1"), simulated=True), timed(n="2")], tmp_path)
    assert "SIMULATED" not in page([timed()], tmp_path)


def test_a_large_suite_stays_small_and_says_what_is_left_out(tmp_path):
    names = [f"benches/bench_{i % 40}.py::bench_with_a_name_{i % 40}" for i in range(1000)]
    records = [timed(name, 0.01 * (1 + i % 7), n=str(i), variant="eager") for i, name in enumerate(names)]
    text = page([*records, ended("failed", "boom", variant="eager")], tmp_path)
    assert len(text.encode()) < 500_000
    drawn = text[text.index('id="details"') : text.index('id="caveats"')]
    assert len(drawn) < 1.5 * MOST_CHARACTERS
    assert f"{1000 - drawn.count('<details'):,} more benches are not drawn here" in text
    assert "801 more rows are shown by the page&#39;s script" in text
    packed = re.search(r'id="data" data-deflated>([^<]*)<', text)
    assert packed
    assert "n=999" in zlib.decompress(base64.b64decode(packed[1])).decode()


def test_differing_environments_are_said(tmp_path):
    other = replace(timed(n="2"), environment={**FULL.environment, "versions": {"python": "3.11.7", "torch": "2.12.1"}})
    text = page([timed(n="1"), other], tmp_path)
    assert "2 environments in this session, which differ in 1 fact." in text
    assert "2.13.0 (not in every bench)" in text


def test_a_place_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file" / "r.html", tmp_path / "folder"):
        with pytest.raises(StoreError, match=re.escape(f"cannot write the HTML report to {place}: ")) as caught:
            html(Results([FULL]), place)
        assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_failed_write_leaves_the_old_page(tmp_path, monkeypatch):
    place = html(Results([FULL]), tmp_path / "r.html")
    before = place.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        html(Results([timed()]), place)
    assert place.read_bytes() == before
    assert os.listdir(tmp_path) == ["r.html"]


def test_nothing_heavy_is_imported_with_the_modules(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, pytest_modelbench.reports.html, pytest_modelbench.reports.terminal, pytest_modelbench.journal,"
        "pytest_modelbench.stores.parquet;"
        "found = {'jinja2', 'markupsafe', 'pyarrow', 'numpy', 'rich', 'filelock'} & set(sys.modules);"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
