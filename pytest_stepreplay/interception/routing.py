"""The vcrpy cassette behind every patched client: it holds nothing and asks the open cassette.

The stubs, vcrpy's and ours, speak vcrpy's protocol (`can_play_response_for`, `play_response`, `append`); this
class turns their requests and responses into `Request` and `Response` and back.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from vcr.cassette import Cassette
from vcr.patch import PATCHER_NAMES

from ..errors import RequestStoppedError
from ..redaction import kept_headers
from ..settings import PLACEHOLDER_KEY
from ..store.bodies import EncodingError, body_bytes, request_from_wire, response_from_wire, undo_encoding
from . import Exchange, Player, Route, aiohttp_client, httpx_client, urllib3_client
from .sending import Outgoing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vcr.request import Request as VcrRequest

    from ..models import Response

KEY_OF_HOST: Final = {"api.stepfun.com": "STEP_API_KEY", "api.stepfun.ai": "STEP_API_KEY"}
"""Which environment variable holds the key of a host; a client built for another key is given this one."""

_LOOPBACK: Final = ("127.", "localhost", "::1")


class RoutingCassette(Cassette):  # type: ignore[misc]  # vcrpy is not typed
    """Installed once for a whole run; routes each request to the cassette that is open for it."""

    def __init__(self, route: Route) -> None:
        self._route = route
        patches = (*httpx_client.patches(self), *urllib3_client.patches(self), *aiohttp_client.patches(self))
        super().__init__(path="stepreplay", custom_patches=patches, skip_patchers=PATCHER_NAMES)

    def player_for(self, url: str) -> Player | None:
        """Returns the open cassette that a request to this URL belongs to; None to leave it alone."""
        player = self._route()
        if player is None or player.passes_by(urlsplit(url).hostname or ""):
            return None
        return player

    @property
    def write_protected(self) -> bool:
        """Never by vcrpy's rules: the open cassette raises by its own."""
        return False

    def can_play_response_for(self, request: VcrRequest) -> bool:
        """Asks the open cassette, once for each request, and keeps the exchange with the request."""
        player = self.player_for(request.uri)
        if player is None:
            return False
        body = request.body_bytes if not hasattr(request.body, "read") else request.body.read()
        wire = request_from_wire(
            request.method, request.uri, body or b"", request.headers.get("content-type")
        )
        exchange = player.begin(wire)
        request.stepreplay = (player, exchange)
        if exchange.response is None:
            return False
        if exchange.verifies:
            exchange.verify(_outgoing(request, body or b""))
        return True

    def play_response(self, request: VcrRequest) -> dict[str, Any]:
        """Returns the stored response in vcrpy's shape."""
        _, exchange = request.stepreplay
        return _to_vcr(exchange.response)

    def append(self, request: VcrRequest, response: Mapping[str, Any]) -> None:
        """Gives the response of a request that was sent to the open cassette."""
        if not hasattr(request, "stepreplay"):
            return
        player: Player
        exchange: Exchange
        player, exchange = request.stepreplay
        headers = list(_pairs(response["headers"]))
        encoding = ", ".join(value for name, value in headers if name.lower() == "content-encoding")
        try:
            body = undo_encoding(response["body"].get("string") or b"", encoding)
        except EncodingError as error:
            raise RequestStoppedError(f"the response of {request.uri} cannot be recorded: {error}") from None
        kept = kept_headers(headers, player.keep_headers())
        exchange.finish(response_from_wire(response["status"]["code"], kept, body))


def sent_authorization(url: str, value: str) -> str:
    """Returns the Authorization header to send where a client was built without its key.

    A client that holds the placeholder is given the key of the host it talks to; a local server needs none.

    Raises:
        RequestStoppedError: the host's key is not set.
    """
    host = urlsplit(url).hostname or ""
    if PLACEHOLDER_KEY not in value or host.startswith(_LOOPBACK):
        return value
    name = KEY_OF_HOST.get(host)
    key = os.environ.get(name, "") if name else ""
    if key and key != PLACEHOLDER_KEY:
        return value.replace(PLACEHOLDER_KEY, key)
    raise RequestStoppedError(
        f"a request to {host} must be sent, but its API key is not set.\n"
        f"Set {name or 'the environment variable that your client reads its key from'}"
        ", or run in replay, which needs no key."
    )


def _outgoing(request: VcrRequest, body: bytes) -> Outgoing:
    headers = dict(request.headers)
    for name in [name for name in headers if name.lower() == "authorization"]:
        headers[name] = sent_authorization(request.uri, headers[name])
    return Outgoing(request.method, request.uri, headers, body)


def _to_vcr(response: Response) -> dict[str, Any]:
    return {
        "status": {"code": response.status, "message": ""},
        "headers": {name: [value] for name, value in response.headers.items()},
        "body": {"string": body_bytes(response)},
    }


def _pairs(headers: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    for name, values in headers.items():
        for value in values if isinstance(values, list) else [values]:
            yield name, str(value)
