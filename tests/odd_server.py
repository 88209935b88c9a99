"""A real server on loopback that sends what real ones send on their worst days, byte for byte.

A script writes each response: chunk by chunk, waiting for the test to have read what came before, broken off, endless,
compressed, or not HTTP at all. What the clients asked stands in `OddServer.requests`.
"""

from __future__ import annotations

import json
import socket
import socketserver
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self

PATIENCE: Final = 20.0
"""Seconds until a test that went wrong is given up; a test that goes well never waits for it."""

Ending = Literal["complete", "incomplete", "reset", "silence", "protocol"]
ENDINGS: Final[tuple[Ending, ...]] = ("incomplete", "reset", "silence", "protocol")
"""How a stream can break."""

Encoding = Literal["identity", "gzip", "deflate", "br", "zstd"]
ENCODINGS: Final[tuple[Encoding, ...]] = ("gzip", "deflate", "br", "zstd")

EVENT_STREAM: Final = ("Content-Type", "text/event-stream")

Script = Callable[["Wire"], None]
"""Writes one response."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came over the wire; a chunked body is put together."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


class Wire:
    """The connection on which one request came and its response goes out."""

    def __init__(self, server: OddServer, connection: socket.socket, asked: Asked) -> None:
        self._server = server
        self._connection = connection
        self.asked = asked
        self.is_open = True

    def send(self, data: bytes) -> None:
        """Sends bytes as they stand."""
        self._connection.sendall(data)

    def send_head(self, status: int, *headers: tuple[str, str], reason: str = "Said So") -> None:
        """Sends the status line and the headers."""
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
        self.send("\r\n".join(lines).encode())

    def send_chunk(self, data: bytes) -> None:
        """Sends one HTTP chunk; an empty one, which would be the end, is not sent."""
        if data:
            self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def send_last_chunk(self, *trailers: tuple[str, str]) -> None:
        """Ends a chunked body."""
        self.send(b"0\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in trailers) + b"\r\n")

    def wait_for_reader(self) -> None:
        """Waits until the test has read what was sent.

        Raises:
            TimeoutError: it never did; a client that holds chunks back until the stream has ended ends here.
        """
        if not self._server.heard.acquire(timeout=PATIENCE) and not self._server.is_stopping:
            raise TimeoutError("the client has not handed out what was sent")

    def wait_until_left(self) -> None:
        """Sends nothing more, and waits until the client has closed the connection."""
        self._connection.settimeout(PATIENCE)
        while self._connection.recv(4096):
            pass

    def close(self) -> None:
        """Closes the connection in good order."""
        self.is_open = False

    def reset(self) -> None:
        """Closes the connection as a crash does, with a TCP reset."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.is_open = False


class OddServer:
    """Serves scripts, one by path; everything stops with the block."""

    def __init__(self) -> None:
        self.requests: list[Asked] = []
        self.failures: list[BaseException] = []
        self.heard = threading.Semaphore(0)
        self.left = threading.Event()
        self.is_stopping = False
        self._scripts: dict[str, Script] = {}
        self._open: dict[int, socket.socket] = {}
        self._lock = threading.Lock()
        self._listener = _Listener(self)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """The base of the URLs that are served."""
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    @property
    def chat(self) -> str:
        """Where chat completions are asked."""
        return f"{self.url}/v1/chat/completions"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.is_stopping = True
        self.heard.release(1000)
        self._listener.shutdown()
        with self._lock:
            for connection in self._open.values():
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._listener.server_close()
        self._thread.join()
        if self.failures and error is None:
            raise AssertionError(f"in the server: {self.failures[0]!r}")

    def serve(self, script: Script, path: str = "/v1/chat/completions") -> None:
        """Answers requests for this path from now on."""
        self._scripts[path] = script

    def acknowledge(self, chunk: bytes = b"") -> None:
        """Lets a script go on: the test has read this chunk."""
        self.heard.release()

    def answer(self, connection: socket.socket) -> None:
        """Serves one connection until either side has had enough."""
        number = connection.fileno()
        with self._lock:
            self._open[number] = connection
        try:
            with connection.makefile("rb") as reader:
                while asked := _read_request(reader, connection):
                    self.requests.append(asked)
                    wire = Wire(self, connection, asked)
                    while self.heard.acquire(blocking=False):
                        pass  # what was heard of a response before
                    self._scripts[asked.path.partition("?")[0]](wire)
                    if not wire.is_open:
                        break
        except (ConnectionError, BrokenPipeError):
            self.left.set()  # clients may leave whenever they like
        except BaseException as failure:  # noqa: BLE001 - shown where the server is stopped
            if not self.is_stopping:
                self.failures.append(failure)
        finally:
            with self._lock:
                del self._open[number]


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, server: OddServer) -> None:
        self.odd = server
        super().__init__(("127.0.0.1", 0), _Handler)

    def shutdown_request(self, request: Any) -> None:
        """Closes without the polite half-close, which would turn a reset into an end."""
        self.close_request(request)


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Listener)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.odd.answer(self.request)


