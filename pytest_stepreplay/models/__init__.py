"""The values that flow between the rooms, all frozen.

`Cassette`, `Interaction`, `Request` and `Response` are the cassette file's schema, field for field.
`ChatCompletion` and `ChatCompletionChunk` are pydantic models of the chat completions API's documented objects; they
are imported when one is first asked for, since a run that only replays has no use for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import importer
from .cassette import (
    BODY_KINDS,
    FORMAT_VERSION,
    NO_JSON,
    BodyKind,
    Cassette,
    FieldError,
    Interaction,
    RawFrame,
    Request,
    Response,
    Stream,
    StreamError,
)

if TYPE_CHECKING:
    from .completion import (
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
    "BODY_KINDS",
    "FORMAT_VERSION",
    "NO_JSON",
    "BodyKind",
    "Cassette",
    "ChatCompletion",
    "ChatCompletionChunk",
    "Choice",
    "ChunkChoice",
    "Delta",
    "DeltaFunction",
    "DeltaToolCall",
    "FieldError",
    "FinishReason",
    "FunctionCall",
    "Interaction",
    "Message",
    "RawFrame",
    "Request",
    "Response",
    "StepFunChatCompletion",
    "StepFunChoice",
    "StepFunMessage",
    "StepFunToolCall",
    "Stream",
    "StreamError",
    "ToolCall",
    "Usage",
]

__getattr__ = importer(
    __name__,
    {
        "completion": (
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
