"""Web pages of other origins: which of them may read an answer (Fetch standard, "CORS protocol"); none, unasked."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Collection

_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_page: ContextVar[str] = ContextVar("stepreplay_page", default="")
"""The origin of the page that has sent the request that is being answered, if it may read the answer."""


def note_origin(request: web.BaseRequest, allowed: Collection[str]) -> bool:
    """Notes the page that has sent a request, if it may read the answer; returns whether that is so.

    Args:
        request: the client's.
        allowed: the origins of such pages, ``*`` for all.
    """
    origin = request.headers.get("origin", "")
    may = bool(origin) and not {"*", origin}.isdisjoint(allowed)
    _page.set(origin if may else "")
    return may


def let_read(answer: web.StreamResponse) -> None:
    """Lets the page that was noted, if one was, read the answer, which has not begun to go out."""
    origin = _page.get()
    if origin:
        answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Access-Control-Expose-Headers"] = "*"
        answer.headers.add("Vary", "Origin")


def is_preflight(request: web.BaseRequest) -> bool:
    """Whether a browser asks what a page may send."""
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def answer_preflight(request: web.BaseRequest) -> web.Response:
    """Returns that it may send all that a client of an API sends."""
    answer = web.Response(status=204)
    answer.headers["Access-Control-Allow-Methods"] = _METHODS
    answer.headers["Access-Control-Allow-Headers"] = request.headers.get(
        "access-control-request-headers", "*"
    )
    answer.headers["Access-Control-Max-Age"] = "600"
    if request.headers.get("access-control-request-private-network"):
        answer.headers["Access-Control-Allow-Private-Network"] = "true"
    return answer
