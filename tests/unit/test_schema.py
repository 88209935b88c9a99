"""A tree that is read directly is read as pydantic reads it."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pytest_stepreplay.models import Interaction
from pytest_stepreplay.store.schema import interaction_of, tree_of

PYDANTIC = TypeAdapter(Interaction)
ODD = st.sampled_from(
    [None, True, 0, 5, 2.5, "", "text", [], ["x"], [1], {}, {"a": 1}, {1: "a"}, {"frame": "x"}]
)
STREAMS = st.fixed_dictionaries(
    {},
    optional={
        "chunks": st.sampled_from(["1", "1 2x3 4/5", "x", "1 "]),
        "end": st.sampled_from(["closed", "broken", "complete", None]),
        "error": st.sampled_from(["reset", "timeout", "odd", None]),
    },
)
BODIES = {
    "json": st.sampled_from([None, 1, "a", {"a": [1]}]),
    "events": st.lists(st.sampled_from(["a", {"frame": "b"}, {"frame": 1}, {"fram": "b"}, 7]), max_size=3),
    "text": st.text(max_size=3),
    "base64": st.sampled_from(["", "aGk="]),
}
BODY = st.sampled_from([*BODIES]).flatmap(lambda kind: st.fixed_dictionaries({kind: BODIES[kind]}))
REQUESTS = st.builds(lambda body: {"method": "POST", "url": "https://a.test/"} | body, BODY)
RESPONSES = st.builds(
    lambda body, rest: {"status": 200} | rest | body,
    BODY,
    st.fixed_dictionaries(
        {},
        optional={
            "headers": st.sampled_from([{}, {"content-type": "text/plain"}, {"a": 1}, {1: "a"}]),
            "stream": STREAMS,
            "status": st.sampled_from([99, 100, 999, 1000, "200", True, 200.0]),
        },
    ),
)
TREES = st.fixed_dictionaries(
    {"request": REQUESTS, "response": RESPONSES},
    optional={
        "recorded_at": st.sampled_from(["2026-11-22T17:00:00Z", "", None]),
        "elapsed": st.sampled_from([0.0, 1.5, 3, -1.0, None, float("nan")]),
        "samples": st.lists(RESPONSES, max_size=2),
    },
)


def read_by_pydantic(tree: Any) -> Interaction | None:
    try:
        return PYDANTIC.validate_python(tree)
    except ValidationError:
        return None


@st.composite
def broken_trees(draw: st.DrawFn) -> Any:
    """Trees in which one value, or one key more, may be anything."""
    tree: dict[str, Any] = draw(TREES)
    part = draw(st.sampled_from([tree, tree["request"], tree["response"], *tree.get("samples", ())]))
    key = draw(st.sampled_from([*part, "method", "text", "events", "stream", "samples", "odd"]))
    part[key] = draw(ODD)
    if draw(st.booleans()):
        del part[draw(st.sampled_from([*part]))]
    return tree


@given(TREES | broken_trees() | ODD)
@example({"request": {"method": "GET", "url": ""}, "response": {"status": 200}, "recorded_at": 0})
@example({"request": {"method": "GET", "url": ""}, "response": {"status": 200}, "elapsed": 3})
@example({"request": {"method": "GET", "url": ""}, "response": {"status": 200, "text": 0}})
@example({"request": {"method": "GET", "url": ""}, "response": {"status": 200, "events": "ab"}})
@example({"request": {"method": "GET", "url": ""}, "response": {"status": 200}, "elapsed": 3})
@example({"request": {"method": "GET", "url": "", "events": [0]}, "response": {"status": 200}})
def test_what_is_read_directly_is_what_pydantic_reads(tree: Any) -> None:
    direct = interaction_of(tree)
    if direct is not None:
        assert repr(direct) == repr(read_by_pydantic(tree))


@given(TREES)
def test_what_has_every_key_and_type_right_is_read_directly(tree: Any) -> None:
    by_pydantic = read_by_pydantic(tree)
    statuses = {each["status"].__class__ for each in (tree["response"], *tree.get("samples", ()))}
    right = statuses == {int} and tree.get("elapsed").__class__ is not int
    if by_pydantic is not None and right:
        direct = interaction_of(tree)
        assert direct == by_pydantic
        assert direct is not None
        assert interaction_of(tree_of(direct)) == direct
