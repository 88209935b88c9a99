"""The text of a large file, piece by piece; what a piece repeats of a list before it need not be read again.

Each turn of a conversation sends all turns before it. `Pieces` gives the lines of a file, with one `Repeated` in the
place of the first items of a list whose text is that of a list in the piece before.
"""

from __future__ import annotations

from itertools import accumulate
from operator import sub
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..wire.json_values import Tree

_PIECE: Final = 1 << 12
_WORTH: Final = 1 << 11
"""A list of fewer characters is sooner read again than found."""
_HEAD: Final = 1 << 13
"""Within so many characters of a piece, a list is looked for."""


class Repeated(str):
    """Stands in the place of lines. No line that can be read begins with a percent sign, as this one does.

    Attributes:
        column: of the list's dashes.
        items: the first items of the list.
    """

    __slots__ = ("column", "items")

    column: int
    items: list[Tree]

    @classmethod
    def line(cls, column: int, items: list[Tree]) -> Self:
        """Returns what stands for these items."""
        made = cls("%")
        made.column, made.items = column, items
        return made


class Pieces:
    """The lines of a text, in pieces that are to be read one after the other.

    A piece ends before a dash at the start of a line, where nothing but an item of an outermost list can begin.
    """

    def __init__(self, text: str) -> None:
        """Takes a text that ends with a line break."""
        self._text = text
        self._begun: list[tuple[int, list[Tree]]] = []

    def begin(self, line: int, items: list[Tree]) -> None:
        """Notes that a list begins under a key.

        Args:
            line: where, counted in the last piece.
            items: the list, which is still to be filled.
        """
        self._begun.append((line, items))

    def __iter__(self) -> Iterator[list[str]]:
        """Yields the lines of each piece."""
        text, start, known = self._text, 0, None
        while start < len(text):
            lines: list[str] = []
            first, count, rest = start, 0, start
            if known is not None:
                first = text.find(known.key, start, start + _HEAD) + len(known.key)
                count = known.count_at(first, text) if first >= len(known.key) else 0
            if known is not None and count:
                rest = first + known.ends[count - 1]
                lines += text[start : first - 1].split("\n")
                lines.append(Repeated.line(known.column, known.items[:count]))
            repeated = len(lines)
            # The line break before the rest may be the end of the piece already.
            end = text.find("\n- ", rest - 1 if repeated else start + _PIECE) + 1 or len(text)
            lines += text[rest : end - 1].split("\n") if rest < end else ()
            self._begun.clear()
            yield lines
            if known is not None and repeated:
                items = dict(self._begun)[repeated - 1]
                ends = known.ends[:count]
                ends += _ends(lines[repeated:], known.column, ends[-1])
                known = _List(known.key, items, first, ends)
            else:
                known = self._largest(lines, start) or known
            start = end

    def _largest(self, lines: list[str], start: int) -> _List | None:
        """Returns the longest of the lists that are in no other, if it is worth to be known."""
        columns = [_column_of_key(lines[line - 1]) if line else 0 for line, _ in self._begun]
        outermost = min(filter(None, columns), default=0)
        found = [each for each, column in zip(self._begun, columns, strict=True) if 0 < column == outermost]
        if not found:
            return None
        # Of each line, what stands before it, the line breaks left out.
        places = [*accumulate(map(len, lines), initial=0)]
        bounds = [places[line] + line for line, _ in found]
        sizes = [*map(sub, [*bounds[1:], places[-1] + len(lines)], bounds)]
        size = max(sizes)
        if size < _WORTH:
            return None
        best = sizes.index(size)
        line, items = found[best]
        ends = _ends(lines[line:], outermost, 0)
        return _List(f"\n{lines[line - 1]}\n", items, start + bounds[best], ends)


class _List:
    """A list that was read.

    Attributes:
        key: the line of its key, with the line breaks around it.
        items: the whole list.
        start: of its first item in the text.
        ends: of each item, counted from there.
        column: of its dashes.
    """

    def __init__(self, key: str, items: list[Tree], start: int, ends: list[int]) -> None:
        self.key = key
        self.items = items
        self.start = start
        self.ends = ends
        self.column = _column_of_key(key[1:])
        self._goes_on = ("\n", " " * (self.column + 2))

    def count_at(self, place: int, text: str) -> int:
        """Returns how many of its items stand at another place of the text, and are whole there."""
        low, high = 0, len(self.ends)
        middle = high  # all of them, as nearly always
        while low < high:
            if text.startswith(text[self.start : self.start + self.ends[middle - 1]], place):
                low = middle
            else:
                high = middle - 1
            middle = (low + high + 1) // 2
        # A line that stands further right belongs to the item before it, which then is another one.
        return low - 1 if low and text.startswith(self._goes_on, place + self.ends[low - 1]) else low


def _column_of_key(line: str) -> int:
    """Returns where a key stands that begins its line; 0 for one behind a dash."""
    key = line.lstrip(" ")
    return 0 if key.startswith("- ") else len(line) - len(key)


def _ends(lines: Iterable[str], column: int, offset: int) -> list[int]:
    """Returns where the items end that begin with a dash in a column.

    Args:
        lines: from the first item on.
        column: of the dashes.
        offset: of the first line.
    """
    dash, more = f"{' ' * column}- ", " " * (column + 2)
    starts = []
    for line in lines:
        if line.startswith(dash):
            starts.append(offset)
        elif line and not line.startswith(more):
            break
        offset += len(line) + 1
    return [*starts[1:], offset] if starts else []
