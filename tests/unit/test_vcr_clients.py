"""The clients that vcrpy's stubs serve: recorded, replayed offline, a changed body is a miss, and their own errors."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from pytest_stepreplay import RequestStoppedError, UnrecordedRequestError, use_cassette
from pytest_stepreplay.formats.vcrpy import import_vcr
from pytest_stepreplay.interception.exchanges import KEY_OF_HOST
from pytest_stepreplay.models import Cassette, Interaction, Request, Response
from pytest_stepreplay.settings import PLACEHOLDER_KEY
from pytest_stepreplay.store.cassettes import write_cassette
from pytest_stepreplay.upstream import Upstream, answer
from tests.conftest import KEY

HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


@pytest.fixture(autouse=True)
def outside_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run is the host of what is opened here."""
    monkeypatch.setattr("pytest_stepreplay.session.host._host", None)


@pytest.fixture(scope="module", autouse=True)
def vcrpy() -> None:
    """vcrpy is imported before: tornado's first request would do so in the middle of its loop, once in a run."""
    pytest.importorskip("tornado")
    import_vcr("vcr.stubs.tornado_stubs")


def body(text: str, **more: object) -> bytes:
    tree = {"model": "step-3.5-flash", "messages": [{"role": "user", "content": text}], **more}
    return json.dumps(tree).encode()


def with_urllib(url: str, data: bytes) -> tuple[int, bytes]:
    with urllib.request.urlopen(urllib.request.Request(url, data, HEADERS), timeout=10) as reply:
        return reply.status, reply.read()


