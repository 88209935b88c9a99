"""How a stream ended is kept: broken off, closed early, cancelled, never read. Replay ends it in the same way."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import openai
import pytest
import requests
import urllib3

from pytest_stepreplay import RequestStoppedError, use_cassette
from tests.odd_server import DONE, ENDINGS, GREETING, Ending, OddServer, endless, stream

from .stream_clients import ALL, BODY, CLIENTS, SDKS, Leave, Seen
from .test_streams import read_stream, write_cassette

SAID = {"incomplete": "incomplete", "reset": "reset", "silence": "timeout", "protocol": "protocol"}
"""What stands in the cassette for each way to break."""

SILENCE: Ending = "silence"
HEARD = [ending for ending in ENDINGS if ending != SILENCE]
"""The ways to break that a client hears of; of silence it learns by waiting."""

WAIT = {SILENCE: 2.0}
"""Seconds until a client gives up: enough, on a busy machine, for what is sent at once."""

READ = GREETING[:3]


def leave_after(number: int, odd: OddServer | None = None) -> Callable[[bytes], None]:
    """Returns what reads so many chunks and closes the response."""
    left = number

    def take(chunk: bytes) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Leave
        if odd is not None:
            odd.acknowledge(chunk)

    return take


def at_once(check: Callable[[OddServer, Path, str], None], clients: Iterable[str], folder: Path) -> None:
    """Does for each client, with a server and a folder of its own, what mostly waits."""

    def run(client: str) -> None:
        (folder / client).mkdir()
        with OddServer() as server:
            check(server, folder / client, client)

    with ThreadPoolExecutor(len(ALL)) as pool:
        list(pool.map(run, clients))


# Broken off


def check_that_it_breaks_again(odd: OddServer, folder: Path, client: str, ending: Ending) -> None:
    path = folder / "x.yaml"
    odd.serve(stream(READ, ending=ending))
    wait = WAIT.get(ending, 20.0)
    beside = ALL[client](odd.chat, odd.acknowledge, wait)
    assert beside.error is not None
    assert len(beside.chunks) == 3
    with use_cassette(path, mode="record"):
        recorded = ALL[client](odd.chat, odd.acknowledge, wait)
    assert (recorded.error, recorded.chunks) == (beside.error, beside.chunks)
    stored = read_stream(path)
    assert (stored["end"], stored["error"]) == ("broken", SAID[ending])
    assert len(stored["chunks"].split()) == 3
    with use_cassette(path):
        replayed = ALL[client](odd.chat)
    assert (replayed.error, replayed.chunks) == (beside.error, beside.chunks), client
    assert len(odd.requests) == 2


@pytest.mark.parametrize("ending", HEARD)
@pytest.mark.parametrize("client", ALL)
def test_a_broken_stream_breaks_again_in_the_same_place(
    odd: OddServer, tmp_path: Path, client: str, ending: Ending
) -> None:
    if (client, ending) == ("aiohttp", "protocol"):
        pytest.skip("aiohttp itself waits for ever after a chunk that is none")
    check_that_it_breaks_again(odd, tmp_path, client, ending)


@pytest.mark.usefixtures("odd")
def test_a_stream_that_falls_silent_does_so_again(tmp_path: Path) -> None:
    at_once(partial(check_that_it_breaks_again, ending=SILENCE), ALL, tmp_path)


def check_what_another_recorded(odd: OddServer, folder: Path, client: str, ending: Ending) -> None:
    path = folder / "x.yaml"
    odd.serve(stream(READ, ending=ending))
    expected = CLIENTS[client](odd.chat, odd.acknowledge, WAIT.get(ending, 20.0)).error
    assert expected is not None
    with use_cassette(path, mode="record"):
        CLIENTS["httpx"](odd.chat, odd.acknowledge, WAIT.get(ending, 20.0))
    with use_cassette(path):
        replayed = CLIENTS[client](odd.chat)
    assert (replayed.error, replayed.chunks) == (expected, list(READ)), client


@pytest.mark.parametrize("ending", HEARD)
@pytest.mark.parametrize("client", CLIENTS)
def test_what_broke_for_one_client_breaks_for_the_others(
    odd: OddServer, tmp_path: Path, client: str, ending: Ending
) -> None:
    if (client, ending) == ("aiohttp", "protocol"):
        pytest.skip("aiohttp itself waits for ever after a chunk that is none")
    check_what_another_recorded(odd, tmp_path, client, ending)


@pytest.mark.usefixtures("odd")
def test_silence_for_one_client_is_silence_for_the_others(tmp_path: Path) -> None:
    at_once(partial(check_what_another_recorded, ending=SILENCE), CLIENTS, tmp_path)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_broken_stream_in_which_a_frame_is_cut(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    chunks = [GREETING[0], GREETING[2][:-20]]  # ends inside of a word
    odd.serve(stream(chunks, ending="incomplete"))
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat, odd.acknowledge)
    with use_cassette(path):
        replayed = CLIENTS[client](odd.chat)
    assert replayed.chunks == live.chunks == chunks
    assert replayed.error == live.error


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_that_broke_before_its_first_chunk(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream([], ending="incomplete"))
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat)
    assert live.error is not None
    with use_cassette(path):
        replayed = CLIENTS[client](odd.chat)
    assert (replayed.error, replayed.chunks) == (live.error, [])
    assert (read_stream(path)["end"], read_stream(path)["error"]) == ("broken", "incomplete")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_body_that_is_shorter_than_it_says(odd: OddServer, tmp_path: Path, client: str) -> None:
    def cut_short(wire: Any) -> None:
        wire.send_head(200, ("Content-Type", "text/event-stream"), ("Content-Length", "9999"))
        wire.send(GREETING[0])
        wire.close()

    path = tmp_path / "x.yaml"
    odd.serve(cut_short)
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat, odd.acknowledge)
    assert live.error is not None
    assert (read_stream(path)["end"], read_stream(path)["error"]) == ("broken", "incomplete")
    with use_cassette(path):
        replayed = CLIENTS[client](odd.chat)
    assert replayed.error == live.error
    # urllib3 hands out nothing of such a body when it is live; what arrived is kept, and comes before the error.
    assert replayed.body == GREETING[0]
    assert replayed.body.startswith(live.body)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_cut_inside_of_an_http_chunk(odd: OddServer, tmp_path: Path, client: str) -> None:
    def cut(wire: Any) -> None:
        wire.send_head(200, ("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
        wire.send_chunk(GREETING[0])
        wire.wait_for_reader()
        wire.send(b"%x\r\n" % len(GREETING[1]) + GREETING[1][:20])
        wire.close()

    path = tmp_path / "x.yaml"
    odd.serve(cut)
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat, odd.acknowledge)
    assert live.error is not None
    assert (read_stream(path)["end"], read_stream(path)["error"]) == ("broken", "incomplete")
    with use_cassette(path):
        replayed = CLIENTS[client](odd.chat)
    assert replayed.error == live.error
    assert replayed.body.startswith(live.body)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_connection_that_never_answers_is_no_interaction(
    odd: OddServer, tmp_path: Path, client: str
) -> None:
    odd.serve(lambda wire: wire.close())
    with use_cassette(tmp_path / "x.yaml", mode="record") as session:
        assert CLIENTS[client](odd.chat).error is not None
    assert not session.recorded
    assert not (tmp_path / "x.yaml").exists()


# Closed by the client


@pytest.mark.parametrize("client", ALL)
def test_a_stream_closed_early_replays_up_to_there(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING))
    with use_cassette(path, mode="record"):
        live = ALL[client](odd.chat, leave_after(2, odd))
    assert len(live.chunks) == 2
    assert read_stream(path)["end"] == "closed"
    assert "error" not in read_stream(path)
    with use_cassette(path):
        assert ALL[client](odd.chat, leave_after(2)).chunks == live.chunks
    assert len(odd.requests) == 1


@pytest.mark.parametrize("client", ALL)
def test_reading_on_where_a_stream_was_closed_says_so(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING))
    with use_cassette(path, mode="record"):
        ALL[client](odd.chat, leave_after(2, odd))
    size = len(GREETING[0] + GREETING[1])
    chunks: list[bytes] = []
    with pytest.raises(RequestStoppedError) as caught, use_cassette(path):
        ALL[client](odd.chat, chunks.append)
    said = str(caught.value)
    assert f"the client that recorded this stream left it after {size} bytes" in said
    assert "record it again" in said.splitlines()[-1]
    assert len(chunks) == 2, "what was recorded is handed out first"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_leaves_after_done_has_read_it_all(odd: OddServer, tmp_path: Path, client: str) -> None:
    def no_end(wire: Any) -> None:
        stream(GREETING, ending="silence")(wire)

    path = tmp_path / "x.yaml"
    odd.serve(no_end)
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat, leave_after(len(GREETING), odd))
    assert live.chunks[-1] == DONE
    assert read_stream(path).keys() == {"chunks"}
    with use_cassette(path):
        assert CLIENTS[client](odd.chat).chunks == live.chunks


@pytest.mark.parametrize("client", ["openai", "openai-async"])
def test_the_sdk_closes_nothing_early_when_it_has_read_it_all(
    odd: OddServer, tmp_path: Path, client: str
) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING, stepwise=False))
    with use_cassette(path, mode="record"):
        SDKS[client](odd.chat)
    assert read_stream(path).keys() == {"chunks"}


@pytest.mark.parametrize("client", CLIENTS)
def test_an_endless_stream_is_recorded_up_to_where_it_was_left(
    odd: OddServer, tmp_path: Path, client: str
) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(endless)
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat, leave_after(7, odd))
    assert live.body == b"data: tick\n\n" * 7
    assert read_stream(path)["end"] == "closed"
    with use_cassette(path):
        assert CLIENTS[client](odd.chat, leave_after(7)).chunks == live.chunks


# Never read, never closed


def open_httpx(url: str) -> tuple[Any, Callable[[], object]]:
    client = httpx.Client()
    return client.send(client.build_request("POST", url, json=BODY), stream=True), client.close


def open_httpx2(url: str) -> tuple[Any, Callable[[], object]]:
    client = httpx2.Client()
    return client.send(client.build_request("POST", url, json=BODY), stream=True), client.close


def open_requests(url: str) -> tuple[Any, Callable[[], object]]:
    session = requests.Session()
    return session.post(url, json=BODY, stream=True), session.close


def open_urllib3(url: str) -> tuple[Any, Callable[[], object]]:
    pool = urllib3.PoolManager()
    return pool.request("POST", url, json=BODY, preload_content=False), pool.clear


OPENED = {
    "httpx": open_httpx,
    "httpx2": open_httpx2,
    "requests": open_requests,
    "urllib3": open_urllib3,
}


@pytest.mark.parametrize("how", ["never closed", "dropped", "closed", "client closed"])
@pytest.mark.parametrize("client", OPENED)
def test_an_unread_response_is_no_hang_and_no_half_interaction(
    odd: OddServer, tmp_path: Path, client: str, how: str
) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING))
    with use_cassette(path, mode="record") as session:
        response, close = OPENED[client](odd.chat)
        if how == "closed":
            response.close()
        elif how == "client closed":
            close()
        elif how == "dropped":
            del response
            gc.collect()
    if how == "never closed":
        response.close()
        del response
    close()
    odd.acknowledge()
    for each in session.recorded:  # nothing, or what says that it was left
        assert each.response.stream is not None
        assert each.response.stream.end == "closed"
    if path.exists():
        assert read_stream(path)["end"] == "closed"
        with use_cassette(path):
            response, close = OPENED[client](odd.chat)
            response.close()
            close()


@pytest.mark.parametrize("client", ["aiohttp", "httpx-async"])
def test_an_unread_async_response(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING))

    async def ask() -> None:
        if client == "aiohttp":
            async with aiohttp.ClientSession() as session:
                (await session.post(odd.chat, json=BODY)).close()
        else:
            async with httpx.AsyncClient() as user:
                response = await user.send(user.build_request("POST", odd.chat, json=BODY), stream=True)
                assert response.status_code == 200
                await response.aclose()

    with use_cassette(path, mode="record"):
        asyncio.run(ask())
    if path.exists():
        assert read_stream(path)["end"] == "closed"


@pytest.mark.parametrize("client", OPENED)
def test_what_is_read_after_the_cassette_was_closed_is_not_recorded(
    odd: OddServer, tmp_path: Path, client: str
) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING, stepwise=False))
    with use_cassette(path, mode="record"):
        response, close = OPENED[client](odd.chat)
    before = path.read_bytes() if path.exists() else b""
    rest = response.content if client == "requests" else response.read()
    response.close()
    close()
    assert rest == b"".join(GREETING), "the caller has it all the same"
    assert (path.read_bytes() if path.exists() else b"") == before


@pytest.mark.parametrize("client", OPENED)
def test_a_replayed_response_that_nobody_reads_is_no_hang(
    odd: OddServer, tmp_path: Path, client: str
) -> None:
    hours = {"events": ["[DONE]", "[DONE]"], "stream": {"chunks": "3600000 7200000"}}
    path = write_cassette(tmp_path / "x.yaml", odd.chat, hours)
    with use_cassette(path, pace="recorded"):
        response, close = OPENED[client](odd.chat)
        response.close()
        close()


# Cancelled


async def _cancelled(odd: OddServer, client: str, chunks: list[bytes]) -> Any:
    """Reads until the task is cancelled, while it waits for the third chunk."""
    waiting = asyncio.Event()

    def take(chunk: bytes) -> None:
        chunks.append(chunk)
        if len(chunks) == 2:
            waiting.set()
        else:
            odd.acknowledge()

    async def read() -> None:
        if client == "aiohttp":
            async with aiohttp.ClientSession() as session, session.post(odd.chat, json=BODY) as reply:
                async for chunk in reply.content.iter_any():
                    take(chunk)
        elif client == "openai-async":
            sdk = openai.AsyncOpenAI(base_url=f"{odd.url}/v1", api_key="sk-any", max_retries=0)
            async with sdk, await sdk.chat.completions.create(**BODY) as parts:  # type: ignore[call-overload]
                async for part in parts:
                    take(part.choices[0].delta.content.encode())
        else:
            library: Any = httpx if client == "httpx-async" else httpx2
            async with library.AsyncClient() as user, user.stream("POST", odd.chat, json=BODY) as response:
                async for chunk in response.aiter_bytes():
                    take(chunk)

    task = asyncio.create_task(read())
    await waiting.wait()
    await asyncio.sleep(0)  # the task reads on
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("client", ["httpx-async", "httpx2-async", "aiohttp", "openai-async"])
def test_a_cancelled_task_records_what_arrived(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING))
    chunks: list[bytes] = []
    with use_cassette(path, mode="record") as session:
        asyncio.run(_cancelled(odd, client, chunks))
    assert len(chunks) == 2
    assert len(session.recorded) == 1
    stored = read_stream(path)
    assert (stored["end"], stored["error"]) == ("broken", "cancelled")
    assert len(stored["chunks"].split()) == 2
    with pytest.raises(RequestStoppedError, match="record"), use_cassette(path):
        ALL[client](odd.chat, leave_after(9))
    with use_cassette(path):
        seen: Seen = ALL[client](odd.chat, leave_after(2))
    assert len(seen.chunks) == 2


@pytest.mark.parametrize("client", ["httpx-async", "aiohttp"])
def test_other_requests_go_on_beside_a_cancelled_one(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING))

    async def main() -> None:
        await _cancelled(odd, client, [])
        odd.serve(stream([DONE], stepwise=False))
        async with httpx.AsyncClient() as user:
            await user.post(odd.chat, json={**BODY, "model": "another"})

    with use_cassette(path, mode="record") as session:
        asyncio.run(main())
    assert [each.request.json["model"] for each in session.recorded] == [BODY["model"], "another"]


# Kept as the test's own verdict


@pytest.mark.parametrize("client", CLIENTS)
def test_many_streams_leave_no_connection_behind(odd: OddServer, tmp_path: Path, client: str) -> None:
    odd.serve(stream(GREETING, stepwise=False))
    with use_cassette(tmp_path / "x.yaml", mode="record") as session:
        for _ in range(20):
            CLIENTS[client](odd.chat, leave_after(1))
    assert len(session.recorded) == 20
    gc.collect()  # a socket that was left open would be a ResourceWarning, and so an error
