"""Cassettes that vcrpy wrote are read as it meant them, whatever its age, and nothing in them is executed."""

from __future__ import annotations

import copy
import gzip
import io
import json
import zlib
from base64 import b64encode
from pathlib import Path
from textwrap import dedent, indent
from typing import TYPE_CHECKING, Any

import pytest
import vcr.request
import vcr.serialize
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import istr
from vcr.serializers import jsonserializer, yamlserializer

from pytest_stepreplay.errors import CassetteReadError
from pytest_stepreplay.store import cassettes
from pytest_stepreplay.wire.bodies import body_bytes

if TYPE_CHECKING:
    from pytest_stepreplay.models import Interaction

# vcrpy is not typed.
VcrRequest: Any = vcr.request.Request
vcr_serialize: Any = vcr.serialize.serialize
vcr_deserialize: Any = vcr.serialize.deserialize

HERE = Path("cassettes/old.yaml")
URL = "https://api.stepfun.com/v1/chat/completions"

CHAT = """\
interactions:
- request:
    body: '{"model": "step-3.5-flash", "messages": [{"role": "user", "content": "Say
      hello."}]}'
    headers:
      Accept:
      - application/json
      Authorization:
      - Bearer hunter2
      Content-Type:
      - application/json
    method: POST
    uri: https://api.stepfun.com/v1/chat/completions
  response:
    body:
      string: '{"id": "1", "object": "chat.completion"}'
    headers: &id001
      Content-Type:
      - application/json
      Date:
      - Sun, 22 Nov 2026 17:00:00 GMT
      Retry-After:
      - '1'
      Set-Cookie:
      - a=b
      - c=d
    status:
      code: 200
      message: OK
- request:
    body: null
    headers: {}
    method: GET
    uri: https://api.stepfun.com/v1/models
  response:
    body:
      string: ''
    headers: *id001
    status:
      code: 204
      message: No Content
version: 1
"""


def read(text: str, path: Path = HERE) -> tuple[Interaction, ...]:
    found = cassettes.parse_cassette(text, path)
    assert found.format == "vcr"
    return found.cassette.interactions


def edited(old: str, new: str) -> Interaction:
    assert old in CHAT
    return read(CHAT.replace(old, new))[0]


def request_body(yaml: str) -> bytes:
    """The body of a request that is written like this."""
    start, end = CHAT.index("    body: '{"), CHAT.index("    headers:")
    return body_bytes(read(f"{CHAT[:start]}    body: {yaml}\n{CHAT[end:]}")[0].request)


def problem_of(text: str, path: Path = HERE) -> str:
    with pytest.raises(CassetteReadError) as caught:
        cassettes.parse_cassette(text, path)
    return str(caught.value).splitlines()[0]


# ---------------------------------------------------------------- what vcrpy writes


def test_a_cassette_of_vcrpy_is_read_like_one_of_ours() -> None:
    first, second = read(CHAT)
    assert (first.request.method, first.request.url) == ("POST", URL)
    assert first.request.json["messages"] == [{"role": "user", "content": "Say hello."}]
    assert first.response.status == 200
    assert first.response.json == {"id": "1", "object": "chat.completion"}
    assert (second.request.method, second.request.body_kind) == ("GET", None)
    assert (second.response.status, second.response.body_kind) == (204, None)


def test_only_headers_that_are_kept_come_over() -> None:
    first, second = read(CHAT)
    assert first.response.headers == {"content-type": "application/json", "retry-after": "1"}
    assert second.response.headers == first.response.headers
    assert "hunter2" not in repr(first)


def test_headers_may_be_missing() -> None:
    assert read(CHAT.replace("    headers: {}\n", "    headers: null\n")) == read(CHAT)
    assert read(CHAT.replace("    headers: {}\n", "")) == read(CHAT)


def test_a_file_without_a_version_or_without_interactions_is_one_too() -> None:
    assert read(CHAT.replace("version: 1\n", "")) == read(CHAT)
    assert read("interactions: []\nversion: 1\n") == ()
    assert read(CHAT + "metadata:\n  seed: 1\n") == read(CHAT)


