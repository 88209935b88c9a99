"""Responses and messages, place by place: ids in requests, what is no answer of theirs, and what a hostile server sends."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from anthropic.types import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response as OpenAIResponse

from pytest_stepreplay import compare
from pytest_stepreplay.drift.answers import read_answer
from pytest_stepreplay.drift.contract import breaches_of
from pytest_stepreplay.drift.keeping import keep_volatile
from pytest_stepreplay.endpoints import endpoint_named, endpoint_of, endpoint_of_answer
from pytest_stepreplay.lint import Expected, check_cassette
from pytest_stepreplay.matching.contrast import differences
from pytest_stepreplay.matching.keys import Matcher
from pytest_stepreplay.models import Cassette, Interaction, RawFrame, Request, Response
from pytest_stepreplay.settings.policy import Policy
from tests.talking import framed, message_events, response_events

from .changes import at
from .test_drift_table import DETAILS, MESSAGE_ANSWER, PLAIN, RESPONSE
from .test_formats_families import only, reason

BASE = "https://api.stepfun.com/v1"
MATCHER = Matcher()


def asked(path: str, **body: Any) -> Request:
    return Request(method="POST", url=f"{BASE}/{path}", json={"model": "m", **body})


def same(one: Request, other: Request) -> bool:
    return MATCHER.key(one) == MATCHER.key(other)


def called(weather: str, clock: str, *, cites: tuple[str, str], item: str = "fc") -> Request:
    """Returns a request that sends two calls back, each with its result."""
    calls = [
        {"type": "function_call", "id": f"{item}_{name}", "call_id": name, "name": tool, "arguments": "{}"}
        for tool, name in (("weather", weather), ("clock", clock))
    ]
    thought = {"type": "reasoning", "id": f"rs_{item}", "summary": []}
    outputs = zip(cites, ("sunny", "noon"), strict=True)
    results = [{"type": "function_call_output", "call_id": name, "output": it} for name, it in outputs]
    return asked("responses", input=[thought, *calls, *results])


def used(weather: str, clock: str, *, cites: tuple[str, str], signature: str = "EqQB") -> Request:
    """Returns the same for messages."""
    blocks: list[dict[str, Any]] = [{"type": "thinking", "thinking": "Hm.", "signature": signature}]
    blocks += [
        {"type": "tool_use", "id": name, "name": tool, "input": {}}
        for tool, name in (("weather", weather), ("clock", clock))
    ]
    outputs = zip(cites, ("sunny", "noon"), strict=True)
    results = [{"type": "tool_result", "tool_use_id": name, "content": it} for name, it in outputs]
    messages = [{"role": "assistant", "content": blocks}, {"role": "user", "content": results}]
    return asked("messages", messages=messages, max_tokens=9)


def test_fresh_ids_match_and_swapped_results_do_not() -> None:
    assert same(called("a", "b", cites=("a", "b")), called("x", "y", cites=("x", "y"), item="fd"))
    assert not same(called("a", "b", cites=("a", "b")), called("a", "b", cites=("b", "a")))
    assert same(used("a", "b", cites=("a", "b")), used("x", "y", cites=("x", "y")))
    assert not same(used("a", "b", cites=("a", "b")), used("a", "b", cites=("b", "a")))


def test_what_the_server_keeps_is_cited_by_its_very_id() -> None:
    """Its call stands in another request, so a swapped result can only be told by the id itself."""

    def later(response: str, call: str) -> Request:
        result = {"type": "function_call_output", "call_id": call, "output": "sunny"}
        return asked("responses", previous_response_id=response, input=[result])

    def kept(item: str) -> Request:
        return asked("responses", input=[{"type": "item_reference", "id": item}])

    assert same(later("resp_1", "call_1"), later("resp_1", "call_1"))
    assert not same(later("resp_1", "call_1"), later("resp_1", "call_2"))
    assert not same(later("resp_1", "call_1"), later("resp_2", "call_1"))
    assert not same(kept("msg_1"), kept("msg_2"))
    # Of two runs they belong together all the same.
    for one, other in ((later("resp_1", "call_1"), later("resp_2", "call_2")), (kept("a"), kept("b"))):
        assert MATCHER.loose_key(one) == MATCHER.loose_key(other)
    get = Request(method="GET", url=f"{BASE}/responses/resp_1")
    assert not same(get, Request(method="GET", url=f"{BASE}/responses/resp_2"))
    assert MATCHER.loose_key(get) == MATCHER.loose_key(Request(method="GET", url=f"{BASE}/responses/resp_2"))


def test_a_sealed_thought_is_part_of_the_request() -> None:
    one, other = (used("a", "b", cites=("a", "b"), signature=it) for it in ("EqQB", "EpYC"))
    assert not same(one, other)
    assert MATCHER.loose_key(one) == MATCHER.loose_key(other)


def test_documented_defaults_are_the_same_as_nothing() -> None:
    message = [{"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": None}]}]
    plain = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert same(asked("messages", messages=message, stream=False), asked("messages", messages=plain))
    cached = [
        {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]}
    ]
    assert not same(asked("messages", messages=cached), asked("messages", messages=plain))
    assert same(asked("responses", input="Hi", store=True), asked("responses", input="Hi"))


def streamed(events: Iterable[dict[str, Any]]) -> Response:
    return Response(status=200, events=tuple(RawFrame(frame=frame) for frame in framed(iter(events))))


def test_a_rewrite_keeps_the_ids_that_later_requests_cite() -> None:
    """Where the answer has changed, its call keeps its old id; what it cites follows."""

    def turns(suffix: str, text: str) -> list[Interaction]:
        first = copy.deepcopy(RESPONSE)
        first["id"], first["output"][2]["call_id"] = f"resp_{suffix}", f"call_{suffix}"
        first["output"][0]["encrypted_content"] = f"sealed {suffix}"
        first["output"][1]["content"][0]["text"] = text
        back = [
            *first["output"],
            {"type": "function_call_output", "call_id": f"call_{suffix}", "output": "7"},
        ]
        return [
            Interaction(
                request=asked("responses", input="How is Paris?"), response=Response(status=200, json=first)
            ),
            Interaction(request=asked("responses", input=back), response=streamed(response_events(first))),
        ]

    old, same_text, other_text = turns("old", "Hm."), turns("new", "Hm."), turns("new", "Well.")
    assert list(keep_volatile(old, same_text, [0, 1])) == old
    first, second = keep_volatile(old, other_text, [0, 1])
    assert first.response.json["output"][2]["call_id"] == "call_old"
    assert second.request.json["input"][-1]["call_id"] == "call_old"
    assert same(second.request, other_text[1].request), "what is kept is still what the client sends"


def test_objects_of_the_sdks_are_values() -> None:
    message, response = Message.construct(**MESSAGE_ANSWER), OpenAIResponse.construct(**RESPONSE)
    assert not compare(MESSAGE_ANSWER, message)
    assert not compare(RESPONSE, response)
    forecast = copy.deepcopy(MESSAGE_ANSWER)
    forecast["content"][2]["name"] = "get_forecast"
    told = "content[2].name: get_weather -> get_forecast (behavior)"
    assert str(compare(message, Message.construct(**forecast))) == told
    assert str(compare(MESSAGE_ANSWER, "".join(framed(message_events(forecast))))) == told


def test_a_stream_is_the_answer_that_it_gives() -> None:
    for answer, events in ((RESPONSE, response_events), (MESSAGE_ANSWER, message_events)):
        chunks = list(events(answer))
        assert not compare(answer, chunks)
        assert not compare("".join(framed(iter(chunks))), answer)
        assert endpoint_of_answer(chunks).fold is not None


def test_the_path_says_whose_requests_they_are() -> None:
    paths = {
        "/v1/responses": "responses",
        "/v1/responses/resp_1/cancel": "responses",
        "/v1/responses/input_tokens": "input_tokens",
        "/v1/responses/resp_1/input_items": "conversations",
        "/v1/conversations/conv_1/items": "conversations",
        "/v1/messages": "messages",
        "/anthropic/v1/messages/count_tokens": "count_tokens",
    }
    assert {path: endpoint_of(path).name for path in paths} == paths


@pytest.mark.parametrize(
    ("stored", "new", "told"),
    [
        (RESPONSE, PLAIN, "$: a chat completion instead of a response (contract)"),
        (MESSAGE_ANSWER, RESPONSE, "$: a response instead of a message (contract)"),
        (PLAIN, MESSAGE_ANSWER, "$: a message instead of a chat completion (contract)"),
        (RESPONSE, {"a": 1}, "$: an object that is not a response instead of a response (contract)"),
        (MESSAGE_ANSWER, "", "$: an empty body instead of a message (contract)"),
    ],
)
def test_the_body_of_another_endpoint_is_named(stored: Any, new: Any, told: str) -> None:
    assert str(compare(stored, new, endpoint=endpoint_of_answer(stored))) == told


def test_events_of_two_endpoints_in_one_stream_are_told() -> None:
    pure, other = list(response_events(RESPONSE)), list(message_events(MESSAGE_ANSWER))
    mixed = "".join(framed(iter([*pure[:3], other[0], other[1], *pure[3:]])))
    drift = compare(pure, mixed, endpoint="responses")
    assert [change.selector for change in drift.changes] == ["other_events"]
    # What a stream is, the endpoint that was asked says; without one, the first that knows an event.
    assert compare(mixed, mixed, endpoint="messages") == compare(pure, pure)
    chat = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    both = compare(other, [*other[:4], chat, *other[4:]], endpoint="messages")
    assert "other_events" in both.full()


def test_an_event_that_nobody_documents_is_seen_and_does_no_harm() -> None:
    for answer, events in ((RESPONSE, response_events), (MESSAGE_ANSWER, message_events)):
        chunks = list(events(answer))
        drift = compare(
            chunks,
            [*chunks[:2], {"type": "response.dream" if events is response_events else "dream"}, *chunks[2:]],
        )
        assert str(drift.level) == "metadata"


def test_lint_knows_both() -> None:
    answer = copy.deepcopy(MESSAGE_ANSWER)
    del answer["usage"]
    uuid = "6ff5b8a8-2d5e-4d6b-8b44-4c5e0e4f6a01"
    interactions = (
        Interaction(request=used(uuid, "b", cites=(uuid, "b")), response=Response(status=200, json=answer)),
        Interaction(
            request=called(uuid, "b", cites=(uuid, "b")),
            response=Response(status=200, json={**RESPONSE, "output": 1}),
        ),
        Interaction(
            request=asked("responses", input=f"Look at {uuid}."), response=Response(status=200, json=RESPONSE)
        ),
        Interaction(request=asked("messages", messages=[]), response=Response(status=200, json=PLAIN)),
    )
    problems = check_cassette(Cassette(test=None, interactions=interactions), Expected())
    assert [(each.check, each.place[1], each.place[-1]) for each in problems] == [
        ("contract", 0, "usage"),
        ("contract", 1, "output"),
        ("volatile", 2, "input"),
        ("contract", 3, "response"),
    ]
    assert problems[-1].what == "should be a message, not a chat completion"


def test_logs_without_a_url_are_told_by_their_bodies() -> None:
    base = {"base_url": BASE}
    told = {"request": {"model": "m", "messages": [], "max_tokens": 9}, "response": MESSAGE_ANSWER, **base}
    assert only(told).url == f"{BASE}/messages"
    asked_so = {"request": {"model": "m", "input": "Hi"}, "response": RESPONSE, **base}
    assert only(asked_so).url == f"{BASE}/responses"
    chunks = list(message_events(MESSAGE_ANSWER))
    listed = only({"request": {"model": "m", "messages": []}, "response": {"body": chunks}, **base})
    assert listed.body.startswith(b"event: message_start\ndata: {")
    assert not compare(listed.body, MESSAGE_ANSWER)
    assert "does not show" in reason({"request": {"a": 1}, "response": {"b": 2}, **base})


WORDS = """
    type role content text id call_id tool_use_id input output name arguments delta index item part response message
    usage error object output_index content_index summary thinking signature partial_json stop_reason system status
    annotations action commands command_index message_start content_block_start content_block_delta message_delta
    response.output_text.delta response.output_item.added response.shell_call_command.delta response.completed
    response.refusal.done response.reasoning_summary_part.added function_call tool_use tool_result reasoning
