from __future__ import annotations

import copy
import json
import pickle
import re
import subprocess
import sys
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, field_validator

from pytest_stepreplay.drift.changes import Change, Drift
from pytest_stepreplay.drift.comparison import compare
from pytest_stepreplay.drift.values import ABSENT
from pytest_stepreplay.endpoints import contract_of_url
from pytest_stepreplay.endpoints.chat_models import ChatCompletion
from pytest_stepreplay.errors import SelectorError, SettingsError
from pytest_stepreplay.selectors import Selector
from pytest_stepreplay.settings.levels import Level
from pytest_stepreplay.settings.policy import Policy, Tolerance
from pytest_stepreplay.texts import alignment
from pytest_stepreplay.texts.alignment import align, common_items, match
from pytest_stepreplay.texts.words import diff_words, similarity

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN: dict[str, Any] = {
    "id": "b7b56af0-52a6-483f-a589-948182676a1b",
    "object": "chat.completion",
    "created": 1709893411,
    "model": "step-3.5-flash",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello! How can I help you today?"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 83, "completion_tokens": 176, "total_tokens": 259, "cached_tokens": 64},
}


def call(name: str, arguments: Any, call_id: str = "call_1") -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def calling(*calls: dict[str, Any]) -> dict[str, Any]:
    response = copy.deepcopy(PLAIN)
    message = {"role": "assistant", "content": None, "tool_calls": list(calls)}
    response["choices"] = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    return response


def saying(content: Any) -> dict[str, Any]:
    return having("choices", 0, "message", "content", value=content)


def having(*path: str | int, value: Any = ABSENT, base: dict[str, Any] = PLAIN) -> dict[str, Any]:
    """The base with a value set at a place, or without what stands there."""
    changed: Any = copy.deepcopy(base)
    place = changed
    for step in path[:-1]:
        place = place[step]
    if value is ABSENT:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed  # type: ignore[no-any-return]  # a dict, as the base


def told(drift: Drift) -> list[tuple[str, str]]:
    return [(change.selector, str(change.level)) for change in drift.changes]


def only(drift: Drift) -> Change:
    assert len(drift.changes) == 1, drift.full()
    return drift.changes[0]


TWO_CALLS = calling(call("search", {"q": "x"}, "call_a"), call("fetch", {"url": "u", "n": 1}, "call_b"))
CONTENT = "choices[0].message.content"
CALLS = "choices[0].message.tool_calls"


class TestReasoningDetails:
    def test_entries_belong_together_whatever_is_fresh_in_them(self) -> None:
        def answer(*details: dict[str, Any]) -> dict[str, Any]:
            return having("choices", 0, "message", "reasoning_details", value=list(details))

        def sealed(fresh: str) -> dict[str, Any]:
            return {"type": "reasoning.encrypted", "id": f"rs_{fresh}", "data": fresh}

        text = {"type": "reasoning.text", "text": "Let me look that up."}
        last = {"type": "reasoning.text", "text": "Found it.", "signature": "s1"}
        drift = compare(
            answer(text, sealed("a"), last), answer(sealed("b"), last | {"signature": "s2"}), Policy()
        )
        change = only(drift)
        assert (change.selector, change.kind) == ("choices[0].message.reasoning_details[0]", "removed")
        assert change.level is Level.CONTENT


