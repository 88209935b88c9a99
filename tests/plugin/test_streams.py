"""A stream reaches its reader while it flows, recorded or not, and comes back in the same pieces."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import yaml

from pytest_stepreplay import SettingsError, use_cassette
from tests.odd_server import DONE, GREETING, OddServer, frame, stream

from .stream_clients import ALL, BODY, CLIENTS, SDKS
from .suite import Suite

CUT = (
    b": a comment",  # a chunk may end anywhere
    b"\n\n" + frame("one") + frame("two") + frame("three"),
    frame("four"),
    frame("five")[:-30],
    frame("five")[-30:] + frame("six"),
    frame("seven") + DONE,
)
"""Chunks that are not one frame each."""


def read_stream(path: Path, number: int = 0) -> dict[str, Any]:
    """Returns how the cassette says that a response arrived."""
    text = path.read_text(encoding="utf-8")
    stored: dict[str, Any] = yaml.safe_load(text)["interactions"][number]["response"].get("stream") or {}
    return stored


def write_cassette(path: Path, url: str, response: dict[str, Any]) -> Path:
    """Writes a cassette as a person would, with one answer."""
    request = {"method": "POST", "url": url, "json": BODY}
    answer = {"status": 200, "headers": {"content-type": "text/event-stream"}, **response}
    cassette = {"stepreplay": 1, "interactions": [{"request": request, "response": answer}]}
    path.write_text(yaml.safe_dump(cassette, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


@pytest.mark.parametrize("mode", ["live", "record", "rewrite"])
@pytest.mark.parametrize("client", ALL)
def test_each_chunk_is_handed_out_before_the_next_is_sent(
    odd: OddServer, tmp_path: Path, client: str, mode: str
) -> None:
    # The server sends nothing more until the client has handed out the chunk before.
    odd.serve(stream(GREETING))
    beside = ALL[client](odd.chat, odd.acknowledge)
    assert beside.error is None
    with use_cassette(tmp_path / "x.yaml", mode=mode) as session:
        seen = ALL[client](odd.chat, odd.acknowledge)
        assert (seen.error, seen.chunks) == (None, beside.chunks)
    assert len(session.recorded) == (mode != "live")


@pytest.mark.parametrize("client", ALL)
def test_what_is_replayed_is_what_came(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING))
    with use_cassette(path, mode="record"):
        live = ALL[client](odd.chat, odd.acknowledge)
    with use_cassette(path):
        replayed = ALL[client](odd.chat)
    assert (replayed.error, replayed.chunks) == (None, live.chunks)
    assert len(odd.requests) == 1
    assert re.fullmatch(r"\d+( \d+){4}", read_stream(path)["chunks"]), "one chunk for each frame"
    assert "end" not in read_stream(path), "a complete stream says nothing about its end"


@pytest.mark.parametrize("client", CLIENTS)
def test_chunks_end_where_they_ended(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(CUT))
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat, odd.acknowledge)
    assert live.chunks == list(CUT)
    written = read_stream(path)["chunks"].split()
    sizes = [re.sub(r"^\d+", "", token) for token in written]
    assert sizes == ["/11", f"/{len(CUT[1])}", "", f"/{len(CUT[3])}", f"/{len(CUT[4])}", "x2"]
    times = [int(re.match(r"\d+", token)[0]) for token in written]  # type: ignore[index]  # each begins with one
    assert times == sorted(times)
    for name, other in CLIENTS.items():
        with use_cassette(path):
            assert other(odd.chat).chunks == list(CUT), name
    assert len(odd.requests) == 1


@pytest.mark.parametrize("recorder", ["httpx-async", "aiohttp", "urllib3", "openai"])
def test_what_one_recorded_all_replay(odd: OddServer, tmp_path: Path, recorder: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING))
    with use_cassette(path, mode="record"):
        ALL[recorder](odd.chat, odd.acknowledge)
    for name, client in CLIENTS.items():
        with use_cassette(path):
            assert client(odd.chat).chunks == list(GREETING), name
    said = [json.loads(each[6:]) for each in GREETING[:-1]]
    for name in sorted(SDKS.keys() - {"openai-raw"}):
        with use_cassette(path):
            assert [json.loads(chunk) for chunk in SDKS[name](odd.chat).chunks] == said, name
    assert len(odd.requests) == 1


def test_a_stream_with_a_plain_end_has_one_chunk_each(odd: OddServer, tmp_path: Path) -> None:
    """A stream as most servers send it, without waiting for anybody, is whole again in replay."""
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING, stepwise=False))
    with use_cassette(path, mode="record"):
        live = CLIENTS["httpx"](odd.chat)
    with use_cassette(path):
        replayed = CLIENTS["httpx"](odd.chat)
    assert live.body == replayed.body == b"".join(GREETING)
    assert live.chunks == replayed.chunks


@pytest.mark.parametrize("client", CLIENTS)
def test_json_has_no_chunks(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream([b'{"a": ', b"1}"], headers=[("Content-Type", "application/json")]))
    with use_cassette(path, mode="record"):
        assert CLIENTS[client](odd.chat, odd.acknowledge).chunks == [b'{"a": ', b"1}"]
    assert not read_stream(path)
    with use_cassette(path):
        assert json.loads(CLIENTS[client](odd.chat).body) == {"a": 1}


@pytest.mark.parametrize("client", ["httpx", "aiohttp", "urllib3"])
def test_other_text_keeps_its_chunks_if_there_were_several(
    odd: OddServer, tmp_path: Path, client: str
) -> None:
    path = tmp_path / "x.yaml"
    several, one = ["你好, ".encode(), b"world"], [b"\xff\xfe at once"]
    for number, chunks in enumerate((several, one)):
        odd.serve(stream(chunks, headers=[("Content-Type", "text/plain")]), f"/{number}")
    with use_cassette(path, mode="record"):
        for number in (0, 1):
            CLIENTS[client](f"{odd.url}/{number}", odd.acknowledge)
    assert re.fullmatch(rf"\d+/{len(several[0])} \d+/5", read_stream(path)["chunks"])
    assert not read_stream(path, 1)
    with use_cassette(path):
        assert [CLIENTS[client](f"{odd.url}/{number}").chunks for number in (0, 1)] == [several, one]


# Cassettes of a person's, or of a version before


@pytest.mark.parametrize("client", CLIENTS)
def test_without_chunks_each_frame_is_one(odd: OddServer, tmp_path: Path, client: str) -> None:
    events = ['{"a": 1}', {"frame": "event: note\ndata: b\n\n"}, "[DONE]"]
    path = write_cassette(tmp_path / "x.yaml", odd.chat, {"events": events})
    with use_cassette(path):
        seen = CLIENTS[client](odd.chat)
    assert seen.chunks == [b'data: {"a": 1}\n\n', b"event: note\ndata: b\n\n", DONE]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("chunks", "sizes"),
    [
        ("1 2", [16, 45]),  # frames were added
        ("1 2 3 4 5 6", [16, 15, 16, 14]),  # frames were taken out
        ("1x3 2x9", [47, 14]),
        ("1/5 2/20 3", [5, 20, 36]),  # a frame became longer
        ("1/5 2/9000", [5, 56]),
    ],
)
def test_chunks_that_fit_no_longer_lose_nothing(
    odd: OddServer, tmp_path: Path, client: str, chunks: str, sizes: list[int]
) -> None:
    events = ['{"a": 1}', '{"b":2}', '{"c": 3}', "[DONE]"]
    path = write_cassette(tmp_path / "x.yaml", odd.chat, {"events": events, "stream": {"chunks": chunks}})
    with use_cassette(path):
        seen = CLIENTS[client](odd.chat)
    assert (seen.error, seen.body) == (None, "".join(f"data: {it}\n\n" for it in events).encode())
    assert [len(chunk) for chunk in seen.chunks] == sizes


@pytest.mark.parametrize("client", ALL)
def test_a_stream_edited_by_hand_answers(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING))
    with use_cassette(path, mode="record"):
        ALL[client](odd.chat, odd.acknowledge)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("|Hel|", "|Good mor|").replace("|lo, |", "|ning, |"), encoding="utf-8")
    with use_cassette(path):
        seen = ALL[client](odd.chat)
    assert seen.error is None
    assert b"Good mor" in seen.body
    assert b"ning, " in seen.body


# Pace


BRISK = {"events": ['{"a": 1}', '{"b": 2}', "[DONE]"], "stream": {"chunks": "0 40 60"}}
SLOW = {"events": ['{"a": 1}', '{"b": 2}', "[DONE]"], "stream": {"chunks": "0 200 300"}}
HOURS = {"events": ['{"a": 1}', '{"b": 2}', "[DONE]"], "stream": {"chunks": "0 3600000 7200000"}}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("pace", [{}, {"pace": "none"}, {"pace": "0"}, {"pace": 1e-9}])
def test_nothing_waits_unless_asked(
    odd: OddServer, tmp_path: Path, client: str, pace: dict[str, Any]
) -> None:
    path = write_cassette(tmp_path / "x.yaml", odd.chat, HOURS)
    with use_cassette(path, **pace):
        assert len(CLIENTS[client](odd.chat).chunks) == 3


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("response", "pace", "least"),
    [(BRISK, "recorded", 0.06), (BRISK, "0.5", 0.03), (BRISK, 1.5, 0.09), (HOURS, 0.00001, 0.07)],
)
def test_chunks_come_no_earlier_than_the_pace_says(  # noqa: PLR0917 - what is parametrized
    odd: OddServer, tmp_path: Path, client: str, response: dict[str, Any], pace: object, least: float
) -> None:
    path = write_cassette(tmp_path / "x.yaml", odd.chat, response)
    arrived: list[float] = []
    start = time.monotonic()
    with use_cassette(path, pace=pace):
        CLIENTS[client](odd.chat, lambda chunk: arrived.append(time.monotonic() - start))
    assert len(arrived) == 3
    assert arrived[2] >= least
    assert arrived[0] < arrived[1] < arrived[2]


@pytest.mark.parametrize("client", ["httpx", "aiohttp"])
def test_other_tasks_go_on_while_a_paced_stream_waits(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = write_cassette(tmp_path / "x.yaml", odd.chat, SLOW)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    async def read() -> list[int]:
        if client == "httpx":
            async with httpx.AsyncClient() as user, user.stream("POST", odd.chat, json=BODY) as response:
                return [turns async for _ in response.aiter_bytes()]
        async with aiohttp.ClientSession() as session, session.post(odd.chat, json=BODY) as reply:
            return [turns async for _ in reply.content.iter_any()]

    async def main() -> list[int]:
        async with use_cassette(path, pace="recorded"):
            counter = asyncio.create_task(count())
            seen = await read()
            counter.cancel()
            return seen

    first, second, third = asyncio.run(main())
    assert first + 5 < second
    assert second + 5 < third


@pytest.mark.parametrize("pace", ["fast", "-1", -0.5, "nan", "inf", True, [1]])
def test_a_pace_that_is_none_is_refused(tmp_path: Path, pace: object) -> None:
    with pytest.raises(SettingsError, match="pace"):
        use_cassette(tmp_path / "x.yaml", pace=pace)


def test_the_pace_is_set_for_a_run_and_for_a_test(suite: Suite) -> None:
    suite.write("""
        import time
        import httpx, pytest

        BODY = {{"model": "m", "messages": [{{"role": "user", "content": "Hi"}}], "stream": True}}

        def seconds():
            start = time.monotonic()
            httpx.post("{url}/chat/completions", json=BODY)
            return time.monotonic() - start

        @pytest.mark.stepreplay("slow")
        def test_as_the_run_says():
            assert seconds() >= 0.3

        @pytest.mark.stepreplay("hours", pace="none")
        def test_as_the_marker_says():
            seconds()

        @pytest.mark.stepreplay("hours", pace=0.00005)
        def test_a_factor():
            assert seconds() >= 0.36
    """)
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    for name, response in {"slow": SLOW, "hours": HOURS}.items():
        path = suite.cassette(f"{name}.yaml")
        path.parent.mkdir(exist_ok=True)
        write_cassette(path, f"{suite.url}/chat/completions", response)
        text = path.read_text(encoding="utf-8")
        cassette = yaml.safe_load(text)
        cassette["interactions"][0]["request"]["json"] = body
        path.write_text(yaml.safe_dump(cassette), encoding="utf-8")
    (suite.pytester.path / "pytest.ini").write_text(
        "[pytest]\nstepreplay_pace = recorded\n", encoding="utf-8"
    )
    suite.run().assert_outcomes(passed=3)


def test_a_bad_pace_of_a_run_is_a_usage_error(suite: Suite) -> None:
    (suite.pytester.path / "pytest.ini").write_text("[pytest]\nstepreplay_pace = brisk\n", encoding="utf-8")
    result = suite.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [
            "ERROR: stepreplay: ini file, pace: 'brisk' is not a pace; write none, recorded or a factor such as 0.1"
        ]
    )
