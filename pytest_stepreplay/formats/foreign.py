"""What every foreign cassette becomes first: exchanges as they went over the wire, and what had to be left out.

The readers of the families build these values from a file's tree; `ForeignExchange.interaction` makes of one what
we store. A part that does not fit what its tool writes is a `MisfitError` with its place, never a guess.
"""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..machine import clock
from ..models import Interaction
from ..value_classes import dataclass
from ..wire.bodies import request_from_wire, response_from_wire
from ..wire.encodings import EncodingError, undo_encoding
from ..wire.headers import kept_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

Headers = tuple[tuple[str, str], ...]
"""Names as they were written, with their values, in order."""


_FIRST_MOMENT = 1e9
"""In 2001. What is less is no moment, but a duration or a counter."""


class MisfitError(Exception):
    """Part of a foreign cassette does not fit what its tool writes.

    Attributes:
        location: keys and indexes from the top of the file.
        problem: what is wrong there, without any value.
    """

    def __init__(self, location: Sequence[str | int], problem: str) -> None:
        super().__init__(problem)
        self.location = tuple(location)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class ForeignExchange:
    """One HTTP request with its response, as a foreign cassette holds it; nothing is redacted yet.

    Attributes:
        request_type: the request's content type, if it is known.
        body: of the response, with its content encoding undone.
        recorded_at: ISO 8601 in UTC, to the second.
        elapsed: seconds.
    """

    method: str
    url: str
    request_type: str | None
    request_body: bytes
    status: int
    headers: Headers
    body: bytes
    recorded_at: str | None = None
    elapsed: float | None = None

    def interaction(self, keep_headers: Collection[str] | None = ()) -> Interaction:
        """Return the interaction that we store, not redacted.

        Args:
            keep_headers: response headers to keep besides the usual ones; None for all that are ever stored.
        """
        if keep_headers is None:
            keep_headers = {name for name, _ in self.headers}
        return Interaction(
            recorded_at=self.recorded_at,
            elapsed=self.elapsed,
            request=request_from_wire(self.method, self.url, self.request_body, self.request_type),
            response=response_from_wire(self.status, kept_headers(self.headers, keep_headers), self.body),
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """Part of a file that did not become an exchange.

    Attributes:
        location: keys and indexes from the top of the file; in JSON Lines from the top of the line.
        reason: why, without any value.
        broken: whether it should have become one. Calls over gRPC, say, never do.
        line: where in the file, counted from 1, if it is known.
    """

    location: tuple[str | int, ...]
    reason: str
    broken: bool = True
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Foreign:
    """What another tool's file holds.

    Attributes:
        format: whose it is, such as ``vcr``.
        exchanges: in the order of the file.
        skipped: what of it is none.
    """

    format: str
    exchanges: tuple[ForeignExchange, ...]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Hints:
    """What a file of logs does not say itself.

    Attributes:
        base_url: where requests went of which only the path, or nothing, was logged.
        batch: the lines of OpenAI's batch input files, by ``custom_id``; None where two differ.
    """

    base_url: str = ""
    batch: Mapping[str, Any] | None = None


def gather(
    name: str,
    items: Iterable[tuple[tuple[str | int, ...], Any]],
    read: Callable[[Any, tuple[str | int, ...]], ForeignExchange | Skipped],
) -> Foreign:
    """Return what the items of a file hold; one that does not fit is skipped, not the others with it."""
    exchanges: list[ForeignExchange] = []
    skipped: list[Skipped] = []
    for location, item in items:
        try:
            found = read(item, location)
        except MisfitError as error:
            found = Skipped(error.location, error.problem)
        if isinstance(found, ForeignExchange) and not is_url(found.url):
            found = Skipped(location, "its URL is not valid")
        if isinstance(found, ForeignExchange):
            exchanges.append(found)
        else:
            skipped.append(found)
    return Foreign(name, tuple(exchanges), tuple(skipped))


# ---------------------------------------------------------------- parts that several families share


def member(tree: Any, key: str, kind: type, here: Sequence[str | int]) -> Any:
    """Return a member of a mapping.

    Raises:
        MisfitError: there is none, or it is not of that kind.
    """
    if not isinstance(tree, dict):
        raise MisfitError(here, "should be a mapping")
    if key not in tree:
        raise MisfitError(here, f"there is no {key!r}")
    value = tree[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        names = {dict: "a mapping", str: "text", int: "a whole number", list: "a list"}
        raise MisfitError([*here, key], f"should be {names[kind]}")
    return value


def is_url(text: str) -> bool:
    """Tell whether the parts of a URL can be told from each other, as matching must."""
    try:
        _ = urlsplit(text).port
    except ValueError:
        return False
    return True


def checked_status(status: Any, here: Sequence[str | int]) -> int:
    """Return an HTTP status.

    Raises:
        MisfitError: there is no such one.
    """
    if not isinstance(status, int) or isinstance(status, bool):
        raise MisfitError(here, "should be a whole number")
    if not 100 <= status <= 999:
        raise MisfitError(here, "there is no such HTTP status")
    return status


def header_pairs(tree: Any, here: Sequence[str | int]) -> Headers:
    """Return headers that are a mapping to text or lists, or a list of pairs or of names with values.

    Raises:
        MisfitError: they are something else.
    """
    match tree:
        case None:
            return ()
        case dict():
            return tuple(
                (name, _text(value))
                for name, values in tree.items()
                for value in (values if isinstance(values, list) else [values])
            )
        case list() if all(isinstance(each, dict) and {"name", "value"} <= each.keys() for each in tree):
            return tuple((_text(each["name"]), _text(each["value"])) for each in tree)
        case list() if all(isinstance(each, list) and len(each) == 2 for each in tree):
            return tuple((_text(name), _text(value)) for name, value in tree)
    raise MisfitError(here, "should be a mapping")


def header_of(headers: Headers, name: str) -> str | None:
    """Return the value of a header by its lower-case name; several of it are joined, as RFC 9110 allows."""
    values = [value for each, value in headers if each.lower() == name]
    return ", ".join(values) if values else None


def decoded(body: bytes, headers: Headers, here: Sequence[str | int]) -> bytes:
    """Return the body with its content encoding undone.

    Raises:
        MisfitError: it cannot be.
    """
    try:
        return undo_encoding(body, header_of(headers, "content-encoding") or "")
    except EncodingError as error:
        raise MisfitError(here, str(error)) from None


def from_base64(text: str) -> bytes:
    """Return the bytes, whatever white space stands in the text.

    Raises:
        ValueError: it is no base64.
    """
    try:
        return b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise ValueError("has a binary value that is not base64") from None


def json_bytes(tree: Any) -> bytes:
    """Return the JSON of a body that a tool stored parsed."""
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"), default=_text).encode()


def utc_seconds(moment: Any) -> str | None:
    """Return a moment as we store it: ISO 8601 in UTC; None for what is no moment of a known time zone.

    Args:
        moment: ISO 8601 with an offset, or seconds or milliseconds since 1970.
    """
    try:
        if isinstance(moment, str):
            found = clock.read(moment)
        elif isinstance(moment, int | float) and moment > _FIRST_MOMENT:
            found = clock.at(moment / 1000 if moment > 1e11 else moment)
        else:
            return None
        return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if found.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None


def duration(value: Any, per_second: int = 1) -> float | None:
    """Return a duration in seconds, to the millisecond; None for what is none.

    Args:
        value: a number.
        per_second: how many of its unit a second has.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return round(value / per_second, 3) if is_number and 0 <= value < 1e9 else None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
