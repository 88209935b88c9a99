"""Responses that no good server sends, on the whole way: from the wire to what a person or a program reads."""

from __future__ import annotations

import copy
import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_stepreplay.drift.changes import Drift
from pytest_stepreplay.drift.comparison import compare
from pytest_stepreplay.drift.keeping import body_of, keep_volatile
from pytest_stepreplay.errors import SettingsError
from pytest_stepreplay.models import Interaction, Request
from pytest_stepreplay.report.failing_tests import failure_text, section_text
from pytest_stepreplay.report.renderers import render
from pytest_stepreplay.report.verified_runs import VerifiedRun
from pytest_stepreplay.settings.policy import Policy
from pytest_stepreplay.wire.bodies import response_from_wire

PLAIN: dict[str, Any] = {
    "id": "b7b56af0-52a6-483f-a589-948182676a1b",
    "object": "chat.completion",
    "created": 1709893411,
    "model": "step-3.5-flash",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10},
}
CHUNKS = [
    {
        "id": "s",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "step-3.5-flash",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        "usage": PLAIN["usage"],
    }
    for delta, finish in (
        ({"role": "assistant", "content": "Hel"}, ""),
        ({"role": "", "content": "lo!"}, ""),
        ({"role": "", "content": ""}, "stop"),
    )
]
STREAM = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS) + "data: [DONE]\n\n"


def saying(content: str, **rest: Any) -> dict[str, Any]:
    response = copy.deepcopy(PLAIN) | rest
    response["choices"][0]["message"]["content"] = content
    return response


def sent(body: bytes | str | dict[str, Any] | list[Any], kind: str = "application/json") -> Any:
    """What `compare` is given for a response that came over the wire with status 200."""
    if isinstance(body, dict | list):
        body = json.dumps(body)
    content = body.encode() if isinstance(body, str) else body
    return body_of(response_from_wire(200, {"content-type": kind}, content))


def assert_plain(value: Any) -> None:
    """Checks that xdist can carry a value: it takes no subclass of str, and no half of a surrogate pair."""
    pending = [value]
    while pending:
        value = pending.pop()
        assert type(value) in (dict, list, str, int, float, bool, type(None))
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list):
            pending += value


def everything_told(drift: Drift) -> list[str]:
    """Every text that a person or a CI system sees of a drift; that each can be made is half of the test."""
    result = {
        "test": "tests/test_a.py::test_a",
        "path": "cassettes/a.yaml",
        "interaction": 1,
        "status": "drifted",
        "drift": drift.to_json(),
        "reason": "",
        "known": False,
    }
    assert_plain(result)
    drifts = [(1, drift)]
    run = VerifiedRun([result])
    json.loads(render(run, "json").encode(), parse_constant=pytest.fail)
    pages = [render(run, "markdown"), drift.to_markdown()]
    for page in pages:
        outside = re.sub(r"</?code>|(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", page)
        assert not set("<>`") & set(outside)
        assert not re.search(r"\]\(|https?://", outside)  # a text that is cut behind one slash is no link
    return [
        *pages,
        drift.line(),
        drift.short(),
        drift.full(),
        render(run, "terminal"),
        failure_text(drifts, path="cassettes/a.yaml", test="tests/test_a.py::test_a"),
        section_text(drifts, path="cassettes/a.yaml"),
    ]


