"""What a text says behind its escapes, for the first wall: a key is one, however often it was escaped on its way.

A text goes in; its layers come out, each with one more kind of escape undone, and each able to say where in the
text a part of it stands. Escapes of JSON, Python, C, URLs, HTML, e-mail (quoted-printable), Markdown and terminals
are known.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from .shapes import Late

if TYPE_CHECKING:
    from collections.abc import Callable

_DEEPEST: Final = 8
"""How many layers are undone. Backslashes and percent signs that escape each other are one, however many."""

# Each kind starts with a character of its own, which is fast to look for, and takes all backslashes at once: a row of
# them that nothing follows must not be tried from each one again.
_ESCAPE: Final = Late(
    r"\\(?<!\\\\)\\*+(?:u\{(?P<braces>[0-9A-Fa-f]{1,6})\}"
    r"|u(?P<u>[0-9A-Fa-f]{4})|U(?P<U>[0-9A-Fa-f]{8})|x(?P<x>[0-9A-Fa-f]{2})"
    r"|(?P<octal>[0-7]{1,3})|(?P<letter>[^\\]))"
    r"|%(?:25)*(?P<url>[0-9A-Fa-f]{2})"
    r"|=(?P<mail>[0-9A-F]{2}|\r?\n)"
    r"|&(?:amp;)*(?P<html>#[0-9]{1,7};|#[xX][0-9A-Fa-f]{1,6};|[A-Za-z]{2,8};)"
    r"|\x1b\[[0-9;]*[A-Za-z]",
    re.ASCII,
)
# Eight in a row are no breaks of lines: somebody has put a backslash before every character, which then means itself.
_EACH_ESCAPED: Final = Late(r"(?:\\(?<!\\\\)\\*+[^\\\s]){8}")
_TO_ITSELF: Final = Late(r"\\(?<!\\\\)\\*+(?P<letter>[^\\])")
_TO_ITSELF_BEHIND_BREAKS: Final = Late(
    r"(?P<breaks>(?<!\\.)(?:\\(?<!\\\\)\\*+[nrt])+)?\\(?<!\\\\)\\*+(?P<letter>[^\\])", re.DOTALL
)
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "e": "\x1b"}


# Not all of HTML's, which are a start-up's worth of names: those of characters in and around keys.
_ENTITIES: Final = {
    "amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " ", "lowbar": "_", "hyphen": "-",
    "dash": "-", "period": ".", "equals": "=", "colon": ":", "sol": "/", "plus": "+", "newline": "\n", "tab": "\t",
}  # fmt: skip


class Layer:
    """A text with one layer of its escapes undone."""

    def __init__(
        self,
        behind: str,
        below: Layer | None,
        escape: Late = _ESCAPE,
        meaning: Callable[[re.Match[str]], str] | None = None,
    ) -> None:
        self._behind = behind
        self._below = below
        self._escape = escape.pattern
        self._meaning = meaning or _meaning
        self.text = self._escape.sub(self._meaning, behind)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Returns where a part of this text stands in the text that all layers come from."""
        start, end = self._place(start), self._place(end)
        return self._below.span(start, end) if self._below else (start, end)

    def _place(self, at: int) -> int:
        ends, places = self._marks
        known = bisect_right(ends, at) - 1
        return at if known < 0 else places[known] + at - ends[known]

    @cached_property
    def _marks(self) -> tuple[list[int], list[int]]:
        """The end of each escape: in this text, and in the one behind it."""
        ends, places, shorter = list[int](), list[int](), 0
        for found in self._escape.finditer(self._behind):
            shorter += found.end() - found.start() - len(self._meaning(found))
            ends.append(found.end() - shorter)
            places.append(found.end())
        return ends, places


def may_be_escaped(text: str) -> bool:
    """Tells whether a text may say more than it shows. It takes no time, and most texts do not."""
    return "\\" in text or "%" in text or "&" in text or "=" in text or "\x1b" in text


@lru_cache(maxsize=1)
def layers_of(text: str) -> tuple[Layer, ...]:
    """Returns what the text says with its escapes undone, then what that says, until nothing is escaped."""
    layers, below = list[Layer](), None
    for _ in range(_DEEPEST):
        if "\\" in text and _EACH_ESCAPED.pattern.search(text):
            layers += (
                Layer(text, below, _TO_ITSELF, _itself),
                Layer(text, below, _TO_ITSELF_BEHIND_BREAKS, _itself),
            )
        layer = Layer(text, below)
        if layer.text == text:
            break
        layers.append(layer)
        text, below = layer.text, layer
    return tuple(layers)


def _itself(found: re.Match[str]) -> str:
    return (" " if found.groupdict().get("breaks") else "") + found["letter"]


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
