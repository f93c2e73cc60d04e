"""The table at the end of a session: at most 40 lines, ASCII but for a micro sign; colour repeats words.

It is a pure function of Records; what goes to the terminal, and how wide that is, the caller knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..groups import REFERENCE, WORST_FIRST, Group, Row, outcomes, side_by_side
from ..impact import impact
from ..pareto import COSTS, front
from ..quantity import cells, column_text, duration, plain, shortened, visible
from ..record import CAVEATS, Record

#: What a summary may take of a terminal (chosen here: a screen of 50 lines keeps pytest's own last lines in sight).
MOST_LINES = 40
#: Columns of a name: the least, the narrowest before number columns leave, and the widest (chosen here: two words of
#: an id are still read at 16).
_LEAST, _NARROWEST, _WIDEST = 8, 16, 44
#: Columns in the order they stand, and in the order they leave a narrow terminal.
COLUMNS = ("median", "spread", "against", "throughput", "ttft", "peak", "score", "interval")
_LEAVING = ("interval", "peak", "ttft", "throughput", "spread")
_ORANGE, _BLUE, _BOLD, _DIM, _PLAIN = "\x1b[1;38;5;208m", "\x1b[38;5;33m", "\x1b[1m", "\x1b[2m", "\x1b[0m"
_STYLES = {"failed": _ORANGE, "error": _ORANGE, "oom": _ORANGE, "invalid": _ORANGE, "skipped": _DIM}


def lines(
    records: Sequence[Record],
    *,
    width: int,
    verbose: bool = False,
    color: bool = False,
    utf8: bool = True,
    report_places: Sequence[Path] = (),
    seconds: float = 0.0,
    note: str = "Nothing to compare with.",
    most_lines: int = MOST_LINES,
    beyond: int = 0,
    columns: Sequence[str] = (),
) -> list[str]:
    """The lines to print for some Records, none wider than `width` but for places and what cannot be cut.

    `columns` are those of `COLUMNS` or of `summary.row`, in their order; none leaves the usual ones.
    """
    groups = side_by_side(records)
    layout = _layout(groups, width, columns)
    foot = [*_remedies(records, width), *_foot(records, report_places, seconds, note, width, beyond)]
    room = len(records) * 4 if verbose else most_lines - 2 - len(foot)
    body, hidden = _body(groups, layout, room, width)
    if hidden:
        plural = "es" if hidden > 1 else ""
        body.append(_Styled(f"  and {hidden:,} more bench{plural}; all rows: -v", _DIM))
    head = [_Styled(_head(records, width), _BOLD)]
    if any(row.measured for group in groups for row in group.rows):
        head.append(_Styled(layout.header(), _DIM))
    return [plain(line.ansi() if color else line.text, utf8) for line in [*head, *body, *foot]]


@dataclass(frozen=True)
class _Styled:
    """A line, and how all of it or a part of it is dressed; the words are the same without."""

    text: str
    style: str = ""
    part: str = ""

    def ansi(self) -> str:
        if not self.style or not self.text.strip():
            return self.text
        part = self.part or self.text.strip()
        return self.text.replace(part, f"{self.style}{part}{_PLAIN}", 1)


@dataclass(frozen=True)
class _Layout:
    """Which columns stand, and how wide they are."""

    name: int
    widths: dict[str, int]
    heads: dict[str, str]

    def header(self) -> str:
        return self.row("", self.heads)

    def row(self, name: str, texts: dict[str, str]) -> str:
        shown = shortened(name, self.name)
        cut = [shown + " " * (self.name - cells(shown))]
        for column, width in self.widths.items():
            cut.append(" " * (width - cells(texts[column])) + texts[column])
        return "  ".join(cut).rstrip()


def _layout(groups: Sequence[Group], width: int, asked: Sequence[str]) -> _Layout:
    """As many columns as fit, after names and caveats in one word have room; of those asked for the last leave."""
    leaving = asked[:0:-1] if asked else _LEAVING
    columns = asked or COLUMNS
    rows = [row for group in groups for row in group.rows if row.measured]
    tokens = all(row.texts["throughput"].endswith(" tokens/s") or not row.texts["throughput"] for row in rows)
    heads = {column: column for column in columns} | {
        "against": f"against {REFERENCE}",
        "throughput": "tokens/s" if tokens else "throughput",
        "score": "",
        "interval": "95 %",
    }
    widths = {}
    for column in columns:
        texts = [_cell(row, column, heads) for row in rows]
        if any(texts):
            names = [visible(group.score) for group in groups if group.score] if column == "score" else [heads[column]]
            widths[column] = max(map(cells, [*texts, *names]))
    longest = max((cells(visible(row.label)) + 2 for row in rows), default=0)
    wanted = min(max(longest, _NARROWEST), _WIDEST)
    kinds = max((cells(_kinds(row)) + 2 for row in rows if row.kinds), default=0)
    for column in ("", *leaving):
        widths.pop(column, None)
        taken = sum(inner + 2 for inner in widths.values()) + kinds
        if wanted + taken <= width:
            break
    return _Layout(max(min(wanted, width - taken), _LEAST), widths, heads)


def _cell(row: Row, column: str, heads: dict[str, str]) -> str:
    if column not in row.texts:
        return visible(column_text(column, row.columns.get(column)))
    text = visible(row.texts[column])
    return text.removesuffix(" tokens/s") if heads["throughput"] == "tokens/s" else text


def _kinds(row: Row) -> str:
    return " ".join(f"!{kind}" for kind in row.kinds)


def _head(records: Sequence[Record], width: int) -> str:
    """What ran, on what: count, device, commit, torch; the last leave first where the line is short."""
    if not records:
        return "modelbench  0 benches: nothing was measured"
    said = [f"{len(records):,} bench" + ("es" if len(records) > 1 else "")]
    devices = list(dict.fromkeys(record.axes["device"] for record in records if "device" in record.axes))
    host = records[0].environment.get("host") or {}
    cores = f" ({host['cores_usable']} cores)" if devices == ["cpu"] and host.get("cores_usable") else ""
    said += [", ".join(devices) + cores] if devices else []
    git = records[0].environment.get("git") or {}
    if git.get("commit"):
        said.append(str(git["commit"])[:7] + (" with changes" if git.get("dirty") else ""))
    versions = records[0].environment.get("versions") or {}
    said += [f"torch {versions['torch']}"] if versions.get("torch") else []
    said += ["SIMULATED"] if all(record.simulated for record in records) else []
    while cells("modelbench  " + visible(", ".join(said))) > width and len(said) > 1:
        said.pop()
    return "modelbench  " + visible(", ".join(said))


def _body(groups: Sequence[Group], layout: _Layout, room: int, width: int) -> tuple[list[_Styled], int]:
    """The groups as lines, and how many rows found no room; the worst come first when not all fit."""
    if sum(1 + len(group.rows) for group in groups) <= room:
        blocks = [_block(group, _rows(group, group.rows, layout, width), layout, width) for group in groups]
        more = [[*_front(group, width), *_impact(group, width)] for group in groups]
        for whole in ([[*block, *said] for block, said in zip(blocks, more, strict=True)], blocks):
            body = [line for block in whole for line in block]
            if len(body) <= room:
                return body, 0
    body = []
    shown = 0
    for group in sorted(groups, key=lambda group: (group.worst, not any(row.kinds for row in group.rows))):
        ordered = sorted(group.rows, key=lambda row: WORST_FIRST.index(row.record.outcome))
        # one line stays for "and N more"
        fitting = list(_fitting(_rows(group, ordered, layout, width), room - len(body) - 2))
        if not fitting:
            break
        shown += len(fitting)
        body += _block(group, fitting, layout, width)
    return body, sum(len(group.rows) for group in groups) - shown


def _rows(group: Group, rows: Sequence[Row], layout: _Layout, width: int) -> list[list[_Styled]]:
    """Each row as lines; one that another row beats in time and score is dim."""
    of_group = front(group)
    beaten = [id(point.row) for point in of_group.dominated] if of_group else []
    return [_row(row, layout, width, dim=id(row) in beaten) for row in rows]


def _fitting(rows: Iterable[list[_Styled]], room: int) -> Iterator[list[_Styled]]:
    for row in rows:
        room -= len(row)
        if room < 0:
            return
        yield row


def _block(group: Group, rows: Sequence[list[_Styled]], layout: _Layout, width: int) -> list[_Styled]:
    """A group's title, with its score's name over the scores, or after it where both find no room; and its rows."""
    name = visible(group.score) if "score" in layout.widths else ""
    end = layout.name + sum(inner + 2 for column, inner in layout.widths.items() if column != "interval")
    title = ", ".join(word for word in (visible(group.title), visible(group.subtitle), group.unreferenced) if word)
    if name and cells(title) + 2 + cells(name) <= end:
        title += " " * (end - cells(title) - cells(name)) + name
    else:
        title = shortened(f"{title}; score: {name}" if name else title, width)
    return [_Styled(title, _BOLD, title.split("  ")[0]), *(line for row in rows for line in row)]


def _front(group: Group, width: int) -> list[_Styled]:
    """One line on what nothing beats in both time and score, where the group has scores."""
    found = front(group)
    if found is None:
        return []
    names = visible(", ".join(point.row.label for point in found.best))
    rest = f"; {len(found.dominated):,} dominated" if found.dominated else ""
    start = f"  best of {COSTS[found.cost]} and {visible(found.score)}: "
    return [_Styled(start + shortened(names, max(width - cells(start + rest), _LEAST)) + rest, _DIM, rest)]


def _impact(group: Group, width: int) -> list[_Styled]:
    """What fewer bits a weight did; a line that is too short is left by what others say too, then by the last."""
    found = impact(group)
    if found is None:
        return []
    table = [[visible(text) for text in line] for line in (found.heads, *found.texts)]
    widths = [max(map(cells, column)) for column in zip(*table, strict=True)]
    while len(widths) > 1 and 2 + sum(inner + 2 for inner in widths) > width:
        spare = (head for head in ("J/token", "peak memory", "bits/weight") if head in table[0])
        at = table[0].index(next(spare, table[0][-1]))
        widths.pop(at)
        for texts in table:
            texts.pop(at)
    lines = []
    for label, *texts in table:
        numbers = [" " * (inner - cells(text)) + text for text, inner in zip(texts, widths[1:], strict=False)]
        lines.append("    " + "  ".join([_padded(label, widths[0]), *numbers]).rstrip())
    return [_Styled(lines[0], _DIM), *map(_Styled, lines[1:])]


def _row(row: Row, layout: _Layout, width: int, dim: bool = False) -> list[_Styled]:
    name = f"  {visible(row.label)}"
    if not row.measured:
        reason = row.record.reason or ("not timed" if row.record.outcome == "passed" else "")
        room = max(layout.name, min(cells(name), width // 3))  # no numbers follow: the name may take their place
        start = f"{_padded(shortened(name, room), room)}  {row.record.outcome:<7}  "
        said = visible(" ".join(reason.split()))
        text = start + shortened(said, max(width - cells(start), 8))
        return [_Styled(text.rstrip(), _STYLES.get(row.record.outcome, ""), row.record.outcome)]
    text = layout.row(name, {column: _cell(row, column, layout.heads) for column in layout.widths})
    against = row.texts["against"]
    style = _BLUE if against.endswith("faster") else _ORANGE if against.endswith("slower") else ""
    part = against
    if dim:
        style, part = _DIM, ""
    for caveats in (visible(", ".join(row.caveats)), _kinds(row)):
        if not caveats or cells(text) + 2 + cells(caveats) <= width:
            return [_Styled(f"{text}  {caveats}".rstrip(), style, part)]
    return [_Styled(text, style, part), _Styled("    " + shortened(_kinds(row), width - 4))]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def _remedies(records: Sequence[Record], width: int) -> list[_Styled]:
    """One line for each kind of caveat: how many benches have it, what it means, what to do; at least the last."""
    said = []
    for kind, meaning in CAVEATS.items():
        number = sum(any(caveat.kind == kind for caveat in record.caveats) for record in records)
        start = f"!{kind}, {number:,} bench{'es' if number > 1 else ''}: "
        fits = cells(start + meaning) <= width
        if number:
            said.append(
                _Styled(start + (meaning if fits else shortened(meaning.rpartition(": ")[2], width - cells(start))))
            )
    return said


def _foot(
    records: Sequence[Record], places: Sequence[Path], seconds: float, note: str, width: int, beyond: int
) -> list[_Styled]:
    """Counts that agree with pytest's: of those that passed, the gate failed `beyond`."""
    numbers = {str(outcome): number for outcome, number in outcomes(records).items()}
    if beyond:
        numbers = {"passed": numbers["passed"] - beyond, "failed by the gate": beyond} | {
            outcome: number for outcome, number in numbers.items() if outcome != "passed"
        }
    counts = ", ".join(f"{number:,} {word}" for word, number in numbers.items() if number) or "0 benches"
    said = f"{counts} in {duration(seconds)}."
    wrong = ("failed by the gate", "failed", "error")
    bad = next((f"{number:,} {word}" for word, number in numbers.items() if word in wrong), "")
    where = "  ".join(visible(str(place)) for place in places)
    style = _ORANGE if bad else ""
    if cells(f"{said} {note}") > width:
        return [_Styled(said, style, bad), *(_Styled(line) for line in (note, where) if line)]
    said = f"{said} {note}".rstrip()
    if where and cells(said) + 2 + cells(where) <= width:
        return [_Styled(f"{said}  {where}", style, bad)]
    return [_Styled(said, style, bad), *([_Styled(where)] if where else [])]