def check(drift: Drift) -> None:
    assert drift
    for text in everything_told(drift):
        assert len(text) < 300_000 or text == drift.full()
        assert not [c for c in set(text) if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"]
        for line in text.splitlines():
            assert not line.strip().startswith("::")
            assert "##[" not in line
            assert "##vso[" not in line
        text.encode()


ATTACK = (
    "\x1b[2J\x1b]8;;http://evil\x07 \r\n::error file=a.py::gotcha\r::stop-commands::x\n##[error]no ##vso[x]\x9b\u202e"
    "<img src=x onerror=alert(1)> | `a` [b](http://evil) ![c](http://evil) <!-- -->\u2028::warning::x\ud83d"
)


@pytest.mark.parametrize(
    ("new", "fact"),
    [
        (sent(""), "$: an empty body instead of a chat completion"),
        (sent(" \r\n"), "$: an empty body instead of a chat completion"),
        (sent("<html>502</html>", "text/html"), "$: text that is not JSON instead of a chat completion"),
        (sent(json.dumps(PLAIN)[:200]), "$: broken JSON instead of a chat completion"),
        (sent(b"\xff\xfe\x00"), "$: bytes that are no text instead of a chat completion"),
        (sent("null"), "$: null that is not a chat completion instead of a chat completion"),
        (sent("[]"), "$: an array that is not a chat completion instead of a chat completion"),
        (sent({"id": "1"}), "$: an object that is not a chat completion instead of a chat completion"),
        (
            sent({"error": {"message": "busy", "type": "overloaded"}}),
            "$: an error object (overloaded: busy) instead of a chat completion",
        ),
        (
            sent({"error": "busy", "choices": []}),
            "$: an error object (busy) instead of a chat completion",
        ),
        (sent({**PLAIN, "choices": None}), "choices: expected an array, got null"),
        (sent({**PLAIN, "choices": {}}), "choices: expected an array, got an object"),
        (sent({**PLAIN, "choices": [None]}), "choices[0]: expected an object, got null"),
        (sent({**PLAIN, "choices": []}), "choices[0]: removed "),
        (sent(saying("Hello!", usage=[])), "usage: expected an object, got an array"),
        (sent('{"object": "chat.completion", "object": 1}'), "$: "),
        (sent("[" * 100_000), "$: broken JSON instead of a chat completion"),
        (
            sent(json.dumps(PLAIN).replace('"Hello!"', "NaN")),
            "choices[0].message.content: expected a string, got ",
        ),
        (
            sent(json.dumps(PLAIN).replace('"Hello!"', '{"a":' * 900 + "1" + "}" * 900)),
            "choices[0].message.content: ",
        ),
    ],
)
def test_what_is_no_chat_completion(new: Any, fact: str) -> None:
    drift = compare(PLAIN, new)
    check(drift)
    assert str(drift.changes[0]).startswith(fact)
    assert str(drift.level) == ("behavior" if "removed" in fact else "contract")
    check(compare(new, PLAIN))
    assert not compare(new, new)


@pytest.mark.parametrize(
    ("new", "places"),
    [
        (STREAM[: STREAM.index("lo!")], {"choices[0].finish_reason", "choices[0].message.content"}),
        (STREAM[: STREAM.index("data: [DONE]")], set[str]()),
        (STREAM.replace("data: [DONE]\n\n", ""), set[str]()),
        (STREAM[:30], {"$"}),
        (STREAM.partition("\n\n")[0] + "\n\n" + 'event: error\ndata: "overloaded"\n\n', {"error"}),
        ("data: {}\n\n", {"$"}),
        ("event: ping\n\n: nothing\n\n", {"$"}),
    ],
)
def test_a_stream_that_does_not_end_as_it_should(new: str, places: set[str]) -> None:
    stored, cut = sent(STREAM, "text/event-stream"), sent(new, "text/event-stream")
    drift = compare(stored, cut)
    assert places <= {change.selector for change in drift.changes}
    assert bool(drift) is bool(places)
    if places:
        check(drift)
        check(compare(cut, stored))


def test_an_error_in_a_stream_is_told_first() -> None:
    new = STREAM.partition("\n\n")[0] + '\n\ndata: {"error": {"message": "overloaded"}}\n\n'
    drift = compare(sent(STREAM, "text/event-stream"), sent(new, "text/event-stream"))
    assert drift.changes[0].selector == "error"
    assert "overloaded" in drift.line()


def test_three_megabytes() -> None:
    huge = "All work and no play makes Jack a dull boy. " * 70_000
    large = huge[:500_000]
    assert len(compare(PLAIN, sent(saying(huge))).line()) < 300
    check(compare(PLAIN, sent(saying(large))))
    drift = compare(sent(saying(huge)), sent(saying(huge.replace("Jack", "Jane", 1))))
    check(drift)
    assert "[-Jack-]{+Jane+}" in drift.line()
    assert len(compare(saying(large), sent(saying(large[::-1]))).line()) < 300
    check(compare(PLAIN, sent(saying("Hello!", extra=[huge]))))
    check(compare(PLAIN, sent(saying("Hello!", **{huge: huge}))))
    check(compare(PLAIN, {"error": {"message": huge, "type": huge}}))
    check(compare(PLAIN, sent(huge, "text/plain")))


def test_ten_thousand_choices() -> None:
    choice = PLAIN["choices"][0]
    many = sent({**PLAIN, "choices": [{**choice, "index": i} for i in range(10_000)]})
    drift = compare(PLAIN, many)
    assert len(drift.changes) == 9_999
    check(drift)
    alike = sent({**PLAIN, "choices": [choice] * 10_000})
    assert not compare(alike, alike)
    # What is told of so many does not depend on what they say.
    check(compare(PLAIN, sent({**PLAIN, "choices": [choice] * 1_000})))
    check(compare(PLAIN, sent({**PLAIN, "choices": [{"index": i} for i in range(1_000)]})))


def test_two_thousand_tool_calls() -> None:
    def calling(name: str) -> Any:
        response = copy.deepcopy(PLAIN)
        response["choices"][0]["message"]["tool_calls"] = [
            {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": f'{{"n": {i}}}'}}
            for i in range(2_000)
        ]
        return sent(response)

    drift = compare(calling("a"), calling("b"))
    assert len(drift.changes) == 2_000
    check(drift)


@pytest.mark.parametrize(
    "new",
    [
        saying(ATTACK),
        saying("Hello!", model=ATTACK),
        saying("Hello!", created=ATTACK),
        saying("Hello!", object=ATTACK),
        saying("Hello!", **{ATTACK: ATTACK}),
        saying("Hello!", **{"::error::": {"::error::": ["::error::"]}}),
        {"error": {"message": ATTACK, "type": "::error::"}},
        {**PLAIN, "choices": [{**PLAIN["choices"][0], "finish_reason": ATTACK}]},
        saying(json.dumps({ATTACK: ATTACK})),
        saying("Hello!", id=3, service_tier={}),
        saying("Hello!", id="\udc00", **{"\udc00": ["\udc00", {"\udc00": 10**5000}]}),
    ],
)
def test_hostile_text_is_shown_harmlessly(new: Any) -> None:
    for stored in (PLAIN, saying('{"a": 1}')):
        check(compare(stored, new))
        check(compare(new, stored))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fail_on": "fatal"}, "fail_on: 'fatal' is not one of contract, behavior, content, metadata, never"),
        ({"ignore": ["choices[oops"]}, "choices[oops"),
        ({"tolerances": {"usage.*": "about 20"}}, "is not a tolerance; write a number (20)"),
        ({"text": {"**.content": "levenshtein"}}, "'levenshtein' is not a text rule; write \"exact\""),
        (
            {"comparators": {}},
            "a policy has no 'comparators'; it has fail_on, ignore, tolerances, text, contract",
        ),
    ],
)
def test_a_policy_that_names_what_does_not_exist(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Policy.from_mapping(values)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value).partition("\n  ")[0]


