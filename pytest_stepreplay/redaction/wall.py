"""The second wall: the exact bytes that are about to be written, searched for secrets that redaction missed.

The content of a file goes in, with the tree that it stands for; findings come out, each with its place and never
with its value. It shares no rule with redaction. What encodings hide is searched as well: escapes, JSON in
texts, base64, URL-encoding, and texts that are split over the events of a stream.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from .rules import find_hits, from_base64, unpacked
from .shapes import PLACEHOLDER
from .streams import events_in, parsed_json, path_of, split_texts
from .variables import base64_cores, environment_secrets, forms_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from .streams import Link

Place = tuple[str | int, ...]
"""The steps from the top of a file to a value: keys and indexes, into the JSON in a text too."""

_PERCENT: Final = re.compile(rb"%[0-9A-Fa-f]{2}")
_KNOWN: Final = "the value of a secret variable or setting"
_GZIP_IN_BASE64: Final = "H4sI"
_APART: Final = "\0"
"""Stands between texts, since no secret holds it."""


@dataclass(frozen=True)
class Finding:
    """Something in a file that looks like a secret.

    Attributes:
        place: where in the file's tree; empty where only the line is known.
        what: what it looks like, for a message.
        line: where it stands in the file as it is, counted from 1, if it does.
        secret: the text itself. It is for replacing it, and stands in no message.
    """

    place: Place
    what: str
    line: int | None = None
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Wall:
    """What the second wall knows of a project.

    Attributes:
        secrets: values that are secret whatever they look like; None takes those of the environment.
        allowed: selectors of the places that may hold what looks like a secret, from an interaction down:
            ``response.json.choices[*].message.content``.
    """

    secrets: Collection[str] | None = None
    allowed: tuple[str, ...] = ()

    def findings(self, content: bytes, tree: Any) -> tuple[Finding, ...]:
        """Returns what looks like a secret in a file, where it is not allowed.

        Args:
            content: the bytes of the file.
            tree: the value that they stand for; None where nobody could read them.
        """
        found = scan(content, tree, secrets=self._values())
        if found and self.allowed:
            from ..selectors import Selector  # noqa: PLC0415 - only what was found needs it

            allowed = [Selector.parse(text) for text in self.allowed]
            found = tuple(
                each
                for each in found
                if not any(it.matches(within_interaction(each.place)) for it in allowed)
            )
        return found

    def masked(self, text: str) -> str:
        """Returns a text that people read, such as a report, without what looks like a secret in it."""
        data = text.encode("utf-8", "surrogateescape")
        secrets = {secret for _, secret in _secrets_in(data, _needles(frozenset(self._values())))}
        for secret in sorted(secrets, key=len, reverse=True):
            data = data.replace(secret, PLACEHOLDER.encode())
        return data.decode("utf-8", "surrogateescape")

    def _values(self) -> Collection[str]:
        return environment_secrets() if self.secrets is None else self.secrets


def within_interaction(place: Place) -> Place:
    """Returns the steps from an interaction down to a place in it; other places as they are."""
    return place[2:] if place[:1] == ("interactions",) and len(place) > 2 else place


def scan(content: bytes, tree: Any, *, secrets: Collection[str] = ()) -> tuple[Finding, ...]:
    """Returns what looks like a secret in a file.

    Args:
        content: the bytes of the file.
        tree: the JSON-like value that they stand for; None where nobody could read them.
        secrets: values that are secret whatever they look like, as `secret_values` returns them.
    """
    needles = _needles(frozenset(secrets))
    hidden = _APART.join(text for _, text in _hidden_texts(tree)).encode("utf-8", "surrogatepass")
    if not (_holds_secret(content, needles) or _holds_secret(hidden, needles)):
        return ()
    found: dict[tuple[Place, str], Finding] = {}
    told = set()
    for place, text in _texts(tree):
        for what, secret in _secrets_in(text.encode("utf-8", "surrogatepass"), needles):
            told.add(secret)
            line = _line_of(content, secret)
            found.setdefault((place, what), Finding(place, what, line, secret.decode("utf-8", "replace")))
    # What only the file's own text shows, as in a comment, or in a key that is split by nothing else.
    for what, secret in _secrets_in(content, needles):
        if not any(secret in each or each in secret for each in told):
            found.setdefault(
                ((), what), Finding((), what, _line_of(content, secret), secret.decode("utf-8", "replace"))
            )
    return tuple(found.values())


# ---------------------------------------------------------------- one text


def _holds_secret(data: bytes, needles: Mapping[bytes, str]) -> bool:
    return next(_secrets_in(data, needles), None) is not None


def _secrets_in(data: bytes, needles: Mapping[bytes, str]) -> Iterator[tuple[str, bytes]]:
    """Yields what each secret in the bytes is, and the secret as it stands there."""
    for needle, what in needles.items():
        if needle in data:
            yield what, needle
    seen = set()
    for hit in find_hits(data):
        secret = data[hit.start : hit.end]
        seen.add(secret)
        yield hit.what, secret
    if _PERCENT.search(data):
        decoded = unquote_to_bytes(data)
        for needle, what in needles.items():
            if needle in decoded and needle not in data:
                yield f"{what}, URL-encoded", needle
        for hit in find_hits(decoded):
            secret = decoded[hit.start : hit.end]
            if not any(secret in each or each in secret for each in seen):
                yield f"{hit.what}, URL-encoded", secret


@lru_cache(maxsize=16)
def _needles(secrets: frozenset[str]) -> dict[bytes, str]:
    """Returns what to look for as it is, and what each is."""
    inside = {core: f"{_KNOWN}, in base64" for value in secrets for core in base64_cores(value)}
    texts = inside | {form: _KNOWN for value in secrets for form in forms_of(value) if form not in inside}
    return {text.encode("utf-8", "surrogateescape"): what for text, what in sorted(texts.items())}


def _line_of(content: bytes, secret: bytes) -> int | None:
    at = content.find(secret) if secret else -1
    return content.count(b"\n", 0, at) + 1 if at >= 0 else None


# ---------------------------------------------------------------- the texts of a tree


def _texts(tree: Any) -> Iterator[tuple[Place, str]]:
    """Yields every text of a tree with its place: keys, and what encodings hide, included."""
    for link, value in _nodes(tree):
        if isinstance(value, str):
            yield path_of(link), value
        elif isinstance(value, dict):
            yield from (((*path_of(link), str(key)), str(key)) for key in value)
    yield from _hidden_texts(tree)


def _hidden_texts(tree: Any) -> Iterator[tuple[Place, str]]:
    """Yields the texts that the bytes of a file do not show as they are."""
    for link, value in _nodes(tree):
        kind = value.__class__
        if kind is str:
            if value.startswith(_GZIP_IN_BASE64):
                packed = from_base64(value.encode("utf-8", "replace"))
                yield path_of(link), packed.decode("utf-8", "replace")
            elif "\\" in value or "\n" in value:
                yield from _hidden_in_text(path_of(link), value)
        elif kind is bytes:
            yield path_of(link), unpacked(value).decode("utf-8", "replace")
        elif kind is list and link is not None and link[1] == "events" and len(value) > 1:
            yield from _joined(path_of(link), [_event_text(event) for event in value])


def _hidden_in_text(place: Place, text: str) -> Iterator[tuple[Place, str]]:
    yield place, text
    if text[0] in "{[" and "\\" in text:
        yield from (((*place, *inner), each) for inner, each in _texts(parsed_json(text)))
    if "\n" in text:
        yield from _joined(place, events_in(text))


def _joined(place: Place, events: Sequence[str]) -> Iterator[tuple[Place, str]]:
    for pieces in split_texts(events) if len(events) > 1 else ():
        first = pieces[0]
        yield (*place, first.event, *first.path), "".join([piece.text for piece in pieces])


def _event_text(event: Any) -> str:
    if isinstance(event, dict):  # a frame that is more than one line of JSON
        event = event.get("frame")
    return event if isinstance(event, str) else ""


def _nodes(tree: Any) -> Iterator[tuple[Link, Any]]:
    """Yields every value of a tree with the way to it. Without recursion: a deep body must not hide anything."""
    todo: list[tuple[Link, Any]] = [(None, tree)]
    while todo:
        link, node = todo.pop()
        yield link, node
        kind = node.__class__
        if kind is dict:
            todo += [((link, key), value) for key, value in node.items()][::-1]
        elif kind is list:
            todo += [((link, i), item) for i, item in enumerate(node)][::-1]
