"""A replayed response is as complete as a live one: each attribute of each client's, before, while and after it is read.

What is found in the live response, when it comes, when it is read and when it is closed, is found in the replayed one, but
for what `DIFFERS` says; docs/clients.md says it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3

from pytest_stepreplay import use_cassette
from tests.odd_server import GREETING, OddServer, Script, Wire

JSON: Final = ("Content-Type", "application/json")
BODY: Final = b'{"id":"chat-1","choices":[]}'


def _whole(status: int, *headers: tuple[str, str], body: bytes = b"") -> Script:
    def script(wire: Wire) -> None:
        is_head = wire.asked.method == "HEAD"  # its length is not stored, since there is no such body
        length = () if status == 204 or is_head else (("Content-Length", str(len(body))),)
        wire.send_head(status, *headers, *length, reason=REASONS[status])
        wire.send(b"" if is_head else body)

    return script


def _events(*trailers: tuple[str, str]) -> Script:
    def script(wire: Wire) -> None:
        wire.send_head(
            200, ("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"), reason="OK"
        )
        for chunk in GREETING:
            wire.send_chunk(chunk)
        wire.send_last_chunk(*trailers)

    return script


REASONS: Final = {200: "OK", 204: "No Content", 302: "Found", 404: "Not Found"}
SCRIPTS: Final[Mapping[str, Script]] = {
    "json": _whole(200, JSON, body=BODY),
    "events": _events(),
    "trailers": _events(("X-Checksum", "abc")),
    "redirected": _whole(302, ("Location", "/json")),
    "empty": _whole(204),
    "missing": _whole(404, JSON, body=b'{"error":{"message":"no such model"}}'),
    "head": _whole(200, JSON, body=BODY),
}

Seen = dict[str, object]
Ask = Callable[[str, str, bool], Seen]

DIFFERS: Final[Mapping[str, frozenset[str]]] = {
    "requests": frozenset({"raw: connection"}),
    "urllib3": frozenset({"come: connection"}),
    # Whether the whole body has come with the head, and the connection is let go, differs from one live request to the next.
    "aiohttp": frozenset({"come: connection", "come: closed"}),
}
"""What a replayed response of a client has not, or not surely."""


def _look(response: Any, moment: str) -> Seen:
    """Returns what a caller finds in a response: each public name, and what is behind it."""
    return {f"{moment}: {name}": _found(response, name) for name in dir(response) if not name.startswith("_")}


def _found(owner: Any, name: str) -> object:
    try:
        found = getattr(owner, name)
        return dict(_headers(found)) if name in {"headers", "raw_headers"} else _plain(found)
    except Exception as error:  # noqa: BLE001 - what a caller gets
        return type(error).__name__


def _headers(headers: Any) -> Iterator[tuple[str, str]]:
    """Yields the headers; names are stored in lower case, as HTTP/2 sends them all."""
    for pair in headers.items() if isinstance(headers, Mapping) else headers:
        name, value = (each.decode() if isinstance(each, bytes) else each for each in pair)
        yield name.lower(), value


def _plain(value: Any) -> object:
    """Returns a value that can be compared: times by their type, and the client's own objects too."""
    if value is None or isinstance(value, str | bytes | int):
        return value
    if isinstance(value, timedelta | float):
        return type(value).__name__
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    status = getattr(value, "status_code", getattr(value, "status", None))
    if isinstance(status, int):
        return type(value).__name__, status, str(value.url)
    if "URL" in type(value).__name__:
        return str(value)
    kinds = [each for each in type(value).__mro__ if not each.__module__.startswith("pytest_stepreplay")]
    is_connection = any(each.__name__.endswith("NetworkStream") for each in kinds)
    return "the connection, for httpcore" if is_connection else kinds[0].__name__


def _httpx(module: Any, url: str, method: str, streamed: bool) -> Seen:
    with module.Client(follow_redirects=True) as client:
        if not streamed:
            return _look(client.request(method, url), "read")
        with client.stream(method, url) as response:
            seen = _look(response, "come")
            response.read()
            seen |= _look(response, "read")
        return seen | _look(response, "closed")


def _httpx_async(module: Any, url: str, method: str, streamed: bool) -> Seen:
    async def ask() -> Seen:
        async with module.AsyncClient(follow_redirects=True) as client:
            if not streamed:
                return _look(await client.request(method, url), "read")
            async with client.stream(method, url) as response:
                seen = _look(response, "come")
                await response.aread()
                seen |= _look(response, "read")
            return seen | _look(response, "closed")

    return asyncio.run(ask())


def _requests(url: str, method: str, streamed: bool) -> Seen:
    with requests.Session() as session, session.request(method, url, stream=streamed) as response:
        seen = _look(response.raw, "raw") if streamed else {}
        content = response.content
        assert isinstance(content, bytes)
        seen |= _look(response, "read") | _look(response.raw, "raw, read")
        response.close()
        return seen | _look(response.raw, "raw, closed")


def _urllib3(url: str, method: str, streamed: bool) -> Seen:
    with urllib3.PoolManager() as pool:
        response = pool.request(method, url, preload_content=not streamed)
        seen = _look(response, "come")
        _ = response.data
        seen |= _look(response, "read")
        response.release_conn()
        response.close()
        return seen | _look(response, "closed")


def _aiohttp(url: str, method: str, streamed: bool) -> Seen:
    async def ask() -> Seen:
        async with aiohttp.ClientSession() as session, session.request(method, url) as response:
            seen = _look(response, "come")
            if streamed:
                async for _ in response.content.iter_any():
                    pass
            else:
                await response.read()
            seen |= _look(response, "read") | _look(response.content, "content, read")
            response.release()
            return seen | _look(response, "closed")

    return asyncio.run(ask())


CLIENTS: Final[Mapping[str, Ask]] = {
    "httpx": partial(_httpx, httpx),
    "httpx-async": partial(_httpx_async, httpx),
    "httpx2": partial(_httpx, httpx2),
    "httpx2-async": partial(_httpx_async, httpx2),
    "requests": _requests,
    "urllib3": _urllib3,
    "aiohttp": _aiohttp,
}


def _differences(live: Seen, other: Seen, client: str) -> list[str]:
    return [
        f"{name}: {live.get(name, 'nothing')!r} is now {other.get(name, 'nothing')!r}"
        for name in sorted(live.keys() | other.keys())
        if live.get(name, "nothing") != other.get(name, "nothing") and name not in DIFFERS.get(client, ())
    ]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_replayed_response_is_as_complete_as_a_live_one(client: str, tmp_path: Path) -> None:
    ask, different = CLIENTS[client], []
    with OddServer() as server:
        for name, script in SCRIPTS.items():
            server.serve(script, f"/{name}")
        for name in SCRIPTS:
            for streamed in (False, True):
                asked = f"{server.url}/{name}", "HEAD" if name == "head" else "GET", streamed
                live = ask(*asked)
                for mode in ("record", "replay"):
                    with use_cassette(tmp_path / f"{name}-{streamed}.yaml", mode=mode, record_errors=True):
                        seen = ask(*asked)
                    different += [f"{name}, {mode}, {each}" for each in _differences(live, seen, client)]
        assert len(server.requests) == 2 * (
            len(SCRIPTS) * 2 + 2
        )  # a redirect is two requests; no replay asks
    assert different == []
