"""Faults from the tape: the same errors as a socket gives, in the order that a test names, told in the summary."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any

import httpx
import pytest

from pytest_stepreplay import RequestStoppedError, use_cassette
from pytest_stepreplay.formats.vcrpy import import_vcr
from pytest_stepreplay.settings.faults import FAULTS, read_fault_table, read_faults
from tests.odd_server import GREETING, OddServer, Wire, stream

from . import labelled
from .stream_clients import ALL, BODY, CLIENTS
from .suite import Suite
from .test_streams import SLOW, write_cassette
from .test_streams_endings import at_once

URL = "http://127.0.0.1/v1/chat/completions"
QUICK = 0.3
"""Seconds until a client gives up that is sent nothing at all."""


def taped(folder: Path, url: str) -> Path:
    """Returns a cassette of the greeting, each frame a chunk of its own."""
    events = [chunk.decode().removeprefix("data: ").removesuffix("\n\n") for chunk in GREETING]
    return write_cassette(folder / "x.yaml", url, {"events": events})


def check_each_cut(odd: OddServer, folder: Path, client: str) -> None:
    path = taped(folder, odd.chat)
    for number in range(1, len(GREETING) + 1):
        odd.serve(stream(GREETING[:number], ending="incomplete"))
        real = ALL[client](odd.chat, odd.acknowledge)
        with use_cassette(path, fault=f"cut_at={number}"):
            cut = ALL[client](odd.chat)
        assert (cut.error, cut.chunks) == (real.error, real.chunks), (client, number)


@pytest.mark.usefixtures("odd")
def test_a_stream_that_is_cut_at_any_chunk_breaks_as_a_socket_does(tmp_path: Path) -> None:
    for client in ALL:
        (tmp_path / client).mkdir()
        with OddServer() as server:
            check_each_cut(server, tmp_path / client, client)


def reset(wire: Wire) -> None:
    wire.reset()


def hang(wire: Wire) -> None:
    wire.wait_until_left()


LOST = {"reset": reset, "timeout": hang, "stall=60": stream(GREETING[:1], ending="silence")}


@pytest.mark.usefixtures("odd")
def test_a_connection_is_lost_as_a_socket_loses_it(tmp_path: Path) -> None:
    real = {}

    def ask(server: OddServer, _: Path, client: str) -> None:
        for fault, script in LOST.items():
            server.serve(script)
            wait = 20.0 if fault == "reset" else QUICK
            real[client, fault] = CLIENTS[client](server.chat, server.acknowledge, wait)

    at_once(ask, CLIENTS, tmp_path)
    path = taped(tmp_path, URL)
    for (client, fault), seen in real.items():
        with use_cassette(path, fault=fault) as session:
            lost = CLIENTS[client](URL, lambda _: None, QUICK)
        assert (lost.error, lost.chunks) == (seen.error, seen.chunks), (client, fault)
        assert session.faults.clock.now == pytest.approx(QUICK if fault == "stall=60" else 0)


def test_a_stall_ends_when_the_clock_is_moved_on(tmp_path: Path, odd: OddServer) -> None:
    path = taped(tmp_path, odd.chat)
    with use_cassette(path, fault="stall=5") as session, httpx.Client(timeout=2) as client:
        with client.stream("POST", odd.chat, json=BODY) as response:
            chunks = response.iter_raw()
            assert next(chunks) == GREETING[0]
            session.faults.advance(4)
            assert b"".join(chunks) == b"".join(GREETING[1:])
        assert session.faults.clock.now == 5
        session.faults("stall=3")
        with pytest.raises(httpx.ReadTimeout), client.stream("POST", odd.chat, json=BODY) as response:
            response.read()
    with use_cassette(path, fault="stall=3"), pytest.raises(httpx.ReadTimeout):
        httpx.post(odd.chat, json=BODY, timeout=2)
    with use_cassette(path, fault="stall=3") as session:
        assert httpx.post(odd.chat, json=BODY, timeout=None).content == b"".join(GREETING)
        assert session.faults.clock.now == 3


def test_a_slow_answer_takes_its_recorded_time_longer_by_the_factor(tmp_path: Path, odd: OddServer) -> None:
    stream_of_300_ms = write_cassette(tmp_path / "x.yaml", odd.chat, SLOW)
    with use_cassette(stream_of_300_ms, fault="slow=10") as session:
        assert "[DONE]" in httpx.post(odd.chat, json=BODY, timeout=5).text
        assert session.faults.clock.now == 3
    with use_cassette(stream_of_300_ms, fault="slow=10"), pytest.raises(httpx.ReadTimeout):
        httpx.post(odd.chat, json=BODY, timeout=1.5)


def test_http_client_sees_them_too(tmp_path: Path, odd: OddServer) -> None:
    path = taped(tmp_path, odd.chat)
    request = urllib.request.Request(
        odd.chat, json.dumps(BODY).encode(), {"Content-Type": "application/json"}
    )
    for fault, error in (
        ("reset", ConnectionResetError),
        ("timeout", TimeoutError),
        ("stall=9", TimeoutError),
    ):
        with use_cassette(path, fault=fault), pytest.raises(error):
            urllib.request.urlopen(request, timeout=1).read()


def test_tornado_sees_them_too(tmp_path: Path, odd: OddServer) -> None:
    tornado = pytest.importorskip("tornado.httpclient")
    errors = pytest.importorskip("tornado.simple_httpclient")
    import_vcr("vcr.stubs.tornado_stubs")  # not in an event loop
    path = taped(tmp_path, odd.chat)

    async def fetch(fault: str) -> bytes:
        async with use_cassette(path, fault=fault):
            head = {"Content-Type": "application/json"}
            asked = tornado.HTTPRequest(odd.chat, "POST", head, json.dumps(BODY), request_timeout=2)
            answer = await tornado.AsyncHTTPClient().fetch(asked)
            return bytes(answer.body)

    for fault, error in (
        ("reset", errors.HTTPStreamClosedError),
        ("timeout", errors.HTTPTimeoutError),
        ("stall=9", errors.HTTPTimeoutError),
        ("cut_at=1", errors.HTTPStreamClosedError),
    ):
        with pytest.raises(error):
            asyncio.run(fetch(fault))
    assert asyncio.run(fetch("stall=1")) == b"".join(GREETING)


ASKED = {"messages": [{"role": "user", "content": "plain"}]}


def answered(
    tape: list[dict[str, Any]], folder: Path, *faults: str, asked: Any = None
) -> list[httpx.Response]:
    path = folder / "y.yaml"
    path.write_text(json.dumps({"stepreplay": 1, "interactions": tape}))
    found = []
    with use_cassette(path, fault=[*faults]):
        for _ in faults:
            body = asked or tape[0]["request"]["json"]
            found.append(httpx.post(labelled.URL, json=body))
    return found


@pytest.mark.usefixtures("odd")
def test_each_request_has_its_fault_and_then_the_recorded_answer(tmp_path: Path) -> None:
    tape = labelled.PLAIN
    faults = ("rate_limit", "rate_limit=20", "server_error", "server_error=503", "ok")
    first, second, third, fourth, last = answered(tape, tmp_path, *faults)
    assert (first.status_code, first.headers["retry-after"], first.headers["retry-after-ms"]) == (
        429,
        "0",
        "1",
    )
    assert (second.headers["retry-after"], second.headers.get("retry-after-ms")) == ("20", None)
    assert "error" in first.json()
    assert (third.status_code, fourth.status_code) == (500, 503)
    assert last.json() == tape[0]["response"]["json"]
    empty, again = answered(tape, tmp_path, "empty", "ok")  # what came broken may be asked for again
    assert empty.json()["choices"][0]["message"]["content"] == ""
    assert again.json() == tape[0]["response"]["json"]


@pytest.mark.usefixtures("odd")
def test_an_answer_is_spoiled_as_its_api_would_have_it(tmp_path: Path) -> None:
    (cut,) = answered(labelled.TOOL, tmp_path, "truncated_arguments")
    choice = cut.json()["choices"][0]
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"order":'
    assert choice["finish_reason"] == "length"
    (broken,) = answered(labelled.JSON, tmp_path, "invalid_json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken.json()["choices"][0]["message"]["content"])
    (filtered,) = answered(labelled.PLAIN, tmp_path, "content_filter")
    assert filtered.json()["choices"][0]["finish_reason"] == "content_filter"
    (streamed,) = answered(labelled.STREAM, tmp_path, "content_filter")
    assert '"content_filter"' in streamed.text
    assert streamed.text.endswith("data: [DONE]\n\n")
    for tape, fault, why in (
        (labelled.PLAIN, "cut_at=1", "the recorded answer is not a stream"),
        (labelled.STREAM, "cut_at=9", "the recorded stream has 4 chunks"),
        (labelled.PLAIN, "truncated_arguments", "the recorded answer calls no tool with arguments"),
        (labelled.PLAIN, "invalid_json", "the text of the recorded answer is no JSON"),
        (labelled.TOOL, "empty", "the recorded answer has no text"),
        (labelled.PLAIN, "slow=2", "the cassette does not say how long the answer took"),
    ):
        with pytest.raises(RequestStoppedError, match=f"the fault {fault} does not apply .* {why}"):
            answered(tape, tmp_path, fault)


def test_what_is_no_fault_is_told() -> None:
    for given, said in (
        ("rate_limits", "did you mean rate_limit"),
        ("timeout=3", "timeout takes no number"),
        ("cut_at", "cut_at takes the number of chunks that still come, such as cut_at=1"),
        ("cut_at=1.5", "cut_at takes the number of chunks"),
        ("stall=soon", "stall takes seconds"),
        ("server_error=200", "server_error takes a status from 400 on"),
        ([], "neither a fault nor a list"),
        (7, "neither a fault nor a list"),
    ):
        with pytest.raises(ValueError, match=said):
            read_faults(given)
    assert [each.name for each in read_fault_table("all")] == [*FAULTS]


TESTS = """
    import json, os, urllib.request
    import httpx, openai, pytest

    client = openai.OpenAI(base_url="{url}", max_retries=2)
    HEAD = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
    BODY = {{"model": "m", "messages": [{{"role": "user", "content": "Say hello."}}]}}

    def ask():
        return client.chat.completions.create(**BODY).choices[0].message.content

    def test_greeting():
        assert ask()

    @pytest.mark.stepreplay(cassette="greeting.yaml", fault=["rate_limit", "rate_limit", "ok"])
    def test_it_tries_again(stepreplay_faults):
        assert ask()
        assert stepreplay_faults.requests == ["429", "429", "200"]

    @pytest.mark.stepreplay(cassette="greeting.yaml", fault=["rate_limit"] * 3)
    def test_it_gives_up():
        with pytest.raises(openai.RateLimitError):
            ask()

    @pytest.mark.stepreplay(faults="all")
    def test_any(stepreplay_fault):
        try:
            httpx.post("{url}/chat/completions", json=BODY, headers=HEAD, timeout=5).raise_for_status()
        except httpx.HTTPError:
            assert stepreplay_fault in ("rate_limit", "server_error", "timeout", "reset", "stall=60", "slow=10")

    @pytest.mark.stepreplay(cassette="greeting.yaml", fault="cut_at=1")
    def test_needs_a_stream():
        ask()

    @pytest.mark.stepreplay(cassette="greeting.yaml", fault="flood")
    def test_no_fault():
        ask()