class TestTextCompletions:
    def chunks(self, *texts: str, fresh: str = "a") -> list[dict[str, Any]]:
        head = {"id": fresh, "object": "text_completion", "created": len(fresh), "model": "m"}
        pieces = [{**head, "choices": [{"index": 0, "text": it, "finish_reason": None}]} for it in texts]
        return [*pieces, {**head, "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}]

    def test_a_stream_is_compared_whole(self) -> None:
        def frames(chunks: list[dict[str, Any]]) -> str:
            return "".join(f"data: {json.dumps(it)}\n\n" for it in chunks) + "data: [DONE]\n\n"

        stored = frames(self.chunks("Say ", "hello", " to all."))
        assert not compare(stored, frames(self.chunks("Say hello to", " all.", fresh="bb")))
        change = only(compare(stored, frames(self.chunks("Say ", "goodbye", " to all."))))
        assert (change.selector, change.level) == ("choices[0].text", Level.CONTENT)
        plain = self.chunks("Say hello to all.")[0]
        plain["choices"][0]["finish_reason"] = "stop"
        assert not compare(plain, stored)
        assert not compare(self.chunks("Say ", "hello to all."), stored)


def custom(name: str, given: str, call_id: str = "", **more: Any) -> dict[str, Any]:
    return {
        "id": call_id or f"call_{name}",
        "type": "custom",
        "custom": {"name": name, "input": given},
        **more,
    }


class TestCustomTools:
    STORED = calling(custom("run_sql", "SELECT name FROM users"), custom("grep", "x"))

    @pytest.mark.parametrize(
        ("new", "place", "summary"),
        [
            (
                calling(custom("run_sql", "SELECT email FROM users"), custom("grep", "x")),
                "tool_calls[0].custom.input",
                "SELECT [-name-]{+email+} FROM users (similarity 0.80)",
            ),
            (
                calling(custom("run_psql", "SELECT name FROM users"), custom("grep", "x")),
                "tool_calls[0].custom.name",
                "run_sql -> run_psql",
            ),
            (
                calling(custom("run_sql", "SELECT name FROM users")),
                "tool_calls[1]",
                "removed grep(x)",
            ),
            (
                calling(custom("run_sql", "SELECT name FROM users"), custom("grep", "x", retry=True)),
                "tool_calls[1].retry",
                "added true",
            ),
            (
                calling(custom("grep", "x"), custom("run_sql", "SELECT name FROM users")),
                "tool_calls",
                "order: run_sql, grep -> grep, run_sql",
            ),
        ],
    )
    def test_what_a_custom_tool_is_told_is_behavior(
        self, new: dict[str, Any], place: str, summary: str
    ) -> None:
        change = only(compare(self.STORED, new, Policy(contract="openai")))
        assert change.selector == f"choices[0].message.{place}"
        assert change.level is Level.BEHAVIOR
        assert change.summary == summary

    def test_a_fresh_id_is_no_drift(self) -> None:
        new = calling(custom("run_sql", "SELECT name FROM users", "call_z"), custom("grep", "x", "call_y"))
        assert not compare(self.STORED, new)

    def test_a_broken_custom_call_breaks_the_contract(self) -> None:
        broken = copy.deepcopy(self.STORED)
        del broken["choices"][0]["message"]["tool_calls"][0]["custom"]["input"]
        change = compare(self.STORED, broken).changes[0]
        assert (change.selector, change.level) == (f"{CALLS}[0].custom.input", Level.CONTRACT)

    def test_a_streamed_input_is_compared_whole(self) -> None:
        def stream(*inputs: str) -> list[dict[str, Any]]:
            calls = [{"index": 0, "custom": {"input": each}} for each in inputs]
            calls[0] |= {"id": "call_a", "type": "custom", "custom": {"name": "run", "input": inputs[0]}}
            head = {"id": "a", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            return [{**head, "choices": [{"index": 0, "delta": {"tool_calls": [it]}}]} for it in calls]

        assert not compare(stream("rm ", "a ", "now"), stream("rm a", " now"))
        change = only(compare(stream("rm ", "a ", "now"), stream("rm ", "b ", "now")))
        assert (change.selector, change.level) == (f"{CALLS}[0].custom.input", Level.BEHAVIOR)

    def test_what_is_known_to_be_no_behavior_inside_a_call(self) -> None:
        def searched(**more: Any) -> dict[str, Any]:
            return calling({**call("web_search", {"q": "x"}, "call_a"), **more})

        for more in ({"index": 1}, {"extra_content": {"a": 1}}, {"provider_specific_fields": {"a": 1}}):
            assert compare(searched(), searched(**more)).level is Level.METADATA
        assert compare(searched(), searched(approved=False)).level is Level.BEHAVIOR


class TestVolatile:
    @pytest.mark.parametrize(
        "new",
        [
            PLAIN,
            having("id", value="another"),
            having("created", value=0),
            having("system_fingerprint", value="fp_1"),
            having("service_tier", value="default"),
            having("request_id", value="r"),
            having("x-request-id", value="r"),
            having("x_groq", value={"id": "req_1"}, base=having("x_groq", value={"id": "req_2"})),
            having("usage", "cached_tokens", value=0),
            having("usage", "cached_tokens"),
            having("usage", "cached_tokens", value=None),
            having("choices", 0, "message", "refusal", value=None),
            having("choices", 0, "message", "tool_calls", value=[]),
            having("choices", 0, "message", "tool_calls", value=None),
            having("choices", 0, "logprobs", value=None),
            having("usage", "total_tokens", value=259.0),
        ],
    )
    def test_is_no_drift(self, new: dict[str, Any]) -> None:
        stored = having("x_groq", value={"id": "req_2"}) if "x_groq" in new else PLAIN
        for one, other in ((stored, new), (new, stored)):
            drift = compare(one, other)
            assert not drift
            assert drift.level is Level.NONE
            assert drift.changes == ()
            assert drift.passes("metadata")

    def test_details_of_cached_tokens(self) -> None:
        one, other = (
            having("usage", "prompt_tokens_details", value={"cached_tokens": n, "audio_tokens": 0})
            for n in (0, 9)
        )
        assert not compare(one, other)
        dropped = having("usage", "prompt_tokens_details", value={"cached_tokens": 3})
        assert told(compare(dropped, other)) == [("usage.prompt_tokens_details.audio_tokens", "metadata")]

    @pytest.mark.parametrize("value", ["1709893411", None, 1.5, True, {}])
    def test_its_type_is_checked(self, value: Any) -> None:
        change = only(compare(PLAIN, having("created", value=value)))
        assert (change.selector, change.level) == ("created", Level.CONTRACT)
        assert change.summary.startswith("expected an integer, got ")
        assert "1709893411" not in str(change)

    def test_its_type_is_checked_where_nothing_documents_it(self) -> None:
        one, other = having("service_tier", value="default"), having("service_tier", value=3)
        change = only(compare(one, other))
        assert change.level is Level.METADATA
        assert change.summary == "a string -> an integer"

    @pytest.mark.parametrize("field", ["id", "created", "model", "object"])
    def test_a_required_field_cannot_go(self, field: str) -> None:
        change = only(compare(PLAIN, having(field)))
        assert (change.selector, change.level) == (field, Level.CONTRACT)
        assert change.summary == "required, but missing"

    def test_a_part_that_goes_or_comes_is_shown_as_it_is(self) -> None:
        details = {"cached_tokens": 3, "audio_tokens": 0}
        stored = having("usage", "prompt_tokens_details", value=details)
        gone = only(compare(stored, PLAIN))
        assert gone.summary == 'removed {"cached_tokens": 3, "audio_tokens": 0}'
        assert gone.old == details
        assert only(compare(PLAIN, stored)).summary == 'added {"cached_tokens": 3, "audio_tokens": 0}'
        choice = TWO_CALLS["choices"][0] | {"index": 1}
        come = only(compare(PLAIN, having("choices", value=[*PLAIN["choices"], choice])))
        assert come.new["message"]["tool_calls"][0]["id"] == "call_a"
        assert '"id": "call_a"' in json.dumps(compare(PLAIN, TWO_CALLS).to_json())
        no_id = only(compare(PLAIN, having("id")))
        assert (no_id.kind, no_id.old) == ("contract", PLAIN["id"])

    @pytest.mark.parametrize(
        "place",
        [
            ("p",),
            ("obfuscation",),
            ("timings",),
            ("choices", 0, "seed"),
            ("usage", "num_cached_tokens"),
            ("usage", "completion_tokens_details", "cached_tokens"),
            ("usage_breakdown", "models", 0, "usage", "queue_time"),
            ("x_groq", "usage", "total_time"),
            ("x_groq", "usage_breakdown", "models", 0, "usage", "prompt_time"),
            ("choices", 0, "message", "reasoning_details", 0, "id"),
            ("choices", 0, "message", "reasoning_details", 0, "data"),
            ("choices", 0, "message", "reasoning_details", 0, "signature"),
            ("choices", 0, "message", "thought_signature"),
            ("choices", 0, "message", "extra_content", "google", "thought_signature"),
            ("choices", 0, "message", "content", 0, "signature"),
            ("choices", 0, "message", "tool_calls", 0, "extra_content", "google", "thought_signature"),
            ("choices", 0, "message", "tool_calls", 0, "provider_specific_fields", "thought_signature"),
        ],
    )
    def test_what_is_fresh_on_each_call(self, place: tuple[str | int, ...]) -> None:
        def answer(value: Any) -> Any:
            tree = value
            for step in reversed(place):
                tree = [tree] if isinstance(step, int) else {step: tree, "kept": 1}
            return {"object": "chat.completion", "model": "m", **tree}

        drift = compare(answer("a1"), answer("b2"), Policy(contract=None))
        assert not drift, drift.full()
        without = answer("b2")
        parent = without
        for step in place[:-1]:
            parent = parent[step]
        del parent[place[-1]]
        assert not compare(answer("a1"), without, Policy(contract=None))
        other = compare(answer("a1"), json.loads(json.dumps(answer("a1")).replace('"kept": 1', '"kept": 2')))
        assert other, "what stands beside it still counts"

    @pytest.mark.parametrize(
        "around", [lambda it: it, lambda it: [it], lambda it: {"turns": [{"answer": it}]}]
    )
    def test_encrypted_reasoning_of_a_bare_message_is_fresh_too(self, around: Callable[[Any], Any]) -> None:
        def message(fresh: str, said: str = "4") -> Any:
            sealed = {"type": "reasoning.encrypted", "id": fresh, "data": fresh, "format": "x", "index": 0}
            signed = {"type": "reasoning.text", "text": "2 + 2", "signature": fresh, "index": 1}
            return around(
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "2 + 2", "signature": fresh}],
                    "reasoning_details": [sealed, signed],
                    "thinking_blocks": [{"type": "redacted_thinking", "data": fresh, "signature": fresh}],
                    "provider_specific_fields": {"thought_signature": fresh, "thought_signatures": [fresh]},
                    "encrypted_content": fresh,
                    "said": said,
                }
            )

        drift = compare(message("a1"), message("b2"))
        assert not drift, drift.full()
        assert compare(message("a1"), message("b2", "5")), "what stands beside it still counts"


