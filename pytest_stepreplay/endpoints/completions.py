"""Completions of one text, the older API: ``POST .../completions``."""

from __future__ import annotations

from typing import Final

from .chat_reading import tokens_in
from .endpoint import Endpoint, nullable

COMPLETIONS: Final = Endpoint(
    name="completions",
    paths=("/completions",),
    marks=frozenset({"model", "prompt", "choices", "object", "usage"}),
    tokens_in=tokens_in,
    measured=("usage",),
    # OpenAI's API reference, "Create completion": what may be null, and the defaults.
    optional={
        (): {
            **dict(
                nullable(
                    "logit_bias",
                    "logprobs",
                    "seed",
                    "stop",
                    "stream_options",
                    "suffix",
                    "temperature",
                    "top_p",
                )
            ),
            "best_of": (None, 1),
            "echo": (None, False),
            "frequency_penalty": (None, 0),
            "max_tokens": (None, 16),
            "n": (None, 1),
            "presence_penalty": (None, 0),
            "stream": (None, False),
        }
    },
    optional_by_host={"api.openai.com": {"temperature": (None, 1), "top_p": (None, 1)}},
)
