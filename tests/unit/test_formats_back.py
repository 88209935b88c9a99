"""Our cassettes become those of other tools, and come back equal; plain vcrpy replays what was written for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import vcr
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from vcr.request import Request as VcrRequest
from vcr.serialize import serialize as _serialize
from vcr.serializers import jsonserializer, yamlserializer

from pytest_stepreplay.cli.convert import TARGETS
from pytest_stepreplay.formats import WRITABLE
from pytest_stepreplay.models import Cassette, Interaction
from pytest_stepreplay.store import cassettes
from pytest_stepreplay.wire.bodies import body_bytes, request_from_wire, response_from_wire

vcr_serialize: Any = _serialize
URL = "http://nowhere.invalid/v1/chat/completions"
SUFFIXES = {"vcr": ".yaml", "har": ".har", "jsonl": ".jsonl"}
CHAT = json.dumps({"model": "m", "messages": [{"role": "user", "content": "héllo\n😀"}]}).encode()
STREAM = b': hi\n\ndata: {"id":"1"}\n\nevent: error\ndata: {}\n\ndata: x'


def render(cassette: Cassette, format_: str) -> str:
    return WRITABLE[format_].render(cassette)


def test_every_format_that_can_be_written_is_offered() -> None:
    assert sorted(TARGETS) == sorted(["stepreplay", *WRITABLE])


def interaction(  # noqa: PLR0917 - in the order of the wire
    method: str, request: bytes, kind: str | None, status: int, response: bytes, answer_kind: str | None
) -> Interaction:
    headers = {"content-type": answer_kind} if answer_kind else {}
    return Interaction(
        recorded_at="2026-11-22T17:00:00Z",
        elapsed=0.412,
        request=request_from_wire(method, URL, request, kind),
        response=response_from_wire(status, headers, response),
    )


json_bodies = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).map(lambda tree: json.dumps(tree).encode())
bodies = (
    st.binary()
    | st.text().map(str.encode)
    | json_bodies
    | st.sampled_from([b"", CHAT, STREAM, b'{"a":1,"a":2}', b"5", b'"x"'])
)
request_kinds = st.sampled_from([None, "application/json"])
answer_kinds = st.sampled_from([None, "application/json", "text/event-stream", "text/plain; charset=utf-8"])
interactions = st.builds(
    interaction,
    st.sampled_from(["GET", "POST"]),
    bodies,
    request_kinds,
    st.integers(200, 599),
    bodies,
    answer_kinds,
)


@pytest.mark.parametrize("format_", SUFFIXES)
@settings(max_examples=60)
@given(made=st.lists(interactions, min_size=1, max_size=3))
@example(made=[interaction("POST", CHAT, "application/json", 200, STREAM, "text/event-stream")] * 2)
@example(
    made=[interaction("POST", b"[]", None, 200, b'[{"object":"chat.completion.chunk"}]', "application/json")]
)
@example(made=[interaction("POST", b"a\x85b\r\n", None, 200, b"base64:aGk=", None)])
def test_what_goes_there_comes_back_equal(format_: str, made: list[Interaction]) -> None:
    text = render(Cassette(interactions=tuple(made)), format_)
    found = cassettes.parse_cassette(text, Path(f"x{SUFFIXES[format_]}")).cassette.interactions
    if format_ == "vcr":  # it has no place for these
        made = [replace(each, recorded_at=None, elapsed=None) for each in made]
    assert [*found] == made


@pytest.mark.parametrize("format_", ["har", "jsonl"])
def test_what_is_not_known_of_an_interaction_stays_unknown(format_: str) -> None:
    (made,) = [interaction("GET", b"", None, 200, b"hi", None)]
    made = replace(made, recorded_at=None, elapsed=None)
    text = render(Cassette(interactions=(made,)), format_)
    assert cassettes.parse_cassette(text, Path("x")).cassette.interactions == (made,)


def test_an_archive_has_every_field_that_the_specification_demands() -> None:
    made = interaction("POST", CHAT, "application/json", 429, b"{}", "application/json")
    made = replace(made, recorded_at="some day")
    log = json.loads(render(Cassette(interactions=(made,)), "har"))["log"]
    assert log["version"] == "1.2"
    assert log.keys() >= {"creator", "entries"}
    (entry,) = log["entries"]
    assert entry.keys() >= {"startedDateTime", "time", "request", "response", "cache", "timings"}
    common = {"httpVersion", "cookies", "headers", "headersSize", "bodySize"}
    assert entry["request"].keys() >= {"method", "url", "queryString", "postData", *common}
    assert entry["response"].keys() >= {"status", "statusText", "content", "redirectURL", *common}
    assert entry["response"]["statusText"] == "Too Many Requests"
    assert entry["startedDateTime"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("client", "match_on"), [(httpx, ["method", "uri", "body"]), (requests, ["method", "uri"])]
)
def test_plain_vcrpy_replays_what_was_written_for_it(
    client: Any, match_on: list[str], tmp_path: Path
) -> None:
    made = (
        interaction("POST", CHAT, "application/json", 200, b'{"id": "1"}', "application/json"),
        interaction("POST", CHAT, "application/json", 200, b'{"id": "2"}', "application/json"),
        interaction("POST", b'{"stream": true}', "application/json", 200, STREAM, "text/event-stream"),
        interaction(
            "POST", b'{"bin": true}', "application/json", 500, b"\xff\xfe\x00", "application/octet-stream"
        ),
        interaction("DELETE", b"", None, 204, b"", None),
    )
    path = tmp_path / "x.yaml"
    path.write_text(render(Cassette(interactions=made), "vcr"), encoding="utf-8")
    matching: Any = vcr.VCR(record_mode="none", match_on=match_on)
    with matching.use_cassette(str(path)) as cassette:
        for each in made:
            body = body_bytes(each.request)
            tree = json.loads(body) if body else None
            answer = client.request(each.request.method, URL, json=tree) if body else client.delete(URL)
            assert (answer.status_code, answer.content) == (each.response.status, body_bytes(each.response))
            assert answer.headers.get("content-type") == each.response.headers.get("content-type")
        assert cassette.all_played


# ---------------------------------------------------------------- the same as vcrpy means

wire = (
    st.sampled_from([b"", b'{"a": 1}', b"hello", b"\xff\xfe\x00", "h\u00e9 \u0085\u2028".encode()])
    | st.binary()
)


@settings(max_examples=60)
@given(body=wire, as_json=st.booleans(), compressed=st.booleans(), zipped=st.booleans())
def test_what_vcrpy_writes_is_read_compressed_or_not(
    body: bytes, as_json: bool, compressed: bool, zipped: bool
) -> None:
    import gzip

    if as_json:
        body = body.decode("utf-8", "ignore").encode()
    on_the_wire = gzip.compress(body) if compressed and not as_json else body
    answer = {
        "status": {"code": 200, "message": "OK"},
        "headers": {"Content-Encoding": ["gzip"]} if compressed else {},
        "body": {"string": on_the_wire},
    }
    asked: Any = VcrRequest("POST", URL, body, {"Content-Length": "7"})
    serializer = jsonserializer if as_json else yamlserializer
    text = vcr_serialize({"requests": [asked], "responses": [answer]}, serializer).encode()
    name = "x.json" if as_json else "x.yaml"
    content = gzip.compress(text) if zipped else text
    (found,) = cassettes.parse_cassette(content, Path(name)).cassette.interactions
    for message in (found.request, found.response):
        ours = body_bytes(message)
        assert ours == body or json.loads(ours) == json.loads(body)


@settings(max_examples=100)
@given(body=json_bodies.map(json.loads))
@example(
    body={"no": ["yes", "1e5", "0x1F", "12:30", "2001-01-01", "~", "=", 1e20, 5e-324, -0.0, "a\n\n b\n"]}
)
def test_a_body_that_a_serializer_parsed_is_the_same_json_again(body: Any) -> None:
    asked = {"method": "POST", "uri": URL, "headers": {}, "parsed_body": {"body": body}}
    answer = {"status": {"code": 200, "message": "OK"}, "headers": {}, "parsed_body": [body]}
    tree = {"version": 1, "interactions": [{"request": asked, "response": answer}]}
    text = yaml.dump(tree, allow_unicode=True, width=120)
    (found,) = cassettes.parse_cassette(text, Path("x.yaml")).cassette.interactions
    (meant,) = yaml.safe_load(text)[
        "interactions"
    ]  # PyYAML folds a raw next-line character, say, into a space
    assert json.loads(body_bytes(found.request)) == meant["request"]["parsed_body"]
    assert json.loads(body_bytes(found.response)) == meant["response"]["parsed_body"]
