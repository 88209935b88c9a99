"""A cassette file <-> a `Cassette`: ours are read and written, other tools' are read through `formats`.

What cannot be read is an error that names file and line, and never a value of the file, which could be a secret.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import formats
from ..commands import mend_or_record, stepreplay_command
from ..errors import CassetteReadError, NoCassetteError, display_path
from ..models import Cassette
from ..value_classes import dataclass
from . import body_files, codec, locks
from .files import read_bytes, write_bytes
from .schema import cassette_of, tree_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from ..formats import Foreign, Hints, Skipped
    from ..wire.json_values import Tree

_MOST_PLACED = 10
"""How many skipped parts of a foreign file are given their line: each costs reading it once more."""
_LARGE = 1 << 18


@dataclass(frozen=True, slots=True)
class ReadCassette:
    """A cassette as it was read.

    Attributes:
        cassette: what it holds.
        format: whose file it is: ``stepreplay``, or that of another tool, such as ``vcr``. Only ``stepreplay``
            files are ever recorded into.
    """

    cassette: Cassette
    format: str


def read_cassette(
    path: Path, *, keep_headers: Collection[str] | None = (), parse: Callable[[str], Any] | None = None
) -> ReadCassette:
    """Return the cassette in a file, ours or another tool's.

    Args:
        path: the file.
        keep_headers: response headers that another tool's cassette holds and that are kept, besides the usual
            ones; None for all that are ever stored.
        parse: what makes a tree of the text of another tool's cassette, where it is in a project's own format.

    Raises:
        CassetteReadError: there is none, or it cannot be read. The file is left as it is.
    """
    try:
        return parse_cassette(read_bytes(path), path, keep_headers=keep_headers, parse=parse)
    except MemoryError:
        raise CassetteReadError(path, "is too large for the memory of this machine") from None


def parse_cassette(
    content: bytes | str,
    path: Path,
    *,
    keep_headers: Collection[str] | None = (),
    parse: Callable[[str], Any] | None = None,
) -> ReadCassette:
    """Return the cassette that the content of a file stands for.

    Args:
        content: what the file holds.
        path: the file, for messages.
        keep_headers: as `read_cassette` takes them.
        parse: as `read_cassette` takes it.

    Raises:
        CassetteReadError: the content is no cassette.
    """
    with _without_collections(len(content)):
        text = codec.decode_text(content, path) if parse else ""
        if parse and text.strip() and not codec.is_ours(text):
            found: Cassette | Foreign = _read_foreign(_parsed_by(parse, text, path), text, path, None)
        else:
            found = parse_source(content, path)
    if isinstance(found, Cassette):
        return ReadCassette(found, "stepreplay")
    for skipped in found.skipped:
        if skipped.broken:
            where = f"{codec.written_location(skipped.location)}: " if skipped.location else ""
            convert = stepreplay_command("convert", display_path(path), "--to", "converted")
            fix = (
                f"Convert what can be read of it with: {convert}" if found.exchanges else mend_or_record(path)
            )
            raise CassetteReadError(path, f"{where}{skipped.reason}", line=skipped.line, fix=fix)
    interactions = tuple(each.interaction(keep_headers) for each in found.exchanges)
    return ReadCassette(Cassette(interactions=interactions), found.format)


def _parsed_by(parse: Callable[[str], Any], text: str, path: Path) -> Tree:
    try:
        tree: Tree = parse(text)
    except Exception as error:
        raise CassetteReadError(
            path,
            f"cannot be read by the serializer of this project: {type(error).__name__}",
            fix="Fix the file or the serializer, or delete the file and record the test again",
        ) from error
    return tree


@contextmanager
def _without_collections(size: int) -> Iterator[None]:
    """Pauses the garbage collection while a large file is read.

    It would look for garbage, again and again, among all that is being made, which takes a third of the time.
    """
    if size < _LARGE or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def parse_source(content: bytes | str, path: Path, hints: Hints | None = None) -> Cassette | Foreign:
    """Return what the content of a file stands for: a cassette of ours, or what another tool's file holds.

    Args:
        content: what the file holds.
        path: the file, for messages.
        hints: what another tool's file does not say itself.

    Raises:
        CassetteReadError: the content is no cassette of any known tool.
    """
    tree, text = codec.decode(content, path)
    if isinstance(tree, dict) and "stepreplay" in tree:
        return cassette_of(tree, text, path)
    return _read_foreign(tree, text, path, hints)


def _read_foreign(tree: Tree, text: str, path: Path, hints: Hints | None) -> Foreign:
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
        raise codec.misfit(error, text, path) from None
    if found is None:
        kinds: dict[type, str] = {dict: "other keys", list: "a list", str: "text", type(None): "nothing"}
        kind = next((kind for each, kind in kinds.items() if isinstance(tree, each)), "a single value")
        raise NoCassetteError(path, f"is not a cassette: it holds {kind}, and no 'stepreplay: 1' at the top")
    skipped: list[Skipped] = []
    for number, each in enumerate(found.skipped):
        placed = each
        if each.broken and each.line is None and number < _MOST_PLACED:
            placed = replace(each, line=codec.line_at(text, each.location))
        skipped.append(placed)
    return replace(found, skipped=tuple(skipped))


def write_cassette(path: Path, cassette: Cassette, *, last: bool = False) -> bytes:
    """Write a cassette, in one step, and return the file's content; if that would not change, it is not touched.

    Args:
        path: the file; its folders are made. A name that ends with ``.json`` is written as JSON.
        cassette: what it shall hold. What is too large for it is written beside it first.
        last: whoever holds its lock does nothing else under it.

    Raises:
        CassetteWriteError: it could not be written. What stood there before still stands.
    """
    content = codec.encode(tree_of(cassette), path)
    with locks.locked(path):
        body_files.write_files(cassette.interactions, path)
        if last:
            locks.write_last(path, content)
        else:
            write_bytes(path, content)
    return content
