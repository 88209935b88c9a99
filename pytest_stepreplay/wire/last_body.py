"""The JSON body that came last, for one that goes on from it: only what is new of that has to be parsed.

Each turn of a conversation sends all turns before it. The text of a body goes in, and its tree comes out, with the
very items that the one before had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from .json_values import Tree

_MOST: Final = 1 << 20
"""A longer one is not kept."""


class _Body(NamedTuple):
    """A body that came.

    Attributes:
        text: as it came.
        tree: what it stands for.
        end: where a list ends that may grow.
        outside: a place that is in no string.
        rest: what stood behind the list that has grown.
        behind: how many keys there are in that.
    """

    text: str
    tree: Tree
    end: int
    outside: int = 0
    rest: str = ""
    behind: int = 0


class LastBody:
    """What the bodies of one cassette's requests have in common with the one before."""

    def __init__(self) -> None:
        """Knows none yet."""
        self._last: _Body | None = None

    def parse(self, text: str, parse: Callable[[str], Tree]) -> Tree:
        """Returns the tree that a text stands for, and keeps both.

        Args:
            text: of a body.
            parse: returns the tree of any JSON text.

        Raises:
            ValueError, RecursionError: `parse` raises it.
        """
        last, body = self._last, None
        if last is not None and len(text) > len(last.text):
            body = _grown(last, text, parse)
        if body is None:
            body = _Body(text, parse(text), text.rfind("]"))
        self._last = body if len(text) <= _MOST else None
        return body.tree

    def replace(self, tree: Tree, equal: Tree) -> None:
        """Has an equal tree stand for the one that was returned last, so that its items are those of the next one."""
        last = self._last
        if last is not None and last.tree is tree:
            self._last = last._replace(tree=equal)


def _grown(last: _Body, text: str, parse: Callable[[str], Tree]) -> _Body | None:
    """Returns a body that is the last one but for more items in a list at its top; None for any other.

    Both are the same up to where the list ends in the last one. There, the last one goes on with a bracket, and this
    one with a comma and further items.
    """
    end = _common(last, text)
    rest, after = last.text[end:], text[end:]
    if rest.lstrip()[:1] != "]" or after.lstrip()[:1] != "," or not isinstance(last.tree, dict):
        return None
    between = last.text[last.outside if last.outside <= end else 0 : end]
    if "\\" in between:
        between = between.replace("\\\\", "").replace('\\"', "")
    if between.count('"') % 2:
        return None  # they part in the midst of a string
    try:
        # What begins so and is whole has ended one list, and the object that it stands in.
        behind = last.behind if rest == last.rest else len(parse('{"":[' + rest)) - 1
        new: dict[str, Any] = parse('{"":[0' + after)
    except (ValueError, RecursionError):
        return None
    names = list(last.tree)
    name = names[-1 - behind]
    items = last.tree[name]
    before = {each: last.tree[each] for each in names[: -1 - behind]}
    _, *more = new.pop("")
    if not isinstance(items, list) or not items or name in new or not before.keys().isdisjoint(new):
        return None
    return _Body(text, {**before, name: items + more, **new}, len(text) - len(rest), end, rest, behind)


def _common(last: _Body, text: str) -> int:
    """Returns how many characters two texts, the second of which is the longer one, begin with together."""
    known, end = last.text, last.end
    if known[end : end + 1] != text[end : end + 1] and text.startswith(known[:end]):
        return end
    low, high = 0, len(known)
    while low < high:
        middle = (low + high + 1) // 2
        if text.startswith(known[:middle]):
            low = middle
        else:
            high = middle - 1
    return low
