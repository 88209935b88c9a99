"""Multipart bodies: what a client puts between boundaries (RFC 2046, section 5.1; RFC 7578 for forms).

A client makes up a new boundary for each request, which says nothing. Bytes go in, and come out with a fixed one, or
as their parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from typing import Final

BOUNDARY: Final = "stepreplay-boundary"
"""Stands in a stored body in place of the client's own."""

_NAMED: Final = re.compile(r'\bboundary=(?:"([^"]{1,70})"|([^\s";,]{1,70}))', re.IGNORECASE)
_FIRST: Final = re.compile(rb"--([^\r\n]{1,70})\r\n")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body.

    Attributes:
        name: of the form's field; None where the part has none.
        filename: that the client gave; None for none.
        type: its media type, as sent; None where it says none.
        data: its bytes.
    """

    name: str | None
    filename: str | None
    type: str | None
    data: bytes


def with_fixed_boundary(body: bytes, content_type: str) -> bytes:
    """Returns a multipart body with `BOUNDARY` in place of its own; any other body as it is."""
    if not content_type.lower().startswith("multipart/"):
        return body
    named = _NAMED.search(content_type)
    own = (named[1] or named[2]).encode() if named else b""
    if not own or not body.startswith(b"--" + own) or BOUNDARY.encode() in body:
        return body
    fixed = b"--" + BOUNDARY.encode()
    pieces = body.split(b"\r\n--" + own)
    return (b"\r\n" + fixed).join([fixed + pieces[0][len(own) + 2 :], *pieces[1:]])


def read_parts(body: bytes) -> tuple[Part, ...] | None:
    """Returns the parts of a body that begins with a boundary and ends with it; None for any other."""
    first = _FIRST.match(body)
    if first is None:
        return None
    pieces = body[first.end() :].split(b"\r\n--" + first[1])
    last = pieces.pop()
    if not pieces or last.strip() != b"--":
        return None
    parts = []
    for i, piece in enumerate(pieces):
        if i and not piece.startswith(b"\r\n"):
            return None
        part = _read_part(piece if i == 0 else piece[2:])
        if part is None:
            return None
        parts.append(part)
    return tuple(parts)


def _read_part(piece: bytes) -> Part | None:
    head, end, data = (b"\r\n" + piece).partition(b"\r\n\r\n")
    if not end or any(b":" not in line for line in head[2:].splitlines()):
        return None
    # What a client writes raw, most write as UTF-8 (RFC 7578, section 5.1).
    header = HeaderParser().parsestr(head[2:].decode("utf-8", "replace"))
    name, filename = (header.get_param(each, None, "content-disposition") for each in ("name", "filename"))
    kind = header["content-type"]
    return Part(_text(name), _text(filename), None if kind is None else str(kind), data)


def _text(value: str | tuple[str | None, str | None, str] | None) -> str | None:
    return None if value is None else collapse_rfc2231_value(value)
