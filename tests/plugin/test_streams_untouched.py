"""What is not recorded flows as without the plugin, and the rest of HTTP goes on working where it is."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import h2.config
import h2.connection
import h2.events
import httpx
import httpx2
import pytest
import requests
import urllib3

from pytest_stepreplay import use_cassette
from tests.odd_server import DONE, GREETING, OddServer, Wire, endless, stream, whole

from .stream_clients import ALL, BODY, CLIENTS
from .test_streams_endings import leave_after

MEGABYTE = bytes(range(256)) * 4096


# Hosts that pass by


@pytest.mark.parametrize("mode", ["record", "replay", "live"])
@pytest.mark.parametrize("client", CLIENTS)
def test_an_endless_source_of_a_host_that_passes_by(
    odd: OddServer, tmp_path: Path, client: str, mode: str
) -> None:
    odd.serve(endless)
    with use_cassette(tmp_path / "x.yaml", mode=mode, ignore_hosts=["127.0.0.1"]) as session:
        seen = CLIENTS[client](odd.chat, leave_after(50, odd))
    assert seen.body == b"data: tick\n\n" * 50
    assert session.intercepted == 0


@pytest.mark.parametrize("client", ALL)
def test_a_stream_with_no_cassette_open(odd: OddServer, tmp_path: Path, client: str) -> None:
    odd.serve(stream(GREETING))
    with use_cassette(tmp_path / "x.yaml", mode="record"):
        pass  # the clients were patched, and are no more
    seen = ALL[client](odd.chat, odd.acknowledge)
    assert seen.error is None
    assert len(seen.chunks) == 5 - (client.startswith("openai") and client != "openai-raw")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_large_download_of_a_host_that_passes_by(odd: OddServer, tmp_path: Path, client: str) -> None:
    odd.serve(whole(200, body=MEGABYTE * 30))
    with use_cassette(tmp_path / "x.yaml", mode="record", ignore_hosts=["127.0.0.1"]):
        seen = CLIENTS[client](odd.chat)
    assert seen.body == MEGABYTE * 30


# Uploads


PIECES = [b'{"model": "step-3.5-flash", ', b'"messages": []', b"}"]


def pieces() -> Iterator[bytes]:
    yield from PIECES


async def pieces_later() -> AsyncIterator[bytes]:
    for piece in PIECES:
        yield piece


def upload(client: str, url: str) -> int:
    if client in {"httpx", "httpx2"}:
        module: Any = httpx if client == "httpx" else httpx2
        with module.Client() as user:
            return int(user.post(url, content=pieces()).status_code)
    if client == "requests":
        return requests.post(url, data=pieces()).status_code
    if client == "urllib3":
        with urllib3.PoolManager() as pool:
            return pool.request("POST", url, body=pieces()).status

    async def send() -> int:
        if client == "aiohttp":
            async with aiohttp.ClientSession() as session, session.post(url, data=pieces_later()) as reply:
                return reply.status
        library: Any = httpx if client == "httpx-async" else httpx2
        async with library.AsyncClient() as user:
            return int((await user.post(url, content=pieces_later())).status_code)

    return asyncio.run(send())


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1"]], ids=["recorded", "passing by"])
@pytest.mark.parametrize("client", CLIENTS)
def test_an_upload_from_a_generator(odd: OddServer, tmp_path: Path, client: str, hosts: list[str]) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(whole(201), "/upload")
    with use_cassette(path, mode="record", ignore_hosts=hosts):
        assert upload(client, f"{odd.url}/upload") == 201
    assert odd.requests[0].body == b"".join(PIECES)
    if not hosts:
        with use_cassette(path) as session:
            assert upload(client, f"{odd.url}/upload") == 201
        assert session.played[0].request.json == {"model": "step-3.5-flash", "messages": []}
        assert len(odd.requests) == 1


# Responses that are more, or less, than a status, headers and a body


def ask(client: str, method: str, url: str, **options: Any) -> tuple[int, bytes, dict[str, str]]:
    """Returns status, body and cookies of a response that is read at once."""
    if client in {"httpx", "httpx2"}:
        module: Any = httpx if client == "httpx" else httpx2
        with module.Client(follow_redirects=True) as user:
            reply = user.request(method, url, **options)
            return reply.status_code, reply.content, dict(user.cookies)
    if client == "requests":
        with requests.Session() as session:
            answer = session.request(method, url, **options)
            return answer.status_code, answer.content, session.cookies.get_dict()
    if client == "urllib3":
        with urllib3.PoolManager() as pool:
            response = pool.request(method, url, **options)
            return response.status, response.data, {}

    async def send() -> tuple[int, bytes, dict[str, str]]:
        if client == "aiohttp":
            jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address
            async with (
                aiohttp.ClientSession(cookie_jar=jar) as session,
                session.request(method, url, **options) as reply,
            ):
                return reply.status, await reply.read(), {it.key: it.value for it in jar}
        library: Any = httpx if client == "httpx-async" else httpx2
        async with library.AsyncClient(follow_redirects=True) as user:
            answer = await user.request(method, url, **options)
            return answer.status_code, answer.content, dict(user.cookies)

    return asyncio.run(send())


def test_cases_name_every_client() -> None:
    assert {"httpx", "httpx2", "requests", "urllib3", "aiohttp", "httpx-async", "httpx2-async"} == {*CLIENTS}


def early_hints(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    go_on(wire)


def go_on(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    whole(200, ("Content-Type", "application/json"), body=b'{"a":1}')(wire)


def with_trailers(wire: Wire) -> None:
    wire.send_head(200, ("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked"), ("Trailer", "Sum"))
    wire.send_chunk(b"with ")
    wire.send_chunk(b"trailers")
    wire.send_last_chunk(("Sum", "42"))


def until_closed(wire: Wire) -> None:
    wire.send_head(200, ("Content-Type", "text/plain"), ("Connection", "close"))
    wire.send(b"no length at all")
    wire.close()


ANSWERS = {
    "continue": ("GET", go_on, 200, b'{"a":1}'),
    "hints": ("GET", early_hints, 200, b'{"a":1}'),
    "nothing": ("DELETE", whole(204), 204, b""),
    "unchanged": ("GET", whole(304, ("ETag", '"x"')), 304, b""),
    "head": ("HEAD", whole(200, ("Content-Length", "5000")), 200, b""),
    "trailers": ("GET", with_trailers, 200, b"with trailers"),
    "until-closed": ("GET", until_closed, 200, b"no length at all"),
    "empty": ("GET", whole(200, ("Content-Type", "text/event-stream")), 200, b""),
}


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1"]], ids=["recorded", "passing by"])
@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_an_answer_that_is_no_chat_completion(
    odd: OddServer, tmp_path: Path, client: str, kind: str, hosts: list[str]
) -> None:
    if kind == "hints" and client in {"requests", "urllib3"}:
        pytest.skip("http.client takes early hints for the answer, with or without us")
    path, url = tmp_path / "x.yaml", f"{odd.url}/{kind}"
    method, script, status, body = ANSWERS[kind]
    odd.serve(script, f"/{kind}")
    with use_cassette(path, mode="record", ignore_hosts=hosts) as session:
        assert ask(client, method, url)[:2] == (status, body)
        # A connection that was left in a bad state would answer the next request wrongly.
        assert ask(client, method, url)[:2] == (status, body)
    assert len(session.recorded) == (0 if hosts else 2)
    ends = [it.response.stream.end for it in session.recorded if it.response.stream is not None]
    assert not any(ends), "each was read to its end"
    if not hosts:
        with use_cassette(path):
            assert ask(client, method, url)[:2] == (status, body)
        assert len(odd.requests) == 2


@pytest.mark.parametrize("client", sorted(CLIENTS.keys() - {"urllib3"}))
def test_several_cookies_and_a_redirect(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    cookies = [
        ("Set-Cookie", "a=1; Path=/"),
        ("Set-Cookie", "b=2; Path=/; Expires=Wed, 01 Jan 2200 00:00:00 GMT"),
    ]
    odd.serve(whole(302, ("Location", f"{odd.url}/there"), *cookies), "/here")
    odd.serve(whole(200, ("Content-Type", "text/plain"), body=b"there"), "/there")
    beside = ask(client, "GET", f"{odd.url}/here")
    assert beside == (200, b"there", {"a": "1", "b": "2"})
    with use_cassette(path, mode="record") as session:
        assert ask(client, "GET", f"{odd.url}/here") == beside
    assert [each.response.status for each in session.recorded] == [302, 200]
    assert odd.requests[-1].headers["cookie"] == odd.requests[1].headers["cookie"]
    assert "Set-Cookie" not in path.read_text(encoding="utf-8")
    with use_cassette(path):
        assert ask(client, "GET", f"{odd.url}/here")[:2] == (200, b"there")
    assert len(odd.requests) == 4


# HTTP/2


class H2Server:
    """Streams a greeting over HTTP/2 without TLS, a frame each time the client has read the one before."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1/chat/completions"
        self.heard = threading.Semaphore(0)
        self.asked = 0
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> H2Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.heard.release(100)
        with socket.create_connection(self._listener.getsockname()):
            pass  # wakes the one who accepts
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(20)
                if not self._answer(connection):
                    return

    def _answer(self, connection: socket.socket) -> bool:
        """Answers one connection; returns whether it said anything."""
        wire = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        wire.initiate_connection()
        said = False
        with suppress(ConnectionError):  # clients may leave whenever they like
            connection.sendall(wire.data_to_send())
            while data := connection.recv(65536):
                said = True
                for event in wire.receive_data(data):
                    if isinstance(event, h2.events.StreamEnded):
                        self._stream(wire, connection, event.stream_id)
                connection.sendall(wire.data_to_send())
        return said

    def _stream(self, wire: h2.connection.H2Connection, connection: socket.socket, number: int) -> None:
        self.asked += 1
        wire.send_headers(number, [(":status", "200"), ("content-type", "text/event-stream")])
        for place, chunk in enumerate(GREETING):
            if place:
                assert self.heard.acquire(timeout=20)
            wire.send_data(number, chunk)
            connection.sendall(wire.data_to_send())
        wire.end_stream(number)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_http_2(odd: OddServer, tmp_path: Path, library: str) -> None:
    module: Any = httpx if library == "httpx" else httpx2
    path = tmp_path / "x.yaml"

    def read(server: H2Server, *, acknowledge: bool) -> tuple[str, list[bytes]]:
        chunks = []
        with (
            module.Client(http1=False, http2=True) as client,
            client.stream("POST", server.url, json=BODY) as response,
        ):
            for chunk in response.iter_bytes():
                chunks.append(chunk)
                if acknowledge:
                    server.heard.release()
        return response.http_version, chunks

    with H2Server() as server:
        with use_cassette(path, mode="record"):
            assert read(server, acknowledge=True) == ("HTTP/2", [*GREETING])
        with use_cassette(path):
            assert read(server, acknowledge=False)[1] == [*GREETING]
        assert server.asked == 1
    for name, client in CLIENTS.items():
        with use_cassette(path):
            assert client(server.url).chunks == [*GREETING], name


# Cassettes side by side


def test_two_streams_at_once_do_not_mix(odd: OddServer, tmp_path: Path) -> None:
    """Each of two open streams is recorded into the interaction that it belongs to."""
    path = tmp_path / "x.yaml"
    odd.serve(stream([*GREETING], stepwise=False), "/one")
    odd.serve(stream([GREETING[1], DONE], stepwise=False), "/two")
    with (
        use_cassette(path, mode="record") as session,
        httpx.Client() as client,
        client.stream("GET", f"{odd.url}/one") as one,
        client.stream("GET", f"{odd.url}/two") as two,
    ):
        first, second = one.iter_bytes(), two.iter_bytes()
        assert next(first).startswith(GREETING[0])
        assert next(second).startswith(GREETING[1])
        bodies = [b"".join(first), b"".join(second)]
    assert bodies == [b"".join(GREETING[1:]), DONE]
    assert [len(each.response.events or ()) for each in session.recorded] == [5, 2]
