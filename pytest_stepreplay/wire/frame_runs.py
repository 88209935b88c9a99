"""What stands for several frames of a stream -> the frames, byte for byte; `frame_patterns` makes it.

That is the pieces which the frames have in common, and what stands between them in each: a text, with a mark around
each frame's part of it, or a number that counts on from frame to frame.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .json_values import Tree

LIKE: Final = "like"
"""The key of the pattern of frames that are ``data: JSON``: the pieces around what differs."""

LIKE_FRAME: Final = "like_frame"
"""The same, of frames that are more than that."""

DELTAS: Final = "deltas"
"""The key of what stands between the pieces: a column for each gap."""

MARKS: Final = "|\u00a6\u2016\u2502\u2506"
"""What may stand between the parts of a text; its first character says which does."""

_NO_MARKS: Final = "should have the same mark around each piece of a text, at the ends of its lines too"


class BrokenRunError(ValueError):
    """Something that stands for several frames does not."""


def expand_frames(events: Sequence[Tree], most: int) -> tuple[list[Tree], int]:
    """Return the events that `frame_patterns.compact_frames` was given, and how many characters may still come out.

    Args:
        events: what it returned.
        most: how many characters may come out.

    Raises:
        BrokenRunError: one of them is no such pattern, or more would come out; it has the number of it.
    """
    found: list[Tree] = []
    for number, event in enumerate(events):
        if event.__class__ is dict and DELTAS in event:
            try:
                frames = _frames_of(event, most)
            except BrokenRunError as error:
                raise BrokenRunError(number, str(error)) from None
            most -= sum(map(len, frames))
            found += frames if LIKE in event else [{"frame": frame} for frame in frames]
        else:
            found.append(event)
    return found, most


def _frames_of(run: dict[str, Any], most: int) -> list[str]:
    pieces: Any = run.get(LIKE, run.get(LIKE_FRAME))
    deltas: Any = run[DELTAS]
    if len(run) != 2 or not _is_list_of(pieces, str) or not _is_list_of(deltas, str, dict):
        raise BrokenRunError(f"should have a list of texts as {LIKE}, and a list as {DELTAS}")
    if len(pieces) != len(deltas) + 1:
        raise BrokenRunError(f"should have one more of {LIKE} than of {DELTAS}")
    texts = [_pieces_of(each) for each in deltas if isinstance(each, str)]
    count = len(texts[0]) if texts else 0
    if not count or any(len(each) != count for each in texts):
        raise BrokenRunError("should have as many pieces in each of its texts")
    if count * sum(map(len, pieces)) + sum(map(len, filter(None, deltas))) > most:
        raise BrokenRunError("would be larger than a cassette may be")
    rest = iter(texts)
    rows: list[Iterable[str]] = [repeat(pieces[0], count)]
    for each, piece in zip(deltas, pieces[1:], strict=True):
        rows += next(rest) if isinstance(each, str) else _numbers_of(each, count), repeat(piece, count)
    return list(map("".join, zip(*rows, strict=True)))


def _is_list_of(value: object, *kinds: type) -> bool:
    return isinstance(value, list) and {*map(type, value)} <= {*kinds}


def _pieces_of(text: str) -> list[str]:
    mark = text[:1]
    if len(text) < 2 or mark not in MARKS or text[-1] != mark:
        raise BrokenRunError(_NO_MARKS)
    between = f"{mark}\n{mark}"
    if text.count("\n") != text.count(between):
        raise BrokenRunError(_NO_MARKS)
    return text.replace(between, mark)[1:-1].split(mark)


def _numbers_of(count: dict[str, Any], rows: int) -> Iterable[str]:
    start, step = count.get("start"), count.get("step")
    if len(count) != 2 or type(start) is not int or type(step) is not int:
        raise BrokenRunError("should have whole numbers as start and step")
    # Nothing else makes numbers of so many digits that they would be a problem.
    if max(abs(start), abs(step)) >= 10**18:
        raise BrokenRunError("has a number of too many digits")
    return map(str, range(start, start + step * rows, step)) if step else repeat(str(start), rows)