@pytest.mark.parametrize(
    "headers",
    [
        "{Content-Type: [text/plain], RETRY-AFTER: ['1', '2']}",
        "{content-type: text/plain, retry-after: '1, 2'}",
        "{content-type: text/plain, Retry-After: 1, retry-after: 2}",
        "{content-type: !!python/tuple [text/plain], retry-after: !!python/tuple ['1', '2']}",
        "{content-type: !!binary dGV4dC9wbGFpbg==, retry-after: '1, 2'}",
    ],
)
def test_headers_are_lists_or_text(headers: str) -> None:
    start, end = CHAT.index("&id001"), CHAT.index("    status:")
    first = read(f"{CHAT[:start]}&id001 {headers}\n{CHAT[end:]}")[0]
    assert first.response.headers == {"content-type": "text/plain", "retry-after": "1, 2"}


@pytest.mark.parametrize(
    ("yaml", "body"),
    [
        ("null", b""),
        ("''", b""),
        ("hello", b"hello"),
        ("no", b"no"),
        ("!!binary |\n      aGVsbG8=", b"hello"),
        ("!!python/unicode 'h\u00e9'", "hé".encode()),
        ("!!python/str hello", b"hello"),
        ("!!str 5", b"5"),
        ("{string: hello}", b"hello"),
        ("{string: !!binary //4=}", b"\xff\xfe"),
        ("{string: null}", b""),
        ("{base64_string: aGVs\n        bG8=}", b"hello"),
        ('{model: step, "n": 1, list: [true, null, 0.5]}', b'{"model":"step","n":1,"list":[true,null,0.5]}'),
        ("[a, !!binary Yg==, c]", b"abc"),
        (
            "!!python/object/new:_io.BytesIO\n      state: !!python/tuple [!!binary aGVsbG8=, 0, null]",
            b"hello",
        ),
        (
            "!!python/object/new:_io.BytesIO\n      state: !!python/tuple\n      - hello\n      - 0",
            b"hello",
        ),
        (
            "!!python/object/apply:builtins.iter\n      args:\n      - - !!binary aGVs\n        - lo",
            b"hello",
        ),
        (
            "!!python/object/apply:builtins.iter\n      args: !!python/tuple [[!!binary aGVsbG8=]]",
            b"hello",
        ),
    ],
)
def test_every_form_of_a_body(yaml: str, body: bytes) -> None:
    assert request_body(yaml) == body


@pytest.mark.parametrize(
    "how", ["apply:multidict._multidict.istr", "new:multidict._multidict.istr", "new:multidict.istr"]
)
def test_header_names_that_are_objects_of_aiohttp_are_text(how: str) -> None:
    key = f"? !!python/object/{how}\n      - Content-Type\n      :"
    assert (
        edited("&id001\n      Content-Type:", f"&id001\n      {key}").response.headers["content-type"]
        == "application/json"
    )
    key = f"? !!python/object/{how}\n        args: [Content-Type]\n        state: {{}}\n      :"
    assert (
        edited("&id001\n      Content-Type:", f"&id001\n      {key}").response.headers["content-type"]
        == "application/json"
    )


def test_the_shape_that_old_versions_wrote_for_httpx() -> None:
    start, end = CHAT.index("    body:\n"), CHAT.index("- request:\n    body: null")
    old = indent(
        dedent(
            """\
            content: '{"a": 1}'
            headers: &id001
              Content-Encoding: [gzip]
              Content-Type: [application/json]
            http_version: HTTP/1.1
            status_code: 201
            """
        ),
        "    ",
    )
    first = read(CHAT[:start] + old + CHAT[end:])[0].response
    assert (first.status, first.headers, first.json) == (201, {"content-type": "application/json"}, {"a": 1})


def test_a_stream_is_read_as_events() -> None:
    body = 'data: {"id":"1"}\n\ndata: [DONE]\n\n'
    first = edited("""'{"id": "1", "object": "chat.completion"}'""", json.dumps(body))
    assert first.response.events is None  # it says that it is JSON
    text = CHAT.replace("""'{"id": "1", "object": "chat.completion"}'""", json.dumps(body))
    first = read(
        text.replace(
            "&id001\n      Content-Type:\n      - application/json",
            "&id001\n      Content-Type: text/event-stream",
        )
    )[0]
    assert first.response.events == ('{"id":"1"}', "[DONE]")


# ---------------------------------------------------------------- compressed bodies


