"""tornado's HTTP clients: vcrpy's stub serves each request, and asks ours as it would a cassette of its own.

A redirect is followed by tornado inside of one request, so the answer at its end is what is recorded, with its URL in
``content-location`` (RFC 9110, section 8.7).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from ..formats.vcrpy import vcr_response
from ..interception.exchanges import Playback, Tape, authorized, begin, player_for
from . import tornado_errors
from .stubs import import_stubs, is_called_by_vcrpy, whole_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from ..interception.player import Patch, Player, PlayerExchange, Route

_UNSERVED: Final = ("body_producer", "header_callback", "streaming_callback")
"""Options of a request that vcrpy's stub does not serve."""

_NO_ANSWER: Final = 599
"""What tornado gives where there is no response."""

_WHERE: Final = "content-location"


def patches(module: ModuleType, route: Route) -> Iterator[Patch]:
    """Yields what to patch."""
    is_curl = module.__name__.endswith("curl_httpclient")
    client = module.CurlAsyncHTTPClient if is_curl else module.SimpleAsyncHTTPClient
    yield client, "fetch_impl", functools.partial(_fetch_impl, route, is_curl)


def _fetch_impl(route: Route, is_curl: bool, real: Any) -> object:
    @functools.wraps(real)
    def fetch_impl(client: Any, request: Any, callback: Callable[[Any], None]) -> None:
        player = player_for(route, request.url)
        is_hop = hasattr(request, "original_request")  # the next hop of one that we know
        if player is None or is_hop or is_called_by_vcrpy(0):
            real(client, request, callback)
            return
        unserved = [name for name in _UNSERVED if getattr(request, name, None) is not None]
        if unserved:
            raise player.stop(
                f"{request.method} {request.url}: vcrpy's stub for tornado does not serve {unserved[0]}.\n"
                "Send the request without it, or let the host through: stepreplay_ignore_hosts"
            )
        stub = import_stubs(player, "vcr.stubs.tornado_stubs")
        # libcurl leaves the header of the encoding that it has undone, and tornado's own client takes it away.
        asked = _TornadoRequest(player, request.url, decoded=is_curl and bool(request.decompress_response))
        serve = stub.vcr_fetch_impl(asked, functools.partial(asked.send, real))
        serve(client, request, functools.partial(asked.deliver, client, callback))

    return fetch_impl


class _TornadoRequest:
    """One request, and, to vcrpy's stub, the cassette that answers it."""

    write_protected = False

    def __init__(self, player: Player, url: str, *, decoded: bool) -> None:
        self._player = player
        self._url = url
        self._decoded = decoded
        self._exchange: PlayerExchange | None = None
        self._playback: Playback | None = None

    # What vcrpy's stub asks a cassette.

    def can_play_response_for(self, request: Any) -> bool:
        headers = {name: str(value) for name, value in request.headers.items()}
        exchange = begin(self._player, request.method, self._url, headers, whole_body(request))
        self._exchange = exchange
        if exchange.response is None:
            return False
        self._playback = Playback(exchange, exchange.response, request.method)
        self._response = vcr_response(exchange.response)
        self._response["url"] = exchange.response.headers.get(_WHERE, self._url)
        if self._playback.framing is not None and self._playback.whole is not None:
            name, value = self._playback.framing
            self._response["headers"][name] = [value]
        return True

    def play_response(self, _request: object) -> dict[str, Any]:
        return self._response

    def append(self, _request: object, _response: object) -> None:
        """Takes nothing: `_receive` has recorded it, with the error where there was one."""

    # What is sent, and what comes.

    def send(self, real: Any, client: Any, request: Any, callback: Callable[[Any], None]) -> None:
        exchange = self._exchange
        if exchange is not None:
            given = dict(request.headers.items())
            for name, value in (authorized(self._player, exchange, self._url, given) or {}).items():
                if given[name] != value:
                    request.headers[name] = value
        real(client, request, functools.partial(self._receive, callback))

    def _receive(self, callback: Callable[[Any], None], response: Any) -> None:
        exchange = self._exchange
        if exchange is not None and response.code == _NO_ANSWER:
            exchange.fail(response.error, self._url)
        elif exchange is not None:
            self._record(exchange, response)
        callback(response)

    def _record(self, exchange: PlayerExchange, response: Any) -> None:
        headers = [(name, value) for name, value in response.headers.get_all() if name.lower() != _WHERE]
        if response.effective_url != self._url:
            headers.append((_WHERE, response.effective_url))
        tape = Tape(
            self._player, exchange, self._url, response.code, headers, decoded=self._decoded, keep=(_WHERE,)
        )
        if exchange.records(response.code, tape):
            tape.add(response.body)
            tape.end()

    def deliver(self, client: Any, callback: Callable[[Any], None], response: Any) -> None:
        """Gives the client its response, in one piece, as late as the recorded one had all come."""
        playback = self._playback
        if playback is None:
            callback(response)
            return
        past = playback.past_the_end()
        if past is not None:
            raise past
        if playback.is_paused:
            playback.be_patient(getattr(response.request, "request_timeout", None))
        pause = max(map(playback.pause_before, playback.chunks), default=0.0)
        broken = playback.lost or playback.error
        if broken is not None:
            error = tornado_errors.recorded_error(broken)
            response = type(response)(response.request, _NO_ANSWER, error=error)
        if pause:
            client.io_loop.call_later(pause, callback, response)
        else:
            callback(response)