@pytest.mark.parametrize(
    "error", [LookupError("sk-secret"), RecursionError(), MemoryError(), AssertionError()]
)
def test_a_text_rule_that_raises_is_a_settings_error(error: Exception) -> None:
    def my_rule(old: str, new: str) -> bool:
        raise error

    with pytest.raises(SettingsError) as refused:
        compare(PLAIN, saying("x"), Policy(text={"**.content": my_rule}))
    name = type(error).__name__
    assert str(refused.value) == f"text, choices[0].message.content: the rule my_rule failed with {name}"
    assert "secret" not in str(refused.value)


def test_a_text_rule_whose_answer_has_no_truth_is_a_settings_error() -> None:
    class Unsure:
        def __bool__(self) -> bool:
            raise ValueError("ambiguous")

    with pytest.raises(SettingsError, match="the rule unsure failed with ValueError"):

        def unsure(old: str, new: str) -> Unsure:
            return Unsure()

        compare(PLAIN, saying("x"), Policy(text={"**.content": unsure}))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(ATTACK),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
PLACES = st.sampled_from(
    [
        ("choices",),
        ("choices", 0),
        ("choices", 0, "index"),
        ("choices", 0, "message"),
        ("choices", 0, "message", "content"),
        ("choices", 0, "message", "tool_calls"),
        ("choices", 0, "finish_reason"),
        ("usage",),
        ("id",),
        ("error",),
    ]
)


@settings(max_examples=150)
@given(PLACES, VALUES, st.booleans())
@example(("choices", 0, "index"), {"000000000": False, "": {"00000000\x1f": -100000000, "000": ATTACK}}, True)
def test_anything_anywhere_gives_a_drift_that_can_be_told(place: Any, value: Any, streamed: bool) -> None:
    stored: Any = copy.deepcopy(CHUNKS if streamed else PLAIN)
    new = copy.deepcopy(stored)
    target = new[0] if streamed else new
    for step in place[:-1]:
        target = target["delta" if step == "message" and streamed else step]
    target[place[-1]] = value
    for drift in (compare(stored, new), compare(new, stored)):
        if drift:
            everything_told(drift)


@settings(max_examples=100)
@given(
    st.binary(max_size=200) | st.text().map(str.encode),
    st.sampled_from(["application/json", "text/event-stream"]),
)
def test_any_bytes_give_a_drift_that_can_be_told(body: bytes, kind: str) -> None:
    response = response_from_wire(200, {"content-type": kind}, body)
    drift = compare(PLAIN, body_of(response))
    assert str(drift.level) == "contract"
    check(drift)
    request = Request(method="POST", url="https://api.stepfun.com/v1/chat/completions", json={"messages": []})
    new = Interaction(request=request, response=response)
    assert keep_volatile([new], [new], [0]) == (new,)
