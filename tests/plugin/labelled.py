"""A suite whose tests notice what their names say, for the mode mutate: its module, its cassettes and its labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pytest_stepreplay.mutation.operator_table import OPERATORS

URL: Final = "https://api.stepfun.com/v1/chat/completions"

MODULE: Final = """
import json
import httpx, pytest

pytestmark = pytest.mark.stepreplay
NAMES = ["refund", "cancel_order"]
TOOLS = [{"type": "function", "function": {"name": name}} for name in NAMES]
CLIENT = httpx.Client(verify=False)

def ask(text, *said, **more):
    messages = [{"role": "user", "content": text}, *said]
    answer = CLIENT.post("https://api.stepfun.com/v1/chat/completions", json={"messages": messages, **more})
    return answer.raise_for_status()

def message(answer):
    return answer.json()["choices"][0]["message"]

def chunks(answer):
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line)["choices"][0] for line in lines]

@pytest.fixture(scope="module")
def shop():
    with open("shop.txt", "a") as log:
        log.write("set up ")
    yield
    with open("shop.txt", "a") as log:
        log.write("torn down ")

@pytest.fixture
def basket():
    basket = []
    yield basket
    assert len(basket) <= 1, "a basket belongs to one run"

def test_plain_noticing(shop, basket):
    basket.append(1)
    answer = ask("plain").json()
    assert answer["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "It is done."}, "finish_reason": "stop"}
    ]
    assert answer["usage"]

def test_plain_vacuous(shop, basket):
    basket.append(1)
    print("noise")
    ask("plain")

def test_tools_noticing():
    (call,) = message(ask("tools", tools=TOOLS))["tool_calls"]
    assert call["function"]["name"] == "refund"
    assert json.loads(call["function"]["arguments"]) == {"order": "A-17"}

def test_tools_planted():
    calls = message(ask("tools", tools=TOOLS))["tool_calls"]
    assert json.loads(calls[0]["function"]["arguments"]) == {"order": "A-17"}

def test_json_planted():
    assert json.loads(message(ask("json"))["content"])["total"] == 42

def test_stream_noticing():
    found = chunks(ask("stream", stream=True))
    assert "".join(each["delta"].get("content") or "" for each in found) == "It is done."
    assert found[-1]["finish_reason"] == "stop"

def test_stream_vacuous():
    ask("stream", stream=True)

def test_stream_brittle():
    assert len(chunks(ask("stream", stream=True))) == 3

def test_brittle():
    assert ask("plain").json()["id"] == "id-1"

RUNS = []

def test_flaky():
    RUNS.append(1)
    ask("plain")
    assert len(RUNS) == 1

class TestTurns:
    def test_turns_noticing(self):
        assert not hasattr(self, "ran")
        self.ran = True
        said = message(ask("turns", tools=TOOLS))
        result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "ok"}
        last = message(ask("turns", said, result, tools=TOOLS))
        assert last["content"] == "It is done."

    def test_turns_of_its_own(self):
        ask("turns", tools=TOOLS)

def test_snapshot_noticing(chat_snapshot):
    assert ask("plain").json() == chat_snapshot

@pytest.mark.stepreplay(mutate=False)
def test_left_out():
    ask("plain")

@pytest.mark.xfail
def test_expected_to_fail():
    assert not ask("plain").json()

def test_failing():
    assert not ask("plain").json()