def with_http_client(url: str, data: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("POST", parts.path, data, HEADERS)
    reply = connection.getresponse()
    try:
        return reply.status, reply.read()
    finally:
        connection.close()


def with_parts(url: str, data: bytes) -> tuple[int, bytes]:
    """As xmlrpc.client and older code make a request, part by part."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.connect()
    connection.putrequest("POST", parts.path)
    for name, value in {**HEADERS, "content-length": str(len(data))}.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(data[:10])
    connection.send(data[10:])
    reply = connection.getresponse()
    try:
        return reply.status, reply.read()
    finally:
        connection.close()


def with_httplib2(url: str, data: bytes) -> tuple[int, bytes]:
    httplib2 = pytest.importorskip("httplib2")
    client = httplib2.Http(timeout=10)
    try:
        reply, content = client.request(url, "POST", data, HEADERS)
    finally:
        client.close()
    return reply.status, content


def with_tornado(url: str, data: bytes) -> tuple[int, bytes]:
    tornado = pytest.importorskip("tornado.httpclient")

    async def ask() -> tuple[int, bytes]:
        client = tornado.AsyncHTTPClient(force_instance=True)
        try:
            reply = await client.fetch(url, method="POST", body=data, headers=HEADERS, request_timeout=10)
        finally:
            client.close()
        return reply.code, reply.body

    return asyncio.run(ask())


CLIENTS: dict[str, Callable[[str, bytes], tuple[int, bytes]]] = {
    "urllib.request": with_urllib,
    "http.client": with_http_client,
    "http.client, in parts": with_parts,
    "httplib2": with_httplib2,
    "tornado": with_tornado,
}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Callable[[str, bytes], tuple[int, bytes]]:
    """How each client asks."""
    return CLIENTS[request.param]


def test_recorded_and_replayed_offline(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with Upstream() as upstream:
        url = f"{upstream.url}/chat/completions"
        before = client(url, body("Say hello."))
        assert not path.exists()
        with use_cassette(path, mode="record") as session:
            first = client(url, body(f"My key is {KEY}."))
            second = client(url, body("Say hello.", stream=True))
        assert upstream.count == 3
        assert [each.request.method for each in session.recorded] == ["POST", "POST"], "each is seen once"
        with use_cassette(path, mode="record"):
            assert client(url, body("Say hello.", stream=True)) == second
        assert upstream.count == 3
    text = path.read_text()
    assert KEY not in text
    assert "    events:" in text, "a stream is stored as its events"
    with use_cassette(path) as session:
        again = client(url, body(f"My key is {KEY}."))
        assert (again[0], json.loads(again[1])) == (
            200,
            json.loads(first[1].replace(KEY.encode(), b"[redacted]")),
        )
        assert client(url, body("Say hello.", stream=True)) == second
        assert len(session.played) == 2
    with pytest.raises(UnrecordedRequestError, match="messages"), use_cassette(path):
        client(url, body("Say goodbye."))
    assert before[0] == 200


def outcome(client: Callable[[str, bytes], tuple[int, bytes]], url: str, text: str = "x") -> object:
    """Returns what a client gives or raises, as far as its user can tell one from another."""
    try:
        return client(url, body(text))
    except Exception as problem:  # noqa: BLE001 - whatever it is, it must be the same
        if isinstance(problem, urllib.error.HTTPError):
            problem.close()  # it is a response too
        return type(problem), getattr(problem, "code", None)


@contextmanager
def server(*answers: bytes) -> Iterator[str]:
    """Sends these bytes, one after the other, each on a connection of its own, which it then closes."""

    def serve() -> None:
        for each in answers:
            connection, _ = listener.accept()
            with connection:
                with connection.makefile("rb") as file:
                    length = 0
                    while (line := file.readline().lower()) not in {b"\r\n", b""}:
                        if line.startswith(b"content-length:"):
                            length = int(line.partition(b":")[2])
                    file.read(length)
                connection.sendall(each.replace(b"PORT", b"%d" % port))

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}"
        thread.join(timeout=10)


def http_answer(status: str, content: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    count = len(content) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"content-length: {count}", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def test_its_own_errors_come_as_without_us(client: Any, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        nobody = f"http://127.0.0.1:{gone.getsockname()[1]}/v1/chat/completions"
    bare = outcome(client, nobody)
    with use_cassette(tmp_path / "x.yaml", mode="record") as session:
        assert outcome(client, nobody) == bare
        assert "connection refused" in session.unsent[0].why
    answers = http_answer("429 Too Many Requests", b"{}"), http_answer("200 OK", b"{", length=100)
    with server(*answers) as url:
        bare_answers = [outcome(client, url, text) for text in ("429", "cut")]
    with server(*answers) as url, use_cassette(tmp_path / "x.yaml", mode="record", record_errors=True):
        assert [outcome(client, url, text) for text in ("429", "cut")] == bare_answers
    with use_cassette(tmp_path / "x.yaml") as session:
        replayed = [outcome(client, url, "429")]
        if client is not with_tornado:  # tornado gives none but an error, and nothing is recorded
            replayed.append(outcome(client, url, "cut"))
        assert replayed == bare_answers[: len(replayed)]
        assert len(session.played) == len(replayed)
    with server(*answers) as url, use_cassette(tmp_path / "y.yaml", mode="record") as session:
        outcome(client, url, "429")
        outcome(client, url, "cut")
        assert 429 not in [each.response.status for each in session.recorded]


def test_redirects_are_followed_as_without_us(tmp_path: Path) -> None:
    tornado = pytest.importorskip("tornado.httpclient")
    httplib2 = pytest.importorskip("httplib2")
    found = http_answer("302 Found", b"", "location: http://127.0.0.1:PORT/there")
    there = http_answer("200 OK", b"[1]", "content-type: application/json", "x-other: 1")

    def ask_urllib(url: str) -> tuple[object, ...]:
        with urllib.request.urlopen(f"{url}/urllib", timeout=10) as reply:
            return reply.status, reply.geturl(), reply.read(), reply.reason, reply.version

    def ask_httplib2(url: str) -> tuple[object, ...]:
        reply, content = httplib2.Http(timeout=10).request(f"{url}/httplib2")
        return reply.status, reply["content-location"], content, reply.reason, reply.version

    def ask_tornado(url: str) -> tuple[object, ...]:
        async def ask() -> Any:
            return await tornado.AsyncHTTPClient(force_instance=True).fetch(f"{url}/tornado")

        reply = asyncio.run(ask())
        return reply.code, reply.effective_url, reply.body, reply.reason

    for ask, hops in ((ask_urllib, 2), (ask_httplib2, 2), (ask_tornado, 1)):
        path = tmp_path / f"{ask.__name__}.yaml"
        with server(found, there, found, there) as url:
            bare = ask(url)
            with use_cassette(path, mode="record") as session:
                assert ask(url) == bare
            assert len(session.recorded) == hops
        with use_cassette(path):
            assert ask(url) == bare


def test_a_client_without_its_key_is_given_that_of_the_host(
    client: Any, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEP_API_KEY", KEY)
    monkeypatch.setitem(KEY_OF_HOST, "127.0.0.1", "STEP_API_KEY")
    monkeypatch.setitem(HEADERS, "authorization", f"Bearer {PLACEHOLDER_KEY}")
    with use_cassette(tmp_path / "x.yaml", mode="record"):
        client(f"{upstream.url}/chat/completions", body("Say hello."))
    (asked,) = upstream.requests
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.json == json.loads(body("Say hello."))


def test_the_end_of_a_stream_is_the_end(tmp_path: Path) -> None:
    with Upstream([answer("one two three")]) as upstream:
        url = f"{upstream.url}/chat/completions"
        request = urllib.request.Request(url, body("x", stream=True), HEADERS)
        with use_cassette(tmp_path / "x.yaml", mode="record"), urllib.request.urlopen(request) as reply:
            lines = [*reply]
    with use_cassette(tmp_path / "x.yaml"), urllib.request.urlopen(request) as reply:
        assert [*reply] == lines
        assert reply.headers["content-type"].startswith("text/event-stream")
    assert lines[-2].strip() == b"data: [DONE]"


def test_vcrpy_answers_inside_of_its_own_use_cassette(client: Any, tmp_path: Path) -> None:
    own = import_vcr("vcr").VCR(match_on=["method", "uri", "body"])
    with Upstream() as upstream:
        url = f"{upstream.url}/chat/completions"
        with use_cassette(tmp_path / "ours.yaml", mode="record") as session:
            client(url, body("ours"))
            with own.use_cassette(tmp_path / "own.yaml"):
                first = client(url, body("own"))
        assert len(session.recorded) == 1
        assert upstream.count == 2
    with use_cassette(tmp_path / "ours.yaml") as session:
        with own.use_cassette(tmp_path / "own.yaml") as cassette:
            assert client(url, body("own")) == first
        assert cassette.play_count == 1
        client(url, body("ours"))
        assert session.intercepted == 1


def test_threads_keep_to_their_own_cassettes(upstream: Upstream, tmp_path: Path) -> None:
    url = f"{upstream.url}/chat/completions"
    together = threading.Barrier(8)
    counts: dict[str, int] = {}

    def work(name: str, mode: str) -> None:
        together.wait(timeout=10)
        with use_cassette(tmp_path / f"{name}.yaml", mode=mode) as session:
            for number in range(3):
                with_urllib(url, body(f"{name} {number}"))
            counts[name] = len(session.recorded) + len(session.played)

    for mode in ("record", "replay"):
        threads = [threading.Thread(target=work, args=(f"t{i}", mode)) for i in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(timeout=60)
        assert counts == {f"t{i}": 3 for i in range(8)}
        counts.clear()
    assert upstream.count == 24


def test_a_connection_is_used_again_and_gives_its_own_errors(tmp_path: Path) -> None:
    arrived = threading.Semaphore(0)
    with Upstream(lambda _: arrived.release()) as upstream:
        netloc = urlsplit(upstream.url).netloc
        ask = "POST", "/v1/chat/completions"
        for mode in ("record", "replay"):
            connection = http.client.HTTPConnection(netloc, timeout=10)
            with use_cassette(tmp_path / "x.yaml", mode=mode) as session, closing(connection):
                with pytest.raises(http.client.ResponseNotReady):
                    connection.getresponse()
                for text in ("one", "two"):
                    connection.request(*ask, body=iter([body(text)]), headers=HEADERS)
                    with pytest.raises(http.client.CannotSendRequest):
                        connection.request(*ask, body=body(text), headers=HEADERS)
                    reply = connection.getresponse()
                    assert (reply.status, reply.version) == (200, 11)
                    assert json.loads(reply.read())["object"] == "chat.completion"
                if mode == "record":
                    connection.request(*ask, body=body("one"), headers=HEADERS)
                    connection.close()  # what was asked is forgotten, as it is without us
                assert len(session.played) + len(session.recorded) == 2
        assert all(arrived.acquire(timeout=10) for _ in range(3)), upstream.count
        assert upstream.count == 3


def test_verify_sends_each_once_more_and_no_more(upstream: Upstream, tmp_path: Path) -> None:
    url = f"{upstream.url}/chat/completions"
    for mode in ("record", "verify"):
        with use_cassette(tmp_path / "x.yaml", mode=mode) as session:
            with_urllib(url, body("Say hello."))
    assert [each.status for each in session.verdicts] == ["same"]
    assert upstream.count == 2
    assert session.intercepted == 1


NO_VCRPY = """
import sys, urllib.request
from pytest_stepreplay import use_cassette

if HOW == "missing":
    sys.modules["vcr"] = None
try:
    with use_cassette("x.yaml"):
        try:
            urllib.request.urlopen("http://127.0.0.1:9/")
        except Exception:
            pass
except BaseException as error:
    print(type(error).__name__, str(error), sep=": ")
"""


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("missing", "vcrpy is not installed; install it: pip install vcrpy"),
        (
            "broken",
            "vcrpy, which serves this client, cannot be imported here (ZeroDivisionError: division by zero)",
        ),
    ],
)
def test_a_vcrpy_that_cannot_be_imported_is_said(how: str, told: str, tmp_path: Path) -> None:
    if how == "broken":
        (tmp_path / "httplib2.py").write_text("1 / 0")
    command = [sys.executable, "-c", NO_VCRPY.replace("HOW", repr(how))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"RequestStoppedError: {told}")


ONLY_THESE = """
import sys, requests, httpx, urllib3
from pytest_stepreplay import use_cassette
from tests.unit.test_vcr_clients import HEADERS, body

url = sys.argv[1] + "/chat/completions"
for mode in ("record", "replay"):
    with use_cassette("x.yaml", mode=mode) as session:
        requests.post(url, data=body("requests"), headers=HEADERS).raise_for_status()
        httpx.post(url, content=body("httpx"), headers=HEADERS).raise_for_status()
        urllib3.request("POST", url, body=body("urllib3"), headers=HEADERS)
    assert session.intercepted == 3, session
assert "vcr" not in sys.modules
assert "tornado" not in sys.modules
import urllib.request
urllib.request.urlopen(urllib.request.Request(url, body("nobody"), HEADERS)).read()
assert "vcr" not in sys.modules
with use_cassette("x.yaml", mode="record") as session:
    urllib.request.urlopen(urllib.request.Request(url, body("urllib"), HEADERS)).read()
assert "vcr" in sys.modules
assert session.intercepted == 1, session
"""


def test_what_we_patch_ourselves_is_seen_once_and_imports_no_vcrpy(
    upstream: Upstream, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", ONLY_THESE, upstream.url]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert upstream.count == 5


def bedrock(url: str) -> Any:
    boto3 = pytest.importorskip("boto3")
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIAFAKEFAKEFAKEFAKE",
        aws_secret_access_key="fake/fake/fake/fake/fake/fake/fake/fakef",
    )


def event_of(kind: str, tree: object) -> bytes:
    """Returns an event as Amazon's servers stream it (application/vnd.amazon.eventstream)."""
    payload, head = json.dumps(tree).encode(), b""
    given = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    for name, value in given.items():
        head += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return message + struct.pack(">I", zlib.crc32(message))


def test_bedrock_is_recorded_and_replayed_offline(tmp_path: Path) -> None:
    usage = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}
    message = {"role": "assistant", "content": [{"text": "Hello!"}]}
    tree = {
        "output": {"message": message},
        "stopReason": "end_turn",
        "usage": usage,
        "metrics": {"latencyMs": 1},
    }
    events = [event_of("messageStart", {"role": "assistant"})]
    events += [
        event_of("contentBlockDelta", {"delta": {"text": text}, "contentBlockIndex": 0})
        for text in ("Hel", "lo!")
    ]
    events.append(event_of("messageStop", {"stopReason": "end_turn"}))
    kind = "content-type: application/vnd.amazon.eventstream"
    answers = (
        http_answer("200 OK", json.dumps(tree).encode(), "content-type: application/json"),
        http_answer("200 OK", b"".join(events), kind),
    )
    path = tmp_path / "x.yaml"

    def ask(url: str, text: str) -> tuple[str, str]:
        given = {"modelId": "a.b-1:0", "messages": [{"role": "user", "content": [{"text": text}]}]}
        with closing(bedrock(url)) as client:
            whole = client.converse(**given)
            stream = client.converse_stream(**given)["stream"]
            deltas = [
                each["contentBlockDelta"]["delta"]["text"] for each in stream if "contentBlockDelta" in each
            ]
        return str(whole["output"]["message"]["content"][0]["text"]), "".join(deltas)

    with server(*answers) as url, use_cassette(path, mode="record") as session:
        assert ask(url, "Say hello.") == ("Hello!", "Hello!")
        assert len(session.recorded) == 2
    assert "AKIA" not in path.read_text()
    with use_cassette(path) as session:
        assert ask(url, "Say hello.") == ("Hello!", "Hello!")
        assert len(session.played) == 2
    with pytest.raises(UnrecordedRequestError, match=r"Say \[-hello-\]\{\+goodbye\+\}"), use_cassette(path):
        ask(url, "Say goodbye.")