def compressed(body: bytes, encoding: str) -> Interaction:
    tree = {
        "request": {"method": "GET", "uri": URL, "headers": {}, "body": None},
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"Content-Encoding": [encoding], "Content-Type": ["application/json"]},
            "body": {"base64_string": b64encode(body).decode()},
        },
    }
    return read(json.dumps({"interactions": [tree], "version": 1}), Path("x.json"))[0]


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("gzip", bytes), ("br", bytes)],
)
def test_bodies_are_decompressed_if_they_are_compressed(encoding: str, encode: Any) -> None:
    assert compressed(encode(b'{"a": 1}'), encoding).response.json == {"a": 1}
    assert compressed(encode(b'{"a": 1}'), encoding).response.headers == {"content-type": "application/json"}


def test_a_body_that_cannot_be_decompressed_is_an_error_with_its_place() -> None:
    body = json.dumps(b64encode(gzip.compress(b"hello")[:-4]).decode())
    text = CHAT.replace(
        """      string: '{"id": "1", "object": "chat.completion"}'""", f"      base64_string: {body}"
    )
    text = text.replace("      Date:", "      Content-Encoding:\n      - gzip\n      Date:")
    assert problem_of(text) == f"{HERE}:15: interactions[0].response.body: a body is compressed, but cut off"


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system [touch pwned]",
        "!!python/object/new:os.system [touch pwned]",
        "!!python/object:os.system {}",
        "!!python/name:os.system ''",
        "!!python/module:os ''",
        "!!python/object/apply:builtins.eval ['1']",
        "!!python/object/apply:builtins.iter [1]",
        "!!python/object/new:_io.BytesIO {}",
        "!!python/object/apply:evil.multidict.istr [x]",
        "!!python/object/apply:multidict.istr [5]",
        "!!python/tuple x",
        "!!python/str [x]",
        "!!binary '%%'",
        "!!set {a}",
        "!mine x",
    ],
)
def test_other_tags_are_refused_and_nothing_runs(
    tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start, end = CHAT.index("    body: '{"), CHAT.index("    headers:")
    problem = problem_of(f"{CHAT[:start]}    body: {tag}\n{CHAT[end:]}")
    assert problem.startswith(f"{HERE}:3: has ")
    assert not list(tmp_path.iterdir())


def test_aliases_cannot_fill_the_memory() -> None:
    bomb = (
        "a: &a0 ["
        + "x, " * 10
        + "]\n"
        + "".join(f"b{i}: &a{i} [{f'*a{i - 1}, ' * 10}]\n" for i in range(1, 12))
    )
    assert problem_of(bomb + CHAT).startswith(
        f"{HERE}:7: has aliases that stand for more than fits into memory"
    )
    assert problem_of("a: &a [*a]\n" + CHAT).startswith(f"{HERE}:1: has an alias without an anchor before it")
    assert problem_of("a: *b\n" + CHAT).startswith(f"{HERE}:1: has an alias without an anchor before it")


def test_many_interactions_may_share_their_headers() -> None:
    head, shared = CHAT.split("- request:\n    body: null")
    shared = "- request:\n    body: null" + shared.removesuffix("version: 1\n")
    assert len(read(head + shared * 500)) == 501


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("version: 1", "version: 2", ":42: version: only version 1 of vcrpy's cassettes can be read"),
        ("    method: POST\n", "", ":2: interactions[0].request: there is no 'method'"),
        ("    method: POST", "    method: 5", ":12: interactions[0].request.method: should be text"),
        (
            "    uri: https://api.stepfun.com/v1/chat",
            "    url: /chat",
            ":2: interactions[0].request: there is no 'uri'",
        ),
        (
            "  response:\n    body:\n      string: '{",
            "  answer:\n    body:\n      string: '{",
            ": interactions[0]: there is no 'response'",
        ),
        ("code: 200", "code: OK", ":28: interactions[0].response.status.code: should be a whole number"),
        ("code: 200", "code: 2000", ":27: interactions[0].response.status: there is no such HTTP status"),
        ("code: 200", "code: true", ":28: interactions[0].response.status.code: should be a whole number"),
        ("    headers: {}", "    headers: 5", ":32: interactions[1].request.headers: should be a mapping"),
        (
            "    body: null\n",
            "    data: {}\n",
            ":30: interactions[1].request: there is no 'body', which plain",
        ),
        (
            "    body: null",
            "    body: 5",
            ":31: interactions[1].request.body: is not in a form that plain vcrpy writes",
        ),
        (
            "    body: null",
            "    body: [5]",
            ":31: interactions[1].request.body: is not in a form that plain vcrpy writes",
        ),
        (
            "    body: null",
            "    body: {base64_string: '%'}",
            ":31: interactions[1].request.body.base64_string: should be",
        ),
        (
            "      string: ''",
            "      text: ''",
            ":36: interactions[1].response.body: is not in a form that plain",
        ),
        (
            "    body:\n      string: ''\n",
            "",
            ":35: interactions[1].response: there is no 'body', which plain",
        ),
        (
            "- request:\n    body: null",
            "- 5\n- request:\n    body: null",
            ":30: interactions[1]: should be a mapping",
        ),
    ],
)
def test_what_vcrpy_does_not_write_is_an_error_with_its_place(old: str, new: str, problem: str) -> None:
    assert old in CHAT
    found = problem_of(CHAT.replace(old, new))
    assert problem in found
    assert found.startswith(f"{HERE}:")


