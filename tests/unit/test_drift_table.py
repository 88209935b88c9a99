"""`docs/drift-levels.md` says what the code says. ``python -m tests.unit.test_drift_table`` writes it anew."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

from pytest_stepreplay.drift.changes import Drift
from pytest_stepreplay.drift.comparison import compare
from pytest_stepreplay.settings.levels import Level
from pytest_stepreplay.settings.policy import Policy

from . import other_endpoints
from .changes import Change, at, without

PAGE = Path(__file__).parents[2] / "docs" / "drift-levels.md"
SHARED = frozenset({"A response", "A message"})
"""Tables of answers that another host than StepFun's gives."""


def completion(message: dict[str, Any], finish: str = "stop") -> dict[str, Any]:
    return {
        "id": "b7b56af0-52a6-483f-a589-948182676a1b",
        "object": "chat.completion",
        "created": 1709893411,
        "model": "step-3.5-flash",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": 83,
            "completion_tokens": 21,
            "total_tokens": 104,
            "cached_tokens": 64,
            "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
        },
    }


def call(name: str, call_id: str, **arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": call_id, "type": "function", "function": function}


PLAIN = completion({"content": "The capital of France is Paris. It lies on the Seine."})
TOOLS = completion(
    {
        "content": "",
        "tool_calls": [
            call("get_weather", "call_9f2k", city="Paris", days=2),
            call("get_time", "call_x81p", city="Paris"),
        ],
    },
    "tool_calls",
)
CUSTOM = completion(
    {
        "content": None,
        "tool_calls": [
            {
                "id": "call_5tq0",
                "type": "custom",
                "custom": {"name": "run_sql", "input": "SELECT name FROM users"},
            }
        ],
    },
    "tool_calls",
)
JSON = completion({"content": '{"city": "Paris", "population": 2102650, "rivers": ["Seine"]}'})
REASONING = completion({"content": "It is 4.", "reasoning": "The user asks for two plus two, which is four."})
DETAILS = completion(
    {
        "content": "It is 4.",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Two and two is four.", "signature": "EqQBCkYI"},
            {"type": "reasoning.encrypted", "id": "rs_68a1", "data": "gAAAAABo"},
        ],
    }
)
STREAM = [
    {
        "id": "b7b56af0-52a6-483f-a589-948182676a1b",
        "object": "chat.completion.chunk",
        "created": 1709899323,
        "model": "step-3.7-flash",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        "usage": {"prompt_tokens": 9, "completion_tokens": n, "total_tokens": 9 + n},
    }
    for n, (delta, finish) in enumerate(
        [
            ({"role": "assistant", "content": ""}, ""),
            ({"role": "", "content": "Paris is the capital "}, ""),
            ({"role": "", "content": "of France."}, ""),
            ({"role": "", "content": ""}, "stop"),
        ]
    )
]
ERROR = {"error": {"message": "Requests are limited to 5 per minute.", "type": "rate_limited"}}


def swap_calls(response: Any) -> Any:
    response["choices"][0]["message"]["tool_calls"].reverse()
    return response


def fresh_ids(response: Any) -> Any:
    for made in response["choices"][0]["message"]["tool_calls"]:
        made["id"] = made["id"].upper()
    return response | {"id": "another", "created": 1800000000}


def fresh_details(response: Any) -> Any:
    text, encrypted = response["choices"][0]["message"]["reasoning_details"]
    text["signature"] = "EpYCCkgI"
    encrypted |= {"id": "rs_99c4", "data": "gAAAAABp"}
    return response


def other_pieces(chunks: list[Any]) -> list[Any]:
    chunks[1]["choices"][0]["delta"]["content"] = "Paris is the capital of "
    chunks[2]["choices"][0]["delta"]["content"] = "France."
    return chunks


def cut_short(chunks: list[Any]) -> str:
    """Returns the text of a stream whose connection broke in the middle of a frame."""
    text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return text[: text.rindex("data:") - 60]


MESSAGE = ("choices", 0, "message")
CONTENT = (*MESSAGE, "content")
CALLS = (*MESSAGE, "tool_calls")
EXTRA_CHOICE = {"index": 1, "message": {"role": "assistant", "content": "Lyon."}, "finish_reason": "stop"}
SEARCH = call("search", "call_7", q="weather in Paris")

