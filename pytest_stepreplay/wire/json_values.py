"""JSON values: what type one has, whether two are the same, what stands in a text, and what a cassette can hold.

In Python True is 1 and 1.0 too; to JSON, only the last two are one. Every depth is taken, except by `parse_json`.
"""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..lazy import late_pattern
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Tree: TypeAlias = Any
"""A JSON value: a dict with text keys, a list, str, int, float, bool or None."""

MAX_DEPTH: Final = 500
"""How deep the mappings and lists of a cassette may be nested."""

BLOCKS: Final = (dict, list, tuple)
"""What may hold other values."""

_SURROGATE_ESCAPE: Final = late_pattern(r"\\u[dD][89a-fA-F]")
_WORD: Final = late_pattern(r"[\w!/.:-]{1,60}", re.ASCII)
_EXACT: Final = 1 << 53
"""Whole numbers below it are exact in every reader of JSON."""


@dataclass(frozen=True)
class BrokenJson:
    """Why a text could not be parsed."""

    problem: str


def parsed(text: str) -> Any:
    """Returns the JSON value in `text`, or `BrokenJson`."""
    try:
        return json.loads(text, parse_float=_number)
    except json.JSONDecodeError as error:
        problem = f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
        return BrokenJson(problem if text.strip() else "it is empty")
    except ValueError:
        return BrokenJson("a number has too many digits")
    except RecursionError:
        return BrokenJson("it is nested too deeply")


def structure_in(text: str) -> Any:
    """Returns the object or array that a text is; None for any other."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    value = parsed(text)
    return None if isinstance(value, BrokenJson) else value


def parsed_or_none(text: str | bytes) -> Any:
    """Returns the value that a JSON text stands for, as the standard library reads it; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def on_one_line(given: Any) -> str:
    """Returns what a tool is given as JSON on one line; what is no JSON as it is."""
    try:
        value = json.loads(given) if isinstance(given, str) else given
    except (ValueError, RecursionError):
        return str(given)
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _number(text: str) -> int | float:
    return exact_number(float(text))


def exact_number(value: float) -> int | float:
    """Returns a number; as an integer where it is a whole one, as 1.0 is to JSON."""
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def name_type(value: object) -> str:
    """Returns JSON's name for the type of `value`, with its article."""
    return next((name for kind, name in _TYPE_NAMES if isinstance(value, kind)), "nothing")


_TYPE_NAMES: tuple[tuple[type, str], ...] = (
    (type(None), "null"),
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a number"),
    (str, "a string"),
    (list, "an array"),
    (dict, "an object"),
)


def is_equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same to the last one. In Python True is 1, and 1.0 too."""
    pending = [(one, other)]
    while pending:
        one, other = pending.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, dict):
            if one.keys() != other.keys():
                return False
            pending += [(child, other[key]) for key, child in one.items()]
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            pending += zip(one, other, strict=True)
        elif one != other:
            return False
    return True


def canonical(value: Any) -> str:
    """Returns a text that is equal for JSON-equal values, whatever their depth."""
    parts: list[str] = []
    # What is to be written, last first: a text as it is, a value in a tuple.
    pending: list[Any] = [(value,)]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        (inner,) = item
        if isinstance(inner, dict):
            pending.append("}")
            for i, key in enumerate(sorted(inner, reverse=True), start=1):
                pending += [(inner[key],), f"{json.dumps(key)}: ", ", " if i < len(inner) else "{"]
            parts += () if inner else "{"
        elif isinstance(inner, list):
            pending.append("]")
            for i, child in enumerate(reversed(inner), start=1):
                pending += [(child,), ", " if i < len(inner) else "["]
            parts += () if inner else "["
        else:
            parts.append(hex(inner) if type(inner) is int and abs(inner) > _EXACT else json.dumps(inner))
    return "".join(parts)


def texts_below(tree: Any) -> Iterator[str]:
    """Yields every text in a tree, keys left out, in no order."""
    pending = [tree]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def objects_in(tree: Any) -> Iterator[dict[str, Any]]:
    """Yields every object of a tree, in the order of the document."""
    pending = [tree]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            pending.extend(reversed(value.values()))
        elif isinstance(value, list):
            pending.extend(reversed(value))


def parse_json(text: str) -> Tree:
    """Return the tree that a JSON text stands for, if a cassette can hold it and nothing would come back otherwise.

    What the standard library lets pass is an error: a key that stands twice, ``NaN``, half of a surrogate pair, and
    nesting without end.

    Raises:
        json.JSONDecodeError: it is not JSON.
        ValueError: it has what a cassette cannot hold; the message goes on from the name of the file.
    """
    try:
        tree = json.loads(text, object_pairs_hook=_object, parse_constant=refuse_constant)
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


def refuse_constant(constant: str) -> None:
    """Raises for ``NaN`` and its like, which the standard library takes for JSON."""
    raise ValueError(f"has {constant}, which JSON does not have")


def is_deeper_than(tree: Tree, levels: int) -> bool:
    """Tell whether mappings and lists are nested in more levels than these."""
    layer = _blocks([tree])
    for _ in range(levels):
        layer = _blocks(
            chain.from_iterable(each.values() if isinstance(each, dict) else each for each in layer)
        )
    return bool(layer)


def _blocks(values: Iterable[Tree]) -> list[Tree]:
    return [value for value in values if isinstance(value, BLOCKS)]
