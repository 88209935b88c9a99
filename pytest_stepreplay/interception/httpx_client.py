"""httpx and httpx2: the transports that talk to the network, entered only where a cassette is open."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from functools import cached_property, partial
from http.client import responses as reasons
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ..machine import clock, waiting
from . import late_tls, mocks
from .exchanges import Playback, Tape, authorized, begin, failing, is_cancelled, player_for
from .httpx_pool import Detour

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import ModuleType

    from ..models import StreamError
    from .player import Ask, Patch, Player, PlayerExchange, Received, Route

_CORES: Final = {"httpx": "httpcore", "httpx2": "httpcore2"}
"""What each of the two talks to the network with."""

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
    yield httpx.HTTPTransport, "handle_request", partial(_handle_request, streams, route)
    yield (
        httpx.AsyncHTTPTransport,
        "handle_async_request",
        partial(_handle_async_request, streams, route),
    )
    yield from late_tls.patches(httpx, route)
    yield from mocks.patches(httpx, route)


def _handle_request(streams: _Streams, route: Route, real: Any) -> object:
    detour = Detour(streams.httpx, lambda: streams.core, "handle_request", real)

    @functools.wraps(real)
    def handle_request(transport: Any, request: Any) -> Any:
        url = str(request.url)
        player = player_for(route, url)
        if player is None:
            return real(transport, request)
        body = request.read()
        if detour.is_replaced(transport):
            return through_mocks(transport, request, player, url, body)
        exchange = begin(player, request.method, url, request.headers, body)
        if exchange.response is not None:
            return streams.replay(Playback(exchange, exchange.response, request.method), request)
        with failing(exchange, url):
            response = real(transport, streams.authorized(player, exchange, request))
        response.stream = streams.taped(player, exchange, url, response, response.stream)
        return response

    def through_mocks(transport: Any, request: Any, player: Player, url: str, body: bytes) -> Any:
        passed = False

        def answer(sent: Any, send: Callable[[Any], Any]) -> Any:
            nonlocal passed
            passed = True
            exchange = begin(player, request.method, url, request.headers, body)
            if exchange.response is not None:
                return streams.replay_below(Playback(exchange, exchange.response, request.method), request)
            with failing(exchange, url):
                response = send(streams.authorized_below(player, exchange, request, sent))
            return streams.record_below(player, exchange, url, response)

        try:
            return real(detour.transport(transport, answer), request)
        finally:
            if not passed:
                player.note_mocked()

    return handle_request


def _handle_async_request(streams: _Streams, route: Route, real: Any) -> object:
    detour = Detour(streams.httpx, lambda: streams.core, "handle_async_request", real)

    @functools.wraps(real)
    async def handle_async_request(transport: Any, request: Any) -> Any:
        url = str(request.url)
        player = player_for(route, url)
        if player is None:
            return await real(transport, request)
        body = await request.aread()
        if detour.is_replaced(transport):
            return await through_mocks(transport, request, player, url, body)
        exchange = begin(player, request.method, url, request.headers, body)
        if exchange.response is not None:
            return streams.replay(Playback(exchange, exchange.response, request.method), request)
        with failing(exchange, url):
            response = await real(transport, streams.authorized(player, exchange, request))
        response.stream = streams.taped(player, exchange, url, response, response.stream)
        return response

    async def through_mocks(transport: Any, request: Any, player: Player, url: str, body: bytes) -> Any:
        passed = False

        async def answer(sent: Any, send: Callable[[Any], Any]) -> Any:
            nonlocal passed
            passed = True
            exchange = begin(player, request.method, url, request.headers, body)
            if exchange.response is not None:
                return streams.replay_below(Playback(exchange, exchange.response, request.method), request)
            with failing(exchange, url):
                response = await send(streams.authorized_below(player, exchange, request, sent))
            return streams.record_below(player, exchange, url, response)

        try:
            return await real(detour.transport(transport, answer), request)
        finally:
            if not passed:
                player.note_mocked()

    return handle_async_request


class _Streams:
    """The byte streams of one of the two libraries, which know only their own kind.

    Attributes:
        httpx: the library.
    """

    def __init__(self, httpx: ModuleType) -> None:
        self.httpx: Any = httpx
        self._taped = type("TapedStream", (_Taped, httpx.SyncByteStream, httpx.AsyncByteStream), {})
        self._whole = type("WholeStream", (_Whole, httpx.SyncByteStream, httpx.AsyncByteStream), {})
        self._played = type("PlayedStream", (_Played, httpx.SyncByteStream, httpx.AsyncByteStream), {})

    @cached_property
    def core(self) -> Any:
        """Imported when it is first needed, as httpx itself does."""
        return import_module(_CORES[self.httpx.__name__])

    def authorized(self, player: Player, exchange: PlayerExchange, request: Any) -> Any:
        """Returns the request to send; the caller's own stays as it is."""
        headers = authorized(player, exchange, str(request.url), request.headers)
        if headers is None:
            return request
        return self.httpx.Request(
            request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
        )

    def authorized_below(self, player: Player, exchange: PlayerExchange, request: Any, sent: Any) -> Any:
        """Returns httpcore's request to send, where `sent` was made of the client's."""
        headers = authorized(player, exchange, str(request.url), request.headers)
        if headers is None:
            return sent
        return self.core.Request(
            sent.method,
            sent.url,
            headers=self.httpx.Headers(headers).raw,
            content=sent.stream,
            extensions=sent.extensions,
        )

    def taped(self, player: Player, exchange: PlayerExchange, url: str, response: Any, stream: Any) -> Any:
        """Returns the stream of a response with a tape behind it."""
        tape = Tape(player, exchange, url, response.status_code, response.headers.multi_items())
        return self._taped(stream, tape) if exchange.records(response.status_code, tape) else stream

    def record_below(self, player: Player, exchange: PlayerExchange, url: str, response: Any) -> Any:
        """Returns httpcore's response with a tape behind its stream."""
        head = self.httpx.Response(response.status, headers=response.headers)
        return self.core.Response(
            response.status,
            headers=response.headers,
            content=self.taped(player, exchange, url, head, response.stream),
            extensions=response.extensions,
        )

    def replay(self, playback: Playback, request: Any) -> Any:
        """Returns the stored response, as little read as one that comes from the network."""
        if playback.is_paused:
            playback.be_patient(request.extensions.get("timeout", {}).get("read"))
        if playback.lost is not None:
            raise self._error(playback.lost)
        headers = playback.headers
        if playback.framing is not None:
            headers = headers | dict((playback.framing,))
        whole = playback.whole
        return self.httpx.Response(
            playback.status,
            headers=headers,
            stream=self._played(playback, self._error) if whole is None else self._whole(whole),
            extensions=self._extensions(playback.status),
        )

    def _extensions(self, status: int) -> dict[str, object]:
        """Returns what httpcore tells beside the response."""
        phrase = reasons.get(status, "").encode()
        return {"http_version": b"HTTP/1.1", "reason_phrase": phrase, "network_stream": self._no_network}

    @cached_property
    def _no_network(self) -> object:
        """What stands for the connection: httpcore's own kind that knows nothing of it, and reads nothing."""
        return type("NoNetworkStream", (self.core.NetworkStream, self.core.AsyncNetworkStream), {})()

    def replay_below(self, playback: Playback, request: Any) -> Any:
        """Returns the stored response as httpcore's."""
        response = self.replay(playback, request)
        return self.core.Response(
            response.status_code,
            headers=response.headers.raw,
            content=response.stream,
            extensions=response.extensions,
        )

    def _error(self, kind: StreamError) -> Exception:
        name, message = _RAISED[kind]
        error: Exception = getattr(self.httpx, name)(message)
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

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
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

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._tape.stop()


class _Whole:
    """A body that comes at once."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


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
                await waiting.sleep(pause)
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


@contextmanager
def asking_with(httpx: Any) -> Iterator[Ask]:
    """Gives a function that sends one request as it is: nothing of the machine's plays a part."""
    with httpx.Client(trust_env=False, verify=False, follow_redirects=False) as client:

        def ask(method: str, url: str, headers: dict[str, str], body: bytes) -> Received:
            answer = client.request(method, url, content=body or None, headers=headers)
            return answer.status_code, answer.headers.multi_items(), answer.content

        yield ask


def _cut(tape: Tape, error: BaseException) -> None:
    if isinstance(error, GeneratorExit):
        tape.stop()
    else:
        tape.break_off(_kind_of(error))


def _kind_of(error: BaseException) -> StreamError:
    """Returns what an error of httpx or httpcore says, which is the same for httpx2."""
    if is_cancelled(error):
        return "cancelled"
    names = {each.__name__ for each in type(error).__mro__}
    if "TimeoutException" in names:
        return "timeout"
    if "RemoteProtocolError" in names:
        return "incomplete" if "complete message body" in str(error) else "protocol"
    return "reset" if names & {"TransportError", "NetworkError"} else "cancelled"
