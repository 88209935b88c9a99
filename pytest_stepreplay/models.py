"""The cassette file's schema, field for field, as frozen dataclasses: what flows between the rooms.

They are plain values, so that a run that only replays need not import pydantic. `store.schema` reads them from a
file, and there it is pydantic that tells what is wrong with one.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from .value_classes import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Buffer = bytes | memoryview

FORMAT_VERSION = 2
"""The newest version of the cassette format that this package reads; it writes it where a stream is in a cassette."""

PLAIN_VERSION = 1
"""The version that it writes elsewhere, so that what is recorded stays as it is, and earlier releases read it."""

BodyKind = Literal["json", "events", "text", "base64", "parts", "file"]
BODY_KINDS: tuple[BodyKind, ...] = ("json", "events", "text", "base64", "parts", "file")

LARGE: Final = 32 * 1024
"""More bytes than these that are no text stand in a file of their own, beside the cassette."""

LARGE_TEXT: Final = 1024 * 1024
"""And more than these of a part of a multipart body, whatever they are."""

_CHUNK: Final = r"\d{1,9}([x/]\d{1,9})?"
_FILE_NAME: Final = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,8}", re.ASCII)
_FORBID: Final = {"extra": "forbid"}
"""For pydantic: a key that the format does not have is an error."""


class NoJson(Enum):
    """Stands where a message has no JSON body, since None is JSON's ``null``."""

    NO_JSON = "no JSON"

    def __repr__(self) -> str:
        return "NO_JSON"


NO_JSON: Final = NoJson.NO_JSON


class FieldError(ValueError):
    """A field has a value of the right type that it cannot have."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name = name
        self.problem = problem


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A server-sent event frame that is more than ``data: JSON``, as its exact text."""

    __pydantic_config__: ClassVar = _FORBID

    frame: str


