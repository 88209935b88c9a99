"""The documented object of the older completions API, as frozen pydantic models.

Source: OpenAI's API reference, "The completion object". The chunks of a stream are such objects too.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from .documented import Documented


def _empty_as_none(value: object) -> object:
    return None if value == "" else value


FinishReason = Annotated[Literal["stop", "length", "content_filter"] | None, BeforeValidator(_empty_as_none)]


class TextChoice(Documented):
    """One of the texts."""

    index: int
    text: str
    finish_reason: FinishReason = None


class TextUsage(Documented):
    """Tokens counted by the server."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TextCompletion(Documented):
    """The completion of a text."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: TextUsage | None = None
