"""A test's snapshots: what is equal, what is written when, and what a person is told. No pytest plugin."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion as SdkCompletion
from pydantic import BaseModel

from pytest_stepreplay import ChatCompletion
from pytest_stepreplay.errors import CassetteReadError, CassetteWriteError, SettingsError, StepReplayError
from pytest_stepreplay.machine import disk
from pytest_stepreplay.redaction.redactor import Redactor
from pytest_stepreplay.settings import MODES
from pytest_stepreplay.settings.policy import Policy
from pytest_stepreplay.snapshots.comparing import ChatSnapshot
from pytest_stepreplay.snapshots.comparisons import Comparison, SnapshotOutcome
from pytest_stepreplay.snapshots.explaining import explain
from pytest_stepreplay.store.paths import cassette_path, iter_cassettes, named_path, snapshots_path
from pytest_stepreplay.store.pending import accept_pending, pending_path, read_pending
from pytest_stepreplay.store.snapshot_files import parse_snapshots, read_snapshots, write_snapshots
from tests.conftest import KEY

TEST = "tests/test_chat.py::test_it"
SHOWN = "cassettes/test_chat/test_it.snapshots.yaml"
REPLY: dict[str, Any] = {
    "id": "b7b56af0",
    "object": "chat.completion",
    "created": 1709893411,
    "model": "step-3.5-flash",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "I will look that up.",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "search", "arguments": '{"q": "tea"}'},
                    }
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 83, "completion_tokens": 17, "total_tokens": 100},
}

Open = Callable[..., ChatSnapshot]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "test_it.snapshots.yaml"


@pytest.fixture
def open_snapshots(path: Path) -> Open:
    def open_in(mode: str = "replay", **given: Any) -> ChatSnapshot:
        redactor = given.pop("redactor", Redactor(secrets=()))
        return ChatSnapshot(
            path, test=TEST, mode=MODES[mode], redactor=lambda: redactor, shown_path=SHOWN, **given
        )

    return open_in


@pytest.fixture
def store(open_snapshots: Open) -> Callable[..., SnapshotOutcome]:
    """Records values as snapshots 1, 2, ... and by name."""

    def record(*values: object, **named: object) -> SnapshotOutcome:
        snapshots = open_snapshots("record")
        for value in values:
            assert value == snapshots
        for name, value in named.items():
            assert value == snapshots(name)
        return snapshots.close(passed=True)

    return record


def changed(**places: object) -> dict[str, Any]:
    """Returns `REPLY` with other volatile values, and with what is named."""
    reply = copy.deepcopy(REPLY) | {"id": "other", "created": 1}
    call = reply["choices"][0]["message"]["tool_calls"][0]
    call["id"] = "call_2"
    call["function"]["name"] = places.get("tool", "search")
    reply["choices"][0]["message"]["content"] = places.get(
        "content", REPLY["choices"][0]["message"]["content"]
    )
    reply["usage"]["completion_tokens"] = places.get("tokens", 17)
    return reply


def events(reply: dict[str, Any]) -> str:
    """Returns a stream of two chunks that say `reply`'s text."""
    base = {"id": reply["id"], "object": "chat.completion.chunk", "created": 0, "model": reply["model"]}
    texts = [{"role": "assistant", "content": "I will "}, {"content": "look that up."}]
    ends = ["", "stop"]
    chunks = [
        {**base, "choices": [{"index": 0, "delta": text, "finish_reason": end}]}
        for text, end in zip(texts, ends, strict=True)
    ]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


class Plan(BaseModel):
    steps: list[str]
    urgent: bool = False


@dataclass
class Answer:
    text: str
    plan: Plan


# ---------------------------------------------------------------- what a test may hold


