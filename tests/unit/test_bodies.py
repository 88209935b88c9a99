"""A body comes back as it was: equal as JSON where it is stored as JSON, byte for byte where it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_stepreplay.models import BODY_KINDS, Cassette, Interaction, RawFrame, Request, Response
from pytest_stepreplay.store import cassettes
from pytest_stepreplay.store.schema import tree_of
from pytest_stepreplay.wire.bodies import body_bytes, request_from_wire, response_from_wire
from tests.rendering import render_cassette

URL = "https://api.stepfun.com/v1/chat/completions"


def request(body: bytes, content_type: str | None = "application/json") -> Request:
    return request_from_wire("POST", URL, body, content_type)


def response(body: bytes, content_type: str = "application/json") -> Response:
    return response_from_wire(200, {"content-type": content_type}, body)


def stored(message: Request | Response) -> Any:
    """The one field that holds the body, by its name."""
    return {kind: body for kind, body in tree_of(message).items() if kind in BODY_KINDS}


def through_a_file(message: Response) -> Response:
    cassette = Cassette(interactions=(Interaction(request=request(b""), response=message),))
    return cassettes.parse_cassette(render_cassette(cassette), Path("x")).cassette.interactions[0].response


# ---------------------------------------------------------------- the form a body is stored in


def test_the_rest_of_a_message_is_kept() -> None:
    sent = request(b'{"a": [1, 1.0, true, null]}')
    assert (sent.method, sent.url, sent.json) == ("POST", URL, {"a": [1, 1.0, True, None]})
    got = response_from_wire(429, {"content-type": "application/json", "retry-after": "1"}, b"{}")
    assert (got.status, got.headers, got.json) == (
        429,
        {"content-type": "application/json", "retry-after": "1"},
        {},
    )


def test_no_body_is_stored_as_none() -> None:
    assert stored(request(b"")) == stored(response(b"")) == stored(response(b"", "text/event-stream")) == {}
    assert request(b"").body_kind is None
    assert body_bytes(response(b"")) == b""


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", None, "application/json; charset=utf-8"]
)
def test_objects_and_arrays_are_json_whatever_the_server_calls_them(content_type: str | None) -> None:
    assert stored(request(b' {"a": [1]}\n', content_type)) == {"json": {"a": [1]}}
    assert stored(request(b"[]", content_type)) == {"json": []}


def test_other_json_needs_a_type_that_says_so() -> None:
    assert stored(response(b"null")) == {"json": None}
    assert stored(response(b"1", "application/problem+json")) == {"json": 1}
    assert stored(response(b'"a"', "Application/JSON;charset=utf-8")) == {"json": "a"}
    assert stored(response(b"true", "text/plain")) == {"text": "true"}
    assert stored(request(b"1", None)) == {"text": "1"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 1}',
        b'[{"a": {"b": 1, "b": 2}}]',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e400}',
        b'{"a": 1e-400}',
        b'{"a": 0.1234567890123456789012}',
        b'{"a": 12345678901234567890.5}',
        b'{"a": 1e99999999999999999999}',
        b'{"a": 1e-99999999999999999999}',
        b'{"a": "\\ud83d"}',
        b'{"\\uDE00": 1}',
        b'{"a": 1',
        b"{'a': 1}",
        b'{"a": 1}{"a": 2}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 201 + b"]" * 201,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 200_000,
        b"   ",
        "你好\x00\x1b[31m\r\n".encode(),
    ],
    ids=lambda body: ascii(body[:24]),
)
def test_what_would_not_come_back_equal_is_text(body: bytes) -> None:
    for message in (request(body), response(body)):
        assert message.body_kind == "text"
        assert body_bytes(message) == body


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (
            b'{"a": 1.0, "b": 1, "c": 1E2, "d": 1.50, "e": -0.0}',
            {"a": 1.0, "b": 1, "c": 100.0, "d": 1.5, "e": -0.0},
        ),
        (b'{"a": 0.1, "b": 1e23, "c": 5e-324}', {"a": 0.1, "b": 1e23, "c": 5e-324}),
        (b'{"a": "\\ud83d\\ude00 \\\\ud800"}', {"a": "😀 \\ud800"}),
        (b'{"a": ' + b"9" * 4000 + b"}", {"a": 10**4000 - 1}),
        (b"[" * 200 + b"]" * 200, None),
        (b"[" + b"[]," * 300 + b"{}]", None),
        ('{"a": "\u2028\ufeff"}'.encode(), {"a": "\u2028\ufeff"}),
    ],
    ids=["numbers", "floats", "escapes", "digits", "deep", "wide", "odd"],
)
def test_unusual_json_is_still_json(body: bytes, value: object) -> None:
    message = response(body)
    assert message.body_kind == "json"
    assert repr(message.json) == repr(value or message.json)
    assert json.loads(body_bytes(message)) == json.loads(body)
    assert body_bytes(through_a_file(message)) == body_bytes(message)


def test_json_is_sent_without_spaces_and_with_its_own_characters() -> None:
    assert body_bytes(response('{"a": "你\\n", "b": [1, 2]}'.encode())) == '{"a":"你\\n","b":[1,2]}'.encode()


def test_what_is_not_utf8_is_base64() -> None:
    for body in (
        b"\xff\xfe\x00",
        '{"a": "é"}'.encode("latin-1"),
        '{"a": 1}'.encode("utf-16"),
        b"data: \xff\n\n",
    ):
        message = response(body, "text/event-stream")
        assert message.body_kind == "base64"
        assert body_bytes(through_a_file(message)) == body


# ---------------------------------------------------------------- server-sent events


def test_each_event_is_its_one_line_of_json() -> None:
    body = b'data: {"id":"1"}\n\ndata: {"id": "2"}\n\ndata: [DONE]\n\n'
    message = response(body, "text/event-stream; charset=utf-8")
    assert message.events == ('{"id":"1"}', '{"id": "2"}', "[DONE]")
    assert body_bytes(message) == body


def test_a_frame_that_is_more_than_its_data_keeps_its_text() -> None:
    body = b': PROCESSING\n\nevent: error\ndata: {}\n\ndata:{}\n\n data: {}\n\r\ndata: x\n\ndata: {"a'
    message = response(body, "text/event-stream")
    assert message.events is not None
    assert all(isinstance(event, RawFrame) for event in message.events)
    assert body_bytes(message) == body


@pytest.mark.parametrize("start", [b"", b": hi\n\n", b"event: a\n", b"id: 1\r\nretry: 5\r\n"])
def test_events_are_known_by_their_look_where_the_type_says_nothing(start: bytes) -> None:
    body = start + b"data: {}\n\n"
    assert response(body, "text/plain").body_kind == "events"
    assert response(body, "").body_kind == "events"
    assert body_bytes(response(body, "")) == body


def test_a_request_and_json_are_never_events() -> None:
    assert stored(request(b"data: {}\n\n", "text/event-stream")) == {"text": "data: {}\n\n"}
    assert stored(response(b"data: {}\n\n", "application/json")) == {"text": "data: {}\n\n"}
    assert stored(response(b"id: none", "text/plain")) == {"text": "id: none"}


frames = st.sampled_from(
    ["data: ", "{}", '{"a":1}', "[DONE]", "\n", "\n\n", "\r\n", ":", " ", "event: x", "\u2028", "你"]
)


@given(
    st.binary() | st.text().map(str.encode) | st.lists(frames).map(lambda parts: "".join(parts).encode()),
    st.booleans(),
)
@example(b"data: {}\n\ndata: [DONE]\n\n", True)
@example(b"\n\n\n", True)
def test_events_text_and_base64_come_back_byte_for_byte(body: bytes, is_stream: bool) -> None:
    message = through_a_file(response(body, "text/event-stream" if is_stream else "text/plain"))
    if message.body_kind == "json":
        assert json.loads(body_bytes(message)) == json.loads(body)
    else:
        assert body_bytes(message) == body


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(trees, st.booleans(), st.sampled_from([None, 2]))
def test_any_json_comes_back_equal(tree: Any, escaped: bool, indent: int | None) -> None:
    body = json.dumps(tree, ensure_ascii=escaped, indent=indent).encode(errors="surrogatepass")
    message = through_a_file(response(body))
    assert message.body_kind == "json"
    assert json.dumps(json.loads(body_bytes(message))) == json.dumps(tree)
