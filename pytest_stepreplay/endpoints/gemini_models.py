"""The documented answers of Gemini, as frozen pydantic models. In them every field may be missing.

Source: Google's API reference, "GenerateContentResponse", "Candidate", "Content" and "ContentEmbedding".
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from .documented import Documented, Numbers


class _Camel(Documented):
    """Its fields are written with capitals in the middle."""

    model_config = ConfigDict(alias_generator=to_camel)


class GeminiCall(_Camel):
    """A call of a function."""

    name: str
    args: dict[str, Any] | None = None
    id: str | None = None


class GeminiPart(_Camel):
    """A part of a content."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: GeminiCall | None = None


class GeminiContent(_Camel):
    """What a candidate says."""

    role: Literal["model"] | None = None
    parts: list[GeminiPart] | None = None


class SafetyRating(_Camel):
    """How harmful something is taken for."""

    category: str
    probability: str
    blocked: bool | None = None


FinishReason = Literal[
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
]


class Candidate(_Camel):
    """One of the answers."""

    index: int | None = None
    content: GeminiContent | None = None
    finish_reason: FinishReason | None = None
    safety_ratings: list[SafetyRating] | None = None


class GeminiUsage(_Camel):
    """Tokens counted by the server."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    total_token_count: int | None = None


class GeneratedContent(_Camel):
    """An answer, or a chunk of one."""

    candidates: list[Candidate] | None = None
    usage_metadata: GeminiUsage | None = None
    model_version: str | None = None
    response_id: str | None = None


class GeminiVector(_Camel):
    """The embedding of one content."""

    values: Numbers


class EmbeddedContent(_Camel):
    """The embedding of one content, or those of several."""

    embedding: GeminiVector | None = None
    embeddings: list[GeminiVector] | None = None
