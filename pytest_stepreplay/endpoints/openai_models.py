"""The documented objects of OpenAI's smaller endpoints, as frozen pydantic models.

They are read together, the first time that an answer of one is held to its object. Each part names its source.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, RootModel, Tag

from .documented import Documented, NoneForEmpty, Numbers

# ---------------------------------------------------------------- the older completions
# OpenAI's API reference, "The completion object". The chunks of a stream are such objects too.


FinishReason = Annotated[Literal["stop", "length", "content_filter"] | None, NoneForEmpty]


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


# ---------------------------------------------------------------- embeddings
# OpenAI's API reference, "The embedding object" and "Create embeddings".


class Embedding(Documented):
    """The embedding of one of the inputs."""

    object: Literal["embedding"]
    index: int
    embedding: Numbers


class EmbeddingUsage(Documented):
    """Tokens counted by the server."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(Documented):
    """The list of embeddings."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


# ---------------------------------------------------------------- moderations
# OpenAI's API reference, "The moderation object".


class ModerationResult(Documented):
    """What was found in one input."""

    flagged: bool
    categories: dict[str, bool | None]
    category_scores: dict[str, float | None]


class Moderation(Documented):
    """What was found in all inputs."""

    id: str
    model: str
    results: list[ModerationResult]


# ---------------------------------------------------------------- models
# OpenAI's API reference, "The model object" and "List models".


class Model(Documented):
    """One model."""

    id: str
    object: Literal["model"]
    created: int | None = None
    owned_by: str | None = None


class ModelList(Documented):
    """All of them."""

    object: Literal["list"]
    data: list[Model]


def _sort_of(value: Any) -> str:
    return "all" if isinstance(value, dict) and value.get("object") == "list" else "one"


class ModelAnswer(
    RootModel[
        Annotated[Annotated[Model, Tag("one")] | Annotated[ModelList, Tag("all")], Discriminator(_sort_of)]
    ]
):
    """Whatever is answered about models."""


# ---------------------------------------------------------------- images
# OpenAI's API reference, "The image generation response" and its stream events.


class Image(Documented):
    """One image: its bytes in base64, or where they are."""

    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class Images(Documented):
    """What was drawn."""

    created: int | None = None
    data: list[Image]


class ImageEvent(Documented):
    """One event of a stream."""

    type: str
    b64_json: str | None = None


# ---------------------------------------------------------------- transcriptions
# OpenAI's API reference, "Create transcription", its object, its verbose object and its stream events.


class Segment(Documented):
    """A piece of what was said; only the verbose object has them."""

    start: float
    end: float
    text: str


class Word(Documented):
    """A word, where times of words were asked for."""

    word: str
    start: float
    end: float


class Transcription(Documented):
    """What was said."""

    text: str
    language: str | None = None
    duration: float | str | None = None
    segments: list[Segment] | None = None
    words: list[Word] | None = None


class TranscriptionEvent(Documented):
    """One event of a stream."""

    type: str
    delta: str | None = None
    text: str | None = None
