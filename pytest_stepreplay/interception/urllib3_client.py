"""urllib3, and requests on top of it: one exchange for each request a connection pool makes.

Only the pool's step that makes one request is replaced; retries, redirects, proxies, decoding and errors stay
urllib3's. What comes is recorded where it leaves the socket; what is stored is read as if it came from one.
"""

from __future__ import annotations

import functools
import io
from contextlib import contextmanager
from http.client import HTTPResponse
from http.client import responses as reasons
from typing import TYPE_CHECKING, Any, Final

import urllib3

from ..errors import StepReplayError
from .exchanges import Playback, Tape, authorized, begin, failing, player_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from .player import Ask, Patch, Player, PlayerExchange, Received, Route

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def patches(urllib3: ModuleType, route: Route) -> Iterator[Patch]:
    """Yields what to patch.

    Raises:
        StepReplayError: it is a version that cannot be intercepted.
    """
    version: str = urllib3.__version__
    if int(version.partition(".")[0]) < 2:
        raise StepReplayError(
            f"urllib3 {version} cannot be intercepted, 2.0 and newer can: pip install -U urllib3"
        )
    pools = urllib3.connectionpool
    yield pools.HTTPConnectionPool, "_make_request", functools.partial(_make_request, route)
    yield pools.HTTPSConnectionPool, "_prepare_proxy", functools.partial(_prepare_proxy, route)


def _make_request(route: Route, real: Any) -> object:
    @functools.wraps(real)
    def make_request(pool: Any, conn: Any, method: str, url: str, **options: Any) -> Any:
        full_url = _full_url(pool, url)
        player = player_for(route, full_url)
        # It may be vcrpy's, of a cassette that was opened inside of ours.
        if player is None or hasattr(conn, "cassette"):
            return real(pool, conn, method, url, **options)
        headers = {_text(name): _text(value) for name, value in (options.get("headers") or {}).items()}
        body, options["body"] = _read(options.get("body"))
        exchange = begin(player, method, full_url, headers, body)
        if exchange.response is not None:
            if options.get("response_conn") is not None:
                pool._put_conn(conn)  # nothing will be read from it, so the response cannot hand it back
            playback = Playback(exchange, exchange.response, method)
            if playback.is_paused or playback.lost is not None:
                _lose(pool, playback, url, getattr(conn, "timeout", None), options)
            return _replay(pool, playback, method, url, options)
        options["headers"] = authorized(player, exchange, full_url, headers) or options.get("headers")
        tunnel = conn.__dict__.pop("stepreplay_tunnel", None)
        preload = options.get("preload_content", True)
        with failing(exchange, full_url):
            if tunnel is not None:
                tunnel()
            response = real(pool, conn, method, url, **options | {"preload_content": False})
        _record(player, exchange, full_url, response)
        if preload:
            response.read(decode_content=options.get("decode_content", True), cache_content=True)
        return response

    return make_request


def _prepare_proxy(route: Route, real: Any) -> object:
    """The tunnel through a proxy is opened only once it is known that the request is sent."""

    @functools.wraps(real)
    def prepare_proxy(pool: Any, conn: Any) -> None:
        if player_for(route, f"https://{pool.host}") is None:
            real(pool, conn)
        else:
            conn.stepreplay_tunnel = functools.partial(real, pool, conn)

    return prepare_proxy


def _text(header: str | bytes) -> str:
    return header.decode("latin-1") if isinstance(header, bytes) else header  # botocore's are bytes


def _read(body: Any) -> tuple[bytes, Any]:
    """Returns the whole request body, and what to send for it: reading an upload has used it up."""
    if body is None:
        return b"", None
    if isinstance(body, str):  # http.client sends text so; urllib3 has encoded it as UTF-8 before
        return body.encode(), body
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body), body
    pieces = [body.read()] if hasattr(body, "read") else list(body)
    content = b"".join(each.encode() if isinstance(each, str) else bytes(each) for each in pieces)
    return content, content


# ---------------------------------------------------------------- recording


def _record(player: Player, exchange: PlayerExchange, url: str, response: Any) -> None:
    tape = Tape(player, exchange, url, response.status, response.headers.items())
    if not exchange.records(response.status, tape):
        return
    http: Any = response._original_response
    if http.fp is None or http.length == 0:  # it has no body
        tape.end()
    elif http.chunked:
        http.fp = _TapedFile(http.fp, tape, _ChunkedBody(tape))
    else:
        http.fp = _TapedFile(http.fp, tape, _PlainBody(tape, http.length))


class _PlainBody:
    """A body of a known length, or one that ends with the connection."""

    def __init__(self, tape: Tape, length: int | None) -> None:
        self._tape = tape
        self._left = length

    def feed(self, data: bytes) -> None:
        self._tape.add(data)
        if self._left is not None:
            self._left -= len(data)
            if self._left <= 0:
                self._tape.end()

    def end(self) -> None:
        if self._left is None:
            self._tape.end()
        else:
            self._tape.break_off("incomplete")


