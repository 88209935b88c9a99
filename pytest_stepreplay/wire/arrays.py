"""An array of objects that is sent item by item, as Gemini streams without server-sent events.

Text goes in; the items come out, and where each of them stands, so that such a stream is told from an array that was
cut anywhere on its way.
"""

from __future__ import annotations

import json
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BETWEEN: Final = " \t\r\n,"
_DECODER: Final = json.JSONDecoder()


def items_of(text: str) -> list[dict[str, Any]]:
    """Returns the objects of an array, as far as it has come; none for what is no array of objects."""
    return [item for item, _, _ in _items(text)]


def comes_in_items(chunks: Sequence[bytes]) -> bool:
    """Says whether each chunk of a body ends between two items of an array."""
    if len(chunks) < 2 or chunks[0].lstrip()[:1] != b"[":
        return False
    ends = {*accumulate(map(len, chunks[:-1]))}
    # Read so, each character is one byte.
    found = [(start, end) for _, start, end in _items(b"".join(chunks).decode("latin-1"))]
    if not found:
        return False
    gaps = [(0, found[0][0]), *((end, start) for (_, end), (start, _) in pairwise(found))]
    last = found[-1][1]
    return all(end >= last or any(low <= end <= high for low, high in gaps) for end in ends)


def _items(text: str) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Yields the objects of an array, each with where it begins and ends."""
    at = len(text) - len(text.lstrip())
    if text[at : at + 1] != "[":
        return
    at += 1
    while at < len(text):
        while text[at : at + 1] and text[at] in _BETWEEN:
            at += 1
        try:
            item, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        if not isinstance(item, dict):
            return
        yield item, at, end
        at = end