class TestToolCalls:
    def test_fresh_ids_are_no_drift(self) -> None:
        renamed = calling(call("search", {"q": "x"}, "call_y"), call("fetch", {"url": "u", "n": 1}, "call_z"))
        assert not compare(TWO_CALLS, renamed)

    def test_two_calls_that_share_an_id_are(self) -> None:
        shared = calling(call("search", {"q": "x"}, "call_y"), call("fetch", {"url": "u", "n": 1}, "call_y"))
        change = only(compare(TWO_CALLS, shared))
        assert (change.selector, change.level) == (f"{CALLS}[1].id", Level.BEHAVIOR)
        assert change.summary == "a string -> the id of the call search #1"

    def test_ids_are_unique_within_one_choice(self) -> None:
        def response(*ids: str) -> dict[str, Any]:
            choices = [
                calling(call("f", {}, each))["choices"][0] | {"index": i} for i, each in enumerate(ids)
            ]
            return having("choices", value=choices)

        assert not compare(response("call_a", "call_b"), response("call_0", "call_0"))

    def test_key_order_and_white_space_of_arguments_never_matter(self) -> None:
        new = having(
            *("choices", 0, "message", "tool_calls", 1, "function", "arguments"),
            value='{\n  "n": 1.0, "url":"u"}',
            base=TWO_CALLS,
        )
        assert not compare(TWO_CALLS, new)

    def test_a_changed_argument_is_named(self) -> None:
        new = calling(call("search", {"q": "x"}), call("fetch", {"url": "u", "n": "1"}, "call_b"))
        change = only(compare(TWO_CALLS, new))
        assert (change.selector, change.level) == (f"{CALLS}[1].function.arguments.n", Level.BEHAVIOR)
        assert change.summary == '1 (an integer) -> "1" (a string)'

    def test_a_null_argument_is_not_an_absent_one(self) -> None:
        drift = compare(calling(call("f", {})), calling(call("f", {"a": None})))
        assert told(drift) == [(f"{CALLS}[0].function.arguments.a", "behavior")]

    def test_broken_arguments_say_so(self) -> None:
        stored, broken = calling(call("f", {"a": 1})), calling(call("f", '{"a": 1'))
        change = only(compare(stored, broken))
        assert (change.selector, change.level) == (f"{CALLS}[0].function.arguments", Level.BEHAVIOR)
        assert change.note == "broken JSON: Expecting ',' delimiter at character 8"
        assert only(compare(broken, stored)).note == "was broken JSON"
        assert only(compare(stored, calling(call("f", "")))).note == "broken JSON: it is empty"
        assert not compare(broken, broken)
        assert only(compare(broken, calling(call("f", '{"a": 2')))).level is Level.BEHAVIOR

    def test_another_function_is_one_change(self) -> None:
        new = calling(call("lookup", {"q": "x"}, "call_a"), call("fetch", {"url": "u", "n": 1}, "call_b"))
        drift = compare(TWO_CALLS, new)
        assert str(drift) == f"{CALLS}[0].function.name: search -> lookup (behavior)"

    def test_one_call_less_does_not_cascade(self) -> None:
        calls = [call("search", {"q": word}, f"call_{word}") for word in "abcd"]
        change = only(compare(calling(*calls), calling(*calls[:1], *calls[2:])))
        assert (change.selector, change.kind, change.level) == (f"{CALLS}[1]", "removed", Level.BEHAVIOR)
        assert change.summary == 'removed search({"q": "b"})'
        change = only(compare(calling(*calls[1:]), calling(*calls)))
        assert (change.selector, change.summary) == (f"{CALLS}[0]", 'added search({"q": "a"})')

    def test_another_order_is_one_change(self) -> None:
        swapped = calling(call("fetch", {"url": "u", "n": 1}), call("search", {"q": "x"}, "call_2"))
        change = only(compare(TWO_CALLS, swapped))
        assert (change.selector, change.kind, change.level) == (CALLS, "order", Level.BEHAVIOR)
        assert change.summary == "order: search, fetch -> fetch, search"

    def test_called_or_not(self) -> None:
        drift = compare(PLAIN, TWO_CALLS)
        assert told(drift) == [
            ("choices[0].finish_reason", "behavior"),
            (f"{CALLS}[0]", "behavior"),
            (f"{CALLS}[1]", "behavior"),
            (CONTENT, "content"),
        ]
        assert compare(TWO_CALLS, PLAIN).level is Level.BEHAVIOR

    def test_undocumented_fields_are_metadata(self) -> None:
        new = copy.deepcopy(TWO_CALLS)
        new["choices"][0]["message"]["tool_calls"][0]["index"] = 0
        new["choices"][0]["message"]["tool_calls"][0]["function"]["results"] = [{"title": "x"}]
        assert {level for _, level in told(compare(TWO_CALLS, new))} == {"metadata"}

    def test_a_conversation_keeps_its_links(self) -> None:
        def conversation(one: str, two: str, cited: str) -> list[dict[str, Any]]:
            answer = {"role": "assistant", "tool_calls": [call("f", {"x": 1}, one), call("g", "{}", two)]}
            return [answer, {"role": "tool", "tool_call_id": cited, "content": "ok"}]

        assert not compare(conversation("a", "b", "b"), conversation("q", "r", "r"))
        change = only(compare(conversation("a", "b", "b"), conversation("a", "b", "a")))
        assert (change.selector, change.level) == ("[1].tool_call_id", Level.BEHAVIOR)
        assert change.summary == "the id of g #1 -> the id of f #1"
        change = only(compare(conversation("a", "b", "b"), conversation("a", "b", "zz")))
        assert change.summary == "the id of g #1 -> the id of no call"

    def test_the_old_function_call_is_read_as_well(self) -> None:
        def response(arguments: str) -> dict[str, Any]:
            return having(
                "choices", 0, "message", "function_call", value={"name": "f", "arguments": arguments}
            )

        assert not compare(response('{"a": 1, "b": 2}'), response('{"b":2,"a":1}'))
        assert compare(response('{"a": 1}'), response('{"a": 2}')).level is Level.BEHAVIOR