@pytest.mark.parametrize(
    "value",
    [
        REPLY,
        ChatCompletion.model_validate(REPLY),
        SdkCompletion.model_validate(REPLY),
        json.dumps(REPLY),
        json.dumps(REPLY).encode(),
        events(REPLY),
        [json.loads(line.removeprefix("data: ")) for line in events(REPLY).split("\n\n")[:2]],
        "a text\nof two lines\n",
        "",
        '{"an": "application\'s own"}',
        {"plan": ["a", 1, None, True, 1.5], "empty": {}},
        [],
        None,
        3,
        Plan(steps=["a"]),
        Answer("x", Plan(steps=[])),
        {"reply": SdkCompletion.model_validate(REPLY), "tries": 2},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_was_recorded_is_equal_again(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open, value: object
) -> None:
    assert store(value).added == ("1",)
    snapshots = open_snapshots()
    assert snapshots == value
    assert not open_snapshots() == {"something": "else"}  # noqa: SIM201 - what == says is what is tested


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(value=json_values)
def test_any_json_value_is_equal_to_its_snapshot(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.mktemp("any") / "any.snapshots.yaml"
    for mode in ("record", "replay"):
        snapshots = ChatSnapshot(path, test=TEST, mode=MODES[mode], redactor=lambda: Redactor(secrets=()))
        assert value == snapshots
        snapshots.close(passed=True)


def test_an_sdk_object_is_stored_as_the_server_sent_it(
    store: Callable[..., SnapshotOutcome], path: Path
) -> None:
    store(SdkCompletion.model_validate(REPLY))
    assert read_snapshots(path) == {"1": REPLY}, "without the fields that the SDK adds as None"


def test_defaults_of_an_own_model_count(store: Callable[..., SnapshotOutcome], path: Path) -> None:
    store(Plan(steps=["a"]))
    assert read_snapshots(path) == {"1": {"steps": ["a"], "urgent": False}}


def test_a_stream_is_stored_assembled(store: Callable[..., SnapshotOutcome], path: Path) -> None:
    store(events(REPLY))
    stored = read_snapshots(path)["1"]
    assert stored["object"] == "chat.completion"
    assert stored["choices"][0]["message"]["content"] == "I will look that up."


def test_the_file_is_readable(store: Callable[..., SnapshotOutcome], path: Path) -> None:
    store({"city": "Paris", "steps": ["walk", "eat"]}, poem="Roses\nViolets\n")
    assert path.read_text(encoding="utf-8") == (
        "stepreplay: 1\n"
        "test: tests/test_chat.py::test_it\n"
        "snapshots:\n"
        "  '1':\n"
        "    city: Paris\n"
        "    steps:\n"
        "    - walk\n"
        "    - eat\n"
        "  poem: |\n"
        "    Roses\n"
        "    Violets\n"
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({1, 2}, "chat_snapshot takes an answer, .*; it is of the type set"),
        ({"a": [object()]}, r"chat_snapshot takes .*; a\[0\] is of the type object"),
        (float("nan"), "was not written: .*"),
        ("half \ud800", "was not written: it would hold half of a surrogate pair"),
    ],
)
def test_what_no_snapshot_can_be_made_of_is_said_at_once(
    open_snapshots: Open, value: object, problem: str
) -> None:
    with pytest.raises(StepReplayError, match=problem):
        _ = value == open_snapshots("record")


def test_what_is_too_deep_is_said_at_once(open_snapshots: Open) -> None:
    deep: list[Any] = []
    for _ in range(600):
        deep = [deep]
    with pytest.raises(CassetteWriteError, match="nested"):
        _ = deep == open_snapshots("record")
    deep.append(deep)
    with pytest.raises(StepReplayError, match="refers to itself"):
        _ = deep == open_snapshots("record")


def test_a_field_that_json_cannot_hold_is_said(open_snapshots: Open) -> None:
    class Odd(BaseModel, arbitrary_types_allowed=True):
        inner: object

    with pytest.raises(StepReplayError, match="no snapshot can be made of this value: Unable to serialize"):
        _ = Odd(inner=object()) == open_snapshots("record")


def test_no_secret_is_stored_and_none_is_needed(open_snapshots: Open, path: Path) -> None:
    recording = open_snapshots("record", redactor=Redactor(secrets=[KEY], fields=["pin"]))
    for value in (f"use {KEY}", {"pin": "1234", "text": KEY}):
        assert value == recording
    recording.close(passed=True)
    assert KEY not in path.read_text(encoding="utf-8")
    assert "1234" not in path.read_text(encoding="utf-8")
    other = "sk-another-key-0123456789abcdef"
    replaying = open_snapshots(redactor=Redactor(secrets=[other], fields=["pin"]))
    assert f"use {other}" == replaying
    assert {"pin": "9999", "text": other} == replaying


# ---------------------------------------------------------------- numbers and names


def test_each_use_takes_the_next_number_and_a_call_stays_one(open_snapshots: Open, path: Path) -> None:
    snapshots = open_snapshots("record")
    one = snapshots(ignore=["x"])
    assert [snapshots == "second", one == "first", one == "first", "third" == snapshots] == [True] * 4  # noqa: SIM300
    assert snapshots("plan") == "named"
    assert snapshots("plan") == "named"
    snapshots.close(passed=True)
    assert read_snapshots(path) == {"2": "second", "1": "first", "3": "third", "plan": "named"}


def test_one_snapshot_cannot_hold_two_values(open_snapshots: Open, path: Path) -> None:
    for mode in ("record", "rewrite"):
        snapshots = open_snapshots(mode)
        plan = snapshots("plan")
        assert plan == "one"
        assert plan != "two"
        assert explain(snapshots, snapshots.comparisons[-1]) == [
            "$: [-one-]{+two+} (similarity 0.00) (content)",
            f"in snapshot plan of {SHOWN}, which this test has already set to another value; give each value its own name",
        ]
        assert not snapshots.close(passed=False, failed=True).pending
    assert not path.exists()


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101, "\x1b[31m", 3, REPLY])
def test_a_bad_name_is_refused(open_snapshots: Open, name: Any) -> None:
    with pytest.raises(SettingsError, match="a name is one line of at most 100 characters"):
        open_snapshots()(name)


