"""Bytes of a file, read and written whole: a crash at any moment leaves the old file or the new one.

Who writes a file that others may be writing too holds its lock (`locks`). What the operating system refuses
comes back as a `CassetteError` that says in one line what it was.
"""

from __future__ import annotations

import errno
import re
import stat
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..commands import pytest_command
from ..errors import CassetteReadError, CassetteWriteError, display_path
from ..lazy import late_pattern
from ..machine import disk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..machine.file_lock import FileLock

MAX_SIZE = 32 * 1024 * 1024
"""The most bytes that a file may have. A hostile one can take thirty times its size in memory, and whoever
reviews a pull request cannot look through it anyway."""

PENDING_SUFFIX = ".new"
"""What is added to the name of a file for that of its pending one."""

HIDDEN = late_pattern(r"\.(.{1,48}-[0-9a-f]{8})\.(lock|[0-9a-f]{8}\.tmp)", re.DOTALL)
"""The names of the files that are there only during a save: the stem tells whose."""

_MOST_UNFLUSHED: Final = 32
"""So many files of one folder wait at most for their names to be brought to the disk."""
_groups: Final = list[None]()
_unflushed: Final = dict[str, int]()

_WHAT_TO_DO = {
    errno.ENOSPC: "Free some disk space, then run it again.",
    errno.EDQUOT: "Free some disk space, then run it again.",
    errno.EACCES: "Make the folder writable, or set another one with --stepreplay-dir.",
    errno.EPERM: "Make the folder writable, or set another one with --stepreplay-dir.",
    errno.EROFS: "Make the folder writable, or set another one with --stepreplay-dir.",
}


def exists(path: Path) -> bool:
    """Tell whether something stands at the path, be it readable or not."""
    return disk.exists(path)


