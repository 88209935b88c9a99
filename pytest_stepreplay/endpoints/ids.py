"""Ids, and what else is new on each call though a client sends it back: where they stand, and how they are renamed.

A JSON tree and an endpoint's `Ids` go in; each of them comes out in order, or the tree with others in their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

Kind = Literal["made", "cited", "sealed"]
Keys = tuple[tuple[str, Kind], ...]

_DEEPEST: Final = 60
"""What is nested deeper holds no ids."""


class Ids(NamedTuple):
    """Which texts of an API's bodies are new on each call.

    Attributes:
        keys_in: returns the keys of an object that hold such texts, each with its kind: an id that is ``made`` there,
            an id that is ``cited``, or a text that is ``sealed``, so that only the server can read it. There may
            be a list of them under one key. It is also told under which key the object stands, alone or in a list;
            ``""`` is the body itself.
        word: what an id is called where it stands in a message.
        are_kept: the server keeps what was said, so that a request may cite an id that it does not hold itself.
    """

    keys_in: Callable[[Mapping[str, Any], str], Keys]
    word: str = "id"
    are_kept: bool = False

    def found_in(self, tree: Any, under: str = "") -> Iterator[tuple[str, Kind]]:
        """Yields each of these texts in a tree, with its kind, in order.

        Args:
            tree: a JSON value; it may be nested as deeply as it likes.
            under: the key that it stands under.
        """
        pending = [(tree, under, 0)]
        while pending:
            value, key, depth = pending.pop()
            if isinstance(value, dict):
                for name, kind in self.keys_in(value, key):
                    held = value.get(name)
                    yield from (
                        (text, kind)
                        for text in (held if isinstance(held, list) else (held,))
                        if isinstance(text, str) and text
                    )
                below = [(child, name, depth + 1) for name, child in value.items()]
            elif isinstance(value, list):
                below = [(child, key, depth + 1) for child in value]
            else:
                continue
            if depth < _DEEPEST:
                pending.extend(each for each in reversed(below) if isinstance(each[0], dict | list))

    def replaced_in(self, tree: Any, names: Mapping[str, str]) -> Any:
        """Returns the tree with others in place of these texts; what holds none of them is shared with it.

        Args:
            tree: a JSON value.
            names: the text to put in place of each; others stay.
        """
        return self._mapped(tree, "", lambda text, _: names.get(text, text), 0)

    def renamed_in(
        self, body: Mapping[str, Any], fields: Collection[str], *, loosely: bool = False
    ) -> dict[str, Any]:
        """Returns a body with ids named by the order in which they first come, so that new ones are as old ones.

        Args:
            body: of a request; what holds no ids is shared with it.
            fields: those of the body in which ids stand, besides the body itself.
            loosely: rename all of them, also what is sealed, and ids of what was said in other requests. Which of
                those it was makes a difference, so two requests may then be the same that ask for something else.
        """
        names: dict[str, str] = {}
        cited_too = loosely or not self.are_kept

        def rename(text: str, kind: Kind) -> str:
            if text in names:
                return names[text]
            if kind == "made" or loosely or (kind == "cited" and cited_too):
                names[text] = f"{self.word}-{len(names) + 1}"
                return names[text]
            return text

        renamed = dict(body)
        for key, kind in self.keys_in(body, ""):
            if key in body:
                renamed[key] = _renamed(body[key], kind, rename)
        for key in body if loosely else fields:
            if key in body:
                renamed[key] = self._mapped(renamed[key], key, rename, 1)
        return renamed

    def _mapped(self, tree: Any, under: str, rename: Callable[[str, Kind], str], depth: int) -> Any:
        if depth > _DEEPEST:
            return tree
        if tree.__class__ is list:
            items = None
            for i, child in enumerate(tree):
                if child.__class__ is dict or child.__class__ is list:
                    new = self._mapped(child, under, rename, depth + 1)
                    if new is not child:
                        items = items or list(tree)
                        items[i] = new
            return tree if items is None else items
        if tree.__class__ is not dict:
            return tree
        changed: dict[str, Any] = {}
        for key, kind in self.keys_in(tree, under):
            if key in tree:
                held = tree[key]
                other = _renamed(held, kind, rename)
                if other is not held:
                    changed[key] = other
        for key, child in tree.items():
            if child.__class__ is dict or child.__class__ is list:
                new = self._mapped(child, key, rename, depth + 1)
                if new is not child:
                    changed[key] = new
        return {**tree, **changed} if changed else tree


def _renamed(held: Any, kind: Kind, rename: Callable[[str, Kind], str]) -> Any:
    """Returns an id, or a list of ids, renamed; anything else, and what keeps its name, as it is."""
    if held.__class__ is str:
        other = rename(held, kind) if held else held
        return held if other == held else other
    if held.__class__ is not list:
        return held
    items = [_renamed(each, kind, rename) if each.__class__ is str else each for each in held]
    return held if items == held else items
