"""Files that the real tools wrote, and the shapes of logs that projects keep, are read as their tools meant them."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from pytest_stepreplay.errors import CassetteReadError
from pytest_stepreplay.formats import Foreign, ForeignExchange, Hints
from pytest_stepreplay.models import Interaction
from pytest_stepreplay.store import cassettes, paths
from pytest_stepreplay.store.cassettes import parse_source
from pytest_stepreplay.wire.bodies import body_bytes

FOREIGN = Path(__file__).parent / "foreign"
URL = "https://api.stepfun.com/v1/chat/completions"
CHAT = {"model": "step-3.5-flash", "messages": [{"role": "user", "content": "Say hello."}]}
ANSWER = {"id": "1", "object": "chat.completion", "choices": []}
STREAM = (
    '{"id":"1","object":"chat.completion.chunk","created":1,"model":"m",'
    '"choices":[{"index":0,"delta":{"content":"Hi"}}]}',
    "[DONE]",
)


def read(path: Path) -> tuple[str, tuple[Interaction, ...]]:
    found = cassettes.read_cassette(path)
    return found.format, found.cassette.interactions


def source(content: Any, name: str = "log.jsonl", hints: Hints | None = None) -> Foreign:
    if isinstance(content, list):
        content = "".join(f"{json.dumps(row)}\n" for row in content)
    elif not isinstance(content, str):
        content = json.dumps(content)
    found = parse_source(content, Path(name), hints)
    assert isinstance(found, Foreign)
    return found


def only(content: Any, name: str = "log.jsonl", hints: Hints | None = None) -> ForeignExchange:
    found = source(content, name, hints)
    assert found.skipped == ()
    (exchange,) = found.exchanges
    return exchange


def reason(content: Any, hints: Hints | None = None) -> str:
    found = source(content, hints=hints)
    assert found.exchanges == ()
    (skipped,) = found.skipped
    return skipped.reason


# ---------------------------------------------------------------- files of the real tools

EVERY_TOOL = [
    ("vcr-1.13-requests.yaml", "vcr", ["chat", "chat", "stream", "empty", "gz", "bin"]),
    ("vcr-1.13-requests.json", "vcr", ["chat", "chat", "stream", "empty"]),
    ("vcr-4.3-httpx.yaml", "vcr", ["chat", "chat", "stream", "empty", "gz"]),
    ("vcr-6.0-httpx.yaml", "vcr", ["chat", "chat", "stream", "empty", "gz"]),
    ("langchain.yaml.gz", "vcr", ["chat", "chat", "stream", "empty", "gz"]),
    ("cassetter.yaml", "cassetter", ["empty", "bin", "gz", "chat", "chat", "stream"]),
    ("cassetter.toml", "cassetter", ["empty", "bin", "gz", "chat", "chat", "stream"]),
    ("mitmproxy.har", "har", ["chat", "stream", "gz", "bin", "empty", "form"]),
    ("datadog-stream.json", "pair", ["stream"]),
    ("datadog-binary.json", "pair", ["bin"]),
]


@pytest.mark.parametrize(("name", "tool", "calls"), EVERY_TOOL)
def test_what_each_real_tool_recorded_is_read_whole(name: str, tool: str, calls: list[str]) -> None:
    found, interactions = read(FOREIGN / name)
    assert (found, [_kind_of(each) for each in interactions]) == (tool, calls)


def _kind_of(interaction: Interaction) -> str:
    """The call that this is, if all of it is as the server answered."""
    request, response = interaction.request, interaction.response
    path = request.url.removeprefix("http://127.0.0.1:8123").partition("?")[0]
    assert (response.status, response.headers["retry-after"]) == (200, "1")
    kinds = {
        "/gz": response.body_kind == "json" and response.json == {"id": "gz", "text": "héllo\nworld"},
        "/bin": body_bytes(request) == b"\xff\x00" and body_bytes(response) == b"\xff\xfe\x00\x01",
        "/empty": (request.method, request.body_kind, response.body_kind) == ("GET", None, None),
        "/form": request.text == "a=1+2&b=%C3%A9",
    }
    if path in kinds:
        assert kinds[path]
        return path[1:]
    assert (request.method, path) == ("POST", "/v1/chat/completions")
    assert request.json["messages"] == [{"role": "user", "content": 'Say "hi".\nPlease.'}]
    if request.json.get("stream"):
        assert response.events == STREAM
        return "stream"
    assert response.json["choices"][0]["message"] == {"role": "assistant", "content": "Hi"}
    return "chat"


def test_identical_requests_keep_the_order_of_their_answers() -> None:
    _, (first, second, *_) = read(FOREIGN / "vcr-1.13-requests.yaml")
    assert first.request == second.request
    assert [first.response.json["id"], second.response.json["id"]] == ["1", "2"]


def test_a_request_whose_body_the_tool_did_not_record_has_none() -> None:
    _, interactions = read(FOREIGN / "vcr-4.3-aiohttp.yaml")
    assert [each.request.body_kind for each in interactions] == [None] * 4
    assert [each.response.body_kind for each in interactions] == ["json", "json", "base64", None]


def test_when_it_was_recorded_is_kept_where_the_tool_says_it() -> None:
    _, interactions = read(FOREIGN / "cassetter.yaml")
    assert {each.recorded_at for each in interactions} == {"2026-11-22T22:17:09Z"}
    _, interactions = read(FOREIGN / "mitmproxy.har")
    assert (interactions[0].recorded_at, interactions[0].elapsed) == ("2026-11-22T22:17:18Z", 0.004)


@pytest.mark.parametrize("name", [name for name, *_ in EVERY_TOOL if not name.endswith(".gz")])
def test_marks_and_line_ends_of_windows_change_nothing(name: str, tmp_path: Path) -> None:
    content = (FOREIGN / name).read_bytes()
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    assert read(tmp_path / name) == read(FOREIGN / name)
    compressed = tmp_path / "weird [name] of a file"
    compressed.write_bytes(gzip.compress(content))
    assert read(compressed) == read(FOREIGN / name)


WHOLE = (FOREIGN / "langchain.yaml.gz").read_bytes()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (WHOLE[:-20], "is compressed, but cut off"),
        (WHOLE[:20] + b"\xff\xff\xff" + WHOLE[23:], "is compressed, but broken"),
        (WHOLE[:-8] + b"\0" * 8, "is compressed, but broken"),
        (gzip.compress(b" " * (33 << 20)), "holds more than 32 MiB, the most a cassette may have"),
        (gzip.compress(b"\xff"), "is not UTF-8 text"),
    ],
    ids=["cut", "bad data", "bad checksum", "too large", "no text"],
)
def test_a_compressed_file_that_cannot_be_read_is_an_error(content: bytes, problem: str) -> None:
    with pytest.raises(CassetteReadError, match=problem):
        cassettes.parse_cassette(content, Path("x.yaml.gz"))


# ---------------------------------------------------------------- vcrpy's local variants


def vcr(request: dict[str, Any], response: dict[str, Any], **more: Any) -> dict[str, Any]:
    asked = {"method": "POST", "uri": URL, "headers": {}, **request}
    given = {"status": {"code": 200, "message": "OK"}, "headers": {}, **response}
    return {"interactions": [{"request": asked, "response": given}], **more}


def test_bodies_that_a_serializer_parsed_are_json_again() -> None:
    exchange = only(vcr({"parsed_body": CHAT}, {"parsed_body": ANSWER}), "x.json")
    assert (json.loads(exchange.request_body), json.loads(exchange.body)) == (CHAT, ANSWER)
    exchange = only(vcr({"body": ""}, {"parsed_body": None}), "x.json")
    assert (exchange.request_body, exchange.body) == (b"", b"null")


def test_a_parsed_body_under_a_header_of_compression_is_read() -> None:
    headers = {"content-encoding": ["gzip"], "content-type": ["application/json"]}
    exchange = only(vcr({"body": ""}, {"parsed_body": ANSWER, "headers": headers}), "x.json")
    assert exchange.interaction().response.json == ANSWER


def test_an_interaction_that_is_broken_does_not_stop_the_others() -> None:
    tree = vcr({"body": ""}, {"body": {"string": "hello"}})
    broken = gzip.compress(b"x")[:-3]
    headers = {"content-encoding": ["gzip"]}
    cut = {"status": {"code": 200}, "headers": headers, "body": {"base64_string": b64encode(broken).decode()}}
    tree["interactions"] += [{"request": tree["interactions"][0]["request"], "response": cut}]
    tree["interactions"] += [{"response": cut}, {"grpc": {}}, "text"]
    found = source(tree, "x.json")
    assert [each.body for each in found.exchanges] == [b"hello"]
    assert [(each.location, each.reason, each.broken) for each in found.skipped] == [
        (("interactions", 1, "response", "body"), "a body is compressed, but cut off", True),
        (("interactions", 2), "it has no 'request', so it is not an HTTP exchange", True),
        (("interactions", 3), "it has no 'request', so it is not an HTTP exchange", False),
        (("interactions", 4), "should be a mapping", True),
    ]
    assert all(each.line for each in found.skipped if each.broken)


def test_in_replay_a_broken_interaction_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    broken: dict[str, Any] = {"request": {}, "response": {}}
    whole = {
        "request": {"method": "GET", "uri": "https://a.example/", "headers": {}, "body": None},
        "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "Hi"}},
    }
    fixes = []
    for interactions in ([broken], [broken, whole]):
        path.write_text(json.dumps({"interactions": interactions}), encoding="utf-8")
        with pytest.raises(CassetteReadError) as caught:
            cassettes.read_cassette(path)
        head, fix = str(caught.value).splitlines()
        assert head.endswith("x.json:1: interactions[0].request: there is no 'method'")
        fixes.append(fix)
    assert fixes == [
        "Fix it, or delete it and record it again with: pytest --stepreplay=record",
        f"Convert what can be read of it with: stepreplay convert {path} --to converted",
    ]


# ---------------------------------------------------------------- cassetter

CASSETTER = """\
version: 1
interactions:
- request:
    method: GET
    uri: https://api.stepfun.com/v1/models
    headers: {}
    body:
      type: none
  response:
    status: 200
    headers: {}
    body:
      type: text
      content: hi
