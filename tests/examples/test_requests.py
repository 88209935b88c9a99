"""No SDK at all: any HTTP client that the plugin knows will do, here requests."""

from __future__ import annotations

import os

import pytest
import requests


@pytest.mark.stepreplay
def test_the_documented_fields_are_there() -> None:
    reply = requests.post(
        "https://api.stepfun.com/v1/chat/completions",
        headers={"Authorization": f"Bearer {os.environ['STEP_API_KEY']}"},
        json={"model": "step-3.5-flash", "messages": [{"role": "user", "content": "Say hello."}]},
        timeout=60,
    )
    completion = reply.json()
    assert completion["object"] == "chat.completion"
    assert completion["choices"][0]["finish_reason"] == "stop"
