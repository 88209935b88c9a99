"""The second wall: the exact bytes that are about to be written, searched for secrets that redaction missed.

The content of a file goes in, with the tree that it stands for; findings come out, each with its place and never
with its value. It shares no rule with redaction, but for the table of how keys start. What encodings hide is
searched as well: escapes, JSON in texts and frames, base64, URL-encoding, and texts that are split over a stream.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from bisect import bisect_left
from functools import lru_cache
from html import unescape
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .. import selectors
from ..value_classes import dataclass, field
from ..wire.json_values import parsed_or_none
from .secret_rules import BY_NAME, Bounds, Hit, decoded_base64, find_hits, named_secrets, names_key, unpacked
from .shapes import PLACEHOLDER
from .streams import events_in, path_of, split_texts
from .variables import base64_cores, environment_secrets, forms_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from .streams import Link

Place = tuple[str | int, ...]
"""The steps from the top of a file to a value: keys and indexes, into the JSON in a text too."""

_PERCENT: Final = re.compile(rb"(%[0-9A-Fa-f]{2})")
# Escapes that may hide a part of a key, or of its name; those of a line's end are only edges: see `secret_rules`.
_IN_BACKSLASHES: Final = (
    rb"(?:u(?:00)?\{?00(?P<u>[2-7][0-9A-Fa-f])\}?|u\{(?P<braces>[2-7][0-9A-Fa-f])\}|U000000(?P<U>[2-7][0-9A-Fa-f])"
    rb"|x(?P<x>[2-7][0-9A-Fa-f])|(?P<octal>[01]?[0-7]{2})|(?P<char>[-_.+/=:~#*!@$&%g-mo-qsw-zA-TV-Z]))"
)
_IN_HTML: Final = (
    rb"&(?P<html>(?:amp;)*(?:#[0-9]{2,7}|#[xX][0-9A-Fa-f]{2,6}"
    rb"|lowbar|hyphen|dash|period|equals|colon|quot|apos);)"
)
_IN_MAIL: Final = rb"=(?P<mail>[2-7][0-9A-F]|\r?\n)"
_ESCAPES: Final = {
    b"\\": re.compile(rb"\\" + _IN_BACKSLASHES),
    b"&": re.compile(_IN_HTML),
    b"=": re.compile(_IN_MAIL),
}
"""By the character that each starts with: to look for that is much faster."""
# All backslashes at once: a row of them that nothing follows must not be tried from each one again.
_BACKSLASHES: Final = rb"\\(?<!\\\\)\\*+"
_ESCAPE: Final = re.compile(_BACKSLASHES + _IN_BACKSLASHES + b"|" + _IN_HTML + b"|" + _IN_MAIL)
_SPLIT: Final = re.compile(b"(" + re.sub(rb"\(\?P<\w+>", b"(?:", _ESCAPE.pattern) + b")")
# What needs no backslash has one, as before any sign, or any character: what stands behind one may be itself then, a
# letter that names a break, or a number, too.
_NEEDLESS: Final = re.compile(_BACKSLASHES + rb"[^\\\snrtxuU\"'/]")
_ANY_ESCAPE: Final = re.compile(
    rb"(%(?:25)*[0-9A-Fa-f]{2}|"
    + re.sub(rb"\(\?P<\w+>", b"(?:", _IN_HTML + b"|" + _IN_MAIL)
    + b"|"
    + _BACKSLASHES
    + rb"(?:u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]+\}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|[0-7]{1,3}|[^\\]))"
)
_A_BACKSLASH: Final = (b"\\", b"5c", b"5C")
_NAME: Final = 64
"""How far before a value its name may stand, and with it the backslash that says that others may be needless."""
_FAR: Final = 2048
"""How far from an escape bytes are searched again: what does not reach so far was seen before it was undone."""
_SPACE: Final = re.compile(rb"\s")
_REMEMBERED: Final = 4096
_MOST_LAYERS: Final = 8
NOWHERE: Final = ("file",)
"""The place of what stands in none of a file's values, as in a comment, or in a file that nobody can read."""
_KNOWN: Final = "the value of a secret variable or setting"
_GZIP_IN_BASE64: Final = "H4sI"
_WORD: Final = re.compile(rb"[A-Za-z0-9_.+/=-]{8,}")
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
            ``response.json.data[*].url``.
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
            allowed = [selectors.Selector.parse(text) for text in self.allowed]
            found = tuple(
                each
                for each in found
                if not any(it.matches(within_interaction(each.place)) for it in allowed)
            )
        return found

    def is_plainly_clear(self, content: bytes, tree: Any) -> bool:
        """Tells whether nothing looks like a secret in a file, be it allowed or not; the arguments are as above."""
        return not scan(content, tree, secrets=self._values())

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
    """Returns the steps from an interaction down to a place in it; other places as they are.

    What is allowed in the answer that is replayed is allowed in its samples, so these have the same place.
    """
    if place[:1] != ("interactions",) or len(place) <= 2:
        return place
    return ("response", *place[4:]) if place[2] == "samples" and len(place) > 4 else place[2:]


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
    found: dict[tuple[Place, str, bytes], Finding] = {}
    told = set()

    def tell(place: Place, what: str, secret: bytes) -> None:
        told.add(secret)
        finding = Finding(place, what, _line_of(content, secret), secret.decode("utf-8", "replace"))
        found.setdefault((place, what, secret), finding)

    for place, text in _texts(tree):
        for what, secret in _secrets_in(text.encode("utf-8", "surrogatepass"), needles):
            tell(place, what, secret)
    for place, secret in _named_secrets(tree):
        if not any(other[0] == place and secret in other[2] for other in found):
            tell(place, BY_NAME, secret)
    # What only the file's own text shows, as in a comment, or in a key that is split by nothing else.
    for what, secret in _secrets_in(content, needles):
        if not any(secret in each or each in secret for each in told):
            place = _place_of(secret, tree)
            if not any(other[:2] == (place, what) for other in found):
                tell(place, what, secret)
    return tuple(each for each in found.values() if not _is_told_inside(each, found.values()))


