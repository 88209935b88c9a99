"""aiohttp: its own protocol and parser, fed from the cassette instead of a socket.

The connector gives a connection whose other end is the cassette, so redirects, cookies, decompression, middlewares
and errors stay aiohttp's own. What comes from a server is recorded where the parser feeds the reader of the body.
"""

from __future__ import annotations

import asyncio
import functools
from http.client import responses as reasons
from typing import TYPE_CHECKING, Any

from aiohttp import ClientConnectionError, StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from ..machine import waiting
from .exchanges import Playback, Tape, authorized, begin, failing, is_cancelled, player_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from ..models import StreamError
    from .player import Patch, Player, PlayerExchange, Route


def patches(aiohttp: ModuleType, route: Route) -> Iterator[Patch]:
    """Yields what to patch."""
    yield aiohttp.connector.BaseConnector, "connect", functools.partial(_connect, route)
    yield aiohttp.ClientResponse, "start", _start


def _connect(route: Route, real: Any) -> object:
    @functools.wraps(real)
    async def connect(connector: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
        url = str(req.url)
        player = player_for(route, url)
        if player is None:
            return await real(connector, req, *args, **kwargs)
        exchange = begin(player, req.method, url, req.headers, await _body(req))
        if exchange.response is not None:
            playback = Playback(exchange, exchange.response, req.method)
            if playback.is_paused:
                timeout = kwargs.get("timeout", args[1] if len(args) > 1 else None)
                limits = [getattr(timeout, name, None) for name in ("sock_read", "total")]
                playback.be_patient(min((each for each in limits if each), default=None))
            return _connection_from(connector, req, playback)
        for name, value in (authorized(player, exchange, url, req.headers) or {}).items():
            if value != req.headers[name]:
                req.headers[name] = value
        with failing(exchange, url):
            connection = await real(connector, req, *args, **kwargs)
        connection.stepreplay = player, exchange, url
        return connection

    return connect


def _start(real: Any) -> object:
    @functools.wraps(real)
    async def start(response: Any, connection: Any) -> Any:
        sent = connection.__dict__.pop("stepreplay", None)
        if sent is not None:
            player, exchange, url = sent
            with failing(exchange, url):
                await real(response, connection)
            _record(response, player, exchange, url)
            return response
        feed = getattr(connection.protocol, "stepreplay", None)
        if isinstance(feed, _Feed):
            feed.lose()
        await real(response, connection)
        if (
            isinstance(getattr(connection.protocol, "stepreplay", None), _Feed)
            and not response.content.is_eof()
        ):
            response.content.__class__ = _PlayedReader
        return response

    return start


async def _body(req: Any) -> bytes:
    """Returns the whole request body; one that can be read only once is kept to be sent."""
    body = req.body
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if not body:
        return b""
    if hasattr(body, "as_bytes"):
        content = bytes(await body.as_bytes())
        if body.consumed:
            req.update_body_from_data(content)
        return content
    written = _Written()  # before aiohttp 3.12
    await body.write(written)
    req.body = content = bytes(written.content)
    return content


class _Written:
    """What aiohttp writes a body to."""

    def __init__(self) -> None:
        self.content = bytearray()

    async def write(self, chunk: bytes) -> None:
        self.content += chunk


# ---------------------------------------------------------------- recording


def _record(response: Any, player: Player, exchange: PlayerExchange, url: str) -> None:
    session = response._session
    decoded = session is None or session.auto_decompress
    tape = Tape(player, exchange, url, response.status, response.headers.items(), decoded=decoded)
    if response.status == 101 or not exchange.records(response.status, tape):
        return
    reader = response.content
    for data in getattr(reader, "_buffer", ()):  # what has come together with the head
        tape.add(data)
    if reader.is_eof():
        tape.end()
    elif reader.exception() is not None:
        tape.break_off(kind_of(reader.exception()))
    else:
        reader.__class__ = _reader_taped_by(tape)


def kind_of(error: BaseException) -> StreamError:
    """Returns what an error of aiohttp's, or of the socket below it, has done to a body that was coming."""
    if is_cancelled(error):
        return "cancelled"
    if isinstance(error, TimeoutError):
        return "timeout"
    text = str(error)
    if isinstance(error, OSError) or "ConnectionResetError" in text or "BrokenPipeError" in text:
        return "reset"
    return "incomplete" if "Not enough data" in text else "protocol"


# A reader belongs to its parser, which cannot be given another one, and has no room for an attribute
# So its class changes.


class _PlayedReader(StreamReader):
    """Asks for the next chunk when it has none: each is read for itself, and nothing runs beside it."""

    __slots__ = ()

    async def _wait(self, func_name: str) -> None:
        feed: _Feed = vars(self._protocol)["stepreplay"]
        with self._timer:
            fed = await feed.feed_next()
        if self._exception is not None:
            raise self._exception
        if not fed:
            await super()._wait(func_name)


def _reader_taped_by(tape: Tape) -> type:
    class TapedReader(StreamReader):
        __slots__ = ()

        def feed_data(self, data: bytes, *args: Any) -> Any:
            tape.add(bytes(data))
            return super().feed_data(data, *args)

        def feed_eof(self) -> None:
            tape.end()
            super().feed_eof()

        def set_exception(self, exc: Any, *args: Any) -> None:
            if isinstance(exc, ClientConnectionError) and str(exc) == "Connection closed":
                tape.stop()  # by the client: this is what its readers are told
            else:
                tape.break_off(kind_of(exc))
            super().set_exception(exc, *args)

    return TapedReader


# ---------------------------------------------------------------- replaying


class _Feed:
    """Feeds a protocol with the stored response, chunk by chunk."""

    def __init__(self, protocol: Any, playback: Playback) -> None:
        self._protocol = protocol
        self._playback = playback
        self._next = iter(playback.chunks)
        self._ended = False

    def feed_head(self) -> None:
        """Feeds the status and the headers; the whole body too, if it comes at once."""
        playback = self._playback
        lines = [f"HTTP/1.1 {playback.status} {reasons.get(playback.status, '')}"]
        lines += [f"{name}: {value}" for name, value in playback.headers.items()]
        if playback.framing is not None:
            lines.append(": ".join(playback.framing))
        self._protocol.data_received("\r\n".join([*lines, "", ""]).encode() + (playback.whole or b""))

    def lose(self) -> None:
        """Loses the connection in place of an answer, if that is what is to happen."""
        if self._playback.lost == "timeout":
            self._protocol._on_read_timeout()
        elif self._playback.lost is not None:
            self._protocol.connection_lost(ConnectionResetError(104, "the connection was reset (recorded)"))

    async def feed_next(self) -> bool:
        """Feeds the next chunk, or the end; returns whether there was something to feed."""
        chunk = next(self._next, None)
        if chunk is not None:
            pause = self._playback.pause_before(chunk)
            if pause:
                await waiting.sleep(pause)
            self._protocol.data_received(b"%x\r\n%b\r\n" % (len(chunk.data), chunk.data))
            return True
        fed, self._ended = not self._ended, True
        if fed:
            self._feed_end()
        return fed

    def _feed_end(self) -> None:
        past, protocol = self._playback.past_the_end(), self._protocol
        if past is not None:
            raise past
        match self._playback.error:
            case None:
                protocol.data_received(b"0\r\n\r\n")
            case "reset":
                protocol.connection_lost(ConnectionResetError(104, "the connection was reset (recorded)"))
            case "timeout":
                protocol._on_read_timeout()
            case error:
                if error == "protocol":
                    protocol.data_received(b"no length\r\n")
                protocol.connection_lost(None)


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
        """Nothing comes unasked."""

    def resume_reading(self) -> None:
        """Nothing comes unasked."""


class _CassetteConnection(Connection):
    """Never goes back to the connector's pool."""

    def close(self) -> None:
        self._notify_release()
        if self._protocol is not None:
            self._protocol.close()
            self._protocol = None

    release = close


def _connection_from(connector: Any, req: Any, playback: Playback) -> Any:
    loop = asyncio.get_running_loop()
    protocol: Any = ResponseHandler(loop)
    protocol.connection_made(_CassetteEnd())
    protocol.stepreplay = _Feed(protocol, playback)
    if playback.lost is None:
        protocol.stepreplay.feed_head()
    return _CassetteConnection(connector, req.connection_key, protocol, loop)
