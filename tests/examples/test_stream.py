"""A streamed answer: the chunks come from the cassette, in order and as they were."""

from __future__ import annotations

import pytest
from openai import OpenAI


@pytest.mark.stepreplay
def test_the_chunks_make_one_answer() -> None:
    client = OpenAI(base_url="https://api.stepfun.com/v1")
    chunks = client.chat.completions.create(
        model="step-3.5-flash", messages=[{"role": "user", "content": "Say hello."}], stream=True
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert len(pieces) > 3
    assert "".join(pieces).startswith("Hello!")
