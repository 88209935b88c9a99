"""Frames keep every character; events follow the HTML standard; chunks fold into one completion."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from pytest_stepreplay.endpoints.chat_stream import assemble
from pytest_stepreplay.wire.events import Event, events_of, frame_data, frame_of, json_chunks_of, split_frames

# Texts made of what matters in the format, so that line ends meet in every combination.
streams = st.lists(
    st.sampled_from(
        [
            "\r",
            "\n",
            "\r\n",
            "\n\n",
            "\ufeff",
            "data: ",
            "data:",
            "event: x",
            ": note",
            "id: 1",
            '{"a":1}',
            " ",
            "é",
        ]
    )
).map("".join)


def chunk(
    delta: dict[str, Any] | None = None, /, finish_reason: str | None = "", **fields: Any
) -> dict[str, Any]:
    """Return a chunk as StepFun sends it: empty strings on middle chunks."""
    return {
        "id": "6ff5b8a8-2d5e-4d6b-8b44-4c5e0e4f6a01",
        "object": "chat.completion.chunk",
        "created": 1709899323,
        "model": "step-3.5-flash",
        "choices": [{"index": 0, "delta": {"role": "", **(delta or {})}, "finish_reason": finish_reason}],
        **fields,
    }


def message_of(*chunks: dict[str, Any]) -> Any:
    return assemble(chunks)["choices"][0]["message"]


def call(**piece: Any) -> dict[str, Any]:
    return chunk({"tool_calls": [piece]})


# Frames


@given(streams)
def test_joined_frames_are_the_text(text: str) -> None:
    frames = split_frames(text)
    assert "".join(frames) == text
    assert all(frames)


@given(st.text())
def test_joined_frames_are_any_text(text: str) -> None:
    assert "".join(split_frames(text)) == text


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_frame_ends_with_its_blank_line_whatever_the_line_ends(end: str) -> None:
    first = f": OPENROUTER PROCESSING{end}event: message{end}id: 1{end}retry: 10{end}data: a{end}{end}"
    second = f"data: b{end}{end}"
    assert split_frames(first + second) == [first, second]


def test_a_spare_blank_line_and_an_unfinished_end_are_frames_of_their_own() -> None:
    assert split_frames("data: a\n\n\ndata: b\n\ndata: c") == ["data: a\n\n", "\n", "data: b\n\n", "data: c"]
    assert split_frames("") == []


def test_a_huge_frame_is_split_in_linear_time() -> None:
    text = "data: x\n" * 300_000 + "\n" + "data: " + "y" * 3_000_000
    assert [len(frame) for frame in split_frames(text)] == [2_400_001, 3_000_006]


@given(streams)
def test_frame_data_and_frame_of_are_inverse(text: str) -> None:
    for frame in split_frames(text):
        data = frame_data(frame)
        if data is not None:
            assert frame_of(data) == frame


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda it: st.lists(it) | st.dictionaries(st.text(), it)
    )
)
def test_json_objects_and_arrays_are_data(value: Any) -> None:
    data = json.dumps(value, ensure_ascii=False)
    expected = data if isinstance(value, (dict, list)) else None
    assert frame_data(frame_of(data)) == expected


@pytest.mark.parametrize("data", ['{"a": 1}', "[1]", "{}", "[DONE]"])
def test_one_line_of_json_is_data(data: str) -> None:
    assert frame_data(f"data: {data}\n\n") == data


@pytest.mark.parametrize(
    "frame",
    [
        'data:{"a":1}\n\n',
        'data: {"a":1}\n',
        'data: {"a":1}\r\n\r\n',
        ' data: {"a":1}\n\n',
        '\ufeffdata: {"a":1}\n\n',
        'event: x\ndata: {"a":1}\n\n',
        'data: {"a":1}\ndata: {"b":1}\n\n',
        'data:  {"a":1}\n\n',
        'data: {"a":1} \n\n',
        'data: {"a":\r1}\n\n',
        'data: {"a":1\n\n',
        'data: {"a":NaN}\n\n',
        "data: 1\n\n",
        'data: "text"\n\n',
        "data: \n\n",
        "data: [DONE] \n\n",
        ": comment\n\n",
        "\n",
        "",
        "data: " + "[" * 100_000 + "]" * 100_000 + "\n\n",
    ],
)
def test_anything_else_is_kept_as_a_frame(frame: str) -> None:
    assert frame_data(frame) is None


# Events: the examples of the HTML standard, section 9.2.6


def test_several_data_lines_are_joined() -> None:
    assert events_of("data: YHOO\ndata: +2\ndata: 10\n\n") == [Event("message", "YHOO\n+2\n10")]


def test_comments_ids_and_unfinished_events_are_skipped() -> None:
    text = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event"
    assert events_of(text) == [Event("message", "first event"), Event("message", "second event")]


def test_empty_data_is_an_event_and_no_data_is_none() -> None:
    text = "data\n\ndata\ndata\n\nevent: x\n\nretry: 5\n\ndata:"
    assert events_of(text) == [Event("message", ""), Event("message", "\n")]


def test_one_leading_space_is_removed() -> None:
    assert events_of("data:test\n\ndata: test\n\ndata:  test\n\n") == [
        Event("message", "test"),
        Event("message", "test"),
        Event("message", " test"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_the_type_holds_for_one_event_whatever_the_line_ends(end: str) -> None:
    text = f"\ufeffevent: add{end}data: 1{end}{end}data: 2:3{end}{end}"
    assert events_of(text) == [Event("add", "1"), Event("message", "2:3")]


@given(streams)
def test_events_do_not_depend_on_the_frames_around_them(text: str) -> None:
    frames = split_frames(text.replace("\ufeff", ""))
    assert [event for frame in frames for event in events_of(frame)] == events_of("".join(frames))


def test_a_field_behind_a_space_is_unknown_to_the_standard_and_read_as_a_chunk() -> None:
    text = ' data: {"a":1}\n\n  data: {"b":2}\n\n'
    assert events_of(text) == []
    assert json_chunks_of(text) == [{"a": 1}, {"b": 2}]


# Chunks


def test_chunks_are_the_json_objects() -> None:
    text = (
        ': OPENROUTER PROCESSING\n\ndata: {"a":1}\n\ndata: [2]\n\ndata: 3\n\ndata: {"b"\n\ndata: [DONE]\n\n'
    )
    assert json_chunks_of(text) == [{"a": 1}]
    assert json_chunks_of("") == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('{"error":{"message":"busy"}}', {"error": {"message": "busy"}}),
        ('{"message":"busy"}', {"error": {"message": "busy"}}),
        ('["busy"]', {"error": ["busy"]}),
        ("upstream is busy", {"error": {"message": "upstream is busy"}}),
    ],
)
def test_an_error_event_is_a_chunk_with_an_error(data: str, expected: dict[str, Any]) -> None:
    assert json_chunks_of(f"event: error\ndata: {data}\n\n") == [expected]


# Assembling


def test_a_stepfun_stream_becomes_one_completion() -> None:
    usages = [{"prompt_tokens": 83, "completion_tokens": n, "total_tokens": 83 + n} for n in range(4)]
    chunks = [
        chunk({"role": "assistant", "content": ""}, created=0, usage=usages[0], agent=""),
        chunk({"content": "Hel"}, usage=usages[1]),
        chunk({"content": "lo."}, usage=usages[2]),
        chunk({"content": ""}, "stop", usage=usages[3]),
    ]
    assert assemble(chunks) == {
        "id": "6ff5b8a8-2d5e-4d6b-8b44-4c5e0e4f6a01",
        "object": "chat.completion",
        "created": 1709899323,
        "model": "step-3.5-flash",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 83, "completion_tokens": 3, "total_tokens": 86},
        "agent": "",
    }


@pytest.mark.parametrize("key", ["content", "reasoning", "reasoning_content", "refusal"])
def test_text_deltas_are_joined(key: str) -> None:
    assert message_of(chunk({key: "a"}), chunk({key: None}), chunk({key: ""}), chunk({key: "b"}))[key] == "ab"


def test_role_is_assistant_where_the_stream_never_said() -> None:
    assert message_of(chunk({"content": "a"}))["role"] == "assistant"
    assert message_of(chunk({"role": "assistant"}), chunk({"role": "assistant"}))["role"] == "assistant"
    assert message_of(chunk({"role": "tool"}))["role"] == "tool"


def test_tool_calls_are_joined_by_index() -> None:
    message = message_of(
        call(index=1, id="call_b", type="function", function={"name": "time", "arguments": ""}),
        call(index=0, id="call_a", type="function", function={"name": "weather", "arguments": '{"ci'}),
        call(index=1, id="", type="", function={"name": "", "arguments": "{}"}),
        call(index=0, id=None, type=None, function={"arguments": 'ty":"Oslo"}'}),
    )
    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}},
        {"id": "call_b", "type": "function", "function": {"name": "time", "arguments": "{}"}},
    ]


def test_a_tool_call_without_index_continues_the_last_until_a_new_id_or_name() -> None:
    calls = message_of(
        call(id="a", function={"name": "f", "arguments": "{"}),
        call(function={"arguments": "}"}),
        call(id="a", function={"name": "f", "arguments": " "}),
        call(id="b", function={"name": "f", "arguments": "1"}),
        call(function={"name": "g", "arguments": "2"}),
        call(id="d", function={"arguments": "3"}),
    )["tool_calls"]
    assert [(it.get("id"), it["function"]["name"], it["function"]["arguments"]) for it in calls] == [
        ("a", "f", "{} "),
        ("b", "f", "1"),
        ("d", "g", "23"),
    ]
    assert {it["type"] for it in calls} == {"function"}


def test_calls_that_all_have_index_0_stay_apart() -> None:
    """Servers that number every call 0 send each whole; those with a fresh id per piece send one name."""
    apart = message_of(
        call(index=0, id="a", function={"name": "f", "arguments": "{}"}),
        call(index=0, id="b", function={"name": "f", "arguments": "{}"}),
    )
    assert [it["id"] for it in apart["tool_calls"]] == ["a", "b"]
    pieces = message_of(
        call(index=0, id="a", function={"name": "f", "arguments": "{"}),
        call(index=0, id="b", function={"arguments": "}"}),
    )
    assert pieces["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]


def test_a_built_in_tool_keeps_its_type_and_its_results() -> None:
    results = [{"title": "t", "url": "https://example.com"}]
    (only,) = message_of(
        call(index=0, id="a", type="web_search", function={"name": "web_search", "arguments": "{}"}),
        call(index=0, function={"results": results}),
        call(index=0, type="function", id="b", function={"name": "f", "arguments": ""}),
    )["tool_calls"][:1]
    assert only["type"] == "web_search"
    assert only["function"] == {"name": "web_search", "arguments": "{}", "results": results}


def test_the_name_of_a_function_may_be_repeated_or_come_in_pieces() -> None:
    repeated = message_of(
        call(index=0, function={"name": "", "arguments": ""}),
        call(index=0, function={"name": "f", "arguments": "{"}),
        call(index=0, function={"name": "f", "arguments": "}"}),
    )
    assert repeated["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    pieces = message_of(call(index=0, function={"name": "get_"}), call(index=0, function={"name": "weather"}))
    assert pieces["tool_calls"][0]["function"]["name"] == "get_weather"


def test_arguments_that_are_not_text_are_kept_for_the_contract_check_to_see() -> None:
    message = message_of(call(index=0, function={"name": "f", "arguments": {"city": "Oslo"}}))
    assert message["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}


def test_the_old_function_call_is_joined() -> None:
    message = message_of(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
    )
    assert message["function_call"] == {"name": "f", "arguments": "{}"}


def test_audio_is_joined() -> None:
    message = message_of(
        chunk({"audio": {"id": "audio_1", "transcript": "Hel"}}),
        chunk({"audio": {"data": "AAAA"}}),
        chunk({"audio": {"transcript": "lo", "data": "BBBB"}}),
    )
    assert message["audio"] == {"id": "audio_1", "transcript": "Hello", "data": "AAAABBBB"}


def test_reasoning_details_are_joined_by_index_and_type() -> None:
    def detail(**piece: Any) -> dict[str, Any]:
        return chunk({"reasoning_details": [piece]})

    message = message_of(
        detail(type="reasoning.text", index=0, text="Let", format="x", signature=None),
        detail(type="reasoning.text", index=0, text=" me", signature="s"),
        detail(type="reasoning.encrypted", index=0, data="AA"),
        detail(type="reasoning.summary", summary="a"),
        detail(type="reasoning.summary", summary="b"),
    )
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "Let me", "format": "x", "signature": "s"},
        {"type": "reasoning.encrypted", "index": 0, "data": "AA"},
        {"type": "reasoning.summary", "summary": "ab"},
    ]


def test_logprobs_are_concatenated() -> None:
    def with_logprobs(logprobs: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": {}, "logprobs": logprobs, "finish_reason": None}]}

    one, two = {"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -0.2}
    assembled = assemble(
        [
            with_logprobs(None),
            with_logprobs({"content": [one], "refusal": None}),
            with_logprobs({"content": [two]}),
        ]
    )
    assert assembled["choices"][0]["logprobs"] == {"content": [one, two], "refusal": None}


def test_choices_are_kept_apart_by_index() -> None:
    def choice(index: int, text: str, reason: str = "") -> dict[str, Any]:
        return {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": reason}]}

    assembled = assemble(
        [choice(1, "b"), choice(0, "a"), choice(1, "B"), choice(0, "A", "stop"), {"choices": []}]
    )
    assert [(it["index"], it["message"]["content"], it["finish_reason"]) for it in assembled["choices"]] == [
        (0, "aA", "stop"),
        (1, "bB", None),
    ]


def test_choices_without_index_are_kept_apart_by_their_place() -> None:
    pieces = {"choices": [{"delta": {"content": "a"}}, {"index": None, "delta": {"content": "b"}}]}
    assembled = assemble([pieces, pieces])
    assert [(it["index"], it["message"]["content"]) for it in assembled["choices"]] == [(0, "aa"), (1, "bb")]


def test_a_stream_that_never_finished_has_finish_reason_null() -> None:
    (choice,) = assemble([chunk({"content": "a"}), chunk({"content": "b"}, None)])["choices"]
    assert choice["finish_reason"] is None


def test_the_first_real_id_time_and_model_count() -> None:
    assembled = assemble(
        [chunk(id="", created=0, model=""), chunk(id="a"), chunk(id="b", created=5, model="other")]
    )
    assert (assembled["id"], assembled["created"], assembled["model"]) == ("a", 1709899323, "step-3.5-flash")
    assert assemble([chunk(id="", created=0)])["created"] == 0


def test_unknown_fields_are_kept_with_their_last_value_and_their_texts_joined() -> None:
    assembled = assemble(
        [
            chunk(
                {"mood": 1, "thoughts": "I am "},
                x_groq={"id": "r"},
                citations=["a"],
                service_tier="default",
                obfuscation="aZ",
            ),
            chunk(
                {"mood": 2, "thoughts": "calm.", "obfuscation": "b"},
                x_groq={"usage": 1},
                citations=["a", "b"],
                service_tier=None,
            ),
        ]
    )
    assert assembled["x_groq"] == {"id": "r", "usage": 1}
    assert assembled["citations"] == ["a", "b"]
    assert assembled["service_tier"] == "default"
    message = assembled["choices"][0]["message"]
    assert message == {"role": "assistant", "content": None, "mood": 2, "thoughts": "I am calm."}
    assert "obfuscation" not in assembled


def test_usage_of_the_last_chunk_without_choices_counts() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assembled = assemble([chunk(usage=None), {"choices": [], "usage": usage}, chunk(usage=None)])
    assert assembled["usage"] == usage
    assert "usage" not in assemble([chunk()])


def test_an_error_in_the_stream_stays_beside_what_came_before() -> None:
    assembled = assemble([chunk({"content": "Hel"}), {"error": {"message": "busy", "code": 502}}])
    assert assembled["error"] == {"message": "busy", "code": 502}
    assert assembled["choices"][0]["message"]["content"] == "Hel"
    assert assemble([{"error": {"message": "busy"}}])["choices"] == []


def test_a_whole_message_at_the_end_speaks_for_its_pieces() -> None:
    whole = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hello.", "x": ""},
        "finish_reason": "stop",
    }
    assembled = assemble([chunk({"content": "Hel"}), chunk({"content": "lo."}), {"choices": [whole]}])
    assert assembled["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}
    ]


def test_content_parts_are_concatenated_and_no_text_among_them_is_lost() -> None:
    thinking = [{"type": "thinking", "thinking": "Hm"}]
    assert message_of(chunk({"content": thinking}))["content"] == thinking
    assert message_of(chunk({"content": thinking}), chunk({"content": ""}), chunk({"content": "Hi"}))[
        "content"
    ] == [
        *thinking,
        {"type": "text", "text": "Hi"},
    ]
    assert message_of(chunk({"content": thinking}), chunk({"content": 3}))["content"] == [*thinking, 3]


KEYS = ["choices", "delta", "message", "index", "tool_calls", "function", "name", "id", "type", "content"]
KEYS += ["arguments", "logprobs", "audio", "role", "finish_reason", "error", "usage", "reasoning_details"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=20,
)


@given(
    st.lists(st.dictionaries(st.sampled_from(["choices", "id", "usage", "error"]), json_values), max_size=4)
)
def test_no_json_breaks_it_and_the_chunks_are_left_alone(chunks: list[dict[str, Any]]) -> None:
    before = json.dumps(chunks)
    assembled = assemble(chunks)
    assert assembled["object"] == "chat.completion"
    json.dumps(assembled)
    assert json.dumps(chunks) == before


def test_odd_shapes_are_kept() -> None:
    assert assemble([{"choices": None}])["choices"] == []
    assert assemble([{"choices": "none"}])["choices"] == "none"
    assert assemble([{"choices": ["x", {"delta": None}]}])["choices"][0] == "x"
    odd = message_of(chunk({"tool_calls": ["x"]}), chunk({"tool_calls": None}))
    assert odd["tool_calls"] == ["x"]
    assert message_of(chunk({"tool_calls": "x"}))["tool_calls"] == "x"


@given(st.lists(st.text(max_size=5), max_size=20))
def test_cutting_a_text_anywhere_assembles_to_the_same(pieces: list[str]) -> None:
    frames = "".join(frame_of(json.dumps(chunk({"content": piece}))) for piece in ["", *pieces])
    assembled = assemble(json_chunks_of(frames + frame_of("[DONE]")))
    assert assembled["choices"][0]["message"]["content"] == "".join(pieces)


# The openai SDK's own accumulator


def accumulated(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the openai SDK makes of the chunks, without the fields that only it adds."""
    state = ChatCompletionStreamState()
    for it in chunks:
        # As the SDK reads a response: without validation, since StepFun's "" is no role that it knows.
        state.handle_chunk(ChatCompletionChunk.construct(**it))
    completion: Any = state.current_completion_snapshot.to_dict(mode="json")
    for choice in completion["choices"]:
        choice["message"].pop("parsed", None)
        for it in choice["message"].get("tool_calls") or []:
            it["function"].pop("parsed_arguments", None)
    result: dict[str, Any] = without_nulls(completion)
    return result


