"""How alike two texts are, whatever the order of their words: rapidfuzz says it, without a model or a download."""

from __future__ import annotations

from rapidfuzz import fuzz


def likeness(old: str, new: str) -> float:
    """Returns a number from 0 to 1: how many letters of the sorted words are the same, in both texts."""
    return fuzz.token_sort_ratio(old, new) / 100