class TestLevels:
    @pytest.mark.parametrize(
        ("new", "selector", "level", "summary"),
        [
            (having("model", value="m"), "model", "metadata", "step-3.5-flash -> m"),
            (having("usage", "total_tokens", value=260), "usage.total_tokens", "metadata", "259 -> 260"),
            (having("provider", value="x"), "provider", "metadata", "added x"),
            (having("__typename", value=1), "__typename", "metadata", "added 1"),
            (
                having("choices", 0, "finish_reason", value="length"),
                "choices[0].finish_reason",
                "behavior",
                "stop -> length",
            ),
            (
                having("choices", 0, "finish_reason", value=None),
                "choices[0].finish_reason",
                "behavior",
                "stop -> null",
            ),
            (
                having("choices", 0, "finish_reason", value=""),
                "choices[0].finish_reason",
                "behavior",
                "stop -> null",
            ),
            (
                having("choices", 0, "message", "refusal", value="I can't."),
                "choices[0].message.refusal",
                "behavior",
                'added "I can\'t."',
            ),
            (
                having("choices", 0, "message", "reasoning", value="So."),
                "choices[0].message.reasoning",
                "content",
                "added So.",
            ),
            (having("choices", value=[]), "choices[0]", "behavior", None),
            (
                saying("Hello! How may I help you?"),
                CONTENT,
                "content",
                "Hello! How [-can-]{+may+} I help you[- today-]? (similarity 0.79)",
            ),
            (saying(""), CONTENT, "content", None),
            (saying('{"a": 1}'), CONTENT, "behavior", None),
            (
                having("choices", 0, "finish_reason", value="eos"),
                "choices[0].finish_reason",
                "contract",
                'expected "stop", "length", "content_filter", "tool_calls" or "function_call", got "eos"',
            ),
            (saying(7), CONTENT, "contract", "expected a string, got an integer"),
            (saying([{"type": "text"}]), CONTENT, "contract", "expected a string, got an array"),
            (having("choices", 0, "message"), "choices[0].message", "contract", "required, but missing"),
            (having("choices"), "choices", "contract", "required, but missing"),
            (having("choices", value="x"), "choices", "contract", "expected an array, got a string"),
            (having("choices", value=[3]), "choices[0]", "contract", "expected an object, got an integer"),
            (having("usage", value=[]), "usage", "contract", "expected an object, got an array"),
        ],
    )
    def test_of_one_change(self, new: Any, selector: str, level: str, summary: str | None) -> None:
        change = only(compare(PLAIN, new))
        assert (change.selector, str(change.level)) == (selector, level)
        assert summary is None or change.summary == summary

    def test_no_text_either_way_is_metadata(self) -> None:
        assert told(
            compare(TWO_CALLS, having("choices", 0, "message", "content", value="", base=TWO_CALLS))
        ) == [(CONTENT, "metadata")]

    def test_json_content(self) -> None:
        old = saying(json.dumps({"city": "Paris", "n": 1, "tags": ["a", "b"], "gone": 0}))
        new = saying(json.dumps({"tags": ["a", "b", "c"], "city": "Rome", "n": "1", "come": 0}))
        assert sorted(told(compare(old, new))) == [
            (f"{CONTENT}.city", "content"),
            (f"{CONTENT}.come", "behavior"),
            (f"{CONTENT}.gone", "behavior"),
            (f"{CONTENT}.n", "behavior"),
            (f"{CONTENT}.tags[2]", "content"),
        ]
        assert not compare(saying('{"a": 1, "b": null}'), saying('{\n "b": null, "a": 1}'))
        assert only(compare(saying('{"a": 1}'), saying("{oops"))).note == "was JSON"
        assert compare(saying("[1] see"), saying("[2] see")).level is Level.CONTENT

    def test_choices_belong_together_by_their_index(self) -> None:
        choices = [
            PLAIN["choices"][0] | {"index": i, "message": {"role": "assistant", "content": f"No {i}."}}
            for i in range(3)
        ]
        stored = having("choices", value=choices)
        assert not compare(stored, having("choices", value=choices[::-1]))
        change = only(compare(stored, having("choices", value=[choices[2], choices[0]])))
        assert (change.selector, change.kind, change.level) == ("choices[1]", "removed", Level.BEHAVIOR)
        change = only(
            compare(stored, having("choices", value=[choices[0], choices[1], choices[2] | {"index": 9}]))
        )
        assert (change.selector, change.level) == ("choices[2].index", Level.BEHAVIOR)

    def test_the_worst_comes_first(self) -> None:
        drift = compare(PLAIN, having("id", base=having("model", value="m", base=saying("Bye"))))
        assert [str(change.level) for change in drift.changes] == ["contract", "content", "metadata"]
        assert drift.level is Level.CONTRACT

    def test_what_the_stored_one_breaks_as_well_is_no_drift(self) -> None:
        odd = having("choices", 0, "finish_reason", value="eos", base=having("object"))
        assert not compare(odd, copy.deepcopy(odd))
        odder = having("choices", 0, "finish_reason", value="enough", base=odd)
        assert told(compare(odd, odder)) == [("choices[0].finish_reason", "contract")]

    def test_a_break_is_told_once_and_names_its_source(self) -> None:
        drift = compare(PLAIN, having("created", value="x"))
        assert str(drift) == (
            "created: expected an integer, got a string "
            "(contract: the OpenAI-compatible API reference, the chat completion object)"
        )


class TestContract:
    def test_stepfun_has_its_own(self) -> None:
        policy = Policy(contract="stepfun")
        for new in (having("usage"), having("choices", 0, "finish_reason", value="function_call")):
            assert compare(PLAIN, new, policy).level is Level.CONTRACT
            assert compare(PLAIN, new).level is not Level.CONTRACT
        odd = calling(call("f", {}) | {"type": "custom"})
        assert (
            compare(calling(call("f", {}) | {"type": "web_search"}), odd, policy)
            .changes[0]
            .source.startswith("StepFun")
        )

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("https://api.stepfun.com/v1", "stepfun"),
            ("https://api.stepfun.ai/step_plan/v1/chat/completions", "stepfun"),
            ("https://stepfun.com.example.org/v1", "openai"),
            ("http://127.0.0.1:8000/v1", "openai"),
            ("nonsense", "openai"),
        ],
    )
    def test_of_a_host(self, url: str, name: str) -> None:
        assert contract_of_url(url) == name

    def test_can_be_switched_off(self) -> None:
        change = only(compare(PLAIN, having("created", value="x"), Policy(contract=None)))
        assert (change.level, change.summary) == (Level.METADATA, "an integer -> a string")

    def test_can_be_a_model_of_ones_own(self) -> None:
        class Weather(BaseModel):
            city: Literal["Paris", "Rome"]
            readings: list[int | list[int]]

            @field_validator("city", mode="before")
            @classmethod
            def refuse_nowhere(cls, value: str) -> str:
                if value == "nowhere":
                    raise ValueError("nowhere is no city")
                if value == "crash":
                    raise KeyError(value)
                return value

        policy = Policy(contract=Weather)
        stored = {"city": "Paris", "readings": [1]}
        assert not compare(stored, copy.deepcopy(stored), policy)
        assert only(compare(stored, {"city": "Rome", "readings": [1]}, policy)).level is Level.CONTENT
        drift = compare(stored, {"city": "Oslo", "readings": ["x"]}, policy)
        assert ("city", "contract") in told(drift)
        assert ("readings[0]", "contract") in told(drift)  # the members of the union are not places
        assert drift.changes[0].summary == 'expected "Paris" or "Rome", got "Oslo"'
        assert drift.changes[0].source == "the model Weather"
        assert (
            "nowhere is no city"
            in compare(stored, {"city": "nowhere", "readings": []}, policy).changes[0].summary
        )
        with pytest.raises(SettingsError, match="contract: the model Weather failed with KeyError"):
            compare(stored, {"city": "crash", "readings": []}, policy)

    def test_an_ignored_place_has_none(self) -> None:
        assert not compare(PLAIN, having("created", value="x"), Policy(ignore=["created"]))
        assert not compare(PLAIN, having("usage", "total_tokens", value="x"), Policy(ignore=["usage"]))


class TestOwnValues:
    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("Hello you", "Hello me", [("$", "content")]),
            ({"a": 1}, {"a": "1", "b": 2}, [("a", "behavior"), ("b", "behavior")]),
            ({"a": 1}, {"a": True}, [("a", "behavior")]),
            ({"a": None}, {}, [("a", "behavior")]),
            ({"id": 1}, {"id": 2}, [("id", "content")]),
            ({"a": 1}, {"a": 1.5}, [("a", "content")]),
            ([1, 2, 3], [1, 3], [("[1]", "content")]),
            ([1, 2], [2, 1], [("[0]", "content"), ("[1]", "content")]),
            (["a", "b", "c", "d"], ["b", "c", "d", "e"], [("[0]", "content"), ("[3]", "content")]),
            (None, 1, [("$", "behavior")]),
            ([], {}, [("$", "behavior")]),
            ("text", {"a": 1}, [("$", "behavior")]),
            ('[1, "x"]', '[1, "y"]', [("[1]", "content")]),
            ({"choices": ["red", "blue"]}, {"choices": ["red"]}, [("choices[1]", "content")]),
            ([{"a": 1}, {"b": [1, {"c": 2}]}], [{"a": 1}, {"b": [1, {"c": 3}]}], [("[1].b[1].c", "content")]),
        ],
    )
    def test_have_no_volatile_fields_and_no_contract(self, old: Any, new: Any, expected: list[Any]) -> None:
        assert told(compare(old, new)) == expected
        assert compare(new, old)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ({"a": 1, "b": [1, {"c": None}]}, {"b": (1.0, {"c": None}), "a": 1.0}),
            (float("nan"), float("nan")),
            ([10**16], [1e16]),
            ([10**5000], [10**5000]),
            ("same", "same"),
            ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
        ],
    )
    def test_that_are_json_equal_are_no_drift(self, old: Any, new: Any) -> None:
        assert not compare(old, new)
        assert not compare(new, old)