RESPONSE: dict[str, Any] = {
    "id": "resp_68a1",
    "object": "response",
    "created_at": 1741476542,
    "status": "completed",
    "model": "step-3.5-flash",
    "output": [
        {
            "id": "rs_68a1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "They ask for the weather."}],
            "encrypted_content": "gAAAAABo",
        },
        {
            "id": "msg_68a1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I will look it up.", "annotations": []}],
        },
        {
            "id": "fc_68a1",
            "type": "function_call",
            "status": "completed",
            "call_id": "call_9f2k",
            "name": "get_weather",
            "arguments": '{"city": "Paris", "days": 2}',
        },
    ],
    "usage": {
        "input_tokens": 36,
        "input_tokens_details": {"cached_tokens": 16},
        "output_tokens": 21,
        "output_tokens_details": {"reasoning_tokens": 8},
        "total_tokens": 57,
    },
}
MESSAGE_ANSWER: dict[str, Any] = {
    "id": "msg_01Xf",
    "type": "message",
    "role": "assistant",
    "model": "step-3.5-flash",
    "content": [
        {"type": "thinking", "thinking": "They ask for the weather.", "signature": "EqQBCkYI"},
        {"type": "text", "text": "I will look it up."},
        {
            "type": "tool_use",
            "id": "toolu_01A0",
            "name": "get_weather",
            "input": {"city": "Paris", "days": 2},
        },
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 36, "cache_read_input_tokens": 16, "output_tokens": 21},
}


STEPFUN_RESPONSE: dict[str, Any] = copy.deepcopy(RESPONSE)
STEPFUN_RESPONSE["completed_at"] = 1741476543
STEPFUN_RESPONSE["output"][0] |= {
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "They ask for the weather."}],
    "encrypted_content": None,
    "status": "completed",
}
STEPFUN_RESPONSE["usage"]["output_tokens_details"]["tool_output_tokens"] = 0
STEPFUN_MESSAGE: dict[str, Any] = copy.deepcopy(MESSAGE_ANSWER)
del STEPFUN_MESSAGE["model"], STEPFUN_MESSAGE["content"][0]["signature"]


def fresh_response(response: Any) -> Any:
    thought, said, made = response["output"]
    thought["id"] = "rs_99c4"
    if thought["encrypted_content"]:
        thought["encrypted_content"] = "gAAAAABp"
    said["id"], made["id"], made["call_id"] = "msg_99c4", "fc_99c4", "call_x81p"
    return response | {"id": "resp_99c4", "created_at": 1800000000}


def fresh_message(message: Any) -> Any:
    thought, _, made = message["content"]
    made["id"] = "toolu_01B7"
    if "signature" in thought:
        thought["signature"] = "EpYCCkgI"
    message["usage"]["cache_read_input_tokens"] = 0
    return message | {"id": "msg_01Yg"}


def refused(response: Any) -> Any:
    response["output"][1]["content"] = [{"type": "refusal", "refusal": "I cannot help with that."}]
    return response


