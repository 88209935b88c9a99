"""One request that a client sends to the server: answered from the cassette, or sent on and recorded as it comes.

The client's bytes go in, and what a session says of them decides: a `Playback` is written out chunk by chunk, or the
answer of the upstream is passed on as it comes, with a `Tape` beside it. A body that was broken off when it was
recorded is broken off again, as a client would see it over a network.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from ..errors import TestOutcomeError
from ..interception.aiohttp_client import kind_of
from ..interception.exchanges import Playback, Tape, authorized, begin, failing
from ..machine import waiting
from ..session.event_loops import in_thread
from ..wire.bodies import request_from_wire
from .origins import let_read
from .refusals import refuse, refuse_unanswered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..models import StreamError
    from ..session.exchange import Exchange
    from ..session.sessions import Session
    from .served import Served

LARGEST: Final = 64 << 20
"""Bytes of the largest body that is taken from a client."""
PATIENCE: Final = 5.0
"""Seconds until a client that waits for more of a stream than was recorded is told that there is no more."""
SILENCE: Final = 600.0
"""Seconds that an upstream may send nothing; as long as OpenAI's clients wait."""
HANGING: Final = 600.0
"""Seconds that a client waits which was let wait when it recorded."""

_OF_THE_CONNECTION: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that concern one connection alone (RFC 9110, section 7.6.1, and those of before)."""
_NOT_PASSED_ON: Final = _OF_THE_CONNECTION | {"host", "content-length", "expect", "x-stepreplay-token"}
_TAPED: Final = ("gzip", "deflate")
"""The content encodings that are undone without another library."""
_BODILESS: Final = (204, 304)


class BodyTooLargeError(Exception):
    """A body is larger than is taken."""


class Responder:
    """Answers the requests of one server; close it with the server.

    The client that asks the upstreams is opened when something is first sent: replaying needs none.
    """

    def __init__(self) -> None:
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Lets go of the connections to the upstreams."""
        if self._client is not None:
            await self._client.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, resolver=aiohttp.ThreadedResolver()),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=SILENCE),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                trust_env=True,
                read_bufsize=1 << 20,
            )
        return self._client

    async def answer(
        self, request: web.BaseRequest, served: Served, session: Session, url: str
    ) -> tuple[web.StreamResponse, str, int | None]:
        """Returns the answer, with what became of the request and the number of what has answered it.

        Args:
            request: the client's.
            served: the cassette.
            session: its session.
            url: what the client asks for.
        """
        try:
            body = await take_body(request)
        except BodyTooLargeError:
            told = f"a body of more than {LARGEST >> 20} MiB is not taken"
            return refuse(request, 413, told, "stepreplay_too_large", url=url), "refused", None
        try:
            if session.closed:
                asked = request_from_wire(request.method, url, body, request.headers.get("content-type"))
                raise session.refuse_late(asked)
            exchange: Any = begin(session, request.method, url, request.headers, body)
        except TestOutcomeError as error:
            await in_thread(session.explain)
            return refuse_unanswered(request, session, error, url), "missed", None
        if exchange.response is not None:
            number = None if exchange.position is None else exchange.position + 1
            answered = await _play(request, exchange)
            how = "played"
        else:
            number, how = None, "sent"
            answered = await self._send(request, exchange, session, url, body)
        if not served.keeps_order:
            session.let_go(exchange)
        return answered, how, number

    async def _send(
        self, request: web.BaseRequest, exchange: Exchange, session: Session, url: str, body: bytes
    ) -> web.StreamResponse:
        headers = _passed_on(request.headers)
        if session.settings.mode.records:
            _limit_encodings(headers)
        try:
            given = authorized(session, exchange, url, headers)
        except TestOutcomeError as error:
            return refuse_unanswered(request, session, error, url)
        headers.update(given or {})
        try:
            with failing(exchange, url):
                incoming = await self._open().request(
                    request.method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                )
        except TimeoutError:
            return _unanswered(request, exchange, url, 504)
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError):
            return _unanswered(request, exchange, url, 502)
        try:
            return await _pass_on(request, incoming, exchange, session, url)
        finally:
            incoming.close()


def _unanswered(request: web.BaseRequest, exchange: Any, url: str, status: int) -> web.StreamResponse:
    why = exchange.unsent.why if exchange.unsent else "no answer"
    return refuse(request, status, f"no answer: {why}", "stepreplay_no_answer", url=url, retry=True)


async def take_body(request: web.BaseRequest) -> bytes:
    """Returns the whole body of a request.

    Raises:
        BodyTooLargeError: it is larger than is taken.
    """
    if (request.content_length or 0) > LARGEST:
        raise BodyTooLargeError
    pieces, size = list[bytes](), 0
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > LARGEST:
            raise BodyTooLargeError
        pieces.append(piece)
    return b"".join(pieces)


def _passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    named = {each.strip().lower() for each in headers.get("connection", "").split(",")}
    left_out = _NOT_PASSED_ON | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in left_out)


def _limit_encodings(headers: CIMultiDict[str]) -> None:
    """Asks for no content encoding that could not be undone where the answer is recorded."""
    accepted = headers.get("accept-encoding", "").lower()
    kept = ", ".join(each for each in _TAPED if each in accepted)
    headers["Accept-Encoding"] = kept or "identity"


# ---------------------------------------------------------------- answers of the upstream


