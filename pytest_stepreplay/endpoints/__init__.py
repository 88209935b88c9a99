"""What is known of each API: one module for each endpoint, each a frozen `Endpoint` that all other rooms ask.

A request's path goes in, and the endpoint that it asks comes out; `GENERIC`, JSON over HTTP, where nobody knows it.
The pydantic models of the documented chat completion are imported when one is first asked for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..lazy import importer
from .chat import CHAT
from .chat_calls import read_call
from .completions import COMPLETIONS
from .dialects import contract_of_url
from .embeddings import EMBEDDINGS
from .endpoint import BY_SHAPE, Calls, Contract, Conversation, Endpoint, Paired
from .generic import GENERIC
from .responses import RESPONSES

if TYPE_CHECKING:
    from .chat_models import (
        ChatCompletion,
        ChatCompletionChunk,
        Choice,
        ChunkChoice,
        Delta,
        DeltaFunction,
        DeltaToolCall,
        FinishReason,
        FunctionCall,
        Message,
        StepFunChatCompletion,
        StepFunChoice,
        StepFunMessage,
        StepFunToolCall,
        ToolCall,
        Usage,
    )

__all__ = [
    "BY_SHAPE",
    "CHAT",
    "ENDPOINTS",
    "GENERIC",
    "Calls",
    "ChatCompletion",
    "ChatCompletionChunk",
    "Choice",
    "ChunkChoice",
    "Contract",
    "Conversation",
    "Delta",
    "DeltaFunction",
    "DeltaToolCall",
    "Endpoint",
    "FinishReason",
    "FunctionCall",
    "Message",
    "Paired",
    "StepFunChatCompletion",
    "StepFunChoice",
    "StepFunMessage",
    "StepFunToolCall",
    "ToolCall",
    "Usage",
    "contract_of_url",
    "endpoint_of",
    "endpoint_of_url",
    "read_call",
]

__getattr__ = importer(
    __name__,
    {
        "chat_models": (
            "ChatCompletion",
            "ChatCompletionChunk",
            "Choice",
            "ChunkChoice",
            "Delta",
            "DeltaFunction",
            "DeltaToolCall",
            "FinishReason",
            "FunctionCall",
            "Message",
            "StepFunChatCompletion",
            "StepFunChoice",
            "StepFunMessage",
            "StepFunToolCall",
            "ToolCall",
            "Usage",
        )
    },
)

ENDPOINTS: Final = (CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS)
"""Those that are known by their path, the first that fits first."""


@lru_cache(maxsize=1024)
def endpoint_of(path: str) -> Endpoint:
    """Returns the endpoint that a URL's path asks."""
    return next((each for each in ENDPOINTS if path.endswith(each.paths)), GENERIC)


def endpoint_of_url(url: str) -> Endpoint:
    """Returns the endpoint that a URL asks; `GENERIC` for a text that is none."""
    try:
        return endpoint_of(urlsplit(url).path)
    except ValueError:
        return GENERIC
