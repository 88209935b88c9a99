"""The cassette file's schema, field for field, as frozen pydantic models."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FORMAT_VERSION = 1
"""The version of the cassette format that this package writes, and the newest that it reads."""

BodyKind = Literal["json", "events", "text", "base64"]
BODY_KINDS: tuple[BodyKind, ...] = ("json", "events", "text", "base64")


class _Stored(BaseModel):
    """Part of a cassette file: frozen, and a key that the format does not have is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, protected_namespaces=())


class RawFrame(_Stored):
    """A server-sent event frame that is more than ``data: JSON``, as its exact text."""

    frame: str


class _Message(_Stored):
    """What a request and a response share: a body under at most one of four keys."""

    json_: Any = Field(default=None, alias="json")
    events: tuple[str | RawFrame, ...] | None = None
    text: str | None = None
    base64: str | None = None

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        kinds = [kind for kind in BODY_KINDS if self._has(kind)]
        if len(kinds) > 1:
            raise ValueError(f"a body stands under exactly one key, here under {' and '.join(kinds)}")
        return self

    def _has(self, kind: BodyKind) -> bool:
        if kind == "json":
            return "json_" in self.model_fields_set
        return getattr(self, kind) is not None

    @property
    def body_kind(self) -> BodyKind | None:
        """The key the body stands under; None for no body at all."""
        return next((kind for kind in BODY_KINDS if self._has(kind)), None)


class Request(_Message):
    """One HTTP request, redacted. The body of a chat completion stands under `json_`."""

    method: str
    url: str


StreamError = Literal["incomplete", "reset", "timeout", "protocol", "cancelled"]
"""What broke a response off: the server ended it too early, the connection was lost, nothing came in time, what came
was not HTTP, or the client's task was cancelled."""


class Stream(_Stored):
    """How a body arrived, where that is more than all at once and whole.

    Attributes:
        chunks: one word for each chunk: milliseconds since the request was sent, then nothing where the chunk
            is one frame, ``xN`` where it is N whole frames, ``/N`` where it is N bytes.
        end: ``closed`` by the client or ``broken`` off before all had come; None for a whole body.
        error: what broke it off.
    """

    chunks: str | None = Field(default=None, pattern=r"^\d{1,9}([x/]\d{1,9})?( \d{1,9}([x/]\d{1,9})?)*$")
    end: Literal["closed", "broken"] | None = None
    error: StreamError | None = None

    @model_validator(mode="after")
    def _error_of_an_end(self) -> Self:
        if (self.end == "broken") != (self.error is not None):
            raise ValueError("a stream that is broken has an error, and no other has one")
        return self


class Response(_Message):
    """One HTTP response with the headers that are kept (lower-case names) and its decoded body."""

    status: int = Field(ge=100, le=999)
    headers: dict[str, str] = {}
    stream: Stream | None = None


class Interaction(_Stored):
    """One HTTP request with its response.

    Attributes:
        recorded_at: when the request was sent, ISO 8601 in UTC to the second.
        elapsed: seconds from the request to the end of the response.
    """

    recorded_at: str | None = None
    elapsed: float | None = Field(default=None, ge=0)
    request: Request
    response: Response


class Cassette(_Stored):
    """The file with a test's interactions, in order.

    Attributes:
        stepreplay: the version of the format.
        test: the id of the test that recorded it.
    """

    stepreplay: int = FORMAT_VERSION
    test: str | None = None
    interactions: tuple[Interaction, ...] = ()
