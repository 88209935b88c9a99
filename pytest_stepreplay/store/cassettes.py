"""The text of a cassette file <-> a `Cassette`, and every way in which a file can fail to be one.

Files of our own format are read here; those of other tools go through `formats`. What cannot be read is an
error that names file and line, and never a value of the file, which could be a secret.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import CassetteReadError, CassetteWriteError, display_path
from ..models import BODY_KINDS, FORMAT_VERSION, Cassette, Interaction
from . import yaml_parser, yaml_text
from .files import read_bytes, write_bytes
from .json_text import parse_json
from .locks import locked
from .secrets import refuse_secrets
from .sources import line_at, parse_other, read_foreign, read_text, written_location

if TYPE_CHECKING:
    from pathlib import Path

    from ..formats import Foreign, Hints
    from .yaml_text import Tree

_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7}|\|{7})(?: .*)?$", re.MULTILINE)
_OURS = re.compile(r"""^(?:\{\s*)?["']?stepreplay["']?\s*:""", re.MULTILINE)
_MOST_KEYS = 1000
_Model = TypeVar("_Model", bound=BaseModel)
_RECORD_AGAIN = "Delete it and record it again with: pytest --stepreplay=record"
_MEND = "Mend it, or delete it and record it again with: pytest --stepreplay=record"


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


def read_cassette(path: Path) -> ReadCassette:
    """Return the cassette in a file, ours or another tool's.

    Raises:
        CassetteReadError: there is none, or it cannot be read. The file is left as it is.
    """
    try:
        return parse_cassette(read_bytes(path), path)
    except MemoryError:
        raise CassetteReadError(path, "is too large for the memory of this machine") from None


def parse_cassette(content: bytes | str, path: Path) -> ReadCassette:
    """Return the cassette that the content of a file stands for.

    Args:
        content: what the file holds.
        path: the file, for messages.

    Raises:
        CassetteReadError: the content is no cassette.
    """
    found = parse_source(content, path)
    if isinstance(found, Cassette):
        return ReadCassette(found, "stepreplay")
    for skipped in found.skipped:
        if skipped.broken:
            where = f"{written_location(skipped.location)}: " if skipped.location else ""
            fix = "Convert what can be read of it with: stepreplay convert --to DIR " + display_path(path)
            raise CassetteReadError(path, f"{where}{skipped.reason}", line=skipped.line, fix=fix)
    interactions = tuple(each.interaction() for each in found.exchanges)
    return ReadCassette(Cassette(interactions=interactions), found.format)


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
        return _validated(tree, text, path)
    return read_foreign(tree, text, path, hints)


def parse_tree(content: bytes | str, path: Path) -> tuple[Tree, str]:
    """Return the tree that the content of a file stands for, of whatever schema, and its text.

    Raises:
        CassetteReadError: it is no text, or neither YAML nor JSON; the message names the line.
    """
    text = read_text(content, path)
    try:
        return yaml_parser.parse(text), text
    except yaml_parser.UnusualTextError:
        return _parse_unusual(text, path), text


def write_cassette(path: Path, cassette: Cassette) -> None:
    """Write a cassette, in one step; if the file would not change, it is not touched.

    Args:
        path: the file; its folders are made. A name that ends with ``.json`` is written as JSON.
        cassette: what it shall hold.

    Raises:
        CassetteWriteError: it could not be written. What stood there before still stands.
    """
    content = encode_tree(_tree_of(cassette), path)
    with locked(path):
        write_bytes(path, content)


def encode_tree(tree: dict[str, Tree], path: Path) -> bytes:
    """Return the content of a file that holds the tree.

    Args:
        tree: of whatever schema.
        path: the file. A name that ends with ``.json`` gets JSON.

    Raises:
        CassetteWriteError: it holds what such a file cannot, or what looks like a secret.
    """
    try:
        if path.suffix.lower() == ".json":
            text = json.dumps(tree, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
        else:
            text = yaml_text.render(tree)
        content = text.encode()
    except UnicodeEncodeError:
        raise CassetteWriteError(path, "was not written: it would hold half of a surrogate pair") from None
    except RecursionError:
        raise CassetteWriteError(path, "was not written: it would be nested too deeply") from None
    except ValueError as error:
        raise CassetteWriteError(path, f"was not written: {error}") from None
    refuse_secrets(path, content, tree)
    return content


def render_cassette(cassette: Cassette) -> str:
    """Return the text of a cassette's file: the same text for the same cassette, ending with one newline.

    Raises:
        ValueError: a body holds what JSON cannot.
    """
    return yaml_text.render(_tree_of(cassette))


def _tree_of(model: BaseModel) -> dict[str, Tree]:
    """Return the keys that stand in the file, in the order of the schema and the body last."""
    tree: dict[str, Tree] = {}
    body: dict[str, Tree] = {}
    for name, field in type(model).model_fields.items():
        key, value = field.alias or name, getattr(model, name)
        if key in BODY_KINDS:
            if key == getattr(model, "body_kind", None):
                body[key] = _plain(value)
        elif value is not None and (value or key != "headers"):
            tree[key] = _plain(value)
    return tree | body


def _plain(value: Any) -> Tree:
    if isinstance(value, BaseModel):
        return _tree_of(value)
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


# ---------------------------------------------------------------- reading what `yaml_text` does not


def _parse_unusual(text: str, path: Path) -> Tree:
    """Return the tree of a file that a person or another tool wrote."""
    if not text.strip():
        raise CassetteReadError(path, "is empty", fix=_RECORD_AGAIN)
    conflict = _CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        raise CassetteReadError(path, "has an unresolved merge conflict", line=line, fix=_MEND)
    other = None if _OURS.search(text) else parse_other(text, path)
    if other is not None:
        return other
    # JSON is not always YAML: it has escapes of surrogate pairs, which vcrpy writes.
    if path.suffix.lower() == ".json" or text.lstrip().startswith("{"):
        try:
            return parse_json(text)
        except json.JSONDecodeError as error:
            if path.suffix.lower() == ".json":
                problem = f"is not valid JSON ({error.msg})"
                raise CassetteReadError(path, problem, line=error.lineno, fix=_MEND) from None
        except ValueError as error:
            raise CassetteReadError(path, str(error), fix=_MEND) from None
    return _parse_yaml(text, path)


def _parse_yaml(text: str, path: Path) -> Tree:
    from . import yaml_events  # noqa: PLC0415 -- a run with none but our own files has no need of a YAML parser

    construct = None
    ours = _OURS.search(text)
    if not ours:
        from .. import formats  # noqa: PLC0415 -- it is built on this package

        construct = formats.construct_tag
    try:
        tree = yaml_events.parse_any(text, construct)
    except yaml_events.BrokenYamlError as error:
        raise CassetteReadError(path, error.problem, line=error.line, fix=_MEND) from None
    if ours and not text.startswith("{") and not text.endswith("\n"):
        # Half of a block of YAML is often good YAML too, so this is the only trace of a cut.
        fix = "If it is whole, add a newline at its end; else " + _RECORD_AGAIN.lower()
        line = text.count("\n") + 1
        raise CassetteReadError(path, "seems cut off: its last line has no end", line=line, fix=fix)
    return tree


# ---------------------------------------------------------------- the schema


def check_version(tree: dict[str, Tree], text: str, path: Path) -> None:
    """Do nothing where this version of the package can read the file.

    Raises:
        CassetteReadError: its ``stepreplay`` is no version, or that of a newer format.
    """
    version = tree["stepreplay"]
    if type(version) is not int or version < 1:
        problem = f"stepreplay: should be the version of the format, such as {FORMAT_VERSION}"
        raise CassetteReadError(path, problem, line=line_at(text, ["stepreplay"]))
    if version > FORMAT_VERSION:
        raise CassetteReadError(
            path,
            f"was written by a newer pytest-stepreplay (format {version}; this one knows {FORMAT_VERSION})",
            line=line_at(text, ["stepreplay"]),
            fix="Upgrade it with: pip install --upgrade pytest-stepreplay",
        )


def _validated(tree: dict[str, Tree], text: str, path: Path) -> Cassette:
    check_version(tree, text, path)
    if "interactions" not in tree:
        raise CassetteReadError(path, "seems cut off: it has no 'interactions'", fix=_MEND)
    interactions = tree["interactions"]
    if isinstance(interactions, list):
        # One by one: the first problem is enough, and a hostile file has millions.
        found = (
            _model(Interaction, each, ("interactions", number), text, path)
            for number, each in enumerate(interactions)
        )
        tree = {**tree, "interactions": tuple(found)}
    cassette = _model(Cassette, tree, (), text, path)
    for number, interaction in enumerate(cassette.interactions):
        for part in ("request", "response"):
            encoded = getattr(interaction, part).base64
            if encoded is not None and not _is_base64(encoded):
                location: list[str | int] = ["interactions", number, part, "base64"]
                problem = f"{written_location(location)}: Input should be valid base64"
                raise CassetteReadError(path, problem, line=line_at(text, location))
    return cassette


def _model(kind: type[_Model], tree: Tree, here: tuple[str | int, ...], text: str, path: Path) -> _Model:
    """Return the tree as a model of this kind."""
    location, problem = _oversize(tree)
    more = ""
    if not problem:
        try:
            return kind.model_validate(tree)
        except ValidationError as error:
            location, problem = _first_problem(error, tree)
            others = error.error_count() - 1
            more = f" (and {others} more)" if others else ""
    place: list[str | int] = [*here, *location]
    where = f"{written_location(place)}: " if place else ""
    raise CassetteReadError(path, f"{where}{problem}{more}", line=line_at(text, place), fix=_MEND)


def _oversize(tree: Tree) -> tuple[list[str | int], str]:
    """Return where a part has more that is wrong than memory can tell of, and what it is; else no problem."""
    places: list[list[str | int]] = [[], ["request"], ["response"], ["response", "headers"]]
    for location in places:
        part = tree
        for step in location:
            part = part.get(step) if isinstance(part, dict) else None
        if isinstance(part, dict):
            if len(part) > _MOST_KEYS:
                return location, f"has {len(part):,} keys, and may have {_MOST_KEYS}"
            events = part.get("events")
            for number, event in enumerate(events if isinstance(events, list) else ()):
                if not isinstance(event, str | dict) or (isinstance(event, dict) and len(event) != 1):
                    return [
                        *location,
                        "events",
                        number,
                    ], "Input should be text, or a mapping with one 'frame'"
    return [], ""


def _first_problem(error: ValidationError, tree: Tree) -> tuple[list[str | int], str]:
    """Return where the first problem is, as keys and indexes of the file, and what it is."""
    problems = error.errors(include_url=False, include_input=False)
    # A key that is misspelt explains the one that is missing.
    first = problems[0]
    if first["type"] == "missing":
        first = next((each for each in problems if each["type"] == "extra_forbidden"), first)
    location: list[str | int] = []
    for step in first["loc"]:
        if isinstance(tree, list) and isinstance(step, int):
            tree = tree[step]
        elif isinstance(tree, dict) and (step in tree or first["type"] == "missing"):
            tree = tree.get(step)
        else:
            continue  # pydantic's name for one of the types that would do
        location.append(step)
    problem = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        problem = "the cassette format has no such key"
    return location, problem


def _is_base64(text: str) -> bool:
    try:
        b64decode(text, validate=True)
    except ValueError:
        return False
    return True
