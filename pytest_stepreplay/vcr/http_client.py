"""`http.client`, and what is built on it (urllib.request, httplib2, ...): vcrpy's stub serves each request.

Our functions stand in front of a connection's methods. Where no cassette is open they call the real ones. Else they
hand the request to vcrpy's `VCRHTTPConnection`, which asks `_HttpRequest` as it would ask a cassette of its own, and
gives the client its `VCRHTTPResponse`. What must be sent goes out through the client's own connection, by the very
calls that the client made: vcrpy's way would un-patch every client of the process meanwhile.
"""

from __future__ import annotations

import functools
import sys
from contextlib import contextmanager
from http.client import CannotSendRequest, HTTPSConnection, IncompleteRead
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from .. import formats
from ..interception.exchanges import (
    Playback,
    Tape,
    authorized,
    begin,
    failing,
    player_for,
)
from ..interception.own_requests import is_unseen, unseen
from .stubs import import_stubs, is_called_by_vcrpy, read_body, whole_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPConnection, HTTPResponse
    from types import ModuleType

    from ..interception.player import Patch, Player, PlayerExchange, Route

_KEPT: Final = "stepreplay_request"
"""The attribute of a connection with the request that it has made, until the response is asked for."""

_PARTS: Final = ("putheader", "endheaders", "send")
"""What makes a request after `putrequest` has begun it."""


def patches(module: ModuleType, route: Route) -> Iterator[Patch]:
    """Yields what to patch."""
    if module.__name__ == "httplib2":  # its connections differ in how they connect
        yield module.HTTPConnectionWithTimeout, "connect", functools.partial(_connect, route)
        yield module.HTTPSConnectionWithTimeout, "connect", functools.partial(_connect, route)
        return
    connection = module.HTTPConnection
    yield connection, "connect", functools.partial(_connect, route)
    yield module.HTTPSConnection, "connect", functools.partial(_connect, route)
    yield connection, "request", functools.partial(_request, route)
    yield connection, "putrequest", functools.partial(_putrequest, route)
    for name in _PARTS:
        yield connection, name, _part
    yield connection, "getresponse", _getresponse
    yield connection, "close", _close


def _request(route: Route, real: Any) -> object:
    @functools.wraps(real)
    def request(
        conn: HTTPConnection, method: str, url: str, body: Any = None, headers: Any = None, **more: Any
    ) -> None:
        kept = _begin(route, conn, url)
        if kept is None:
            with unseen():  # what it calls in its turn is no other request
                real(conn, method, url, body, {} if headers is None else headers, **more)
            return
        body = read_body(body)
        try:
            kept.note(real, "request", method, url, body=body, headers=dict(headers or {}), **more)
            kept.ask()  # now, since a client tells errors of its request from those of the response
        except BaseException:
            _drop(conn)
            raise

    return request


def _putrequest(route: Route, real: Any) -> object:
    @functools.wraps(real)
    def putrequest(conn: HTTPConnection, method: str, url: str, *more: Any, **named: Any) -> None:
        kept = _begin(route, conn, url)
        if kept is None:
            with unseen():
                real(conn, method, url, *more, **named)
        else:
            kept.note(real, "putrequest", method, url, *more, **named)

    return putrequest


def _part(real: Any) -> object:
    @functools.wraps(real)
    def part(conn: HTTPConnection, *args: Any, **named: Any) -> None:
        kept = _kept(conn)
        if kept is None:
            real(conn, *args, **named)
        else:
            if real.__name__ != "putheader":
                args = tuple(map(read_body, args))
            kept.note(real, real.__name__, *args, **named)

    return part


def _getresponse(real: Any) -> object:
    @functools.wraps(real)
    def getresponse(conn: HTTPConnection) -> Any:
        kept = _kept(conn)
        if kept is None:
            return real(conn)
        try:
            return kept.respond(real)
        finally:
            _drop(conn)

    return getresponse


