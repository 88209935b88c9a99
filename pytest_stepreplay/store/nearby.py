"""The cassettes near one of them: its path goes in, and those of others come out, the nearest first.

A suite may have a hundred thousand cassettes, and whoever looks for one has time for a few. So a folder is listed
when it is its turn, and of very many names only some: what it costs does not grow with the suite.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..machine import disk
from . import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_ONE: Final = 4_000
_IN_ALL: Final = 8_000
"""Names that are read of one folder, and of all but those that somebody asked about."""


class Neighborhood:
    """The cassettes under one folder. What it has listed, it knows for good."""

    def __init__(self, root: Path) -> None:
        """Looks at nothing yet."""
        self._root = root
        self._left = _IN_ALL
        self._unlisted = deque([str(root)])
        self._names: dict[str, list[str]] = {}

    def same_named(self, path: Path) -> Iterator[str]:
        """Yields the other cassettes of that name, those in the upper folders first."""
        own = str(path.parent)
        self._list(own)
        self._list_folders()
        for folder, names in self._names.items():
            if folder != own and path.name in names:
                yield os.path.join(folder, path.name)  # noqa: PTH118 - in texts, since there are many
        for folder in self._unlisted:
            name = os.path.join(folder, path.name)  # noqa: PTH118 - as above
            if folder not in self._names and self._is_inside(name):
                yield name

    def nearest_first(self, path: Path) -> Iterator[str]:
        """Yields the others: those of that name, then those in its folder, below it, and in all others."""
        yield from self.same_named(path)
        own = str(path.parent)
        below = own + os.sep
        for folder in sorted(self._names, key=lambda name: (name != own, not name.startswith(below), name)):
            names = (name for name in self._names[folder] if name != path.name)
            yield from (os.path.join(folder, name) for name in names)  # noqa: PTH118 - as above

    def _is_inside(self, name: str) -> bool:
        return disk.is_file(name) and not paths.leads_out(Path(name), self._root)

    def _list_folders(self) -> None:
        """Lists folders from the uppermost down, until enough names are read."""
        while self._unlisted and self._left > 0:
            self._left -= self._list(self._unlisted.popleft())

    def _list(self, folder: str) -> int:
        """Lists a folder, if that is still to be done, and returns how many names were read."""
        if folder in self._names:
            return 0
        try:
            entries = disk.entries_in(folder, _IN_ONE)
        except OSError:
            entries = []
        names = self._names[folder] = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith("."):
                    self._unlisted.append(entry.path)
            elif paths.is_cassette(entry, self._root):
                names.append(entry.name)
        names.sort()
        return len(entries)