class _ChunkedBody:
    """The chunked transfer coding (RFC 9112, section 7.1), as http.client reads it: line by line, chunk by chunk."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._line = b""
        self._left = 0
        self._chunk: list[bytes] = []
        self._is_last = False

    def feed(self, data: bytes) -> None:
        while data:
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                self._chunk.append(piece)
                if not self._left:
                    self._end_chunk()
                continue
            line, found, data = data.partition(b"\n")
            self._line += line + found
            if found:
                self._read_line()

    def _read_line(self) -> None:
        line, self._line = self._line.strip(), b""
        if self._is_last:  # the last chunk's end, or a trailer
            if not line:
                self._tape.end()
        elif line:  # an empty one ends the chunk before
            try:
                self._left = int(line.partition(b";")[0], 16)
            except ValueError:
                self._tape.break_off("protocol")
            self._is_last = self._left == 0

    def _end_chunk(self) -> None:
        self._tape.add(b"".join(self._chunk))
        self._chunk.clear()

    def end(self) -> None:
        self._end_chunk()
        if self._is_last:  # some servers leave out the last empty line
            self._tape.end()
        self._tape.break_off("incomplete")


class _TapedFile:
    """The file http.client reads a response from, with a tape that hears what is read."""

    def __init__(self, file: Any, tape: Tape, body: _PlainBody | _ChunkedBody) -> None:
        self._file = file
        self._tape = tape
        self._body = body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int | None = -1) -> bytes:
        data = self._heard(self._file.read, size)
        if data and (size is None or size < 0 or len(data) < size):
            self._body.end()  # only the end of the connection makes a read short
        return data

    def read1(self, size: int = -1) -> bytes:
        return self._heard(self._file.read1, size)

    def readline(self, size: int = -1) -> bytes:
        return self._heard(self._file.readline, size)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _heard(self, read: Callable[[Any], bytes], size: int | None) -> bytes:
        try:
            data = read(size)
        except TimeoutError:
            self._tape.break_off("timeout")
            raise
        except BaseException as error:
            self._tape.break_off("reset" if isinstance(error, OSError) else "cancelled")
            raise
        self._body.feed(data)
        if not data and size != 0:
            self._body.end()
        return data

    def close(self) -> None:
        try:
            self._file.close()
        finally:
            self._tape.stop()


# ---------------------------------------------------------------- replaying


def _lose(pool: Any, playback: Playback, url: str, timeout: Any, options: dict[str, Any]) -> None:
    """Raises what the pool does where the connection is lost in place of an answer."""
    read = getattr(options.get("timeout"), "read_timeout", timeout)
    patience = float(read) if isinstance(read, int | float) else None
    if playback.is_paused:
        playback.be_patient(patience)
    if playback.lost == "timeout":
        told = f"Read timed out. (read timeout={patience})"
        raise urllib3.exceptions.ReadTimeoutError(pool, url, told)
    if playback.lost is not None:
        raise ConnectionResetError(104, "the connection was reset (recorded)")


def _replay(pool: Any, playback: Playback, method: str, url: str, options: dict[str, Any]) -> Any:
    http = HTTPResponse(_Socket(playback), method=method)  # type: ignore[arg-type]  # it asks only for a file
    http.begin()
    response = urllib3.HTTPResponse(
        body=http,
        headers=urllib3.HTTPHeaderDict(http.msg.items()),
        status=http.status,
        version=http.version,
        reason=http.reason,
        preload_content=False,
        decode_content=options.get("decode_content", True),
        original_response=http,
        enforce_content_length=options.get("enforce_content_length", True),
        retries=options.get("retries"),
        request_method=method,
        request_url=url,
        pool=pool,
    )
    if hasattr(response, "version_string"):  # its constructor takes that from 2.2.2 on
        response.version_string = "HTTP/1.1"
    if options.get("preload_content", True):
        response.read(decode_content=options.get("decode_content", True), cache_content=True)
    return response


class _Socket:
    """What http.client needs of a socket."""

    def __init__(self, playback: Playback) -> None:
        self._playback = playback

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Wire(self._playback))


class _Wire(io.RawIOBase):
    """The stored response as it would come over the wire; each chunk is read for itself."""

    def __init__(self, playback: Playback) -> None:
        self._pieces = _wire(playback)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = next(self._pieces, b"")
        data, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def _wire(playback: Playback) -> Iterator[bytes]:
    lines = [f"HTTP/1.1 {playback.status} {reasons.get(playback.status, '')}"]
    lines += [f"{name}: {value}" for name, value in playback.headers.items()]
    if playback.framing is not None:
        lines.append(": ".join(playback.framing))
    yield "\r\n".join([*lines, "", ""]).encode() + (playback.whole or b"")
    if playback.whole is not None:
        return
    for chunk in playback.paced():
        yield b"%x\r\n%b\r\n" % (len(chunk.data), chunk.data)
    if playback.error == "protocol":
        yield b"no length\r\n"
    elif playback.error is None:
        yield b"0\r\n\r\n"


def _full_url(pool: Any, url: str) -> str:
    if "://" in url:  # a plain-HTTP proxy is given the whole URL
        return url
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    port = "" if pool.port in {None, _DEFAULT_PORTS.get(pool.scheme)} else f":{pool.port}"
    return f"{pool.scheme}://{host}{port}{url}"


@contextmanager
def asking_with(urllib3: Any) -> Iterator[Ask]:
    """Gives a function that sends one request as it is: nothing is followed or tried again."""
    pool = urllib3.PoolManager(retries=False)

    def ask(method: str, url: str, headers: dict[str, str], body: bytes) -> Received:
        answer = pool.request(method, url, body=body or None, headers=headers, redirect=False)
        return answer.status, [*answer.headers.items()], answer.data

    try:
        yield ask
    finally:
        pool.clear()
