"""aiohttp: its own protocol and parser, fed from the cassette instead of a socket.

The connector gives a connection whose other end is the cassette, so redirects, cookies, decompression,
middlewares and errors stay aiohttp's own.
"""

from __future__ import annotations

import asyncio
import functools
from http.client import responses as reasons
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vcr.request import Request as VcrRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .routing import RoutingCassette

Patch = tuple[object, str, object]


def patches(cassette: RoutingCassette) -> Iterator[Patch]:
    """Yields what to patch, if aiohttp is installed."""
    if not find_spec("aiohttp"):
        return
    from aiohttp import ClientResponse  # noqa: PLC0415 - optional
    from aiohttp.connector import BaseConnector  # noqa: PLC0415

    yield BaseConnector, "connect", _connect(cassette, BaseConnector.connect)
    yield ClientResponse, "start", _start(cassette, ClientResponse.start)


def _connect(cassette: RoutingCassette, real: Any) -> object:
    from .routing import sent_authorization  # noqa: PLC0415 - routing imports this module

    @functools.wraps(real)
    async def connect(connector: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
        url = str(req.url)
        if cassette.player_for(url) is None:
            return await real(connector, req, *args, **kwargs)
        request = VcrRequest(req.method, url, await _body(req), dict(req.headers))
        if cassette.can_play_response_for(request):
            return _connection_from(connector, req, cassette.play_response(request))
        if "Authorization" in req.headers:
            req.headers["Authorization"] = sent_authorization(url, req.headers["Authorization"])
        connection = await real(connector, req, *args, **kwargs)
        connection.stepreplay_request = request
        return connection

    return connect


def _start(cassette: RoutingCassette, real: Any) -> object:
    @functools.wraps(real)
    async def start(response: Any, connection: Any) -> Any:
        await real(response, connection)
        request = connection.__dict__.pop("stepreplay_request", None)
        if request is not None and response.status != 101:
            from vcr.stubs.aiohttp_stubs import MockStream  # noqa: PLC0415 - with the library it stubs

            body = await response.read()
            response.content = MockStream(body)
            headers: dict[str, list[str]] = {}
            for name, value in response.headers.items():
                if name.lower() != "content-encoding":  # aiohttp has undone it
                    headers.setdefault(name, []).append(value)
            cassette.append(
                request, {"status": {"code": response.status}, "headers": headers, "body": {"string": body}}
            )
        return response

    return start


async def _body(req: Any) -> bytes:
    """Returns the whole request body; one that can be read only once is kept to be sent."""
    body = req.body
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if not body:
        return b""
    content = bytes(await body.as_bytes())
    if body.consumed:
        req.update_body_from_data(content)
    return content


class _CassetteEnd(asyncio.Transport):
    """The transport of a connection to the cassette: what is written to it goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self._closing = False

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    abort = close

    def write(self, data: object) -> None:
        """Drops the request; it is known already."""

    def writelines(self, list_of_data: object) -> None:
        """Drops the request; it is known already."""

    def pause_reading(self) -> None:
        """Nothing arrives that could be held back."""

    def resume_reading(self) -> None:
        """Nothing arrives that could be held back."""


def _connection_from(connector: Any, req: Any, stored: dict[str, Any]) -> Any:
    from aiohttp.client_proto import ResponseHandler  # noqa: PLC0415 - optional
    from aiohttp.connector import Connection  # noqa: PLC0415

    class CassetteConnection(Connection):
        """Never goes back to the connector's pool."""

        def close(self) -> None:
            self._notify_release()
            if self._protocol is not None:
                self._protocol.close()
                self._protocol = None

        release = close

    loop = asyncio.get_running_loop()
    protocol = ResponseHandler(loop)
    protocol.connection_made(_CassetteEnd())
    status, body = stored["status"]["code"], stored["body"]["string"]
    lines = [f"HTTP/1.1 {status} {reasons.get(status, '')}"]
    lines += [f"{name}: {value}" for name, values in stored["headers"].items() for value in values]
    lines += [f"content-length: {len(body)}", "", ""]
    protocol.data_received("\r\n".join(lines).encode() + body)
    return CassetteConnection(connector, req.connection_key, protocol, loop)