class TestForms:
    """The same response in every form that `compare` takes."""

    CHUNKS = tuple(
        {"id": "s", "object": "chat.completion.chunk", "created": 1, "model": "step-3.5-flash"} | rest
        for rest in (
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {"role": "assistant", "content": "Hello! How can"},
                        "finish_reason": "",
                    }
                ]
            },
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {"role": "", "content": " I help you today?"},
                        "finish_reason": None,
                    }
                ]
            },
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": PLAIN["usage"]},
        )
    )

    @staticmethod
    def events(*chunks: Any) -> str:
        return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"

    def test_are_all_equal(self) -> None:
        from openai.types.chat import ChatCompletion as OpenAICompletion
        from openai.types.chat import ChatCompletionChunk as OpenAIChunk

        class OldStyle:
            def model_dump(self) -> dict[str, Any]:
                return PLAIN

        forms = [
            PLAIN,
            ChatCompletion.model_validate(PLAIN),
            OpenAICompletion.construct(**PLAIN),
            OldStyle(),
            json.dumps(PLAIN),
            json.dumps(PLAIN, indent=2).encode(),
            self.events(*self.CHUNKS),
            list(self.CHUNKS),
            [OpenAIChunk.construct(**chunk) for chunk in self.CHUNKS],
        ]
        for one in forms:
            for other in forms:
                assert not compare(one, other), compare(one, other).full()

    def test_a_single_chunk_is_a_stream(self) -> None:
        assert told(
            compare(
                self.CHUNKS[0], having("choices", 0, "delta", "content", value="Bye", base=self.CHUNKS[0])
            )
        ) == [(CONTENT, "content")]

    def test_a_cut_stream_has_not_finished(self) -> None:
        text = self.events(*self.CHUNKS)
        cut = text[: text.index("today") + 3]
        assert told(compare(text, cut)) == [
            ("choices[0].finish_reason", "behavior"),
            (CONTENT, "content"),
            ("usage", "metadata"),
        ]

    def test_chunks_are_held_to_their_contract(self) -> None:
        broken = [chunk | {"created": "now"} for chunk in self.CHUNKS]
        assert told(compare(list(self.CHUNKS), broken)) == [("created", "contract")]
        broken = [
            self.CHUNKS[0],
            self.CHUNKS[1] | {"object": "chunk"},
            *self.CHUNKS[2:],
            self.CHUNKS[1] | {"object": "chunk"},
        ]
        drift = compare(list(self.CHUNKS), broken)
        assert ("chunks[1].object", "contract") in told(drift)
        assert ("chunks[3].object", "contract") not in told(drift)  # said once
        assert "chunk object" in drift.changes[0].source

    def test_an_error_in_a_stream(self) -> None:
        drift = compare(
            self.events(*self.CHUNKS), self.events(self.CHUNKS[0], {"error": {"message": "overloaded"}})
        )
        assert ("error", "behavior") in told(drift)
        drift = compare(self.events(*self.CHUNKS), self.events({"error": {"message": "overloaded"}}))
        assert only(drift).summary == "an error object (overloaded) instead of a chat completion"

    def test_text_that_only_looks_like_events_is_text(self) -> None:
        assert told(compare("data: hello", "data: goodbye")) == [("$", "content")]

    @pytest.mark.parametrize(
        ("new", "summary"),
        [
            ("", "an empty body instead of a chat completion"),
            (" \n", "an empty body instead of a chat completion"),
            ("<html>", "text that is not JSON instead of a chat completion"),
            (json.dumps(PLAIN)[:99], "broken JSON instead of a chat completion"),
            ("[" * 100_000, "broken JSON instead of a chat completion"),
            ('{"a": ' + "9" * 5000 + "}", "broken JSON instead of a chat completion"),
            ([1], "an array that is not a chat completion instead of a chat completion"),
            (None, "null that is not a chat completion instead of a chat completion"),
            ({"a": 1}, "an object that is not a chat completion instead of a chat completion"),
            ({"error": {"type": "t", "message": "m"}}, "an error object (t: m) instead of a chat completion"),
            ({"error": "busy"}, "an error object (busy) instead of a chat completion"),
            (
                {"error": {"x": 1}, "choices": []},
                "an error object (without a message) instead of a chat completion",
            ),
        ],
    )
    def test_something_else_is_one_change(self, new: Any, summary: str) -> None:
        change = only(compare(PLAIN, new))
        assert (change.selector, change.kind, change.level) == ("$", "replaced", Level.CONTRACT)
        assert change.summary == summary
        assert only(compare(new, PLAIN)).level is Level.BEHAVIOR

    def test_two_errors_are_compared(self) -> None:
        def error(kind: str, message: str, trace: str) -> dict[str, Any]:
            return {"error": {"type": kind, "message": message, "trace_id": trace}, "request_id": trace}

        assert not compare(error("t", "m", "1"), error("t", "m", "2"))
        assert told(compare(error("t", "too many calls", "1"), error("u", "too many words", "2"))) == [
            ("error.type", "behavior"),
            ("error.message", "content"),
        ]

    def test_an_enum_member_is_its_value(self) -> None:
        class Colour(Enum):
            RED = "red"

        class Text(str):
            __slots__ = ()

        assert not compare({"a": Colour.RED, "b": Text("x")}, {"a": "red", "b": "x"})

    @pytest.mark.parametrize(
        ("value", "place"),
        [
            (object(), "it is of the type object"),
            ({"a": [{"b c": {1, 2}}]}, 'a[0]["b c"] is of the type set'),
            ({"a": {(1, 2): 3}}, "a has a key of the type tuple"),
        ],
    )
    def test_what_is_no_json_is_refused_by_name(self, value: Any, place: str) -> None:
        with pytest.raises(TypeError, match=re.escape(place)):
            compare(PLAIN, value)

    def test_what_refers_to_itself_is_refused(self) -> None:
        endless: list[Any] = []
        endless.append(endless)
        with pytest.raises(TypeError, match="refers to itself"):
            compare(endless, endless)

    def test_its_arguments_are_left_alone(self) -> None:
        stored, new = copy.deepcopy(TWO_CALLS), copy.deepcopy(PLAIN)
        compare(stored, new)
        assert (stored, new) == (TWO_CALLS, PLAIN)


