"""What is known of each API: one module for each endpoint, each a frozen `Endpoint` that all other rooms ask.

A request's path goes in, and the endpoint that it asks comes out; `GENERIC`, JSON over HTTP, where nobody knows it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from .chat import CHAT
from .completions import COMPLETIONS
from .embeddings import EMBEDDINGS
from .endpoint import Endpoint
from .generic import GENERIC
from .responses import RESPONSES

__all__ = ["ENDPOINTS", "GENERIC", "Endpoint", "endpoint_of"]

ENDPOINTS: Final = (CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS)
"""Those that are known by their path, the first that fits first."""


@lru_cache(maxsize=1024)
def endpoint_of(path: str) -> Endpoint:
    """Returns the endpoint that a URL's path asks."""
    return next((each for each in ENDPOINTS if path.endswith(each.paths)), GENERIC)
