"""The server over real sockets: what clients get byte for byte, what is recorded, and what nobody may ask."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from pytest_stepreplay.errors import SettingsError, StepReplayError
from pytest_stepreplay.server import exchanging
from pytest_stepreplay.server.running import ReplayServer
from pytest_stepreplay.server.served import LoggedRequest, Served
from pytest_stepreplay.server.upstreams import read_upstreams, recorded_upstreams
from pytest_stepreplay.session.sessions import Session
from pytest_stepreplay.settings import Settings, read_values
from pytest_stepreplay.store.cassettes import read_cassette
from pytest_stepreplay.upstream import Upstream
from tests.conftest import KEY
from tests.odd_server import EVENT_STREAM, OddServer, Wire, stream, whole

FRAMES = [
    b'data: {"n": 1}\n\n',
    b"data: {",
    b'"n": 2}\n\ndata: {"n": 3}\n\n',
    b": a comment\n\n",
    b"data: [DONE]\n\n",
]


@dataclass
class Running:
    """A server with one cassette, and what it logged."""

    server: ReplayServer
    served: Served
    session: Session
    base: str
    log: list[LoggedRequest]

    def ask(self, text: str = "Say hello.", **more: Any) -> httpx.Response:
        body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
        headers = {"authorization": f"Bearer {KEY}"}
        return httpx.post(f"{self.base}/chat/completions", json=body, headers=headers, verify=False)

    def raw(self, request: bytes, *, ends: bool = False) -> bytes:
        """Sends bytes and returns all that comes until the server has closed, or 10 s have passed."""
        host, port = self.server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(request)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def serving(path: Path, mode: str, *upstreams: str, token: str = "", **given: Any) -> Iterator[Running]:
    origins = tuple(given.pop("cors", ()))
    settings = Settings.merge(read_values("test", {"mode": mode, **given}))
    session = Session(settings, path, shared=True, root=path.parent, served=f"stepreplay serve {path.name}")
    session.load()
    found = read_upstreams(upstreams) or recorded_upstreams(session.answering)
    served, log = Served(session, found, origins=origins), list[LoggedRequest]()
    with ReplayServer(log=log.append) as server:
        server.add(served, token)
        root = server.url + (f"/{token}" if token else "")
        yield Running(server, served, session, f"{root}{found[0].prefix}{found[0].path}", log)
    session.close(passed=True)


@pytest.fixture
def odd() -> Iterator[OddServer]:
    with OddServer() as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.yaml"


def chunks_of(
    connection: socket.socket, heard: Callable[[bytes], None] = lambda _: None
) -> tuple[bytes, list[bytes], bool]:
    """Returns the head of an answer, its HTTP chunks, and whether the last one came."""
    with connection.makefile("rb") as reader:
        head = b"".join(iter(reader.readline, b"\r\n"))
        chunks = list[bytes]()
        with suppress(ValueError, ConnectionError):
            while size := int(reader.readline(), 16):
                chunks.append(reader.read(size))
                reader.readline()
                heard(chunks[-1])
            return head, chunks, True
        return head, chunks, False


def post(url: str, body: bytes = b'{"stream": true}') -> socket.socket:
    host, port = url.split("/")[2].split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    target = "/" + url.split("/", 3)[3]
    head = f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
    connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
    return connection


def test_a_stream_passes_chunk_by_chunk_and_is_replayed_as_it_came(path: Path, odd: OddServer) -> None:
    """The odd server sends a chunk only when the one before was read: nothing is held back."""
    odd.serve(stream(FRAMES))
    with serving(path, "record", f"{odd.url}/v1") as running:
        connection = post(f"{running.base}/chat/completions")
        with connection:
            head, live, ended = chunks_of(connection, odd.acknowledge)
    assert b" 200 " in head
    assert (live, ended) == (FRAMES, True)
    with serving(path, "replay") as running, post(f"{running.base}/chat/completions") as connection:
        assert chunks_of(connection)[1:] == (FRAMES, True)
    assert [(each.how, each.interaction, each.path) for each in running.log] == [
        ("played", 1, "/v1/chat/completions")
    ]
    assert len(odd.requests) == 1


@pytest.mark.parametrize("ending", ["incomplete", "reset", "protocol"])
def test_a_stream_that_broke_off_breaks_off_again(ending: Any, path: Path, odd: OddServer) -> None:
    odd.serve(stream(FRAMES[:2], ending=ending))
    with serving(path, "record", f"{odd.url}/v1") as running:
        connection = post(f"{running.base}/chat/completions")
        with connection:
            assert not chunks_of(connection, odd.acknowledge)[2]
    (stored,) = read_cassette(path).cassette.interactions
    assert stored.response.stream is not None
    assert (stored.response.stream.end, stored.response.stream.error) == ("broken", ending)
    with serving(path, "replay") as running, post(f"{running.base}/chat/completions") as connection:
        _, chunks, ended = chunks_of(connection)
        assert (b"".join(chunks), ended) == (b"".join(FRAMES[:2]), False)


def test_a_client_that_hangs_up_is_recorded_as_such_and_the_server_goes_on(
    path: Path, odd: OddServer
) -> None:
    left = threading.Event()

    def script(wire: Wire) -> None:
        wire.send_head(200, EVENT_STREAM, ("Transfer-Encoding", "chunked"))
        wire.send_chunk(FRAMES[0])
        wire.wait_until_left()
        left.set()

    odd.serve(script)
    odd.serve(whole(200, ("Content-Type", "application/json"), body=b"{}"), "/v1/models")
    with serving(path, "record", f"{odd.url}/v1") as running:
        with post(f"{running.base}/chat/completions") as connection, connection.makefile("rb") as reader:
            b"".join(iter(reader.readline, b"\r\n"))
            assert reader.read(int(reader.readline(), 16)) == FRAMES[0]
        assert left.wait(20)
        assert httpx.get(f"{running.base}/models", verify=False).json() == {}
    first = read_cassette(path).cassette.interactions[0].response
    assert first.stream is not None
    assert (first.stream.end, first.stream.error) == ("closed", None)
    assert running.log[0].how == "left by the client"


def test_who_reads_on_where_the_recorded_client_had_left_is_told(
    path: Path, odd: OddServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_a_client_that_hangs_up_is_recorded_as_such_and_the_server_goes_on(path, odd)
    monkeypatch.setattr(exchanging, "PATIENCE", 0.0)
    with serving(path, "replay") as running, post(f"{running.base}/chat/completions") as connection:
        assert chunks_of(connection)[1:] == ([FRAMES[0]], False)
        running.session.explain()
        (failure,) = running.session.failures
        assert "more is being read" in failure.explanation.text


def test_keys_are_passed_on_and_compressed_answers_too_but_neither_is_stored(
    path: Path, odd: OddServer
) -> None:
    packed = gzip.compress(b'{"object": "chat.completion", "choices": []}')
    head = ("Content-Type", "application/json"), ("Content-Encoding", "gzip"), ("Set-Cookie", "a=b")
    odd.serve(whole(200, *head, body=packed))
    with serving(path, "record", f"{odd.url}/v1") as running:
        answer = running.ask()
    assert answer.json()["object"] == "chat.completion"
    assert answer.headers["set-cookie"] == "a=b"
    asked = odd.requests[0]
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert set(asked.headers["accept-encoding"].split(", ")) <= {"gzip", "deflate"}
    text = path.read_text(encoding="utf-8")
    assert KEY not in text
    assert "object: chat.completion" in text
    with serving(path, "replay") as running:
        assert running.ask().json() == answer.json()


def test_a_miss_says_what_differs_in_the_form_of_the_api(path: Path, upstream: Upstream) -> None:
    with serving(path, "record", upstream.url) as running:
        running.ask()
    with serving(path, "replay") as running:
        missed = running.ask("Say goodbye.")
        again = running.ask("Say goodbye.")
        plain = httpx.post(
            f"{running.base}/chat/completions", json={}, headers={"accept": "text/plain"}, verify=False
        )
        status = httpx.get(f"{running.server.url}/__stepreplay__/status", verify=False).json()
    assert missed.status_code == again.status_code == 404
    assert missed.headers["x-should-retry"] == "false"
    error = missed.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "stepreplay_miss")
    assert "Say [-hello-]{+goodbye+}." in error["message"]
    assert f"stepreplay serve x.yaml --mode record --upstream {upstream.url}" in error["message"]
    assert missed.json()["stepreplay"]["explanation"] == error["message"]
    assert missed.json()["stepreplay"]["cause"].startswith("messages[0].content")
    assert plain.text.startswith("not recorded: ")
    assert (status["total"], status["unplayed"], status["missed"]) == (1, [1], 2)
    assert status["misses"][0]["explanation"] == error["message"]
    assert [each.how for each in running.log] == ["missed", "missed", "missed", "control"]


def test_verify_answers_from_the_cassette_and_finds_drift(path: Path, upstream: Upstream) -> None:
    with serving(path, "record", upstream.url) as running:
        before = running.ask().json()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("finish_reason: stop", "finish_reason: length"), encoding="utf-8")
    with serving(path, "verify", upstream.url) as running:
        after = running.ask().json()
    assert after["choices"][0]["message"] == before["choices"][0]["message"]
    (drift,) = running.session.drift
    assert not drift.passes()
    assert path.with_name("x.yaml.new").exists()


def test_live_sends_and_keeps_nothing(path: Path, upstream: Upstream) -> None:
    with serving(path, "live", upstream.url) as running:
        assert running.ask().status_code == 200
        assert running.ask().status_code == 200
    assert not path.exists()
    assert upstream.count == 2


@pytest.mark.parametrize("how", ["down", "HTML", "slow"])
def test_an_upstream_that_is_down_or_slow_or_answers_html(
    how: str, path: Path, odd: OddServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanging, "SILENCE", 0.1 if how == "slow" else 600)
    scripts = {"down": Wire.close, "slow": Wire.wait_until_left}
    odd.serve(scripts.get(how, whole(502, ("Content-Type", "text/html"), body=b"<h1>Bad gateway</h1>")))
    with serving(path, "record", f"{odd.url}/v1") as running:
        answer = running.ask()
    told = {
        "down": (502, "the connection was closed without an answer"),
        "HTML": (502, "<h1>Bad gateway</h1>"),
        "slow": (504, "no answer: "),
    }
    assert answer.status_code == told[how][0]
    assert told[how][1] in answer.text
    assert not path.exists()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET http://example.com/v1/models HTTP/1.1", b"400"),
        (b"CONNECT example.com:443 HTTP/1.1", b"400"),
        (b"GET /v1/../admin HTTP/1.1", b"404"),
        (b"GET /v1/%2e%2e/admin HTTP/1.1", b"404"),
        (b"GET /v1/..%5cadmin HTTP/1.1", b"404"),
        (b"GET /v1evil/models HTTP/1.1", b"404"),
        (b"GET //example.com/v1 HTTP/1.1", b"404"),
        (b"GET /metrics HTTP/1.1", b"404"),
        (b"GET /@example.com/v1 HTTP/1.1", b"404"),
    ],
)
def test_it_is_no_proxy_for_other_hosts_and_paths(
    request_line: bytes, status: bytes, path: Path, odd: OddServer
) -> None:
    with serving(path, "live", f"{odd.url}/v1") as running:
        answer = running.raw(request_line + b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        rebound = running.raw(b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert answer.split(b" ")[1] == status
    assert rebound.split(b" ")[1] == b"421"
    assert odd.requests == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\x16\x03 garbage\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["bytes", "a negative length", "a broken chunk", "a body cut short", "an endless line"],
)
def test_garbage_ends_its_own_connection_alone(garbage: bytes, path: Path, upstream: Upstream) -> None:
    with serving(path, "live", upstream.url) as running:
        assert b" 200 " not in running.raw(garbage, ends=True)
        assert running.ask().status_code == 200


def test_a_body_that_is_too_large_is_refused(
    path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanging, "LARGEST", 1000)
    with serving(path, "live", upstream.url) as running:
        told = running.ask("x" * 2000)
        assert told.status_code == 413
        pieces = iter([b"x" * 600, b"x" * 600])
        chunked = httpx.post(f"{running.base}/chat/completions", content=pieces, verify=False)
        assert chunked.status_code == 413
        assert running.ask("short").status_code == 200
    assert upstream.count == 1


def test_a_token_tells_cassettes_apart_and_a_wrong_one_gets_nothing(path: Path, upstream: Upstream) -> None:
    with serving(path, "live", upstream.url, token="t1") as running:
        assert running.ask().status_code == 200
        url = running.server.url
        wrong = httpx.post(f"{url}/v1/chat/completions", json={}, verify=False)
        other = httpx.get(f"{url}/t2/__stepreplay__/status", verify=False)
        header = httpx.get(f"{url}/__stepreplay__/status", headers={"x-stepreplay-token": "t1"}, verify=False)
    assert (wrong.status_code, other.status_code, header.status_code) == (401, 401, 200)
    assert "the token is wrong" in wrong.json()["error"]["message"]
    assert upstream.count == 1


def test_several_upstreams_by_the_beginning_of_the_path(path: Path, odd: OddServer) -> None:
    odd.serve(whole(200, ("Content-Type", "application/json"), body=b'{"from": "one"}'), "/v1/models")
    odd.serve(whole(200, ("Content-Type", "application/json"), body=b'{"from": "two"}'), "/two/v1/models")
    with serving(path, "record", f"{odd.url}/v1", f"claude={odd.url}/two") as running:
        url = running.server.url
        one = httpx.get(f"{url}/v1/models?limit=2", verify=False).json()
        two = httpx.get(f"{url}/claude/two/v1/models", verify=False).json()
    assert (one["from"], two["from"]) == ("one", "two")
    asked = [each.path for each in odd.requests]
    assert asked == ["/v1/models?limit=2", "/two/v1/models"]


def test_web_pages_may_read_only_where_that_is_asked_for(path: Path, upstream: Upstream) -> None:
    origin = {"origin": "http://localhost:5173"}
    asking = origin | {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    with serving(path, "live", upstream.url) as running:
        closed = httpx.get(f"{running.base}/models", headers=origin, verify=False)
        assert not [name for name in closed.headers if name.startswith("access-control")]
    with serving(path, "live", upstream.url, cors=["http://localhost:5173"]) as running:
        before = httpx.options(f"{running.base}/models", headers=asking, verify=False)
        opened = httpx.get(f"{running.base}/models", headers=origin, verify=False)
        missed = httpx.get(f"{running.server.url}/elsewhere", headers=origin, verify=False)
        other = httpx.get(f"{running.base}/models", headers={"origin": "http://evil.example"}, verify=False)
    assert before.status_code == 204
    assert before.headers["access-control-allow-headers"] == "authorization"
    for each in (before, opened, missed):
        assert each.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert "access-control-allow-origin" not in other.headers


def test_the_contract_for_harnesses_refuses_what_it_does_not_know(path: Path, upstream: Upstream) -> None:
    with serving(path, "live", upstream.url) as running:
        control = f"{running.server.url}/__stepreplay__"
        assert httpx.post(f"{control}/status", verify=False).status_code == 405
        assert httpx.get(f"{control}/nothing", verify=False).status_code == 404
        owned = httpx.post(f"{control}/cassette", json={}, verify=False)
    assert owned.status_code == 409


def test_a_request_after_the_end_of_its_test_is_refused(path: Path, upstream: Upstream) -> None:
    with serving(path, "live", upstream.url) as running:
        running.session.close(passed=True)
        refused = running.ask()
    assert refused.status_code == 400
    assert "has ended, but another process sends POST" in refused.json()["error"]["message"]
    assert upstream.count == 0


@pytest.mark.parametrize("number", [1, 2])
def test_the_memory_of_replay_does_not_grow_with_the_requests(
    number: int, path: Path, upstream: Upstream
) -> None:
    with serving(path, "record", upstream.url) as running:
        running.ask()
    with serving(path, "replay", allow_repeats=True) as running:
        running.served.keeps_order = False
        for _ in range(5 * number):
            running.ask()
        running.server.run(running.served.until_idle(20))
        assert not running.session._history.exchanges
        assert running.session.plays == {0: 5 * number}
        assert len(running.session.played) == 5 * number


def test_a_port_that_is_taken(path: Path) -> None:
    with ReplayServer() as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(StepReplayError, match=f"cannot listen at port {port} of 127.0.0.1: .*in use"):
            ReplayServer(port=port).start()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["api.stepfun.com/v1"], "is not a base URL"),
        (["ftp://api.stepfun.com"], "is not a base URL"),
        (["https://user:secret@api.stepfun.com/v1"], "clients send their own keys"),
        (["https://a.example/v1", "https://b.example/v1"], "two upstreams have no name"),
        (["a=https://a.example", "a=https://b.example"], "two upstreams are named a"),
        (["https://a.example/v1", "v1=https://b.example"], "the name v1 is also"),
        (["https://a.example:port/v1"], "is not a base URL"),
    ],
)
def test_upstreams_that_cannot_be(words: list[str], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        read_upstreams(words)
    assert "secret" not in str(caught.value)
