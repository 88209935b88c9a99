"""The same frames through the openai SDK's accumulator and through `assemble`: equal, or different for a reason.

Each stream is one habit of a real server. The table in docs/assembly.md is made from them: `DIALECTS` says for each
what differs, and why. To write it anew: ``python -m tests.unit.test_accumulators``.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from pytest_stepreplay.endpoints.chat_stream import assemble
from pytest_stepreplay.wire.events import json_chunks_of

PAGE: Final = Path(__file__).parents[2] / "docs/assembly.md"
HEAD: Final = "| stream | the openai SDK's accumulator | here | why |\n|---|---|---|---|\n"

ID = "6ff5b8a8-2d5e-4d6b-8b44-4c5e0e4f6a01"


def chunk(delta: dict[str, Any], reason: str | None = None, index: int = 0, **fields: Any) -> dict[str, Any]:
    """Returns a chunk with one choice."""
    choice = {"index": index, "delta": delta, "finish_reason": reason}
    head = {"id": ID, "object": "chat.completion.chunk", "created": 1709899323, "model": "step-3.5-flash"}
    return {**head, "choices": [choice], **fields}


def call(index: int | None, arguments: str, **fields: Any) -> dict[str, Any]:
    """Returns the delta of a piece of a tool call."""
    function = {"arguments": arguments} | ({"name": fields.pop("name")} if "name" in fields else {})
    place = {} if index is None else {"index": index}
    return {"tool_calls": [{**place, **fields, "function": function}]}


def usage(tokens: int) -> dict[str, int]:
    """Returns a cumulative usage, as StepFun sends it."""
    return {"prompt_tokens": 83, "completion_tokens": tokens, "total_tokens": 83 + tokens}


START = {"role": "assistant", "content": ""}
USED = {"type": "function", "name": "weather"}


def _with_logprobs(chunk: dict[str, Any], token: str) -> dict[str, Any]:
    said = {"content": [{"token": token, "logprob": -0.5, "top_logprobs": []}]}
    return {**chunk, "choices": [{**chunk["choices"][0], "logprobs": said}]}


@dataclass(frozen=True)
class Dialect:
    """One habit of servers.

    Attributes:
        name: what they do.
        chunks: a stream that does it; texts are frames as they are sent.
        differs: the places of the completion that differ, each with what the SDK makes of it and what we do.
        fails: the SDK ends with an exception in place of an answer.
        why: the reason.
    """

    name: str
    chunks: Sequence[dict[str, Any] | str]
    differs: tuple[tuple[str, Any, Any], ...] = ()
    fails: bool = False
    why: str = ""


def thinking(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def custom(text: str, name: str = "", **fields: str) -> dict[str, Any]:
    return {
        "tool_calls": [{"index": 0, **fields, "custom": {"input": text, **({"name": name} if name else {})}}]
    }


DIALECTS: Final = (
    Dialect(
        "OpenAI's own: text in pieces",
        [chunk(START), chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop")],
    ),
    Dialect(
        "two tool calls, arguments in pieces",
        [
            chunk({"role": "assistant", "content": None}),
            chunk(call(0, "", id="call_a", **USED)),
            chunk(call(0, '{"city": ')),
            chunk(call(0, '"Oslo"}')),
            chunk(call(1, '{"city": "Rome"}', id="call_b", **USED)),
            chunk({}, "tool_calls"),
        ],
        differs=(
            ("choices[0].message.tool_calls[0].index", 0, None),
            ("choices[0].message.tool_calls[1].index", 1, None),
        ),
        why="`index` joins the pieces; the documented tool call has none",
    ),
    Dialect(
        "two choices, interleaved",
        [
            chunk({"role": "assistant", "content": "a"}),
            chunk({"role": "assistant", "content": "x"}, index=1),
            chunk({"content": "b"}, "stop"),
            chunk({"content": "y"}, "length", index=1),
        ],
    ),
    Dialect(
        "no role at all",
        [chunk({"content": "Hi"}), chunk({}, "stop")],
        differs=(("choices[0].message.role", None, "assistant"),),
        why="no other role can answer, and a completion must have one",
    ),
    Dialect(
        "a refusal", [chunk({**START, "refusal": "I "}), chunk({"refusal": "cannot."}), chunk({}, "stop")]
    ),
    Dialect(
        'StepFun: `""` for role and finish reason',
        [
            chunk(START, ""),
            chunk({"role": "", "content": "Hi"}, ""),
            chunk({"role": "", "content": "!"}, "stop"),
        ],
    ),
    Dialect(
        "StepFun: cut off before a finish reason came",
        [chunk(START, ""), chunk({"role": "", "content": "Hi"}, "")],
        differs=(("choices[0].finish_reason", "", None),),
        why='`""` is not a documented reason; a plain answer has null',
    ),
    Dialect(
        "StepFun: cumulative usage on every chunk",
        [chunk(START, usage=usage(0)), chunk({"content": "Hi"}, "stop", usage=usage(1))],
    ),
    Dialect(
        "usage that is not on the last chunk",
        [chunk(START, usage=usage(0)), chunk({"content": "Hi"}, usage=usage(1)), chunk({}, "stop")],
        differs=(("usage", None, usage(1)),),
        why="the SDK takes the last chunk's, and so loses it; the last that was sent counts here",
    ),
    Dialect(
        "StepFun: the first chunk has `created: 0`",
        [chunk(START, created=0), chunk({"content": "Hi"}, "stop")],
        differs=(("created", 0, 1709899323),),
        why="0 is a placeholder; the first real time counts",
    ),
    Dialect(
        'two ids in one stream, the first `""`',
        [chunk(START, id=""), chunk({"content": "Hi"}, "stop")],
        differs=(("id", "", ID),),
        why='`""` is a placeholder; the first real id counts',
    ),
    Dialect(
        "StepFun: `reasoning` in pieces",
        [chunk({**START, "reasoning": "Gre"}), chunk({"reasoning": "et."}), chunk({"content": "Hi"}, "stop")],
    ),
    Dialect(
        "DeepSeek: `reasoning_content` in pieces",
        [
            chunk({**START, "reasoning_content": "Gre"}),
            chunk({"reasoning_content": "et."}),
            chunk({"content": "Hi"}, "stop"),
        ],
    ),
    Dialect(
        'StepFun: an extra `agent: ""`',
        [chunk(START, agent=""), chunk({"content": "Hi"}, "stop", agent="")],
    ),
    Dialect(
        "a key that only a later chunk has",
        [chunk(START), chunk({"content": "Hi"}, "stop", x_groq={"id": "req_1"})],
        differs=(("x_groq", None, {"id": "req_1"}),),
        why="the SDK takes such keys from the first chunk only; none is dropped here",
    ),
    Dialect(
        "`system_fingerprint` that is not on the last chunk",
        [chunk(START, system_fingerprint="fp_1"), chunk({"content": "Hi"}, "stop")],
        differs=(("system_fingerprint", None, "fp_1"),),
        why="the SDK takes the last chunk's; the last that was sent counts here",
    ),
    Dialect(
        "a function's name on every piece",
        [
            chunk({**START, **call(0, "{", id="call_a", **USED)}),
            chunk(call(0, "}", **USED), "tool_calls"),
        ],
        differs=(
            ("choices[0].message.tool_calls[0].function.name", "weatherweather", "weather"),
            ("choices[0].message.tool_calls[0].index", 0, None),
        ),
        why="a name that is repeated is the same name",
    ),
    Dialect(
        "a tool call's id on every piece",
        [
            chunk({**START, **call(0, "{", id="call_a", **USED)}),
            chunk(call(0, "}", id="call_a"), "tool_calls"),
        ],
        differs=(
            ("choices[0].message.tool_calls[0].id", "call_acall_a", "call_a"),
            ("choices[0].message.tool_calls[0].index", 0, None),
        ),
        why="an id that is repeated is the same id",
    ),
    Dialect(
        "every tool call has `index: 0`",
        [
            chunk({**START, **call(0, "{}", id="call_a", **USED)}),
            chunk(call(0, "{}", id="call_b", **USED), "tool_calls"),
        ],
        differs=(
            ("choices[0].message.tool_calls[0].function.arguments", "{}{}", "{}"),
            ("choices[0].message.tool_calls[0].function.name", "weatherweather", "weather"),
            ("choices[0].message.tool_calls[0].id", "call_acall_b", "call_a"),
            ("choices[0].message.tool_calls[0].index", 0, None),
            (
                "choices[0].message.tool_calls[1]",
                None,
                {"id": "call_b", "type": "function", "function": {"arguments": "{}", "name": "weather"}},
            ),
        ),
        why="a new id beside a name is another call",
    ),
    Dialect(
        "a tool call without `index`",
        [
            chunk(START),
            chunk(call(None, '{"a"', id="call_a", **USED)),
            chunk(call(None, ": 1}"), "tool_calls"),
        ],
        fails=True,
        why="a piece that has no index goes on with the call before it, until a new id or name comes",
    ),
    Dialect(
        "`choices: []`, as OpenAI sends usage",
        [chunk(START), chunk({"content": "Hi"}, "stop"), {**chunk({}), "choices": [], "usage": usage(1)}],
    ),
    Dialect(
        "`choices: []` first, as Azure does",
        [
            {**chunk({}), "choices": [], "prompt_filter_results": []},
            chunk(START),
            chunk({"content": "Hi"}, "stop"),
        ],
    ),
    Dialect(
        "`obfuscation` on every chunk",
        [
            chunk(START, obfuscation="a1"),
            chunk({"content": "Hi"}, obfuscation="b2"),
            chunk({}, "stop", obfuscation="c3"),
        ],
    ),
    Dialect("no `[DONE]`, no finish reason", [chunk(START), chunk({"content": "Hi"})]),
    Dialect(
        "comments, `event:` lines, a space before `data:`",
        [
            ": OPENROUTER PROCESSING\n\n",
            chunk(START),
            "event: message\n data: " + json.dumps(chunk({"content": "Hi"}, "stop")) + "\n\n",
            "data: [DONE]\n\n",
        ],
    ),
    Dialect(
        "an error in the middle",
        [chunk(START), chunk({"content": "Hi"}), 'data: {"error": {"message": "overloaded"}}\n\n'],
        fails=True,
        why="the SDK's reader raises `APIError` there; what came before is kept here, and the error beside it",
    ),
    Dialect(
        "content as a list of parts",
        [
            chunk({"role": "assistant", "content": [{"type": "text", "text": "Hel"}]}),
            chunk({"content": [{"type": "text", "text": "lo"}]}, "stop"),
        ],
        fails=True,
        why="the parts are kept, one behind the other, and the pieces of one part are joined",
    ),
    Dialect(
        "Mistral: thinking in pieces, then text",
        [
            chunk({"role": "assistant", "content": [thinking("Hel")]}),
            chunk({"content": [thinking("lo")]}),
            chunk({"content": "Hi"}, "stop"),
        ],
        fails=True,
        why="text among parts becomes a part",
    ),
    Dialect(
        "a custom tool, its input in pieces",
        [
            chunk({"role": "assistant", "content": None}),
            chunk(custom("SELECT ", id="call_a", type="custom", name="run_sql")),
            chunk(custom("name")),
            chunk({}, "tool_calls"),
        ],
        differs=(("choices[0].message.tool_calls[0].index", 0, None),),
        why="as for a function",
    ),
    Dialect(
        "Groq: `x_groq` twice, with other keys",
        [
            chunk(START, x_groq={"id": "req_1"}),
            chunk({"content": "Hi"}, "stop", x_groq={"usage": usage(1)}),
        ],
        differs=(("x_groq.usage", None, usage(1)),),
        why="the SDK takes such keys from the first chunk only; an object that comes again is merged here",
    ),
    Dialect(
        "the old `function_call`",
        [
            chunk(
                {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{"}}
            ),
            chunk({"function_call": {"arguments": "}"}}, "function_call"),
        ],
    ),
    Dialect(
        "logprobs",
        [
            _with_logprobs(chunk({**START, "content": "Hel"}), "Hel"),
            _with_logprobs(chunk({"content": "lo"}), "lo"),
            chunk({}, "stop"),
        ],
    ),
)


def frames_of(dialect: Dialect) -> str:
    """Returns the stream as it is sent."""
    return "".join(it if isinstance(it, str) else f"data: {json.dumps(it)}\n\n" for it in dialect.chunks)


def accumulated(dialect: Dialect) -> dict[str, Any]:
    """Returns what the SDK makes of the JSON in the frames, without the fields that only its parsing adds."""
    state = ChatCompletionStreamState()
    for it in json_chunks_of(frames_of(dialect)):
        # As the SDK reads a response: without validation, since StepFun's "" is no role that it knows.
        state.handle_chunk(ChatCompletionChunk.construct(**it))
    completion: dict[str, Any] = state.current_completion_snapshot.to_dict(mode="json")
    completion.pop("obfuscation", None)  # openai 2.x leaves its own padding in
    for choice in completion["choices"]:
        choice["message"].pop("parsed", None)
        for each in choice["message"].get("tool_calls") or []:
            (each.get("function") or {}).pop("parsed_arguments", None)
    return completion


def differences(theirs: Any, ours: Any, place: str = "") -> list[tuple[str, Any, Any]]:
    """Returns where two JSON values differ; null and absent are the same, as the SDK's models add nulls."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        found = []
        for key in sorted(theirs.keys() | ours.keys()):
            found += differences(theirs.get(key), ours.get(key), f"{place}.{key}".lstrip("."))
        return found
    if isinstance(theirs, list) and isinstance(ours, list):
        found = []
        for at in range(max(len(theirs), len(ours))):
            one, other = (it[at] if at < len(it) else None for it in (theirs, ours))
            found += differences(one, other, f"{place}[{at}]")
        return found
    return [] if theirs == ours else [(place, theirs, ours)]


