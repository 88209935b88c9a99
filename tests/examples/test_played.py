"""The `stepreplay` fixture is the test's open cassette: it says what was asked, and what answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openai import OpenAI

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

    from pytest_stepreplay import Session


def summarize(client: OpenAI, text: str) -> str:
    """The code under test."""
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Summarize in one sentence."},
        {"role": "user", "content": text},
    ]
    reply = client.chat.completions.create(model="step-3.5-flash", messages=messages, temperature=0)
    return reply.choices[0].message.content or ""


def test_one_request_with_our_instructions(stepreplay: Session) -> None:
    """A test that asks for the fixture needs no marker. `recorded` holds what this run recorded, `played` the rest."""
    summary = summarize(OpenAI(base_url="https://api.stepfun.com/v1"), "StepFun serves chat completions.")

    (interaction,) = stepreplay.played or stepreplay.recorded
    asked = interaction.request.json
    assert asked["temperature"] == 0
    assert asked["messages"][0] == {"role": "system", "content": "Summarize in one sentence."}
    assert interaction.response.json["choices"][0]["message"]["content"] == summary
