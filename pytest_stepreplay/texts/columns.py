"""How wide text is in a terminal, and what of it fits: Chinese, Japanese and Korean take two columns a character."""

from __future__ import annotations

import unicodedata
from itertools import accumulate


def columns_of(text: str) -> int:
    """Returns how many columns of a terminal a text takes; Chinese, Japanese and Korean take two each."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    return 0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")


def clipped(text: str, columns: int) -> str:
    """Returns the text, or its start with an ellipsis where it takes more columns."""
    head = text[: 4 * columns]
    if head == text and columns_of(text) <= columns:
        return text
    ends = accumulate(map(_columns_of, head), initial=1)
    return head[: sum(end <= columns for end in ends) - 1] + "…"


def shortened(text: str, columns: int) -> str:
    """Returns the text, or both its ends with an ellipsis between them where it takes more columns."""
    if columns_of(text) <= columns:
        return text
    tail = clipped(text[: -4 * columns - 1 : -1], columns // 2)[::-1]
    return clipped(text, columns - columns // 2) + tail.removeprefix("…")