def test_a_number_is_no_name(open_snapshots: Open) -> None:
    with pytest.raises(SettingsError, match=r"chat_snapshot\('1'\): snapshots without a name are numbered"):
        open_snapshots()("1")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"ignor": ["id"]},
            "chat_snapshot has no option 'ignor' (did you mean ignore?). "
            "Valid ones: fail_on, ignore, tolerances, text, contract",
        ),
        (
            {"fail_on": "bad"},
            "chat_snapshot, fail_on: 'bad' is not one of contract, behavior, content, metadata, never",
        ),
        (
            {"tolerances": {"usage.*": "much"}},
            "chat_snapshot, tolerances, usage.*: 'much' is not a tolerance",
        ),
        ({"text": {"choices[*].message.content": "fuzzy"}}, "'fuzzy' is not a text rule; write \"exact\""),
        ({"ignore": ["choices["]}, "choices["),
        ({"contract": "other"}, "chat_snapshot, contract: 'other' is not one of stepfun, openai"),
    ],
)
def test_a_bad_option_is_refused_with_the_good_ones(open_snapshots: Open, options: Any, problem: str) -> None:
    with pytest.raises(SettingsError) as refused:
        open_snapshots()(**options)
    assert problem in str(refused.value)


def test_its_repr_is_short(open_snapshots: Open) -> None:
    snapshots = open_snapshots()
    assert repr(snapshots) == f"<chat_snapshot of {SHOWN}>"
    assert repr(snapshots("plan")) == f"<chat_snapshot plan of {SHOWN}>"


# ---------------------------------------------------------------- what counts


def test_volatile_values_never_count(store: Callable[..., SnapshotOutcome], open_snapshots: Open) -> None:
    store(REPLY)
    assert changed() == open_snapshots()


