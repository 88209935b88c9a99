"""The errors of tornado's client, as they were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado.simple_httpclient import HTTPStreamClosedError, HTTPTimeoutError

if TYPE_CHECKING:
    from ..models import StreamError


def recorded_error(kind: StreamError) -> Exception:
    """Returns the error with which a response ended."""
    if kind == "timeout":
        return HTTPTimeoutError("Timeout (recorded)")
    return HTTPStreamClosedError("Stream closed (recorded)")
