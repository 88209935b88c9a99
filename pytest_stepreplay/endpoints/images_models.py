"""The documented list of images, as frozen pydantic models.

Source: OpenAI's API reference, "The image generation response" and its stream events.
"""

from __future__ import annotations

from .documented import Documented


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
