"""Cassettes of other tools -> ours, and back: vcrpy's of every age, cassetter's, HTTP archives, and logs of pairs.

A tree of plain values goes in, as the store parsed it, and `Foreign` comes out: its exchanges, and what of the file
is none. The family is told by the content. Python objects in a file are read as data; nothing is ever executed.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

from . import cassetter, har, pairs, vcr
from .exchanges import Exchange, Foreign, Hints, MisfitError, Skipped
from .vcr import construct_tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..models import Cassette

_FAMILIES: Final = (har, cassetter, vcr, pairs)
"""Each has a NAME, and tells by `is_mine` whether a tree is for it. The first that says so reads it."""

RENDERERS: Final[dict[str, Callable[[Cassette], str]]] = {har.NAME: har.render, pairs.NAME: pairs.render}
"""What writes a cassette as another tool's text, by the name of the format."""

_TOML = re.compile(r"\A(?:#.*\n|\s)*(?:version\s*=|\[\[interactions\]\]|interactions\s*=)")


def parse_other(text: str) -> Any:
    """Return the tree of a text that is TOML or JSON Lines; None where it is neither.

    Raises:
        MisfitError: it is TOML, by its first line, and broken.
    """
    if _TOML.match(text):
        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise MisfitError([], f"is not valid TOML ({error})") from None
    return pairs.parse_lines(text)


def read_foreign(tree: Any, hints: Hints | None = None) -> Foreign | None:
    """Return what a file's tree holds; None where it is no cassette of any known tool.

    Args:
        tree: of plain values, in which `construct_tag` said what YAML's tags mean.
        hints: what the file does not say itself.

    Raises:
        MisfitError: it is a cassette, and nothing in it can be read.
    """
    family = next((family for family in _FAMILIES if family.is_mine(tree)), None)
    return family.read(tree, hints or Hints()) if family else None


__all__ = [
    "RENDERERS",
    "Exchange",
    "Foreign",
    "Hints",
    "MisfitError",
    "Skipped",
    "construct_tag",
    "parse_other",
    "read_foreign",
]
