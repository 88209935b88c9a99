from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.drift.baseline import Baseline, is_known, read_baseline, render_baseline
from pytest_stepreplay.drift.changes import Drift
from pytest_stepreplay.drift.comparison import compare
from pytest_stepreplay.errors import SettingsError
from pytest_stepreplay.settings.policy import Policy

FILE = Path("known-drift.json")
TEST = "tests/test_chat.py::test_weather"
STORED: dict[str, Any] = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "step-3.5-flash",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
}


def drift(content: str = "Hi.", finish: str = "stop", fail_on: str = "behavior", **rest: Any) -> Drift:
    new = copy.deepcopy(STORED) | rest
    new["choices"][0]["message"]["content"] = content
    new["choices"][0]["finish_reason"] = finish
    return compare(STORED, new, Policy(fail_on=fail_on))


def result(told: Drift | None, n: int = 1, **rest: Any) -> dict[str, Any]:
    return {
        "test": TEST,
        "path": "cassettes/a.yaml",
        "interaction": n,
        "status": "drifted" if told else "same",
        "drift": told.to_json() if told else None,
        "reason": "",
        "known": False,
    } | rest


def baseline(*results: dict[str, Any]) -> Baseline:
    return read_baseline(render_baseline(results), FILE)


def test_the_file() -> None:
    results = [
        result(drift("Bye.", "length", model="step-4"), 2),
        result(None, 3),
        result(drift("No."), 1),
        result(None, 4, status="unverified", reason="timeout"),
    ]
    assert render_baseline(results) == (
        "{\n"
        '  "stepreplay_baseline": 1,\n'
        '  "drift": [\n'
        "    {\n"
        '      "test": "tests/test_chat.py::test_weather",\n'
        '      "interaction": 1,\n'
        '      "changes": [\n'
        '        "content choices[0].message.content"\n'
        "      ]\n"
        "    },\n"
        "    {\n"
        '      "test": "tests/test_chat.py::test_weather",\n'
        '      "interaction": 2,\n'
        '      "changes": [\n'
        '        "behavior choices[0].finish_reason",\n'
        '        "content choices[0].message.content",\n'
        '        "metadata model"\n'
        "      ]\n"
        "    }\n"
        "  ]\n"
        "}\n"
    )
    assert render_baseline(results[::-1]) == render_baseline(results)
    assert render_baseline([]) == '{\n  "stepreplay_baseline": 1,\n  "drift": []\n}\n'


def test_what_stands_in_it_is_known_whatever_the_text_says_this_time() -> None:
    known = baseline(result(drift("Bye.", "length")))
    assert is_known(result(drift("Hello there.", "length")), known)
    assert not is_known(result(drift("Bye.", "length"), 2), known)
    assert not is_known(result(drift("Bye.", "length"), test="tests/test_chat.py::test_other"), known)
    assert not is_known(result(drift("Bye.", "length")), Baseline())
    assert not is_known(result(None), known)


def test_fewer_changes_than_are_known_are_known() -> None:
    known = baseline(result(drift("Bye.", "length")))
    assert is_known(result(drift("Hi.", "length")), known)
    assert is_known(result(drift("Bye.")), known)


def test_one_more_that_fails_is_new() -> None:
    known = baseline(result(drift("Bye.", "length")))
    assert not is_known(result(drift("Bye.", "length", created="now")), known)
    assert not is_known(result(drift('{"a": 1}', "length")), known)  # the same place, another level


def test_one_more_that_does_not_fail_leaves_what_is_known_known() -> None:
    known = baseline(result(drift("Hi.", "length")))
    assert is_known(result(drift("Bye.", "length")), known)
    assert not is_known(result(drift("Bye.", "length", fail_on="content")), known)


def test_where_nothing_fails_all_changes_count() -> None:
    known = baseline(result(drift("Bye.")))
    assert is_known(result(drift("Hello.")), known)
    assert not is_known(result(drift("Hello.", model="step-4")), known)
    assert is_known(result(drift("Hello.", fail_on="never")), known)
    assert not is_known(result(drift("Hello.", "length", fail_on="never")), known)


def test_an_interaction_that_is_listed_twice_is_known_as_both() -> None:
    results = [result(drift("Bye.")), result(drift("Hi.", "length"))]
    known = baseline(*results)
    assert all(is_known(each, known) for each in results)
    doubled = json.loads(render_baseline(results[:1]))
    doubled["drift"] += json.loads(render_baseline(results[1:]))["drift"]
    assert read_baseline(json.dumps(doubled), FILE) == known


