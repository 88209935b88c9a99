"""Bodies as bytes on the wire <-> bodies as they are stored: a JSON tree, events, text or base64.

The most readable form that gives the body back is chosen: JSON comes back equal as JSON, the others byte for
byte. Bytes go in with their content encoding already undone (`encodings` does that).
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..lazy import late_pattern
from ..models import LARGE, LARGE_TEXT, RawFrame, Request, Response
from . import events, large
from .json_values import Tree, is_deeper_than, refuse_constant
from .multipart import with_fixed_boundary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .last_body import LastBody

MAX_JSON_DEPTH = 200
"""A JSON body nested deeper than this is stored as text: pydantic, and much else, stops soon after."""

EVENT_STREAM = "text/event-stream"
"""The media type of server-sent events."""

_SURROGATE_ESCAPE = late_pattern(r"\\u[dD][89a-fA-F]")
_LIKE_EVENTS = late_pattern(r"(?:(?::|event:|id:|retry:)[^\r\n]*[\r\n]+)*+data:")


def request_from_wire(
    method: str, url: str, body: bytes, content_type: str | None, last: LastBody | None = None
) -> Request:
    """Return the request with its body in the form it is stored in; a multipart one with a fixed boundary.

    Args:
        method: as sent.
        url: as sent, with its query.
        body: as sent; empty for none.
        content_type: the header's value, if there is one.
        last: the body that came before, which this one may go on from.
    """
    kind = content_type or ""
    # Another tool's cassette does not say the type of what was sent.
    if (kind.lower().startswith("multipart/") or (not kind and body[:2] == b"--")) and not _is_short_text(
        body
    ):
        parts = large.body_parts_of(body)
        if parts is not None:
            return Request(method=method, url=url, parts=parts)
    body = with_fixed_boundary(body, kind)
    return Request(method=method, url=url, **_stored(body, kind, streams=False, last=last))


def response_from_wire(status: int, headers: Mapping[str, str], body: bytes) -> Response:
    """Return the response with its body in the form it is stored in.

    Args:
        status: the HTTP status.
        headers: those to keep, with lower-case names.
        body: with its content encoding undone; empty for none.
    """
    stored = _stored(body, headers.get("content-type", ""), streams=True)
    return Response(status=status, headers=dict(headers), **stored)


def body_bytes(message: Request | Response) -> bytes:
    """Return the body as it goes over the wire, without a content encoding; empty where there is none.

    Raises:
        CassetteReadError: a file beside the cassette that holds it, or a part of it, is not there or was changed.
    """
    if message.events is not None:
        return b"".join(frames_of(message))
    if message.text is not None:
        return message.text.encode()
    if message.base64 is not None:
        return b64decode(message.base64)
    if message.files or message.parts is not None:
        return bytes(message.file.read()) if message.file else large.bytes_of(message.parts or ())
    if message.body_kind == "json":
        return compact_json(message.json)
    return b""


def compact_json(tree: Tree) -> bytes:
    """Return a JSON body as most clients write it.

    Raises:
        UnicodeEncodeError: it holds half of a surrogate pair.
    """
    return _write_compactly(tree).encode()


def frames_of(message: Request | Response) -> Iterator[bytes]:
    """Yield the frames of a stream as they go over the wire; none for another body."""
    for event in message.events or ():
        yield events.frame_of(event).encode() if isinstance(event, str) else event.frame.encode()


def _stored(body: bytes, content_type: str, *, streams: bool, last: LastBody | None = None) -> dict[str, Any]:
    """Return the one field of a message that holds the body."""
    if not body:
        return {}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        if len(body) <= LARGE:
            return {"base64": b64encode(body).decode()}
        return {"file": large.file_of(body, content_type)}
    kind = media_type(content_type)
    if streams and (kind == EVENT_STREAM or (kind != "application/json" and _LIKE_EVENTS.match(text))):
        return {"events": tuple(stored_frame(frame) for frame in events.split_frames(text))}
    try:
        tree = last.parse(text, _exact_json) if last else _exact_json(text)
    except (ValueError, RecursionError):
        return {"text": text}
    is_json = isinstance(tree, dict | list) or kind == "application/json" or kind.endswith("+json")
    return {"json": tree} if is_json else {"text": text}


def _is_short_text(body: bytes) -> bool:
    """Whether a multipart body is readable as it is."""
    try:
        return len(body) <= LARGE_TEXT and bool(body.decode())
    except UnicodeDecodeError:
        return False


def media_type(content_type: str) -> str:
    """Return the type alone, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def stored_frame(frame: str) -> str | RawFrame:
    """Return a frame of a stream in the form it is stored in."""
    data = events.frame_data(frame)
    return RawFrame(frame=frame) if data is None else data


# ---------------------------------------------------------------- JSON that comes back equal


def _exact_json(text: str) -> Tree:
    """Return the parsed text.

    Raises:
        ValueError: it is not JSON, or its value would not come back equal.
        RecursionError: it is nested too deeply for the parser.
    """
    tree = _read_exactly(text)
    if "\\" in text and _SURROGATE_ESCAPE.search(text):
        json.dumps(tree, ensure_ascii=False).encode()  # UnicodeEncodeError, a ValueError, for half a pair
    if _has_many_blocks(text) and is_deeper_than(tree, MAX_JSON_DEPTH):
        raise ValueError("nested too deeply")
    return tree


def _has_many_blocks(text: str) -> bool:
    """Whether enough brackets open in it for nesting that is too deep; most of a body is text, which `find` leaps."""
    left = MAX_JSON_DEPTH
    for bracket in "[{":
        at = text.find(bracket)
        while at >= 0:
            if not left:
                return True
            left -= 1
            at = text.find(bracket, at + 1)
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _float(digits: str) -> float:
    value = float(digits)
    if digits != repr(value) and not _is_same_number(digits, value):
        raise ValueError("a number has more digits than a float holds")
    return value


def _is_same_number(digits: str, value: float) -> bool:
    try:
        return Decimal(digits) == Decimal(repr(value))
    except ArithmeticError:  # an exponent that even Decimal does not hold
        return False


_read_exactly = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_constant=refuse_constant
).decode
_write_compactly = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
