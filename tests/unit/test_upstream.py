"""The stand-in for the API, asked over real HTTP by the openai client and by hand."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai
import pytest

from pytest_stepreplay.endpoints.chat_models import ChatCompletion, ChatCompletionChunk
from pytest_stepreplay.endpoints.chat_stream import assemble
from pytest_stepreplay.upstream import ReceivedRequest, Upstream, answer, error, raw
from pytest_stepreplay.wire.events import json_chunks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HELLO = {"model": "step-3.5-flash", "messages": [{"role": "user", "content": "Say hello."}]}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "unit": {"enum": ["celsius", "fahrenheit"]},
                "hourly": {"type": ["boolean", "null"]},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
        },
    },
}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


def send(
    server: Upstream,
    body: Any = HELLO,
    *,
    method: str = "POST",
    path: str = "/v1/chat/completions",
    headers: dict[str, str] | None = None,
) -> tuple[http.client.HTTPResponse, bytes]:
    """Return the response to one request on a connection of its own, and its body."""
    port = int(server.url.removeprefix("http://127.0.0.1:").removesuffix("/v1"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        defaults = {"Authorization": "Bearer key", "Content-Type": "application/json"}
        connection.request(method, path, data, defaults if headers is None else headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def ask(server: Upstream, **changes: Any) -> dict[str, Any]:
    """Return the completion for the greeting with changed fields."""
    response, body = send(server, {**HELLO, **changes})
    assert response.status == 200, body
    reply: dict[str, Any] = json.loads(body)
    return reply


def text_of(reply: dict[str, Any]) -> Any:
    return reply["choices"][0]["message"]["content"]


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


# The dialect


def test_a_completion_is_the_documented_object(upstream: Upstream) -> None:
    reply = ask(upstream)
    ChatCompletion.model_validate(reply)
    assert list(reply) == ["id", "object", "created", "model", "choices", "usage"]
    assert reply["object"] == "chat.completion"
    assert not reply["id"].startswith("chatcmpl-")
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert "a stand-in, not a model" in text_of(reply)


def test_a_stream_is_stepfuns_dialect(upstream: Upstream) -> None:
    response, body = send(upstream, {**HELLO, "stream": True})
    assert response.headers["content-type"] == "text/event-stream"
    assert body.endswith(b"data: [DONE]\n\n")
    chunks = json_chunks_of(body.decode())
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [choice["delta"]["role"] for choice in choices[:3]] == ["assistant", "", ""]
    assert {choice["finish_reason"] for choice in choices[:-1]} == {""}
    assert choices[-1]["finish_reason"] == "stop"
    assert [chunk["created"] > 0 for chunk in chunks] == [False] + [True] * (len(chunks) - 1)
    tokens = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert tokens == sorted(tokens)
    assert tokens[0] == 0 < tokens[-1]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"n": 3},
        {"reasoning_effort": "low"},
        {"reasoning_effort": "low", "reasoning_format": "deepseek-style"},
        {"messages": [user("How is the weather in Oslo?")], "tools": [WEATHER]},
        {"max_tokens": 3},
    ],
)
def test_a_stream_says_what_a_plain_reply_says(upstream: Upstream, changes: dict[str, Any]) -> None:
    def comparable(reply: dict[str, Any]) -> dict[str, Any]:
        for choice in reply["choices"]:
            for call in choice["message"].get("tool_calls", ()):
                del call["id"]
        reply["usage"].pop("cached_tokens")
        return {key: value for key, value in reply.items() if key not in ("id", "created")}

    _, body = send(upstream, {**HELLO, **changes, "stream": True})
    assert comparable(assemble(json_chunks_of(body.decode()))) == comparable(ask(upstream, **changes))


def test_what_is_volatile_is_fresh_on_each_call(upstream: Upstream) -> None:
    one, two = (ask(upstream, messages=[user("weather")], tools=[WEATHER]) for _ in range(2))
    volatile: list[Callable[[dict[str, Any]], Any]] = [
        lambda reply: reply["id"],
        lambda reply: reply["created"],
        lambda reply: reply["usage"]["cached_tokens"],
        lambda reply: reply["choices"][0]["message"]["tool_calls"][0]["id"],
    ]
    assert [read(one) == read(two) for read in volatile] == [False] * 4
    assert re.fullmatch(r"call_[\w-]{22}", volatile[3](one))


def test_it_says_that_it_is_a_stand_in(upstream: Upstream) -> None:
    response, _ = send(upstream)
    assert response.headers["server"] == "stepreplay-upstream"
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-trace-id"])
    response, body = send(upstream, b"", method="GET", path="/v1/models")
    assert response.status == 200
    assert {model["owned_by"] for model in json.loads(body)["data"]} == {"stepreplay"}


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic abc"])
def test_no_key_is_401(upstream: Upstream, authorization: str | None) -> None:
    headers = {"Content-Type": "application/json"}
    if authorization is not None:
        headers["Authorization"] = authorization
    response, body = send(upstream, headers=headers)
    assert response.status == 401
    error_object = json.loads(body)["error"]
    assert error_object["type"] == "invalid_api_key"
    assert set(error_object) == {"message", "type"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the body must be a JSON object"),
        (b"[" * 100_000, "the body must be a JSON object"),
        ([], "the body must be a JSON object"),
        ({}, "model must be a string"),
        ({**HELLO, "messages": []}, "messages must be a list with at least one message"),
        ({**HELLO, "messages": ["x"]}, "messages[0] must be an object with a role"),
        ({**HELLO, "messages": [user(3)]}, "messages[0].content must be a string or a list of parts"),
        ({**HELLO, "stream": "yes"}, "stream must be true or false"),
        ({**HELLO, "tools": {}}, "tools must be a list"),
        ({**HELLO, "n": 0}, "n must be a whole number between 1 and 16"),
        ({**HELLO, "max_tokens": "3"}, "max_tokens must be a whole number between 1 and 1000000000"),
    ],
)
def test_a_bad_request_is_400_and_says_why(upstream: Upstream, body: Any, message: str) -> None:
    response, sent = send(upstream, body)
    assert response.status == 400
    assert json.loads(sent) == {"error": {"message": message, "type": "request_params_invalid"}}


def test_a_wrong_content_type_is_400(upstream: Upstream) -> None:
    response, body = send(upstream, headers={"Authorization": "Bearer key", "Content-Type": "text/plain"})
    assert (response.status, json.loads(body)["error"]["type"]) == (400, "unsupported_content_type")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("POST", "/v1/embeddings"), ("DELETE", "/v1/models")]
)
def test_anything_else_is_404(upstream: Upstream, method: str, path: str) -> None:
    response, body = send(upstream, b"", method=method, path=path)
    assert (response.status, json.loads(body)["error"]["type"]) == (404, "not_found")


# What it says unscripted


def test_the_answer_follows_from_the_conversation(upstream: Upstream) -> None:
    assert text_of(ask(upstream)) == text_of(ask(upstream))
    variants = [
        [user("Say hello.")],
        [user("Say hello!")],
        [user("Write a poem.")],
        [user("Hi."), {"role": "assistant", "content": "Hello!"}, user("Say hello.")],
        [{"role": "system", "content": "Be brief."}, user("Say hello.")],
        [user([{"type": "text", "text": "Say hello."}, {"type": "image_url"}])],
        [user("x" * 1000)],
        [{"role": "assistant", "content": None}],
    ]
    texts = [text_of(ask(upstream, messages=messages)) for messages in variants]
    assert len(set(texts)) == len(texts)
    assert texts[0].startswith('Hello! You wrote "Say hello."')
    assert max(map(len, texts)) < 400


def test_a_tool_that_the_prompt_names_is_called_and_its_result_is_used(upstream: Upstream) -> None:
    question = user("How is the weather in Oslo for 3 days?")
    reply = ask(upstream, messages=[question], tools=[WEATHER])
    (choice,) = reply["choices"]
    assert choice["finish_reason"] == "tool_calls"
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {
        "city": "Oslo",
        "days": 3,
        "unit": "celsius",
        "hourly": True,
        "tags": ["Oslo"],
    }
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "7 degrees"},
        {"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "rain"}]},
    ]
    again = ask(upstream, messages=[question, choice["message"], *results], tools=[WEATHER])
    assert text_of(again) == "The tools say: 7 degrees / rain"
    assert again["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("auto", []),
        ("none", []),
        ("required", ["get_weather"]),
        ({"type": "function", "function": {"name": "book"}}, ["book"]),
    ],
)
def test_tool_choice_is_honoured(upstream: Upstream, choice: Any, called: list[str]) -> None:
    tools = [WEATHER, {"type": "function", "function": {"name": "book"}}, {"type": "web_search"}, 3]
    message = ask(upstream, tools=tools, tool_choice=choice)["choices"][0]["message"]
    assert [call["function"]["name"] for call in message.get("tool_calls", ())] == called


def test_json_is_answered_where_json_is_asked_for(upstream: Upstream) -> None:
    as_object = ask(upstream, response_format={"type": "json_object"})
    assert "Say hello." in json.loads(text_of(as_object))["answer"]
    nested: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "number"}, "s": {}}}
    for _ in range(20):
        nested = {"type": "object", "properties": {"in": nested}}
    schema = {"type": "object", "properties": {"deep": nested, "n": {"type": "number"}}}
    reply = ask(upstream, response_format={"type": "json_schema", "json_schema": {"schema": schema}})
    assert json.loads(text_of(reply))["n"] == 0
    assert json.loads(text_of(ask(upstream, response_format={"type": "json_schema"}))) == "Say hello."


def test_max_tokens_cuts_the_answer(upstream: Upstream) -> None:
    reply = ask(upstream, max_tokens=2)
    assert text_of(reply) == "Hello! You"
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 2


# Scripts


def test_a_script_is_answered_in_order_and_has_an_end() -> None:
    script = [
        answer("one", model="other"),
        None,
        answer(tool_calls=[("f", "not json")], finish_reason="stop"),
    ]
    with Upstream(script) as upstream:
        one, two, three = (ask(upstream) for _ in range(3))
        assert (text_of(one), one["model"]) == ("one", "other")
        assert text_of(two).startswith("Hello!")
        assert three["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "not json"
        assert three["choices"][0]["finish_reason"] == "stop"
        response, body = send(upstream)
        assert response.status == 400
        assert json.loads(body)["error"]["message"] == "the script has no reply to request 4"


def test_a_function_scripts_by_the_request() -> None:
    def script(received: ReceivedRequest) -> Any:
        if received.path == "/v1/embeddings":
            return raw(200, {"Content-Type": "application/json"}, b"[]")
        if received.headers["authorization"] == "Bearer poor":
            return error(402, "balance", "top up", headers={"Retry-After": "1"})
        return answer(received.json["messages"][0]["content"][::-1], reasoning="backwards")

    with Upstream(script) as upstream:
        message = ask(upstream)["choices"][0]["message"]
        assert (message["content"], message["reasoning"]) == (".olleh yaS", "backwards")
        assert send(upstream, path="/v1/embeddings")[1] == b"[]"
        response, body = send(upstream, headers={"Authorization": "Bearer poor"})
        assert (response.status, response.headers["retry-after"]) == (402, "1")
        assert json.loads(body) == {"error": {"message": "top up", "type": "balance"}}


def test_a_script_that_fails_says_so_to_the_client() -> None:
    def script(received: ReceivedRequest) -> None:
        raise LookupError("no such fixture")

    with Upstream(script) as upstream:
        response, body = send(upstream)
    assert response.status == 400
    assert json.loads(body)["error"] == {"type": "script_failed", "message": "LookupError('no such fixture')"}


def test_raw_responses_are_sent_byte_for_byte() -> None:
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Encoding", "gzip")]
    with Upstream(
        [raw(200, cookies, b"not gzipped"), raw(204), raw(200, {}, [b"data: 1\n", b"", b"\n"])]
    ) as up:
        response, body = send(up)
        assert body == b"not gzipped"
        assert response.headers.get_all("set-cookie") == ["a=1", "b=2"]
        response, body = send(up)
        assert (response.status, body, response.headers["content-length"]) == (204, b"", None)
        assert send(up)[1] == b"data: 1\n\n"


def test_a_content_length_that_lies_is_sent() -> None:
    with (
        Upstream([raw(200, {"Content-Length": "99"}, b"short")]) as up,
        pytest.raises(http.client.IncompleteRead),
    ):
        send(up)


def test_a_stream_can_be_broken_off() -> None:
    with Upstream([answer("a b c", break_off_after=2)]) as up:
        with pytest.raises(http.client.IncompleteRead) as caught:
            send(up, {**HELLO, "stream": True})
        assert len(json_chunks_of(caught.value.partial.decode())) == 2


# The server


def test_requests_are_kept_as_they_came(upstream: Upstream) -> None:
    send(upstream, path="/v1/chat/completions?a=1")
    send(upstream, b"\xff", headers={"X-Custom": "yes"})
    assert upstream.count == 2
    first, second = upstream.requests
    assert (first.method, first.path, first.json) == ("POST", "/v1/chat/completions?a=1", HELLO)
    assert json.loads(first.body) == HELLO
    assert (second.headers["x-custom"], second.body, second.json) == ("yes", b"\xff", None)


def test_frames_are_sent_as_they_are_made() -> None:
    """The first frame is read while the server still waits to send the second."""
    go_on = threading.Event()

    def before_frame(number: int) -> None:
        if number == 1:
            assert go_on.wait(10)

    with Upstream([answer("a b", before_frame=before_frame)], compress=True) as upstream:
        client = openai.OpenAI(base_url=upstream.url, api_key="key", max_retries=0)
        with client, client.chat.completions.create(**HELLO, stream=True) as stream:  # type: ignore[call-overload]  # a dict is no TypedDict
            first = next(stream)
            assert not go_on.is_set()
            go_on.set()
            assert [first.choices[0].delta.content, *(it.choices[0].delta.content for it in stream)] == [
                "",
                "a",
                " b",
                "",
            ]


@pytest.mark.parametrize("stream", [False, True])
def test_compression_where_the_client_accepts_it(stream: bool) -> None:
    headers = {"Authorization": "Bearer k", "Content-Type": "application/json", "Accept-Encoding": "gzip, br"}
    with Upstream(compress=True) as upstream:
        response, body = send(upstream, {**HELLO, "stream": stream}, headers=headers)
        assert response.headers["content-encoding"] == "gzip"
        assert b"a stand-in, not a model" in gzip.decompress(body) or stream
        if stream:
            assert gzip.decompress(body).endswith(b"data: [DONE]\n\n")
        plain, _ = send(upstream)
        assert plain.headers["content-encoding"] is None


def test_the_openai_client_works_with_keep_alive(upstream: Upstream) -> None:
    with openai.OpenAI(base_url=upstream.url, api_key="key") as client:
        for _ in range(2):
            reply = client.chat.completions.create(**HELLO)  # type: ignore[call-overload]  # a dict is no TypedDict
            assert reply.choices[0].message.content.startswith("Hello!")
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model="m", input="x")
        assert [model.id for model in client.models.list()] == ["step-3.5-flash", "step-3.7-flash"]


def test_many_threads_are_answered(upstream: Upstream) -> None:
    def talk(number: int) -> bool:
        return f"Number {number}." in text_of(ask(upstream, messages=[user(f"Number {number}.")]))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(talk, range(100)))
    assert upstream.count == 100


def exchange(server: Upstream, request: bytes) -> bytes:
    """Return everything that the server sends to raw bytes until it closes."""
    port = int(server.url.removeprefix("http://127.0.0.1:").removesuffix("/v1"))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_body_in_chunks_is_read(upstream: Upstream) -> None:
    body = json.dumps(HELLO).encode()
    pieces = b"%x;note=1\r\n%b\r\n%x\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (
        9,
        body[:9],
        len(body) - 9,
        body[9:],
    )
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert exchange(upstream, head + pieces).startswith(b"HTTP/1.1 200 OK")
    assert upstream.requests[0].json == HELLO


@pytest.mark.parametrize(
    "header", ["Content-Length: many", "Content-Length: -5", "Transfer-Encoding: chunked\r\n\r\nzz"]
)
def test_a_body_of_unreadable_length_is_400(upstream: Upstream, header: str) -> None:
    answered = exchange(upstream, f"POST /v1/chat/completions HTTP/1.1\r\n{header}\r\n\r\n".encode())
    assert answered.startswith(b"HTTP/1.1 400 Bad Request")
    assert upstream.count == 0


def test_http_1_0_gets_a_stream_without_http_chunks(upstream: Upstream) -> None:
    body = json.dumps({**HELLO, "stream": True}).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.0\r\nAuthorization: Bearer key\r\nX-Two: 1\r\nX-Two: 2\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    answered = exchange(upstream, head + body)
    assert b"Transfer-Encoding" not in answered
    assert answered.endswith(b"data: [DONE]\n\n")
    assert upstream.requests[0].headers["x-two"] == "1, 2"


def test_head_has_no_body(upstream: Upstream) -> None:
    answered = exchange(upstream, b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answered.startswith(b"HTTP/1.1 404")
    assert answered.endswith(b"\r\n\r\n")


def test_it_prints_nothing_and_stops_while_clients_are_connected(capfd: pytest.CaptureFixture[str]) -> None:
    waiting, leave = threading.Event(), threading.Event()

    def before_frame(number: int) -> None:
        if number == 1:
            waiting.set()
            assert leave.wait(10)

    with Upstream([answer("a " * 100_000, before_frame=before_frame)]) as upstream:
        port = int(upstream.url.removeprefix("http://127.0.0.1:").removesuffix("/v1"))
        idle = socket.create_connection(("127.0.0.1", port))
        body = json.dumps({**HELLO, "stream": True}).encode()
        early = socket.create_connection(("127.0.0.1", port))
        early.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        assert waiting.wait(10)
        early.close()  # the client leaves in the middle of the stream
        leave.set()
    assert idle.recv(1) == b""
    idle.close()
    with pytest.raises(RuntimeError, match="only inside its `with` block"):
        _ = upstream.url
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    assert capfd.readouterr() == ("", "")
    assert "process_request_thread" not in str(threading.enumerate())


def test_an_error_of_a_callback_is_seen(capfd: pytest.CaptureFixture[str]) -> None:
    def before_frame(number: int) -> None:
        raise LookupError("in a callback")

    with Upstream([answer("a", before_frame=before_frame)]) as up, pytest.raises(http.client.IncompleteRead):
        send(up, {**HELLO, "stream": True})
    assert "LookupError: in a callback" in capfd.readouterr().err
