"""httpx and httpx2: vcrpy's own stubs around the transports, entered only where a cassette is open."""

from __future__ import annotations

import functools
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .routing import RoutingCassette

Patch = tuple[object, str, object]


def patches(cassette: RoutingCassette) -> Iterator[Patch]:
    """Yields what to patch for those of the two that are installed."""
    for name in ("httpx", "httpx2"):
        if find_spec(name):
            httpx = import_module(name)
            yield httpx.HTTPTransport, "handle_request", _handle_request(cassette, httpx)
            yield httpx.AsyncHTTPTransport, "handle_async_request", _handle_async_request(cassette, httpx)


def _handle_request(cassette: RoutingCassette, httpx: Any) -> object:
    from vcr.stubs.httpx_stubs import vcr_handle_request  # noqa: PLC0415 - with the library it stubs

    real = httpx.HTTPTransport.handle_request

    def send(transport: Any, request: Any) -> Any:
        _authorize(request)
        return real(transport, request)

    recorded = vcr_handle_request(cassette, send, httpx)

    @functools.wraps(real)
    def handle_request(transport: Any, request: Any) -> Any:
        if cassette.player_for(str(request.url)) is None:
            return real(transport, request)
        return recorded(transport, request)

    return handle_request


def _handle_async_request(cassette: RoutingCassette, httpx: Any) -> object:
    from vcr.stubs.httpx_stubs import vcr_handle_async_request  # noqa: PLC0415 - with the library it stubs

    real = httpx.AsyncHTTPTransport.handle_async_request

    async def send(transport: Any, request: Any) -> Any:
        _authorize(request)
        return await real(transport, request)

    recorded = vcr_handle_async_request(cassette, send, httpx)

    @functools.wraps(real)
    async def handle_async_request(transport: Any, request: Any) -> Any:
        if cassette.player_for(str(request.url)) is None:
            return await real(transport, request)
        return await recorded(transport, request)

    return handle_async_request


def _authorize(request: Any) -> None:
    from .routing import sent_authorization  # noqa: PLC0415 - routing imports this module

    value = request.headers.get("authorization")
    if value:
        request.headers["authorization"] = sent_authorization(str(request.url), value)