"""
TEXTS = st.sampled_from(WORDS.split())
VALUES = st.recursive(
    st.none() | st.integers(-1, 3) | TEXTS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=12,
)
EVENTS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=5), max_size=6)


@settings(max_examples=60)
@given(EVENTS, st.dictionaries(TEXTS, VALUES, max_size=6))
def test_nothing_that_a_server_sends_breaks_what_reads_it(
    events: list[dict[str, Any]], tree: dict[str, Any]
) -> None:
    for endpoint in map(endpoint_named, ("chat", "responses", "messages", "conversations")):
        whole = endpoint.fold(events) if endpoint.fold else tree
        json.dumps(whole)
        for each in (whole, tree, *events):
            endpoint.sort_of(each)
            endpoint.tokens_in(each)
            if endpoint.reading:
                said = [*(endpoint.reading.request(each) or ()), *endpoint.reading.answer(each)]
                assert all(isinstance(remark.text, str) for remark in said)
                assert isinstance(endpoint.reading.end(each), str)
            if endpoint.ids:
                endpoint.with_renamed_ids(each, loosely=True)
                endpoint.ids.replaced_in(each, {text: "x" for text, _ in endpoint.ids.found_in(each)})
    for one, other in ((RESPONSE, tree), (events, MESSAGE_ANSWER)):
        compare(one, other, endpoint="responses").full()
        compare(other, one, endpoint="messages").full()


def test_a_miss_tells_what_differs_in_the_conversation() -> None:
    def told(one: Request, other: Request) -> list[str]:
        return [str(each) for each in differences(one, other)]

    question = {"role": "user", "content": "How is Paris?"}
    call = {"type": "function_call", "call_id": "a", "name": "weather", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "a", "output": "sunny"}
    assert told(asked("responses", input=[question]), asked("responses", input=[question, call, result])) == [
        "input[1]: a new message (assistant, 1 tool call)",
        'input[2]: a new message (tool, "sunny")',
    ]
    assert told(asked("responses", input="Say hello."), asked("responses", input="Say goodbye.")) == [
        "input: Say [-hello-]{+goodbye+}."
    ]
    results = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "sunny"}]}
    old, new = (asked("messages", system=it, messages=[question]) for it in ("Be brief.", "Be kind."))
    assert told(old, new) == ["system: Be [-brief-]{+kind+}."]
    assert told(old, asked("messages", system="Be brief.", messages=[question, results])) == [
        'messages[1]: a new message (tool, "sunny")'
    ]


def test_a_rewrite_keeps_sealed_reasoning_of_chat_that_was_sent_back() -> None:
    def turns(suffix: str) -> list[Interaction]:
        first = copy.deepcopy(DETAILS)
        text, encrypted = first["choices"][0]["message"]["reasoning_details"]
        text["signature"] = f"Eq{suffix}"
        encrypted |= {"id": f"rs_{suffix}", "data": f"gAAAAAB{suffix}"}
        back = [
            {"role": "user", "content": "2 + 2?"},
            first["choices"][0]["message"],
            {"role": "user", "content": "Sure?"},
        ]
        return [
            Interaction(
                request=asked("chat/completions", messages=back[:1]),
                response=Response(status=200, json=first),
            ),
            Interaction(
                request=asked("chat/completions", messages=back), response=Response(status=200, json=PLAIN)
            ),
        ]

    old, new = turns("old"), turns("new")
    assert MATCHER.loose_key(old[1].request) == MATCHER.loose_key(new[1].request)
    assert list(keep_volatile(old, new, [0, 1])) == old


CITED = {"type": "container_file_citation", "filename": "plot.png", "start_index": 0, "end_index": 4}


def with_tools_of_the_server(run: str) -> dict[str, Any]:
    """Returns a response in which the server's own tools have run, with the ids of one run."""
    cited = CITED | {"file_id": f"cfile_{run}", "container_id": f"cntr_{run}"}
    part = {"type": "output_text", "text": "Done", "annotations": [cited]}
    output = [
        {
            "id": f"fs_{run}",
            "type": "file_search_call",
            "status": "completed",
            "queries": ["plot"],
            "results": [{"file_id": f"file-{run}", "filename": "notes.txt", "text": "Hi", "score": 0.5}],
        },
        {"id": f"ig_{run}", "type": "image_generation_call", "status": "completed", "result": f"iVBO{run}"},
        {
            "id": f"msg_{run}",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [part],
        },
    ]
    return RESPONSE | {"id": f"resp_{run}", "output": output}


