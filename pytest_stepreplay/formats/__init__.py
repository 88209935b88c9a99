"""Cassettes of other tools -> ours, and back: vcrpy's of every age, cassetter's, HTTP archives, and logs of pairs.

A tree of plain values goes in, as the store parsed it, and `Foreign` comes out: its exchanges, and the parts
of the file that are none. The format is recognized by the content. Python objects in a file are read as data; nothing
is ever executed. Each format is one module with a class for it, and one entry in `FORMATS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .cassetter import Cassetter
from .foreign import Foreign, ForeignExchange, Hints, MisfitError, Skipped
from .format import Format, WritableFormat
from .har import HttpArchive
from .pairs import REQUEST_ALONE, Pairs, batch_requests
from .vcrpy import Vcr, construct_tag

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS: Final[tuple[Format, ...]] = (Cassetter(), Vcr(), HttpArchive(), Pairs())
"""The first that says that a tree is its own reads it."""

WRITABLE: Final[Mapping[str, WritableFormat]] = {
    each.name: each for each in FORMATS if isinstance(each, WritableFormat)
}
"""What can be written, by name."""


def parse_other(text: str) -> Any:
    """Return the tree of a text that is neither YAML nor JSON but of a format that is known; None for any other.

    Raises:
        MisfitError: it is of a known format, and broken.
    """
    return next((tree for each in FORMATS if (tree := each.parse(text)) is not None), None)


def read_foreign(tree: Any, hints: Hints | None = None) -> Foreign | None:
    """Return what a file's tree holds; None where it is no cassette of any known tool.

    Args:
        tree: of plain values, in which `construct_tag` said what YAML's tags mean.
        hints: what the file does not say itself.

    Raises:
        MisfitError: it is a cassette, and nothing in it can be read.
    """
    found = next((each for each in FORMATS if each.is_mine(tree)), None)
    return found.read(tree, hints or Hints()) if found else None


__all__ = [
    "FORMATS",
    "REQUEST_ALONE",
    "WRITABLE",
    "Foreign",
    "ForeignExchange",
    "Format",
    "Hints",
    "MisfitError",
    "Skipped",
    "WritableFormat",
    "batch_requests",
    "construct_tag",
    "foreign",
    "parse_other",
    "read_foreign",
    "vcrpy",
]
