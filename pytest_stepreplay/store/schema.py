"""The tree that a cassette file stands for <-> a `Cassette`, and what is wrong with a tree that is none.

A tree in which every key and type is right is read directly. Any other goes to pydantic, which is imported only then:
it reads what may be read nevertheless, and tells the first problem of the rest.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from ..commands import mend_or_record
from ..errors import CassetteReadError
from ..models import (
    BODY_KINDS,
    FORMAT_VERSION,
    PLAIN_VERSION,
    BodyFile,
    BodyPart,
    Cassette,
    Interaction,
    RawFrame,
    Request,
    Response,
    Stream,
    StreamError,
)
from . import body_files, validating
from .codec import line_at, written_location

if TYPE_CHECKING:
    from pathlib import Path

    from ..wire.json_values import Tree

_SIMPLE = frozenset({"events", "stream", "parts", "file"})
"""Keys of a message whose values are more than JSON."""
_LEFT_OUT = frozenset({"headers", "samples"})
"""Keys that do not stand in the file where they hold nothing."""
_OF_JSON = frozenset({str, int, float, dict, list})
_ONLY_TEXT = frozenset({str})
_TEXT_OR_NOTHING = frozenset({str, type(None)})
_ENDS = frozenset({(None, None), ("closed", None), *(("broken", error) for error in get_args(StreamError))})
_Message = TypeVar("_Message", Request, Response)


def tree_of(value: Any) -> dict[str, Tree]:
    """Return the keys that stand in the file for a value of `models`: in the schema's order, the body last."""
    tree: dict[str, Tree] = {}
    names, has_body = _names_of(value.__class__)
    for key in names:
        part = getattr(value, key)
        if part is not None and (part or key not in _LEFT_OUT):
            tree[key] = _plain(part)
    kind = value.body_kind if has_body else None
    if kind is not None:
        tree[kind] = _plain(getattr(value, kind))
    return tree


@cache
def _names_of(kind: type[Any]) -> tuple[tuple[str, ...], bool]:
    """Return the names of a class's fields but for those of a body, and whether it has these."""
    names = tuple(each.name for each in fields(kind))
    has_body = issubclass(kind, Request | Response)
    return tuple(each for each in names if not (has_body and each in BODY_KINDS)), has_body


def _plain(value: Any) -> Tree:
    kind = value.__class__
    if kind in _OF_JSON:
        return value
    if kind is Request or kind is Response or is_dataclass(value):
        return tree_of(value)
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def cassette_of(tree: dict[str, Tree], text: str, path: Path) -> Cassette:
    """Return the cassette that the tree of a file stands for.

    Args:
        tree: with a ``stepreplay``.
        text: of the file, for the lines of what is wrong.
        path: the file, for messages.

    Raises:
        CassetteReadError: it is none; the message says what is wrong first, and where.
    """
    check_version(tree, text, path)
    if "interactions" not in tree:
        raise CassetteReadError(path, "seems cut off: it has no 'interactions'", fix=mend_or_record(path))
    interactions = tree["interactions"]
    if isinstance(interactions, list):
        # One by one: the first problem is enough, and a hostile file has millions.
        found = (
            interaction_of(each)
            or validating.validated(Interaction, each, ("interactions", number), text, path)
            for number, each in enumerate(interactions)
        )
        tree = {**tree, "interactions": tuple(found)}
    cassette = _plainly(tree) or validating.validated(Cassette, tree, (), text, path)
    for number, interaction in enumerate(cassette.interactions):
        for where, message in interaction.messages():
            place: list[str | int] = []
            if message.parts is not None or message.file is not None:
                body_files.bind_files(message, path)
                place = next(
                    (
                        ["parts", i, "base64"]
                        for i, each in enumerate(message.parts or ())
                        if _is_no_base64(each)
                    ),
                    [],
                )
            elif message.base64 is not None and _is_no_base64(message):
                place = ["base64"]
            if place:
                location = ["interactions", number, *where, *place]
                problem = f"{written_location(location)}: should be valid base64"
                raise CassetteReadError(path, problem, line=line_at(text, location))
    return cassette


def check_version(tree: dict[str, Tree], text: str, path: Path) -> None:
    """Do nothing where this version of the package can read the file.

    Raises:
        CassetteReadError: its ``stepreplay`` is no version, or that of a newer format.
    """
    version = tree["stepreplay"]
    if type(version) is not int or version < 1:
        problem = f"stepreplay: should be the version of the format, such as {PLAIN_VERSION}"
        raise CassetteReadError(path, problem, line=line_at(text, ["stepreplay"]))
    if version > FORMAT_VERSION:
        raise CassetteReadError(
            path,
            f"was written by a newer pytest-stepreplay (format {version}; this one knows {FORMAT_VERSION})",
            line=line_at(text, ["stepreplay"]),
            fix="Upgrade it with: pip install --upgrade pytest-stepreplay",
        )


