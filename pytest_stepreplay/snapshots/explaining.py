"""Why a value is not equal to its snapshot, for a person: the leading fact first, and how to accept it last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from ..commands import pytest_command, stepreplay_command
from ..drift.forms import describe_change

if TYPE_CHECKING:
    from .comparisons import Comparison

SHORT: Final = 8
"""The most lines of an explanation that pytest shows without cutting it."""

_SHOWN_CHARACTERS = 640  # pytest cuts longer explanations
_FACT_WIDTH = 160


class _SnapshotOwner(Protocol):
    """Whose snapshots they are: paths as a person would type them, and whether pending files are left."""

    shown_path: str
    typed: str
    leaves_pending: bool


def explain(owner: _SnapshotOwner, comparison: Comparison, *, most_lines: int | None = SHORT) -> list[str]:
    """Returns why a comparison does not hold, the leading fact first, in lines that are safe to print.

    Args:
        owner: the snapshots of the test.
        comparison: one of its.
        most_lines: by default what pytest shows without cutting it. With more, what `SHORT` lines leave out is
            told too; None stands for every change in full.
    """
    where = f"snapshot {comparison.name} of {owner.shown_path}"
    if comparison.result == "missing":
        lines = [f"there is no {where}", f"write it:  {_command(owner, 'record')}"]
        return [*lines, f"or accept: {_accept(owner)}"] if owner.leaves_pending else lines
    if comparison.holds or comparison.drift is None:
        return [f"the same as {where}"]
    if comparison.result == "contradicts":
        tail = [f"in {where}, which this test has already set to another value; give each value its own name"]
    else:
        accept = _accept(owner) if owner.leaves_pending else _command(owner, "rewrite")
        tail = [f"in {where}", f"accept it: {accept}"]
    changes = comparison.drift.changes
    short = [describe_change(change, width=_FACT_WIDTH) for change in changes[:SHORT]]
    room = SHORT - len(tail)
    while len(short) > 1 and sum(map(len, (*short, *tail))) > _SHOWN_CHARACTERS:
        short.pop()
    if len(short) < len(changes) or len(short) > room:
        short = short[: room - 1]
        short.append(f"… and {len(changes) - len(short)} more, shown by -vv")
    elif most_lines is not None and not any("…" in line for line in short):
        return [*short, *tail]
    if most_lines == SHORT:
        return [*short, *tail]
    full = comparison.drift.full().splitlines()
    if most_lines is not None and len(full) > most_lines:
        full = [*full[:most_lines], f"… and {len(full) - most_lines} more lines, shown by -vv"]
    return [short[0], *tail, "", *full]


def _command(owner: _SnapshotOwner, mode: str) -> str:
    return pytest_command(f"--stepreplay={mode}", tests=[owner.typed])


def _accept(owner: _SnapshotOwner) -> str:
    return stepreplay_command("accept", owner.shown_path)