def table() -> str:
    """Returns the table of docs/assembly.md."""
    return HEAD + "".join(_row(each) for each in DIALECTS)


def _row(dialect: Dialect) -> str:
    if dialect.fails:
        return f"| {dialect.name} | fails | one completion | {dialect.why} |\n"
    if not dialect.differs:
        return f"| {dialect.name} | the same | the same | |\n"
    theirs, ours = (
        "<br>".join(
            f"`{each[0].removeprefix('choices[0].')}`: {_shown(each[at])}" for each in dialect.differs
        )
        for at in (1, 2)
    )
    return f"| {dialect.name} | {theirs} | {ours} | {dialect.why} |\n"


def _shown(value: Any) -> str:
    return "-" if value is None else f"`{json.dumps(value)}`"


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_it_is_what_the_sdk_makes_of_it_but_where_the_table_says(dialect: Dialect) -> None:
    ours = assemble(json_chunks_of(frames_of(dialect)))
    if dialect.fails:
        with pytest.raises((AttributeError, RuntimeError, TypeError)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydantic's, about what the SDK was not made for
            accumulated(dialect)
    else:
        assert differences(accumulated(dialect), ours) == list(dialect.differs)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_a_difference_has_a_reason_and_nothing_else_has(dialect: Dialect) -> None:
    assert bool(dialect.why) == bool(dialect.differs or dialect.fails)


def test_where_the_sdk_fails_nothing_is_lost() -> None:
    made = {each.name: assemble(json_chunks_of(frames_of(each))) for each in DIALECTS if each.fails}
    error = made.pop("an error in the middle")
    assert error["error"] == {"message": "overloaded"}
    said = {name: completion["choices"][0]["message"] for name, completion in made.items()}
    function = {"name": "weather", "arguments": '{"a": 1}'}
    assert error["choices"][0]["message"] == {"role": "assistant", "content": "Hi"}
    assert said == {
        "a tool call without `index`": {
            **START,
            "tool_calls": [{"id": "call_a", "type": "function", "function": function}],
        },
        "content as a list of parts": {
            "role": "assistant",
            "content": [{"type": "text", "text": "Hello"}],
        },
        "Mistral: thinking in pieces, then text": {
            "role": "assistant",
            "content": [thinking("Hello"), {"type": "text", "text": "Hi"}],
        },
    }


def test_the_table_of_the_page_is_this_one() -> None:
    found = re.search(re.escape(HEAD) + r"(?:\|.*\n)*", PAGE.read_text(encoding="utf-8"))
    assert found is not None
    assert found[0] == table(), "write it anew: python -m tests.unit.test_accumulators"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(re.escape(HEAD) + r"(?:\|.*\n)*", lambda _: table(), text), encoding="utf-8")