grpc_interactions:
- request: {method: /a.B/C}
ws_interactions:
- uri: wss://api.stepfun.com/v1/realtime
  frames: []
"""


def test_calls_that_are_not_http_are_counted_and_left_out(tmp_path: Path) -> None:
    found = source(CASSETTER, "x.yaml")
    assert [each.body for each in found.exchanges] == [b"hi"]
    assert [each.reason for each in found.skipped] == [
        "it is a call over gRPC, not an HTTP exchange",
        "it is a conversation over a websocket, not an HTTP exchange",
    ]
    path = tmp_path / "x.yaml"
    path.write_text(CASSETTER, encoding="utf-8")
    assert len(read(path)[1]) == 1  # no HTTP client could ask for them


def test_an_interaction_of_vcrpy_in_a_cassette_of_cassetter_is_read() -> None:
    _, rest = CASSETTER.split("interactions:\n", 1)
    own = json.dumps(vcr({"body": ""}, {"body": {"string": "old"}})["interactions"][0])
    found = source(f"version: 1\ninteractions:\n- {own}\n{rest}", "x.yaml")
    assert [each.body for each in found.exchanges] == [b"old", b"hi"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("type: text", "type: binary", "interactions[0].response.body: should be hexadecimal"),
        ("type: text", "type: xml", "interactions[0].response.body: is not in a form that cassetter writes"),
        (
            "content: hi",
            "content: 5",
            "interactions[0].response.body: is not in a form that cassetter writes",
        ),
        ("status: 200", "status: 99", "interactions[0].response.status: there is no such HTTP status"),
        ("version: 1", "version: 7", "version: only version 1 of cassetter's cassettes can be read"),
        ("    uri: https", "    url: https", "interactions[0].request: there is no 'uri'"),
    ],
)
def test_what_cassetter_does_not_write_is_an_error_with_its_place(old: str, new: str, problem: str) -> None:
    with pytest.raises(CassetteReadError, match=r"x\.yaml:\d+: ") as caught:
        cassettes.parse_cassette(CASSETTER.replace(old, new, 1), Path("x.yaml"))
    assert problem in str(caught.value)


def test_empty_cassettes_of_cassetter_are_cassettes() -> None:
    assert source("version = 1\ninteractions = []\n", "x.toml") == Foreign("vcr", ())
    assert source("version: 1\ngrpc_interactions: []\n", "x.yaml") == Foreign("cassetter", ())


def test_broken_toml_is_an_error() -> None:
    with pytest.raises(CassetteReadError, match="is not valid TOML"):
        cassettes.parse_cassette("version = 1\n\n[[interactions]\n", Path("x.toml"))


# ---------------------------------------------------------------- HTTP archives


def entry(request: Any = None, response: Any = None, **more: Any) -> dict[str, Any]:
    asked = {"method": "POST", "url": URL, "headers": [], **(request or {})}
    given = {"status": 200, "headers": [], "content": {"size": 2, "text": "hi"}, **(response or {})}
    return {"startedDateTime": "2026-11-22T18:00:00+01:00", "request": asked, "response": given, **more}


def har(*entries: Any) -> dict[str, Any]:
    return {"log": {"version": "1.2", "entries": list(entries)}}


def test_an_entry_of_an_archive_is_an_exchange() -> None:
    exchange = only(har(entry(time=12)), "x.har")
    assert (exchange.body, exchange.recorded_at, exchange.elapsed) == (b"hi", "2026-11-22T17:00:00Z", 0.012)


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        ({}, b""),
        ({"postData": {"mimeType": "text/plain", "text": "é"}}, "é".encode()),
        ({"postData": {"mimeType": ""}}, b""),
        ({"postData": {"text": "//4=", "_encoding": "base64"}}, b"\xff\xfe"),
        ({"postData": {"text": "\xff\x00"}, "bodySize": 2}, b"\xff\x00"),
        ({"postData": {"text": "\xff"}, "headers": [{"name": "Content-Length", "value": "1"}]}, b"\xff"),
        ({"postData": {"text": "\xff"}, "bodySize": 2}, "\xff".encode()),
        ({"postData": {"text": "\xff"}, "bodySize": -1}, "\xff".encode()),
        ({"postData": {"text": "😀"}, "bodySize": 1}, "😀".encode()),
        ({"postData": {"params": [{"name": "a", "value": "1 2"}, {"name": "b"}]}}, b"a=1+2&b="),
    ],
)
def test_what_was_posted(request_: dict[str, Any], body: bytes) -> None:
    assert only(har(entry(request_)), "x.har").request_body == body


def test_an_answer_may_be_empty() -> None:
    for content in (None, {}, {"size": 0}, {"size": -1}):
        assert only(har(entry(response={"content": content})), "x.har").body == b""


def test_an_archived_body_is_decoded_already_and_may_name_its_type_alone() -> None:
    content = {"size": 4, "mimeType": "image/png", "text": "iVBORw==", "encoding": "base64"}
    headers = [{"name": "Content-Encoding", "value": "br"}]
    exchange = only(har(entry(response={"content": content, "headers": headers})), "x.har")
    assert exchange.body == b"\x89PNG"
    assert exchange.interaction().response.headers == {"content-type": "image/png"}


@pytest.mark.parametrize(
    ("made", "reason", "broken"),
    [
        (entry(response={"status": 0}), "it was never answered", False),
        (entry({"url": "wss://x/"}), "it is a conversation over a websocket, not an HTTP exchange", False),
        (entry(_webSocketMessages=[]), "it is a conversation over a websocket, not an HTTP exchange", False),
        (entry(response={"content": {"size": 5}}), "the body was not saved with the archive", True),
        (entry(response={"content": {"text": 5}}), "should be text", True),
        (entry(response={"content": {"text": "%", "encoding": "base64"}}), "should be base64", True),
        (entry(response={"content": [1]}), "should be a mapping", True),
        (entry(response={"headers": 5}), "should be a mapping", True),
        (entry({"postData": {"text": 5}}), "should be text", True),
        (entry({"postData": 5}), "should be text", True),
        ({"request": {}}, "there is no 'response'", True),
        (5, "should be a mapping", True),
    ],
)
def test_entries_without_a_whole_answer_are_left_out_with_the_reason(
    made: Any, reason: str, broken: bool
) -> None:
    found = source(har(made, entry()), "x.har")
    assert len(found.exchanges) == 1
    assert [(each.reason, each.broken) for each in found.skipped] == [(reason, broken)]


# ---------------------------------------------------------------- logs


@pytest.mark.parametrize(
    "row",
    [
        {
            "request": {"method": "POST", "url": URL, "body": CHAT},
            "response": {"status": 200, "body": ANSWER},
        },
        {"request": {"url": URL, "json": CHAT}, "response": {"status_code": "200", "json": ANSWER}},
        {"url": URL, "status": "success", "request": CHAT, "response": ANSWER},
        {
            "url": URL,
            "method": "post",
            "request_body": CHAT,
            "response_body": json.dumps(ANSWER),
            "status": 200,
        },
        {
            "method": "POST",
            "path": "/v1/chat/completions",
            "upstream": "https://api.stepfun.com",
            "status": 200,
            "req": {"headers": {"Content-Type": "application/json"}, "body": CHAT},
            "resp": {"headers": {"Content-Type": "application/json"}, "body": ANSWER},
        },
        {
            "request": {"uri": URL, "body_base64": b64encode(json.dumps(CHAT).encode()).decode()},
            "response": {"status": 200, "headers": [["Content-Type", "application/json"]], "body": ANSWER},
        },
    ],
)
def test_pairs_of_many_shapes_are_the_same_exchange(row: dict[str, Any]) -> None:
    for content in (row, [row, row], json.dumps([row])):
        interaction = source(content).exchanges[0].interaction()
        assert (interaction.request.method, interaction.request.url) == ("POST", URL)
        assert interaction.request.json == CHAT
        assert (interaction.response.status, interaction.response.json) == (200, ANSWER)
        assert interaction.response.headers == {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://api.stepfun.com/v1", None),
        ("https://api.stepfun.com/v1/", None),
        ("https://api.stepfun.com/v1", "/v1/chat/completions"),
        ("https://api.stepfun.com/v1", "chat/completions"),
        ("https://api.stepfun.com", "/v1/chat/completions"),
    ],
)
def test_a_base_url_says_where_requests_went(base: str, url: str | None) -> None:
    row = {"request": CHAT, "response": ANSWER} | ({"url": url} if url else {})
    assert only(row, hints=Hints(base)).url == URL


@pytest.mark.parametrize(
    ("key", "value", "moment"),
    [
        ("timestamp", "2026-11-22T17:00:00.5Z", "2026-11-22T17:00:00Z"),
        ("ts_start", "2026-11-22T18:00:00+01:00", "2026-11-22T17:00:00Z"),
        ("created_at", 1795366800, "2026-11-22T17:00:00Z"),
        ("created_at", 1795366800000, "2026-11-22T17:00:00Z"),
        ("timestamp", "2026-11-22T17:00:00", None),
        ("timestamp", "yesterday", None),
        ("time", 0.4, None),
        ("timestamp", 1e300, None),
        ("timestamp", [5], None),
    ],
)
def test_a_moment_is_kept_if_it_is_certain(key: str, value: Any, moment: str | None) -> None:
    assert only({"url": URL, "request": CHAT, "response": ANSWER, key: value}).recorded_at == moment


@pytest.mark.parametrize(
    ("key", "value", "seconds"),
    [("duration_ms", 12, 0.012), ("elapsed", 1.5, 1.5), ("latency_ms", "x", None), ("elapsed", -1, None)],
)
def test_a_duration_is_kept_in_seconds(key: str, value: Any, seconds: float | None) -> None:
    assert only({"url": URL, "request": CHAT, "response": ANSWER, key: value}).elapsed == seconds


@pytest.mark.parametrize(
    "response",
    [
        {"body": "".join(f"data: {data}\n\n" for data in STREAM)},
        {"events": [{"event": "", "data": json.loads(STREAM[0]), "t_delta_ms": 5}, {"data": "[DONE]"}]},
        {"body": [json.loads(STREAM[0])]},
        [json.loads(STREAM[0])],
    ],
)
def test_streams_are_events_again(response: Any) -> None:
    interaction = only({"url": URL, "request": CHAT, "response": response}).interaction()
    assert interaction.response.events == STREAM
    assert interaction.response.headers == {"content-type": "text/event-stream"}


def test_named_events_keep_their_names() -> None:
    response = {"events": [{"event": "message_stop", "data": {"type": "message_stop"}}]}
    body = only({"url": URL, "request": CHAT, "response": response}).body
    assert body == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


BATCH_INPUT = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": CHAT}
BATCH_OUTPUT = {
    "id": "batch_req_1",
    "custom_id": "a",
    "response": {"status_code": 200, "request_id": "r", "body": ANSWER},
    "error": None,
}


def test_the_lines_of_a_batch_find_their_requests() -> None:
    hints = Hints("https://api.stepfun.com/v1", {"a": BATCH_INPUT})
    exchange = only(BATCH_OUTPUT, hints=hints)
    assert (exchange.url, json.loads(exchange.request_body), json.loads(exchange.body)) == (URL, CHAT, ANSWER)
    assert "convert the batch's input file together" in reason(BATCH_OUTPUT)
    assert "several requests have this 'custom_id'" in reason(BATCH_OUTPUT, Hints(batch={"a": None}))
    failed = {**BATCH_OUTPUT, "response": None, "error": {"code": "x"}}
    assert reason(failed, hints) == "there is no response: the request failed"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"request": CHAT, "response": ANSWER}, "it gives no URL; say where it was sent, as in --base-url"),
        ({"url": "/v1/x", "request": CHAT, "response": ANSWER}, "it gives only the path of the URL"),
        ({"url": 5, "request": CHAT, "response": ANSWER}, "the URL should be text"),
        ({"url": "http://[x/", "request": CHAT, "response": ANSWER}, "its URL is not valid"),
        (
            {"upstream": "http://[x", "url": "/v1", "request": CHAT, "response": ANSWER},
            "it gives only the path",
        ),
        ({"url": URL, "method": 5, "request": CHAT, "response": ANSWER}, "should be text"),
        ({"url": URL, "request": CHAT, "response": {"error": {}}}, "it is an error without a status"),
        ({"url": URL, "request": CHAT, "response": ANSWER, "status": "bad"}, "should be a whole number"),
        ({"url": URL, "request": CHAT, "response": ANSWER, "status": 5}, "there is no such HTTP status"),
        ({"url": URL, "request": CHAT, "response": {"body_b64": "%"}}, "should be base64"),
        ({"url": URL, "request": CHAT, "response": {"body_b64": 5}}, "should be base64"),
        ({"url": URL, "request": CHAT, "response": {"events": ["a\nb"]}}, "is not a server-sent event"),
        ({"url": URL, "request": CHAT, "response": ANSWER, "truncated_resp": True}, "it is marked as"),
        ({"url": URL, "request": CHAT, "response": None}, "there is no response: the request failed"),
        (BATCH_INPUT, "it is a request of a batch, without its response"),
    ],
)
def test_a_line_that_does_not_say_enough_is_left_out_with_the_reason(
    row: dict[str, Any], problem: str
) -> None:
    assert problem in reason(row)


def test_no_url_is_made_up_for_what_is_no_chat_completion() -> None:
    row = {"request": {"input": "x"}, "response": {"data": []}}
    assert (
        reason(row, Hints("https://x/v1"))
        == "it has no URL, and its body does not show which endpoint it is for"
    )


def test_broken_lines_are_told_by_their_number() -> None:
    good = json.dumps({"url": URL, "request": CHAT, "response": ANSWER})
    lines = [good, "", '{"a": 1', '{"a": 1, "a": 2}', '{"a": NaN}', '{"a": 1}', good, '{"url": "https:']
    found = source("\n".join(lines))
    assert len(found.exchanges) == 2
    assert [(each.line, each.reason) for each in found.skipped] == [
        (3, "is not valid JSON (Expecting ',' delimiter)"),
        (4, "has the key a twice in one object"),
        (5, "has NaN, which JSON does not have"),
        (6, "there is no pair of a 'request' and a 'response'"),
        (8, "is not valid JSON (Unterminated string starting at)"),
    ]
    with pytest.raises(CassetteReadError, match=r"^log\.jsonl:3: is not valid JSON"):
        cassettes.parse_cassette("\n".join(lines), Path("log.jsonl"))


def test_a_line_that_no_body_can_be_made_of_is_skipped() -> None:
    good = json.dumps({"url": URL, "request": CHAT, "response": ANSWER})
    lines = [
        good,
        '{"a":' * 200_000,
        '{"a":' * 600 + "5" + "}" * 600,
        '{"a": "\\ud800"}',
        '{"\\ud83d\\ude00": 1} 5',
    ]
    found = source("\n".join(lines))
    assert [each.reason for each in found.skipped] == [
        "is nested more than 500 levels deep",
        "is nested more than 500 levels deep",
        "has half of a surrogate pair in a text",
        "is not valid JSON (Extra data)",
    ]


def test_a_character_that_is_a_pair_of_escapes_is_read() -> None:
    row = {"url": URL, "request": {"messages": "\U0001f600"}, "response": ANSWER}
    assert json.loads(only([row, row][:1]).request_body) == {"messages": "\U0001f600"}
    assert len(source([row, row]).exchanges) == 2


def test_one_interaction_of_vcrpy_by_itself_is_read_as_vcrpys() -> None:
    (row,) = vcr({"body": json.dumps(CHAT)}, {"body": {"string": json.dumps(ANSWER)}})["interactions"]
    assert only(row, "x.json").interaction().response.json == ANSWER


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"a": 1}', "other keys"),
        ('{"interactions": {}}', "other keys"),
        ('{"a": 1}\n{"b": 2}\n', "a list"),
        ("[1, 2]", "a list"),
        ("hello", "text"),
        ("5", "a single value"),
    ],
)
def test_what_is_no_cassette_of_any_tool_is_an_error(text: str, kind: str) -> None:
    with pytest.raises(CassetteReadError, match=f"is not a cassette: it holds {kind}"):
        cassettes.parse_cassette(text, Path("x"))


@pytest.mark.parametrize("name", ["old.yaml.gz", "old.toml", "old.har", "log.jsonl", "old.json"])
def test_a_marker_may_name_a_file_of_another_tool(name: str, tmp_path: Path) -> None:
    assert paths.named_path(tmp_path, name) == tmp_path / name
    assert paths.named_path(tmp_path, "old.gz") == tmp_path / "old.gz.yaml"
