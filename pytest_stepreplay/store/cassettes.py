"""The text of a cassette file <-> a `Cassette`, and every way in which a file can fail to be one.

Files of our own format are read here; those of other tools go through `formats`. What cannot be read is an
error that names file and line, and never a value of the file, which could be a secret.
"""

from __future__ import annotations

import gc
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import formats
from ..commands import mend_or_record, record_again, stepreplay_command
from ..errors import CassetteReadError, display_path
from ..models import Cassette
from ..wire.json_text import parse_json
from . import yaml_events, yaml_parser
from .files import read_bytes
from .schema import cassette_of
from .sources import parse_other_text, read_foreign_file, read_text, written_location

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from ..formats import Foreign, Hints
    from ..wire.trees import Tree

_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7}|\|{7})(?: .*)?$", re.MULTILINE)
_OURS = re.compile(r"""^(?:\{\s*)?["']?stepreplay["']?\s*:""", re.MULTILINE)
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
        text = read_text(content, path) if parse else ""
        if parse and text.strip() and not _OURS.search(text):
            found: Cassette | Foreign = read_foreign_file(_parsed_by(parse, text, path), text, path, None)
        else:
            found = parse_source(content, path)
    if isinstance(found, Cassette):
        return ReadCassette(found, "stepreplay")
    for skipped in found.skipped:
        if skipped.broken:
            where = f"{written_location(skipped.location)}: " if skipped.location else ""
            convert = stepreplay_command("convert", display_path(path), "--to", "converted")
            fix = f"Convert what can be read of it with: {convert}" if found.exchanges else mend_or_record()
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
    tree, text = parse_tree(content, path)
    if isinstance(tree, dict) and "stepreplay" in tree:
        return cassette_of(tree, text, path)
    return read_foreign_file(tree, text, path, hints)


def parse_tree(content: bytes | str, path: Path) -> tuple[Tree, str]:
    """Return the tree that the content of a file stands for, of whatever schema, and its text.

    Raises:
        CassetteReadError: it is no text, or neither YAML nor JSON; the message names the line.
    """
    text = read_text(content, path)
    tagged = "!!" in text and not _OURS.search(text)
    try:
        return yaml_parser.parse(text, formats.construct_tag if tagged else None), text
    except yaml_parser.UnusualTextError:
        return _parse_unusual(text, path), text


# ---------------------------------------------------------------- reading what neither `yaml_text` nor vcrpy writes


def _parse_unusual(text: str, path: Path) -> Tree:
    """Return the tree of a file that a person or another tool wrote."""
    if not text.strip():
        raise CassetteReadError(path, "is empty", fix=record_again())
    conflict = _CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        raise CassetteReadError(path, "has an unresolved merge conflict", line=line, fix=mend_or_record())
    other = None if _OURS.search(text) else parse_other_text(text, path)
    if other is not None:
        return other
    # JSON is not always YAML: it has escapes of surrogate pairs, which vcrpy writes.
    if path.suffix.lower() == ".json" or text.lstrip().startswith("{"):
        try:
            return parse_json(text)
        except json.JSONDecodeError as error:
            if path.suffix.lower() == ".json":
                problem = f"is not valid JSON ({error.msg})"
                raise CassetteReadError(path, problem, line=error.lineno, fix=mend_or_record()) from None
        except ValueError as error:
            raise CassetteReadError(path, str(error), fix=mend_or_record()) from None
    return _parse_yaml(text, path)


def _parse_yaml(text: str, path: Path) -> Tree:
    construct = None
    ours = _OURS.search(text)
    if not ours:
        construct = formats.construct_tag
    try:
        tree = yaml_events.parse_any(text, construct)
    except yaml_events.BrokenYamlError as error:
        raise CassetteReadError(path, error.problem, line=error.line, fix=mend_or_record()) from None
    if ours and not text.startswith("{") and not text.endswith("\n"):
        # Half of a block of YAML is often good YAML too, so this is the only trace of a cut.
        fix = f"If it is whole, add a newline at its end; else {record_again(goes_on=True)}"
        line = text.count("\n") + 1
        raise CassetteReadError(path, "seems cut off: its last line is incomplete", line=line, fix=fix)
    return tree
