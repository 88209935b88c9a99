"""Bytes that stand in a text as base64, such as a picture in an answer: what they are, for a person.

A JSON tree goes in, and comes out with a few words in place of each long one. Nobody reads a megabyte of them.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_LONG: Final = 1024
"""Characters. A shorter one may be shown; a longer one without a space in it is no prose."""
_ENCODED: Final = re.compile(r"(?:data:(?P<type>[\w./+-]*)(?:;[\w=.-]+)*;base64,)?[\w+/-]+={0,2}", re.ASCII)


def describe_base64(text: str) -> str | None:
    """Returns what a long text of base64 holds: ``image/png, 1,048,576 bytes in base64, SHA-256 5891b5…``; else None.

    The digest is that of the text, so that two of them can be told apart.
    """
    found = _ENCODED.fullmatch(text) if len(text) >= _LONG else None
    if found is None:
        return None
    begin = text.find(",") + 1
    size = (len(text) - begin - text.count("=", len(text) - 2)) * 3 // 4
    named = f"{found['type']}, " if found["type"] else ""
    return f"{named}{size:,} bytes in base64, SHA-256 {sha256(text.encode()).hexdigest()[:16]}"


def without_base64(tree: Any, tell: Callable[[list[Any]], str | None] = lambda _: None) -> Any:
    """Returns a JSON tree with what each long text of base64 holds in its place; what has none is shared with it.

    Args:
        tree: the tree.
        tell: what stands in place of a list; None for what the list holds.
    """
    if isinstance(tree, str):
        return describe_base64(tree) or tree
    if isinstance(tree, dict):
        made = {key: without_base64(value, tell) for key, value in tree.items()}
        return tree if all(made[key] is value for key, value in tree.items()) else made
    if not isinstance(tree, list):
        return tree
    if told := tell(tree):
        return told
    items = [without_base64(value, tell) for value in tree]
    return tree if all(one is other for one, other in zip(items, tree, strict=True)) else items
