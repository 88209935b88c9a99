"""A client's request -> the exchange with the cassette that is open for it; a stored response -> what a client sees.

What all patched clients share: which cassette a request belongs to, the key a request is sent with, taking down a
response that comes (`Tape`), and the chunks of one that is stored (`Playback`).
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import contextmanager
from functools import lru_cache
from traceback import format_exception_only
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..machine import clock
from ..settings import PLACEHOLDER_KEY
from ..wire.bodies import request_from_wire
from ..wire.chunks import Chunk, chunks_of, response_from_chunks
from ..wire.encodings import EncodingError, undo_encodings
from ..wire.headers import kept_headers
from . import own_requests, pauses, sending

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Literal

    from ..models import Response, StreamError
    from .pauses import Disturbance
    from .player import Player, PlayerExchange, Route

KEY_OF_HOST: Final = {
    "api.stepfun.com": "STEP_API_KEY",
    "api.stepfun.ai": "STEP_API_KEY",
    "api.openai.com": "OPENAI_API_KEY",
    "api.anthropic.com": "ANTHROPIC_API_KEY",
    "generativelanguage.googleapis.com": "GEMINI_API_KEY",
}
"""Which environment variable holds the key of a host; a client built for another key is given this one."""

_LOOPBACK: Final = ("127.", "localhost", "::1")
_LONG: Final = 1 << 11
"""Bytes of a body that may be worth comparing with the one before; a shorter one is sooner parsed."""
_BODILESS: Final = frozenset({204, 304})
_LAST_FRAME: Final = b"data: [DONE]"


_own_servers: Final = set[str]()


@contextmanager
def left_alone(netloc: str) -> Iterator[None]:
    """Lets the requests to a server of ours pass by, which gives them to a cassette itself.

    Args:
        netloc: its host and port, as they stand in a URL.
    """
    _own_servers.add(netloc)
    try:
        yield
    finally:
        _own_servers.discard(netloc)


def player_for(route: Route, url: str) -> Player | None:
    """Returns the open cassette that a request to this URL belongs to; None to leave it alone."""
    player = None if own_requests.is_unseen() else route()
    if player is None:
        return None
    host, netloc = _place_of(url)
    return None if player.passes_by(host) or netloc in _own_servers else player


@lru_cache(maxsize=1024)
def _place_of(url: str) -> tuple[str, str]:
    """Returns the host, and with its port the whole of what stands between scheme and path."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.netloc


def begin(player: Player, method: str, url: str, headers: Mapping[str, str], body: bytes) -> PlayerExchange:
    """Returns the exchange for a client's request; raises where nothing recorded may answer it.

    Args:
        player: the open cassette.
        method: as the client sends it.
        url: with its query.
        headers: as the client sends them.
        body: the whole of it.
    """
    content_type = headers.get("content-type")  # most clients' headers do not mind the case
    if content_type is None:
        content_type = next((text for name, text in headers.items() if name.lower() == "content-type"), None)
    try:
        request, last = None, None
        if len(body) >= _LONG:
            last = player.last_body
        else:
            request = player.next_sent_so(method, url, body)
        exchange = player.begin(request or request_from_wire(method, url, body, content_type, last))
    except Exception as problem:
        raise player.stop(f"{method} {_bare(url)} could not be looked up: {_described(problem)}") from problem
    if exchange.response is not None and exchange.verifies:
        exchange.verify(
            sending.Outgoing(method, url, authorized(player, exchange, url, headers) or dict(headers), body)
        )
    return exchange