def read_bytes(path: Path) -> bytes:
    """Return what the file holds.

    Raises:
        CassetteReadError: there is no file, or it cannot be read.
    """
    try:
        # Anything else would block (a pipe) or never end (a device).
        status = disk.status(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise CassetteReadError(path, f"is {kind}, where a cassette file should be")
        if status.st_size > MAX_SIZE:
            raise CassetteReadError(
                path, f"is larger than {MAX_SIZE >> 20} MiB, the most a cassette may have"
            )
        return disk.read(path)
    except FileNotFoundError:
        fix = f"Record it with: {pytest_command('--stepreplay=record')}"
        raise CassetteReadError(path, "does not exist", fix=fix) from None
    except (OSError, ValueError) as error:
        raise CassetteReadError(path, f"cannot be read: {_reason(error)}") from None
    except MemoryError:
        raise CassetteReadError(path, "is too large for the memory of this machine") from None


def read_if_there(path: Path) -> bytes | None:
    """Return what the file holds; None where nothing stands at the path.

    Raises:
        CassetteReadError: it cannot be read.
    """
    try:
        return read_bytes(path)
    except CassetteReadError:
        if exists(path):
            raise
        return None


def write_bytes(path: Path, content: bytes, lock: FileLock | None = None) -> None:
    """Write the file, and the folders it needs; a file that has this content already is not touched.

    Args:
        path: the file; a link stays one.
        content: what it shall hold.
        lock: the file's own, to be given up with the writing.

    Raises:
        CassetteWriteError: it could not be written; what stood there before still stands.
    """
    if len(content) > MAX_SIZE:
        size = f"{len(content) / (1 << 20):,.1f} MiB"
        raise CassetteWriteError(
            path,
            f"was not written: it would have {size}, and a file of more than {MAX_SIZE >> 20} MiB is not read",
            fix="Record less in one test, or in several cassettes",
        )
    try:
        target, found = path, disk.status_of_link(path)
        if found is not None and stat.S_ISLNK(found.st_mode):  # a link stays a link
            target = Path(disk.real_path(path))
            found = disk.status_of_link(target)
        if found is None or not holds(target, content):
            disk.make_folders(disk.split(target)[0])
            put(target, content, owner=target, is_new=found is None, lock=lock)
    except (OSError, ValueError) as error:
        raise write_error(path, error) from None


def remove_cassette(path: Path) -> None:
    """Remove the file, if it is there.

    Raises:
        CassetteWriteError: it cannot be removed.
    """
    try:
        with suppress(FileNotFoundError):
            disk.remove(path)
    except OSError as error:
        raise CassetteWriteError(path, f"could not be removed: {_reason(error)}") from None


def check_writable(path: Path) -> None:
    """Checks, as far as can be told before, that a file can be written at the path.

    Raises:
        CassetteWriteError: it cannot.
    """
    for parent in path.parents:
        if disk.exists(parent):
            if not disk.is_folder(parent):
                problem = f"cannot be written: {display_path(parent)} is a file, not a folder"
                raise CassetteWriteError(path, problem)
            if not disk.may_write_in(parent):
                raise CassetteWriteError(
                    path, f"cannot be written: {display_path(parent)} may not be written"
                )
            return


def holds(target: Path, content: bytes) -> bool:
    """Tell whether a file, which is no link, holds this very content."""
    try:
        return disk.status(target).st_size == len(content) and disk.read(target) == content
    except OSError:  # if it stands in the way of writing too, that says so
        return False


def put(
    target: Path,
    content: bytes | memoryview,
    *,
    owner: Path,
    is_new: bool = False,
    lock: FileLock | None = None,
) -> None:
    """Write the content beside the target, then put it in its place in one step.

    Args:
        target: the file.
        content: what it shall hold.
        owner: the file whose lock is held. While it is, nobody takes what is being written for left over.
        is_new: there is no such file yet whose permissions it could have.
        lock: the owner's, whose file is then the one that is filled; it is given up.
    """
    folder, _ = disk.split(target)
    if lock is not None:
        lock.become(target, content, is_new=is_new)
    else:
        temporary = disk.join(folder, f".{stem_of(owner)}.{disk.token()}.tmp")
        try:
            disk.create(temporary, content)
            if not is_new:
                disk.copy_mode(target, temporary)
            disk.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                disk.remove(temporary)
            raise
    if _groups and target == owner:
        _flush_later(folder)
    else:
        disk.flush_folder(folder)


@contextmanager
def flushed_together() -> Iterator[None]:
    """Brings the names of files that are written inside to the disk many at a time, the last when the block ends.

    Their bytes are there before they have their names, so whatever happens, each file is the old one or the new one.
    What a file's owner cites is not put off.
    """
    _groups.append(None)
    try:
        yield
    finally:
        _groups.pop()
        if not _groups:
            while _unflushed:
                disk.flush_folder(_unflushed.popitem()[0])


def _flush_later(folder: str) -> None:
    waiting = _unflushed[folder] = _unflushed.get(folder, 0) + 1
    if waiting >= _MOST_UNFLUSHED:
        _unflushed.pop(folder, None)
        disk.flush_folder(folder)


def write_error(path: Path, error: OSError | ValueError) -> CassetteWriteError:
    """Return what to say of a file that the operating system does not let be written."""
    before = "the file on disk is still the old one" if exists(path) else "nothing was written"
    fix = _WHAT_TO_DO.get(getattr(error, "errno", None) or 0, "")
    return CassetteWriteError(path, f"could not be written: {_reason(error)}; {before}", fix=fix)


def stem_of(target: Path) -> str:
    """Return what the hidden files of a file and of its pending one have in their names."""
    return stem_of_name(disk.split(target)[1].removesuffix(PENDING_SUFFIX))


@lru_cache(maxsize=64)  # each save asks several times
def stem_of_name(name: str) -> str:
    """Return the same for the name of a file that is no pending one."""
    digest = sha256(name.encode(errors="surrogateescape")).hexdigest()[:8]
    return f"{name[:48]}-{digest}"  # four bytes for each character stay below what a name may have


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