"""

DONE: Final = {"role": "assistant", "content": "It is done."}
CALL: Final = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "refund", "arguments": '{"order": "A-17"}'},
}
CALLS: Final = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOOLS: Final = [{"type": "function", "function": {"name": name}} for name in ("refund", "cancel_order")]


def completion(message: dict[str, Any], reason: str = "stop") -> dict[str, Any]:
    head = {"id": "id-1", "object": "chat.completion", "created": 1, "model": "step-3.5-flash"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return {**head, "choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage}


def events() -> list[str]:
    head = {"id": "id-1", "object": "chat.completion.chunk", "created": 1, "model": "step-3.5-flash"}
    deltas = [({"role": "assistant", "content": "It is "}, None), ({"content": "done."}, None), ({}, "stop")]
    found = [{**head, "choices": [{"index": 0, "delta": it, "finish_reason": end}]} for it, end in deltas]
    return [*map(json.dumps, found), "[DONE]"]


def _turn(
    text: str, *said: dict[str, Any], answer: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}, *said]
    body: dict[str, Any] = {"json": answer} if answer else {"events": events()}
    kind = "application/json" if answer else "text/event-stream"
    return {
        "request": {"method": "POST", "url": URL, "json": {"messages": messages, **more}},
        "response": {"status": 200, "headers": {"content-type": kind}, **body},
    }


PLAIN: Final = [_turn("plain", answer=completion(DONE))]
TOOL: Final = [_turn("tools", answer=completion(CALLS, "tool_calls"), tools=TOOLS)]
STREAM: Final = [_turn("stream", stream=True)]
JSON: Final = [_turn("json", answer=completion(DONE | {"content": '{"total": 42, "currency": "EUR"}'}))]
FIRST: Final = _turn("turns", answer=completion(CALLS, "tool_calls"), tools=TOOLS)
RESULT: Final = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
TURNS: Final = [FIRST, _turn("turns", CALLS, RESULT, answer=completion(DONE), tools=TOOLS)]
TAPES: Final = {
    "plain": PLAIN,
    "tools": TOOL,
    "stream": STREAM,
    "json": JSON,
    "turns": TURNS,
}

EVERY: Final = "every"
SURVIVORS: Final[dict[str, str]] = {
    "test_plain_noticing": "",
    "test_plain_vacuous": "refusal other_reason empty_text other_text missing_usage",
    "test_tools_noticing": "other_reason missing_usage",
    "test_tools_planted": "another_tool added_call other_reason missing_usage",
    "test_json_planted": "other_reason other_json_key other_json_value missing_usage",
    "test_stream_noticing": "",
    "test_stream_vacuous": "refusal other_reason empty_text other_text",
    "test_turns_noticing": "other_reason other_reason missing_usage missing_usage",
    "test_turns_of_its_own": EVERY,
    "test_snapshot_noticing": "",
}
"""By test: the operators whose mutants survive, and no others."""

APART: Final = {
    "test_brittle": "brittle",
    "test_stream_brittle": "brittle",
    "test_flaky": "flaky",
    "test_left_out": "unmutated",
}
"""The tests that are told for themselves; those that do not pass are not told at all."""


def write(folder: Path) -> None:
    """Writes the module and its cassettes into a folder."""
    (folder / "test_shop.py").write_text(MODULE, encoding="utf-8")
    cassettes = folder / "cassettes" / "test_shop"
    cassettes.mkdir(parents=True)
    for line in MODULE.splitlines():
        if not line.lstrip().startswith("def test_"):
            continue
        name = line.split("def ")[1].split("(")[0]
        kind = next((each for each in TAPES if f"test_{each}" in name), "plain")
        file = f"TestTurns.{name}.yaml" if line.startswith(" ") else f"{name}.yaml"
        taped = TAPES[kind][:1] if name == "test_turns_of_its_own" else TAPES[kind]
        tree = {"stepreplay": 1, "test": f"test_shop.py::{name}", "interactions": taped}
        (cassettes / file).write_text(json.dumps(tree, indent=1), encoding="utf-8")


def table() -> str:
    """Returns what each test of the suite does with mutants, for `docs/mutation.md`."""
    rows = ["| test | what survives |", "|---|---|"]
    for name, survivors in SURVIVORS.items():
        told = "everything but an error in its place" if survivors == EVERY else ""
        told = told or ", ".join(f"`{each}`" for each in dict.fromkeys(survivors.split())) or "nothing"
        rows.append(f"| `{name}` | {told} |")
    rows += [f"| `{name}` | told as {STATES[state]} |" for name, state in APART.items()]
    return "\n".join(rows)


STATES: Final = {"brittle": "brittle", "flaky": "flaky", "unmutated": "not mutated"}

OPERATOR_MEANINGS: Final = {
    "another_tool": "a call names another tool that the request offers",
    "dropped_call": "a call is missing",
    "added_call": "a tool is called twice",
    "changed_argument": "an argument has another value of its type",
    "missing_argument": "an argument is missing",
    "retyped_argument": "an argument is of another type",
    "cut_arguments": "the arguments break off",
    "refusal": "the model refuses, in the way of its API",
    "error": "an error with status 400 comes in place of the answer",
    "cut_stream": "the stream breaks off: after its first chunk, in the middle, before its last",
    "other_reason": "the answer ends for another reason",
    "dropped_alternative": "of several answers to choose from, the last is missing",
    "broken_json": "JSON in the text breaks off in the middle",
    "other_json_key": "a key of JSON in the text has another name",
    "other_json_value": "a value in it is another one",
    "empty_text": "the text is empty",
    "other_text": "the text is another one",
    "missing_usage": "the tokens are not told",
}


def operator_table() -> str:
    """Returns the operators with their levels, for the same page."""
    rows = ["| operator | level | what is so then |", "|---|---|---|"]
    rows += [f"| `{it.name}` | {it.level} | {OPERATOR_MEANINGS[it.name]} |" for it in OPERATORS]
    return "\n".join(rows)


PAGE: Final = Path(__file__).parents[2] / "docs" / "mutation.md"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    for made in (operator_table(), table()):
        heading = made.partition("\n")[0]
        before, _, after = page.partition(heading)
        lines = after.splitlines(keepends=True)
        rest = next((i for i, line in enumerate(lines[1:], 1) if not line.startswith("|")), len(lines))
        page = f"{before}{made}\n{''.join(lines[rest:])}"
    PAGE.write_text(page, encoding="utf-8")
