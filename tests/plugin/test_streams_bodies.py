"""What streams carry: content encodings, broken text, huge and tiny frames, and types that are wrong."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from pytest_stepreplay import use_cassette
from pytest_stepreplay.endpoints.chat_stream import assemble
from pytest_stepreplay.store.cassettes import read_cassette
from pytest_stepreplay.store.schema import tree_of
from pytest_stepreplay.wire.bodies import body_bytes
from pytest_stepreplay.wire.events import json_chunks_of
from tests.odd_server import (
    DONE,
    ENCODINGS,
    EVENT_STREAM,
    GREETING,
    Encoding,
    OddServer,
    frame,
    stream,
    whole,
)

from .stream_clients import ALL, CLIENTS
from .test_streams import read_stream

JSON = ("Content-Type", "application/json")


def response_in(path: Path) -> dict[str, Any]:
    """Returns the only response of a cassette."""
    (interaction,) = read_cassette(path).cassette.interactions
    stored: dict[str, Any] = tree_of(interaction)["response"]
    return stored


# Content encodings

ZSTD_SINCE = {"httpx": (0, 27, 1), "aiohttp": (3, 13)}


@pytest.fixture
def read_by_client(client: str, encoding: Encoding) -> None:
    """Skips a test of an encoding that this version of the client does not undo."""
    package = client.removesuffix("-async")
    if encoding == "zstd" and package in ZSTD_SINCE:
        installed = tuple(int(part) for part in version(package).split(".")[:3])
        if installed < ZSTD_SINCE[package]:
            pytest.skip(f"{package} {version(package)} does not read zstd")


@pytest.mark.usefixtures("read_by_client")
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_compressed_stream_is_stored_as_its_frames(
    odd: OddServer, tmp_path: Path, client: str, encoding: Encoding
) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING, encoding=encoding))
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat, odd.acknowledge)
    assert (live.error, live.chunks) == (None, list(GREETING)), "each chunk as early as it came"
    stored = response_in(path)
    assert stored["events"] == [each[6:-2].decode() for each in GREETING]
    assert "content-encoding" not in stored["headers"]
    assert "/" not in read_stream(path)["chunks"]
    for name, other in CLIENTS.items():
        with use_cassette(path):
            replayed = other(odd.chat)
        assert (replayed.error, replayed.chunks) == (None, list(GREETING)), name
    assert len(odd.requests) == 1


@pytest.mark.usefixtures("read_by_client")
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("client", ["httpx", "aiohttp", "urllib3"])
def test_a_compressed_stream_that_broke_keeps_what_came(
    odd: OddServer, tmp_path: Path, client: str, encoding: Encoding
) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING[:2], encoding=encoding, ending="incomplete"))
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat, odd.acknowledge)
    assert live.chunks == list(GREETING[:2])
    assert len(response_in(path)["events"]) == 2
    with use_cassette(path):
        replayed = CLIENTS[client](odd.chat)
    assert (replayed.error, replayed.chunks) == (live.error, live.chunks)


@pytest.mark.parametrize("client", ["httpx", "httpx2", "urllib3", "requests"])
def test_a_header_that_claims_gzip_over_plain_text(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    body = b"".join(GREETING)
    odd.serve(whole(200, EVENT_STREAM, ("Content-Encoding", "gzip"), body=body))
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat)
    assert live.error is not None, "the client's own opinion of it"
    beside = CLIENTS[client](odd.chat)
    assert live.error == beside.error
    if path.exists():
        with use_cassette(path) as session:
            CLIENTS[client](odd.chat)
        assert body_bytes(session.played[0].response) in (body, b"")


# Bad input


@pytest.mark.parametrize("client", CLIENTS)
def test_a_character_cut_in_two(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    text = frame("你好")
    cut = text.index("好".encode()) + 1
    chunks = [text[:cut], text[cut : cut + 1], text[cut + 1 :], DONE]
    odd.serve(stream(chunks))
    with use_cassette(path, mode="record"):
        assert CLIENTS[client](odd.chat, odd.acknowledge).chunks == chunks
    assert "你好" in response_in(path)["events"][0]
    with use_cassette(path):
        assert CLIENTS[client](odd.chat).chunks == chunks


@pytest.mark.parametrize("client", CLIENTS)
def test_bytes_that_are_no_text(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    chunks = [frame("one"), b'data: {"a": "\xff\xfe"}\n\n', DONE]
    odd.serve(stream(chunks))
    with use_cassette(path, mode="record"):
        assert CLIENTS[client](odd.chat, odd.acknowledge).chunks == chunks
    assert "base64" in response_in(path)
    with use_cassette(path):
        assert CLIENTS[client](odd.chat).chunks == chunks


LARGE = {"httpx": 10, "aiohttp": 10, "urllib3": 10}
"""Halves of a megabyte in a frame, or thousands of frames: many, once for each way to listen. The other clients are
listened to in one of these ways."""


@pytest.mark.parametrize("client", CLIENTS)
def test_a_frame_of_megabytes(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    big = frame("x" * 500_000 * LARGE.get(client, 2))
    odd.serve(stream([frame("before"), big, DONE], stepwise=False))
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat)
    assert live.body == frame("before") + big + DONE
    with use_cassette(path):
        assert CLIENTS[client](odd.chat).body == live.body


@pytest.mark.parametrize("client", CLIENTS)
def test_thousands_of_tiny_frames(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    frames = [b'data: {"n":%d}\n\n' % number for number in range(1_000 * LARGE.get(client, 1))]
    odd.serve(stream([b"".join(frames[at : at + 10]) for at in range(0, len(frames), 10)], stepwise=False))
    with use_cassette(path, mode="record") as session:
        live = CLIENTS[client](odd.chat)
    assert live.body == b"".join(frames)
    assert len(session.recorded[0].response.events or ()) == len(frames)
    with use_cassette(path):
        replayed = CLIENTS[client](odd.chat)
    assert replayed.body == live.body
    assert len(replayed.chunks) == len(read_stream(path)["chunks"].split())


@pytest.mark.parametrize(
    "odd_frame",
    [
        b"data: not JSON\n\n",
        b": OPENROUTER PROCESSING\n\n",
        b'event: error\ndata: {"error": {"message": "overloaded"}}\n\n',
        b'id: 7\r\nretry: 10\r\ndata: {"a": 1}\r\n\r\n',
        b' data: {"choices": []}\n\n',
        b'data:{"a":1}\n\n',
        b"\n\n\n",
        b"\xef\xbb\xbfdata: {}\n\n",
        b'data: {"unfinished": true}',
    ],
)
def test_frames_that_are_more_than_data_keep_their_text(
    odd: OddServer, tmp_path: Path, odd_frame: bytes
) -> None:
    path = tmp_path / "x.yaml"
    chunks = [frame("one"), odd_frame]
    odd.serve(stream(chunks))
    with use_cassette(path, mode="record"):
        assert CLIENTS["httpx"](odd.chat, odd.acknowledge).chunks == chunks
    for name, client in CLIENTS.items():
        with use_cassette(path):
            assert client(odd.chat).chunks == chunks, name


@pytest.mark.parametrize("client", ALL)
def test_an_error_in_the_middle_of_a_stream(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream([GREETING[0], b'data: {"error": {"message": "overloaded"}}\n\n', DONE]))
    with use_cassette(path, mode="record"):
        live = ALL[client](odd.chat, odd.acknowledge)
    with use_cassette(path):
        replayed = ALL[client](odd.chat)
    assert (replayed.error, replayed.chunks) == (live.error, live.chunks)
    assert (live.error is None) == (client in CLIENTS or client == "openai-raw")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_that_says_it_is_json(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream(GREETING, headers=[JSON]))
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat, odd.acknowledge)
    assert live.chunks == list(GREETING)
    assert response_in(path)["headers"]["content-type"] == "application/json"
    with use_cassette(path):
        assert CLIENTS[client](odd.chat).chunks == list(GREETING)


@pytest.mark.parametrize("client", CLIENTS)
def test_json_that_says_it_is_a_stream(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    body = b'{"id": "chat-1", "choices": []}'
    odd.serve(stream([body[:9], body[9:]]))
    with use_cassette(path, mode="record"):
        live = CLIENTS[client](odd.chat, odd.acknowledge)
    assert live.chunks == [body[:9], body[9:]]
    with use_cassette(path):
        replayed = CLIENTS[client](odd.chat)
    assert json.loads(replayed.body) == json.loads(body)


@pytest.mark.parametrize("client", ALL)
def test_an_empty_stream(odd: OddServer, tmp_path: Path, client: str) -> None:
    path = tmp_path / "x.yaml"
    odd.serve(stream([]))
    with use_cassette(path, mode="record"):
        live = ALL[client](odd.chat)
    with use_cassette(path):
        replayed = ALL[client](odd.chat)
    assert (replayed.error, replayed.chunks) == (live.error, []) == (live.error, live.chunks)


# What is stored is what is folded


def test_a_recorded_stream_folds_into_its_completion(odd: OddServer, tmp_path: Path) -> None:
    odd.serve(stream(GREETING))
    with use_cassette(tmp_path / "x.yaml", mode="record") as session:
        CLIENTS["aiohttp"](odd.chat, odd.acknowledge)
    (interaction,) = session.recorded
    whole_answer = assemble(json_chunks_of(body_bytes(interaction.response).decode()))
    assert whole_answer["choices"][0]["message"]["content"] == "Hello, 你好!"
    assert whole_answer["choices"][0]["finish_reason"] == "stop"