def test_tasks_of_tornado_keep_to_their_own_cassettes(upstream: Upstream, tmp_path: Path) -> None:
    tornado = pytest.importorskip("tornado.httpclient")
    url = f"{upstream.url}/chat/completions"

    async def work(client: Any, name: str, mode: str) -> int:
        async with use_cassette(tmp_path / f"{name}.yaml", mode=mode) as session:
            for number in range(3):
                await client.fetch(url, method="POST", body=body(f"{name} {number}"), headers=HEADERS)
        return len(session.recorded) + len(session.played)

    async def together(mode: str) -> list[int]:
        client = tornado.AsyncHTTPClient(force_instance=True)
        try:
            return await asyncio.gather(*(work(client, f"t{i}", mode) for i in range(5)))
        finally:
            client.close()

    assert asyncio.run(together("record")) == [3] * 5
    assert asyncio.run(together("replay")) == [3] * 5
    assert upstream.count == 15


def test_what_no_stub_serves_of_tornado_is_refused_by_name(upstream: Upstream, tmp_path: Path) -> None:
    tornado = pytest.importorskip("tornado.httpclient")

    async def ask() -> None:
        client = tornado.AsyncHTTPClient(force_instance=True)
        try:
            await client.fetch(f"{upstream.url}/models", streaming_callback=print)
        finally:
            client.close()

    told = "does not serve streaming_callback"
    with pytest.raises(RequestStoppedError, match=told), use_cassette(tmp_path / "x.yaml", mode="record"):
        asyncio.run(ask())
    assert upstream.count == 0


