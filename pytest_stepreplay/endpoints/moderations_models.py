"""The documented moderation object, as frozen pydantic models.

Source: OpenAI's API reference, "The moderation object".
"""

from __future__ import annotations

from .documented import Documented


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
