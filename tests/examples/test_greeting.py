"""The smallest test: one question, one answer."""

from __future__ import annotations

import pytest
from openai import OpenAI


@pytest.mark.stepreplay
def test_greeting() -> None:
    client = OpenAI(base_url="https://api.stepfun.com/v1")
    reply = client.chat.completions.create(
        model="step-3.5-flash", messages=[{"role": "user", "content": "Say hello."}]
    )
    assert "hello" in (reply.choices[0].message.content or "").lower()
