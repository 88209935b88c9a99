"""The frames of a stream -> fewer lines: frames that are alike become one pattern, and what differs in them.

Frames go in as a cassette's tree has them, and `frame_runs` gives them back, byte for byte. What differs from one to
the next is a text in pieces, on a line for each clause, so that git shows which of them has changed, or a number that
counts on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .frame_runs import DELTAS, LIKE, LIKE_FRAME, MARKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .json_values import Tree

_FEWEST: Final = 3  # frames that are worth a pattern
_MOST_GAPS: Final = 8
_CLAUSE, _LINE = 60, 100  # characters
# Possessive, so that no frame is ever tried twice.
_SCALARS: Final = re.compile(r'("(?:[^"\\]++|\\.)*+"|-?\d[\d.eE+-]*+)', re.DOTALL)
_ENDS_SENTENCE: Final = re.compile(r"""(?:[.!?\u3002\uff01\uff1f\u2026]["'\u201d\u2019)*]*|\\n) *\Z""")
_ENDS_CLAUSE: Final = re.compile(r"[,;:\uff0c\uff1b\uff1a\u3001] *\Z")
_COUNT: Final = re.compile(r"-?(?:0|[1-9]\d{0,17})", re.ASCII)


def compact_frames(events: Sequence[Tree]) -> list[Tree]:
    """Return the events of a stream with those that are alike taken together; as they are where nothing is gained.

    Args:
        events: each a line of JSON, or a mapping with one ``frame``.
    """
    frames = [_parts_of(event) for event in events]
    found: list[Tree] = []
    here = 0
    while here < len(events):
        gaps = _gaps_at(frames, here)
        end = here + 1
        if gaps:
            while end < len(frames) and _differ_only_at(gaps, frames[end - 1], frames[end]):
                end += 1
        run = _run_of(frames[here:end], sorted(gaps)) if end - here >= _FEWEST else None
        if run is None:
            end = here + 1
            found.append(events[here])
        else:
            found.append(run)
        here = end
    return found


# ---------------------------------------------------------------- frames that are alike


def _parts_of(event: Tree) -> tuple[bool, list[str]]:
    """Return whether an event is more than JSON, and its text, each scalar of it at an odd place."""
    if isinstance(event, str):
        return False, _SCALARS.split(event)
    frame = event.get("frame") if isinstance(event, dict) else None
    return True, _SCALARS.split(frame) if isinstance(frame, str) else []


def _gaps_at(frames: Sequence[tuple[bool, list[str]]], here: int) -> set[int]:
    """Return the places in which the frames from here on differ; none where the first is not like those after it."""
    if here + 2 >= len(frames):
        return set()
    gaps = _differing(frames[here + 1], frames[here + 2])
    if not gaps or len(gaps) > _MOST_GAPS or not _differ_only_at(gaps, frames[here], frames[here + 1]):
        return set()
    return gaps


def _differ_only_at(gaps: set[int], one: tuple[bool, list[str]], other: tuple[bool, list[str]]) -> bool:
    places = _differing(one, other)
    return places is not None and gaps.issuperset(places)


def _differing(one: tuple[bool, list[str]], other: tuple[bool, list[str]]) -> set[int] | None:
    """Return the places of the scalars in which two frames differ; None where more than scalars does."""
    (is_raw, old), (other_is_raw, new) = one, other
    if is_raw is not other_is_raw or len(old) != len(new) or old[::2] != new[::2]:
        return None
    gaps = {i for i in range(1, len(old), 2) if old[i] != new[i]}
    return None if any((old[i][0] == '"') is not (new[i][0] == '"') for i in gaps) else gaps


def _run_of(frames: Sequence[tuple[bool, list[str]]], gaps: list[int]) -> Tree | None:
    is_raw, pattern = frames[0]
    pieces, columns = [""], list[list[str]]()
    for i, part in enumerate(pattern):
        if i in gaps:
            values = [parts[i] for _, parts in frames]
            if part[0] == '"':
                pieces[-1] += '"'
                values = [value[1:-1] for value in values]
            columns.append(values)
            pieces.append('"' if part[0] == '"' else "")
        else:
            pieces[-1] += part
    counts: list[Tree] = [_counted(values) for values in columns]
    if all(counts):
        counts[0] = None  # something must say how many frames there are
    deltas = [count or _in_lines(values) for count, values in zip(counts, columns, strict=True)]
    return None if None in deltas else {LIKE_FRAME if is_raw else LIKE: [*pieces], DELTAS: deltas}


def _counted(values: Sequence[str]) -> Tree:
    """Return where numbers start and by how much each is more than the one before; None where they don't count so."""
    if not all(map(_COUNT.fullmatch, values)) or "-0" in values:
        return None
    numbers = list(map(int, values))
    step = numbers[1] - numbers[0]
    if numbers != [numbers[0] + step * i for i in range(len(numbers))]:
        return None
    return {"start": numbers[0], "step": step}


def _in_lines(values: Sequence[str]) -> str | None:
    """Return the pieces of a text with a mark around each; None where each mark stands in one of them."""
    whole = "".join(values)
    mark = next((mark for mark in MARKS if mark not in whole), None)
    if mark is None or "\n" in whole or "\r" in whole:
        return None
    lines, line = list[str](), mark
    for value in values:
        line += value + mark
        if (
            len(line) > _LINE
            or _ENDS_SENTENCE.search(value)
            or (len(line) > _CLAUSE and _ENDS_CLAUSE.search(value))
        ):
            lines.append(line)
            line = mark
    return "\n".join([*lines, line] if line != mark else lines)
