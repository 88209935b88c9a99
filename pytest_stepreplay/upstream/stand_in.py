"""The HTTP server of the stand-in: keep-alive, streams, compression, and clients that leave early.

It listens on a free port of 127.0.0.1, prints nothing, and closes without leaving a socket or a thread.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import secrets
import socket
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any, Self

from ..wire.events import DONE, frame_of
from ..wire.json_values import parsed_or_none
from .replies import (
    Raw,
    ReceivedRequest,
    ScriptedAnswer,
    chunks_of_completion,
    completion_of,
    error,
    json_reply,
    model_list,
    raw,
    refusal_of,
    unscripted_answer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from .replies import Reply, Script


class Upstream:
    """The server; it runs inside a ``with`` block, on a free port of 127.0.0.1.

    It answers ``POST /v1/chat/completions`` and ``GET /v1/models`` to any bearer key that is not empty.
    Unscripted answers are made from the conversation alone: equal requests are answered equally but for what
    is volatile, since ids, times and cached-token counts are fresh each time.

    Args:
        script: the replies in the order of the requests, or a function from a request to its reply. None
            stands for the unscripted reply. An `Answer` is for valid chat completions, a `Raw` for anything.
            Requests after the end of a script are refused with status 400, which no client retries.
        compress: gzip chat completions for clients that accept it.

    Attributes:
        requests: what was received so far, in order of arrival.
    """

    def __init__(self, script: Script | None = None, *, compress: bool = False) -> None:
        self.requests: list[ReceivedRequest] = []
        self._compress = compress
        self._lock = threading.Lock()
        self._script = script if callable(script) else None
        self._replies = None if script is None or callable(script) else iter(script)
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """The base URL for a client, ``http://127.0.0.1:PORT/v1``."""
        if self._server is None:
            raise RuntimeError("the upstream has a URL only inside its `with` block")
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def count(self) -> int:
        """How many requests were received."""
        return len(self.requests)

    def __enter__(self) -> Self:
        self._server = _Server(self._reply_to)
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def _reply_to(self, received: ReceivedRequest) -> Raw:
        with self._lock:
            self.requests.append(received)
            number = len(self.requests)
            reply: Reply = None
            if self._replies is not None:
                end = error(400, "script_used_up", f"the script has no reply to request {number}")
                reply = next(self._replies, end)
        if self._script is not None:
            try:
                reply = self._script(received)
            except Exception as problem:  # noqa: BLE001 - what a test's script raises, the test must see
                reply = error(400, "script_failed", repr(problem))
        if isinstance(reply, Raw):
            return reply
        refusal = refusal_of(received)
        if refusal is not None:
            return refusal
        if received.method == "GET":
            return model_list()
        response = _spoken(received.json, reply or unscripted_answer(received.json), number)
        compress = self._compress and "gzip" in received.headers.get("accept-encoding", "")
        return _compressed(response) if compress else response


def _spoken(request: Mapping[str, Any], spoken: ScriptedAnswer, number: int) -> Raw:
    if not request.get("stream"):
        return json_reply(completion_of(request, spoken, number))
    return raw(200, {"Content-Type": "text/event-stream"}, _frames(request, spoken, number))


def _frames(request: Mapping[str, Any], spoken: ScriptedAnswer, number: int) -> Iterator[bytes]:
    chunks = chunks_of_completion(request, spoken, number)
    payloads = chain((json.dumps(chunk, ensure_ascii=False) for chunk in chunks), [DONE])
    for at, payload in enumerate(payloads):
        if at == spoken.break_off_after:
            raise ConnectionAbortedError
        if spoken.before_frame is not None:
            spoken.before_frame(at)
        yield frame_of(payload).encode()


def _compressed(response: Raw) -> Raw:
    headers = [*response.headers, ("Content-Encoding", "gzip")]
    body = response.body
    return raw(response.status, headers, gzip.compress(body) if isinstance(body, bytes) else _gzip(body))


def _gzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield gzipped pieces, each of which can be read before the next one comes."""
    packer = zlib.compressobj(wbits=31)
    for piece in pieces:
        yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


_WITHOUT_BODY = (204, 304)


class _Server(ThreadingHTTPServer):
    """A server that knows its connections, so that it can end them and wait for their threads."""

    daemon_threads = True
    block_on_close = False  # connections that are kept alive would block for ever
    request_queue_size = 128

    def __init__(self, reply_to: Callable[[ReceivedRequest], Raw]) -> None:
        self.reply_to = reply_to
        self._connections: dict[Any, threading.Thread] = {}
        self._accepting = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        # HTTPServer asks the name service for this host's name here, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def start(self) -> None:
        self._accepting.start()

    def stop(self) -> None:
        self.shutdown()
        self._accepting.join()
        self.server_close()
        for connection, thread in list(self._connections.items()):
            with contextlib.suppress(OSError):  # it has just ended by itself
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=2)

    def process_request(self, request: Any, client_address: Any) -> None:
        args = (request, client_address)
        thread = threading.Thread(target=self.process_request_thread, args=args, daemon=True)
        self._connections[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self._connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that leaves early is no error of the server; anything else should be seen.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def version_string(self) -> str:
        return "stepreplay-upstream"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass

    def _serve(self) -> None:
        try:
            body = self._read_body()
        except ValueError:
            self.close_connection = True  # where the next request would start is unknown
            self._send(error(400, "request_params_invalid", "the length of the body is not readable"))
            return
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        received = ReceivedRequest(self.command, self.path, headers, body, parsed_or_none(body))
        try:
            self._send(self.server.reply_to(received))
        except ConnectionError:  # the client left, or the script breaks the response off
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815 - so named by http.server

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            pieces = []
            while size := _length(self.rfile.readline().partition(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():  # trailers
                pass
            return b"".join(pieces)
        return self.rfile.read(_length(self.headers.get("content-length") or "0"))

    def _send(self, response: Raw) -> None:
        body = response.body
        declared = [value for name, value in response.headers if name.lower() == "content-length"]
        in_chunks = not isinstance(body, bytes) and not declared and self.request_version != "HTTP/1.0"
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        self.send_header("X-Trace-Id", secrets.token_hex(16))
        if isinstance(body, bytes) and not declared and response.status not in _WITHOUT_BODY:
            self.send_header("Content-Length", str(len(body)))
        elif in_chunks:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.close_connection = True  # only the end of the connection is sure to end this body
        self.end_headers()
        if self.command == "HEAD" or response.status in _WITHOUT_BODY:
            return
        for piece in [body] if isinstance(body, bytes) else body:
            if piece:  # an empty HTTP chunk would end the response
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if in_chunks else piece)
        if in_chunks:
            self.wfile.write(b"0\r\n\r\n")


def _length(text: str | bytes, base: int = 10) -> int:
    length = int(text, base)
    if length < 0:
        raise ValueError("a length is not negative")
    return length
