"""A conversation of two turns: the model calls a tool, and answers with what the tool returned."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest
from openai import OpenAI

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam

pytestmark = pytest.mark.stepreplay  # all tests of this module

MODEL = "step-3.5-flash"
TOOLS: list[ChatCompletionToolUnionParam] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


def get_weather(city: str) -> str:
    return f"18 degrees in {city}"


def ask(client: OpenAI, question: str) -> str:
    """The code under test: asks, runs the tools that the model calls, and asks again."""
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": question}]
    while True:
        reply = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS).choices[0].message
        if not reply.tool_calls:
            return reply.content or ""
        messages.append(reply.model_dump(exclude_none=True))  # type: ignore[arg-type]  # a dict of that shape
        for call in reply.tool_calls:
            assert call.type == "function"
            result = get_weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def test_the_answer_says_what_the_tool_returned() -> None:
    client = OpenAI(base_url="https://api.stepfun.com/v1")
    assert "18 degrees in Paris" in ask(client, "How is the weather in Paris?")


def test_ids_of_tool_calls_may_be_new_in_each_run() -> None:
    """A history that gets its ids where it is loaded. They differ in each run, and the conversation is the same."""
    one, other = f"call_{uuid.uuid4().hex}", f"call_{uuid.uuid4().hex}"
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "Where is it warmer, in Paris or in Oslo?"},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": one,
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                },
                {
                    "id": other,
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": one, "content": get_weather("Paris")},
        {"role": "tool", "tool_call_id": other, "content": "4 degrees in Oslo"},
    ]
    client = OpenAI(base_url="https://api.stepfun.com/v1")
    reply = client.chat.completions.create(model=MODEL, messages=messages)
    assert "4 degrees in Oslo" in (reply.choices[0].message.content or "")
