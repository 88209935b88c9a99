"""Bytes of a file, read and written whole: a crash at any moment leaves the old file or the new one.

What the operating system refuses comes back as a `CassetteError` that says in one line what it was.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from ..errors import CassetteReadError, CassetteWriteError, display_path

_NEW_FILE_MODE = 0o644
_LONGEST_NAME = 56  # characters of the file's own name in the temporary one; four bytes each stay below 255
_WHAT_TO_DO = {
    errno.ENOSPC: "Make some room on the disk, then run it again.",
    errno.EDQUOT: "Make some room on the disk, then run it again.",
    errno.EACCES: "Make the folder writable, or set another one with --stepreplay-dir.",
    errno.EPERM: "Make the folder writable, or set another one with --stepreplay-dir.",
    errno.EROFS: "Make the folder writable, or set another one with --stepreplay-dir.",
}


def exists(path: Path) -> bool:
    """Tell whether something stands at the path, be it readable or not."""
    return os.path.lexists(path)


def read_bytes(path: Path) -> bytes:
    """Return what the file holds.

    Raises:
        CassetteReadError: there is no file, or it cannot be read.
    """
    try:
        # Anything else would block (a pipe) or never end (a device).
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise CassetteReadError(path, f"is {kind}, where a cassette file should be")
        return path.read_bytes()
    except FileNotFoundError:
        fix = "Record it with: pytest --stepreplay=record"
        raise CassetteReadError(path, "does not exist", fix=fix) from None
    except (OSError, ValueError) as error:
        raise CassetteReadError(path, f"cannot be read: {_reason(error)}") from None
    except MemoryError:
        raise CassetteReadError(path, "is too large for the memory of this machine") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write the file, and the folders it needs; a file that has this content already is not touched.

    Raises:
        CassetteWriteError: it could not be written; what stood there before still stands.
    """
    try:
        target = Path(os.path.realpath(path))  # a link stays a link
        if not _holds(target, content):
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, content)
    except (OSError, ValueError) as error:
        before = "the file on disk is still the old one" if exists(path) else "nothing was written"
        fix = _WHAT_TO_DO.get(getattr(error, "errno", None) or 0, "")
        raise CassetteWriteError(path, f"could not be written: {_reason(error)}; {before}", fix=fix) from None


def check_writable(path: Path) -> None:
    """Checks, as far as can be told before, that a file can be written at the path.

    Raises:
        CassetteWriteError: it cannot.
    """
    for parent in path.parents:
        if os.path.lexists(parent):
            if not parent.is_dir():
                problem = f"cannot be written: {display_path(parent)} is a file, not a folder"
                raise CassetteWriteError(path, problem)
            if not os.access(parent, os.W_OK | os.X_OK):
                raise CassetteWriteError(
                    path, f"cannot be written: {display_path(parent)} may not be written"
                )
            return


def _holds(target: Path, content: bytes) -> bool:
    try:
        return target.stat().st_size == len(content) and target.read_bytes() == content
    except OSError:  # if it stands in the way of writing too, that says so
        return False


def _replace(target: Path, content: bytes) -> None:
    """Write the content beside the target, then put it in its place in one step."""
    temporary = target.with_name(f".{target.name[:_LONGEST_NAME]}.{token_hex(4)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, _NEW_FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _flush_folder(target.parent)


def _flush_folder(folder: Path) -> None:
    # The new name must outlive a power cut as well. Windows cannot open a folder, and needs not.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
