"""Two questions at once, with the async client."""

from __future__ import annotations

import asyncio

import pytest
from openai import AsyncOpenAI


async def ask(client: AsyncOpenAI, question: str) -> str:
    reply = await client.chat.completions.create(
        model="step-3.5-flash", messages=[{"role": "user", "content": question}]
    )
    return reply.choices[0].message.content or ""


@pytest.mark.asyncio
@pytest.mark.stepreplay
async def test_each_question_has_its_own_answer() -> None:
    """They may be asked in any order: each is answered by what was recorded for it."""
    async with AsyncOpenAI(base_url="https://api.stepfun.com/v1") as client:
        first, second = await asyncio.gather(ask(client, "Say one."), ask(client, "Say two."))
    assert "Say one." in first
    assert "Say two." in second