def _connect(route: Route, real: Any) -> object:
    """A connection is made only once it is known that a request must be sent."""

    @functools.wraps(real)
    def connect(conn: HTTPConnection) -> None:
        passes = not _is_ours(conn) or _is_sending(conn) or is_called_by_vcrpy(0)
        if passes or player_for(route, _full_url(conn, "/")) is None:
            with unseen():
                real(conn)

    return connect


def _close(real: Any) -> object:
    @functools.wraps(real)
    def close(conn: HTTPConnection) -> None:
        if not _is_sending(conn):
            _drop(conn)
        real(conn)

    return close


# ---------------------------------------------------------------- which request is whose


def _begin(route: Route, conn: HTTPConnection, url: str) -> _HttpRequest | None:
    """Returns the request that a connection begins; None where it is none of ours."""
    if not _is_ours(conn) or _is_sending(conn) or is_called_by_vcrpy(1):
        return None
    if _KEPT in conn.__dict__:
        raise CannotSendRequest("Request-sent")
    url = _full_url(conn, url)
    player = player_for(route, url)
    if player is None:
        return None
    request = conn.__dict__[_KEPT] = _HttpRequest(player, conn, url)
    return request


def _is_ours(conn: HTTPConnection) -> bool:
    """Whether nobody else has seen its requests: those of urllib3 come by at its pool, and some are our own."""
    urllib3: Any = sys.modules.get("urllib3.connection")
    return not is_unseen() and (urllib3 is None or not isinstance(conn, urllib3.HTTPConnection))


def _kept(conn: HTTPConnection) -> _HttpRequest | None:
    kept: _HttpRequest | None = conn.__dict__.get(_KEPT)
    return None if kept is None or kept.sends else kept


def _is_sending(conn: HTTPConnection) -> bool:
    kept: _HttpRequest | None = conn.__dict__.get(_KEPT)
    return kept is not None and kept.sends


def _drop(conn: HTTPConnection) -> None:
    conn.__dict__.pop(_KEPT, None)


def _full_url(conn: HTTPConnection, url: str) -> str:
    if "://" in url:  # a plain-HTTP proxy is given the whole URL
        return url
    scheme, default = ("https", 443) if isinstance(conn, HTTPSConnection) else ("http", 80)
    host, port = _target(conn)
    return f"{scheme}://{host}{'' if port in {None, default} else f':{port}'}{url}"


def _target(conn: Any) -> tuple[str, int | None]:
    """Returns the host and the port that a request of this connection is for, behind a proxy's tunnel, too."""
    host, port = conn.host, conn.port
    if getattr(conn, "_tunnel_host", None):
        host, port = conn._tunnel_host, conn._tunnel_port
    return f"[{host}]" if ":" in host and not host.startswith("[") else host, port


# ---------------------------------------------------------------- one request


