"""Bodies in the form in which they are compared: what means the same there, is the same here.

A body goes in and comes out with its tool calls renamed, lists without an order sorted, fields that say no more than
their absence left out, and a multipart body as its parts. Nothing is changed in place.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from ..models import LARGE
from ..wire import large
from ..wire.multipart import Part, part_of, read_parts
from .canonical import canonical_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ..endpoints import Calls
    from ..models import BodyPart, Request
    from ..selectors import Selectors, State

EMPTY: Final[dict[str, tuple[Any, ...]]] = {"null": (None,), "empty": (None, "", [], {})}
"""Which values of a field are the same as its absence, wherever it stands, by the name of the setting's value."""

_SHORT: Final = 10_000
"""Bytes of a part that are compared as text, so that a miss says what differs there; others by their digest."""

_DIGITS: Final = 16
"""Of the SHA-256 of a part, so many tell it from others, and still fit in a line."""

_DASHES: Final = ("LS0", "LS1", "LS2", "LS3")
"""How base64 begins where the bytes begin with two dashes."""


def without_empty(tree: Any, empty: Collection[Any]) -> Any:
    """Returns the tree without the fields that hold one of the values, at any depth."""
    copied, _ = _copy(tree, None, empty)
    return copied


def with_normalized(tree: Any, normalize: Callable[[Any], Any]) -> Any:
    """Returns the tree with its texts and numbers normalized, in the order of the sorted keys."""
    copied, _ = _copy(tree, None, (), normalize)
    return copied


def with_order(tree: Any, unordered: Selectors, calls: Calls | None) -> Any:
    """Returns the tree with the lists that the selectors name in one order, whatever theirs was.

    Args:
        tree: a body.
        unordered: selectors of the lists.
        calls: how calls of tools are written in it.
    """
    ids = calls.ids if calls else ()
    copied, lists = _copy(tree, unordered, ())
    for found in reversed(lists):  # inner lists stand behind outer ones
        found.sort(key=lambda item: (canonical_text(_without(item, ids)), canonical_text(item)))
    return copied


def _without(item: Any, ids: Collection[str]) -> Any:
    """Returns the item without what is fresh in each run; ids are renamed by the order that sorting gives."""
    return {name: each for name, each in item.items() if name not in ids} if isinstance(item, dict) else item


def _copy(
    tree: Any,
    chosen: Selectors | None,
    empty: Collection[Any],
    normalize: Callable[[Any], Any] | None = None,
) -> tuple[Any, list[list[Any]]]:
    """Returns a copy of the tree without empty fields, and which of its lists the selectors name."""
    result: list[Any] = []
    named: list[list[Any]] = []
    start = None if chosen is None else chosen.start
    pending: list[tuple[Any, State | None, Any, Any]] = [(tree, start, result, None)]
    while pending:
        value, state, parent, key = pending.pop()
        copied: Any = value
        below: list[tuple[Any, Any]] = []
        if isinstance(value, dict):
            below = [(name, each) for name, each in value.items() if not _is_empty(each, empty)]
            copied = dict.fromkeys(name for name, _ in below)
            if normalize:
                below.sort(key=lambda pair: str(pair[0]))
        elif isinstance(value, list):
            copied = []
            below = list(enumerate(value))
            if state is not None and state.hits:
                named.append(copied)
        elif normalize:
            copied = normalize(value)
        pending += ((each, state and state.step(name), copied, name) for name, each in reversed(below))
        if isinstance(parent, dict):
            parent[key] = copied
        else:
            parent.append(copied)
    return result[0], named


def _is_empty(value: Any, empty: Collection[Any]) -> bool:
    return not value and not isinstance(value, bool | int | float) and value in empty


def read_other(request: Request) -> list[Any]:
    """Returns a body that is no JSON in the form in which it is compared: its kind, and what there is of it.

    A multipart body is its parts, a large one its digest, whether it stands in the cassette or beside it.
    """
    if request.file is not None:
        return ["bytes", _digest(request.file.size, request.file.digest)]
    parts = _parts_of(request)
    if parts is not None:
        return ["multipart", parts]
    if request.base64 is not None and len(request.base64) > LARGE:
        data = b64decode(request.base64)
        if len(data) > LARGE:
            return ["bytes", _digest(len(data), sha256(data).hexdigest())]
    kind = request.body_kind
    return [kind, list(request.events) if request.events else getattr(request, kind or "text")]


def _parts_of(request: Request) -> list[dict[str, Any]] | None:
    if request.parts is not None:
        return [_describe_stored(part) for part in request.parts]
    if request.text is not None and request.text.startswith("--"):
        parts = read_parts(request.text.encode())
    elif request.base64 is not None and request.base64.startswith(_DASHES):
        parts = read_parts(b64decode(request.base64))
    else:
        return None
    return None if parts is None else [_describe(part) for part in parts]


def _digest(size: int, digest: str) -> dict[str, Any]:
    return {"bytes": size, "digest": digest[:_DIGITS]}


def _describe_stored(part: BodyPart) -> dict[str, Any]:
    read = part_of(large.head_of(part), b"") or Part(part.head, None, None, b"")
    if part.file is not None:
        return _named(read) | _digest(part.file.size, part.file.digest)
    return _describe(replace(read, data=large.data_of(part)))


def _describe(part: Part) -> dict[str, Any]:
    try:
        text = str(part.data, "utf-8") if len(part.data) <= _SHORT else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        return _named(part) | _digest(len(part.data), sha256(part.data).hexdigest())
    return _named(part) | {"text": text}


def _named(part: Part) -> dict[str, Any]:
    described = {"name": part.name, "filename": part.filename, "type": part.type}
    return {name: each for name, each in described.items() if each is not None}
