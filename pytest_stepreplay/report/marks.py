"""Which words of a text went and which came, so that who prints it can colour them.

Text with ``[-what went-]`` and ``{+what came+}`` goes in, as `texts.words` writes it; its stretches come out.
"""

from __future__ import annotations

from typing import Final, Literal

from ..lazy import late_pattern

Mark = Literal["", "removed", "added"]

_OPENING: Final = late_pattern(r"\[-|\{\+")
_CLOSING: Final[dict[str, tuple[str, Mark]]] = {"[-": ("-]", "removed"), "{+": ("+}", "added")}
_CUT: Final = "…"


def marked_words(text: str) -> list[tuple[str, Mark]]:
    """Returns the stretches of a text, each with what became of it; joined, they are the text again.

    A mark is closed in its line, or it is none. Where a line was cut, a mark may end with ``…`` instead.
    """
    found: list[tuple[str, Mark]] = []
    for line in text.splitlines(keepends=True) if _OPENING.search(text) else [text]:
        at = 0
        for start, end, mark in _marks_in(line):
            found += [(line[at:start], ""), (line[start:end], mark)]
            at = end
        found.append((line[at:], ""))
    return [(stretch, mark) for stretch, mark in found if stretch]


def _marks_in(line: str) -> list[tuple[int, int, Mark]]:
    marks: list[tuple[int, int, Mark]] = []
    at, unclosed = 0, set[str]()
    for opening in _OPENING.finditer(line):
        closing, mark = _CLOSING[opening[0]]
        if opening.start() < at or opening[0] in unclosed:
            continue
        end = line.find(closing, opening.end())
        if end < 0:
            unclosed.add(opening[0])  # so that a line is read once, whatever it holds
            end = line.rfind(_CUT, opening.end()) - 1
        if end >= opening.end():
            at = end + 2
            marks.append((opening.start(), at, mark))
    return marks
