"""Responses: ``POST .../responses``."""

from __future__ import annotations

from typing import Final

from .endpoint import Endpoint, nullable

RESPONSES: Final = Endpoint(
    name="responses",
    paths=("/responses",),
    # OpenAI's API reference, "Create a model response": what may be null, and the defaults.
    optional={
        (): {
            **dict(
                nullable(
                    "context_management",
                    "conversation",
                    "include",
                    "instructions",
                    "max_output_tokens",
                    "max_tool_calls",
                    "metadata",
                    "previous_response_id",
                    "prompt",
                    "prompt_cache_key",
                    "prompt_cache_retention",
                    "reasoning",
                    "safety_identifier",
                    "stream_options",
                    "temperature",
                    "top_logprobs",
                    "top_p",
                )
            ),
            "background": (None, False),
            "parallel_tool_calls": (None, True),
            "service_tier": (None, "auto"),
            "store": (None, True),
            "stream": (None, False),
            "truncation": (None, "disabled"),
        },
        ("tools", "*"): dict(nullable("description", "output_schema")),
        ("text", "format"): {"strict": (None, False)},
    },
    optional_by_host={"api.openai.com": {"temperature": (None, 1), "top_p": (None, 1)}},
)
