"""The files beside a cassette that hold what is too large for it, each named by the SHA-256 of its bytes.

The name says what must be in such a file: one that was changed is found out, cassettes of one folder share one, and
whoever writes it, at the same time or again, writes the same. It is written before the cassette that cites it.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ..commands import pytest_command
from ..errors import CassetteReadError, CassetteWriteError, display_path
from ..machine import disk
from ..value_classes import dataclass, field
from .files import put, write_error
from .secrets import refuse_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ..models import BodyFile, Buffer, Interaction, Request, Response

_TEXT: Final = re.compile(rb"[\t\n\r -~]{6,}")
"""No secret is shorter, or made of other characters than these."""
_WINDOW: Final = 1 << 20
"""Bytes that are searched for secrets at once."""
_OVERLAP: Final = 1 << 14
"""Bytes that two windows have in common; few keys are as long."""


@dataclass(frozen=True, slots=True)
class _Beside:
    """The bytes of a file beside a cassette.

    Attributes:
        path: the file.
        cassette: the one that cites it.
    """

    path: Path
    cassette: Path = field(compare=False)

    def __call__(self) -> Buffer:
        problem = _problem_with(self.path)
        if problem:
            raise CassetteReadError(
                self.path, f"{problem}; {display_path(self.cassette)} cites it", fix=_fix()
            )
        return disk.read(self.path)


def bind_files(message: Request | Response, cassette: Path) -> None:
    """Lets a message of a cassette read what stands beside it.

    Args:
        message: of the cassette.
        cassette: the file, or its pending one.
    """
    for each in message.files:
        each.bind(_Beside(cassette.with_name(each.name), cassette))


def cited_in(interactions: Iterable[Interaction]) -> Iterator[BodyFile]:
    """Yields the files beside a cassette that its interactions cite."""
    for each in interactions:
        for _, message in each.messages():
            yield from message.files


def check_files(interactions: Iterable[Interaction], cassette: Path) -> None:
    """Does nothing where every response can be replayed that stands in a file beside the cassette.

    A request is known by its digest, so the files that it cites need not be there.

    Raises:
        CassetteReadError: a file is not there, or was changed; the message names it.
    """
    for each in interactions:
        for file in each.response.files:
            problem = _problem_beside(cassette, file)
            if problem:
                path = cassette.with_name(file.name)
                raise CassetteReadError(path, f"{problem}; {display_path(cassette)} cites it", fix=_fix())


def problems_with(
    interaction: Interaction, cassette: Path
) -> Iterator[tuple[tuple[str | int, ...], BodyFile, str]]:
    """Yields what is wrong with the files that an interaction cites: in which message, which file, and what."""
    for place, message in interaction.messages():
        for file in message.files:
            problem = _problem_beside(cassette, file)
            if problem:
                yield place, file, problem


def write_files(interactions: Iterable[Interaction], cassette: Path) -> None:
    """Writes the files that interactions cite beside their cassette, each in one step; those that are there stay.

    Args:
        interactions: those about to be written.
        cassette: their file; its lock is held.

    Raises:
        CassetteError: one cannot be written, or would hold a secret, or is copied from a place where it is not.
    """
    for file in {each.name: each for each in cited_in(interactions)}.values():
        target = cassette.with_name(file.name)
        if file.source == _Beside(target, cassette) or not _problem_with(target):
            continue
        data = file.read()
        for text in texts_in(data):
            refuse_secrets(target, text, {})
        try:
            disk.make_folders(target.parent)
            put(target, data, owner=cassette)
        except (OSError, ValueError) as error:
            raise write_error(target, error) from None


def texts_in(data: Buffer) -> Iterator[bytes]:
    """Yields the texts in the bytes of a file, which may hold a secret, in pieces that overlap: no copy of it all."""
    for start in range(0, len(data), _WINDOW):
        yield b"\0".join(_TEXT.findall(data[start : start + _WINDOW + _OVERLAP]))


def remove_file(path: Path) -> None:
    """Removes a file that no cassette cites.

    Raises:
        CassetteWriteError: it cannot be removed.
    """
    try:
        disk.remove(path)
    except OSError as error:
        raise CassetteWriteError(path, f"could not be removed: {error.strerror}") from None


def _problem_beside(cassette: Path, file: BodyFile) -> str:
    """Returns what is wrong with a file beside a cassette; nothing where another tool's cassette holds it itself."""
    held = file.source is not None and not isinstance(file.source, _Beside)
    return "" if held else _problem_with(cassette.with_name(file.name))


def _problem_with(path: Path) -> str:
    """Returns what is wrong with a file that a cassette cites; nothing where nothing is."""
    digest = sha256()
    try:
        if not disk.is_file(path):
            return "is missing"
        for piece in disk.pieces_of(path):
            digest.update(piece)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return (
        ""
        if path.name.startswith(digest.hexdigest())
        else "was changed: its name is the SHA-256 of other bytes"
    )


def _fix() -> str:
    return f"Restore it, or record the test again with: {pytest_command('--stepreplay=rewrite')}"