def _read_request(reader: Any, connection: socket.socket) -> Asked | None:
    line = reader.readline()
    if not line.strip():
        return None
    method, path, _ = line.decode("latin-1").split()
    headers: dict[str, str] = {}
    while (line := reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in headers.get("transfer-encoding", ""):
        body = b"".join(_read_chunks(reader))
    else:
        body = reader.read(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body, connection.fileno())


def _read_chunks(reader: Any) -> Iterator[bytes]:
    while size := int(reader.readline(), 16):
        yield reader.read(size)
        reader.readline()
    reader.readline()


# ---------------------------------------------------------------- scripts


def stream(
    chunks: Sequence[bytes],
    *,
    ending: Ending = "complete",
    headers: Sequence[tuple[str, str]] = (EVENT_STREAM,),
    encoding: Encoding = "identity",
    stepwise: bool = True,
) -> Script:
    """Returns a script that sends a body in chunks, each once the test has read the one before.

    Args:
        chunks: the body; each piece is one HTTP chunk, flushed to the client.
        ending: how it ends; every way but ``complete`` comes after the last chunk was read.
        headers: of the response.
        encoding: each chunk is compressed, and can be decompressed at once.
        stepwise: wait for the test; else everything is sent as fast as it goes.
    """

    def script(wire: Wire) -> None:
        named = () if encoding == "identity" else (("Content-Encoding", encoding),)
        wire.send_head(200, *headers, *named, ("Transfer-Encoding", "chunked"))
        compressor = _COMPRESSORS[encoding]()
        for number, chunk in enumerate(chunks):
            if stepwise and number:
                wire.wait_for_reader()
            wire.send_chunk(compressor.add(chunk))
        if stepwise and chunks and ending != "complete":
            wire.wait_for_reader()
        if ending == "complete":
            wire.send_chunk(compressor.end())
            wire.send_last_chunk()
        elif ending == "reset":
            wire.reset()
        elif ending == "incomplete":
            wire.close()
        elif ending == "protocol":
            wire.send(b"this is no chunk\r\n")
            wire.close()
        else:
            wire.wait_until_left()
            wire.close()

    return script


def whole(status: int, *headers: tuple[str, str], body: bytes = b"") -> Script:
    """Returns a script that sends a response at once, as it stands; its length is told unless it is given."""
    names = {name.lower() for name, _ in headers}
    if body or not names & {"content-length", "transfer-encoding"}:
        headers += (("Content-Length", str(len(body))),)

    def script(wire: Wire) -> None:
        wire.send_head(status, *headers)
        wire.send(body)

    return script


def endless(wire: Wire) -> None:
    """Sends events until the client leaves."""
    wire.send_head(200, EVENT_STREAM, ("Transfer-Encoding", "chunked"))
    while not wire._server.is_stopping:
        wire.send_chunk(b"data: tick\n\n")
        wire.wait_for_reader()


class _Compressor:
    """Compresses nothing."""

    def add(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""


class _Zlib(_Compressor):
    window = zlib.MAX_WBITS

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(wbits=self.window)

    def add(self, data: bytes) -> bytes:
        return self._zlib.compress(data) + self._zlib.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._zlib.flush()


class _Gzip(_Zlib):
    window = zlib.MAX_WBITS | 16


class _Brotli(_Compressor):
    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped]  # it ships no types

        self._brotli = brotli.Compressor()

    def add(self, data: bytes) -> bytes:
        return bytes(self._brotli.process(data) + self._brotli.flush())

    def end(self) -> bytes:
        return bytes(self._brotli.finish())


class _Zstd(_Compressor):
    def __init__(self) -> None:
        import zstandard

        self._zstd = zstandard.ZstdCompressor().compressobj()
        self._flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK

    def add(self, data: bytes) -> bytes:
        return self._zstd.compress(data) + self._zstd.flush(self._flush)

    def end(self) -> bytes:
        return self._zstd.flush()


_COMPRESSORS: Final[Mapping[str, type[_Compressor]]] = {
    "identity": _Compressor,
    "gzip": _Gzip,
    "deflate": _Zlib,
    "br": _Brotli,
    "zstd": _Zstd,
}


# ---------------------------------------------------------------- what is streamed


def frame(text: str, **fields: Any) -> bytes:
    """Returns a frame with one chunk of a chat completion."""
    chunk = {
        "id": "chat-1",
        "object": "chat.completion.chunk",
        "created": 1709899323,
        "model": "step-3.5-flash",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None, **fields}],
    }
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


DONE: Final = b"data: [DONE]\n\n"
GREETING: Final = (frame("Hel"), frame("lo, "), frame("你好!"), frame("", finish_reason="stop"), DONE)
"""A short stream, one frame a chunk."""