def without_nulls(value: Any) -> Any:
    """Return JSON without null members: the SDK adds one for every field of its models, we add none."""
    if isinstance(value, dict):
        return {key: without_nulls(it) for key, it in value.items() if it is not None}
    return [without_nulls(it) for it in value] if isinstance(value, list) else value


OPENAI_STREAM = [
    {**chunk({"role": "assistant", "content": "", "refusal": None}, None), "system_fingerprint": "fp_1"},
    {**chunk({"content": "Hel"}, None), "system_fingerprint": "fp_1"},
    {**chunk({"content": "lo."}, None), "system_fingerprint": "fp_1"},
    {**chunk({}, "stop"), "system_fingerprint": "fp_1"},
]
for it in OPENAI_STREAM[1:]:
    del it["choices"][0]["delta"]["role"]


def test_a_plain_stream_is_what_the_openai_sdk_makes_of_it() -> None:
    assert without_nulls(assemble(OPENAI_STREAM)) == accumulated(OPENAI_STREAM)


def test_tool_calls_are_what_the_openai_sdk_makes_of_them() -> None:
    chunks = [
        chunk({"role": "assistant", "content": None}, None),
        call(index=0, id="call_a", type="function", function={"name": "weather", "arguments": ""}),
        call(index=0, function={"arguments": '{"city":'}),
        call(index=0, function={"arguments": '"Oslo"}'}),
        call(index=1, id="call_b", type="function", function={"name": "time", "arguments": ""}),
        call(index=1, function={"arguments": "{}"}),
        chunk({}, "tool_calls"),
    ]
    for it in chunks[1:]:
        it["choices"][0]["delta"].pop("role")
    for it in chunks[1:-1]:
        it["choices"][0]["finish_reason"] = None
    ours, theirs = assemble(chunks), accumulated(chunks)
    ours_calls = ours["choices"][0]["message"]["tool_calls"]
    their_calls = theirs["choices"][0]["message"]["tool_calls"]
    # The SDK leaves the chunk's `index` in the call; a plain response has none, so neither have we.
    assert [it.pop("index") for it in their_calls] == [0, 1]
    assert ours_calls == their_calls
    assert ours["choices"][0]["finish_reason"] == theirs["choices"][0]["finish_reason"] == "tool_calls"


