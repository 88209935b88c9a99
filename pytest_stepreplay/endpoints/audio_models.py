"""The documented transcription, as frozen pydantic models.

Source: OpenAI's API reference, "Create transcription", its object, its verbose object and its stream events.
"""

from __future__ import annotations

from .documented import Documented


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
