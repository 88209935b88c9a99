"""Objects that arrive in pieces: how each key grows, and what has grown.

The pieces of one object go in, one after the other, and a `Shape` says which texts are joined, which values stay and
which lists belong together. An endpoint describes its stream by shapes; nothing here knows one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..value_classes import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Shape:
    """How an object that arrives in pieces grows, key by key.

    Objects grow in place, and so do lists. Of any other key the last value counts.

    Attributes:
        joined: texts and lists that arrive in pieces.
        first: keys that keep their first value; only ``""``, 0 and null are placeholders.
        lists: lists of objects that belong together by their index, and how their entries grow.
        nested: how the objects under a key grow; all others grow as `rest` says.
        rest: how what nobody documents grows; None for as this object does.
        padding: what says nothing, against listeners who measure the chunks; it is left out.
        stated: texts that tell how things stand. If given, any other text that changes is joined, and one that
            always comes again is one.
    """

    joined: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    lists: Mapping[str, Shape] = field(default_factory=dict)
    nested: Mapping[str, Shape] = field(default_factory=dict)
    rest: Shape | None = None
    padding: frozenset[str] = frozenset()
    stated: frozenset[str] | None = None

    def below(self, key: str) -> Shape:
        """Return how what stands under a key grows."""
        return self.lists.get(key) or self.nested.get(key) or self.rest or self


STATE = Shape()
"""What tells how things stand so far, as `usage` does: the last value counts."""

# What is nested deeper does not grow: its last value counts.
_DEEPEST = 40

# What names the tool of a call.
CALLED = ("function", "custom")

# The texts, and the lists of parts, of which one content part is made.
_PARTS = frozenset({"text", "thinking", "reasoning", "summary", "content", "refusal"})


class Growing:
    """One object that arrives in pieces."""

    def __init__(self, shape: Shape, depth: int = 0) -> None:
        self._shape = shape
        self._depth = depth
        self._values: dict[str, Any] = {}
        self._pieces: dict[str, list[Any]] = {}
        self._objects: dict[str, Growing] = {}
        self._lists: dict[str, GrowingList] = {}
        self._unknown: dict[str, list[str]] = {}

    def add(self, piece: Mapping[str, Any]) -> None:
        """Takes the next piece."""
        shape, values = self._shape, self._values
        for key, value in piece.items():
            if key in shape.padding:
                continue
            if value is not None and key in shape.joined:
                pieces = self._pieces.setdefault(key, [])
                if not _repeats(key, value, pieces):
                    pieces.append(value)
            elif isinstance(value, dict) and self._depth < _DEEPEST:
                if key not in self._objects:
                    self._objects[key] = Growing(shape.below(key), self._depth + 1)
                self._objects[key].add(value)
            elif isinstance(value, list) and self._depth < _DEEPEST:
                if key not in self._lists:
                    alike = key in shape.lists
                    self._lists[key] = GrowingList(shape.below(key), self._depth + 1, alike=alike)
                self._lists[key].add(value)
            elif shape.stated is not None and isinstance(value, str) and key not in shape.stated:
                if value:
                    self._unknown.setdefault(key, []).append(value)
                else:
                    values.setdefault(key, value)
            elif values.get(key) in (None, "") or (value not in (None, "") and self._is_open(key)):
                values[key] = value
            values.setdefault(key, None)  # whatever its kind, a key stands where it came first

    def _is_open(self, key: str) -> bool:
        return key not in self._shape.first or not self._values[key]

    def value(self) -> dict[str, Any]:
        """Returns what has grown so far."""
        grown: dict[str, Any] = {
            key: "".join(pieces if len(set(pieces)) > 1 else pieces[:1])
            for key, pieces in self._unknown.items()
            if self._values[key] in (None, "")
        }
        grown |= {key: self._joined(key, pieces) for key, pieces in self._pieces.items()}
        grown |= {key: it.value() for key, it in self._objects.items()}
        grown |= {key: it.value() for key, it in self._lists.items()}
        return self._values | grown

    def _joined(self, key: str, pieces: list[Any]) -> Any:
        if len(pieces) < 2 or not all(isinstance(piece, dict) for piece in pieces):
            return _joined(key, pieces)
        grown = Growing(self._shape.below(key), self._depth + 1)
        for piece in pieces:
            grown.add(piece)
        return grown.value()

    def is_followed_by(self, piece: Mapping[str, Any], *, same_index: bool) -> bool:
        """Say whether `piece`, from the same list, starts another entry rather than continuing this."""
        mine, its = self._values.get("id"), piece.get("id")
        if self._values.get("type") and piece.get("type") not in (None, "", self._values["type"]):
            return True
        called = (piece.get(kind) for kind in CALLED)
        named = any(isinstance(it, dict) and it.get("name") for it in called) and self._is_named()
        if same_index:  # some servers number every call 0, others give each piece a fresh id
            return bool(named and mine and its and mine != its)
        return mine != its if mine and its else named

    def _is_named(self) -> bool:
        called = [self._objects[kind] for kind in CALLED if kind in self._objects]
        return any(any(it._pieces.get("name", ())) for it in called)


def _repeats(key: str, piece: Any, before: list[Any]) -> bool:
    """Say whether a piece says again what has come already.

    Some servers send the name of the function with each piece of its arguments, and the arguments once more
    as a whole.
    """
    if key == "name":
        return not piece or before == [piece]
    if piece == "":
        return bool(before)
    if key != "arguments" or not isinstance(piece, str) or piece[:1] != "{" or piece[-1:] != "}":
        return False
    at = 0
    for each in before:  # at most the first is empty, so this ends with the piece
        if not isinstance(each, str) or not piece.startswith(each, at):
            return False
        at += len(each)
    return at == len(piece)


class GrowingList:
    """A list that arrives in pieces. Its objects belong together by their `index`, or else by their `id`."""

    def __init__(self, shape: Shape, depth: int, *, alike: bool) -> None:
        """Takes how the entries grow.

        Args:
            shape: of each entry that is an object.
            depth: of each entry.
            alike: an entry without an index continues the last one until another starts; else each is one of
                its own.
        """
        self._shape = shape
        self._depth = depth
        self._alike = alike
        self._entries: list[tuple[int, Any]] = []
        self._by_index: dict[int, Growing] = {}
        self._by_id: dict[str, Growing] = {}
        self._last: Growing | None = None
        self._told: list[Any] | None = [] if shape is STATE else None

    def add(self, pieces: list[Any]) -> None:
        """Takes the pieces of the next chunk."""
        if self._told is not None:
            pieces = self._untold(pieces)
        grown: set[int] = set()
        for piece in pieces:
            entry = self._entry_for(piece)
            if entry is None or (not self._alike and id(entry) in grown):
                entry = self._start(piece)
            if entry is not None:
                entry.add(piece)
                grown.add(id(entry))

    def _untold(self, pieces: list[Any]) -> list[Any]:
        """Return what is new in a list that tells how things stand: it comes again as a whole, or grown."""
        told = self._told or []
        if any(map(_is_addressed, pieces)):
            return pieces
        if pieces == told[: len(pieces)]:
            return []
        if len(pieces) > len(told) and pieces[: len(told)] == told:
            pieces = pieces[len(told) :]
        told += pieces
        self._told = told
        return pieces

    def _entry_for(self, piece: Any) -> Growing | None:
        """Return the entry that a piece continues."""
        if not isinstance(piece, dict):
            return None
        place = _index_of(piece)
        if place is None and not self._alike:
            return self._by_id.get(piece["id"]) if _is_addressed(piece) else None
        entry = self._last if place is None else self._by_index.get(place)
        return None if entry is None or entry.is_followed_by(piece, same_index=place is not None) else entry

    def _start(self, piece: Any) -> Growing | None:
        """Start the entry that a piece is the first of; one that cannot grow is entered as it is."""
        place = _index_of(piece) if isinstance(piece, dict) else None
        at = len(self._entries) if place is None else place
        if not isinstance(piece, dict) or not (self._alike or _is_addressed(piece)):
            self._entries.append((at, piece))
            return None
        entry = self._last = Growing(self._shape, self._depth)
        self._entries.append((at, entry))
        if place is not None:
            self._by_index[place] = entry
        elif _is_addressed(piece):
            self._by_id[piece["id"]] = entry
        return entry

    def value(self) -> list[Any]:
        """Returns what has grown so far, in the order of the indexes."""
        ordered = sorted(self._entries, key=lambda entry: entry[0])
        return [entry.value() if isinstance(entry, Growing) else entry for _, entry in ordered]


def _index_of(entry: Mapping[str, Any]) -> int | None:
    index = entry.get("index")
    return index if isinstance(index, int) else None


def _is_addressed(entry: Any) -> bool:
    """Say whether an entry of a list tells which of its entries it belongs to."""
    if not isinstance(entry, dict):
        return False
    name = entry.get("id")
    return _index_of(entry) is not None or (isinstance(name, str) and bool(name))


def _joined(key: str, pieces: list[Any], depth: int = 0) -> Any:
    """Return a text or list from its pieces; texts among content parts become text parts."""
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    if len(pieces) == 1 and not isinstance(pieces[0], list):
        return pieces[0]
    parts: list[Any] = []
    for piece in pieces:
        if isinstance(piece, list):
            parts += piece
        elif piece != "":
            parts.append({"type": "text", "text": piece} if isinstance(piece, str) else piece)
    return _whole_parts(parts, depth) if key in _PARTS and depth < _DEEPEST else parts


def _whole_parts(parts: list[Any], depth: int) -> list[Any]:
    """Return content parts with the pieces of each in one: where a stream was cut says nothing."""
    groups: list[list[Any]] = []
    merged: list[Any] = []
    for part in parts:
        if groups and _continues(merged[-1], part):
            groups[-1].append(part)
            merged[-1] = {**merged[-1], **part}
        else:
            groups.append([part])
            merged.append(part)
    return [_whole_part(group, depth + 1) if isinstance(group[0], dict) else group[0] for group in groups]


def _continues(part: Any, following: Any) -> bool:
    """Say whether the second of two neighbours is the next piece of the first one's text."""
    if not (isinstance(part, dict) and isinstance(following, dict) and isinstance(part.get("type"), str)):
        return False
    both = part.keys() & following.keys()
    grown = {key for key in both & _PARTS if type(part[key]) is type(following[key]) in (str, list)}
    return bool(grown) and all(part[key] == following[key] for key in both - grown)


def _whole_part(group: list[dict[str, Any]], depth: int) -> dict[str, Any]:
    pieces: dict[str, list[Any]] = {}
    for part in group:
        for key, value in part.items():
            pieces.setdefault(key, []).append(value)
    return {key: _joined(key, found, depth) if key in _PARTS else found[0] for key, found in pieces.items()}
