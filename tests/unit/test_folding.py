"""However a server cuts an answer into chunks, they fold into the same answer, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.endpoints.chat_stream import assemble


def chunk(delta: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": "a",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta}],
        **fields,
    }


def message_of(*deltas: dict[str, Any]) -> dict[str, Any]:
    """Returns the message that the deltas of one choice fold into."""
    message: dict[str, Any] = assemble(map(chunk, deltas))["choices"][0]["message"]
    return message


def calls_of(*pieces: dict[str, Any]) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = message_of(*({"tool_calls": [piece]} for piece in pieces))["tool_calls"]
    return calls


def thinking(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **more}


def test_the_pieces_of_a_content_part_are_one_part() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    pieces: list[Any] = [[thinking("Let ")], [thinking("me.", closed=True)], "It ", "is 4.", [image, image]]
    assert message_of(*({"content": piece} for piece in pieces))["content"] == [
        thinking("Let me.", closed=True),
        {"type": "text", "text": "It is 4."},
        image,
        image,
    ]
    marked = [{"type": "text", "text": "a", "id": 1}, {"type": "text", "text": "b", "id": 2}]
    assert message_of({"content": marked})["content"] == marked


def test_the_input_of_a_custom_tool_is_joined() -> None:
    assert calls_of(
        {"index": 0, "id": "call_a", "type": "custom", "custom": {"name": "run_sql", "input": "SELECT "}},
        {"index": 0, "custom": {"input": "name FROM"}},
        {"index": 0, "custom": {"input": " users"}},
        {"index": 1, "id": "call_b", "custom": {"name": "grep", "input": "{}"}},
        {"index": 1, "custom": {"input": "{}"}},
    ) == [
        {"id": "call_a", "type": "custom", "custom": {"name": "run_sql", "input": "SELECT name FROM users"}},
        {"id": "call_b", "type": "custom", "custom": {"name": "grep", "input": "{}{}"}},
    ]
    without_index = calls_of(
        {"id": "a", "type": "custom", "custom": {"name": "f", "input": "1"}},
        {"custom": {"input": "2"}},
        {"type": "custom", "custom": {"name": "f", "input": "3"}},
    )
    assert [it["custom"]["input"] for it in without_index] == ["12", "3"]


def test_a_text_that_nobody_documents_is_joined_unless_it_tells_a_state() -> None:
    pieces: list[dict[str, Any]] = [
        {"role": "assistant", "thoughts": "", "channel": "analysis", "speaker": "anna"},
        {"thoughts": "It is", "channel": "analysis", "speaker": "anna"},
        {"thoughts": " ", "channel": None, "speaker": ""},
        {"thoughts": "4.", "channel": "final", "score": 1, "phase": "begin"},
        {"thoughts": "4.", "role": "", "score": 2, "phase": "end"},
    ]
    assert message_of(*pieces) == {
        "role": "assistant",
        "content": None,
        "thoughts": "It is 4.4.",
        "channel": "final",
        "speaker": "anna",
        "score": 2,
        "phase": "end",
    }


def test_arguments_that_come_again_as_a_whole_are_not_doubled() -> None:
    (call,) = calls_of(
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"a":'}},
        {"index": 0, "function": {"arguments": " 1}"}},
        {"index": 0, "function": {"arguments": '{"a": 1}'}},
    )
    assert call["function"]["arguments"] == '{"a": 1}'


def test_an_object_that_comes_in_several_chunks_has_all_their_keys() -> None:
    folded = assemble(
        [
            chunk({"extra": {"a": {"b": 1}}}, x_groq={"id": "r", "usage": None}, usage={"queue_time": 1}),
            chunk({"extra": {"a": {"c": 2}}}, x_groq={"usage": {"n": 1}}, usage=None),
            chunk({"extra": None}, x_groq={"usage": {"m": 2}}, usage={"total_tokens": 3}),
        ]
    )
    assert folded["x_groq"] == {"id": "r", "usage": {"n": 1, "m": 2}}
    assert folded["usage"] == {"queue_time": 1, "total_tokens": 3}
    assert folded["choices"][0]["message"]["extra"] == {"a": {"b": 1, "c": 2}}


def test_lists_that_nobody_documents_lose_no_entry() -> None:
    def folded(*lists: list[Any]) -> Any:
        return assemble([chunk({}, found=each) for each in lists])["found"]

    assert folded(["a"], ["a", "b"], ["a", "b"], ["a"], []) == ["a", "b"]  # it comes again, grown or not
    assert folded([{"u": 1}], [{"u": 2}]) == [{"u": 1}, {"u": 2}]
    by_index = folded([{"index": 0, "a": 1}], [{"index": 1}], [{"index": 0, "b": 2}])
    assert by_index == [{"index": 0, "a": 1, "b": 2}, {"index": 1}]
    by_id = folded([{"id": "x", "a": 1}, {"id": "y"}], [{"id": "x", "b": 2}])
    assert by_id == [{"id": "x", "a": 1, "b": 2}, {"id": "y"}]
    twins = [{"index": 0, "a": 1}, {"index": 0, "a": 2}]
    assert folded(twins) == twins
    assert message_of({"images": ["i"]}, {"images": ["i"]})["images"] == ["i", "i"]


def test_a_tool_that_the_server_ran_is_one_entry() -> None:
    ran = {"index": 0, "type": "search", "arguments": '{"query": "x"}'}
    result = {**ran, "output": "found", "search_results": {"results": [1]}}
    assert message_of({"executed_tools": [ran]}, {"executed_tools": [result]})["executed_tools"] == [result]


def test_what_is_nested_deeply_keeps_its_last_value() -> None:
    def deep(value: int) -> Any:
        tree: Any = {"value": value}
        for _ in range(450):
            tree = {"a": tree}
        return tree

    assert message_of({"extra": deep(1)}, {"extra": deep(2)})["extra"] == deep(2)


def test_what_is_hostile_folds_too() -> None:
    whole = [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]
    empty = [{"index": 0, "function": {"arguments": ""}}]
    message = message_of(*({"tool_calls": each} for each in (whole, *[empty, whole] * 20_000)))
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"
    part: Any = "end"
    for _ in range(300):
        part = [{"type": "thinking", "thinking": part}]
    assert message_of({"content": part})["content"] == part
    marks = [{"type": "text", "text": "x", "n": i} for i in range(20_000)]
    assert message_of(*({"content": [each]} for each in marks))["content"] == marks


# ---------------------------------------------------------------- cut anywhere

IN_PIECES = {"content", "reasoning", "refusal", "arguments", "input", "text", "summary", "data", "transcript"}

TEXT = st.text(max_size=6)
CALL = st.fixed_dictionaries(
    {
        "id": st.just("call_a"),
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": st.just("f"), "arguments": TEXT}),
    }
) | st.fixed_dictionaries(
    {
        "id": st.just("call_b"),
        "type": st.just("custom"),
        "custom": st.fixed_dictionaries({"name": st.just("g"), "input": TEXT}),
        "extra_content": st.just({"google": {"thought_signature": "s"}}),
    }
)
DETAIL = st.fixed_dictionaries({"type": st.just("reasoning.text"), "text": TEXT}) | st.fixed_dictionaries(
    {"type": st.just("reasoning.encrypted"), "data": TEXT}
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": TEXT},
    optional={
        "reasoning": TEXT,
        "refusal": TEXT,
        "tool_calls": st.lists(CALL, max_size=3),
        "reasoning_details": st.lists(DETAIL, max_size=3),
        "audio": st.fixed_dictionaries({"id": st.just("audio_1"), "data": TEXT, "transcript": TEXT}),
        "unknown": st.fixed_dictionaries({"text": TEXT, "deep": st.fixed_dictionaries({"summary": TEXT})}),
    },
)
EMPTY: list[dict[str, Any]] = [{}, {"role": None, "content": None}, {"role": "", "content": ""}]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def texts_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the way to each text of a message that servers send in pieces."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in steps:
        if isinstance(child, str) and step in IN_PIECES:
            yield (*path, step)
        yield from texts_in(child, (*path, step))


def piece_at(path: tuple[Any, ...], text: str) -> Any:
    """Returns the smallest delta that brings a text to its place."""
    if not path:
        return text
    below = piece_at(path[1:], text)
    return [{"index": path[0], **below}] if isinstance(path[0], int) else {path[0]: below}


def started(value: Any) -> Any:
    """Returns a message as its first chunk brings it: each text still empty."""
    if isinstance(value, dict):
        return {
            key: "" if isinstance(it, str) and key in IN_PIECES else started(it) for key, it in value.items()
        }
    return [{"index": i, **started(it)} for i, it in enumerate(value)] if isinstance(value, list) else value


@given(MESSAGE, st.data())
def test_cutting_an_answer_anywhere_folds_to_the_same(message: dict[str, Any], data: st.DataObject) -> None:
    """In whatever order the texts come, with nulls and empty texts between them."""
    queues = []
    for path in texts_in(message):
        text = at(message, path)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=3)))
        parts = [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        queues.append([piece_at(path, part) for part in parts])
    deltas = [started(message)]
    while queues := [queue for queue in queues if queue]:
        deltas.append(data.draw(st.sampled_from(queues)).pop(0))
        deltas += data.draw(st.lists(st.sampled_from(EMPTY), max_size=1))
    folded = message_of(*deltas)
    whole = [piece_at(path, at(message, path)) for path in texts_in(message)]
    assert folded == message_of(started(message), *whole)
    for path in texts_in(message):
        assert at(folded, path) == at(message, path)


PART = st.builds(lambda text: {"type": "text", "text": text}, TEXT) | st.builds(thinking, TEXT)


@given(st.lists(PART, max_size=6), st.data())
def test_content_parts_may_be_cut_anywhere_too(parts: list[dict[str, Any]], data: st.DataObject) -> None:
    cut: list[list[dict[str, Any]]] = [[]]
    for part in parts:
        text = part["text"] if part["type"] == "text" else part["thinking"][0]["text"]
        i = data.draw(st.integers(0, len(text)))
        for piece in (text[:i], text[i:]):
            cut[-1].append({"type": "text", "text": piece} if part["type"] == "text" else thinking(piece))
            if data.draw(st.booleans()):
                cut.append([])
    assert message_of(*({"content": each} for each in cut)) == message_of({"content": parts})