@pytest.mark.parametrize(
    ("places", "options", "equal"),
    [
        ({"tokens": 25}, {}, True),
        ({"tokens": 25}, {"fail_on": "metadata"}, False),
        ({"tokens": 25}, {"fail_on": "metadata", "ignore": ["usage.*"]}, True),
        ({"tokens": 25}, {"fail_on": "metadata", "tolerances": {"usage.*": "50%"}}, True),
        ({"content": "I will  look that up."}, {}, False),
        ({"content": "I will  look that up."}, {"text": {"choices[*].message.content": "whitespace"}}, True),
        ({"content": "Another text."}, {"fail_on": "behavior"}, True),
        ({"tool": "fetch"}, {"fail_on": "behavior"}, False),
        ({"tool": "fetch"}, {"fail_on": "never"}, True),
    ],
)
def test_options_say_what_counts(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open, places: Any, options: Any, equal: bool
) -> None:
    store(REPLY)
    assert (changed(**places) == open_snapshots()(**options)) is equal


def test_options_add_to_what_is_set_for_the_test(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open
) -> None:
    store(REPLY)
    policy = Policy(fail_on="metadata", ignore=["usage.*"], text={"choices[*].message.content": "whitespace"})
    snapshots = open_snapshots(policy=lambda: policy)
    value = changed(tokens=99, content="I will  look that up.") | {"extra": 1}
    assert value != snapshots()
    assert value == open_snapshots(policy=lambda: policy)(ignore=["extra"], contract=None)


def test_selectors_and_what_they_named_are_told(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open
) -> None:
    store(plan=REPLY)
    snapshots = open_snapshots()
    assert changed(tokens=20) == snapshots("plan", ignore=["usage.*", "nothing.*"])
    outcome = snapshots.close(passed=True)
    assert (outcome.selectors, outcome.matched) == (("nothing.*", "usage.*"), ("usage.*",))


def test_the_contract_of_the_host_is_held(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open
) -> None:
    store(REPLY)
    without = {key: value for key, value in REPLY.items() if key != "usage"}
    assert without == open_snapshots()
    assert without != open_snapshots(policy=lambda: Policy(contract="stepfun"))


# ---------------------------------------------------------------- modes


@pytest.mark.parametrize("mode", ["replay", "verify", "live"])
def test_a_missing_one_fails_and_says_how_to_write_it(open_snapshots: Open, path: Path, mode: str) -> None:
    snapshots = open_snapshots(mode)
    with pytest.raises(AssertionError) as failed:
        _ = snapshots("plan") == "x"
    accept = [f"or accept: stepreplay accept {SHOWN}"] if mode != "live" else []
    assert str(failed.value).splitlines() == [
        f"there is no snapshot plan of {SHOWN}",
        "write it:  pytest tests/test_chat.py::test_it --stepreplay=record",
        *accept,
    ]
    outcome = snapshots.close(passed=False, failed=True)
    assert outcome.failed == ("plan",)
    assert not path.exists()
    assert pending_path(path).exists() is (mode != "live")


def test_record_writes_new_ones_and_compares_the_others(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open, path: Path
) -> None:
    store("one", plan="a plan")
    before = path.read_bytes()
    snapshots = open_snapshots("record")
    assert snapshots == "one"
    assert snapshots == "two"
    assert snapshots("plan") != "another plan"
    outcome = snapshots.close(passed=True)
    assert (outcome.added, outcome.changed, outcome.removed, outcome.failed) == (("2",), (), (), ("plan",))
    assert read_snapshots(path) == {"1": "one", "plan": "a plan", "2": "two"}
    assert path.read_bytes() != before


def test_a_failing_test_writes_no_snapshot(open_snapshots: Open, path: Path) -> None:
    for mode in ("record", "rewrite"):
        snapshots = open_snapshots(mode)
        assert snapshots == "one"
        assert snapshots.close(passed=False, failed=True).added == ()
    assert not path.exists()


