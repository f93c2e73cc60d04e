"""A model card: scores in the `model-index` of its metadata, and a section with speed, memory and quality.

Both stand between markers in a README.md that may be there already. A second run replaces what is between them; every
other byte stays. The metadata's form: https://github.com/huggingface/hub-docs/blob/main/modelcard.md?plain=1.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

from ..declare import report
from ..errors import UsageError
from ..files import written_to, written_whole
from ..groups import REFERENCE, Group, Row, score_text, side_by_side
from ..impact import impact
from ..markup import markdown
from ..provenance import commit, session_facts
from ..quantity import visible
from ..record import Record, Score
from ..reports import aimed, chosen, title
from ..results import Results
from ..source import complete, parse, short

_HOME = "https://pypi.org/project/pytest-modelbench/"
_OURS = "pytest-modelbench"
_BEGIN, _END = "<!-- modelbench:begin -->", "<!-- modelbench:end -->"
_YAML_BEGIN, _YAML_END = "# modelbench:begin", "# modelbench:end"
#: As huggingface_hub finds it, but for an empty one, which it does not take for metadata.
_FRONT = re.compile(r"\A(\s*---[ \t]*\r?\n)([\S\s]*?)(^---[ \t]*(?:\r?\n|\Z))", re.MULTILINE)
_COLUMNS = {
    "median": "median",
    "spread": "spread",
    "against": f"against {REFERENCE}",
    "throughput": "throughput",
    "ttft": "ttft",
    "peak": "peak memory",
}


@report("model-card")
def model_card(results: Results, place: Path) -> Path:
    """Put one model's passed benches into a card. Raises UsageError for several models, and for broken markers."""
    file, asked = aimed(place)
    records = [record for record in chosen(results.records, asked) if record.outcome == "passed" and _source(record)]
    sources = list(dict.fromkeys(map(_source, records)))
    if len(sources) != 1:
        said = f"these benches are of {len(sources)} models ({', '.join(map(short, sources))})" if sources else ""
        raise UsageError(
            f"{said}: say which one this card is of, as {place}?model={short(sources[0])}"
            if said
            else f"no passed bench of a model is there for {file}"
        )
    with written_to(file, "the model card"):
        there = file.read_bytes().decode("utf-8", "surrogateescape") if file.exists() else None
    text = f"# {markdown(short(sources[0]))}\n" if there is None else there
    line_end = "\r\n" if "\r\n" in text else "\n"
    text = _with_metadata(text, _entry(short(sources[0]), records), line_end, file)
    text = _with_section(text, line_end.join(_section(records)), line_end, file)
    return written_whole(file, text.encode("utf-8", "surrogateescape"), "the model card")


def _source(record: Record) -> str:
    return record.axes.get("model") or (record.model.source if record.model else "")


# -- the section


def _section(records: Sequence[Record]) -> list[str]:
    groups = side_by_side(records)
    rows = [(", ".join(filter(None, (group.title, group.subtitle))), row)
            for group in groups for row in group.rows if row.measured]  # fmt: skip
    used = {name: head for name, head in _COLUMNS.items() if any(row.texts[name] for _, row in rows)}
    scored = any(row.record.scores for _, row in rows)
    limited = any(row.kinds for _, row in rows)
    heads = ["bench", "run as", *used.values(), *(["score"] if scored else []), *(["caveats"] if limited else [])]
    lines = [_joined(heads), "|---|---" + "|--:" * len(used) + "|---" * (scored + limited) + "|"]
    for group_name, row in rows:
        cells = [group_name, row.label, *(row.texts[name] for name in used)]
        cells += [_scores(row)] if scored else []
        cells += [", ".join(row.kinds)] if limited else []
        lines.append(_joined([markdown(cell) for cell in cells]))
    fewer = [line for group in groups for line in _impact(group)]
    return ["## Benchmarks", "", _on_what(records), "", *lines, *fewer]


def _impact(group: Group) -> list[str]:
    """What fewer bits a weight did, as a table of its own."""
    found = impact(group)
    if found is None:
        return []
    group_name = ", ".join(filter(None, (group.title, group.subtitle)))
    rows = [_joined([markdown(text) for text in texts]) for texts in found.texts]
    return ["", f"Fewer bits a weight, {markdown(group_name)}:", "", _joined(found.heads),
            "|---" + "|--:" * (len(found.heads) - 1) + "|", *rows]  # fmt: skip


