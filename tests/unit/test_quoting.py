"""Later requests that quote an answer are found, whatever form the answer came in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_stepreplay.matching.quoting import find_quoting
from pytest_stepreplay.models import Request, Response

URL = "https://api.stepfun.com/v1/chat/completions"


def says(text: str | None, **message: Any) -> Response:
    spoken = {"role": "assistant", "content": text, **message}
    choice = {"index": 0, "message": spoken, "finish_reason": "stop"}
    return Response(status=200, json={"id": "1", "object": "chat.completion", "choices": [choice]})


def streams(*pieces: str) -> Response:
    chunks = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    return Response(
        status=200,
        headers={"content-type": "text/event-stream"},
        events=(*map(json.dumps, chunks), "[DONE]"),
    )


def calls(arguments: str) -> Response:
    function = {"name": "search", "arguments": arguments}
    return says(None, tool_calls=[{"id": "call_1", "type": "function", "function": function}])


def asks(*contents: Any) -> Request:
    messages = [{"role": "user", "content": each} for each in contents]
    return Request(method="POST", url=URL, json={"model": "m", "messages": messages})


def repeats(response: Response, arguments: str) -> Request:
    called = json.loads(json.dumps(response.json["choices"][0]["message"]))
    called["tool_calls"][0]["function"]["arguments"] = arguments
    return Request(method="POST", url=URL, json={"messages": [called]})


@pytest.mark.parametrize(
    ("old", "new", "request_", "expected"),
    [
        (says("Blue."), says("Red."), asks("Name one.", "Blue."), True),
        (says("Blue."), says("Red."), asks("Name one.", "Blue is nice."), False),
        (says("Blue."), says("Blue."), asks("Name one.", "Blue."), False),
        (
            says("The sky over the sea is blue."),
            says("Red."),
            asks("You said: The sky over the sea is blue."),
            True,
        ),
        (streams("Bl", "ue."), streams("Red."), asks("Name one.", "Blue."), True),
        (streams("Bl", "ue."), streams("Blue", "."), asks("Name one.", "Blue."), False),
        (calls('{"q": 1}'), calls('{"q": 2}'), repeats(calls(""), '{"q":1}'), True),
        (calls('{"q": 1}'), calls('{"q":1}'), repeats(calls(""), '{"q": 1}'), False),
        (says(""), says("Red."), asks(""), False),
        (
            Response(status=200, text="Blue."),
            says("Red."),
            Request(method="POST", url=URL, text="Blue."),
            True,
        ),
    ],
)
def test_what_is_quoted(old: Response, new: Response, request_: Request, expected: bool) -> None:
    assert find_quoting(old, new, [asks("Else."), request_]) == ((1,) if expected else ())