@dataclass(frozen=True)
class BodyFile:
    """Bytes that are too many for a cassette, and stand in a file beside it.

    Attributes:
        name: of the file: the SHA-256 of the bytes, and a suffix for people.
        size: how many bytes there are.
    """

    __pydantic_config__: ClassVar = _FORBID

    name: str
    size: int

    def __post_init__(self) -> None:
        """Checks both.

        Raises:
            FieldError: the name is no digest with a suffix, so it could lead anywhere, or the size is none.
        """
        if not _FILE_NAME.fullmatch(self.name):
            raise FieldError("name", "should be a SHA-256 in hexadecimal digits and a suffix")
        if self.size < 0:
            raise FieldError("size", "should be a number of bytes")

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes, in hexadecimal digits."""
        return self.name.partition(".")[0]

    def bind(self, source: Callable[[], Buffer]) -> Self:
        """Says where the bytes are from now on; they are no part of the value.

        Args:
            source: returns them. It can be pickled.
        """
        object.__setattr__(self, "_source", source)
        return self

    def read(self) -> Buffer:
        """Returns the bytes.

        Raises:
            CassetteReadError: the file is not there, or holds something else.
            LookupError: nobody has said where they are.
        """
        if self.source is None:
            raise LookupError(self.name)
        return self.source()

    @property
    def source(self) -> Callable[[], Buffer] | None:
        """What returns the bytes, if anybody has said so."""
        return getattr(self, "_source", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyPart:
    """One part of a multipart body.

    Attributes:
        head: its header lines, as the client wrote them, but with plain line ends.
        text: its content, where that is text.
        base64: or other bytes.
        file: or bytes in a file of their own.
    """

    __pydantic_config__: ClassVar = _FORBID

    head: str = ""
    text: str | None = None
    base64: str | None = None
    file: BodyFile | None = None

    def __post_init__(self) -> None:
        """Checks that there is one content.

        Raises:
            ValueError: there is none, or there are two.
        """
        if (self.text is not None) + (self.base64 is not None) + (self.file is not None) != 1:
            raise ValueError("a part has its content under exactly one of text, base64 and file")


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredMessage:
    """What a request and a response share: a body under at most one key."""

    __pydantic_config__: ClassVar = _FORBID

    json: Any = NO_JSON
    events: tuple[str | RawFrame, ...] | None = None
    text: str | None = None
    base64: str | None = None
    parts: tuple[BodyPart, ...] | None = None
    file: BodyFile | None = None

    def __post_init__(self) -> None:
        """Checks that there is one body at most.

        Raises:
            ValueError: there are two.
        """
        if (self.json is not NO_JSON) + (self.events is not None) + (self.text is not None) + (
            self.base64 is not None
        ) + (self.parts is not None) + (self.file is not None) > 1:
            kinds = [kind for kind in BODY_KINDS if self._has(kind)]
            raise ValueError(f"a body has exactly one key, but this one has {' and '.join(kinds)}")

    def _has(self, kind: BodyKind) -> bool:
        if kind == "json":
            return self.json is not NO_JSON
        return getattr(self, kind) is not None

    @property
    def body_kind(self) -> BodyKind | None:
        """The key the body stands under; None for no body at all."""
        if self.json is not NO_JSON:
            return "json"
        return next((kind for kind in BODY_KINDS if self._has(kind)), None)

    @property
    def files(self) -> tuple[BodyFile, ...]:
        """The files beside the cassette that hold the body, or parts of it."""
        if self.file is not None:
            return (self.file,)
        return tuple(part.file for part in self.parts or () if part.file is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(_StoredMessage):
    """One HTTP request, redacted. The body of a chat completion stands under `json`."""

    method: str
    url: str


StreamError = Literal["incomplete", "reset", "timeout", "protocol", "cancelled"]
"""What broke a response off: the server ended it too early, the connection was lost, nothing came in time, what came
was not HTTP, or the client's task was cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """How a body arrived, where that is more than all at once and whole.

    Attributes:
        chunks: one word for each chunk: milliseconds since the request was sent, then nothing where the chunk
            is one frame, ``xN`` where it is N whole frames, ``/N`` where it is N bytes.
        end: ``closed`` by the client or ``broken`` off before all had come; None for a whole body.
        error: what broke it off.
    """

    __pydantic_config__: ClassVar = _FORBID

    chunks: str | None = None
    end: Literal["closed", "broken"] | None = None
    error: StreamError | None = None

    def __post_init__(self) -> None:
        """Checks what the types do not say.

        Raises:
            ValueError: the chunks are no such words, or an end and an error do not go together.
        """
        if self.chunks is not None and not re.fullmatch(rf"{_CHUNK}(?: {_CHUNK})*", self.chunks, re.ASCII):
            raise FieldError("chunks", "should be words such as 412, 430x3 or 455/17")
        if (self.end == "broken") != (self.error is not None):
            raise ValueError("a broken stream must have an error, and no other stream may")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response(_StoredMessage):
    """One HTTP response with the headers that are kept (lower-case names) and its decoded body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    stream: Stream | None = None

    def __post_init__(self) -> None:
        """Checks the status, and that there is one body at most.

        Raises:
            ValueError: the status is none, or there are two bodies.
        """
        if not 100 <= self.status <= 999:
            raise FieldError("status", "should be a number from 100 to 999")
        _StoredMessage.__post_init__(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One HTTP request with its response.

    Attributes:
        recorded_at: when the request was sent, ISO 8601 in UTC to the second.
        elapsed: seconds from the request to the end of the response.
        stale: why the test no longer sends this request, in words; None as long as nobody knows that.
        response: the answer that is replayed.
        samples: further answers to the same request, which show how the model varies; none of them is replayed.
    """

    __pydantic_config__: ClassVar = _FORBID

    recorded_at: str | None = None
    elapsed: float | None = None
    stale: str | None = None
    request: Request
    response: Response
    samples: tuple[Response, ...] = ()

    def __post_init__(self) -> None:
        """Checks the time.

        Raises:
            ValueError: it is below zero.
        """
        if self.elapsed is not None and not self.elapsed >= 0:
            raise FieldError("elapsed", "should be at least 0 seconds")

    @property
    def answers(self) -> tuple[Response, ...]:
        """All that was answered: what is replayed, and the samples."""
        return (self.response, *self.samples)

    def messages(self) -> Iterator[tuple[tuple[str | int, ...], Request | Response]]:
        """Yields the request and all answers, each with its place in the interaction."""
        yield ("request",), self.request
        yield ("response",), self.response
        yield from ((("samples", i), each) for i, each in enumerate(self.samples))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cassette:
    """The file with a test's interactions, in order.

    Attributes:
        stepreplay: the version of the format.
        test: the id of the test that recorded it.
    """

    __pydantic_config__: ClassVar = _FORBID

    stepreplay: int = PLAIN_VERSION
    test: str | None = None
    interactions: tuple[Interaction, ...] = ()