def test_rewrite_takes_what_changed_and_drops_what_is_not_used(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open, path: Path
) -> None:
    store(REPLY, "text", old="gone")
    snapshots = open_snapshots("rewrite")
    assert changed(tool="fetch") == snapshots
    assert "text" == snapshots  # noqa: SIM300 - either side will do
    assert snapshots("new") == "added"
    outcome = snapshots.close(passed=True)
    assert (outcome.added, outcome.changed, outcome.removed) == (("new",), ("1",), ("old",))
    assert [found["line"] for found in outcome.drifts] == [
        "choices[0].message.tool_calls[0].function.name: search -> fetch (behavior)"
    ]
    assert read_snapshots(path) == {"1": changed(tool="fetch"), "2": "text", "new": "added"}


def test_rewrite_keeps_old_volatile_values_where_nothing_else_changed(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open, path: Path
) -> None:
    store(REPLY)
    before = path.read_bytes()
    snapshots = open_snapshots("rewrite")
    assert changed() == snapshots
    outcome = snapshots.close(passed=True)
    assert (outcome.added, outcome.changed, outcome.removed) == ((), (), ())
    assert path.read_bytes() == before


def test_rewrite_without_a_snapshot_removes_the_file(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open, path: Path
) -> None:
    store("one", "two")
    assert open_snapshots("rewrite").close(passed=True).removed == ("1", "2")
    assert not path.exists()


def test_a_file_that_cannot_be_removed_is_said(
    store: Callable[..., SnapshotOutcome], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store("one")

    def refuse(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(disk, "remove", refuse)
    with pytest.raises(CassetteWriteError, match="could not be removed: Operation not permitted"):
        write_snapshots(path, TEST, {})


# ---------------------------------------------------------------- pending


def test_what_fails_is_left_as_pending_and_can_be_accepted(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open, path: Path
) -> None:
    store(REPLY, plan="stays")
    snapshots = open_snapshots()
    assert changed(tool="fetch") != snapshots
    outcome = snapshots.close(passed=False, failed=True)
    assert outcome.pending == str(pending_path(path))
    waiting = read_pending(pending_path(path))
    assert (waiting.kind, waiting.test, waiting.total) == ("snapshots", TEST, 2)
    assert [(unit.name, unit.change, unit.new) for unit in waiting.units] == [
        ("1", "changed", changed(tool="fetch"))
    ]
    accept_pending(pending_path(path))
    assert changed(tool="fetch") == open_snapshots()
    assert open_snapshots()("plan") == "stays"
    assert not pending_path(path).exists()


@pytest.mark.parametrize(
    ("mode", "given", "how"),
    [
        ("replay", {"leave_pending": False}, {"failed": True}),
        ("live", {}, {"failed": True}),
        ("replay", {}, {"failed": False}),
    ],
)
def test_nothing_is_left_pending_unless_it_should_be(
    open_snapshots: Open, path: Path, mode: str, given: Any, how: Any
) -> None:
    write_snapshots(path, TEST, {"1": "one"})
    snapshots = open_snapshots(mode, **given)
    assert snapshots != "two"
    assert not snapshots.close(passed=False, **how).pending
    assert not pending_path(path).exists()


@pytest.mark.parametrize("mode", ["replay", "rewrite"])
def test_a_pending_file_goes_once_the_test_passes(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open, path: Path, mode: str
) -> None:
    store("one")
    failing = open_snapshots()
    assert failing != "two"
    failing.close(passed=False, failed=True)
    assert pending_path(path).exists()
    in_ci = open_snapshots(leave_pending=False)
    assert in_ci == "one"
    in_ci.close(passed=True)
    assert pending_path(path).exists(), "CI leaves it alone"
    passing = open_snapshots(mode)
    assert passing == "one"
    passing.close(passed=True)
    assert not pending_path(path).exists()


def test_a_difference_that_cannot_be_stored_is_still_a_difference(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open
) -> None:
    store(1.5)
    snapshots = open_snapshots()
    assert snapshots != float("inf")
    assert not snapshots.close(passed=False, failed=True).pending


# ---------------------------------------------------------------- broken files


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty"),
        (
            "stepreplay: 9\nsnapshots: {}\n",
            ":1: was written by a newer pytest-stepreplay (format 9; this one",
        ),
        ("stepreplay: x\nsnapshots: {}\n", ":1: stepreplay: should be the version of the format"),
        ("snapshots:\n  a: b\n", "holds no snapshots: it has no 'stepreplay: 1' at the top"),
        ("stepreplay: 1\nsnapshots: 3\n", ":2: holds no snapshots: it has no mapping 'snapshots:'"),
        ("stepreplay: 1\n", "holds no snapshots: it has no mapping 'snapshots:'"),
        (
            "stepreplay: 1\nsnapshots: {}\ninteractions: []\n",
            ":3: interactions: a file of snapshots has no such",
        ),
        ("stepreplay: 1\nsnapshots:\n<<<<<<< HEAD\n  a: b\n", ":3: has an unresolved merge conflict"),
        ("stepreplay: 1\nsnapshots:\n  a: [\n", ":4: is not valid YAML ("),
        ("stepreplay: 1\nsnapshots:\n  a: b", ":3: seems cut off"),
    ],
)
def test_a_broken_file_is_named_and_left_alone(
    open_snapshots: Open, path: Path, content: str, problem: str
) -> None:
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    for mode in ("replay", "rewrite"):
        with pytest.raises(CassetteReadError) as refused:
            _ = open_snapshots(mode) == "x"
        assert f"{path}{problem}" in str(refused.value).replace(f"{path}: ", f"{path}")
    with pytest.raises(CassetteReadError):
        open_snapshots("rewrite").close(passed=True)
    assert path.read_text(encoding="utf-8") == content