"""


def test_a_run_tells_what_faults_did_to_the_requests(suite: Suite) -> None:
    suite.write(TESTS)
    suite.change(
        "def test_greeting",
        "@pytest.mark.stepreplay(cassette='greeting.yaml')\n\ndef test_greeting".replace("\n\n", "\n"),
    )
    suite.record("-k", "test_greeting or (test_any and rate_limit)")
    before = suite.cassettes
    suite.go_offline()
    result = suite.run("-rs", "-v")
    suite.start()
    result.assert_outcomes(passed=11, failed=1, errors=1, skipped=3)
    assert suite.cassettes == before == ["greeting.yaml", "test_chat/test_any.yaml"]
    result.stdout.fnmatch_lines(
        [
            "*::test_any[[]rate_limit] PASSED*",
            "*'flood' is not one of rate_limit, server_error, timeout, reset, cut_at=N, *",
            "*the fault cut_at=1 does not apply to the answer of interaction 1 of cassettes/greeting.yaml: "
            "the recorded answer is not a stream",
        ]
    )
    text = result.stdout.str()
    assert "test_chat.py::test_it_tries_again: 3 requests for 1 answer: 429, 429, 200" in text
    assert "test_chat.py::test_it_gives_up: 3 requests for 1 answer: 429, 429, 429" in text
    assert "the fault truncated_arguments does not apply: the recorded answer calls no tool" in text
    assert "unplayed" not in text


SERVED = """
    import json, os, urllib.request
    import pytest
    from http.client import RemoteDisconnected

    def ask(server, timeout=20):
        body = {{"model": "m", "messages": [{{"role": "user", "content": "Say hello."}}]}}
        head = {{"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        url = server.base_url + "/chat/completions"
        return urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), head), timeout=timeout)

    @pytest.mark.stepreplay(upstream="{url}", fault=["rate_limit", "reset", "timeout", "ok"])
    def test_served(stepreplay_server):
        if stepreplay_server.mode == "record":
            assert ask(stepreplay_server).status == 200
            return
        with pytest.raises(urllib.error.HTTPError, match="429") as refused:
            ask(stepreplay_server)
        refused.value.close()
        with pytest.raises(ConnectionError):
            ask(stepreplay_server)
        with pytest.raises(TimeoutError):
            ask(stepreplay_server, 0.3)
        assert ask(stepreplay_server).status == 200
"""


def test_another_process_sees_them_through_the_server(suite: Suite) -> None:
    suite.write(SERVED.replace('stepreplay_server.mode == "record"', 'os.environ.get("RECORDING")'))
    suite.monkeypatch.setenv("RECORDING", "1")
    suite.record().assert_outcomes(passed=1)
    suite.monkeypatch.delenv("RECORDING")
    result = suite.run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*::test_served: 4 requests for 1 answer: 429, reset, timeout, 200"])
