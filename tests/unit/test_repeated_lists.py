"""Lists that begin as one before them did, as in each turn of a conversation: read once, and never wrongly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_stepreplay.store import repeated_lists, yaml_parser
from pytest_stepreplay.store.yaml_parser import UnusualTextError, parse
from pytest_stepreplay.store.yaml_text import render_yaml

TEXTS = st.sampled_from(
    ["", "a", "yes", "two\nlines", "ends\n\n", " x: y", "it's", "- a", "\t", "é", "x " * 40]
)
ITEMS = st.recursive(
    TEXTS | st.integers(0, 3) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def _in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_parser, "_LARGE", 0)
    monkeypatch.setattr(repeated_lists, "_PIECE", 10)
    monkeypatch.setattr(repeated_lists, "_WORTH", 0)


def turns(*lists: list[Any]) -> dict[str, Any]:
    """Returns a tree like that of a cassette, with a request for each of the lists."""
    return {
        "interactions": [{"request": {"json": {"model": "m", "messages": each, "n": 1}}} for each in lists]
    }


def messages_of(tree: Any) -> list[list[Any]]:
    """Returns the lists that `turns` was given."""
    return [each["request"]["json"]["messages"] for each in tree["interactions"]]


def whole(text: str) -> Any:
    """Returns what a text reads as in one piece; None where it is left to the general parser."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(yaml_parser, "_LARGE", len(text) + 1)
        try:
            return parse(text)
        except UnusualTextError:
            return None


def message(number: int) -> dict[str, str]:
    return {"role": "user", "content": f"{number}: {'word ' * 800}end"}


def test_a_turn_shares_the_messages_of_the_turn_before() -> None:
    messages = [message(number) for number in range(12)]
    text = render_yaml(turns(*(messages[: number + 1] for number in range(12))))
    tree = parse(text)
    assert tree == whole(text)
    *_, before, last = messages_of(tree)
    assert all(one is other for one, other in zip(before, last[:-1], strict=True))


@pytest.mark.parametrize("changed", [0, 5, 9])
def test_what_stands_before_a_changed_message_is_shared(changed: int) -> None:
    messages = [message(number) for number in range(10)]
    others = [*messages[:changed], message(99), *messages[changed + 1 :]]
    text = render_yaml(turns(messages, others))
    tree = parse(text)
    assert tree == whole(text)
    before, last = messages_of(tree)
    assert [one is other for one, other in zip(before, last, strict=True)] == [n < changed for n in range(10)]


@pytest.mark.usefixtures("_in_small_pieces")
def test_a_message_that_goes_on_is_another_one() -> None:
    one = {"role": "user", "content": "a"}
    text = render_yaml(turns([one, one], [one, one | {"name": "b"}], [one, one | {"content": "a\nb"}]))
    assert parse(text) == whole(text)
    assert messages_of(parse(text))[:2] == [[one, one], [one, one | {"name": "b"}]]


@pytest.mark.usefixtures("_in_small_pieces")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ITEMS, min_size=1, max_size=6), st.data())
def test_pieces_read_as_the_whole_does(items: list[Any], data: st.DataObject) -> None:
    lists = [
        items[: data.draw(st.integers(1, len(items)))] + data.draw(st.lists(ITEMS, max_size=2))
        for _ in range(data.draw(st.integers(2, 4)))
    ]
    text = render_yaml(turns(*lists))
    assert parse(text) == whole(text) == turns(*lists)


@pytest.mark.usefixtures("_in_small_pieces")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ITEMS, min_size=1, max_size=4), st.data())
def test_a_text_that_was_edited_is_read_as_the_whole_or_left_to_the_general_parser(
    items: list[Any], data: st.DataObject
) -> None:
    lines = render_yaml(turns(items, items[:-1], items, [*items, *items])).splitlines(keepends=True)
    places = st.integers(0, len(lines) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        place, other = data.draw(places), data.draw(places)
        new = [
            lines[other],
            "",
            f"  {lines[place]}",
            lines[place][2:],
            "\n",
            "%\n",
            f"    - {lines[place].lstrip()}",
        ]
        lines[place] = data.draw(st.sampled_from(new))
    text = "".join(lines)
    try:
        tree = parse(text)
    except UnusualTextError:
        return
    assert tree == whole(text)
