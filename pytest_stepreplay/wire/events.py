"""Server-sent events: exact frames for storage, events for reading, and the JSON objects that they carry.

Text goes in. `split_frames` keeps every character of it, and `events_of` reads it as the HTML standard says
(https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ..value_classes import dataclass
from .json_values import refuse_constant

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def json_chunks_of(text: str) -> list[dict[str, Any]]:
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
        value = json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) else None