def called_by_a_tool(run: str) -> dict[str, Any]:
    caller = {"type": "code_execution_20260120", "tool_id": f"srvtoolu_{run}"}
    found = {"type": "code_execution_result", "content": [{"type": "output", "file_id": f"file_{run}"}]}
    content = [
        {"type": "server_tool_use", "id": f"srvtoolu_{run}", "name": "code_execution", "input": {}},
        {"type": "tool_use", "id": f"toolu_{run}", "name": "weather", "input": {}, "caller": caller},
        {"type": "code_execution_tool_result", "tool_use_id": f"srvtoolu_{run}", "content": found},
    ]
    return MESSAGE_ANSWER | {"id": f"msg_{run}", "content": content}


def kept_by_anthropic(run: str) -> dict[str, Any]:
    moment = f"2026-01-01T00:00:0{len(run)}Z"
    file = {
        "type": "file",
        "id": f"file_{run}",
        "filename": "a.csv",
        "mime_type": "text/csv",
        "size_bytes": 9,
    }
    return file | {"created_at": moment, "downloadable": False}


def shortened(run: str) -> dict[str, Any]:
    said = {"type": "message", "id": f"msg_{run}", "role": "user", "content": []}
    sealed = {"type": "compaction", "id": f"cmp_{run}", "encrypted_content": f"gAAAA{run}"}
    answer = {"object": "response.compaction", "id": f"resp_{run}", "created_at": len(run)}
    return answer | {"output": [said, sealed], "usage": RESPONSE["usage"]}


@pytest.mark.parametrize(
    ("made", "endpoint", "place", "told"),
    [
        (with_tools_of_the_server, "responses", ("output", 0, "queries"), "output[0].queries"),
        (
            with_tools_of_the_server,
            "responses",
            ("output", 2, "content", 0, "annotations", 0, "filename"),
            "filename",
        ),
        (called_by_a_tool, "messages", ("content", 1, "name"), "content[1].name"),
        (kept_by_anthropic, "files", ("filename",), "filename"),
        (shortened, "responses", ("output", 0, "role"), "output[0].role"),
    ],
)
def test_what_only_a_run_has_given_is_no_drift(
    made: Callable[[str], dict[str, Any]], endpoint: str, place: tuple[Any, ...], told: str
) -> None:
    stored, new = made("a"), made("bb")
    assert endpoint_of_answer(stored).name == endpoint
    assert compare(stored, new, Policy(contract="openai")).changes == ()
    assert not list(breaches_of(read_answer(stored), "openai"))
    changed = at(*place, to="other")(made("bb"))
    assert [change for change in compare(stored, changed).changes if told in change.selector]
