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
    """How an object that arrives in pieces grows, key by key; for any other key the last value counts.

    Attributes:
        joined: texts and lists that arrive in pieces.
        first: keys that keep their first value; only ``""``, 0 and null are placeholders.
        lists: lists of objects that grow in place, and how their entries do.
        nested: objects that grow in place.
    """

    joined: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    lists: Mapping[str, _Shape] = field(default_factory=dict)
    nested: Mapping[str, _Shape] = field(default_factory=dict)


_FUNCTION = _Shape(joined=frozenset({"name", "arguments"}))
_MESSAGE = _Shape(
    joined=frozenset({"content", "reasoning", "reasoning_content", "thinking", "refusal", "annotations"}),
    lists={
        "tool_calls": _Shape(first=frozenset({"id"}), nested={"function": _FUNCTION}),
        "reasoning_details": _Shape(joined=frozenset({"text", "summary", "data"})),
    },
    nested={"audio": _Shape(joined=frozenset({"data", "transcript"})), "function_call": _FUNCTION},
)
_CHOICE = _Shape(nested={"delta": _MESSAGE, "logprobs": _Shape(joined=frozenset({"content", "refusal"}))})
_COMPLETION = _Shape(first=frozenset({"id", "created", "model"}), lists={"choices": _CHOICE})

# OpenAI pads its chunks with random text, against listeners who measure them.
_PADDING = "obfuscation"


def assemble(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Fold the chunks of one stream into the ``chat.completion`` object that they describe.

    Texts and the arguments of tool calls are joined. The last `usage` counts, since StepFun's is cumulative
    on every chunk. ``""`` and null never replace a value. A choice that never finished has `finish_reason`
    null. Fields nobody documented are kept with their last value; an ``error`` in the stream stays as
    `error`. What breaks the documented shape is kept as far as it can be: nothing is raised, and judging it
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
                if "function" in call and not call.get("type"):
                    call["type"] = "function"
    if isinstance(whole, dict):
        # Some servers end a stream with the whole message; it speaks for all the pieces before it.
        message |= {key: value for key, value in whole.items() if value not in (None, "")}
    reason = choice.pop("finish_reason", None) or None
    return {"index": choice.pop("index"), "message": message, "finish_reason": reason, **choice}


class _Growing:
    """One object that arrives in pieces."""

    def __init__(self, shape: _Shape) -> None:
        self._shape = shape
        self._values: dict[str, Any] = {}
        self._pieces: dict[str, list[Any]] = {}
        self._objects: dict[str, _Growing] = {}
        self._lists: dict[str, _GrowingList] = {}

    def add(self, piece: Mapping[str, Any]) -> None:
        shape, values = self._shape, self._values
        for key, value in piece.items():
            if key == _PADDING:
                continue
            if isinstance(value, dict) and key in shape.nested:
                self._objects.setdefault(key, _Growing(shape.nested[key])).add(value)
            elif isinstance(value, list) and key in shape.lists:
                self._lists.setdefault(key, _GrowingList(shape.lists[key])).add(value)
            elif value is not None and key in shape.joined:
                pieces = self._pieces.setdefault(key, [])
                # Some servers repeat the name of the function with each piece of its arguments.
                if key != "name" or (value and pieces != [value]):
                    pieces.append(value)
            elif values.get(key) in (None, "") or (value not in (None, "") and self._is_open(key)):
                values[key] = value
            values.setdefault(key, None)  # whatever its kind, a key stands where it came first

    def _is_open(self, key: str) -> bool:
        return key not in self._shape.first or not self._values[key]

    def value(self) -> dict[str, Any]:
        grown = {key: _joined(pieces) for key, pieces in self._pieces.items()}
        grown |= {key: it.value() for key, it in self._objects.items()}
        grown |= {key: it.value() for key, it in self._lists.items()}
        return self._values | grown

    def is_followed_by(self, piece: Mapping[str, Any], *, same_index: bool) -> bool:
        """Say whether `piece`, from the same list, starts another entry rather than continuing this."""
        mine, its = self._values.get("id"), piece.get("id")
        if self._values.get("type") and piece.get("type") not in (None, "", self._values["type"]):
            return True
        function = piece.get("function")
        named = isinstance(function, dict) and bool(function.get("name")) and self._is_named()
        if same_index:  # some servers number every call 0, others give each piece a fresh id
            return bool(named and mine and its and mine != its)
        return mine != its if mine and its else named

    def _is_named(self) -> bool:
        function = self._objects.get("function")
        return function is not None and any(function._pieces.get("name", ()))


class _GrowingList:
    """A list of objects that arrive in pieces, which belong together by their `index`."""

    def __init__(self, shape: _Shape) -> None:
        self._shape = shape
        self._entries: list[tuple[int, Any]] = []
        self._by_index: dict[int, _Growing] = {}
        self._last: _Growing | None = None

    def add(self, pieces: list[Any]) -> None:
        for piece in pieces:
            if not isinstance(piece, dict):
                self._entries.append((len(self._entries), piece))
                continue
            index = piece.get("index")
            place = index if isinstance(index, int) else None
            entry = self._last if place is None else self._by_index.get(place)
            if entry is None or entry.is_followed_by(piece, same_index=place is not None):
                entry = _Growing(self._shape)
                self._entries.append((len(self._entries) if place is None else place, entry))
            if place is not None:
                self._by_index[place] = entry
            self._last = entry
            entry.add(piece)

    def value(self) -> list[Any]:
        ordered = sorted(self._entries, key=lambda entry: entry[0])
        return [entry.value() if isinstance(entry, _Growing) else entry for _, entry in ordered]


def _joined(pieces: list[Any]) -> Any:
    """Return a text or list from its pieces; texts among content parts become text parts."""
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    if len(pieces) == 1:
        return pieces[0]
    parts: list[Any] = []
    for piece in pieces:
        if isinstance(piece, list):
            parts += piece
        elif piece != "":
            parts.append({"type": "text", "text": piece} if isinstance(piece, str) else piece)
    return parts
