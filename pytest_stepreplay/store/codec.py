"""The one door to the text of our files: a tree of JSON values <-> the bytes that stand for it.

`decode` reads YAML and JSON, ours and other tools', compressed or not; `encode` writes the one shape that ours have.
Which reader and which writer does it nobody else knows: `yaml_parser` reads what ours and vcrpy write, `yaml_events`,
which is PyYAML, all else; `yaml_text` writes. `lines_at` finds the lines of places in a text.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from .. import formats
from ..commands import mend_or_record, record_again
from ..errors import CassetteReadError, CassetteWriteError
from ..lazy import late_pattern
from ..models import FORMAT_VERSION
from ..wire.json_values import parse_json, shown
from . import readable_streams, secrets, stream_answers, yaml_events, yaml_parser, yaml_text
from .files import MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..formats import MisfitError
    from ..wire.json_values import Tree

_CONFLICT = late_pattern(r"^(?:<{7}|={7}|>{7}|\|{7})(?: .*)?$", re.MULTILINE)
_OURS = late_pattern(r"""^(?:\{\s*)?["']?stepreplay["']?\s*:""", re.MULTILINE)
_GZIP = b"\x1f\x8b"


def decode(content: bytes | str, path: Path) -> tuple[Tree, str]:
    """Return the tree that the content of a file stands for, of whatever schema, and its text.

    Raises:
        CassetteReadError: it is no text, or neither YAML nor JSON; the message names the line.
    """
    text = decode_text(content, path)
    tree = _parse(text, path)
    if tree.__class__ is not dict or tree.get("stepreplay") != FORMAT_VERSION:
        return tree, text
    try:
        return readable_streams.plain_tree(tree), text
    except readable_streams.BrokenStreamError as error:
        problem = f"{written_location(error.location)}: {error.problem}"
        line = yaml_events.lines_of(text, [error.location])[0]
        raise CassetteReadError(path, problem, line=line, fix=mend_or_record(path)) from None


def _parse(text: str, path: Path) -> Tree:
    """Return the tree that a text stands for, as it stands there."""
    tagged = not text.startswith("stepreplay:") and "!!" in text and not is_ours(text)
    try:
        return yaml_parser.parse(text, formats.construct_tag if tagged else None)
    except yaml_parser.UnusualTextError:
        return _parse_unusual(text, path)


def encode(tree: dict[str, Tree], path: Path) -> bytes:
    """Return the content of a file that holds the tree.

    Args:
        tree: of whatever schema.
        path: the file. A name that ends with ``.json`` gets JSON.

    Raises:
        CassetteWriteError: it holds what such a file cannot, or what looks like a secret.
    """
    try:
        told = stream_answers.readable_tree(tree)
        if path.suffix.lower() == ".json":
            text = json.dumps(told, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
        else:
            text = yaml_text.render_yaml(told)
        content = text.encode()
    except UnicodeEncodeError:
        raise CassetteWriteError(path, "was not written: it would hold half of a surrogate pair") from None
    except RecursionError:
        raise CassetteWriteError(path, "was not written: it would be nested too deeply") from None
    except ValueError as error:
        raise CassetteWriteError(path, f"was not written: {error}") from None
    secrets.refuse_secrets(path, content, tree)
    return content


def decode_text(content: bytes | str, path: Path) -> str:
    """Return the text of a file, without a byte order mark, and with lines that end with a line feed alone.

    Raises:
        CassetteReadError: it is no text, or it is compressed and broken or too large.
    """
    if isinstance(content, bytes):
        try:
            content = (_unzip(content, path) if content.startswith(_GZIP) else content).decode()
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise CassetteReadError(path, "is not UTF-8 text", line=line, fix=mend_or_record(path)) from None
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


def is_ours(text: str) -> bool:
    """Tell whether a text says that it is a file of ours."""
    return _OURS.search(text) is not None


def misfit(error: MisfitError, text: str, path: Path) -> CassetteReadError:
    """Return the error for another tool's file that has a part of a shape that its tool does not write."""
    where = f"{written_location(error.location)}: " if error.location else ""
    return CassetteReadError(path, f"{where}{error.problem}", line=line_at(text, error.location))


def written_location(location: Sequence[str | int]) -> str:
    """Return ``interactions[2].response.status``; a key of other characters is quoted."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{shown(step)}" for step in location)
    return "".join(steps).removeprefix(".")


def line_at(text: str, location: Sequence[str | int]) -> int | None:
    """Return the line at which a part of a file stands, or what is nearest around it."""
    return lines_at(text, [location])[0]


def lines_at(text: str, locations: Sequence[Sequence[str | int]]) -> list[int | None]:
    """Return what `line_at` does for many parts, at the cost of reading the text once."""
    if any("events" in location for location in locations) and is_ours(text):
        with suppress(CassetteReadError, ValueError):
            tree = _parse(text, Path())
            locations = [readable_streams.place_in_file(tree, location) for location in locations]
    return yaml_events.lines_of(text, locations)


def wrong_answers(text: str, path: Path) -> list[tuple[str | int, ...]]:
    """Return where the text of a cassette has an answer to read that is not what its stream says.

    Raises:
        CassetteReadError: it is none.
    """
    return stream_answers.places_of_wrong_answers(_parse(text, path))


def is_renewable(text: str, path: Path) -> bool:
    """Tell whether a stream in the text of a cassette stands otherwise than it would if it were written now.

    Raises:
        CassetteReadError: it is none.
    """
    return stream_answers.holds_old_streams(_parse(text, path))


# ---------------------------------------------------------------- reading what neither `yaml_text` nor vcrpy writes


def _parse_unusual(text: str, path: Path) -> Tree:
    """Return the tree of a file that a person or another tool wrote."""
    if not text.strip():
        raise CassetteReadError(path, "is empty", fix=record_again(path))
    conflict = _CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        raise CassetteReadError(path, "has an unresolved merge conflict", line=line, fix=mend_or_record(path))
    if not is_ours(text):
        try:
            other = formats.parse_other(text)
        except formats.MisfitError as error:
            raise misfit(error, text, path) from None
        if other is not None:
            return other
    # JSON is not always YAML: it has escapes of surrogate pairs, which vcrpy writes.
    if path.suffix.lower() == ".json" or text.lstrip().startswith("{"):
        try:
            return parse_json(text)
        except json.JSONDecodeError as error:
            if path.suffix.lower() == ".json":
                problem = f"is not valid JSON ({error.msg})"
                raise CassetteReadError(path, problem, line=error.lineno, fix=mend_or_record(path)) from None
        except ValueError as error:
            raise CassetteReadError(path, str(error), fix=mend_or_record(path)) from None
    return _parse_yaml(text, path)


def _parse_yaml(text: str, path: Path) -> Tree:
    construct = None
    ours = is_ours(text)
    if not ours:
        construct = formats.construct_tag
    try:
        tree = yaml_events.parse_any(text, construct)
    except yaml_events.BrokenYamlError as error:
        raise CassetteReadError(path, error.problem, line=error.line, fix=mend_or_record(path)) from None
    if ours and not text.startswith("{") and not text.endswith("\n"):
        # Half of a block of YAML is often good YAML too, so this is the only trace of a cut.
        fix = f"If it is whole, add a newline at its end; else {record_again(path, goes_on=True)}"
        line = text.count("\n") + 1
        raise CassetteReadError(path, "seems cut off: its last line is incomplete", line=line, fix=fix)
    return tree
