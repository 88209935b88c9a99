"""The whole body of a request, in any of the forms that clients and vcrpy hold one."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vcr.request import Request as VcrRequest


def whole_body(request: VcrRequest) -> bytes:
    """Returns a request's body; vcrpy gives bytes, or a new file or iterator each time."""
    body = read_body(request.body)
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def read_body(body: Any) -> Any:
    """Returns a body that can be read more than once: text as it is, and all else as bytes; None for none."""
    if hasattr(body, "read"):
        body = body.read()
    if not isinstance(body, Iterable) or isinstance(body, str):
        return body
    if isinstance(body, bytes | bytearray | memoryview | array):
        return bytes(body)
    return b"".join(each.encode() if isinstance(each, str) else bytes(each) for each in body)