def _is_told_inside(finding: Finding, found: Collection[Finding]) -> bool:
    """Tells whether a secret in a text of JSON is told by its place in that JSON already."""
    size = len(finding.place)
    return any(
        len(other.place) > size
        and other.place[:size] == finding.place
        and finding.secret in (other.secret, json.dumps(other.secret)[1:-1])
        for other in found
    )


def _named_secrets(tree: Any) -> Iterator[tuple[Place, bytes]]:
    """Yields the secrets that only a field's name tells, with the place of the value."""
    for link, value in _nodes(tree):
        if isinstance(value, dict):
            for name, inner in value.items():
                secrets = named_secrets(str(name), inner, value) if isinstance(inner, str) else ()
                yield from (((*path_of(link), name), each.encode()) for each in secrets)


def _place_of(secret: bytes, tree: Any) -> Place:
    """Returns the place of the value that holds the longest part of a secret, however the file breaks it."""
    longest = max(_WORD.findall(secret), key=len, default=b"").decode()
    longest = longest[10:] if len(longest) >= 32 else longest  # an escape may have left a letter before it
    for place, text in _texts(tree) if longest else ():
        if longest in text:
            return place
    for link, value in _nodes(tree) if longest else ():
        if isinstance(value, bytes) and longest in b64encode(value).decode():
            return path_of(link)
    return NOWHERE


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
    for form in _plain_forms(data):
        for needle, what in needles.items():
            if needle in form.data and needle not in data:
                yield f"{what}, {form.how}", needle
        for hit in find_hits(form.data, bounds=form.bounds) if form.bounds else find_hits(form.data):
            secret = form.data[hit.start : hit.end]
            if form.counts(hit) and not any(secret in each or each in secret for each in seen):
                seen.add(secret)
                yield f"{hit.what}, {form.how}", secret


class _Form(NamedTuple):
    """What bytes say with their escapes undone, and how it was hidden.

    Attributes:
        data: what they say.
        how: for a message.
        bounds: where a key may begin and end, if what stands behind a backslash is taken for itself.
        needless: where a backslash was that nothing needs: only with one of them that reading counts.
    """

    data: bytes
    how: str
    bounds: Bounds | None = None
    needless: Sequence[int] = ()

    def counts(self, hit: Hit) -> bool:
        """Tells whether a hit may be more than words that breaks part."""
        if self.bounds is None:
            return True
        first = bisect_left(self.needless, hit.start - (_NAME if hit.what == BY_NAME else 0))
        return first < len(self.needless) and self.needless[first] < hit.end


def _plain_forms(data: bytes) -> Iterator[_Form]:
    """Yields what the bytes say with their escapes undone, then what that says; where nothing changed, no more."""
    for _ in range(_MOST_LAYERS):
        if b"\\" in data and _NEEDLESS.search(data):
            around = _around(data, [found.start() for found in _NEEDLESS.finditer(data)])
            itself = _guessed(around, as_number=False)
            as_number = _guessed(around, as_number=True)
            yield itself
            if as_number.data != itself.data:
                yield as_number
        if b"%" in data and _PERCENT.search(data):
            parts, how = _PERCENT.split(data), "URL-encoded"
            parts[1::2] = map(_number_or_itself, parts[1::2])
        elif any(char in data and escape.search(data) for char, escape in _ESCAPES.items()):
            parts, how = _SPLIT.split(data), "escaped"
            parts[1::2] = map(_meaning, parts[1::2])
        else:
            return
        data = b"".join(parts)
        yield _Form(_around(data, list(accumulate(map(len, parts)))[:-1:2]), how)