def _bare(url: str) -> str:
    """Return the URL without what may hold a key: it may be redaction that failed."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _described(problem: Exception) -> str:
    return str(problem) if isinstance(problem, EncodingError) else format_exception_only(problem)[-1].strip()


def authorized(
    player: Player, exchange: PlayerExchange, url: str, headers: Mapping[str, str]
) -> dict[str, str] | None:
    """Returns the headers to send where a client was built without its key; None to send them as they are.

    A client that holds the placeholder is given the key of the host it talks to; a local server may need none.

    Raises:
        RequestStoppedError: the host's key is not set.
    """
    held = [name for name, value in headers.items() if PLACEHOLDER_KEY in value]
    if not held and PLACEHOLDER_KEY not in url:
        return None
    host = urlsplit(url).hostname or ""
    name = KEY_OF_HOST.get(host)
    key = os.environ.get(name, "") if name else ""
    if key and key != PLACEHOLDER_KEY and PLACEHOLDER_KEY not in url:
        return dict(headers) | {each: headers[each].replace(PLACEHOLDER_KEY, key) for each in held}
    missing = name or " or ".join(
        sorted(each for each, value in os.environ.items() if value == PLACEHOLDER_KEY)
    )
    if host.startswith(_LOOPBACK):
        exchange.lack_key(missing)
        return None
    raise player.stop(
        f"a request to {host} must be sent, but its API key is not set.\n"
        f"Set {missing or 'the environment variable that your client reads its key from'}"
        ", or run in replay, which needs no key."
    )


@contextmanager
def failing(exchange: PlayerExchange, url: str) -> Iterator[None]:
    """Tells the exchange, where a request is sent inside, with which error that ended."""
    try:
        yield
    except Exception as error:
        exchange.fail(error, url)
        raise


class Tape:
    """Takes down one response while the client reads it, and gives it to the exchange when it ends.

    The bytes that the client reads are kept as they are, not copied. Only the first end counts.
    """

    def __init__(
        self,
        player: Player,
        exchange: PlayerExchange,
        url: str,
        status: int,
        headers: Iterable[tuple[str, str]],
        *,
        decoded: bool = False,
        keep: tuple[str, ...] = (),
    ) -> None:
        """Begins with the response's head.

        Args:
            player: the open cassette.
            exchange: whose response this is.
            url: of the request, for messages.
            status: the HTTP status.
            headers: all of them.
            decoded: the client has undone the content encoding before the bytes come here.
            keep: more headers to store than the cassette does.
        """
        self._player = player
        self._exchange = exchange
        self._url = url
        self._status = status
        pairs = list(headers)
        self._headers = kept_headers(pairs, (*player.keep_headers(), *keep))
        encodings = (value for name, value in pairs if name.lower() == "content-encoding")
        self._encoding = "" if decoded else ", ".join(encodings)
        self._chunks: list[Chunk] = []
        self._lock = threading.Lock()
        self._ended = False

    def add(self, data: bytes) -> None:
        """Takes down a chunk that has come."""
        if data and not self._ended:
            self._chunks.append(Chunk(round(self._exchange.elapsed() * 1000), data))

    def end(self) -> None:
        """The body is whole.

        Raises:
            RequestStoppedError: it says that it is compressed, and cannot be decompressed.
        """
        self._finish(None, None)

    def stop(self) -> None:
        """The client closes the response, or the test has ended; what has come is what it wanted."""
        if _is_being_cancelled():
            self._finish("broken", "cancelled")
        else:
            self._finish("closed", None)

    def break_off(self, error: StreamError) -> None:
        """The body ends before it is whole."""
        self._finish("broken", error)

    def _finish(self, end: Literal["closed", "broken"] | None, error: StreamError | None) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
        chunks, self._chunks = self._chunks, []
        try:
            if self._encoding:
                chunks = self._decoded(chunks, whole=end is None)
            if end == "closed" and b"".join(chunk.data for chunk in chunks[-2:]).rstrip().endswith(
                _LAST_FRAME
            ):
                end = None  # clients that know the last frame do not wait for what is behind it
            self._exchange.finish(response_from_chunks(self._status, self._headers, chunks, end, error))
        except Exception as problem:
            told = f"the response of {self._url} cannot be recorded: {_described(problem)}"
            raise self._player.stop(told) from problem

    def _decoded(self, chunks: list[Chunk], *, whole: bool) -> list[Chunk]:
        pieces = undo_encodings([chunk.data for chunk in chunks], self._encoding, whole=whole)
        return [Chunk(chunk.at, piece) for chunk, piece in zip(chunks, pieces, strict=True)]


def is_cancelled(error: BaseException) -> bool:
    """Tells whether an error cancels a task; trio's is known by its name, since trio need not be there."""
    return isinstance(error, asyncio.CancelledError) or type(error).__name__ == "Cancelled"


