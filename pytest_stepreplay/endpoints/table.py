"""All endpoints that are known by the paths of their URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .audio import SPEECH, TRANSCRIPTIONS
from .chat import CHAT
from .completions import COMPLETIONS
from .embeddings import EMBEDDINGS
from .files_api import BATCHES, FILES, VECTOR_STORES
from .gemini import GEMINI, GEMINI_EMBEDDINGS, GEMINI_TOKENS
from .images import IMAGES
from .messages import MESSAGES, TOKEN_COUNT
from .model_list import MODELS
from .moderations import MODERATIONS
from .responses import CONVERSATIONS, INPUT_TOKENS, RESPONSES

if TYPE_CHECKING:
    from .endpoint import Endpoint

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    CHAT,
    GEMINI,
    GEMINI_EMBEDDINGS,
    GEMINI_TOKENS,
    MESSAGES,
    TOKEN_COUNT,
    INPUT_TOKENS,
    CONVERSATIONS,
    RESPONSES,
    EMBEDDINGS,
    COMPLETIONS,
    SPEECH,
    TRANSCRIPTIONS,
    IMAGES,
    VECTOR_STORES,
    FILES,
    BATCHES,
    MODERATIONS,
    MODELS,
)
"""Those that are known by their path, the first that fits first."""
