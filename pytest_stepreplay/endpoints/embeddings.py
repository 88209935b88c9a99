"""Embeddings: ``POST .../embeddings``."""

from __future__ import annotations

from typing import Final

from .endpoint import Endpoint

EMBEDDINGS: Final = Endpoint(
    name="embeddings",
    paths=("/embeddings",),
    optional={(): {"encoding_format": ("float",)}},  # OpenAI's API reference, "Create embeddings"
)
