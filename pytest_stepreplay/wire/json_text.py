"""JSON text -> a tree that a cassette can hold, and nothing that would come back as something else.

What the standard library lets pass is an error here: a key that stands twice, ``NaN``, half of a surrogate
pair, and nesting without end.
"""

from __future__ import annotations

import json
import re

from .trees import MAX_DEPTH, Tree, is_deeper_than

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_WORD = re.compile(r"[\w!/.:-]{1,60}", re.ASCII)


def parse_json(text: str) -> Tree:
    """Return the tree that a JSON text stands for.

    Raises:
        json.JSONDecodeError: it is not JSON.
        ValueError: it has what a cassette cannot hold; the message goes on from the name of the file.
    """
    try:
        tree = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
        too_deep = is_deeper_than(tree, MAX_DEPTH)
    except RecursionError:
        too_deep = True
    if too_deep:
        raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")
    if _SURROGATE_ESCAPE.search(text):
        try:
            json.dumps(tree, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("has half of a surrogate pair in a text") from None
    return tree


def shown(text: str) -> str:
    """Return a key or tag of a file as a message can show it: what is more than a word comes short, in ASCII."""
    return text if _WORD.fullmatch(text) else json.dumps(text[:60])


def _object(pairs: list[tuple[str, Tree]]) -> dict[str, Tree]:
    found: dict[str, Tree] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"has the key {shown(key)} twice in one object")
        found[key] = value
    return found


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"has {constant}, which JSON does not have")