class _Remote:
    """A recording whose client is another process: only when that has gone, what has come is what it wanted."""

    def __init__(self, request: web.BaseRequest, tape: Tape) -> None:
        self._request = request
        self._tape = tape
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Stops the tape where the client has gone; else what is still to come is reported, and not recorded."""
        if not self._loop.is_running():  # the server has ended
            return
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._look(), self._loop).result(PATIENCE)

    async def _look(self) -> None:
        for _ in range(2):  # whatever the socket has to say is heard first
            await waiting.sleep(0)
        if _has_gone(self._request):
            self._tape.stop()


def _has_gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()


async def _pass_on(
    request: web.BaseRequest, incoming: aiohttp.ClientResponse, exchange: Exchange, session: Session, url: str
) -> web.StreamResponse:
    """Passes on what comes, chunk by chunk, and takes it down beside that if it is to be recorded."""
    tape = Tape(session, exchange, url, incoming.status, incoming.headers.items())
    records = exchange.records(incoming.status, _Remote(request, tape))
    answer = _head(request, incoming.status, incoming.reason, incoming.headers)
    left = incoming.content_length if incoming.headers.get("content-length") else None
    _break_with_connection(incoming)
    try:
        await answer.prepare(request)
        async for data, _ in incoming.content.iter_chunks():
            if records:
                tape.add(data)
            if left is not None:
                left -= len(data)
                if left <= 0 and records:
                    _end(tape)  # before the client can know that this is all
            if data:
                await answer.write(data)
        if records:
            _end(tape)
        await answer.write_eof()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if records and task is not None and _has_gone(request):  # else it is the server that ends
            task.uncancel()  # what has come is what the client wanted
            _stop(tape)
        raise
    except (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError) as error:
        if _has_gone(request):
            if records:
                _stop(tape)
        else:
            kind = kind_of(error)
            if records:
                with suppress(TestOutcomeError):
                    tape.break_off(kind)
            _break_off(request, answer, kind)
    return answer


def _break_with_connection(incoming: aiohttp.ClientResponse) -> None:
    """Ends the body of an answer with its connection: aiohttp closes that upon what is no HTTP, and reads on."""
    body, connection = incoming.content, incoming.connection
    closed = (
        connection.protocol.closed if connection is not None and connection.protocol is not None else None
    )

    def end(_: object) -> None:
        if not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("the connection was closed upon what is no HTTP"))

    if closed is not None:
        closed.add_done_callback(end)


def _end(tape: Tape) -> None:
    with suppress(TestOutcomeError):  # the session has noted it; the client has its answer
        tape.end()


def _stop(tape: Tape) -> None:
    with suppress(TestOutcomeError):
        tape.stop()


class _EndedAnswer(web.StreamResponse):
    """An answer that ends as its handler has ended it: one that was broken off is not made whole."""

    broken = False

    async def write_eof(self, data: bytes = b"") -> None:
        """Ends the body, unless it was broken off."""
        if not self.broken:
            with suppress(ConnectionError):
                await super().write_eof(data)


def _head(
    request: web.BaseRequest, status: int, reason: str | None, headers: Mapping[str, str]
) -> _EndedAnswer:
    answer = _EndedAnswer(status=status, reason=reason)
    for name, value in headers.items():
        if name.lower() not in _OF_THE_CONNECTION:
            answer.headers.add(name, value)
    let_read(answer)
    if "content-length" in headers or request.method == "HEAD" or status in _BODILESS:
        return answer
    if request.version >= (1, 1):
        answer.enable_chunked_encoding()
    else:
        answer.force_close()
    return answer


# ---------------------------------------------------------------- answers of the cassette


async def _play(request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
    """Writes the stored answer as it came."""
    stored = exchange.response
    assert stored is not None  # noqa: S101 - who comes here has looked
    playback = Playback(exchange, stored, request.method)
    if playback.is_paused:
        await waiting.sleep(playback.wait_really())
    if playback.lost is not None:
        answer = _EndedAnswer()
        if playback.lost == "timeout":
            await waiting.sleep(HANGING)
        _break_off(request, answer, "reset")
        return answer
    headers = CIMultiDict(playback.headers)
    if playback.whole is not None:
        if playback.framing is not None:
            headers["Content-Length"] = playback.framing[1]
        whole = web.Response(status=playback.status, headers=headers, body=playback.whole)
        let_read(whole)
        with suppress(ConnectionError):  # the client has gone
            await whole.prepare(request)
            await whole.write_eof()  # head and body leave in one piece
        return whole
    answer = _head(request, playback.status, None, headers)
    try:
        await answer.prepare(request)
        for chunk in playback.chunks:
            pause = playback.pause_before(chunk)
            if pause:
                await waiting.sleep(pause)
            await answer.write(chunk.data)
    except ConnectionError:  # the client has gone
        return answer
    kind: StreamError | None = playback.error
    if playback.left:
        await waiting.sleep(PATIENCE)  # a client that leaves here, as the recorded one did, ends this
        playback.past_the_end()
        kind = "incomplete"
    if kind == "timeout":
        await waiting.sleep(HANGING)
    if kind is not None:
        _break_off(request, answer, kind)
    else:
        await answer.write_eof()
    return answer


def _break_off(request: web.BaseRequest, answer: _EndedAnswer, kind: StreamError) -> None:
    """Ends the connection in the middle of a body: reset if it was, else closed.

    What was no HTTP is not sent on, since aiohttp's client waits ten minutes after that.
    """
    answer.broken = True
    answer.force_close()
    transport = request.transport
    if transport is None:
        return
    if kind == "reset":
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