TABLE: dict[str, tuple[Any, list[tuple[str, Change]]]] = {
    "A plain answer": (
        PLAIN,
        [
            ("`id`, `created` and `cached_tokens` are new", lambda it: it | {"id": "x", "created": 1}),
            ("a word differs", at(*CONTENT, to="The capital of France is Lyon. It lies on the Seine.")),
            ("the text is completely different", at(*CONTENT, to="I cannot say.")),
            ("the text is JSON now", at(*CONTENT, to='{"capital": "Paris"}')),
            ("it is cut off", at("choices", 0, "finish_reason", to="length")),
            ("it is filtered", at("choices", 0, "finish_reason", to="content_filter")),
            ("it is refused", at(*MESSAGE, "refusal", to="I cannot help with that.")),
            ("there is a second choice", lambda it: it | {"choices": [*it["choices"], EXTRA_CHOICE]}),
            ("another model answers", at("model", to="step-3.7-flash")),
            ("more tokens are used", at("usage", "completion_tokens", to=27)),
            ("there is an undocumented field", at("provider", to="stepfun")),
            ("details of the usage are gone", without("usage", "prompt_tokens_details")),
            ("`usage` is gone", without("usage")),
            ("`created` is a text", at("created", to="2026-01-01")),
            ("`finish_reason` is one that nobody documents", at("choices", 0, "finish_reason", to="eos")),
            ("`choices` is gone", without("choices")),
        ],
    ),
    "Tool calls": (
        TOOLS,
        [
            ("the ids are new", fresh_ids),
            (
                "the arguments are in another order",
                at(*CALLS, 0, "function", "arguments", to='{"days": 2, "city": "Paris"}'),
            ),
            ("another function is called", at(*CALLS, 0, "function", "name", to="get_forecast")),
            ("an argument differs", at(*CALLS, 0, to=call("get_weather", "call_1", city="Paris", days=3))),
            (
                "an argument is a text",
                at(*CALLS, 0, to=call("get_weather", "call_1", city="Paris", days="2")),
            ),
            ("an argument is gone", at(*CALLS, 0, to=call("get_weather", "call_1", city="Paris"))),
            ("arguments are broken JSON", at(*CALLS, 0, "function", "arguments", to='{"city": "Par')),
            ("the first call is gone", without(*CALLS, 0)),
            (
                "there is one more call",
                lambda it: at(*CALLS, to=[*it["choices"][0]["message"]["tool_calls"], SEARCH])(it),
            ),
            ("the calls change places", swap_calls),
            ("no tool is called", without(*CALLS)),
            ("two calls have one id", at(*CALLS, 1, "id", to="call_9f2k")),
            ("a call has no `id`", without(*CALLS, 0, "id")),
        ],
    ),
    "A custom tool": (
        CUSTOM,
        [
            ("the id is new", at(*CALLS, 0, "id", to="call_8zz1")),
            ("another tool is called", at(*CALLS, 0, "custom", "name", to="run_psql")),
            ("its input differs", at(*CALLS, 0, "custom", "input", to="SELECT email FROM users")),
            ("there is an undocumented key", at(*CALLS, 0, "approved", to=False)),
        ],
    ),
    "JSON in the text": (
        JSON,
        [
            (
                "spaces and order differ",
                at(*CONTENT, to='{"rivers":["Seine"],"population":2102650,"city":"Paris"}'),
            ),
            (
                "a value differs",
                at(*CONTENT, to='{"city": "Paris", "population": 2103000, "rivers": ["Seine"]}'),
            ),
            (
                "one more item",
                at(*CONTENT, to='{"city": "Paris", "population": 2102650, "rivers": ["Seine", "Marne"]}'),
            ),
            ("a key is gone", at(*CONTENT, to='{"city": "Paris", "rivers": ["Seine"]}')),
            (
                "a value has another type",
                at(*CONTENT, to='{"city": "Paris", "population": "2 million", "rivers": ["Seine"]}'),
            ),
            ("it is no longer JSON", at(*CONTENT, to="Paris has 2102650 inhabitants.")),
        ],
    ),
    "Reasoning": (
        REASONING,
        [
            (
                "it is reworded",
                at(*MESSAGE, "reasoning", to="The user asks for two plus two, so the answer is four."),
            ),
            ("it is gone", without(*MESSAGE, "reasoning")),
        ],
    ),
    "Reasoning in details": (
        DETAILS,
        [
            ("`id`, `data` and `signature` are new", fresh_details),
            ("it is reworded", at(*MESSAGE, "reasoning_details", 0, "text", to="2 and 2 is four.")),
        ],
    ),
    "A stream": (
        STREAM,
        [
            ("the text is cut into other chunks", other_pieces),
            ("a word differs", at(1, *("choices", 0, "delta", "content"), to="Lyon is the capital ")),
            ("it breaks off in the middle", cut_short),
            ("a chunk has no `model`", without(2, "model")),
            (
                "it ends with an error",
                lambda it: [*it[:2], {"error": {"message": "overloaded", "type": "server_error"}}],
            ),
        ],
    ),
    "Instead of an answer": (
        PLAIN,
        [
            ("an error object under status 200", lambda it: ERROR),
            ("an empty body under status 200", lambda it: ""),
            ("a page of HTML", lambda it: "<html><body>502 Bad Gateway</body></html>"),
            ("JSON that is cut off", lambda it: json.dumps(it)[:120]),
        ],
    ),
    "A response": (
        RESPONSE,
        [
            ("ids, times and encrypted reasoning are new", fresh_response),
            ("another function is called", at("output", 2, "name", to="get_forecast")),
            ("an argument differs", at("output", 2, "arguments", to='{"city": "Paris", "days": 3}')),
            ("arguments are broken JSON", at("output", 2, "arguments", to='{"city": "Par')),
            ("no tool is called", without("output", 2)),
            ("a word of the text differs", at("output", 1, "content", 0, "text", to="I shall look it up.")),
            ("it is refused", refused),
            (
                "it is cut off",
                lambda it: (
                    it | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
                ),
            ),
            (
                "the reasoning is worded anew",
                at("output", 0, "summary", 0, "text", to="They want the weather."),
            ),
            ("more tokens are used", at("usage", "output_tokens", to=27)),
            ("a call has no `call_id`", without("output", 2, "call_id")),
            ("`status` is one that nobody documents", at("status", to="done")),
        ],
    ),
    "A message": (
        MESSAGE_ANSWER,
        [
            ("ids, signatures and cached tokens are new", fresh_message),
            ("another tool is called", at("content", 2, "name", to="get_forecast")),
            ("its input differs", at("content", 2, "input", to={"city": "Paris", "days": 3})),
            ("no tool is called", without("content", 2)),
            ("a word of the text differs", at("content", 1, "text", to="I shall look it up.")),
            ("it is cut off", at("stop_reason", to="max_tokens")),
            ("it is refused", at("stop_reason", to="refusal")),
            ("the thoughts are worded anew", at("content", 0, "thinking", to="They want the weather.")),
            ("more tokens are used", at("usage", "output_tokens", to=27)),
            ("a call has no `id`", without("content", 2, "id")),
            ("`stop_reason` is one that nobody documents", at("stop_reason", to="eos")),
            (
                "an error object under status 200",
                lambda it: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            ),
        ],
    ),
    "A response of StepFun's": (
        STEPFUN_RESPONSE,
        [
            ("ids and times are new", fresh_response),
            ("another function is called", at("output", 2, "name", to="get_forecast")),
            ("the thoughts are worded anew", at("output", 0, "content", 0, "text", to="They want it.")),
            (
                "more tokens are used for tools",
                at("usage", "output_tokens_details", "tool_output_tokens", to=7),
            ),
            ("it was put in a queue", at("status", to="queued")),
            ("`model` is gone", without("model")),
        ],
    ),
    "A message of StepFun's": (
        STEPFUN_MESSAGE,
        [
            ("the ids are new", fresh_message),
            ("another tool is called", at("content", 2, "name", to="get_forecast")),
            ("it names its model", at("model", to="step-3.5-flash")),
            ("it is cut off", at("stop_reason", to="max_tokens")),
            ("it is paused", at("stop_reason", to="pause_turn")),
        ],
    ),
    "An error that was recorded": (
        ERROR,
        [
            ("it is reworded", at("error", "message", to="Requests are limited to 9 per minute.")),
            ("it is of another type", at("error", "type", to="quota_exceeded")),
        ],
    ),
}

