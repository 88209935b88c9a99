"""A text for each JSON value: equal for values that are equal, up to what JSON leaves open."""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring_ascii
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def canonical_text(tree: Any) -> str:
    """Returns a text that is equal for equal JSON values: ``1`` is ``1.0``, but neither ``true`` nor ``"1"``."""
    try:
        text = _compact(tree)
    except (RecursionError, ValueError, TypeError):
        return _walked(tree)
    # What may be a float that is a whole number: its text must be that of the number.
    return _walked(tree) if _ZERO.search(text) or _POWER.search(text) else text


_compact: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
# How the text of such a float ends. Each begins with what it is searched for by: megabytes of a picture take no time.
_ZERO: Final = re.compile(r"\.0(?:[\]},]|\Z)")
_POWER: Final = re.compile(r"e\+[0-9]+(?:[\]},]|\Z)")


def _walked(tree: Any) -> str:
    """Returns the same text, made without recursion: neither a deep body nor a deep stack changes a key."""
    parts: list[str] = []
    write = parts.append
    stack: list[Iterator[tuple[str, Any]]] = [iter([("", tree)])]
    ends = [""]
    while stack:
        for before, node in stack[-1]:
            write(before)
            if isinstance(node, str):
                write(encode_basestring_ascii(node))
            elif isinstance(node, dict):
                pairs = sorted(((str(key), value) for key, value in node.items()), key=itemgetter(0))
                names = (f"{encode_basestring_ascii(name)}:" for name, _ in pairs)
                members = zip(names, (value for _, value in pairs), strict=True)
                stack.append(_separated(members))
                ends.append("}")
                write("{")
                break
            elif isinstance(node, list | tuple):
                stack.append(_separated(("", each) for each in node))
                ends.append("]")
                write("[")
                break
            elif isinstance(node, float) and node.is_integer():
                write(_whole(int(node)))
            elif isinstance(node, int) and not isinstance(node, bool):
                write(_whole(node))
            elif node is None or isinstance(node, bool | float):
                write(json.dumps(node))
            else:
                write(encode_basestring_ascii(f"{type(node).__name__} {node}"))
        else:
            stack.pop()
            write(ends.pop())
    return "".join(parts)


def _separated(members: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yields the members with a comma before the name of all but the first."""
    comma = ""
    for name, value in members:
        yield comma + name, value
        comma = ","


def _whole(number: int) -> str:
    try:
        return repr(number)
    except ValueError:  # more than 4,300 digits
        return hex(number)
