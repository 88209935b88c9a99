"""A body that came in chunks is stored readably, and comes back in the same chunks."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.drift.keeping import body_of
from pytest_stepreplay.errors import CassetteReadError
from pytest_stepreplay.models import Cassette, Interaction, RawFrame, Request, Response, Stream
from pytest_stepreplay.store import cassettes
from pytest_stepreplay.store.schema import cassette_of
from pytest_stepreplay.wire.bodies import body_bytes
from pytest_stepreplay.wire.chunks import Chunk, chunks_of, response_from_chunks
from tests.rendering import render_cassette

EVENTS = {"content-type": "text/event-stream"}


def stored(*chunks: tuple[int, bytes], headers: dict[str, str] = EVENTS) -> Response:
    return response_from_chunks(200, headers, [Chunk(*chunk) for chunk in chunks])


def through_a_file(response: Response) -> Response:
    cassette = Cassette(
        interactions=(Interaction(request=Request(method="POST", url="http://x/"), response=response),)
    )
    text = render_cassette(cassette)
    return cassettes.parse_cassette(text, Path("x.yaml")).cassette.interactions[0].response


def test_a_chunk_that_is_a_frame_is_its_time_alone() -> None:
    response = stored((412, b"data: {}\n\n"), (430, b"data: [1]\n\n"), (431, b"data: [DONE]\n\n"))
    assert response.events == ("{}", "[1]", "[DONE]")
    assert response.stream == Stream(chunks="412 430 431")


def test_chunks_of_several_frames_and_of_parts_of_frames_are_told_apart() -> None:
    response = stored((1, b"data: {}\n\ndata: {}\n\n"), (2, b"data: "), (3, b"[1]\n\n"), (4, b"data: {}\n\n"))
    assert response.stream == Stream(chunks="1x2 2/6 3/5 4")
    assert [chunk.data for chunk in chunks_of(response)] == [
        b"data: {}\n\ndata: {}\n\n",
        b"data: ",
        b"[1]\n\n",
        b"data: {}\n\n",
    ]


PIECES = st.sampled_from(
    [
        b"data: {}\n\n",
        b"data: \xe4\xbd\xa0",
        b"\xe4",
        b"\xbd\xa0\r",
        b"\n",
        b"\r\n\r\n",
        b": hi\n\n",
        b"\xff",
        b"x" * 300,
    ]
)


@given(
    pieces=st.lists(st.tuples(st.integers(0, 99_999), PIECES), min_size=1, max_size=9),
    kind=st.sampled_from(
        ["text/event-stream", "text/event-stream; charset=utf-8", "application/x-ndjson", "text/plain"]
    ),
)
def test_the_same_chunks_come_back_from_the_file(pieces: list[tuple[int, bytes]], kind: str) -> None:
    response = through_a_file(stored(*pieces, headers={"content-type": kind}))
    body = b"".join(data for _, data in pieces)
    assert body_bytes(response) == body
    if response.events is not None or len(pieces) > 1:
        assert [tuple(chunk) for chunk in chunks_of(response)] == pieces


@given(cuts=st.sets(st.integers(1, 59), max_size=10))
def test_where_chunks_end_changes_no_event(cuts: set[int]) -> None:
    body = 'data: {"text": "你好"}\r\n\r\n: ping\n\nevent: x\rdata: 1\r\rdata: [DONE]\n\n'.encode()
    ends = [0, *sorted(cuts), len(body)]
    chunks = [(0, body[start:end]) for start, end in itertools.pairwise(ends)]
    assert stored(*chunks).events == stored((0, body)).events


def test_a_json_body_has_no_chunks() -> None:
    response = stored((1, b'{"a"'), (2, b": 1}"), headers={"content-type": "application/json"})
    assert response.json == {"a": 1}
    assert response.stream is None
    assert len(chunks_of(response)) == 1


def test_a_stream_that_nobody_timed_comes_frame_by_frame() -> None:
    response = Response(status=200, events=("{}", RawFrame(frame=": x\n\n"), "[DONE]"))
    assert [chunk.data for chunk in chunks_of(response)] == [b"data: {}\n\n", b": x\n\n", b"data: [DONE]\n\n"]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ("1", [b"data: {}\n\ndata: [DONE]\n\n"]),
        ("1 2 3 4", [b"data: {}\n\n", b"data: [DONE]\n\n"]),
        ("1x9", [b"data: {}\n\ndata: [DONE]\n\n"]),
        ("1/4 2 3", [b"data", b": {}\n\n", b"data: [DONE]\n\n"]),
        ("1/999", [b"data: {}\n\ndata: [DONE]\n\n"]),
        ("1x0 1/0 2x2", [b"data: {}\n\ndata: [DONE]\n\n"]),
        ("1x0", [b"data: {}\n\ndata: [DONE]\n\n"]),
    ],
)
def test_chunks_that_do_not_fit_an_edited_body_lose_nothing_of_it(chunks: str, expected: list[bytes]) -> None:
    response = Response(status=200, events=("{}", "[DONE]"), stream=Stream(chunks=chunks))
    assert [chunk.data for chunk in chunks_of(response)] == expected


def test_an_empty_body_has_no_chunks() -> None:
    assert chunks_of(stored()) == []
    assert chunks_of(Response(status=200, events=())) == []


@pytest.mark.parametrize(
    "stream",
    [
        {"chunks": "1 x"},
        {"chunks": "1  2"},
        {"chunks": "9" * 5000},
        {"end": "broken"},
        {"end": "closed", "error": "reset"},
        {"error": "reset"},
        {"end": "complete"},
    ],
)
def test_what_no_stream_can_be_is_refused(stream: dict[str, str]) -> None:
    tree = {
        "stepreplay": 1,
        "interactions": [
            {
                "request": {"method": "GET", "url": "https://a.test/"},
                "response": {"status": 200, "stream": stream},
            }
        ],
    }
    with pytest.raises(CassetteReadError, match="stream"):
        cassette_of(tree, "", Path("x.yaml"))


def test_a_long_stream_is_not_held_several_times() -> None:
    frame = b'data: {"text": "%b"}\n\n' % (b"x" * 1000)
    tracemalloc.start()
    try:
        chunks = [Chunk(i, bytes(bytearray(frame))) for i in range(5000)]
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        response = response_from_chunks(200, EVENTS, chunks)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(response.events or ()) == 5000
    assert peak < before * 1.7


ITEMS = ('[{"a": "[1, é"}\n', ',\r\n{"b": [{}]}\n', "]")


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        (ITEMS, "text"),
        (("[", '{"a": 1}', ", ", '{"b": 2}', "]"), "text"),
        (("".join(ITEMS),), "json"),
        (('[{"a": "[1,', ' 2"}', "]"), "json"),
        (("[1,", "2]"), "json"),
        (('{"a": [{}', ",{}]}"), "json"),
        (ITEMS[:2], "text"),
    ],
)
def test_an_array_that_comes_item_by_item_keeps_each_byte(pieces: tuple[str, ...], kind: str) -> None:
    sent = [Chunk(10 * i, piece.encode()) for i, piece in enumerate(pieces)]
    kept = response_from_chunks(200, {"content-type": "application/json; charset=UTF-8"}, [*sent])
    assert kept.body_kind == kind
    if kind == "text":
        assert chunks_of(kept) == sent
        whole = "".join(pieces)
        assert body_of(kept) == json.loads(whole if whole.endswith("]") else f"{whole}]")
