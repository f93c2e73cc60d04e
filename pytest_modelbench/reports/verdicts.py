"""What the gate said, at the end of a session: the worst first, every kind counted; ASCII but for a micro sign."""

from __future__ import annotations

from collections.abc import Sequence

from .. import said
from ..quantity import cells, plain, shortened, visible
from ..verdict import Verdict, Verdicts

#: What verdicts may take of the 40 lines of a summary, heads and counts included (chosen here: the table of what was
#: measured keeps as many).
MOST_LINES = 20
_ORANGE, _BLUE, _BOLD, _DIM, _PLAIN = "\x1b[1;38;5;208m", "\x1b[38;5;33m", "\x1b[1m", "\x1b[2m", "\x1b[0m"
_LEAST_NAME, _MOST_NAME = 16, 44


def lines(
    verdicts: Verdicts, *, width: int, verbose: bool = False, color: bool = False, utf8: bool = True
) -> list[str]:
    """The lines to print, none wider than `width` but for numbers, which are never cut."""
    foot = _foot(verdicts)
    shown = [verdict for verdict in said.worst_first(verdicts) if verdict.failing or verdict.word in _ROWS]
    room = len(shown) * 2 if verbose else MOST_LINES - 4 - len(foot)
    rows = _rows(shown, verdicts, room, width)
    styled = [*((line, _BOLD) for line in _head(verdicts, width)), *rows, *((line, "") for line in foot)]
    return [plain(f"{style}{line}{_PLAIN}" if color and style else line, utf8) for line, style in styled]


#: Verdicts that have a row of their own; of the others the foot tells.
_ROWS = ("slower", "unclear")


def _head(verdicts: Verdicts, width: int) -> list[str]:
    """What was compared, and how many benches came out how; in two lines where one is too short."""
    numbers = said.counted(said.counts(verdicts)) or "no bench in common"
    compared = visible(f"{verdicts.head} against {verdicts.against}")
    whole = f"modelbench  {compared}: {numbers}"
    return [whole] if cells(whole) <= width else [shortened(f"modelbench  {compared}:", width), f"  {numbers}"]


def _rows(shown: Sequence[Verdict], verdicts: Verdicts, room: int, width: int) -> list[tuple[str, str]]:
    """A table, each row with its reason under it, in at most `room` lines and a head."""
    if not shown:
        return []
    heads = ("", "", "change", "95 % CI", "pairs" if verdicts.how == "paired" else "sessions", "limit", "")
    rows = [(verdict.said, name(verdict), *_numbers(verdict)) for verdict in shown[:room]]
    widths = _widths([heads, *rows], width)
    found, taken = [(_line(heads, widths), _DIM)], 0
    for verdict, row in zip(shown, rows, strict=False):
        block = [(_line(row, widths), _ORANGE if verdict.failing or verdict.word == "slower" else "")]
        if verdict.reason:
            block.append((shortened(f"{'':{widths[0]}}  {visible(verdict.reason)}", width), _DIM))
        if len(found) + len(block) > room + 1:
            break
        found, taken = found + block, taken + 1
    if taken < len(shown):
        found.append((f"{'':{widths[0]}}  and {_more(shown[taken:])}; all rows: -v", _DIM))
    return found


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Of each column; where the line is short both numbers leave first, for the change says it, then names are cut."""
    widths = [max(cells(row[column]) for row in rows) for column in range(7)]
    others = [width_ for column, width_ in enumerate(widths) if column not in (1, 6)]
    taken = sum(others) + 2 * len(others)
    wanted = min(max(widths[1], _LEAST_NAME), _MOST_NAME)
    if taken + wanted + 2 + widths[6] > width:
        widths[6] = 0
    else:
        taken += 2 + widths[6]
    widths[1] = max(_LEAST_NAME, min(wanted, width - taken))
    return widths


def name(verdict: Verdict) -> str:
    """A bench's id without its file and its `bench_`, and the quantity where that is not time."""
    short = verdict.nodeid.rpartition("::")[2].removeprefix("bench_") or verdict.key
    return visible(short if verdict.quantity == "seconds" else f"{short} {verdict.quantity}")


def _numbers(verdict: Verdict) -> tuple[str, str, str, str, str]:
    if verdict.change is None:
        return ("", "", "", "", "")
    rests_on = verdict.items if verdict.items is not None else verdict.pairs
    unit = " items" if verdict.items is not None else ""
    number = "" if rests_on is None else f"{rests_on:,}{unit}"
    return said.change(verdict), said.interval(verdict), number, said.limit(verdict), said.values(verdict)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    shown = shortened(row[1], widths[1])
    cut = [f"{row[0]:{widths[0]}}", shown + " " * (widths[1] - cells(shown))]
    cut += [" " * (widths[i] - cells(row[i])) + row[i] for i in range(2, 6)]
    return "  ".join([*cut, row[6]] if widths[6] else cut).rstrip()


def _more(hidden: Sequence[Verdict]) -> str:
    numbers: dict[str, int] = {}
    for verdict in hidden:
        numbers[verdict.said] = numbers.get(verdict.said, 0) + 1
    return ", ".join(f"{number:,} more {word}" for word, number in numbers.items())


def _foot(verdicts: Verdicts) -> list[str]:
    """Those without a row, and what is worth knowing once."""
    foot = []
    faster = [verdict for verdict in verdicts if verdict.word == "faster"]
    if faster:
        most = max(faster, key=lambda verdict: abs(verdict.change or 0.0))
        foot.append(f"{'better' if said.is_score(most) else 'faster'}  {len(faster):,}; the most: {name(most)}, "
                    f"{said.change(most)}")  # fmt: skip
    same = [verdict for verdict in verdicts if verdict.word == "same"]
    if same:
        harm = said.largest_harm(same)
        foot.append(f"same    {len(same):,}" + (f"; {harm}" if harm else ""))
    unseen = [verdict for verdict in verdicts if verdict.word in said.NOT_JUDGED]
    if unseen:
        foot.append(f"not judged: {_why(unseen)}")
    foot += [visible(note) for note in verdicts.notes]
    if verdicts.changed:
        facts = [f"{fact} {before} -> {after}" for fact, (before, after) in verdicts.changed.items()]
        foot.append("changed too: " + visible(", ".join(facts[:4]) + (", ..." if len(facts) > 4 else "")))
    if verdicts.alarms_per_suite is not None:
        foot.append(
            f"Identical code would raise {verdicts.alarms_per_suite:.2g} alarms in a suite like this (calibrated here)."
        )
    return foot


def _why(unseen: Sequence[Verdict]) -> str:
    """`29 new, 31 invalid (fallback: 29, throttled: 2)`: each kind with its commonest reason."""
    parts = []
    for word in said.NOT_JUDGED:
        of_word = [verdict for verdict in unseen if verdict.word == word]
        if not of_word:
            continue
        reasons = list(dict.fromkeys(verdict.reason for verdict in of_word if verdict.reason))
        more = f", and {len(reasons) - 1} other reasons" if len(reasons) > 1 else ""
        parts.append(f"{len(of_word):,} {word}" + (f" ({visible(reasons[0])}{more})" if reasons else ""))
    return ", ".join(parts)
