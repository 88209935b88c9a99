"""The files beside cassettes that none of them cites any more."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CassetteReadError
from ..machine import disk
from ..models import Cassette
from .body_files import cited_in
from .cassettes import read_cassette
from .files import PENDING_SUFFIX
from .paths import BESIDE, SNAPSHOTS_SUFFIX, SUFFIXES
from .pending import read_new_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..models import BodyFile, Interaction


def iter_uncited(root: Path, left: Callable[[Path, Cassette], Iterable[Interaction]]) -> Iterator[Path]:
    """Yields the files under a folder that are named as those beside a cassette, and that nothing there cites.

    Where a cassette cannot be read, all that stand beside it stay.

    Args:
        root: the folder.
        left: returns the interactions of a cassette that count.
    """
    folders: dict[Path, list[Path]] = {}
    for entry in disk.walk(root):
        folders.setdefault(Path(entry.path).parent, []).append(Path(entry.path))
    for _, paths in sorted(folders.items()):
        named = sorted(path for path in paths if BESIDE.fullmatch(path.name))
        if named:
            with suppress(CassetteReadError):
                cited = {file.name for path in paths for file in _cited_by(path, left)}
                yield from (path for path in named if path.name not in cited)


def _cited_by(path: Path, left: Callable[[Path, Cassette], Iterable[Interaction]]) -> Iterator[BodyFile]:
    name = path.name.lower()
    if name.endswith(PENDING_SUFFIX) and not path.name.startswith("."):
        new = read_new_version(path)
        if isinstance(new, Cassette):
            yield from cited_in(new.interactions)
    elif name.endswith(SUFFIXES) and not name.endswith(SNAPSHOTS_SUFFIX) and not path.name.startswith("."):
        yield from cited_in(left(path, read_cassette(path).cassette))