class TestPolicy:
    def test_ignored_places_never_count(self) -> None:
        new = having(
            "model", value="m", base=having("provider", value="p", base=saying('{"at": 1, "x": [1, 2]}'))
        )
        stored = saying('{"at": 2, "x": [3, 2]}')
        policy = Policy(ignore=["model", "provider", f"{CONTENT}.at", "choices[*].message.content.x[0]"])
        assert not compare(stored, new, policy)
        assert not compare(
            calling(call("f", {"t": 1})), calling(call("f", {"t": 2})), Policy(ignore="**.arguments.t")
        )
        assert not compare(1, 2, Policy(ignore=["$"]))

    def test_it_says_which_selectors_matched(self) -> None:
        policy = Policy(
            ignore=["usage.*", "usgae"],
            tolerances={"usage.total_tokens": 1},
            text={"**.arguments.q": "exact"},
        )
        assert policy.selectors == {"usage.*", "usgae", "usage.total_tokens", "**.arguments.q"}
        assert compare(TWO_CALLS, TWO_CALLS, policy).matched == {
            "usage.*",
            "usage.total_tokens",
            "**.arguments.q",
        }
        assert compare(TWO_CALLS, TWO_CALLS).matched == frozenset()

    @pytest.mark.parametrize(
        ("tolerance", "new", "passes"),
        [
            ("20%", 310, True),
            ("20%", 311, False),
            ("20 %", 207, False),
            (5, 264, True),
            (5, 265, False),
            ("5", 254, True),
            (0, 259, True),
            (0, 260, False),
            ("20%", float("nan"), False),
            ("20%", float("inf"), False),
            ("20%", 10**400, False),
            (0.5, 10**400, False),
            ("20%", "259", False),
        ],
    )
    def test_tolerances(self, tolerance: Any, new: Any, passes: bool) -> None:
        drift = compare(
            PLAIN,
            having("usage", "total_tokens", value=new),
            Policy(tolerances={"usage.total_tokens": tolerance}),
        )
        assert bool(drift) is not passes
        if not passes and isinstance(new, int) and new < 1000:
            assert drift.changes[0].note == f"more than {Tolerance.parse(tolerance)} apart"

    def test_a_tolerance_allows_its_exact_limit(self) -> None:
        assert not compare({"a": 30}, {"a": 33}, Policy(tolerances={"a": "10%"}))
        assert not compare({"a": 0.3}, {"a": 0.1}, Policy(tolerances={"a": 0.2}))
        assert compare({"a": 0.5}, {"a": 10**400}, Policy(tolerances={"a": "20%"}))

    @pytest.mark.parametrize(
        ("rule", "new", "passes"),
        [
            ("exact", "Hello!  How can I help you today?", False),
            ("whitespace", "Hello!  How can\nI help you today? ", True),
            ("whitespace", "Hello! How may I help you today?", False),
            ("similarity>=0.8", "Hello! How may I help you today?", True),
            ("similarity >= 80%", "Hello! How may I help you today?", True),
            (0.8, "Hello! How may I help you today?", True),
            ("similarity>=0.9", "Go away.", False),
            ("regex:^Hello", "Hello there", True),
            (re.compile("hello", re.IGNORECASE), "Oh, HELLO", True),
            ("regex:^Hello", "Bye", False),
            (lambda old, new: len(new) <= len(old), "Bye", True),
            (lambda old, new: None, "Bye", False),
        ],
    )
    def test_text_rules(self, rule: Any, new: str, passes: bool) -> None:
        drift = compare(PLAIN, saying(new), Policy(text={"choices[*].message.content": rule}))
        assert bool(drift) is not passes
        if drift:
            assert told(drift) == [(CONTENT, "content")]

    def test_a_rule_that_does_not_accept_says_why(self) -> None:
        policy = Policy(text={"**.content": "similarity>=0.9"})
        assert str(compare(PLAIN, saying("Hello!"), policy)) == (
            f"{CONTENT}: Hello![- How can I help you today?-] (similarity 0.31); "
            "less similar than 0.9 (content)"
        )

    def test_the_json_rule(self) -> None:
        policy = Policy(text={"a": "json"})
        assert not compare({"a": '{"x": 1, "y": 2}'}, {"a": '{"y":2,"x":1}'}, policy)
        assert not compare({"a": "1.0"}, {"a": "1"}, policy)
        assert told(compare({"a": '{"x": 1}'}, {"a": '{"x": 2}'}, policy)) == [("a.x", "content")]
        assert told(compare({"a": '{"x": 1}'}, {"a": '{"x": '}, policy)) == [("a", "behavior")]

    def test_exact_keeps_json_content_a_text(self) -> None:
        old, new = saying('{"a": 1}'), saying('{"a":1}')
        assert not compare(old, new)
        assert told(compare(old, new, Policy(text={"**.content": "exact"}))) == [(CONTENT, "content")]

    def test_of_several_rules_the_last_counts(self) -> None:
        text: dict[str | Selector, Any] = {"**": "exact", "choices[*].message.content": 0.1}
        assert not compare(PLAIN, saying("Hello! How are you today?"), Policy(text=text))

    def test_a_rule_that_fails_is_an_error_that_names_it(self) -> None:
        def boom(old: str, new: str) -> bool:
            raise LookupError("secret")

        with pytest.raises(SettingsError) as failed:
            compare(PLAIN, saying("x"), Policy(text={"**.content": boom}))
        assert str(failed.value) == f"text, {CONTENT}: the rule boom failed with LookupError"

    @pytest.mark.parametrize("level", ["metadata", "content", "behavior", "contract", "never"])
    def test_fail_on(self, level: str) -> None:
        drift = compare(PLAIN, saying("x"), Policy(fail_on=level))
        assert drift.level is Level.CONTENT
        assert drift.passes() is (level not in ("metadata", "content"))
        assert drift.passes(level) is drift.passes()
        assert compare(PLAIN, saying("x")).passes() is False
        assert compare(PLAIN, having("model", value="m")).passes() is True

    def test_from_mapping(self) -> None:
        policy = Policy.from_mapping(
            {
                "fail_on": "behavior",
                "ignore": ["provider"],
                "tolerances": {"usage.total_tokens": "5%"},
                "text": {"**.content": "whitespace"},
                "contract": "stepfun",
            }
        )
        assert policy.fail_on is Level.BEHAVIOR
        assert policy == Policy(
            fail_on=Level.BEHAVIOR,
            ignore=[Selector.parse("provider")],
            tolerances={"usage.total_tokens": Tolerance(0.05, relative=True)},
            text=policy.text,
            contract="stepfun",
        )

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (
                {"fail_on": "serious"},
                "fail_on: 'serious' is not one of contract, behavior, content, metadata, never",
            ),
            ({"fail_on": Level.NONE}, "is not one of contract"),
            ({"fail_on": None}, "fail_on: None is not one of"),
            (
                {"ignored": []},
                "a policy has no 'ignored'; it has fail_on, ignore, tolerances, text, contract",
            ),
            ({"ignore": 3}, "ignore: 3 is not a list of selectors"),
            ({"ignore": {"a": 1}}, "is not a list of selectors"),
            ({"tolerances": ["a"]}, "tolerances: ['a'] is not a table"),
            ({"tolerances": {"a": "lots"}}, "tolerances, a: 'lots' is not a tolerance; write a number (20)"),
            ({"tolerances": {"a": -1}}, "is not a tolerance"),
            ({"tolerances": {"a": True}}, "is not a tolerance"),
            ({"text": {"a": "fuzzy"}}, 'text, a: \'fuzzy\' is not a text rule; write "exact", "whitespace"'),
            ({"text": {"a": 1.5}}, "a similarity is more than 0 and at most 1, not 1.5"),
            ({"text": {"a": "similarity>=0"}}, "a similarity is more than 0"),
            ({"text": {"a": "regex:("}}, "text, a: 'regex:(' is not a regular expression: "),
            ({"text": {"a": re.compile(b"x")}}, "is not a text rule"),
            ({"text": {"a": None}}, "is not a text rule"),
            (
                {"contract": "anthropic"},
                "contract: 'anthropic' is not one of stepfun, openai, a pydantic model class",
            ),
            ({"contract": dict}, "is not one of stepfun"),
        ],
    )
    def test_a_bad_value_is_refused_with_the_good_ones(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(SettingsError) as refused:
            Policy.from_mapping(values)
        assert message in str(refused.value)

    def test_a_bad_selector_is_refused(self) -> None:
        for values in ({"ignore": ["a["]}, {"tolerances": {"a[": 1}}, {"text": {3: "exact"}}):
            with pytest.raises(SelectorError):
                Policy.from_mapping(values)
        with pytest.raises(SettingsError, match="a policy is a table"):
            Policy.from_mapping(["x"])  # type: ignore[arg-type]  # what a settings file may hold


class TestWords:
    @pytest.mark.parametrize(
        ("old", "new", "shown"),
        [
            ("Say hello.", "Say goodbye.", "Say [-hello-]{+goodbye+}."),
            ("hello", "hello world", "hello{+ world+}"),
            ("a  b", "a b", "a[-  -]{+ +}b"),
            ("今天天气很好。", "今天天气不好。", "今天天气[-很-]{+不+}好。"),
            ("你好 世界", "你好 朋友", "你好 [-世界-]{+朋友+}"),
            ("the quick brown fox", "the slow red fox", "the [-quick brown-]{+slow red+} fox"),
            ("", "x", "{+x+}"),
            ("x", "", "[-x-]"),
            ("same", "same", "same"),
        ],
    )
    def test_the_diff(self, old: str, new: str, shown: str) -> None:
        assert diff_words(old, new) == shown

    def test_only_what_is_near_a_change_is_shown(self) -> None:
        words = [f"word{i}" for i in range(500)]
        changed = [*words[:250], "HERE", *words[251:]]
        shown = diff_words(" ".join(words), " ".join(changed), width=120)
        assert "[-word250-]{+HERE+}" in shown
        assert shown[0] == shown[-1] == "…"
        assert len(shown) <= 120

    @given(st.text(max_size=400), st.text(max_size=400), st.integers(0, 300))
    def test_the_diff_keeps_its_width(self, old: str, new: str, width: int) -> None:
        assert len(diff_words(old, new, width=width)) <= max(width, 40)

    @given(
        st.lists(st.sampled_from(["a", "b", "你", " ", "\n", "."])),
        st.lists(st.sampled_from(["a", "b", "你", " ", "!"])),
    )
    def test_the_diff_holds_both_texts(self, old: list[str], new: list[str]) -> None:
        shown = diff_words("".join(old), "".join(new), width=10**6)
        assert re.sub(
            r"\{\+.*?\+\}", "", re.sub(r"\[-(.*?)-\]", r"\1", shown, flags=re.DOTALL), flags=re.DOTALL
        ) == "".join(old)
        assert re.sub(
            r"\[-.*?-\]", "", re.sub(r"\{\+(.*?)\+\}", r"\1", shown, flags=re.DOTALL), flags=re.DOTALL
        ) == "".join(new)

    @given(st.text(max_size=60), st.text(max_size=60))
    def test_similarity_is_a_share(self, old: str, new: str) -> None:
        assert 0.0 <= similarity(old, new) <= 1.0
        assert similarity(old, old) == 1.0
        assert (similarity(old, new) == 1.0) is (old == new)

    def test_huge_texts_are_compared_within_a_budget(self) -> None:
        old = " ".join(f"w{i % 997} x{i % 89}." for i in range(20_000))
        new = old.replace("w5", "v5")
        assert 0.8 < similarity(old, new) < 1.0
        shown = diff_words(old, new)
        assert "[-" in shown
        assert len(shown) <= 240
        assert similarity("a " * 20_000, "b " * 20_000) < 0.1
        # Where only some sentences differ, they are compared word by word.
        paragraph = " ".join(f"Sentence {i} says {i * 7} things and no more." for i in range(900))
        edited = re.sub(r"(Sentence \d*[37]) says", r"\1 never ever says that it has", paragraph)
        edited = edited.replace("no more. Sentence 500", "no more.")
        shown = diff_words(paragraph, edited, width=10**6)
        assert "Sentence 3 {+never ever +}says{+ that it has+} 21 things" in shown
        assert diff_words("Sentence " + paragraph, "Satz " + edited, width=80).startswith(
            "[-Sentence-]{+Satz+} Sen"
        )


class TestAlignment:
    @staticmethod
    def longest(old: list[int], new: list[int]) -> int:
        rows = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
        for i, one in enumerate(old):
            for j, other in enumerate(new):
                rows[i + 1][j + 1] = rows[i][j] + 1 if one == other else max(rows[i][j + 1], rows[i + 1][j])
        return rows[-1][-1]

    @given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=12))
    def test_common_items_are_a_longest_common_subsequence(self, old: list[int], new: list[int]) -> None:
        pairs = common_items(old, new)
        assert pairs is not None
        assert len(pairs) == self.longest(old, new)
        assert all(old[i] == new[j] for i, j in pairs)
        assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))

    def test_a_search_that_takes_too_long_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert common_items("abcabba", "cbabac") is not None
        monkeypatch.setattr(alignment, "MAX_STEPS", 5)
        assert common_items("abcabba", "cbabac") is None

    def test_too_many_edits_are_given_up(self) -> None:
        assert common_items(range(100), range(200, 300), max_edits=10) is None
        assert common_items(range(3000), range(5000, 8000)) is None
        periodic = ["a", "b"] * 30_000
        assert (
            common_items([*range(10, 1200), *periodic, *range(10, 1200)], [*range(2000, 3000), *periodic, 1])
            is None
        )

    @given(st.lists(st.integers(0, 4), max_size=9), st.lists(st.integers(0, 4), max_size=9))
    def test_every_position_is_there_once(self, old: list[int], new: list[int]) -> None:
        for aligned in (align(old, new, abs), match(old, new, [lambda it: it, lambda it: it % 2])):
            assert sorted(i for i, _ in aligned if i is not None) == list(range(len(old)))
            assert sorted(j for _, j in aligned if j is not None) == list(range(len(new)))
            assert (None, None) not in aligned


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
TOOL_CALLS = st.builds(
    call, st.sampled_from(["search", "fetch", "add"]), st.dictionaries(WORDS, JSON, max_size=3)
)


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    choices = []
    for index in range(draw(st.integers(1, 3))):
        message: dict[str, Any] = {"role": "assistant", "content": draw(st.none() | WORDS)}
        calls = draw(st.lists(TOOL_CALLS, max_size=3))
        if calls:
            message["tool_calls"] = [each | {"id": f"call_{index}_{i}"} for i, each in enumerate(calls)]
        if draw(st.booleans()):
            message["reasoning"] = draw(WORDS)
        finish = draw(st.sampled_from(["stop", "length", "tool_calls", None]))
        choices.append({"index": index, "message": message, "finish_reason": finish})
    usage = {
        name: draw(st.integers(0, 10**6)) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    rest = draw(st.dictionaries(st.sampled_from(["provider", "x_extra", "__meta"]), JSON, max_size=2))
    head = {
        "id": draw(WORDS),
        "object": "chat.completion",
        "created": draw(st.integers(0)),
        "model": draw(WORDS),
    }
    return {**head, "choices": choices, "usage": usage, **rest}


@given(completions())
def test_a_completion_never_drifts_from_itself(completion: dict[str, Any]) -> None:
    assert not compare(completion, json.loads(json.dumps(completion)))


@given(completions(), st.data())
def test_new_ids_and_volatile_values_are_never_drift(completion: dict[str, Any], data: st.DataObject) -> None:
    new = copy.deepcopy(completion)
    new["id"], new["created"] = data.draw(WORDS), data.draw(st.integers(0))
    new["system_fingerprint"] = data.draw(WORDS)
    new["usage"]["cached_tokens"] = data.draw(st.integers(0))
    ids = data.draw(st.lists(WORDS, min_size=9, max_size=9, unique=True))
    for choice in new["choices"]:
        for each in choice["message"].get("tool_calls", ()):
            each["id"] = ids.pop()
            each["function"]["arguments"] = json.dumps(json.loads(each["function"]["arguments"]), indent=1)
    data.draw(st.randoms()).shuffle(new["choices"])
    for one, other in ((completion, new), (new, completion)):
        drift = compare(one, other)
        assert not drift, drift.full()


# Each makes one change to a choice or to the whole, and says where and how much it matters at least.
MUTATIONS: list[tuple[str, Level, Callable[[dict[str, Any], dict[str, Any]], object]]] = [
    ("model", Level.METADATA, lambda it, choice: it.update(model=it["model"] + "x")),
    (
        "usage.total_tokens",
        Level.METADATA,
        lambda it, choice: it["usage"].update(total_tokens=it["usage"]["total_tokens"] + 1),
    ),
    ("undocumented", Level.METADATA, lambda it, choice: it.update(undocumented=1)),
    ("object", Level.CONTRACT, lambda it, choice: it.update(object="x")),
    ("created", Level.CONTRACT, lambda it, choice: it.update(created="now")),
    ("id", Level.CONTRACT, lambda it, choice: it.pop("id")),
    ("usage.total_tokens", Level.CONTRACT, lambda it, choice: it["usage"].pop("total_tokens")),
    ("choices[0]", Level.BEHAVIOR, lambda it, choice: it["choices"].remove(choice)),
    (
        "choices[0].finish_reason",
        Level.BEHAVIOR,
        lambda it, choice: choice.update(finish_reason="content_filter"),
    ),
    ("choices[0].finish_reason", Level.CONTRACT, lambda it, choice: choice.update(finish_reason="eos")),
    ("choices[0].message.role", Level.CONTRACT, lambda it, choice: choice["message"].update(role="user")),
    (
        "choices[0].message.refusal",
        Level.BEHAVIOR,
        lambda it, choice: choice["message"].update(refusal="No."),
    ),
    (
        "choices[0].message.content",
        Level.CONTENT,
        lambda it, choice: choice["message"].update(content="another text"),
    ),
    (
        "choices[0].message.reasoning",
        Level.CONTENT,
        lambda it, choice: choice["message"].update(reasoning="another one"),
    ),
    (
        "choices[0].message.tool_calls[3]",
        Level.BEHAVIOR,
        lambda it, choice: choice["message"].update(
            tool_calls=[
                *choice["message"].get("tool_calls", ()),
                *[call("new", {}, f"n{i}") for i in range(4)],
            ][:4]
        ),
    ),
]


@given(completions(), st.sampled_from(MUTATIONS))
def test_one_change_is_found_at_its_place(completion: dict[str, Any], mutation: Any) -> None:
    selector, level, mutate = mutation
    new = copy.deepcopy(completion)
    mutate(new, new["choices"][0])
    drift = compare(completion, new)
    assert selector in {change.selector for change in drift.changes}
    assert drift.level is level
    assert {change.level for change in drift.changes} == {level}


@given(completions(), st.data())
def test_one_changed_argument_is_found(completion: dict[str, Any], data: st.DataObject) -> None:
    message = completion["choices"][0]["message"]
    message["tool_calls"] = [
        call("f", {"a": 1}, "x"),
        call("g", data.draw(st.dictionaries(WORDS, JSON)), "y"),
    ]
    new = copy.deepcopy(completion)
    arguments = json.loads(message["tool_calls"][1]["function"]["arguments"])
    new["choices"][0]["message"]["tool_calls"][1]["function"]["arguments"] = json.dumps(
        arguments | {"extra key": 1}
    )
    change = only(compare(completion, new))
    assert change.selector == f'{CALLS}[1].function.arguments["extra key"]'
    assert (change.kind, change.level) == ("added", Level.BEHAVIOR)


@given(JSON, JSON)
def test_any_two_values_give_a_drift_and_text(old: Any, new: Any) -> None:
    drift = compare(old, new)
    assert bool(drift) is bool(compare(new, old))
    if drift:
        assert drift.level > Level.NONE
    json.dumps(drift.to_json(), allow_nan=False)
    for text in (drift.line(), drift.short(), drift.full(), drift.to_markdown()):
        text.encode()


@given(JSON)
def test_any_value_equals_itself(value: Any) -> None:
    assert not compare(value, copy.deepcopy(value))


def test_what_is_nested_beyond_the_recursion_limit_is_compared_as_text() -> None:
    def nested(leaf: Any) -> Any:
        value = leaf
        for _ in range(1200):
            value = {"a": [value]}
        return value

    assert not compare(nested(1), nested(1))
    change = only(compare(nested(1), nested(2)))
    assert change.level is Level.BEHAVIOR
    assert "[-1-]{+2+}" in change.summary
    assert "nested deeper than 48 levels" in change.summary
    assert told(compare(having("x", value=nested(1)), having("x", value=3))) == [("x", "metadata")]
    assert compare(having("x", value=nested(1)), PLAIN).to_json()["changes"][0]["kind"] == "removed"


def test_ten_thousand_choices_and_three_megabytes() -> None:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": f"Answer {i}."}, "finish_reason": "stop"}
        for i in range(10_000)
    ]
    stored = having("choices", value=choices)
    new = having("choices", value=[*choices[:5000], *choices[5001:]])
    assert told(compare(stored, new)) == [("choices[5000]", "behavior")]
    huge = "All work and no play. " * 140_000
    change = only(compare(saying(huge), saying(huge + "Red rum.")))
    assert change.selector == CONTENT
    assert len(change.summary) < 300
    assert change.similarity is not None
    assert change.similarity > 0.99


