"""Server-sent events: exact frames for storage, events for reading, and chunks folded into one completion.

Text goes in. `split_frames` keeps every character of it, `events_of` reads it as the HTML standard says
(https://html.spec.whatwg.org/multipage/server-sent-events.html), and `assemble` turns the chunks of a
streamed chat completion, in StepFun's dialect and the other known ones, into what a plain call returns.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

TEXT_COMPLETION = "text_completion"
"""The object of ``/v1/completions``, and of each of its chunks."""

DONE = "[DONE]"
"""The payload that ends a stream of chunks; it is not JSON."""

# A line ends with CR LF, LF or CR; a frame is its lines and the blank line after them. Possessive, so that
# neither a CR LF is ever taken apart nor a huge frame ever tried twice.
_FRAME = re.compile(r"(?:[^\r\n]++(?:\r\n|\r|\n|\Z))*+(?:\r\n|\r|\n)?")
_LINE_END = re.compile(r"\r\n|\r|\n")
_INDENTED_DATA = re.compile(r"(?:^|(?<=[\r\n])) +(?=data:)")


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: its type (``message`` unless the server named another) and its data."""

    type: str
    data: str


def split_frames(text: str) -> list[str]:
    """Return the exact text of each frame, its blank line included; joined, they are `text` again.

    A blank line with nothing before it is a frame of its own, and so is an unfinished end.
    """
    return [frame for frame in _FRAME.findall(text) if frame]


def frame_of(data: str) -> str:
    """Return the frame that carries one line of data."""
    return f"data: {data}\n\n"


def frame_data(frame: str) -> str | None:
    """Return the payload of a frame that is exactly ``data: PAYLOAD`` and a blank line.

    Args:
        frame: the exact text of one frame.

    Returns:
        One line that is a JSON object or array or ``[DONE]``, for which `frame_of` gives the frame back;
        None for every other frame.
    """
    if not frame.startswith("data: ") or not frame.endswith("\n\n"):
        return None
    data = frame[6:-2]
    if data == DONE:
        return data
    # JSON allows white space around a value; in a cassette it would be invisible.
    if data[:1] not in ("{", "[") or data[-1] not in "}]" or "\n" in data or "\r" in data:
        return None
    return None if _json_of(data) is None else data


def events_of(text: str) -> list[Event]:
    """Return the events a standard client sees in `text`.

    As the HTML standard says: comments and unknown fields are skipped, several ``data`` lines are joined with
    line feeds, an event without data and an unfinished one at the end are dropped.
    """
    return list(_parse(text))


