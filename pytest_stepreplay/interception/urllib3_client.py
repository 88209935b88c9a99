"""urllib3, and requests on top of it: one exchange for each request a connection pool makes.

vcrpy swaps the connection classes and puts the real ones back, for all threads, while a request is in flight.
Here only the pool's step that makes one request is replaced; retries, redirects and proxies stay urllib3's.
"""

from __future__ import annotations

import functools
from importlib.metadata import version
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

from vcr.request import Request as VcrRequest

from ..errors import StepReplayError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .routing import RoutingCassette

Patch = tuple[object, str, object]
_DEFAULT_PORTS = {"http": 80, "https": 443}


def patches(cassette: RoutingCassette) -> Iterator[Patch]:
    """Yields what to patch, if urllib3 is installed."""
    if not find_spec("urllib3"):
        return
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool  # noqa: PLC0415 - optional

    installed = version("urllib3")
    if int(installed.partition(".")[0]) < 2:
        raise StepReplayError(
            f"urllib3 {installed} cannot be intercepted, 2.0 and newer can: pip install -U urllib3"
        )
    yield HTTPConnectionPool, "_make_request", _make_request(cassette, HTTPConnectionPool._make_request)
    yield HTTPSConnectionPool, "_prepare_proxy", _prepare_proxy(cassette, HTTPSConnectionPool._prepare_proxy)


def _make_request(cassette: RoutingCassette, real: Any) -> object:
    @functools.wraps(real)
    def make_request(pool: Any, conn: Any, method: str, url: str, **options: Any) -> Any:
        full_url = _full_url(pool, url)
        if cassette.player_for(full_url) is None:
            return real(pool, conn, method, url, **options)
        body = options.get("body")
        request = VcrRequest(method, full_url, body, options.get("headers") or {})
        if cassette.can_play_response_for(request):
            return _replay(pool, conn, cassette.play_response(request), request, options)
        if not isinstance(body, str | bytes | None) and not hasattr(body, "read"):
            options["body"] = request.body_bytes  # reading an iterator for the cassette used it up
        return _send_and_record(cassette, real, pool, conn, request, url, options)

    return make_request


def _prepare_proxy(cassette: RoutingCassette, real: Any) -> object:
    """The tunnel through a proxy is opened only once it is known that the request is sent."""

    @functools.wraps(real)
    def prepare_proxy(pool: Any, conn: Any) -> None:
        if cassette.player_for(f"https://{pool.host}") is None:
            real(pool, conn)
        else:
            conn.stepreplay_tunnel = functools.partial(real, pool, conn)

    return prepare_proxy


def _replay(
    pool: Any, conn: Any, stored: dict[str, Any], request: VcrRequest, options: dict[str, Any]
) -> Any:
    if options.get("response_conn") is not None:
        pool._put_conn(conn)  # nothing will be read from it, so the response cannot hand it back
    return _response(stored["status"]["code"], stored["headers"], stored["body"]["string"], request, options)


def _send_and_record(  # noqa: PLR0917 - what urllib3 passes on
    cassette: RoutingCassette,
    real: Any,
    pool: Any,
    conn: Any,
    request: VcrRequest,
    url: str,
    options: dict[str, Any],
) -> Any:
    from .routing import sent_authorization  # noqa: PLC0415 - routing imports this module

    headers = dict(options.get("headers") or {})
    for name in [name for name in headers if name.lower() == "authorization"]:
        headers[name] = sent_authorization(request.uri, headers[name])
    tunnel = conn.__dict__.pop("stepreplay_tunnel", None)
    if tunnel is not None:
        tunnel()
    sent = options | {"headers": headers, "preload_content": False, "decode_content": False}
    live = real(pool, conn, request.method, url, **sent)
    body = live.read(decode_content=False)
    live.release_conn()
    grouped: dict[str, list[str]] = {}
    for name, value in live.headers.iteritems():
        grouped.setdefault(name, []).append(value)
    cassette.append(
        request,
        {
            "status": {"code": live.status, "message": live.reason},
            "headers": grouped,
            "body": {"string": body},
        },
    )
    response = _response(live.status, grouped, body, request, options, reason=live.reason)
    response._original_response = live._original_response  # where requests looks for cookies
    return response


def _response(
    status: int,
    headers: dict[str, list[str]],
    body: bytes,
    request: VcrRequest,
    options: dict[str, Any],
    *,
    reason: str | None = None,
) -> Any:
    from http.client import responses as reasons  # noqa: PLC0415

    from urllib3 import HTTPHeaderDict, HTTPResponse  # noqa: PLC0415 - optional

    pairs = HTTPHeaderDict()
    for name, values in headers.items():
        for value in values:
            pairs.add(name, value)
    return HTTPResponse(
        body=BytesIO(body),
        headers=pairs,
        status=status,
        version=11,
        reason=reason or reasons.get(status),
        preload_content=options.get("preload_content", True),
        decode_content=options.get("decode_content", True),
        retries=options.get("retries"),
        request_method=request.method,
        request_url=request.uri,
    )


def _full_url(pool: Any, url: str) -> str:
    if "://" in url:  # a plain-HTTP proxy is given the whole URL
        return url
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    port = "" if pool.port in {None, _DEFAULT_PORTS.get(pool.scheme)} else f":{pool.port}"
    return f"{pool.scheme}://{host}{port}{url}"