TABLE |= other_endpoints.TABLE

INTRODUCTION = """\
# Levels of drift

When a response differs from the stored one, each change has a level, and the drift has the level of its worst
change. The tables below show how single changes to typical responses of StepFun's API are reported. In a word-level
diff, `[-this-]` was removed and `{+this+}` was added.

| level | what changed |
|---|---|
| contract | the response breaks the documented object |
| behavior | the model does something different: tools, arguments, why it stopped, the shape of its JSON |
| content | the text differs |
| metadata | only other fields differ: the model's name, usage, undocumented fields |
| none | only what differs on every call: ids, times, cached tokens, encrypted reasoning |

`pytest --stepreplay=verify` fails at the level `behavior` or worse; `--stepreplay-fail-on` sets another level.

This page is generated from what the code does: `python -m tests.unit.test_drift_table`
"""


def drift_of(title: str, stored: Any, change: Change) -> Drift:
    policy = Policy(contract="openai" if title in SHARED else "stepfun")
    return compare(stored, change(copy.deepcopy(stored)), policy)


def render_page() -> str:
    lines = [INTRODUCTION]
    for title, (stored, changes) in TABLE.items():
        lines += [f"## {title}", "", "| what changed | level | what you see |", "|---|---|---|"]
        for told, change in changes:
            drift = drift_of(title, stored, change)
            lines.append(f"| {told} | {drift.level} | {seen(drift)} |")
        lines.append("")
    return "\n".join(lines)


def seen(drift: Drift) -> str:
    if not drift:
        return "nothing"
    text = drift.line()
    assert not set("`|\n") & set(text), "this would need escaping in Markdown"
    return f"`{text}`"


def test_the_page_says_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_page(), (
        "docs/drift-levels.md is not what the code says; write it anew with: "
        "python -m tests.unit.test_drift_table"
    )


def test_each_change_is_told_in_one_line() -> None:
    levels = Counter(
        drift_of(title, stored, change).level
        for title, (stored, changes) in TABLE.items()
        for _, change in changes
    )
    assert set(levels) == set(Level)
    assert levels.total() >= 30


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render_page(), encoding="utf-8")
    print(f"wrote {PAGE}")
