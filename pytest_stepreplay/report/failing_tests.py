"""Why one test fails in `verify`: the message itself, and the full diff for a section of the test's report."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from ..commands import pytest_command, review_command, stepreplay_command
from ..texts.columns import shortened
from ..texts.escaping import escape_for_terminal
from .verified_runs import LEVELS, MEANING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..drift.changes import Change, Drift

_SECTION_LINES: Final = 200
_PLACE_WIDTH: Final = 160


def failure_text(
    drifts: Sequence[tuple[int, Drift]],
    *,
    path: str,
    test: str,
    pending: bool = True,
    quoted: str = "",
    again: Sequence[str] | None = None,
) -> str:
    """Returns why a test fails in verify, in at most twelve lines; the first is the fact itself.

    Args:
        drifts: the numbers of the interactions, from 1, with the drift that fails the test; one at least.
        path: of the cassette, as a person would type it.
        test: the id of the test.
        pending: the new responses were left in a pending file.
        quoted: who quotes the stored answers, in words; then accepting a new one alone breaks the test.
        again: what to run again, if not the test: the tests of a fixture.
    """
    number, drift = max(drifts, key=lambda each: each[1].level)
    others = [(number, change) for change in drift.changes[1:]]
    others += [(n, change) for n, other in drifts if n != number for change in other.changes]
    others.sort(key=lambda each: -each[1].level)
    worst = drift.changes[0]
    source = f" ({worst.source})" if worst.source else ""
    lines = [
        _fact(worst),
        "",
        f"  drift     {worst.level}: {MEANING[str(worst.level)]}{source}",
        f"  cassette  {path}, interaction {number}",
        f"  test      {test}",
        *_also(others, number),
        "",
        *_accepting(path, [test] if again is None else again, pending=pending, quoted=quoted),
    ]
    return "\n".join(escape_for_terminal(line) for line in lines)


def section_text(drifts: Sequence[tuple[int, Drift]], *, path: str) -> str:
    """Returns the full diff for a section of a test's report: each interaction with all its changes.

    What goes beyond two hundred lines is counted.

    Args:
        drifts: the numbers of the interactions, from 1, with their drift.
        path: of the cassette, as a person would type it.
    """
    lines: list[str] = []
    for number, drift in drifts:
        head, *changes = drift.full().split("\n")
        lines += ["", f"{path}#{number}  {head}", *(f"  {line}".rstrip() for line in changes)]
    left = len(lines) - _SECTION_LINES
    if left > 0:
        lines = [
            *lines[:_SECTION_LINES],
            f"... and {left:,} more lines; --stepreplay-report=FILE.json lists all",
        ]
    return "\n".join(escape_for_terminal(line) for line in lines[1:])


def _fact(change: Change) -> str:
    return f"{shortened(change.selector, _PLACE_WIDTH)}: {change.summary}"


def _also(others: Sequence[tuple[int, Change]], number: int) -> list[str]:
    lines = []
    for n, change in others[:2]:
        where = "" if n == number else f"interaction {n}: "
        lines.append(f"{where}{_fact(change)} ({change.level})")
    if len(others) > 2:
        counts = Counter(str(change.level) for _, change in others[1:])
        told = ", ".join(f"{counts[level]:,} {level}" for level in LEVELS if counts[level])
        lines[1:] = [f"... and {len(others) - 1:,} more: {told}"]
    return [f"  {'also' if i == 0 else '':8}  {line}" for i, line in enumerate(lines)]


def _accepting(path: str, tests: Sequence[str], *, pending: bool, quoted: str) -> list[str]:
    accept = stepreplay_command("accept", path)
    if quoted:
        return [
            f"  Fix: {quoted}.",
            "       If the new answer is as good as the stored one, record anew:",
            f"         {pytest_command('--stepreplay=rewrite', tests=tests)}",
            *(["       to look at each change first:", f"         {review_command()}"] if pending else []),
        ]
    if pending:
        return [
            "  Fix: if the new answer is as good as the stored one, accept it:",
            f"         {accept}",
            "       to look at each change first:",
            f"         {review_command()}",
        ]
    return [
        "  Fix: no pending file was written here. If the new answer is as good, run this where you can commit:",
        f"         {pytest_command('--stepreplay=verify', tests=tests)}",
        f"         {accept}",
    ]
