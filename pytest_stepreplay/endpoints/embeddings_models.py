"""The documented list of embeddings, as frozen pydantic models."""

from __future__ import annotations

from typing import Literal

from .documented import Documented, Numbers


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
    """The list of embeddings.

    Source: OpenAI's API reference, "The embedding object" and "Create embeddings".
    """

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