def test_a_drift_is_a_frozen_value() -> None:
    drift = compare(PLAIN, saying("x"))
    with pytest.raises(AttributeError):
        drift.changes = ()  # type: ignore[misc]  # that is the point
    assert pickle.loads(pickle.dumps(drift)) == drift
    assert pickle.loads(pickle.dumps(compare(PLAIN, TWO_CALLS))).changes[1].old is ABSENT
    assert Drift() == compare(1, 1)
    assert repr(ABSENT) == "ABSENT"


def test_equal_answers_cost_no_import_of_pydantic_and_deepdiff() -> None:
    code = (
        "import sys\n"
        "from pytest_stepreplay.drift import comparison as drift\n"
        "assert not {'pydantic', 'deepdiff'} & set(sys.modules)\n"
        "drift.compare({'a': [1]}, {'a': [1]})\n"
        "answer = {'object': 'chat.completion', 'choices': [{'message': {'content': 'Hi.'}}]}\n"
        "drift.compare(answer, dict(answer))\n"
        "assert not {'pydantic', 'deepdiff'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_json_in_a_text_is_compared_with_the_value_that_it_was() -> None:
    assert not compare("[1, 2]", [1, 2])
    assert [str(change) for change in compare("[1, 2]", [1, 3, 4]).changes] == [
        "[1]: 2 -> 3 (content)",
        "[2]: added 4 (content)",
    ]
    drift = compare(saying('{"a": [1]}'), saying({"a": []}), Policy(contract=None))
    assert str(drift) == "choices[0].message.content.a[0]: removed 1 (content)"


def test_an_ignored_call_is_in_no_other_order() -> None:
    policy = Policy(contract=None, ignore=["choices[*].message.tool_calls[0]"])
    one, other = (
        calling(call(tool, {}, "call_2"), call("search", {}, "call_3")) for tool in ("read", "write")
    )
    assert not compare(one, other, policy)
