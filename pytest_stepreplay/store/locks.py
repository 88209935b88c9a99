"""One writer at a time: a lock for each file that processes, threads and runs write together.

The path of a file goes in. While its lock is held, the file may be read again, merged with and written. The
lock is a hidden file beside it, which is there only meanwhile: the holder removes it, and the next one removes
what a killed process has left.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import CassetteWriteError
from ..machine import clock, disk
from ..machine.file_lock import FileLock
from .files import HIDDEN, PENDING_SUFFIX, stem_of, stem_of_name, write_bytes, write_error

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT: Final = 30.0
"""How many seconds to wait for another process; a save takes milliseconds."""

_MOST_READ: Final = 1000  # bytes of a lock file
_UNSUPPORTED: Final = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP})
_FEW: Final = 16
"""So many files in a folder are looked at in each save; of more, so many on average."""
_held = threading.local()
_left_alone: Final = dict[str, int]()
"""By folder, how many saves do not look for leftovers."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps every other process and thread from writing a file, or its pending one, for the time of a block.

    Blocks for the same file may stand in each other. Where the file system knows no locks, there is none: a
    file is then still written in one step.

    Args:
        path: the file; its folder is made.

    Raises:
        CassetteWriteError: the lock cannot be had; the message says who holds it.
    """
    held: dict[str, FileLock | None] = _held.__dict__.setdefault("paths", {})
    if str(path) in held:
        yield
        return
    try:
        target = disk.real_path(path).removesuffix(PENDING_SUFFIX)
    except (OSError, ValueError) as error:
        raise write_error(path, error) from None
    if target in held:
        yield
        return
    with _acquired(path, *disk.split(target)) as lock:
        added = dict.fromkeys((str(path), target), lock)
        held |= added
        try:
            yield
        finally:
            for each in added:
                del held[each]


def write_last(path: Path, content: bytes) -> None:
    """Writes a file, as `files.write_bytes` does, where that is the last thing done under its lock.

    The file of the lock is filled and put in the place of the other one, which gives the lock up.

    Raises:
        CassetteWriteError: it could not be written; what stood there before still stands.
    """
    # Windows renames no file that is open.
    write_bytes(path, content, None if sys.platform == "win32" else _held.paths.get(str(path)))


@contextmanager
def _acquired(path: Path, folder: str, name: str) -> Iterator[FileLock | None]:
    file = disk.join(folder, f".{stem_of_name(name)}.lock")
    lock = FileLock(file)
    has_locks = True
    try:
        disk.make_folders(folder)
        if not lock.acquire(TIMEOUT):
            raise CassetteWriteError(
                path,
                f"was not written: for {TIMEOUT:g} seconds {_holder(file)} has been writing it",
                fix="Wait for it, or end it if it hangs, then run this again",
            )
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) not in _UNSUPPORTED:
            raise write_error(path, error) from None
        has_locks = False
    if not has_locks:
        yield None
        return
    try:
        _sign(lock)
        _remove_leftovers(folder, name)
        yield lock
    finally:
        lock.release()


def _remove_leftovers(folder: str, target: str) -> None:
    """Remove what killed processes have left in the folder: nobody holds the locks of those files.

    In a folder of many files this looks only now and then, or saving all of them would take the square of the time.
    """
    if _left_alone.get(folder, 0) > 0:
        _left_alone[folder] -= 1
        return
    left: dict[str, list[str]] = {}
    with suppress(OSError):
        names = disk.names_in(folder)
        _left_alone[folder] = len(names) // _FEW
        for name in names:
            found = HIDDEN.fullmatch(name) if name.startswith(".") else None
            if found:
                left.setdefault(found[1], []).append(disk.join(folder, name))
    own = stem_of_name(target)
    mine = {own, *(stem_of(Path(each)) for each in _held.paths)} if left else ()
    for stem, files in left.items():
        temporary = [each for each in files if each.endswith(".tmp")]
        if stem in mine:
            _unlink(temporary if stem == own else [])
            continue
        lock = FileLock(disk.join(folder, f".{stem}.lock"))
        with suppress(OSError):
            if lock.acquire(0):
                _unlink(temporary)
                lock.release()


def _unlink(files: list[str]) -> None:
    for each in files:
        with suppress(OSError):
            disk.remove(each)


def _sign(lock: FileLock) -> None:
    """Write into the file of a lock who holds it."""
    since = clock.now().isoformat("T", "seconds")
    who = f'{{"pid": {os.getpid()}, "host": {json.dumps(socket.gethostname())}, "since": "{since}"}}'
    with suppress(OSError):  # it is for a message alone
        lock.sign(who.encode())


def _holder(file: str) -> str:
    """Return who holds a lock, as its file says."""
    try:
        who = json.loads(disk.read(file, _MOST_READ))
        since = clock.read(str(who["since"]))
        return f"process {int(who['pid'])} on {ascii(str(who['host']))[1:-1]} (since {since:%Y-%m-%d %H:%M:%S} UTC)"
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return "another process"