# ---------------------------------------------------------------- a tree that is all right


def interaction_of(tree: Any, path: Path | None = None) -> Interaction | None:
    """Return the interaction that a tree plainly stands for; None where pydantic must look at it.

    Args:
        tree: of an interaction.
        path: the cassette, beside which files hold what is too large for it, where nobody else binds them.
    """
    try:
        request = _message_of(Request, tree["request"])
        response = _message_of(Response, tree["response"])
        found = Interaction(**{**tree, "request": request, "response": response})
        if "samples" in tree:
            found = replace(found, samples=_samples_of(tree["samples"]))
        right = (
            request.method.__class__ is str
            and request.url.__class__ is str
            and _is_plain(response)
            and found.recorded_at.__class__ in _TEXT_OR_NOTHING
            and found.stale.__class__ in _TEXT_OR_NOTHING
            and (found.elapsed is None or found.elapsed.__class__ is float)
        )
    except (TypeError, KeyError, ValueError, AttributeError, _NotPlainError):
        return None
    if right and path is not None:
        for _, message in found.messages():
            body_files.bind_files(message, path)
    return found if right else None


def _samples_of(tree: Any) -> tuple[Response, ...]:
    if tree.__class__ is not list:
        raise _NotPlainError
    samples = tuple(_message_of(Response, each) for each in tree)
    if not all(map(_is_plain, samples)):
        raise _NotPlainError
    return samples


def _is_plain(response: Response) -> bool:
    return (
        response.status.__class__ is int
        and response.headers.__class__ is dict
        and _ONLY_TEXT.issuperset(map(type, (*response.headers, *response.headers.values())))
        and (response.stream is None or (response.stream.end, response.stream.error) in _ENDS)
    )


def request_of(tree: Any) -> Request | None:
    """Return the request that a tree plainly stands for, as `tree_of` has made it; None where it is none."""
    try:
        return _message_of(Request, tree)
    except (TypeError, KeyError, ValueError, AttributeError, _NotPlainError):
        return None


class _NotPlainError(Exception):
    """A type is another than it should be, and pydantic must say whether it will do."""


def _message_of(kind: type[_Message], tree: Any) -> _Message:
    if not _SIMPLE.isdisjoint(tree):
        tree = dict(tree)
        if tree.get("parts") is not None:
            tree["parts"] = tuple(_part_of(each) for each in tree["parts"])
        if tree.get("file") is not None:
            tree["file"] = _file_of(tree["file"])
        if tree.get("events") is not None:
            tree["events"] = _events_of(tree["events"])
        if tree.get("stream") is not None:
            tree["stream"] = Stream(**tree["stream"])
    message = kind(**tree)
    if message.text.__class__ not in _TEXT_OR_NOTHING or message.base64.__class__ not in _TEXT_OR_NOTHING:
        raise _NotPlainError
    return message


def _part_of(tree: Any) -> BodyPart:
    part = BodyPart(**{**tree, "file": _file_of(tree["file"])} if tree.get("file") is not None else tree)
    if part.head.__class__ is not str or {part.text.__class__, part.base64.__class__} - _TEXT_OR_NOTHING:
        raise _NotPlainError
    return part


def _file_of(tree: Any) -> BodyFile:
    file = BodyFile(**tree)
    if file.size.__class__ is not int:
        raise _NotPlainError
    return file


def _events_of(tree: Any) -> tuple[str | RawFrame, ...]:
    if tree.__class__ is not list:
        raise _NotPlainError
    events = tuple([each if each.__class__ is str else RawFrame(**each) for each in tree])
    if not _ONLY_TEXT.issuperset([type(each.frame) for each in events if isinstance(each, RawFrame)]):
        raise _NotPlainError
    return events


def _plainly(tree: dict[str, Any]) -> Cassette | None:
    plain = tree.get("test").__class__ in _TEXT_OR_NOTHING and isinstance(tree["interactions"], tuple)
    return Cassette(**tree) if plain and tree.keys() <= {"stepreplay", "test", "interactions"} else None


def _is_no_base64(holder: Request | Response | BodyPart) -> bool:
    try:
        b64decode(holder.base64 or "", validate=True)
    except ValueError:
        return True
    return False
