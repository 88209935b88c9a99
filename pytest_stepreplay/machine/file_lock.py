"""A lock that one thread of one process holds at a time: a file on the real disk, waited for by the real clock.

The file is there only while someone holds the lock. It is the system that keeps the lock, so that of a killed process
is free at once.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from . import clock, disk

if TYPE_CHECKING:
    from .disk import AnyPath

_POLL: Final = 0.005  # seconds; a save is over soon


class FileLock:
    """The lock that a file stands for; to be acquired once, and released by the same thread."""

    def __init__(self, path: AnyPath) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, timeout: float) -> bool:
        """Waits for the lock, and tells whether it is held now.

        Args:
            timeout: the most seconds to wait; 0 to try once.

        Raises:
            OSError, ValueError: the file cannot be made, or its file system knows no locks.
        """
        if self._try():
            return True
        began = clock.seconds()
        while clock.seconds() - began < timeout:
            clock.sleep(_POLL)
            if self._try():
                return True
        return False

    def _try(self) -> bool:
        try:
            descriptor = disk.open_lock(self._path)
        except PermissionError:
            if sys.platform == "win32" and disk.exists(self._path):
                return False  # it is just being removed
            raise
        try:
            # Whoever held it may have removed this file meanwhile: the next one is another.
            if disk.lock(descriptor) and disk.is_still_at(descriptor, self._path):
                self._descriptor = descriptor
        finally:
            if self._descriptor is None:
                disk.close(descriptor)
        return self._descriptor is not None

    def sign(self, content: bytes) -> None:
        """Puts into the file who holds the lock; only its holder may.

        Raises:
            OSError: it cannot be written.
        """
        if self._descriptor is not None:
            disk.overwrite_open(self._descriptor, content)

    def become(self, path: AnyPath, content: bytes | memoryview, *, is_new: bool = False) -> None:
        """Fills the lock's own file, puts it at a path in one step, and so lets the lock go.

        Nothing is made or removed for it: ext4 passes over the places of files that were removed in the last minutes,
        so each new file takes longer the more of them there are.

        Args:
            path: in the same folder.
            content: what the file shall hold.
            is_new: there is no such file yet whose permissions it could have.

        Raises:
            OSError, ValueError: it cannot be written; the lock is still held, if it was.
        """
        if self._descriptor is None:
            raise ValueError("the lock is not held")
        disk.fill(self._descriptor, content)
        if not is_new:
            disk.copy_mode(path, self._path)
        disk.replace(self._path, path)
        self._let_go(self._descriptor)

    def release(self) -> None:
        """Lets the lock go, and removes its file."""
        if self._descriptor is None:
            return
        if sys.platform != "win32":  # which lets nobody remove a file that is open
            self._remove()
        self._let_go(self._descriptor)
        if sys.platform == "win32":
            self._remove()

    def _let_go(self, descriptor: int) -> None:
        self._descriptor = None
        try:
            disk.unlock(descriptor)  # a child that was forked meanwhile has the file open too
        finally:
            disk.close(descriptor)

    def _remove(self) -> None:
        with suppress(OSError):  # the next one does
            disk.remove(self._path)