NAMES = st.text(min_size=1)


@given(
    st.lists(
        st.tuples(
            NAMES,
            st.integers(1, 10**6),
            st.lists(st.tuples(NAMES, st.sampled_from(["contract", "content", "metadata"])), min_size=1),
        )
    )
)
def test_whatever_drifted_is_known_afterwards(found: Any) -> None:
    results = [
        result(None, n, test=test, status="drifted")
        | {
            "drift": {
                "level": "content",
                "fail_on": "behavior",
                "passes": True,
                "changes": [{"selector": selector, "level": level} for selector, level in changes],
            }
        }
        for test, n, changes in found
    ]
    text = render_baseline(results)
    known = read_baseline(text, FILE)
    assert all(is_known(each, known) for each in results)
    assert render_baseline(results[::-1]) == text
    text.encode()


GOOD = render_baseline([result(drift("Bye.")), result(drift("Hi.", "length"), 2)])


def broken(old: str, new: str) -> str:
    assert GOOD.count(old) >= 1
    head, _, tail = GOOD.rpartition(old)
    return head + new + tail


VERSION = '"stepreplay_baseline": 1'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "known-drift.json:1: is not valid JSON ("),
        (broken("    },\n", "    }\n"), "known-drift.json:11: is not valid JSON ("),
        ("[" * 100_000, "known-drift.json: is not a baseline of known drift"),
        ('{"a": ' + "9" * 5000 + "}", "known-drift.json: is not a baseline of known drift"),
        ("[]", 'known-drift.json:1: is not a baseline: it has no "stepreplay_baseline" at the top'),
        ('{"drift": []}', 'it has no "stepreplay_baseline" at the top'),
        (broken(VERSION, '"stepreplay_baseline": 2'), "known-drift.json:2: stepreplay_baseline: 2 is not 1"),
        (broken(VERSION, '"stepreplay_baseline": 2'), "Upgrade pytest-stepreplay"),
        (
            broken(VERSION, '"stepreplay_baseline": "1"'),
            "known-drift.json:2: stepreplay_baseline: '1' is not 1",
        ),
        (broken(VERSION, '"stepreplay_baseline": 0'), "Fix it"),
        (broken(VERSION, VERSION + ', "more": 1'), "known-drift.json:1: a baseline has no 'more'"),
        ('{"stepreplay_baseline": 1}', 'known-drift.json:1: "drift" is not a list'),
        (
            '{"stepreplay_baseline": 1, "drift": [\n3]}',
            "known-drift.json:2: drift[0]: should have changes, interaction, test, and nothing else",
        ),
        (
            broken('"interaction"', '"number"'),
            "known-drift.json:11: drift[1]: should have changes, interaction",
        ),
        (
            broken(": 2,", ": 0,"),
            "known-drift.json:11: drift[1]: interaction: 0 is not a whole number of 1 or more",
        ),
        (broken(": 2,", ": true,"), "interaction: True is not a whole number of 1 or more"),
        (broken(f'"{TEST}"', '""'), "known-drift.json:11: drift[1]: test: '' is not the id of a test"),
        (
            '{"stepreplay_baseline": 1, "drift": [{"test": "t", "interaction": 1, "changes": {}}]}',
            "is not a list",
        ),
        (
            broken("behavior choices", "behaviour choices"),
            "known-drift.json:15: drift[1]: changes: 'behaviour choices[0].finish_reason' should be a level "
            "(contract, behavior, content, metadata), a space and a selector",
        ),
        (broken("behavior choices[0].finish_reason", "behavior"), "known-drift.json:15: drift[1]: changes: "),
        (
            broken('"behavior choices[0].finish_reason"', "7"),
            "known-drift.json:15: drift[1]: changes: 7 should",
        ),
        (broken('"behavior choices[0].finish_reason"', "null"), "drift[1]: changes: None should be a level"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_baseline(text, FILE)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_file_that_an_editor_saved_is_read() -> None:
    known = read_baseline("\ufeff" + GOOD.replace("\n", "\r\n"), FILE)
    assert known == read_baseline(GOOD, FILE)
    assert known == read_baseline(json.dumps(json.loads(GOOD)), FILE)
