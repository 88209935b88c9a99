"""The events of responses and messages through the vendors' SDKs and through `fold`: equal, or different for a reason.

Each stream is one that servers send; a real server sends it to the SDK's own client. The tables in docs/assembly.md are
made from them. To write them anew: ``python -m tests.unit.test_event_accumulators``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from anthropic import Anthropic
from openai import OpenAI

from pytest_stepreplay.endpoints import endpoint_named
from pytest_stepreplay.upstream import Upstream, raw
from pytest_stepreplay.wire.events import json_chunks_of
from tests.talking import framed, message_events, response_events

from .test_accumulators import differences

PAGE: Final = Path(__file__).parents[2] / "docs/assembly.md"

Event = dict[str, Any]


@dataclass(frozen=True)
class Stream:
    """One stream.

    Attributes:
        name: what it holds.
        events: in order.
        differs: the places that differ, each with what the SDK makes of it and what we do.
        fails: the SDK ends with an exception in place of an answer.
        why: the reason.
    """

    name: str
    events: Iterable[Event]
    differs: tuple[tuple[str, Any, Any], ...] = ()
    fails: bool = False
    why: str = ""


TEXT = {"type": "output_text", "text": "It is sunny.", "annotations": [], "logprobs": []}
SAID = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [TEXT]}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city": "Oslo"}',
}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "They ask."}]}


def response(*output: Event, **fields: Any) -> Event:
    head = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m"}
    used = {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 3,
    }
    rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None, "usage": used}
    return {**head, "output": list(output), **rest, **fields}


def events(whole: Event) -> list[Event]:
    return list(response_events(whole))


def ended(*between: Event, **fields: Any) -> list[Event]:
    """Returns the events of a response without output, with others before its end."""
    started, running, last = events(response(**fields))
    return [started, running, *between, last]


def at(kind: str, **fields: Any) -> Event:
    return {"type": f"response.{kind}", "output_index": 0, "item_id": "x", **fields}


WHOLE = events(response(THOUGHT, SAID, CALL))
SEARCH = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "q"},
}

MUSED: Event = {"id": "rs_1", "type": "reasoning", "summary": [], "content": None, "status": "completed"}
MUSE = {"output_index": 0, "item_id": "rs_1", "content_index": 0}
MUSING = [{"type": "reasoning_text", "text": "They ask."}]

RESPONSES: Final = (
    Stream("text, thoughts and a call", WHOLE),
    Stream(
        "it breaks off before its end",
        [event for event in WHOLE if event["type"] != "response.completed"],
        fails=True,
        why="the SDK has no final response; the items that came are kept here, and `status` is still `in_progress`",
    ),
    Stream(
        "`output` is empty in the last event",
        [*WHOLE[:-1], {**WHOLE[-1], "response": {**WHOLE[-1]["response"], "output": []}}],
        differs=tuple((f"output[{i}]", None, item) for i, item in enumerate((THOUGHT, SAID, CALL))),
        why="the items that were sent are the output",
    ),
    Stream(
        "an error in the middle",
        [*WHOLE[:5], {"type": "error", "code": "server_error", "message": "overloaded", "param": None}],
        fails=True,
        why="the SDK's reader raises `APIError` there; what came before is kept here, and the error beside it",
    ),
    Stream(
        "a built-in tool, step by step",
        [
            *events(response(SEARCH))[:2],
            at("output_item.added", item={**SEARCH, "status": "in_progress"}),
            at("web_search_call.in_progress"),
            at("web_search_call.searching"),
            at("web_search_call.completed"),
            *events(response(SEARCH))[2:],
        ][:6]
        + events(response(SEARCH))[-2:],
    ),
    Stream(
        "StepFun: thoughts that the last event leaves out",
        [
            *events(response(SAID))[:2],
            {"type": "response.output_item.added", "output_index": 0, "item": MUSED},
            {"type": "response.reasoning_part.added", **MUSE, "part": {"type": "reasoning_text", "text": ""}},
            *(
                {"type": "response.reasoning_text.delta", **MUSE, "delta": piece}
                for piece in ("They ", "ask.")
            ),
            {"type": "response.reasoning_text.done", **MUSE, "text": "They ask."},
            {"type": "response.reasoning_part.done", **MUSE, "part": MUSING[0]},
            {"type": "response.output_item.done", "output_index": 0, "item": MUSED},
            {"type": "response.completed", "response": response(MUSED, SAID)},
        ],
        differs=(("output[0].content", None, MUSING),),
        why="StepFun tells thoughts in these events alone",
    ),
    Stream(
        "an event that nobody documents",
        ended(at("dream.started", depth=3)),
        differs=(
            (
                "other_events",
                None,
                [{"type": "response.dream.started", "output_index": 0, "item_id": "x", "depth": 3}],
            ),
        ),
        why="it is kept, so that a change is seen",
    ),
)


def message(*content: Event, **fields: Any) -> Event:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(content)}
    used = {"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 1}
    return {**head, "stop_reason": "end_turn", "stop_sequence": None, "usage": used, **fields}


HELLO = {"type": "text", "text": "It is sunny."}
USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
THINKING = {"type": "thinking", "thinking": "They ask.", "signature": "EqQB"}
TALK = list(message_events(message(THINKING, HELLO, USE)))
CITED = {"type": "char_location", "cited_text": "sun", "document_index": 0, "document_title": None}
FOUND = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}


def block(block: Event, *changes: Event, index: int = 0) -> list[Event]:
    here = {"index": index}
    grown = [{"type": "content_block_delta", **here, "delta": change} for change in changes]
    return [
        {"type": "content_block_start", **here, "content_block": block},
        *grown,
        {"type": "content_block_stop", **here},
    ]


def talk(*blocks: Event) -> list[Event]:
    started, *_, stopped, last = message_events(message())
    return [started, *blocks, stopped, last]


MESSAGES: Final = (
    Stream(
        "StepFun: little at its start, and its end beside `delta`",
        [
            {
                "type": "message_start",
                "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"},
            },
            *block({"type": "text", "text": ""}, {"type": "text_delta", "text": "sunny"})[:2],
            {
                "type": "message_delta",
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 3, "output_tokens": 5},
            },
            {"type": "message_stop"},
        ],
        fails=True,
        why="the SDK wants a `delta` and a `content`; StepFun's page shows a stream without",
    ),
    Stream("thoughts, text and a tool, its input in pieces", TALK),
    Stream(
        "a tool without input",
        talk(*block({**USE, "input": {}}, {"type": "input_json_delta", "partial_json": ""})),
    ),
    Stream("a tool of the server's", list(message_events(message(FOUND, HELLO)))),
    Stream("redacted thoughts", talk(*block({"type": "redacted_thinking", "data": "EmwK"}))),
    Stream(
        "a citation",
        talk(
            *block(
                {"type": "text", "text": "", "citations": []},
                {"type": "text_delta", "text": "sun"},
                {
                    "type": "citations_delta",
                    "citation": {**CITED, "start_char_index": 0, "end_char_index": 3},
                },
            )
        ),
    ),
    Stream("it breaks off after a text", TALK[: TALK.index(next(it for it in TALK if it.get("index") == 2))]),
    Stream(
        "it breaks off in the input of a tool",
        talk(*block({**USE, "input": {}}, {"type": "input_json_delta", "partial_json": '{"city": '}))[:3],
        differs=(("content[0].input", {}, '{"city": '),),
        why="the SDK closes what is open; what came is kept here, and told as broken JSON",
    ),
    Stream(
        "no `message_start`",
        TALK[1:],
        fails=True,
        why="what came is one message here",
    ),
    Stream(
        "an error in the middle",
        [*TALK[:6], {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}],
        fails=True,
        why="the SDK's reader raises `APIStatusError` there; what came before is kept here, and the error beside it",
    ),
    Stream(
        "an event that nobody documents",
        [*TALK[:-1], {"type": "message_rated", "stars": 5}, TALK[-1]],
        differs=(("other_events", None, [{"type": "message_rated", "stars": 5}]),),
        why="it is kept, so that a change is seen",
    ),
)


def frames_of(stream: Stream) -> str:
    return "".join(framed(iter(stream.events)))


def folded(name: str, stream: Stream) -> dict[str, Any]:
    fold = endpoint_named(name).fold
    assert fold is not None
    return fold(json_chunks_of(frames_of(stream)))


def by_openai(url: str) -> dict[str, Any]:
    with (
        OpenAI(base_url=url, api_key="none", max_retries=0) as client,
        client.responses.stream(model="m", input="How is it?") as stream,
    ):
        found: dict[str, Any] = stream.get_final_response().to_dict(mode="json")
    for part in (part for item in found["output"] for part in item.get("content") or ()):
        part.pop("parsed", None)
    for item in found["output"]:
        item.pop("parsed_arguments", None)
    return found


def by_anthropic(url: str) -> dict[str, Any]:
    asked = {"role": "user", "content": "How is it?"}
    with (
        Anthropic(base_url=url.removesuffix("/v1"), api_key="none", max_retries=0) as client,
        client.messages.stream(model="m", max_tokens=9, messages=[asked]) as stream,  # type: ignore[list-item]  # a plain dict
    ):
        found: dict[str, Any] = stream.get_final_message().to_dict(mode="json")
    return found


SDKS: Final[dict[str, tuple[tuple[Stream, ...], Callable[[str], dict[str, Any]], str]]] = {
    "responses": (
        RESPONSES,
        by_openai,
        "| stream of a response | the openai SDK | here | why |\n|---|---|---|---|\n",
    ),
    "messages": (
        MESSAGES,
        by_anthropic,
        "| stream of a message | the anthropic SDK | here | why |\n|---|---|---|---|\n",
    ),
}
CASES = [(name, each) for name, (streams, *_) in SDKS.items() for each in streams]


@pytest.mark.parametrize(("name", "stream"), CASES, ids=[f"{name}: {each.name}" for name, each in CASES])
def test_it_is_what_the_sdk_makes_of_it_but_where_the_table_says(name: str, stream: Stream) -> None:
    sent = raw(200, {"Content-Type": "text/event-stream"}, frames_of(stream).encode())
    with Upstream(lambda _: sent) as upstream:
        if stream.fails:
            with pytest.raises(Exception):  # noqa: B017 - each SDK has its own
                SDKS[name][1](upstream.url)
        else:
            assert differences(SDKS[name][1](upstream.url), folded(name, stream)) == list(stream.differs)
    assert bool(stream.why) == bool(stream.differs or stream.fails)


def test_where_an_sdk_fails_nothing_is_lost() -> None:
    made = {name: folded("responses", each) for each in RESPONSES if each.fails for name in [each.name]}
    broken = made["it breaks off before its end"]
    assert (broken["status"], broken["output"]) == ("in_progress", [THOUGHT, SAID, CALL])
    # Newer versions of the SDK take the items then, older ones fail.
    without = {**WHOLE[-1], "response": {**WHOLE[-1]["response"], "output": None}}
    assert folded("responses", Stream("", [*WHOLE[:-1], without]))["output"] == [THOUGHT, SAID, CALL]
    assert made["an error in the middle"]["error"] == {"code": "server_error", "message": "overloaded"}
    said = {name: folded("messages", each) for each in MESSAGES if each.fails for name in [each.name]}
    assert said["no `message_start`"]["content"] == [THINKING, HELLO, USE]
    assert said["an error in the middle"]["error"]["type"] == "overloaded_error"


def test_items_alone_tell_what_the_last_event_does() -> None:
    """Every documented event of an item: pieces alone, and pieces with the whole item behind them."""
    refused = {**SAID, "content": [{"type": "refusal", "refusal": "I cannot."}]}
    mused = {
        "id": "rs_2",
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Hm, 4."}],
    }
    custom = {"id": "ct_1", "type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "SELECT 1"}
    mcp = {
        "id": "mcp_1",
        "type": "mcp_call",
        "name": "ask",
        "server_label": "s",
        "arguments": "{}",
        "status": "completed",
    }
    code = {
        "id": "ci_1",
        "type": "code_interpreter_call",
        "code": "1+1",
        "container_id": "c",
        "status": "completed",
    }
    image = {"id": "ig_1", "type": "image_generation_call", "status": "completed"}
    shell = {
        "id": "sh_1",
        "type": "shell_call",
        "call_id": "c",
        "action": {"commands": ["ls", "pwd"]},
        "status": "completed",
    }
    ran = {
        "id": "so_1",
        "type": "shell_call_output",
        "call_id": "c",
        "output": [{"stdout": "a b", "stderr": ""}],
    }
    grown: list[tuple[Event, Event, list[Event]]] = [
        (
            refused,
            {**refused, "content": []},
            [
                at("content_part.added", content_index=0, part={"type": "refusal", "refusal": ""}),
                at("refusal.delta", content_index=0, delta="I "),
                at("refusal.delta", content_index=0, delta="cannot"),
                at("refusal.done", content_index=0, refusal="I cannot."),
            ],
        ),
        (
            {**SAID, "content": [{**TEXT, "annotations": [{"type": "url_citation"}]}]},
            {**SAID, "content": []},
            [
                at("content_part.added", content_index=0, part={**TEXT, "text": ""}),
                at("output_text.delta", content_index=0, delta="It is "),
                at("output_text.delta", content_index=0, delta="sunny."),
                at("output_text.annotation.added", content_index=0, annotation={"type": "url_citation"}),
            ],
        ),
        (
            mused,
            {**mused, "content": []},
            [at("reasoning_text.delta", content_index=0, delta=it) for it in ("Hm, ", "4.")],
        ),
        (custom, {**custom, "input": ""}, [at("custom_tool_call_input.delta", delta="SELECT 1")]),
        (
            mcp,
            {**mcp, "arguments": ""},
            [at("mcp_call_arguments.done", arguments="{}"), at("mcp_call.completed")],
        ),
        (
            code,
            {**code, "code": "", "status": "in_progress"},
            [
                at("code_interpreter_call.interpreting"),
                at("code_interpreter_call_code.delta", delta="1+"),
                at("code_interpreter_call_code.done", code="1+1"),
                at("code_interpreter_call.completed"),
            ],
        ),
        (
            image,
            {**image, "status": "generating"},
            [
                at("image_generation_call.partial_image", partial_image_b64="aGk="),
                at("image_generation_call.completed"),
            ],
        ),
        (
            shell,
            {**shell, "action": {"commands": []}},
            [
                at("shell_call_command.added", command_index=0, command=""),
                at("shell_call_command.delta", command_index=0, delta="ls"),
                at("shell_call_command.done", command_index=1, command="pwd"),
            ],
        ),
        (
            ran,
            {**ran, "output": []},
            [
                at("shell_call_output_content.delta", command_index=0, delta={"stdout": "a ", "stderr": ""}),
                at("shell_call_output_content.delta", command_index=0, delta={"stdout": "b"}),
            ],
        ),
    ]
    for whole, empty, pieces in grown:
        start = [*events(response())[:2], at("output_item.added", item=empty), *pieces]
        assert folded("responses", Stream("", start))["output"] == [whole], whole["type"]
        done = [*start, at("output_item.done", item=whole)]
        assert folded("responses", Stream("", done))["output"] == [whole]
        assert "other_events" not in folded("responses", Stream("", done))
    audio = [at("audio.delta", delta="aG"), at("audio.delta", delta="k="), at("audio.done")]
    heard = [*audio, at("audio.transcript.delta", delta="hi"), at("audio.transcript.done")]
    assert folded("responses", Stream("", ended(*heard)))["audio"] == {"data": "aGk=", "transcript": "hi"}


def table(name: str) -> str:
    streams, _, head = SDKS[name]
    return head + "".join(_row(each) for each in streams)


def _row(stream: Stream) -> str:
    if stream.fails:
        return f"| {stream.name} | fails | one answer | {stream.why} |\n"
    if not stream.differs:
        return f"| {stream.name} | the same | the same | |\n"
    theirs, ours = ("<br>".join(f"`{it[0]}`: {_shown(it[i])}" for it in stream.differs) for i in (1, 2))
    return f"| {stream.name} | {theirs} | {ours} | {stream.why} |\n"


def _shown(value: Any) -> str:
    return "-" if value is None else f"`{json.dumps(value)}`"


@pytest.mark.parametrize("name", SDKS)
def test_the_table_of_the_page_is_this_one(name: str) -> None:
    found = re.search(re.escape(SDKS[name][2]) + r"(?:\|.*\n)*", PAGE.read_text(encoding="utf-8"))
    assert found is not None
    assert found[0] == table(name), "write it anew: python -m tests.unit.test_event_accumulators"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    for each in SDKS:
        text = re.sub(re.escape(SDKS[each][2]) + r"(?:\|.*\n)*", lambda _, name=each: table(name), text)  # type: ignore[misc]  # bound here
    PAGE.write_text(text, encoding="utf-8")