@contextmanager
def tls_proxy(upstream: Upstream, host: str, folder: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    """A proxy that opens tunnels to one host, which only it knows: it answers there itself, by the upstream's answers.

    Yields its address, and what trusts the host's certificate.
    """
    authority = trustme.CA()
    inside, outside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert(host).configure_cert(inside)
    authority.configure_trust(outside)
    asked: list[bytes] = []

    class Tunnel(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline())
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with (
                inside.wrap_socket(self.connection, server_side=True) as client,
                client.makefile("rb") as file,
            ):
                head = [file.readline()]
                while head[-1].strip():
                    head.append(file.readline())
                length = next(
                    int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length")
                )
                parts = urlsplit(upstream.url)
                with socket.create_connection((parts.hostname or "", parts.port or 0)) as server:
                    lines = [line for line in head if not line.lower().startswith(b"connection")]
                    server.sendall(b"".join([*lines[:-1], b"Connection: close\r\n\r\n"]) + file.read(length))
                    while piece := server.recv(65536):
                        client.sendall(piece)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{proxy.server_address[1]}", outside
        finally:
            proxy.shutdown()
    assert {line.split()[1] for line in asked} == {f"{host}:443".encode()}


def through_set_tunnel(proxy: str, trust: ssl.SSLContext, url: str, data: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    with closing(http.client.HTTPSConnection(proxy, timeout=10, context=trust)) as connection:
        connection.set_tunnel(parts.netloc)
        connection.request("POST", parts.path, data, HEADERS)
        reply = connection.getresponse()
        return reply.status, reply.read()


def through_a_connected_tunnel(proxy: str, trust: ssl.SSLContext, url: str, data: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    with closing(http.client.HTTPSConnection(proxy, timeout=10, context=trust)) as connection:
        connection.set_tunnel(parts.netloc)
        connection.connect()
        connection.request("POST", parts.path, data, HEADERS)
        reply = connection.getresponse()
        return reply.status, reply.read()


def through_https_proxy(proxy: str, trust: ssl.SSLContext, url: str, data: bytes) -> tuple[int, bytes]:
    os.environ["HTTPS_PROXY"] = f"http://{proxy}"
    with urllib.request.urlopen(
        urllib.request.Request(url, data, HEADERS), timeout=10, context=trust
    ) as reply:
        return reply.status, reply.read()


@pytest.mark.parametrize(
    "client",
    [through_set_tunnel, through_a_connected_tunnel, through_https_proxy],
    ids=lambda it: it.__name__,
)
def test_https_through_a_proxy_is_recorded_and_replayed_offline(
    client: Any, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "")
    monkeypatch.delenv("HTTPS_PROXY")
    path, url = tmp_path / "x.yaml", "https://api.example.test/v1/chat/completions"
    with tls_proxy(upstream, "api.example.test", tmp_path) as (proxy, trust):
        live = client(proxy, trust, url, body("Say hello."))
        with use_cassette(path, mode="record") as session:
            recorded = client(proxy, trust, url, body("Say hello."))
        assert (session.recorded[0].request.url, upstream.count) == (url, 2)
    assert "CONNECT" not in path.read_text(encoding="utf-8")
    with use_cassette(path) as session:
        status, again = client(proxy, trust, url, body("Say hello."))
        assert (status, json.loads(again)) == (200, json.loads(recorded[1]))
        assert len(session.played) == 1
    assert live[0] == recorded[0] == 200
    with pytest.raises(UnrecordedRequestError), use_cassette(path):
        client(proxy, trust, url, body("Say goodbye."))


@pytest.mark.parametrize("kind", [http.client.HTTPConnection, http.client.HTTPSConnection])
def test_connecting_before_a_request_touches_no_network_in_replay(
    kind: type[http.client.HTTPConnection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_named: object) -> None:
        raise AssertionError("the network was touched")

    path = tmp_path / "x.yaml"
    request = Request(
        method="GET", url=f"{'https' if kind is http.client.HTTPSConnection else 'http'}://a.test/v1/models"
    )
    write_cassette(
        path, Cassette(interactions=(Interaction(request=request, response=Response(status=200, json={})),))
    )
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with use_cassette(path), closing(kind("a.test")) as connection:
        connection.connect()
        connection.request("GET", "/v1/models")
        assert connection.getresponse().read() == b"{}"
