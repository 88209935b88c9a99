"""A verified run in the terminal: the numbers, a table per level with the worst first, what to run."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from ..commands import pytest_command, review_command
from ..texts.columns import clipped, columns_of, shortened
from ..texts.escaping import escape_for_terminal
from ..texts.words import diff_words
from . import sampled
from .grouping import deciding_command, rewriting_command, shared_change
from .verified_runs import MANY, MEANING, many_and_few

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .verified_runs import Result, VerifiedRun

_ROWS: Final = 10
_FACT_WIDTH: Final = 28
_NOTE_WIDTH: Final = 24
_CONTEXT: Final = 40
_PLACE_WIDTH: Final = 160


def render_in_terminal(run: VerifiedRun) -> str:
    """Returns the lines for the terminal; nothing where nothing was verified."""
    if not run.results:
        return ""
    lines = [run.numbers]
    if not run.mode.rewrites and (run.new or run.known):
        lines.append(_verdict(run.new, str(run.fail_on)))
    if run.known:
        lines.append(run.known_in_words)
    lines = [part for line in lines for part in textwrap.wrap(line, run.width, subsequent_indent="  ")]
    for level, group in run.by_level:
        decide: Callable[[Sequence[Result]], str] | None = None
        if run.pending and not run.mode.rewrites:
            decide = lambda group: deciding_command(group, run.new, run.waiting)  # noqa: E731 - with what is known here
        table = _table(group, _fact_of, run.width, decide)
        lines += ["", f"{level} ({len(group)}): {MEANING[level]}", *table]
    if run.unverified:
        heading = f"{run.why_unverified} ({len(run.unverified)})"
        lines += ["", heading, *_table(run.unverified, _reason_of, run.width)]
    if run.sampled:
        lines += ["", *_sampled(run.sampled, run.width)]
    if run.new:
        lines += ["", *_commands(run)]
    return "\n".join(escape_for_terminal(line) for line in lines)


def _sampled(results: Sequence[Result], width: int) -> Iterable[str]:
    """Yields what was asked several times, each with how often what was answered."""
    yield from textwrap.wrap(sampled.numbers_of(results), width, subsequent_indent="  ")
    for each in results[:_ROWS]:
        yield f"  {_place(each)}"
        yield from textwrap.wrap(
            escape_for_terminal(sampled.verdict_of(each["samples"])),
            max(width, 60),
            initial_indent="    ",
            subsequent_indent="      ",
        )
        rows = [("", "recorded", "now"), *sampled.class_rows(each["samples"])]
        before, now = (max(len(row[i]) for row in rows) for i in (1, 2))
        for told, recorded, new in rows:
            shown = clipped(escape_for_terminal(told), max(width, 60) - before - now - 10)
            yield f"      {recorded:{before}}  {new:{now}}  {shown}".rstrip()
    left = len(results) - _ROWS
    if left > 0:
        yield f"  ... and {left:,} more; --stepreplay-report=FILE.json lists all"


def _verdict(new: Sequence[Result], fail_on: str) -> str:
    if fail_on == "never":
        return "no interactions fail (fail-on: never)"
    failed = sum(not each["drift"]["passes"] for each in new)
    fails = "1 interaction fails" if failed == 1 else f"{failed or 'no'} interactions fail"
    return f"{fails} (fail-on: {fail_on})"


def _commands(run: VerifiedRun) -> list[str]:
    if run.mode.rewrites:
        return ["git diff shows what changed in the cassettes"]
    if not run.pending:
        return [
            f"no pending files were written here; to get them, run: {pytest_command('--stepreplay=verify')}"
        ]
    lines = [run.breaking, f"  {rewriting_command(run.quoted)}"] if run.quoted else []
    told = {review_command(): "look at each change, accept or reject it"}
    if len(run.quoted) < len(run.new):
        after = ", once those are recorded" if run.quoted else ""
        told[review_command("accept", "--all")] = f"accept all of them{after}"
    width = max(map(len, told)) + 4
    return [*lines, *(f"{command:{width}}{meaning}" for command, meaning in told.items())]


def _fact_of(group: Sequence[Result], columns: int) -> str:
    """Returns the leading change of drifts that have one cause, in so many columns."""
    shared = shared_change(group)
    change, more = shared.change, f" (+{shared.more})" if shared.more else ""
    summary = change["summary"]
    room = columns - len(more) - 2
    selector = shortened(
        escape_for_terminal(change["selector"]), room - min(columns_of(summary), _FACT_WIDTH)
    )
    room -= columns_of(selector)
    if columns_of(summary) > room and change["kind"] not in ("contract", "replaced", "words"):
        # What stands behind the values says more than their ends.
        note = f"; {escape_for_terminal(change['note'])}" if "note" in change else ""
        summary, tail = summary.removesuffix(note), clipped(note, _NOTE_WIDTH)
        if change["kind"] == "text":
            tail = f" (similarity {int(change['similarity'] * 100) / 100:.2f}){tail}"
            summary = diff_words(change["old"], change["new"], width=room - columns_of(tail) + _CONTEXT)
            summary = _from_change(escape_for_terminal(summary), room - columns_of(tail))
        summary = clipped(summary, max(room - columns_of(tail), 1)) + tail
    return f"{selector}: {clipped(escape_for_terminal(summary), room)}{more}"


def _from_change(text: str, columns: int) -> str:
    """Returns a word-level diff without what stays before its first change, where it takes more columns."""
    start = min((at for at in map(text.find, ("[-", "{+")) if at >= 0), default=0)
    return f"…{text[start:]}" if start and columns_of(text) > columns else text


def _reason_of(group: Sequence[Result], columns: int) -> str:
    return clipped(escape_for_terminal(group[0]["reason"]), columns)


def _table(
    results: Sequence[Result],
    tell: Callable[[Sequence[Result], int], str],
    width: int,
    decide: Callable[[Sequence[Result]], str] | None = None,
) -> Iterable[str]:
    """Yields the rows: first what many have in common, told once, then the others.

    Args:
        results: of one level, or unverified.
        tell: returns the fact of some with one cause in so many columns.
        width: of the terminal.
        decide: returns the command that decides about some with one cause, if anything does.
    """
    many, few = many_and_few(results)
    for group in many[:_ROWS]:
        yield from _told_once(group, tell(group, max(width, 60) - 2), decide(group) if decide else "")
    shown = few[: max(_ROWS - len(many), 0)]
    if shown:
        yield from _rows(shown, tell, width)
    left = len(results) - sum(map(len, many[:_ROWS])) - len(shown)
    if left:
        yield f"  ... and {left:,} more; --stepreplay-report=FILE.json lists all"


def _told_once(group: Sequence[Result], fact: str, command: str) -> Iterable[str]:
    """Yields a fact with the interactions that have it in common."""
    yield f"  {_who(group)}: {fact}"
    yield from (f"    {_place(each)}" for each in group[:MANY])
    if len(group) > MANY:
        yield f"    ... and {len(group) - MANY:,} more"
    if command:
        yield f"    {command}"


def _who(group: Sequence[Result]) -> str:
    tests = len({each["test"] for each in group})
    return f"{tests:,} tests" if tests == len(group) else f"{len(group):,} interactions"


def _rows(shown: Sequence[Result], tell: Callable[[Sequence[Result], int], str], width: int) -> Iterable[str]:
    """Yields two columns where all of them fit into the terminal, else the place above the fact."""
    places = [_place(each) for each in shown]
    widest = max(map(columns_of, places))
    beside = all(widest + 4 + columns_of(tell([each], _PLACE_WIDTH)) <= width for each in shown)
    for place, each in zip(places, shown, strict=True):
        if beside:
            yield f"  {place}{' ' * (widest - columns_of(place))}  {tell([each], _PLACE_WIDTH)}"
        else:
            yield f"  {place}"
            yield f"    {tell([each], max(width, 60) - 4)}"


def _place(result: Result) -> str:
    return f"{clipped(escape_for_terminal(result['path']), _PLACE_WIDTH)}#{result['interaction']}"