def _is_being_cancelled() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return False
    return task is not None and task.cancelling() > 0


class Playback:
    """A stored response, as chunks that a client reads one after the other.

    Attributes:
        status: the HTTP status.
        headers: those that were kept.
        framing: the header that says where the body ends, as it would stand over the wire; None where none would.
        whole: the body in one piece, where it comes at once and whole; else None.
        error: what breaks it off after the last chunk, in the terms of `Stream`; None for nothing.
        left: whether the recorded client left it before its end.
        lost: with what the connection is lost before anything comes; None where it is not.
        is_paused: the client is to say how long it waits, with `be_patient`.
    """

    def __init__(self, exchange: PlayerExchange, response: Response, method: str) -> None:
        self._exchange = exchange
        self.status = response.status
        self.headers = response.headers
        stream = response.stream
        self._all = chunks_of(response)
        self.chunks: list[Chunk] | pauses.PausedChunks = self._all
        self._pace = exchange.pace
        self.error: StreamError | None = stream.error if stream else None
        self.left = stream is not None and (stream.end == "closed" or stream.error == "cancelled")
        once = response.events is None and len(self._all) < 2 and (stream is None or stream.end is None)
        self.whole = b"".join(chunk.data for chunk in self._all) if once else None
        self.framing = self._framing(method)
        self.lost: StreamError | None = None
        self.is_paused = False
        if exchange.disturbance is not None:
            self._disturb(exchange.disturbance)

    def _disturb(self, disturbance: Disturbance) -> None:
        self.lost = disturbance.lost
        self.is_paused = bool(disturbance.pauses)
        self._disturbance = disturbance
        if self.is_paused and self.whole is None:
            self.chunks = pauses.PausedChunks(self._all, disturbance, self._give_up)

    def _give_up(self) -> None:
        self.error = "timeout"

    def be_patient(self, patience: float | None) -> None:
        """Takes how long the client waits for what comes next, in seconds; None for as long as it takes."""
        if isinstance(self.chunks, pauses.PausedChunks):
            self.chunks.patience = patience
        elif pauses.bear(sum(self._disturbance.pauses), patience, self._disturbance.clock):
            self.lost = "timeout"

    def wait_really(self) -> float:
        """Lets pauses take their time, for a client whose patience nobody knows; returns the one before all of it."""
        if isinstance(self.chunks, pauses.PausedChunks):
            self.chunks.waits_really = True
            return 0.0
        return sum(self._disturbance.pauses)

    def _framing(self, method: str) -> tuple[str, str] | None:
        if self.whole is None:
            return "transfer-encoding", "chunked"
        # The length of HEAD is not stored.
        if self.status in _BODILESS or (method == "HEAD" and not self.whole):
            return None
        return "content-length", str(len(self.whole))

    def pause_before(self, chunk: Chunk) -> float:
        """Returns the seconds to wait before a chunk comes."""
        if self.is_paused and isinstance(self.chunks, pauses.PausedChunks):
            return self.chunks.left
        if not self._pace:
            return 0.0
        return max(0.0, chunk.at / 1000 * self._pace - self._exchange.elapsed())

    def paced(self) -> Iterator[Chunk]:
        """Yields each chunk when it is due, and raises, as a socket would, what broke the response off after them."""
        for chunk in self.chunks:
            pause = self.pause_before(chunk)
            if pause:
                clock.sleep(pause)
            yield chunk
        past = self.past_the_end()
        if past is not None:
            raise past
        if self.error == "reset":
            raise ConnectionResetError("the connection was reset (recorded)")
        if self.error == "timeout":
            raise TimeoutError("timed out (recorded)")

    def past_the_end(self) -> BaseException | None:
        """Returns the error for a client that reads on where the recorded one had stopped; None where it had not."""
        if not self.left:
            return None
        return self._exchange.read_past_the_end(sum(len(chunk.data) for chunk in self._all))