def chunks_of(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects that a stream carries, in order; comments and ``[DONE]`` are skipped.

    Two habits of real servers are allowed for: ``data:`` may stand behind spaces (in the standard that is an
    unknown field, so no correct stream changes its meaning), and the data of an ``error`` event is always
    returned under an ``error`` key.
    """
    chunks = []
    for event in _parse(_INDENTED_DATA.sub("", text)):
        value = _json_of(event.data)
        if event.type == "error" and not (isinstance(value, dict) and "error" in value):
            chunks.append({"error": {"message": event.data} if value is None else value})
        elif isinstance(value, dict):
            chunks.append(value)
    return chunks


def _parse(text: str) -> Iterator[Event]:
    kind, data = "", list[str]()
    # What follows the last line end is an unfinished line.
    for line in _LINE_END.split(text.removeprefix("\ufeff"))[:-1]:
        if not line:
            if data:
                yield Event(kind or "message", "\n".join(data))
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value


def _json_of(text: str) -> Any:
    """Return the parsed object or array, or None where `text` is neither."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True)
class _Shape:
    """How an object that arrives in pieces grows, key by key.

    Objects grow in place, and so do lists. Of any other key the last value counts.

    Attributes:
        joined: texts and lists that arrive in pieces.
        first: keys that keep their first value; only ``""``, 0 and null are placeholders.
        lists: lists of objects that belong together by their index, and how their entries grow.
        nested: how the objects under a key grow; all others grow as `rest` says.
        rest: how what nobody documents grows; None for as this object does.
        padding: what says nothing, against listeners who measure the chunks; it is left out.
    """

    joined: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    lists: Mapping[str, _Shape] = field(default_factory=dict)
    nested: Mapping[str, _Shape] = field(default_factory=dict)
    rest: _Shape | None = None
    padding: frozenset[str] = frozenset()

    def below(self, key: str) -> _Shape:
        """Return how what stands under a key grows."""
        return self.lists.get(key) or self.nested.get(key) or self.rest or self


_STATE = _Shape()
"""What tells how things stand so far, as `usage` does: the last value counts."""

# What a delta brings is a piece, in whichever object of whichever server it stands.
_PIECES = _Shape(
    joined=frozenset(
        {"text", "content", "thinking", "reasoning", "summary", "transcript", "data", "arguments", "input"}
    )
)
_FUNCTION = _Shape(joined=frozenset({"name", "arguments"}), rest=_STATE)
_CALL = _Shape(
    joined=frozenset({"arguments", "input"}),
    first=frozenset({"id"}),
    nested={"function": _FUNCTION, "custom": _Shape(joined=frozenset({"name", "input"}), rest=_STATE)},
    rest=_PIECES,
)
_MESSAGE = _Shape(
    joined=frozenset({"content", "reasoning", "reasoning_content", "thinking", "refusal", "annotations"}),
    lists={
        "tool_calls": _CALL,
        "executed_tools": _Shape(joined=frozenset({"arguments"}), rest=_STATE),
        "reasoning_details": _PIECES,
    },
    nested={"function_call": _FUNCTION},
    rest=_PIECES,
    padding=frozenset({"obfuscation"}),
)
_LOGPROBS = frozenset({"content", "refusal", "tokens", "token_logprobs", "top_logprobs", "text_offset"})
_CHOICE = _Shape(
    joined=frozenset({"text"}),
    nested={"delta": _MESSAGE, "logprobs": _Shape(joined=_LOGPROBS)},
    rest=_STATE,
)
_COMPLETION = _Shape(
    first=frozenset({"id", "created", "model"}),
    lists={"choices": _CHOICE},
    rest=_STATE,
    padding=frozenset({"obfuscation", "p"}),  # OpenAI's, Mistral's
)

# What is nested deeper does not grow: its last value counts.
_DEEPEST = 40

# What names the tool of a call.
_CALLED = ("function", "custom")

# The texts, and the lists of parts, of which one content part is made.
_PARTS = frozenset({"text", "thinking", "reasoning", "summary", "content", "refusal"})


def assemble(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Fold the chunks of one stream into the ``chat.completion`` object that they describe.

    The older ``/v1/completions`` streams pieces of its own object, so those fold into a ``text_completion``.
    Texts, the arguments of tool calls and the pieces of one content part are joined, and an object that comes
    in several chunks is one with all their keys. The last number in `usage` counts, since StepFun's is
    cumulative on every chunk. ``""`` and null never replace a value. A choice that never finished has
    `finish_reason` null. A field nobody documented is kept, with its last value; an ``error`` in the stream
    stays as `error`. What breaks the documented shape is kept as far as it can be: nothing is raised, and judging it
    is not done here.

    Args:
        chunks: parsed ``chat.completion.chunk`` objects, as `chunks_of` returns them.

    Returns:
        A new dict, JSON throughout.
    """
    growing = _Growing(_COMPLETION)
    for chunk in chunks:
        growing.add(_numbered(chunk))
    completion = growing.value()
    if completion.get("object") != TEXT_COMPLETION:
        completion["object"] = "chat.completion"
    choices = completion.get("choices") or []
    completion["choices"] = [_finished(it) for it in choices] if isinstance(choices, list) else choices
    return completion


def _numbered(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the chunk with an index on each choice; its place in the list where the server sent none."""
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return chunk
    numbered = [
        {**choice, "index": place} if isinstance(choice, dict) and choice.get("index") is None else choice
        for place, choice in enumerate(choices)
    ]
    return {**chunk, "choices": numbered}


def _finished(choice: Any) -> Any:
    """Return a choice of a completion for one that grew from deltas."""
    if not isinstance(choice, dict):
        return choice
    message: dict[str, Any] = {"role": "assistant", "content": None}
    delta, whole = choice.pop("delta", None), choice.pop("message", None)
    if isinstance(delta, dict):
        message |= {key: value for key, value in delta.items() if key != "role" or value}
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                call.pop("index", None)  # it joined the pieces; a documented tool call has none
                kind = next((kind for kind in _CALLED if kind in call), None)
                if kind and not call.get("type"):
                    call["type"] = kind
    if isinstance(whole, dict):
        # Some servers end a stream with the whole message; it speaks for all the pieces before it.
        message |= {key: value for key, value in whole.items() if value not in (None, "")}
    reason = choice.pop("finish_reason", None) or None
    if "text" in choice and delta is None and whole is None:
        return {"text": choice.pop("text"), "index": choice.pop("index"), "finish_reason": reason, **choice}
    return {"index": choice.pop("index"), "message": message, "finish_reason": reason, **choice}


class _Growing:
    """One object that arrives in pieces."""

    def __init__(self, shape: _Shape, depth: int = 0) -> None:
        self._shape = shape
        self._depth = depth
        self._values: dict[str, Any] = {}
        self._pieces: dict[str, list[Any]] = {}
        self._objects: dict[str, _Growing] = {}
        self._lists: dict[str, _GrowingList] = {}

    def add(self, piece: Mapping[str, Any]) -> None:
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
                    self._objects[key] = _Growing(shape.below(key), self._depth + 1)
                self._objects[key].add(value)
            elif isinstance(value, list) and self._depth < _DEEPEST:
                if key not in self._lists:
                    alike = key in shape.lists
                    self._lists[key] = _GrowingList(shape.below(key), self._depth + 1, alike=alike)
                self._lists[key].add(value)
            elif values.get(key) in (None, "") or (value not in (None, "") and self._is_open(key)):
                values[key] = value
            values.setdefault(key, None)  # whatever its kind, a key stands where it came first

    def _is_open(self, key: str) -> bool:
        return key not in self._shape.first or not self._values[key]

    def value(self) -> dict[str, Any]:
        grown = {key: self._joined(key, pieces) for key, pieces in self._pieces.items()}
        grown |= {key: it.value() for key, it in self._objects.items()}
        grown |= {key: it.value() for key, it in self._lists.items()}
        return self._values | grown

    def _joined(self, key: str, pieces: list[Any]) -> Any:
        if len(pieces) < 2 or not all(isinstance(piece, dict) for piece in pieces):
            return _joined(key, pieces)
        grown = _Growing(self._shape.below(key), self._depth + 1)
        for piece in pieces:
            grown.add(piece)
        return grown.value()

    def is_followed_by(self, piece: Mapping[str, Any], *, same_index: bool) -> bool:
        """Say whether `piece`, from the same list, starts another entry rather than continuing this."""
        mine, its = self._values.get("id"), piece.get("id")
        if self._values.get("type") and piece.get("type") not in (None, "", self._values["type"]):
            return True
        called = (piece.get(kind) for kind in _CALLED)
        named = any(isinstance(it, dict) and it.get("name") for it in called) and self._is_named()
        if same_index:  # some servers number every call 0, others give each piece a fresh id
            return bool(named and mine and its and mine != its)
        return mine != its if mine and its else named

    def _is_named(self) -> bool:
        called = [self._objects[kind] for kind in _CALLED if kind in self._objects]
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


class _GrowingList:
    """A list that arrives in pieces. Its objects belong together by their `index`, or else by their `id`."""

    def __init__(self, shape: _Shape, depth: int, *, alike: bool) -> None:
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
        self._by_index: dict[int, _Growing] = {}
        self._by_id: dict[str, _Growing] = {}
        self._last: _Growing | None = None
        self._told: list[Any] | None = [] if shape is _STATE else None

    def add(self, pieces: list[Any]) -> None:
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

    def _entry_for(self, piece: Any) -> _Growing | None:
        """Return the entry that a piece continues."""
        if not isinstance(piece, dict):
            return None
        place = _index_of(piece)
        if place is None and not self._alike:
            return self._by_id.get(piece["id"]) if _is_addressed(piece) else None
        entry = self._last if place is None else self._by_index.get(place)
        return None if entry is None or entry.is_followed_by(piece, same_index=place is not None) else entry

    def _start(self, piece: Any) -> _Growing | None:
        """Start the entry that a piece is the first of; one that cannot grow is entered as it is."""
        place = _index_of(piece) if isinstance(piece, dict) else None
        at = len(self._entries) if place is None else place
        if not isinstance(piece, dict) or not (self._alike or _is_addressed(piece)):
            self._entries.append((at, piece))
            return None
        entry = self._last = _Growing(self._shape, self._depth)
        self._entries.append((at, entry))
        if place is not None:
            self._by_index[place] = entry
        elif _is_addressed(piece):
            self._by_id[piece["id"]] = entry
        return entry

    def value(self) -> list[Any]:
        ordered = sorted(self._entries, key=lambda entry: entry[0])
        return [entry.value() if isinstance(entry, _Growing) else entry for _, entry in ordered]


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
