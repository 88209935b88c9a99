"""What a policy calls volatile: places by selectors, ids and times by rule."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_stepreplay import Policy, compare
from pytest_stepreplay.errors import SettingsError

RULES = Policy(volatile=["ids", "times"])


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("id", "a", "b"),
        ("id", 1, 2),
        ("order_id", "o_1", "o_2"),
        ("orderId", 7, 8),
        ("trace-id", "x", "y"),
        ("self", "7f0c1b1e-52a6-483f-a589-948182676a1b", "b7b56af0-52a6-483f-a589-948182676a1b"),
        ("digest", "5891b5b522d5df086d0ff0b1", "a678d6a736aa65550f9e68ca"),
        ("created_at", 1709893411, 1709893999),
        ("readyAt", 1709893411.5, 1709893999.25),
        ("when", "2026-01-02T03:04:05Z", "2027-01-02 03:04:06.123+01:00"),
        ("date", "2026-01-02", "2027-01-02"),
    ],
)
def test_an_id_or_a_time_is_volatile_by_its_name_or_its_form(name: str, old: Any, new: Any) -> None:
    one, other = ({"items": [{name: it, "n": 1}]} for it in (old, new))
    assert compare(one, other)
    assert not compare(one, other, RULES)
    assert not compare(one, other, Policy(volatile=[f"items[*].{name}"])) or "-" in name
    assert compare(one, {"items": [{name: [new], "n": 1}]}, RULES), "its type counts"
    assert compare(one, {"items": [{"n": 1}]}, RULES), "and that it is there"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("identity", "a", "b"),
        ("paid", 1, 2),
        ("valid", "a", "b"),
        ("lead_time", 3, 4),
        ("on", "a", "b"),
        ("text", "on 2026-01-02", "on 2027-01-02"),
        ("born", "2026-01-02", "2027-01-02"),
        ("code", "deadbeef", "cafebabe"),
        ("active_at", True, False),
    ],
)
def test_nothing_else_is(name: str, old: Any, new: Any) -> None:
    assert compare({name: old}, {name: new}, RULES)


def test_what_is_known_of_an_api_is_not_a_matter_of_rules() -> None:
    def answer(city_id: str) -> dict[str, Any]:
        call = {
            "id": "c",
            "type": "function",
            "function": {"name": "f", "arguments": f'{{"city_id": "{city_id}"}}'},
        }
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return {
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message}],
            "model_id": city_id,
        }

    told = [change.selector for change in compare(answer("a"), answer("b"), RULES).changes]
    assert told == ["choices[0].message.tool_calls[0].function.arguments.city_id", "model_id"]
    by_place = Policy(volatile=["model_id", "choices[*].message.tool_calls"], contract=None)
    assert not compare(answer("a"), answer("b"), by_place)


def test_a_bad_value_is_refused() -> None:
    with pytest.raises(SettingsError, match="volatile: 3 is not a list of selectors"):
        Policy(volatile=3)  # type: ignore[arg-type]  # on purpose
