"""What a text says behind its escapes, for the first wall: a key is one, however often it was escaped on its way.

A text goes in; its layers come out, each with one more kind of escape undone, and each able to say where in the
text a part of it stands. Escapes of JSON, Python, C, URLs, HTML, e-mail (quoted-printable), Markdown and terminals
are known.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from ..lazy import late_pattern
from .shapes import NO_EDGES, Edges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Find = Callable[[str, Edges], Iterator[tuple[int, int]]]

_DEEPEST: Final = 8
"""How many layers are undone. Backslashes and percent signs that escape each other are one, however many."""
_LONGEST_REMEMBERED: Final = 16
_MOST_REMEMBERED: Final = 4096

# All backslashes at once: a row of them that nothing follows must not be tried from each one again.
_BACKSLASHES: Final = r"\\(?<!\\\\)\\*+"
_NUMBER: Final = (
    r"u\{(?P<braces>[0-9A-Fa-f]{1,6})\}|u(?P<u>[0-9A-Fa-f]{4})|U(?P<U>[0-9A-Fa-f]{8})|x(?P<x>[0-9A-Fa-f]{2})"
    r"|(?P<octal>[0-7]{1,3})"
)
# Each kind starts with a character of its own, which is fast to look for.
_ESCAPE: Final = (
    rf"{_BACKSLASHES}(?:{_NUMBER}|(?P<letter>[^\\]))"
    r"|%(?:25)*(?P<url>[0-9A-Fa-f]{2})"
    r"|=(?P<mail>[0-9A-F]{2}|\r?\n)"
    r"|&(?:amp;)*(?P<html>#[0-9]{1,7};|#[xX][0-9A-Fa-f]{1,6};|[A-Za-z]{2,8};)"
    r"|\x1b\[[0-9;]*[A-Za-z]"
)
_AROUND: Final = 2048
"""How far from an escape a text is searched again: what does not reach so far was seen before it was undone."""
# What is behind a backslash for a reason, often; before anything else it may be there for none.
_NEEDLESS: Final = late_pattern(rf"{_BACKSLASHES}[^\\\snrtxuU\"'/]")
_A_BACKSLASH: Final = ("\\", "5c", "5C")
_SPACE: Final = re.compile(r"\s")
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "e": "\x1b"}


# Not all of HTML's, which are a start-up's worth of names: those of characters in and around keys.
_ENTITIES: Final = {
    "amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " ", "lowbar": "_", "hyphen": "-",
    "dash": "-", "period": ".", "equals": "=", "colon": ":", "sol": "/", "plus": "+", "newline": "\n", "tab": "\t",
}  # fmt: skip


class _EscapedReading(dict[str, str]):
    """A way to read escapes: what each of them means, looked up, since a text has few that differ."""

    def __init__(self, escape: str, meaning: Callable[[re.Match[str]], str]) -> None:
        self._escape = late_pattern(escape, re.ASCII)
        self._split = late_pattern(f"({_UNNAMED.sub('(?:', escape)})", re.ASCII)
        self._meaning = meaning

    def __missing__(self, escape: str) -> str:
        found = self._escape.fullmatch(escape)
        meaning = self._meaning(found) if found else escape
        if len(escape) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[escape] = meaning
        return meaning

    def split(self, text: str) -> list[str]:
        """Returns the text in parts: what is between two escapes, an escape, and so on."""
        return self._split.split(text)


_UNNAMED: Final = re.compile(r"\(\?P<\w+>")


class Layer:
    """A text with one layer of its escapes undone."""

    def __init__(self, behind: str, below: Layer | None, reading: _EscapedReading) -> None:
        self._behind = behind
        self._below = below
        self._reading = reading
        parts = self._parts()
        self.text = "".join(parts)
        self._windows = self._changed(parts)

    def spans(self, find: Find, near: int) -> Iterator[tuple[int, int]]:  # noqa: ARG002 - a guess needs it
        """Yields where in the text that all layers come from something stands that is found in this one."""
        for start, end in self._windows:
            whole = start == 0 and end == len(self.text)
            for span in find(self.text if whole else self.text[start:end], self._edges(start, end)):
                yield self.span(span[0] + start, span[1] + start)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Returns where a part of this text stands in the text that all layers come from."""
        start, end = self._place(start), self._place(end)
        return self._below.span(start, end) if self._below else (start, end)

    def _parts(self) -> list[str]:
        """Returns the text in parts: what is between two escapes, what an escape means, and so on."""
        parts = self._reading.split(self._behind)
        parts[1::2] = map(self._reading.__getitem__, parts[1::2])
        return parts

    def _changed(self, parts: list[str]) -> list[tuple[int, int]]:
        """Returns where to search."""
        return _windows(self.text, list(accumulate(map(len, parts)))[:-1:2])

    def _edges(self, start: int, end: int) -> Edges:  # noqa: ARG002 - a guess needs them
        """Returns where in a part of the text a key may start and end, beside the edges that it shows."""
        return NO_EDGES

    def _place(self, at: int) -> int:
        ends, places = self._marks
        known = bisect_right(ends, at) - 1
        return at if known < 0 else places[known] + at - ends[known]

    @cached_property
    def _marks(self) -> tuple[list[int], list[int]]:
        """The end of each escape: in this text, and in the one behind it."""
        places = list(accumulate(map(len, self._reading.split(self._behind))))
        return list(accumulate(map(len, self._parts())))[1::2], places[1::2]


