"""A test that asks the stand-in, as a user would write it: what `stepreplay demo` records and replays."""

from __future__ import annotations

from typing import Final

from .replies import ScriptedAnswer, answer

PROMPT: Final = "Say hello."

_TEST: Final = """\
import os

import pytest
from openai import OpenAI


@pytest.mark.stepreplay
def test_greeting():
    client = OpenAI(base_url=os.environ["<url>"], api_key=os.environ["<key>"])
    reply = client.chat.completions.create(
        model="step-3.5-flash",
        messages=[{"role": "user", "content": "<prompt>"}],
    )
    assert reply.choices[0].message.content
"""

CHANGED: Final = "finish_reason"
"""What is to be seen of the changed answer."""


def example_test(*, url: str, key: str, prompt: str = PROMPT) -> str:
    """Returns the source of the test.

    Args:
        url: the variable that holds the base URL.
        key: the variable that holds the key.
        prompt: what it asks.
    """
    return _TEST.replace("<url>", url).replace("<key>", key).replace("<prompt>", prompt)


def changed_answer() -> ScriptedAnswer:
    """Returns what another model would answer to the prompt."""
    return answer(f'Hi there! You wrote "{PROMPT}", and I', finish_reason="length")