def test_broken_bytes_are_named(path: Path) -> None:
    with pytest.raises(CassetteReadError, match="is not UTF-8 text"):
        parse_snapshots(b"stepreplay: 1\n\xff\n", path)


def test_a_file_too_large_for_the_memory_is_said(
    store: Callable[..., SnapshotOutcome], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store("one")

    def fail(content: bytes, path: Path) -> None:
        raise MemoryError

    monkeypatch.setattr("pytest_stepreplay.store.codec.decode", fail)
    with pytest.raises(CassetteReadError, match="is too large for the memory of this machine"):
        read_snapshots(path)


# ---------------------------------------------------------------- what a person is told


def one_change(snapshots: ChatSnapshot, value: object) -> Comparison:
    assert value != snapshots
    return snapshots.comparisons[-1]


def test_the_leading_fact_comes_first_and_then_what_to_do(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open
) -> None:
    store(REPLY)
    value = changed(tool="fetch", content="I will look it up.", tokens=20)
    facts = [
        "choices[0].message.tool_calls[0].function.name: search -> fetch (behavior)",
        "choices[0].message.content: I will look [-that-]{+it+} up. (similarity 0.84) (content)",
        "usage.completion_tokens: 17 -> 20 (metadata)",
    ]
    snapshots = open_snapshots()
    comparison = one_change(snapshots, value)
    told = [*facts, f"in snapshot 1 of {SHOWN}", f"accept it: stepreplay accept {SHOWN}"]
    assert explain(snapshots, comparison) == told
    assert explain(snapshots, comparison, most_lines=60) == told, "nothing is left out, so nothing is added"
    assert explain(snapshots, comparison, most_lines=None) == [
        facts[0],
        *told[-2:],
        "",
        "drift: behavior (1 behavior, 1 content, 1 metadata)",
        "",
        "behavior:",
        f"  {facts[0].removesuffix(' (behavior)')}",
        "",
        "content:",
        f"  {facts[1].removesuffix(' (content)')}",
        "",
        "metadata:",
        f"  {facts[2].removesuffix(' (metadata)')}",
    ]


def test_where_nothing_is_left_pending_a_rewrite_accepts(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open
) -> None:
    store("one")
    snapshots = open_snapshots(leave_pending=False)
    assert explain(snapshots, one_change(snapshots, "two")) == [
        "$: [-one-]{+two+} (similarity 0.00) (content)",
        f"in snapshot 1 of {SHOWN}",
        "accept it: pytest tests/test_chat.py::test_it --stepreplay=rewrite",
    ]


def test_what_holds_is_told_too(store: Callable[..., SnapshotOutcome], open_snapshots: Open) -> None:
    store("one")
    snapshots = open_snapshots()
    assert snapshots == "one"
    assert explain(snapshots, snapshots.comparisons[0]) == [f"the same as snapshot 1 of {SHOWN}"]


@pytest.mark.parametrize(
    ("number", "length"),
    [*((number, length) for number in (1, 2, 5, 6, 7, 8, 9) for length in (1, 40)), (1, 3000), (500, 1)],
)
def test_it_is_never_longer_than_pytest_shows(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open, number: int, length: int
) -> None:
    store({f"field_{n}": "old " * length for n in range(number)})
    snapshots = open_snapshots()
    comparison = one_change(snapshots, {f"field_{n}": "new " * length for n in range(number)})
    lines = explain(snapshots, comparison)
    assert lines[0].startswith("field_0: ")
    assert lines[-2:] == [f"in snapshot 1 of {SHOWN}", f"accept it: stepreplay accept {SHOWN}"]
    assert len(lines) <= 8
    assert sum(map(len, lines)) <= 700, "pytest cuts what is longer than 640 and its own notice"
    told = sum(line.startswith("field_") for line in lines)
    assert told == number or lines[-3] == f"… and {number - told} more, shown by -vv"
    in_ci = explain(snapshots, comparison, most_lines=60)
    assert len(in_ci) <= 60 + 6
    if number == 500:
        assert in_ci[-1] == "… and 443 more lines, shown by -vv"
        assert len(explain(snapshots, comparison, most_lines=None)) > 500


def test_what_a_model_wrote_is_shown_harmlessly(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open
) -> None:
    store("a plain text")
    snapshots = open_snapshots()
    comparison = one_change(snapshots, "\x1b[2J\n::error::gone")
    for most_lines in (8, None):
        text = "\n".join(explain(snapshots, comparison, most_lines=most_lines))
        assert "\x1b" not in text
        assert not any(line.strip().startswith("::") for line in text.splitlines())


def test_an_assertion_finds_its_comparison(
    store: Callable[..., SnapshotOutcome], open_snapshots: Open
) -> None:
    store("a", "b", plan="c")
    snapshots = open_snapshots()
    other, another = "an" + "other", "another one"
    assert other != snapshots
    assert another != snapshots
    plan = snapshots("plan")
    assert plan != other
    assert [each.name for each in snapshots.untold()] == ["1", "2", "plan"]
    found = snapshots.comparison_of(other, None, holds=False)
    assert found
    assert found.name == "1"
    assert [each.name for each in snapshots.untold()] == ["2", "plan"]
    again = snapshots.comparison_of(other, "plan", holds=False)
    assert again
    assert again.name == "plan"
    assert snapshots.comparison_of(other, "plan", holds=False) is again
    assert snapshots.comparison_of("nothing", None, holds=False) is None
    assert snapshots.comparison_of(other, None, holds=True) is None


def test_snapshots_are_no_cassettes(tmp_path: Path) -> None:
    path = cassette_path(tmp_path, PurePath("test_chat.py"), "test_it")
    assert snapshots_path(path) == tmp_path / "test_chat" / "test_it.snapshots.yaml"
    write_snapshots(snapshots_path(path), TEST, {"1": "a"})
    assert list(iter_cassettes(tmp_path)) == []
    other = cassette_path(tmp_path, PurePath("test_chat.py"), "test_it.snapshots")
    assert re.fullmatch(r"test_it\.snapshots-[0-9a-f]{8}\.yaml", other.name)
    with pytest.raises(SettingsError, match="is the name of a snapshot file"):
        named_path(tmp_path, "shared/login.snapshots")