class _Guess(Layer):
    """A text in which what stands behind a backslash is itself: a letter that names a break, too.

    So that no words are joined that a break parts, only what has a needless backslash counts.
    """

    def spans(self, find: Find, near: int) -> Iterator[tuple[int, int]]:
        """Yields where something stands that has a needless backslash in it, or this near before it."""
        for start, end in self._windows:
            for span in find(self.text[start:end], self._edges(start, end)):
                first = bisect_left(self._needless, span[0] + start - near)
                if first < len(self._needless) and self._needless[first] <= span[1] + start:
                    yield self.span(span[0] + start, span[1] + start)

    def _changed(self, parts: list[str]) -> list[tuple[int, int]]:  # noqa: ARG002 - it goes by its own places
        ends, places = self._marks
        found = _NEEDLESS.finditer(self._behind)
        self._needless = [ends[bisect_left(places, each.end())] - 1 for each in found]
        return _windows(self.text, self._needless)

    def _edges(self, start: int, end: int) -> Edges:
        """A key may start where an escape does, behind its letter and behind all of it; and end before a break."""
        starts, stops = self._all_edges
        return Edges(
            [at - start for at in starts[bisect_left(starts, start) : bisect_left(starts, end)]],
            [at - start for at in stops[bisect_left(stops, start) : bisect_left(stops, end)]],
        )

    @cached_property
    def _all_edges(self) -> tuple[list[int], list[int]]:
        starts, stops, at = list[int](), list[int](), 0
        for i, part in enumerate(self._parts()):
            if i % 2:
                starts += (at, at + 1, at + len(part))
                if part[-2:] in _A_BACKSLASH:  # of an escape that was escaped itself
                    starts.append(at + len(part) + 1)
                if part[:1] in "nrt":
                    stops.append(at)
            at += len(part)
        return sorted(starts), stops


def _windows(text: str, places: list[int]) -> list[tuple[int, int]]:
    """Returns the parts of a text that are around some places: from a space to a space, those that touch as one."""
    if len(places) * _AROUND >= len(text):
        return [(0, len(text))] if places else []
    windows = list[tuple[int, int]]()
    for at in places:
        if windows and at + _AROUND < windows[-1][1]:
            continue
        end = _SPACE.search(text, at + _AROUND)
        start = 0 if at <= _AROUND else text.rfind(" ", 0, at - _AROUND) + 1
        window = (start, end.start() if end else len(text))
        if windows and start <= windows[-1][1]:
            window = windows.pop()[0], window[1]
        windows.append(window)
    return windows


def may_be_escaped(text: str) -> bool:
    """Tells whether a text may say more than it shows. It takes no time, and most texts do not."""
    return "\\" in text or "%" in text or "&" in text or "=" in text or "\x1b" in text


@lru_cache(maxsize=1)
def layers_of(text: str) -> tuple[Layer, ...]:
    """Returns what the text says with its escapes undone, then what that says, until nothing is escaped."""
    layers, below = list[Layer](), None
    for _ in range(_DEEPEST):
        if "\\" in text and _NEEDLESS.search(text):
            itself = _Guess(text, below, _AS_ITSELF)
            as_number = _Guess(text, below, _AS_ITSELF_OR_NUMBER)
            layers += (itself,) if as_number.text == itself.text else (itself, as_number)
        layer = Layer(text, below, _AS_IT_MEANS)
        if layer.text == text:
            break
        layers.append(layer)
        text, below = layer.text, layer
    return tuple(layers)


def _meaning(found: re.Match[str]) -> str:
    kind = found.lastgroup
    if kind is None:
        return " "  # colours a terminal
    text = found[kind]
    if kind == "letter":
        return _LETTERS.get(text, text)
    if kind == "html":
        name = text.rstrip(";")
        if not name.startswith("#"):
            return _ENTITIES.get(name.lower(), f"&{text}")
        kind, text = ("x", name[2:]) if name[1] in "xX" else ("decimal", name[1:])
    if kind == "mail" and text.endswith("\n"):
        return ""
    number = int(text, {"octal": 8, "decimal": 10}.get(kind, 16))
    return chr(number) if number <= 0x10FFFF else "\ufffd"


def _itself(found: re.Match[str]) -> str:
    """Returns what an escape shows: of those that no backslash starts, all."""
    return found[0].lstrip("\\")


def _itself_or_number(found: re.Match[str]) -> str:
    if found.lastgroup == "letter":
        return _itself(found)
    number = _meaning(found)
    return number if number.isprintable() or found.lastgroup != "octal" else _itself(found)


_AS_IT_MEANS: Final = _EscapedReading(_ESCAPE, _meaning)
_AS_ITSELF: Final = _EscapedReading(_ESCAPE, _itself)
_AS_ITSELF_OR_NUMBER: Final = _EscapedReading(_ESCAPE, _itself_or_number)
