from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.errors import SelectorError, SettingsError
from pytest_stepreplay.selectors import Selector, Selectors, State, format_path, without

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = st.lists(st.text(max_size=6) | st.integers(0, 10**6), max_size=6)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("selector", "path"),
    [
        ("id", ("id",)),
        ("usage.*", ("usage", "total_tokens")),
        ("messages[0].content", ("messages", 0, "content")),
        ("choices[*].message.tool_calls[*].id", ("choices", 3, "message", "tool_calls", 0, "id")),
        ('metadata["a.b"]', ("metadata", "a.b")),
        ('["\\u0041"].x', ("A", "x")),
        ("**.created", ("created",)),
        ("**.created", ("a", 0, "b", "created")),
        ("usage.**", ("usage", "details", "cached")),
        ("a.**.b", ("a", "b")),
        ("a.**.**.b", ("a", 1, 2, "b")),
        ("**", ("a",)),
        ("**[0]", ("a", 0)),
        ("$", ()),
        ("$.choices[0]", ("choices", 0)),
        ("$[1]", (1,)),
        ("x-request-id", ("x-request-id",)),
        ("名字.*", ("名字", "x")),
    ],
)
def test_a_selector_names_a_place(selector: str, path: tuple[str | int, ...]) -> None:
    assert Selector.parse(selector).matches(path)


@pytest.mark.parametrize(
    ("selector", "path"),
    [
        ("usage.*", ("usage",)),
        ("usage.*", ("usage", "details", "cached")),
        ("usage.**", ("usage",)),
        ("**", ()),
        ("a[*]", ("a", "b")),
        ("a.*", ("a", 0)),
        ("a[0]", ("a", "0")),
        ("a.0", ("a", 0)),
        ("**.created", ("created", "x")),
        ("id", ("Id",)),
    ],
)
def test_a_selector_names_no_other_place(selector: str, path: tuple[str | int, ...]) -> None:
    assert not Selector.parse(selector).matches(path)


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("", 1, "expected a key, * or **"),
        ("choices[x].id", 9, 'expected an index, * or a key in double quotes: [0], [*], ["a.b"]'),
        ("choices[-1]", 9, "expected an index"),
        ("choices[0.id", 9, "expected an index"),
        ('a["b"', 6, "expected ]"),
        ('a["b', 3, "expected a key in double quotes, written as JSON writes it"),
        ("a['b']", 3, "expected an index, * or a key in double quotes"),
        ("a..b", 3, "expected a key, * or **"),
        ("a.", 3, "expected a key, * or **"),
        ("a b", 2, "expected . or [ or the end"),
        ("***", 3, "expected . or [ or the end"),
        ("a.é!", 4, "expected . or [ or the end"),
        ("a.!", 3, 'other keys are quoted: ["a b"]'),
        ("$x", 2, "expected . or [ after $"),
    ],
)
def test_what_is_no_selector_is_refused_at_the_character(text: str, column: int, expected: str) -> None:
    with pytest.raises(SelectorError) as refused:
        Selector.parse(text)
    message = str(refused.value)
    assert f"column {column}: " in message
    assert expected in message
    if text:
        lines = message.splitlines()
        assert lines[1] == f"  {text}"
        assert lines[2] == " " * (column + 1) + "^"


def test_a_long_or_unprintable_selector_is_shown_safely() -> None:
    with pytest.raises(SelectorError) as refused:
        Selector.parse("a" * 300 + "!")
    _, shown, caret = str(refused.value).splitlines()
    assert shown[len(caret) - 1] == "!"
    assert len(shown) < 80
    with pytest.raises(SelectorError) as refused:
        Selector.parse("a\x1b[31m")
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("value", [None, 3, ["id"]])
def test_only_a_text_is_a_selector(value: Any) -> None:
    with pytest.raises(SettingsError, match="a selector is a text"):
        Selector.parse(value)


@given(STEPS)
def test_a_formatted_path_is_the_selector_of_that_place(steps: list[str | int]) -> None:
    path = tuple(steps)
    selector = Selector.parse(format_path(path))
    assert selector.matches(path)
    assert selector.segments == path
    assert str(selector) == format_path(path)


@given(STEPS, STEPS)
def test_a_formatted_path_names_no_other_place(one: list[str | int], other: list[str | int]) -> None:
    assert Selector.parse(format_path(tuple(one))).matches(tuple(other)) is (one == other)


def test_remove_leaves_the_rest_as_it_was() -> None:
    tree = {
        "id": 1,
        "messages": [{"id": "a", "content": "x"}, {"id": "b", "content": "y"}, 3],
        "usage": {"total": 5, "a.b": 6},
    }
    before = copy.deepcopy(tree)
    removed = without(tree, ["**.id", "messages[1]", 'usage["a.b"]', "nothing.here"])
    assert removed == {"messages": [{"content": "x"}, 3], "usage": {"total": 5}}
    assert list(removed) == ["messages", "usage"]
    assert tree == before
    assert without(tree, ["$"]) is None
    assert without((1, 2, 3), ["[1]"]) == [1, 3]


@given(TREES)
def test_remove_without_a_match_gives_an_equal_tree(tree: Any) -> None:
    assert without(tree, ["**.no such key".replace(" ", "-"), "$[99]"]) == tree


@given(TREES)
def test_everything_below_the_root_is_what_two_stars_remove(tree: Any) -> None:
    expected = {} if isinstance(tree, dict) else [] if isinstance(tree, list) else tree
    assert without(tree, ["**"]) == expected


def test_matched_says_which_selectors_name_a_place() -> None:
    tree = {"usage": {"total": 1}, "text": '{"date": "today", "n": [1]}', "other": "{not json"}
    selectors = Selectors(["usage.*", "usage.typo", "text.date", "**[0]", "$"])
    assert selectors.matched(tree) == {"usage.*", "$"}
    assert selectors.matched(tree, inside_texts=True) == {"usage.*", "$", "text.date", "**[0]"}
    assert Selectors([]).matched(tree) == frozenset()


@given(TREES)
def test_what_is_matched_is_what_is_removed(tree: Any) -> None:
    selectors = Selectors(["**.a", "*", "[*][0]", "**[1].b"])
    for selector in selectors.selectors:
        is_matched = selector.text in selectors.matched(tree)
        assert is_matched is (without(tree, [selector]) != tree)


def nested(depth: int) -> Any:
    tree: Any = 1
    for _ in range(depth):
        tree = {"x": [tree], "y": 0}
    return tree


def test_a_hostile_selector_on_a_deep_tree_costs_one_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = nested(20_000)  # far beyond what recursion could walk
    hostile = Selectors(
        ["**." * 300 + "no", ".".join(["**.x"] * 300) + ".no", "**.y", "**.x[*]" + ".*" * 200]
    )
    worked_out = []
    original = State._after

    def counted(state: State, step: str | int) -> Iterator[tuple[int, int]]:
        worked_out.append(step)
        return original(state, step)

    monkeypatch.setattr(State, "_after", counted)
    assert hostile.matched(tree) == {"**.y"}
    assert without(tree, hostile)["x"] != []
    assert len(worked_out) < 2_000  # the other tens of thousands of steps are look-ups


def test_states_do_not_pile_up_for_ever() -> None:
    # Each of the 2**12 patterns of keys leads to a state of its own.
    selectors = Selectors(["**.a" + ".*" * 12])
    tree: Any = 0
    for _ in range(13):
        tree = {"a": tree, "b": tree}
    for _ in range(2):
        assert selectors.matched(tree) == {"**.a" + ".*" * 12}
        without(tree, selectors)
    assert len(selectors._states) <= Selectors._KEPT_STATES
