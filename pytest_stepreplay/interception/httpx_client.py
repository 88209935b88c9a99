"""httpx and httpx2: the transports that talk to the network, entered only where a cassette is open."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from ..machine import clock
from .exchanges import Playback, Tape, authorized, begin, is_cancelled, player_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import ModuleType

    from ..models import StreamError
    from . import Exchange, Player, Route

    Patch = tuple[type, str, Callable[[Any], Any]]

_RAISED: Final[dict[StreamError, tuple[str, str]]] = {
    "incomplete": (
        "RemoteProtocolError",
        "peer closed connection without sending complete message body (recorded)",
    ),
    "reset": ("ReadError", "the connection was reset (recorded)"),
    "timeout": ("ReadTimeout", "nothing more came in time (recorded)"),
    "protocol": ("RemoteProtocolError", "the server did not keep to HTTP (recorded)"),
}


def patches(httpx: ModuleType, route: Route) -> Iterator[Patch]:
    """Yields what to patch."""
    streams = _Streams(httpx)
    yield httpx.HTTPTransport, "handle_request", functools.partial(_handle_request, streams, route)
    yield (
        httpx.AsyncHTTPTransport,
        "handle_async_request",
        functools.partial(_handle_async_request, streams, route),
    )


def _handle_request(streams: _Streams, route: Route, real: Any) -> object:
    @functools.wraps(real)
    def handle_request(transport: Any, request: Any) -> Any:
        url = str(request.url)
        player = player_for(route, url)
        if player is None:
            return real(transport, request)
        exchange = begin(player, request.method, url, request.headers, request.read())
        if exchange.response is not None:
            return streams.replay(Playback(exchange, exchange.response))
        response = real(transport, streams.authorized(request))
        return streams.record(player, exchange, url, response)

    return handle_request


def _handle_async_request(streams: _Streams, route: Route, real: Any) -> object:
    @functools.wraps(real)
    async def handle_async_request(transport: Any, request: Any) -> Any:
        url = str(request.url)
        player = player_for(route, url)
        if player is None:
            return await real(transport, request)
        exchange = begin(player, request.method, url, request.headers, await request.aread())
        if exchange.response is not None:
            return streams.replay(Playback(exchange, exchange.response))
        response = await real(transport, streams.authorized(request))
        return streams.record(player, exchange, url, response)

    return handle_async_request


class _Streams:
    """The byte streams of one of the two libraries, which know only their own kind."""

    def __init__(self, httpx: ModuleType) -> None:
        self._httpx: Any = httpx
        self._taped = type("TapedStream", (_Taped, httpx.SyncByteStream), {})
        self._taped_async = type("AsyncTapedStream", (_AsyncTaped, httpx.AsyncByteStream), {})
        self._played = type("PlayedStream", (_Played, httpx.SyncByteStream, httpx.AsyncByteStream), {})

    def authorized(self, request: Any) -> Any:
        """Returns the request to send; the caller's own stays as it is."""
        headers = authorized(str(request.url), request.headers)
        if headers is None:
            return request
        return self._httpx.Request(
            request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
        )

    def record(self, player: Player, exchange: Exchange, url: str, response: Any) -> Any:
        """Returns the response with a tape behind its stream."""
        tape = Tape(player, exchange, url, response.status_code, response.headers.multi_items())
        if exchange.records(response.status_code, tape):
            is_sync = isinstance(response.stream, self._httpx.SyncByteStream)
            taped = self._taped if is_sync else self._taped_async
            response.stream = taped(response.stream, tape)
        return response

    def replay(self, playback: Playback) -> Any:
        """Returns the stored response."""
        extensions = {"http_version": b"HTTP/1.1"}
        if playback.whole is not None:
            return self._httpx.Response(
                playback.status, headers=playback.headers, content=playback.whole, extensions=extensions
            )
        stream = self._played(playback, self._error)
        return self._httpx.Response(
            playback.status, headers=playback.headers, stream=stream, extensions=extensions
        )

    def _error(self, kind: StreamError) -> Exception:
        name, message = _RAISED[kind]
        error: Exception = getattr(self._httpx, name)(message)
        return error


class _Taped:
    def __init__(self, stream: Any, tape: Tape) -> None:
        self._stream = stream
        self._tape = tape

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._stream:
                self._tape.add(chunk)
                yield chunk
        except BaseException as error:
            _cut(self._tape, error)
            raise
        self._tape.end()

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._tape.stop()


class _AsyncTaped:
    def __init__(self, stream: Any, tape: Tape) -> None:
        self._stream = stream
        self._tape = tape

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                self._tape.add(chunk)
                yield chunk
        except BaseException as error:
            _cut(self._tape, error)
            raise
        self._tape.end()

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._tape.stop()


class _Played:
    def __init__(self, playback: Playback, error_for: Callable[[StreamError], Exception]) -> None:
        self._playback = playback
        self._error_for = error_for

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._playback.chunks:
            pause = self._playback.pause_before(chunk)
            if pause:
                clock.sleep(pause)
            yield chunk.data
        self._end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._playback.chunks:
            pause = self._playback.pause_before(chunk)
            if pause:
                await clock.sleep_in_loop(pause)
            yield chunk.data
        self._end()

    def _end(self) -> None:
        past = self._playback.past_the_end()
        if past is not None:
            raise past
        if self._playback.error is not None:
            raise self._error_for(self._playback.error)

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


def _cut(tape: Tape, error: BaseException) -> None:
    if isinstance(error, GeneratorExit):
        tape.stop()
    else:
        tape.break_off(_kind_of(error))


def _kind_of(error: BaseException) -> StreamError:
    """Returns what an error of httpx says, which is the same for httpx2."""
    if is_cancelled(error):
        return "cancelled"
    names = {each.__name__ for each in type(error).__mro__}
    if "TimeoutException" in names:
        return "timeout"
    if "RemoteProtocolError" in names:
        return "incomplete" if "complete message body" in str(error) else "protocol"
    return "reset" if "TransportError" in names else "cancelled"
