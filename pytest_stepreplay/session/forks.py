"""What forked children of a test did with its cassette, handed back to the process that opened it.

A child of `os.fork` answers and records with a copy of the session that nobody would ever close. Notes on what
it did go in there, and come out in the parent, in their order. They travel through a file without a name, so
nothing of it is left behind, whoever is killed.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from ..machine import disk


class Forks:
    """One session's way to its forked copies, and theirs to it.

    Attributes:
        lock: the session's, which may be taken within itself; a copy has one of its own, as a thread that is not
            there may hold the other.
        is_copy: this is a forked copy; the cassette is written by the process that opened it.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.is_copy = False
        self._file: int | None = None
        self._taken = 0
        self._reading = threading.Lock()
        _open.add(self)

    def tell(self, note: dict[str, Any]) -> None:
        """Hands a note, of JSON values, to the process that opened the cassette; does nothing in that process.

        Raises:
            OSError: it cannot be handed over.
        """
        if not self.is_copy:
            return
        if self._file is None:
            raise OSError("there was no room for a temporary file")
        disk.write(self._file, json.dumps(note).encode() + b"\n")

    @property
    def may_tell(self) -> bool:
        """Whether there may be notes to take: this process has forked, or is about to."""
        return self._file is not None and not self.is_copy

    def notes(self) -> list[dict[str, Any]]:
        """Returns the notes that have come since this was last asked."""
        if self._file is None or not self.may_tell:
            return []
        with self._reading:  # any thread may ask
            pieces = []
            while piece := disk.read_at(self._file, 1 << 20, self._taken):
                pieces.append(piece)
                self._taken += len(piece)
            lines = b"".join(pieces)
            whole = lines.rpartition(b"\n")[0]
            self._taken -= len(lines) - len(whole) - bool(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def close(self) -> None:
        """Takes no more notes."""
        _open.discard(self)
        if self._file is not None and not self.is_copy:
            disk.close(self._file)
            self._file = None

    def prepare(self) -> None:
        """Makes the file, just before a fork."""
        if self._file is None and not self.is_copy:
            with suppress(OSError):  # the copy says so, if it has something to tell
                self._file = disk.open_nameless()

    def become_copy(self) -> None:
        """Makes this, in a child, the copy that it is."""
        self.is_copy = True
        self.lock = threading.RLock()


_open: WeakSet[Forks] = WeakSet()


def _before_fork() -> None:
    for each in list(_open):
        each.prepare()


def _after_fork() -> None:
    for each in list(_open):
        each.become_copy()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