def test_where_we_differ_from_the_openai_sdk_on_stepfuns_dialect() -> None:
    usage = {"prompt_tokens": 83, "completion_tokens": 2, "total_tokens": 85}
    chunks = [
        chunk({"role": "assistant", "content": ""}, created=0, id="", usage=usage),
        chunk({"content": "Hi", "reasoning": "Gre"}),
        chunk({"reasoning": "et."}, "stop"),
    ]
    ours, theirs = assemble(chunks), accumulated(chunks)
    # The SDK keeps the first id and time, which StepFun sends as placeholders; we keep the first real ones.
    assert (theirs["id"], theirs["created"]) == ("", 0)
    assert (ours["id"], ours["created"]) == (chunks[1]["id"], chunks[1]["created"])
    # The SDK takes the usage of the last chunk even where it has none; we keep the last that was sent.
    assert theirs.get("usage") is None
    assert ours["usage"] == usage
    # Both join texts the SDK does not know.
    assert theirs["choices"][0]["message"]["reasoning"] == "Greet."
    assert ours["choices"][0]["message"]["reasoning"] == "Greet."
    assert ours["choices"][0]["message"]["content"] == theirs["choices"][0]["message"]["content"] == "Hi"


def test_a_repeated_name_is_doubled_by_the_openai_sdk_and_not_by_us() -> None:
    chunks = [
        call(index=0, id="a", type="function", function={"name": "f", "arguments": "{"}),
        call(index=0, type="function", function={"name": "f", "arguments": "}"}),
    ]
    assert accumulated(chunks)["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "ff"
    assert message_of(*chunks)["tool_calls"][0]["function"]["name"] == "f"
