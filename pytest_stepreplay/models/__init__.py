"""The values that flow between the rooms, all frozen.

`Cassette`, `Interaction`, `Request` and `Response` are the cassette file's schema, field for field.
"""

from __future__ import annotations

from .interactions import (
    BODY_KINDS,
    FORMAT_VERSION,
    NO_JSON,
    BodyFile,
    BodyKind,
    BodyPart,
    Buffer,
    Cassette,
    FieldError,
    Interaction,
    RawFrame,
    Request,
    Response,
    Stream,
    StreamError,
)

__all__ = [
    "BODY_KINDS",
    "FORMAT_VERSION",
    "NO_JSON",
    "BodyFile",
    "BodyKind",
    "BodyPart",
    "Buffer",
    "Cassette",
    "FieldError",
    "Interaction",
    "RawFrame",
    "Request",
    "Response",
    "Stream",
    "StreamError",
    "interactions",
]
