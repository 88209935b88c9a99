"""The checks of `lint`: each finds its problem, names its place, and is quiet about a good cassette."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_stepreplay.lint import Expected, Problem, check_cassette, replaced_in_text, replaced_in_tree
from pytest_stepreplay.models import Cassette, Interaction, RawFrame, Request, Response

URL = "https://api.stepfun.com/v1/chat/completions"
JSON = {"content-type": "application/json"}
UUID = "b7b56af0-52a6-483f-a589-948182676a1b"


def completion(**changes: Any) -> dict[str, Any]:
    return {
        "id": UUID,
        "object": "chat.completion",
        "created": 1709893411,
        "model": "step-3.5-flash",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 83, "completion_tokens": 2, "total_tokens": 85},
        **changes,
    }


def chat(
    content: Any = "Hello",
    response: Response | None = None,
    url: str = URL,
    at: str | None = None,
    **body: Any,
) -> Interaction:
    request = Request(
        method="POST", url=url, json={"messages": [{"role": "user", "content": content}], **body}
    )
    return Interaction(
        recorded_at=at,
        request=request,
        response=response or Response(status=200, headers=JSON, json=completion()),
    )


def problems(*interactions: Interaction, **expected: Any) -> list[Problem]:
    return check_cassette(Cassette(interactions=interactions), Expected(**expected))


def only(*interactions: Interaction, **expected: Any) -> Problem:
    (problem,) = problems(*interactions, **expected)
    return problem


def test_a_good_cassette_has_no_problem() -> None:
    chunk = '{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"","content":"x"},"finish_reason":""}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
    stream = Response(status=200, headers={"content-type": "text/event-stream"}, events=(chunk, "[DONE]"))
    call = {"id": "call_" + UUID, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "call_" + UUID}]
    assert problems(chat(), chat("b", stream), chat("c", messages=said)) == []


def test_a_completion_of_text_is_not_held_to_the_chat_contract() -> None:
    whole = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"text": "Hello!", "index": 0, "logprobs": None, "finish_reason": "stop"}],
    }
    unnamed = {**whole, "choices": [{"text": "Hi", "index": 0}]}
    del unnamed["object"]
    streamed = Response(
        status=200,
        headers={"content-type": "text/event-stream"},
        events=(
            json.dumps(whole),
            json.dumps({**whole, "choices": [{"text": "", "index": 0, "finish_reason": ""}]}),
            "[DONE]",
        ),
    )
    url = "https://api.openai.com/v1/completions"
    answers = [*(Response(status=200, headers=JSON, json=it) for it in (whole, unnamed)), streamed]
    (own,) = problems(*(chat(str(i), it, url=url) for i, it in enumerate(answers)))
    assert (own.place[1], own.what) == (
        1,
        "required, but missing (the OpenAI-compatible API reference, the completion object)",
    )
    (missing,) = problems(
        chat("c", Response(status=200, headers=JSON, json={**whole, "object": "chat.completion"}))
    )[:1]
    assert missing.check == "contract"


def test_a_broken_contract_names_the_field_and_the_documentation() -> None:
    broken = completion(choices=[{"index": 0, "message": {"role": "assistant"}, "finish_reason": "eos"}])
    del broken["usage"]
    found = problems(chat(), chat("b", Response(status=200, headers=JSON, json=broken)))
    assert [each.check for each in found] == ["contract", "contract"]
    assert found[0].place == ("interactions", 1, "response", "json", "choices", 0, "finish_reason")
    assert found[0].what == (
        'should be "stop", "length", "content_filter" or "tool_calls", not "eos"'
        " (StepFun's API reference, the chat completion object)"
    )
    assert found[1].place == ("interactions", 1, "response", "json", "usage")
    source = "StepFun's API reference, the chat completion object"
    assert found[1].what == f"required, but missing ({source})"
    other = Response(status=200, headers=JSON, json=broken | {"usage": None})
    assert [it.place[-1] for it in problems(chat("b", other, url="https://h.example/v1"))] == [
        "finish_reason"
    ]
    assert problems(chat("b", other), contract="none") == []


def test_a_broken_chunk_is_told_once() -> None:
    chunk = (
        '{"id":1,"object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{}}]}'
    )
    found = problems(chat(url="https://h.example/v1", response=Response(status=200, events=(chunk, chunk))))
    told = [each.what for each in found if "chunks" in each.what]
    assert told == [
        "chunks[0].id: should be a string, not an integer (the OpenAI-compatible API reference, the chat completion chunk object)"
    ]


def test_an_error_response_has_no_contract() -> None:
    assert (
        problems(chat(response=Response(status=429, headers=JSON, json={"error": {"message": "slow"}}))) == []
    )


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("wss://api.openai.com/v1/realtime", "is not an HTTP URL, so no request matches it"),
        ("/v1/chat", "is not an HTTP URL, so no request matches it"),
        ("https://[", "is not an HTTP URL, so no request matches it"),
        (
            "https://h.example/v1?key=XXXXXX",
            "holds another tool's placeholder, so no request matches it any more",
        ),
        (
            "https://h.example/**REDACTED**",
            "holds another tool's placeholder, so no request matches it any more",
        ),
        ("https://pass.example/v1", "pass.example is in stepreplay_ignore_hosts, so this is never played"),
    ],
)
def test_what_never_matches(url: str, what: str) -> None:
    problem = only(chat(url=url), ignore_hosts=("pass.example",), contract="none")
    assert (problem.check, problem.what) == ("match", what)
    assert problem.place == ("interactions", 0, "request", "url")


def test_our_own_placeholder_matches() -> None:
    assert problems(chat(url=f"{URL}?key=[redacted]")) == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (f"session {UUID}, please", "holds a UUID, which differs in each run"),
        ("It is 2026-11-22T17:00:00Z now", "holds a time of day, which differs in each run"),
        ("It is 2026-11-22 17:00:00", "holds a time of day, which differs in each run"),
    ],
)
def test_volatile_values_in_a_request(content: str, what: str) -> None:
    problem = only(chat(content))
    assert (problem.check, problem.what) == ("volatile", what)
    assert problem.place == ("interactions", 0, "request", "json", "messages", 0, "content")
    assert problem.fix.endswith("or set stepreplay_ignore_request = messages[0].content")
    assert problems(chat(content), ignore_request=("messages[*].content",)) == []
    assert problems(chat(content), match_on=("method", "host")) == []


def test_seconds_are_volatile_where_the_name_says_time() -> None:
    assert only(chat(metadata={"timestamp": 1763830800})).what.startswith("holds a time in seconds")
    assert problems(chat(metadata={"number": 1763830800, "timestamp": True})) == []
    problem = only(chat(url=f"{URL}?t_now=1763830800123&q={'a' * 20}"))
    assert problem.what == "the parameter t_now holds a time in seconds"
    assert problems(chat("2026-11-22 is a date, and 1709893411 a number")) == []


def test_a_body_without_json_has_no_volatile_value() -> None:
    request = Request(method="POST", url=URL, text=UUID)
    assert problems(Interaction(request=request, response=Response(status=204))) == []


@pytest.mark.parametrize(
    ("headers", "body", "what"),
    [
        (JSON, {"text": "<html>"}, "the content type is application/json, and the body is not JSON"),
        (JSON, {}, "the content type is application/json, and the body is empty"),
        (JSON, {"base64": "AAAA"}, "the content type is application/json, and the body is not JSON"),
        (
            {"content-type": "text/event-stream; charset=utf-8"},
            {"json": {"a": 1}},
            "the content type is text/event-stream, and the body holds no events",
        ),
        ({"content-type": "text/html"}, {"json": {}}, "the content type is text/html, and the body is JSON"),
        (
            {"content-type": "image/png"},
            {"events": ("[DONE]",)},
            "the content type is image/png, and the body is a stream",
        ),
    ],
)
def test_a_body_that_is_not_what_it_says(headers: dict[str, str], body: dict[str, Any], what: str) -> None:
    problem = only(chat(response=Response(status=200, headers=headers, **body)), contract="none")
    assert (problem.check, problem.what) == ("body", what)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {"text": "x"}),
        (JSON, {"text": '{"a": 1, "a": 2}'}),
        ({"content-type": "application/problem+json"}, {"json": {}}),
        ({"content-type": "text/event-stream"}, {"text": "data: half"}),
        ({"content-type": "text/event-stream"}, {"events": (RawFrame(frame=": hi\n\n"),)}),
        ({"content-type": "text/plain"}, {"json": {}}),
    ],
)
def test_a_body_that_is_what_it_says(headers: dict[str, str], body: dict[str, Any]) -> None:
    assert problems(chat(response=Response(status=200, headers=headers, **body)), contract="none") == []
    request = Request(method="HEAD", url=URL)
    assert problems(Interaction(request=request, response=Response(status=200, headers=JSON))) == []


def test_the_same_answer_again_and_again() -> None:
    again = Response(status=200, headers=JSON, json=completion(id="other", created=1))
    different = Response(
        status=200,
        headers=JSON,
        json=completion(
            choices=[{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]
        ),
    )
    found = only(chat("a"), chat("b"), chat("b", different), chat("b", again), chat("b"))
    assert (found.check, found.place) == ("repeat", ("interactions", 1))
    assert found.what == "comes again with the same answer, as 4, 5"
    many = only(*[chat() for _ in range(9)])
    assert many.what == "comes again with the same answer, as 2, 3, 4, 5, 6, ..."


def test_old_recordings() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    old, fresh = chat(at="2026-08-01T12:00:00Z"), chat("b", at="2026-11-01T12:00:00")
    problem = only(old, fresh, chat("c"), max_age=timedelta(days=90), now=now)
    assert (problem.check, problem.what) == ("stale", "was recorded 113 days ago")
    assert problem.place == ("interactions", 0, "recorded_at")
    assert only(chat(at="yesterday"), max_age=timedelta(days=1), now=now).what == "is no date"
    assert problems(old, now=now) == []
    assert only(chat(at="2020-01-01T00:00:00Z"), max_age=timedelta(days=1)).check == "stale"


def test_problems_come_in_the_order_of_the_interactions() -> None:
    found = problems(chat(UUID), chat(url="wss://h"), chat(f"{UUID} 2"), contract="none")
    assert [each.place[1] for each in found] == [0, 1, 2]


def test_secrets_are_replaced_everywhere() -> None:
    tree = {"a": ["x secret1 y", {"secret12": b"secret1"}, 1, None], "b": "z"}
    assert replaced_in_tree(tree, ["secret1", "secret12"]) == {
        "a": ["x [redacted] y", {"[redacted]": b"[redacted]"}, 1, None],
        "b": "z",
    }
    assert tree["a"][0] == "x secret1 y"
    assert replaced_in_text(b"secret12 secret1", ["secret1", "secret12"], "X") == b"X X"