class _HttpRequest:
    """One request of a connection, and, to vcrpy's stub, the cassette that answers it.

    Attributes:
        sends: the real methods of the connection are at work.
    """

    write_protected = False

    def __init__(self, player: Player, conn: HTTPConnection, url: str) -> None:
        """Sets up vcrpy's stub for the connection."""
        self.sends = False
        self._player = player
        self._conn = conn
        self._url = url
        self._calls: list[tuple[Any, str, tuple[Any, ...], dict[str, Any]]] = []
        self._exchange: PlayerExchange | None = None
        self._response: dict[str, Any] = {}
        self._stubs = stubs = import_stubs(player, "vcr.stubs")
        kind = stubs.VCRHTTPSConnection if isinstance(conn, HTTPSConnection) else stubs.VCRHTTPConnection
        # Its __init__ would make a connection, with all clients un-patched.
        self._stub: Any = kind.__new__(kind)
        host, port = _target(conn)
        target = SimpleNamespace(host=host, port=port, sock=None, _tunnel_host=None, _tunnel_port=None)
        self._stub.__dict__.update(real_connection=target, cassette=self, _sock=None)

    # What vcrpy's stub asks a cassette.

    def can_play_response_for(self, _request: object) -> bool:
        return True

    def play_response(self, _request: object) -> dict[str, Any]:
        return self._response

    # What the connection's methods do.

    def note(self, real: Any, name: str, *args: Any, **named: Any) -> None:
        """Takes down a part of the request."""
        self._calls.append((real, name, args, named))
        getattr(self._stub, name)(*args, **named)

    def ask(self) -> PlayerExchange:
        """Finds what answers the request, which is whole now, or sends it."""
        request = self._stub._vcr_request
        headers = {name: _text(value) for name, value in request.headers.items()}
        body = whole_body(request)
        exchange = self._exchange = begin(self._player, request.method, self._url, headers, body)
        if exchange.response is None:
            fresh = authorized(self._player, exchange, self._url, headers)
            with failing(exchange, self._url), self._sending():
                if self._conn.sock is None and not self._conn.auto_open:
                    self._conn.connect()
                for real, name, args, given in self._calls:
                    named = given | {"headers": fresh} if fresh and name == "request" else given
                    real(self._conn, *_with_key(name, args, fresh), **named)
        return exchange

    def respond(self, real: Callable[[HTTPConnection], HTTPResponse]) -> Any:
        """Returns the response that the client sees; the real one where it is not recorded."""
        exchange = self._exchange or self.ask()
        version = 11
        if exchange.response is not None:
            self._response = _stored(exchange, self._stub._vcr_request.method, self._patience())
        else:
            with failing(exchange, self._url), self._sending():
                response = real(self._conn)
            tape = Tape(self._player, exchange, self._url, response.status, response.headers.items())
            if not exchange.records(response.status, tape):
                return response
            version = response.version
            self._response = {
                "status": {"code": response.status, "message": response.reason},
                "headers": self._stubs.serialize_headers(response),
                "body": {"string": _taken_down(response, tape)},
            }
        answer = self._stub.getresponse()
        answer.version = version
        return answer

    def _patience(self) -> float | None:
        timeout = getattr(self._conn, "timeout", None)
        return float(timeout) if isinstance(timeout, int | float) else None

    @contextmanager
    def _sending(self) -> Iterator[None]:
        self.sends = True
        try:
            yield
        finally:
            self.sends = False


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _with_key(name: str, args: tuple[Any, ...], fresh: dict[str, str] | None) -> tuple[Any, ...]:
    """Returns the arguments of one `putheader` with the key of the host in it, where the client was built without."""
    if fresh is None or name != "putheader":
        return args
    values = {each.lower(): value for each, value in fresh.items()}
    return (args[0], values.get(_text(args[0]).lower(), args[1])) if len(args) == 2 else args


def _taken_down(response: HTTPResponse, tape: Tape) -> bytes:
    """Returns the whole body of a response that is recorded; what breaks it off is the client's error, too."""
    try:
        body = response.read()
    except IncompleteRead as error:
        tape.add(error.partial)
        tape.break_off("incomplete")
        raise
    except TimeoutError:
        tape.break_off("timeout")
        raise
    except OSError:
        tape.break_off("reset")
        raise
    except BaseException:
        tape.break_off("cancelled")
        raise
    tape.add(body)
    tape.end()
    return body


def _stored(exchange: PlayerExchange, method: str, patience: float | None) -> dict[str, Any]:
    """Returns the stored response as vcrpy's stub takes it; raises where the recorded one had broken off.

    vcrpy gives a response in one piece, so a pause lies before all of it.
    """
    if exchange.response is None:  # nobody asks for it then
        raise LookupError(method)
    playback = Playback(exchange, exchange.response, method)
    if playback.is_paused:
        playback.be_patient(patience)
    if playback.lost == "timeout":
        raise TimeoutError("timed out (recorded)")
    if playback.lost is not None:
        raise ConnectionResetError(104, "the connection was reset (recorded)")
    body = b"".join(chunk.data for chunk in playback.paced())
    if playback.error is not None:
        raise IncompleteRead(body)
    response = formats.vcrpy.vcr_response(exchange.response)
    if playback.framing is not None and playback.whole is not None:
        name, value = playback.framing
        response["headers"][name] = [value]
    return response
