"""Bodies that go on from the one before, as each turn of a conversation does: parsed once, and never wrongly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.models import Request
from pytest_stepreplay.wire.bodies import request_from_wire
from pytest_stepreplay.wire.last_body import LastBody

TEXTS = st.text('ab"\\,[]{}: \né', max_size=8)
ITEMS = st.recursive(
    TEXTS | st.integers(0, 9) | st.floats(0, 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n ", " : ")])


def read(body: str, last: LastBody | None = None) -> Request:
    return request_from_wire("POST", "http://x/v1", body.encode(), "application/json", last)


def message(number: int) -> dict[str, str]:
    return {"role": "user", "content": f'{number}: "quoted" \\ {"word " * 100}'}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("tools", [[], [{"type": "function", "function": {"name": "f"}}]])
@pytest.mark.parametrize("is_first", [False, True])
def test_a_turn_shares_the_messages_of_the_turn_before(
    indent: int | None, tools: Any, is_first: bool
) -> None:
    last = LastBody()
    messages = [message(number) for number in range(10)]
    read_so_far: list[Any] = []
    for turn in range(5, 10):
        whole = {"messages": messages[:turn]}
        others = {"model": "m", "tools": tools, "stop": ["a", "b"]}
        body = whole | others if is_first else others | whole
        found = read(json.dumps(body, indent=indent), last)
        assert found.json == body
        assert [*found.json] == [*body]
        now = found.json["messages"]
        assert all(one is other for one, other in zip(read_so_far, now, strict=False))
        read_so_far = now


def test_an_equal_tree_takes_the_place_of_what_was_read() -> None:
    last = LastBody()
    body = {"messages": [message(number) for number in range(5)]}
    first = read(json.dumps(body), last)
    last.replace(first.json, body)
    longer = {"messages": [*body["messages"], message(5)]}
    found = read(json.dumps(longer), last)
    assert found.json == longer
    assert found.json["messages"][0] is body["messages"][0]


@given(
    st.lists(ITEMS, min_size=1, max_size=5), st.dictionaries(TEXTS, ITEMS, max_size=2), SEPARATORS, st.data()
)
def test_a_body_reads_as_it_would_alone(
    items: list[Any], others: dict[str, Any], separators: tuple[str, str], data: st.DataObject
) -> None:
    last = LastBody()
    for _ in range(3):
        count = data.draw(st.integers(0, len(items)))
        body = {"a": 1, "list": items[:count], **others}
        text = json.dumps(body, separators=separators, ensure_ascii=data.draw(st.booleans()))
        place = data.draw(st.integers(0, len(text) - 1))
        if data.draw(st.integers(0, 3)) == 0:  # and one that may be broken
            text = text[:place] + data.draw(TEXTS) + text[place + 1 :]
        found = read(text, last)
        alone = read(text)
        assert repr(found) == repr(alone)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"a":["x]}"]}', '{"a":["x,1]}"]}'),
        ('{"a":["x\\\\"]}', '{"a":["x\\\\",1]}'),
        ('{"a":["x\\""]}', '{"a":["x\\"",1]}'),
        ('{"a":[]}', '{"a":[,1]}'),
        ('{"a":[1]}', '{"a":[1,]}'),
        ('{"a":[1]}', '{"a":[1,2],"a":3}'),
        ('{"a":[1],"b":2}', '{"a":[1,2],"b":3}'),
        ('{"b":1,"a":[1]}', '{"b":1,"a":[1,2],"b":3}'),
        ('{"a":[[1]]}', '{"a":[[1,2]]}'),
        ('{"a":[{"b":[1]}]}', '{"a":[{"b":[1,2]}]}'),
        ("[[1]]", "[[1,2]]"),
        ('{"a":[1]}', '{"a":[1,NaN]}'),
        ('{"a":[1],"":2}', '{"a":[1,2],"":2}'),
        ('{"":[1]}', '{"":[1,2]}'),
        ('{"a":[1]}', '{"a":[1,"\\ud800"]}'),
    ],
)
def test_what_only_looks_like_going_on_is_read_as_it_would_be_alone(before: str, after: str) -> None:
    last = LastBody()
    read(before, last)
    for text in (after, before, after + " "):
        assert repr(read(text, last)) == repr(read(text))