def _joined(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _scores(row: Row) -> str:
    return ", ".join(f"{name} {score_text(score)}" for name, score in row.record.scores.items())


def _on_what(records: Sequence[Record]) -> str:
    facts = dict(session_facts(records))
    known = "; ".join(facts[name] for name in ("Machine", "Versions") if facts.get(name))
    at = f"at commit {commit(records[0])[:12]}" if commit(records[0]) else ""
    where = " ".join(part for part in (at, f"on {known}" if known else "") if part)
    simulated = " SIMULATED: no model ran." if any(record.simulated for record in records) else ""
    return f"Measured by [{_OURS}]({_HOME}) {markdown(where)}.{simulated}"


def _with_section(text: str, section: str, line_end: str, file: Path) -> str:
    """The section in the place of the one that is there, else at the end."""
    begins, ends = ([*re.finditer(rf"^{mark}[ \t]*\r?$", text, re.MULTILINE)] for mark in (_BEGIN, _END))
    block = f"{_BEGIN}{line_end}{section}{line_end}{_END}"
    if not begins and not ends:
        gap = "" if not text or text.endswith(line_end * 2) else line_end if text.endswith("\n") else line_end * 2
        return f"{text}{gap}{block}{line_end}"
    if not len(begins) == len(ends) == 1 or begins[0].start() > ends[0].start():
        raise UsageError(
            f"{file} has {len(begins)} of {_BEGIN} and {len(ends)} of {_END}: leave one of each, in this order"
        )
    return text[: begins[0].start()] + block + text[ends[0].start() + len(_END) :]


# -- the metadata


def _entry(name: str, records: Sequence[Record]) -> list[str]:
    """The lines of one list item of `model-index`; none where nothing was scored."""
    results: dict[tuple[str, str, str], list[str]] = {}
    for record in records:
        for metric, score in record.scores.items():
            if math.isfinite(score.value):
                task = (record.model.task if record.model else None) or "other"
                source = (record.dataset.source if record.dataset else "") or record.axes.get("dataset", "")
                revision = (record.dataset.revision if record.dataset else "") or ""
                lines = _metric(metric, score, _how(record, records))
                results.setdefault((task, source, revision), []).extend(lines)
    if not results:
        return []
    entry = [f"- name: {_yaml(name)}", "  results:"]
    for (task, source, revision), metrics in results.items():
        entry += [
            "  - task:",
            f"      type: {_yaml(task)}",
            "    dataset:",
            f"      name: {_yaml(short(source) or 'unnamed')}",
            f"      type: {_yaml(_dataset_type(source))}",
            *([f"      revision: {_yaml(revision)}"] if revision else []),
            "    metrics:",
            *metrics,
            "    source:",
            f"      name: {_OURS}",
            f"      url: {_HOME}",
        ]
    return entry


def _how(record: Record, among: Sequence[Record]) -> str:
    """How it was run, so that no two results have one name: variant, device, and what else differs."""
    words = [title(record)] if len({other.bench for other in among}) > 1 else []
    words += [record.axes[axis] for axis in ("variant", "device") if axis in record.axes]
    varying = [axis for axis in record.axes if len({other.axes.get(axis) for other in among}) > 1]
    words += [
        f"{axis}={record.axes[axis]}" for axis in varying if axis not in ("variant", "device", "model", "dataset")
    ]
    return ", ".join(words)


def _metric(name: str, score: Score, how: str) -> list[str]:
    said = f"{name} ({how})" if how else name
    return [f"    - type: {_yaml(name)}", f"      value: {_number(score.value)}", f"      name: {_yaml(said)}"]


def _number(value: float) -> str:
    """A number as YAML 1.1 reads one: it takes `1e-05`, without a point, for text."""
    digits, exponent, power = repr(float(value)).partition("e")
    return digits + (".0" if exponent and "." not in digits else "") + exponent + power


def _dataset_type(source: str) -> str:
    """The name of a hub's dataset; of any other the source as it is written."""
    if complete(source) and parse(source).kind == "hub":
        return parse(source).place
    return source or "unnamed"


def _yaml(text: str) -> str:
    """A double-quoted scalar: what JSON writes, YAML reads."""
    return json.dumps(visible(text), ensure_ascii=False).replace("<", "\\u003c")  # no marker of ours in a name


def _with_metadata(text: str, entry: Sequence[str], line_end: str, file: Path) -> str:
    front = _FRONT.match(text)
    if front is None:
        if not entry:
            return text
        return line_end.join(["---", *_block(entry), "---", ""]) + text
    before, body, after = front.groups()
    body = _without_ours(body, file)
    if entry:
        body = _inserted(body, entry, line_end, file)
    return before + body + after + text[front.end() :]


def _block(entry: Sequence[str]) -> list[str]:
    return [f"{_YAML_BEGIN}, which the next run replaces", "model-index:", *entry, _YAML_END]


def _without_ours(body: str, file: Path) -> str:
    """The metadata as it was before a run of ours. Raises UsageError for entries of ours that lost their markers."""
    pattern = rf"^[ \t]*{_YAML_BEGIN}[^\r\n]*\r?\n[\S\s]*?^[ \t]*{_YAML_END}[ \t]*(?:\r?\n|\Z)"
    rest = re.sub(pattern, "", body, flags=re.MULTILINE)
    if _YAML_BEGIN in rest or _YAML_END in rest or re.search(rf"^\s+name: {_OURS}\s*$", rest, re.MULTILINE):
        raise UsageError(
            f"the metadata of {file} holds results of {_OURS} without their comments {_YAML_BEGIN} and {_YAML_END} "
            "(a tool that writes YAML anew drops comments): remove those results"
        )
    return rest


def _inserted(body: str, entry: Sequence[str], line_end: str, file: Path) -> str:
    """With our entry: at the end of a `model-index` that is there, else with one of our own at the end."""
    lines = body.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += line_end
    at = next((i for i, line in enumerate(lines) if re.match(r"[\"']?model-index[\"']?\s*:", line)), None)
    if at is None:
        return "".join(lines) + "".join(line + line_end for line in _block(entry))
    if not re.fullmatch(r"[^:]*:\s*(#.*)?", lines[at].strip()):
        raise UsageError(f"{file}: its model-index stands in one line; write it as a list, an item a line, with `- `")
    inside = [i for i in range(at + 1, len(lines)) if not re.match(r"[^\s#-]", lines[i])]
    block = [i for i, place in zip(inside, range(at + 1, len(lines)), strict=False) if i == place]
    items = [i for i in block if lines[i].strip() and not lines[i].lstrip().startswith("#")]
    if not items:
        raise UsageError(f"{file}: its model-index has no items; remove the key")
    indent = re.match(r"\s*", lines[items[0]])
    assert indent is not None
    ours = [f"{_YAML_BEGIN}, which the next run replaces", *entry, _YAML_END]
    end = items[-1] + 1
    return "".join([*lines[:end], *(f"{indent[0]}{line}{line_end}" for line in ours), *lines[end:]])
