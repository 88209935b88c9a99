"""Files that may be another tool's: their text, what it holds, and where in it something stands.

Bytes go in, and text comes out, be it compressed or marked by an editor of Windows; a tree goes in, and what its
tool meant comes out of `formats`, with the line of every part that cannot be read.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

from .. import formats
from ..commands import mend_or_record
from ..errors import CassetteReadError
from ..wire.json_text import shown
from . import yaml_events
from .files import MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..formats import Foreign, Hints, MisfitError, Skipped
    from ..wire.trees import Tree

_GZIP = b"\x1f\x8b"
_MOST_PLACED = 10
"""How many skipped parts of a foreign file are given their line: each costs reading it once more."""


def read_text(content: bytes | str, path: Path) -> str:
    """Return the text of a file, without a byte order mark, and with lines that end with a line feed alone.

    Raises:
        CassetteReadError: it is no text, or it is compressed and broken or too large.
    """
    if isinstance(content, bytes):
        try:
            content = (_unzip(content, path) if content.startswith(_GZIP) else content).decode()
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise CassetteReadError(path, "is not UTF-8 text", line=line, fix=mend_or_record()) from None
    content = content.removeprefix("\ufeff")
    return content.replace("\r\n", "\n") if "\r" in content else content


def _unzip(content: bytes, path: Path) -> bytes:
    try:
        found = gzip.GzipFile(fileobj=BytesIO(content)).read(MAX_SIZE + 1)
    except EOFError:
        raise CassetteReadError(path, "is compressed, but cut off") from None
    except (OSError, zlib.error):
        raise CassetteReadError(path, "is compressed, but broken") from None
    if len(found) > MAX_SIZE:
        raise CassetteReadError(path, f"holds more than {MAX_SIZE >> 20} MiB, the most a cassette may have")
    return found


def parse_other_text(text: str, path: Path) -> Tree:
    """Return the tree of a text that is neither YAML nor JSON, but of another kind that is known; else None.

    Raises:
        CassetteReadError: it is, and broken.
    """
    try:
        return formats.parse_other(text)
    except formats.MisfitError as error:
        raise _misfit(error, text, path) from None


def read_foreign_file(tree: Tree, text: str, path: Path, hints: Hints | None) -> Foreign:
    """Return what another tool's file holds.

    Args:
        tree: of the file.
        text: of the file, to find lines in.
        path: the file, for messages.
        hints: what the file does not say itself.

    Raises:
        CassetteReadError: it is no cassette of any known tool.
    """
    try:
        found = formats.read_foreign(tree, hints)
    except formats.MisfitError as error:
        raise _misfit(error, text, path) from None
    if found is None:
        kinds: dict[type, str] = {dict: "other keys", list: "a list", str: "text", type(None): "nothing"}
        kind = next((kind for each, kind in kinds.items() if isinstance(tree, each)), "a single value")
        raise CassetteReadError(
            path, f"is not a cassette: it holds {kind}, and no 'stepreplay: 1' at the top"
        )
    skipped: list[Skipped] = []
    for number, each in enumerate(found.skipped):
        placed = each
        if each.broken and each.line is None and number < _MOST_PLACED:
            placed = replace(each, line=line_at(text, each.location))
        skipped.append(placed)
    return replace(found, skipped=tuple(skipped))


def _misfit(error: MisfitError, text: str, path: Path) -> CassetteReadError:
    where = f"{written_location(error.location)}: " if error.location else ""
    return CassetteReadError(path, f"{where}{error.problem}", line=line_at(text, error.location))


def written_location(location: Sequence[str | int]) -> str:
    """Return ``interactions[2].response.status``; a key of other characters is quoted."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{shown(step)}" for step in location)
    return "".join(steps).removeprefix(".")


def line_at(text: str, location: Sequence[str | int]) -> int | None:
    """Return the line at which a part of a file stands, or what is nearest around it."""
    return yaml_events.line_of(text, location)
