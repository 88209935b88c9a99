"""What recorded answers are changed into: the mutants of each endpoint, plain and streamed, and the controls."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay import compare
from pytest_stepreplay.endpoints import ENDPOINTS, GENERIC, Endpoint, endpoint_named
from pytest_stepreplay.models import Interaction, Request, Response
from pytest_stepreplay.mutation import mutants
from pytest_stepreplay.mutation.operator_table import OPERATORS
from pytest_stepreplay.mutation.taped_answers import read_taped
from pytest_stepreplay.settings.levels import Level
from pytest_stepreplay.wire.bodies import frames_of
from pytest_stepreplay.wire.events import json_chunks_of
from tests.talking import message_events, response_events

from .other_endpoints import EMBEDDINGS, TEXT
from .test_drift_table import PLAIN, TOOLS, completion

Tree = dict[str, Any]

JSON_TEXT = completion({"content": json.dumps({"total": 42, "items": [{"name": "tea"}], "paid": True})})
TWO = PLAIN | {"choices": [*PLAIN["choices"], PLAIN["choices"][0] | {"index": 1}]}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "refund"}
SAID = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant"}
USED = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "step-3.5",
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "They ask."}]},
        {**CALL, "status": "completed", "arguments": '{"order": "A-17"}'},
        {**SAID, "content": [{"type": "output_text", "text": "It is done.", "annotations": []}]},
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": USED,
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "step-3.5",
    "content": [
        {"type": "thinking", "thinking": "They ask.", "signature": "EqQB"},
        {"type": "text", "text": "I look it up."},
        {"type": "tool_use", "id": "toolu_1", "name": "refund", "input": {"order": "A-17", "amount": 3}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 20, "output_tokens": 10},
}
GEMINI = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "I look it up."},
                    {"functionCall": {"name": "refund", "args": {"order": "A-17"}}},
                ],
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7},
    "modelVersion": "gemini-3",
    "responseId": "r1",
}
URLS = {
    "chat": "https://api.stepfun.com/v1/chat/completions",
    "completions": "https://api.openai.com/v1/completions",
    "responses": "https://api.openai.com/v1/responses",
    "messages": "https://api.anthropic.com/v1/messages",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/models/g:generateContent",
    "embeddings": "https://api.stepfun.com/v1/embeddings",
    "generic": "https://api.example.com/v1/other",
}
ANSWERS = {
    "chat": [PLAIN, TOOLS, JSON_TEXT, TWO],
    "completions": [TEXT],
    "responses": [RESPONSE],
    "messages": [MESSAGE],
    "gemini": [GEMINI],
    "embeddings": [EMBEDDINGS],
}
OFFERED = {"tools": [{"type": "function", "function": {"name": "cancel_order"}}]}


def interaction(name: str, asked: Tree | None = None, **body: Any) -> Interaction:
    request = Request(method="POST", url=URLS[name], json=asked or {"model": "m"})
    return Interaction(request=request, response=Response(status=200, **body))


def chat_chunks(answer: Tree) -> list[Tree]:
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return [{**head, "choices": [{"index": 0, "delta": answer["choices"][0]["message"]}]}]


STARTS: dict[str, Callable[[Tree], Iterable[Tree]]] = {
    "chat": chat_chunks,
    "completions": lambda answer: [answer],
    "responses": response_events,
    "messages": message_events,
    "gemini": lambda answer: [answer],
}
"""By endpoint, the chunks of a stream that gives such an answer, as some server sends it."""


def streamed(name: str, answer: Tree) -> Interaction:
    """Returns an answer as a stream that we have made of it: what is tested is that it comes out again."""
    endpoint = endpoint_named(name)
    events = tuple(json.dumps(each) for each in STARTS[name](answer))
    first = read_taped(interaction(name, events=events))
    assert first is not None, endpoint
    return Interaction(request=first.request, response=first.with_tree(answer))


def folded(endpoint: Endpoint, response: Response) -> Any:
    assert endpoint.fold is not None
    text = b"".join(frames_of(response)).decode()
    return endpoint.fold(json_chunks_of(text))


CASES = [
    pytest.param(name, tree, id=f"{name}-{i}") for name, it in ANSWERS.items() for i, tree in enumerate(it)
]


def test_the_mutants_of_an_answer_are_told_in_words() -> None:
    tree = completion({"content": None, "tool_calls": [TOOLS["choices"][0]["message"]["tool_calls"][0]]})
    found = mutants.mutants_of(
        [(7, interaction("chat", OFFERED, json=tree)), (8, interaction("chat", json=JSON_TEXT))]
    )
    assert [f"{it.level} {it.answer} {it.operator}: {it.told}" for it in found] == [
        "behavior 1 another_tool: the tool is `cancel_order` instead of `get_weather`",
        "behavior 1 dropped_call: the call of `get_weather` is missing",
        "behavior 1 added_call: `get_weather` is called twice",
        'behavior 1 changed_argument: `get_weather` is given city="something else" instead of "Paris"',
        "behavior 1 missing_argument: `get_weather` is given no city",
        "behavior 1 retyped_argument: `get_weather` is given city as an array instead of a string",
        "behavior 1 cut_arguments: the arguments of `get_weather` are cut off",
        "behavior 1 refusal: the model refuses",
        "behavior 1 error: the API answers with an error, status 400",
        "behavior 1 other_reason: the answer ends with `length` instead of `stop`",
        "behavior 2 refusal: the model refuses",
        "behavior 2 error: the API answers with an error, status 400",
        "behavior 2 other_reason: the answer ends with `length` instead of `stop`",
        "behavior 2 broken_json: the JSON breaks off in the middle",
        "behavior 2 other_json_key: the JSON has `other_total` instead of `total`",
        "behavior 1 changed_argument: `get_weather` is given days=3 instead of 2",
        "behavior 1 missing_argument: `get_weather` is given no days",
        "behavior 1 retyped_argument: `get_weather` is given days as a string instead of an integer",
        "behavior 2 other_json_key: the JSON has `other_items` instead of `items`",
        "behavior 2 other_json_key: the JSON has `other_name` instead of `items[0].name`",
        "behavior 2 other_json_key: the JSON has `other_paid` instead of `paid`",
        "content 2 other_json_value: `total` in the JSON is 43 instead of 42",
        "content 2 empty_text: the text is empty",
        'content 2 other_json_value: `items[0].name` in the JSON is "something else" instead of "tea"',
        "content 2 other_json_value: `paid` in the JSON is false instead of true",
        "metadata 1 missing_usage: the answer does not say how many tokens it cost",
        "metadata 2 missing_usage: the answer does not say how many tokens it cost",
    ]
    assert {it.position for it in found} == {7, 8}


@pytest.mark.parametrize(("name", "tree"), CASES)
def test_each_mutant_is_another_answer_of_its_level(name: str, tree: Tree) -> None:
    found = mutants.mutants_of([(0, interaction(name, json=tree))])
    assert found
    for mutant in found:
        response = mutant.make()
        drift = compare(tree, response.json)
        assert drift.changes, mutant
        # What takes something away may break the documented object too, as no usage does.
        assert drift.level >= mutant.level, (mutant, drift.short())


@pytest.mark.parametrize(("name", "tree"), [case for case in CASES if case.values[0] in STARTS])
def test_a_stream_is_changed_as_the_answer_that_it_brings(name: str, tree: Tree) -> None:
    endpoint = endpoint_named(name)
    tape = streamed(name, tree)
    assert folded(endpoint, tape.response) == tree
    plain = {
        (it.operator, it.place): it.make() for it in mutants.mutants_of([(0, interaction(name, json=tree))])
    }
    several = {(it.operator, it.place): it.make() for it in mutants.mutants_of([(0, tape)])}
    beside = {operator for operator, _ in several.keys() - plain.keys()}
    assert beside <= {"cut_stream", "cut_arguments"}
    for key, response in plain.items():
        now = several[key]
        assert now.status == response.status
        if response.status == 200 and (name, key[0]) != ("gemini", "empty_text"):  # its fold drops that
            assert folded(endpoint, now) == response.json, key


def test_the_events_of_a_stream_keep_their_form() -> None:
    chat = streamed("chat", TOOLS).response.events
    assert chat is not None
    assert all(isinstance(each, str) for each in chat)
    for name, tree in (("responses", RESPONSE), ("messages", MESSAGE)):
        events = streamed(name, tree).response.events
        assert events is not None
        for each in events:
            frame = getattr(each, "frame", "")
            kind = json.loads(frame.partition("\ndata: ")[2])["type"]
            assert frame.startswith(f"event: {kind}\n")


@pytest.mark.parametrize(("name", "tree"), CASES)
def test_nobody_should_notice_a_control(name: str, tree: Tree) -> None:
    tapes = [interaction(name, json=tree)] + ([streamed(name, tree)] if name in STARTS else [])
    controls = mutants.controls_of(enumerate(tapes))
    assert compare(tree, controls[0].json).level is Level.NONE
    if name in STARTS:
        assert compare(tree, folded(endpoint_named(name), controls[1])).level is Level.NONE
    assert controls[0].json != tree or name == "embeddings"


def test_few_are_of_every_kind_and_the_lowest_level_is_kept() -> None:
    tape = [(0, interaction("chat", json=TOOLS))]
    few = [it.operator for it in mutants.mutants_of(tape, most=6)]
    assert len(few) == len(set(few)) == 6
    levels = {it.level for it in mutants.mutants_of(tape, lowest=Level.BEHAVIOR)}
    assert levels == {Level.BEHAVIOR}
    assert mutants.mutants_of(tape, most=0) == []


def test_what_is_no_answer_has_no_mutant() -> None:
    request = Request(method="POST", url=URLS["chat"], json={})
    for response in (
        Response(status=429, json={"error": {"message": "slow down"}}),
        Response(status=200, base64="AAAA"),
        Response(status=200, text="hello"),
        Response(status=200),
        Response(status=200, events=("[DONE]",)),
    ):
        assert mutants.mutants_of([(0, Interaction(request=request, response=response))]) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "content",
                    "output",
                    "input",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from([name for name in ANSWERS if name != "embeddings"]), JSON)
def test_no_answer_is_too_odd(name: str, tree: Any) -> None:
    for each in mutants.mutants_of([(0, interaction(name, json=tree))]):
        assert isinstance(each.make(), Response)
    mutants.controls_of([(0, interaction(name, json=tree))])


def test_every_operator_has_a_name_of_its_own() -> None:
    assert len({it.name for it in OPERATORS}) == len(OPERATORS)
    assert GENERIC.altering() is None
    assert [it.name for it in ENDPOINTS if it.altering()] == [
        "chat",
        "gemini",
        "messages",
        "responses",
        "completions",
    ]