def _around(data: bytes, places: list[int]) -> bytes:
    """Returns the parts of the bytes that are around some places, each from a space to a space."""
    if len(places) * _FAR >= len(data):
        return data
    windows = list[list[int]]()
    for at in places:
        if windows and at + _FAR < windows[-1][1]:
            continue
        start = data.rfind(b" ", 0, max(0, at - _FAR)) + 1
        end = _SPACE.search(data, at + _FAR)
        stop = end.start() if end else len(data)
        if windows and start <= windows[-1][1]:
            windows[-1][1] = stop
        else:
            windows.append([start, stop])
    return b"\n\n".join([data[start:stop] for start, stop in windows])


def _guessed(data: bytes, *, as_number: bool) -> _Form:
    """Returns the bytes without their backslashes, each number as itself or as what it stands for."""
    parts = _ANY_ESCAPE.split(data)
    places = list(accumulate(map(len, parts)))[1::2]
    parts[1::2] = map(_number_or_itself if as_number else _itself, parts[1::2])
    needless = [bisect_left(places, found.end()) for found in _NEEDLESS.finditer(data)]
    begins, ends, stops, at = list[int](), list[int](), list[int](), 0
    for i, part in enumerate(parts):
        if i % 2:
            begins += (at, at + 1, at + len(part))
            ends.append(at + len(part) - 1)
            if part[-2:] in _A_BACKSLASH:  # of an escape that was escaped itself
                begins.append(at + len(part) + 1)
            if part[:1] in b"nrt":
                stops.append(at)
        at += len(part)
    return _Form(b"".join(parts), "escaped", Bounds(sorted(begins), stops), [ends[i] for i in needless])


def _itself(escape: bytes) -> bytes:
    return escape.lstrip(b"\\")


@lru_cache(maxsize=_REMEMBERED)
def _number_or_itself(escape: bytes) -> bytes:
    if escape.startswith(b"%"):
        return bytes([int(escape[-2:], 16)])
    found = _ESCAPE.fullmatch(escape)
    return _meaning(escape) if found and found.lastgroup != "char" else _itself(escape)


@lru_cache(maxsize=_REMEMBERED)
def _meaning(escape: bytes) -> bytes:
    found = _ESCAPE.fullmatch(escape)
    if not found:
        return escape
    kind = str(found.lastgroup)
    text = found[kind]
    if kind == "char":
        return text
    if kind == "html":
        return unescape(f"&{text.decode()}").encode("utf-8", "replace")
    if kind == "mail" and text.endswith(b"\n"):
        return b""
    return bytes([int(text, 8 if kind == "octal" else 16)])


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
    for link, value in _nodes_that_may_hide(tree):
        kind = value.__class__
        if kind is str:
            if value.startswith(_GZIP_IN_BASE64):
                packed = decoded_base64(value.encode("utf-8", "replace"))
                yield path_of(link), packed.decode("utf-8", "replace")
            else:
                yield from _hidden_in_text(path_of(link), value)
        elif kind is bytes:
            yield path_of(link), unpacked(value).decode("utf-8", "replace")
        elif kind is list and link is not None:
            if link[1] == "events" and len(value) > 1:
                # A file shows those that are alike as one.
                plain = ((i, event) for i, event in enumerate(value) if isinstance(event, str))
                yield from (((*path_of(link), i), event) for i, event in plain if "\\" not in event)
                yield from _joined(path_of(link), [_event_text(event) for event in value])
            elif link[1].__class__ is str and names_key(link[1]):
                texts = ((i, item) for i, item in enumerate(value) if isinstance(item, str))
                yield from (((*path_of(link), i), f"{link[1]}: {text}") for i, text in texts)


def _nodes_that_may_hide(tree: Any) -> Iterator[tuple[Link, Any]]:
    """Yields the tree and, as `_nodes` does, those values in it that the bytes of a file may not show as they are."""
    todo: list[tuple[Link, Any]] = [(None, tree)]
    below: Iterable[tuple[str | int, Any]]
    while todo:
        link, node = todo.pop()
        yield link, node
        kind = node.__class__
        if kind is dict:
            below = node.items()
        elif kind is list:
            below = enumerate(node)
        else:
            continue
        found: list[tuple[Link, Any]] = []
        for key, value in below:
            kind = value.__class__
            if kind is str:
                if "\\" in value or "\n" in value or value.startswith(_GZIP_IN_BASE64):
                    found.append(((link, key), value))
            elif kind is dict or kind is list or kind is bytes:
                found.append(((link, key), value))
        found.reverse()
        todo += found


def _hidden_in_text(place: Place, text: str) -> Iterator[tuple[Place, str]]:
    yield place, text
    if text[0] in "{[" and "\\" in text:
        yield from (((*place, *inner), each) for inner, each in _texts(parsed_or_none(text)))
    if "\n" in text:
        events = events_in(text)
        for payload in events if "\\" in text else ():
            yield from ((place, each) for _, each in _texts(parsed_or_none(payload)))
        yield from _joined(place, events)


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
