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
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import CassetteWriteError
from ..machine import clock
from .files import HIDDEN, PENDING_SUFFIX, stem_of, write_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from filelock import BaseFileLock

TIMEOUT: Final = 30.0
"""How many seconds to wait for another process; a save takes milliseconds."""

_POLL: Final = 0.005  # seconds; a save is over soon
_MOST_READ: Final = 1000  # bytes of a lock file
_UNSUPPORTED: Final = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP})
_held = threading.local()


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
    held: set[Path] = _held.__dict__.setdefault("paths", set())
    if path in held:
        yield
        return
    try:
        target = Path(os.path.realpath(path))
    except (OSError, ValueError) as error:
        raise write_error(path, error) from None
    target = target.with_name(target.name.removesuffix(PENDING_SUFFIX))
    if target in held:
        yield
        return
    with _acquired(path, target):
        held.add(target)
        try:
            yield
        finally:
            held.remove(target)


@contextmanager
def _acquired(path: Path, target: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout  # noqa: PLC0415 -- a run that writes nothing does without

    file = target.with_name(f".{stem_of(target)}.lock")
    lock = FileLock(file, timeout=TIMEOUT, poll_interval=_POLL, fallback_to_soft=False)
    has_locks = True
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise CassetteWriteError(
            path,
            f"was not written: for {TIMEOUT:g} seconds {_holder(file)} has been writing it",
            fix="Wait for it, or end it if it hangs, then run this again",
        ) from None
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) not in _UNSUPPORTED:
            raise write_error(path, error) from None
        has_locks = False
    if not has_locks:
        yield
        return
    try:
        _sign(file)
        _remove_leftovers(target)
        yield
    finally:
        _release(lock, file)


def _release(lock: BaseFileLock, file: Path) -> None:
    # Whoever waits for the file that goes here sees that it is gone, and makes another one. Windows lets nobody
    # remove a file that is open; there the library does so afterwards.
    if os.name != "nt":
        with suppress(OSError):
            file.unlink()
    lock.release()


def _remove_leftovers(target: Path) -> None:
    """Remove what killed processes have left in the folder: nobody holds the locks of those files."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 -- it has been imported already

    left: dict[str, list[Path]] = {}
    with suppress(OSError):
        for name in os.listdir(target.parent):  # noqa: PTH208 - a Path for each file takes longer than all the rest
            found = HIDDEN.fullmatch(name) if name.startswith(".") else None
            if found:
                left.setdefault(found[1], []).append(target.with_name(name))
    mine = {stem_of(each) for each in (target, *_held.paths)}
    for stem, files in left.items():
        temporary = [each for each in files if each.suffix == ".tmp"]
        if stem in mine:
            _unlink(temporary if stem == stem_of(target) else [])
            continue
        file = target.with_name(f".{stem}.lock")
        lock = FileLock(file, fallback_to_soft=False)
        with suppress(OSError, Timeout):
            lock.acquire(timeout=0)
            _unlink(temporary)
            _release(lock, file)


def _unlink(files: list[Path]) -> None:
    for each in files:
        with suppress(OSError):
            each.unlink()


def _sign(file: Path) -> None:
    """Write into a lock file who holds it."""
    who = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": clock.now().isoformat("T", "seconds"),
    }
    with suppress(OSError):  # it is for a message alone
        descriptor = os.open(file, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            # Not O_TRUNC: after it, ext4 brings the file to the disk when it is closed.
            os.ftruncate(descriptor, os.write(descriptor, json.dumps(who).encode()))
        finally:
            os.close(descriptor)


def _holder(file: Path) -> str:
    """Return who holds a lock, as its file says."""
    try:
        with file.open("rb") as opened:
            who = json.loads(opened.read(_MOST_READ))
        since = clock.read(str(who["since"]))
        return f"process {int(who['pid'])} on {ascii(str(who['host']))[1:-1]} (since {since:%Y-%m-%d %H:%M:%S} UTC)"
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return "another process"
