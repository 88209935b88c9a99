"""Multipart bodies: what a client puts between boundaries (RFC 2046, section 5.1; RFC 7578 for forms).

A client makes up a new boundary for each request, which says nothing. Bytes go in, and come out with a fixed one, or
as their parts.
"""

from __future__ import annotations

import re
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from typing import TYPE_CHECKING, Final

from ..lazy import late_pattern
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

BOUNDARY: Final = "stepreplay-boundary"
"""Stands in a stored body in place of the client's own."""

_NAMED: Final = late_pattern(r'\bboundary=(?:"([^"]{1,70})"|([^\s";,]{1,70}))', re.IGNORECASE)
_FIRST: Final = late_pattern(rb"--([^\r\n]{1,70})\r\n")


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
    data: bytes | memoryview


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
    split = split_parts(body)
    if split is None:
        return None
    parts = [part_of(head, data) for head, data in split[0]]
    return None if None in parts else tuple(part for part in parts if part is not None)


def split_parts(body: bytes) -> tuple[list[tuple[bytes, memoryview]], bytes] | None:
    """Returns the header and the data of each part, without a copy of the data, and what ends the body.

    None for a body that does not begin with a boundary and end with it.
    """
    first = _FIRST.match(body)
    if first is None:
        return None
    whole, delimiter = memoryview(body), b"\r\n--" + first[1]
    parts: list[tuple[bytes, memoryview]] = []
    # A header may be empty: then its end is that of the line before it.
    start = first.end() - 2
    while (end := body.find(delimiter, start + 2)) >= 0:
        head_end = body.find(b"\r\n\r\n", start, end)
        if head_end < 0 or body[start : start + 2] != b"\r\n":
            return None
        parts.append((body[start + 2 : head_end], whole[head_end + 4 : end]))
        start = end + len(delimiter)
    last = body[start:]
    return (parts, last) if parts and last.strip() == b"--" else None


def part_of(head: bytes, data: bytes | memoryview) -> Part | None:
    """Returns what the header of a part says, with its data; None for lines that are no header."""
    if any(b":" not in line for line in head.splitlines()):
        return None
    # What a client writes raw, most write as UTF-8 (RFC 7578, section 5.1).
    header = HeaderParser().parsestr(head.decode("utf-8", "replace"))
    name, filename = (header.get_param(each, None, "content-disposition") for each in ("name", "filename"))
    kind = header["content-type"]
    return Part(_text(name), _text(filename), None if kind is None else str(kind), data)


def joined(parts: Iterable[tuple[str, bytes | memoryview]]) -> bytes:
    """Returns the body with these headers, of plain line ends, and data, and with `BOUNDARY` between them."""
    fixed = b"--" + BOUNDARY.encode()
    pieces: list[bytes | memoryview] = []
    for head, data in parts:
        lines = "".join(f"{line}\r\n" for line in head.split("\n")) if head else ""
        pieces += [fixed, f"\r\n{lines}\r\n".encode(), data, b"\r\n"]
    return b"".join([*pieces, fixed, b"--\r\n"])


def _text(value: str | tuple[str | None, str | None, str] | None) -> str | None:
    return None if value is None else collapse_rfc2231_value(value)
