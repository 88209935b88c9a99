"""Answers that are bytes: a sound, an image, a file. They are compared as an object that says what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS: Final = frozenset({"type", "bytes", "sha256"})
"""What is known of the bytes of a body: their media type, their number, and how their SHA-256 begins."""

LEVELS: Final[dict[str, Level | None]] = {
    "type": Level.BEHAVIOR,
    "bytes": Level.METADATA,
    "sha256": Level.CONTENT,
}

ANEW: Final = ("bytes", "sha256")
"""Of bytes that a model makes anew on each call, only the type counts."""


def is_binary(tree: Mapping[str, Any]) -> bool:
    """Whether an object says what bytes are."""
    return tree.keys() == KEYS