# ---------------------------------------------------------------- the same as vcrpy reads

plain_bodies = (
    st.none()
    | st.text()
    | st.binary()
    | st.sampled_from([b'{"a":1}', "data: {}\n\n", "no", "2001-01-01", "1"])
)
header_values = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=8)
header_maps = st.dictionaries(st.sampled_from(["Content-Type", "X-Trace-Id", "Retry-After"]), header_values)
file_bodies = st.binary().map(io.BytesIO) | st.lists(st.binary(max_size=5)).map(iter)
statuses = st.integers(100, 599)
calls = st.tuples(
    st.sampled_from(["GET", "POST"]), plain_bodies | file_bodies, header_maps, statuses, plain_bodies
)


def written(made: list[Any], serializer: Any) -> str:
    requests = [VcrRequest(method, URL, body, headers) for method, body, headers, _, _ in made]
    responses = [
        {
            "status": {"code": status, "message": None},
            "headers": {name: [value] for name, value in headers.items()},
            "body": {"string": content},
        }
        for _, _, headers, status, content in made
    ]
    text: str = vcr_serialize({"requests": requests, "responses": responses}, serializer)
    return text


def assert_same_as_vcrpy(text: str, serializer: Any, path: Path) -> None:
    requests, responses = vcr_deserialize(text, serializer)
    found = read(text, path)
    assert len(found) == len(requests)
    for ours, theirs, answer in zip(found, requests, responses, strict=True):
        assert (ours.request.method, ours.request.url) == (theirs.method, theirs.uri)
        assert same_body(body_bytes(ours.request), sent(theirs.body))
        assert ours.response.status == answer["status"]["code"]
        assert same_body(body_bytes(ours.response), answer["body"]["string"] or b"")
        kept = {name.lower(): values[0] for name, values in answer["headers"].items()}
        kept.pop("x-trace-id", None)
        assert ours.response.headers == kept


def sent(body: Any) -> bytes:
    if hasattr(body, "read"):
        sent: bytes = body.read()
        return sent
    if isinstance(body, str):
        return body.encode()
    return b"".join(body) if hasattr(body, "__next__") else body or b""


def same_body(ours: bytes, theirs: bytes) -> bool:
    return ours == theirs or json.loads(ours) == json.loads(theirs)


@given(st.lists(calls, max_size=3))
@example([("GET", None, {}, 200, "a\x85b\u2028\x1b"), ("GET", b"\xff", {"Retry-After": "1"}, 200, b"\xff")])
def test_yaml_of_vcrpy_is_read_as_vcrpy_reads_it(made: list[Any]) -> None:
    text = written(copy.deepcopy(made), yamlserializer)
    assert_same_as_vcrpy(text, yamlserializer, HERE)


texts_only = st.tuples(
    st.sampled_from(["GET", "POST"]), st.none() | st.text(), header_maps, statuses, st.none() | st.text()
)


@given(st.lists(texts_only, max_size=3))
@example([("GET", "😀", {}, 200, "😀 你好")])
def test_json_of_vcrpy_is_read_as_vcrpy_reads_it(made: list[Any]) -> None:
    text = written(made, jsonserializer)
    assert_same_as_vcrpy(text, jsonserializer, Path("old.json"))


def test_what_vcrpy_writes_for_aiohttp_is_read() -> None:
    request = {"method": "POST", "uri": URL, "body": "{}", "headers": {istr("Accept"): ["*/*"]}}
    response = {
        "status": {"code": 200, "message": "OK"},
        "headers": {istr("Content-Type"): ["application/json"]},
        "body": {"string": "{}"},
    }
    text = yaml.dump({"interactions": [{"request": request, "response": response}], "version": 1})
    assert "istr" in text
    assert read(text)[0].response.headers == {"content-type": "application/json"}
