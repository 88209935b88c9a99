"""The certificates that httpx trusts: not read by a replay, and used as ever where something is sent."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import trustme

from pytest_stepreplay import use_cassette
from pytest_stepreplay.interception.late_tls import LateContext
from pytest_stepreplay.upstream import Upstream


def ask(client: Any, url: str) -> int:
    with client:
        status: int = client.get(url, headers={"authorization": "Bearer k"}).status_code
        return status


def ask_async(client: Any, url: str) -> int:
    async def get() -> int:
        async with client:
            status: int = (await client.get(url, headers={"authorization": "Bearer k"})).status_code
            return status

    return asyncio.run(get())


Ask = Callable[[Any, str], int]
CLIENTS = pytest.mark.parametrize(
    ("make", "ask"),
    [
        pytest.param(httpx.Client, ask, id="httpx"),
        pytest.param(httpx.AsyncClient, ask_async, id="httpx-async"),
        pytest.param(httpx2.Client, ask, id="httpx2"),
        pytest.param(httpx2.AsyncClient, ask_async, id="httpx2-async"),
    ],
)


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # one may wait for a client that has gone

    def handle_error(self, *_: object) -> None:
        """Says nothing of a client that does not trust it."""


class _Models(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"object": "list", "data": []}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Sets the certificates that are trusted."""

    def write(pem: bytes) -> None:
        path = tmp_path / "trusted.pem"
        path.write_bytes(pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(path))

    return write


@pytest.fixture
def url(trust: Callable[[bytes], None]) -> Iterator[str]:
    """A server that speaks TLS, with a certificate that is trusted."""
    authority = trustme.CA()
    trust(authority.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with _Server(("127.0.0.1", 0), _Models) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://localhost:{server.server_address[1]}/v1/models"
        server.shutdown()
        thread.join(60)


@CLIENTS
def test_a_replay_reads_no_certificates(
    make: Callable[..., Any], ask: Ask, tmp_path: Path, trust: Callable[[bytes], None]
) -> None:
    with Upstream() as upstream:
        with use_cassette(tmp_path / "x.yaml", mode="record"):
            assert ask(make(), f"{upstream.url}/models") == 200
        trust(b"no certificate")
        with pytest.raises(ssl.SSLError):
            make()
        with use_cassette(tmp_path / "x.yaml"):
            assert ask(make(), f"{upstream.url}/models") == 200
    assert upstream.count == 1


@CLIENTS
def test_a_client_of_a_replay_trusts_later_whom_it_would_have_trusted(
    make: Callable[..., Any], ask: Ask, tmp_path: Path, url: str
) -> None:
    own = ssl.create_default_context()  # of the certificates that SSL_CERT_FILE names
    with use_cassette(tmp_path / "x.yaml"):
        trusting = [make(), make(verify=own), make(verify=False), make(verify=own, trust_env=False)]
        other = make(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    assert [ask(client, url) for client in trusting] == [200] * 4
    with pytest.raises(Exception, match="certificate verify failed"):
        ask(other, url)


@pytest.mark.parametrize("make", [httpx.Client, httpx2.Client])
def test_what_the_environment_says_is_left_out_where_a_client_asks_for_it(
    make: Callable[..., Any], tmp_path: Path, url: str
) -> None:
    with use_cassette(tmp_path / "x.yaml"):
        client = make(trust_env=False)
    with pytest.raises(Exception, match="certificate verify failed"):
        ask(client, url)


def test_it_is_used_as_the_one_that_it_stands_for_and_made_once() -> None:
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        made.append(ssl.create_default_context())
        return made[-1]

    context = LateContext(make)
    assert isinstance(context, ssl.SSLContext)
    assert not made
    barrier = threading.Barrier(8)

    def use() -> None:
        barrier.wait(60)
        assert context.verify_mode is ssl.CERT_REQUIRED

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    assert [(each.check_hostname, each.verify_mode) for each in made] == [(False, ssl.CERT_NONE)]
