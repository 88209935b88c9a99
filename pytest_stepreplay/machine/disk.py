"""The real disk, also where a test has put a fake file system, mocks or another folder, home or umask in its place.

The functions of the operating system are a copy that nobody else has. Nothing here goes through `pathlib`, `io` or
`os.path`, whose functions reach `os` by name; a path may be of any kind, since only its text is asked for.
"""

from __future__ import annotations

import errno
import os
import stat as _stat
import sys
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from .copies import own_copy

if sys.platform == "win32":
    import msvcrt as _locks
else:
    import fcntl as _locks

if TYPE_CHECKING:
    from collections.abc import Iterator

    AnyPath = str | os.PathLike[str]

_system: Final = own_copy("nt" if sys.platform == "win32" else "posix")
_MOST_LINKS: Final = 40
_PIECE: Final = 1 << 20
_TAKEN: Final = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK})


class _RealDisk:
    """What would be replaced if a name of the module held it; those of `os.path` look at the text of a path alone."""

    join = staticmethod(os.path.join)
    dirname: Any = staticmethod(os.path.dirname)
    split: Any = staticmethod(os.path.split)
    isabs = staticmethod(os.path.isabs)
    normpath: Any = staticmethod(os.path.normpath)
    real_path_of_windows = staticmethod(os.path.realpath)
    if sys.platform == "win32":
        lock = staticmethod(lambda file, what, lock=_locks.locking: lock(file, what, 1))
        wanted, free = _locks.LK_NBLCK, _locks.LK_UNLCK
    else:
        lock = staticmethod(_locks.flock)
        wanted, free = _locks.LOCK_EX | _locks.LOCK_NB, _locks.LOCK_UN


def _umask() -> int:
    """Returns the umask of this process."""
    with suppress(OSError, ValueError, IndexError):
        return int(read("/proc/self/status").split(b"\nUmask:")[1].split(None, 1)[0], 8)
    # It can only be set: for a moment, files of other threads are closed to others.
    mask: int = _system.umask(0o077)
    _system.umask(mask)
    return mask


def folder_of_process() -> str:
    """Returns the folder that this process stands in.

    Raises:
        OSError: it has been deleted.
    """
    return str(_system.getcwd())


def absolute(path: AnyPath) -> str:
    """Returns a path as it is from the root, without following links.

    Raises:
        OSError: it begins in the folder that this process stands in, which has been deleted.
    """
    text: str = _system.fspath(path)
    return str(
        _RealDisk.normpath(text if _RealDisk.isabs(text) else _RealDisk.join(folder_of_process(), text))
    )


def real_path(path: AnyPath) -> str:
    """Returns a path as it is from the root once all links are followed, be there something at its end or not.

    Raises:
        OSError: as `absolute`, or links lead in a circle.
    """
    if sys.platform == "win32":
        return str(_RealDisk.real_path_of_windows(path))
    text = _system.fspath(path)
    rest = (text if text.startswith("/") else f"{folder_of_process()}/{text}").split("/")[::-1]
    found, links = "", 0
    while rest:
        part = rest.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            found = found.rpartition("/")[0]
            continue
        step = f"{found}/{part}"
        try:
            target: str = _system.readlink(step)
        except OSError:  # no link, or nothing at all
            found = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), text)
        if target.startswith("/"):
            found = ""
        rest += target.split("/")[::-1]
    return found or "/"


def split(path: AnyPath) -> tuple[str, str]:
    """Returns the folder that a path is in, `.` for a name alone, and its name there."""
    folder, name = _RealDisk.split(_system.fspath(path))
    return folder or ".", name


def join(folder: str, name: str) -> str:
    """Returns the path of a name in a folder."""
    return _RealDisk.join(folder, name)


def status_of_link(path: AnyPath) -> os.stat_result | None:
    """Returns what the system knows of what stands at a path, be it a link; None where nothing can be known."""
    with suppress(OSError, ValueError):
        found: os.stat_result = _system.lstat(path)
        return found
    return None


def status(path: AnyPath) -> os.stat_result:
    """Returns what the system knows of a file, or of what a link leads to.

    Raises:
        OSError, ValueError: there is no such file, or it may not be asked for.
    """
    found: os.stat_result = _system.stat(path)
    return found


def exists(path: AnyPath) -> bool:
    """Tells whether something stands at the path, be it readable or not; a link that leads nowhere too."""
    try:
        _system.lstat(path)
    except (OSError, ValueError):
        return False
    return True


def is_folder(path: AnyPath) -> bool:
    """Tells whether there is a folder at the path, or at the end of a link there."""
    with suppress(OSError, ValueError):
        return _stat.S_ISDIR(_system.stat(path).st_mode)
    return False


def is_file(path: AnyPath) -> bool:
    """Tells whether there is a regular file at the path, or at the end of a link there."""
    with suppress(OSError, ValueError):
        return _stat.S_ISREG(_system.stat(path).st_mode)
    return False


def is_link(path: AnyPath) -> bool:
    """Tells whether there is a symbolic link at the path."""
    with suppress(OSError, ValueError):
        return _stat.S_ISLNK(_system.lstat(path).st_mode)
    return False


def may_write_in(folder: AnyPath) -> bool:
    """Tells whether this process may make files in a folder."""
    return bool(_system.access(folder, _system.W_OK | _system.X_OK))


def token() -> str:
    """Returns eight characters for the name of a file that nobody else makes."""
    drawn: bytes = _system.urandom(4)
    return drawn.hex()


def names_in(folder: AnyPath) -> list[str]:
    """Returns the names of what is in a folder.

    Raises:
        OSError: there is no such folder, or it may not be read.
    """
    return list(_system.listdir(folder))


def entries_in(folder: AnyPath, most: int | None = None) -> list[os.DirEntry[str]]:
    """Returns what is in a folder.

    Args:
        folder: which.
        most: how much of it, where there is more; by default all.

    Raises:
        OSError: there is no such folder, or it may not be read.
    """
    with _system.scandir(folder) as found:
        return [*found] if most is None else [*islice(found, most)]


def read(path: AnyPath, most: int = -1) -> bytes:
    """Returns what a file holds.

    Args:
        path: the file.
        most: how many bytes of it; by default all.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    descriptor = _open(path, _system.O_RDONLY)
    try:
        pieces: list[bytes] = []
        if most < 0:
            length = _system.fstat(descriptor).st_size  # 0 for what the kernel makes up
            pieces.append(_system.read(descriptor, length + 1))
            if len(pieces[0]) == length:
                return pieces[0]
        while most and (piece := _system.read(descriptor, _PIECE if most < 0 else min(most, _PIECE))):
            pieces.append(piece)
            most -= len(piece) if most > 0 else 0
        return b"".join(pieces)
    finally:
        _system.close(descriptor)


def pieces_of(path: AnyPath) -> Iterator[bytes]:
    """Yields what a file holds, piece by piece.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    descriptor = _open(path, _system.O_RDONLY)
    try:
        while piece := _system.read(descriptor, _PIECE):
            yield piece
    finally:
        _system.close(descriptor)


def create(path: AnyPath, content: bytes | memoryview, mode: int = 0o644) -> None:
    """Writes a new file down to the disk, readable as new files were when the run began.

    Raises:
        FileExistsError: there is one.
        OSError, ValueError: it cannot be written; part of it may be there.
    """
    descriptor = _open(path, _system.O_WRONLY | _system.O_CREAT | _system.O_EXCL, mode)
    try:
        fill(descriptor, content, mode)
    finally:
        _system.close(descriptor)


def fill(descriptor: int, content: bytes | memoryview, mode: int = 0o644) -> None:
    """Writes the whole of an open file down to the disk, readable as new files were when the run began.

    Raises:
        OSError: it cannot be written; part of it may be there.
    """
    wanted = mode & ~UMASK
    if hasattr(_system, "fchmod") and _stat.S_IMODE(_system.fstat(descriptor).st_mode) != wanted:
        _system.fchmod(descriptor, wanted)  # a test has set another umask
    overwrite_open(descriptor, content)
    _system.fsync(descriptor)


def write_file(path: AnyPath, content: bytes, *, append: bool = False) -> None:
    """Writes a file, or adds to the end of one, which is made if need be; a crash may leave a part of it.

    Raises:
        OSError, ValueError: it cannot be written.
    """
    how = _system.O_APPEND if append else _system.O_TRUNC
    descriptor = _open(path, _system.O_WRONLY | _system.O_CREAT | how, 0o644)
    try:
        write(descriptor, content)
    finally:
        _system.close(descriptor)


def overwrite(path: AnyPath, content: bytes) -> None:
    """Puts something in the place of what a file holds, which is no link; a crash may leave a part of it.

    Raises:
        OSError, ValueError: there is no such file, or it cannot be written.
    """
    descriptor = _open(path, _system.O_WRONLY | getattr(_system, "O_NOFOLLOW", 0))
    try:
        overwrite_open(descriptor, content)
    finally:
        _system.close(descriptor)


def overwrite_open(descriptor: int, content: bytes | memoryview) -> None:
    """Does the same to a file that is open.

    Raises:
        OSError: it cannot be written.
    """
    _system.lseek(descriptor, 0, os.SEEK_SET)
    write(descriptor, content)
    # Not O_TRUNC: after it, ext4 brings the file to the disk when it is closed.
    _system.ftruncate(descriptor, len(content))


def open_to_append(path: AnyPath) -> int:
    """Returns a file that is open to add to its end, made if need be, for its owner alone.

    Raises:
        OSError, ValueError: it cannot be had.
    """
    return _open(
        path, _system.O_WRONLY | _system.O_CREAT | _system.O_APPEND | getattr(_system, "O_NOFOLLOW", 0)
    )


def flush(descriptor: int) -> None:
    """Brings what was written to an open file to the disk.

    Raises:
        OSError: that failed.
    """
    _system.fsync(descriptor)


def write(descriptor: int, content: bytes | memoryview) -> None:
    """Writes all of it to an open file.

    Raises:
        OSError: it cannot be written.
    """
    while content:
        content = content[_system.write(descriptor, content) :]


def read_at(descriptor: int, length: int, offset: int) -> bytes:
    """Returns bytes of an open file, from a place on; fewer than asked for at its end.

    Raises:
        OSError: it cannot be read.
    """
    return bytes(_system.pread(descriptor, length, offset))


def close(descriptor: int) -> None:
    """Closes an open file.

    Raises:
        OSError: it is not open, or could not be written.
    """
    _system.close(descriptor)


def open_lock(path: AnyPath) -> int:
    """Returns a file that is open for a lock, and made if need be.

    Raises:
        OSError, ValueError: it cannot be had.
    """
    return _open(path, _system.O_RDWR | _system.O_CREAT | getattr(_system, "O_NOFOLLOW", 0), 0o644)


def lock(descriptor: int) -> bool:
    """Locks an open file, and tells whether it is locked now; False where somebody else has locked it.

    Raises:
        OSError: its file system knows no locks.
    """
    try:
        _RealDisk.lock(descriptor, _RealDisk.wanted)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return False
    return True


def unlock(descriptor: int) -> None:
    """Unlocks an open file, also for those who have it open through a fork.

    Raises:
        OSError: it is not open.
    """
    _RealDisk.lock(descriptor, _RealDisk.free)


def is_still_at(descriptor: int, path: AnyPath) -> bool:
    """Tells whether an open file is the one that stands at a path."""
    try:
        here, there = _system.fstat(descriptor), _system.stat(path)
    except OSError:
        return False
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def open_nameless() -> int:
    """Returns an open file that has no name, and goes when nobody has it open.

    What is written goes to its end, whoever else writes: forked processes share the position of an open file, and in
    one that is in memory, Linux lets two of them write at the same one.

    Raises:
        OSError: there is no room for one.
    """
    if sys.platform == "linux" and hasattr(_system, "memfd_create"):
        in_memory = int(_system.memfd_create("stepreplay"))
        _locks.fcntl(in_memory, _locks.F_SETFL, _system.O_APPEND)
        return in_memory
    folder = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - it has no name there
    path = f"{folder}/stepreplay-{_system.getpid()}-{_system.urandom(8).hex()}"
    descriptor = _open(path, _system.O_RDWR | _system.O_APPEND | _system.O_CREAT | _system.O_EXCL, 0o600)
    _system.unlink(path)
    return descriptor


def replace(old: AnyPath, new: AnyPath) -> None:
    """Gives a file the place and name of another one, in one step.

    Raises:
        OSError, ValueError: it cannot be done; both are as they were.
    """
    _system.replace(old, new)


def remove(path: AnyPath) -> None:
    """Removes a file.

    Raises:
        OSError, ValueError: there is none, or it cannot be removed.
    """
    _system.unlink(path)


def remove_folder(path: AnyPath) -> None:
    """Removes an empty folder.

    Raises:
        OSError, ValueError: there is none, it is not empty, or it cannot be removed.
    """
    _system.rmdir(path)


def make_folders(path: AnyPath) -> None:
    """Makes a folder and those above it, where they are not there, open to whom folders were when the run began.

    Raises:
        OSError, ValueError: it cannot be made, or a file stands there.
    """
    text: str = _system.fspath(path)
    if is_folder(text):  # as nearly always
        return
    try:
        _system.mkdir(text, 0o777)
    except FileExistsError:
        if not is_folder(text):
            raise
        return
    except FileNotFoundError:
        above = str(_RealDisk.dirname(text))
        if above == text:
            raise
        make_folders(above)
        make_folders(text)
        return
    if _umask() != UMASK:
        _system.chmod(text, _system.stat(text).st_mode & 0o7000 | 0o777 & ~UMASK)


def copy_mode(old: AnyPath, new: AnyPath) -> None:
    """Gives a file the permissions of another one, if that is there.

    Raises:
        OSError: they cannot be changed.
    """
    with suppress(FileNotFoundError):
        _system.chmod(new, _stat.S_IMODE(_system.stat(old).st_mode))


def flush_folder(path: AnyPath) -> None:
    """Brings the names in a folder to the disk, where a system can: they must outlive a power cut as well."""
    with suppress(OSError):  # Windows cannot open a folder, and need not
        descriptor = _open(path, _system.O_RDONLY)
        try:
            _system.fsync(descriptor)
        finally:
            _system.close(descriptor)


def walk(folder: AnyPath, *, hidden: bool = False) -> Iterator[os.DirEntry[str]]:
    """Yields the files under a folder, in any order; none in folders that a link leads to.

    Args:
        folder: which; there need not be one.
        hidden: those in hidden folders too.
    """
    folders: list[Any] = [_system.fspath(folder)]
    while folders:
        try:
            entries = entries_in(folders.pop())
        except OSError:
            continue
        for each in entries:
            if not each.is_dir(follow_symlinks=False):
                yield each
            elif hidden or not each.name.startswith("."):
                folders.append(each.path)


def _open(path: AnyPath, flags: int, mode: int = 0o600) -> int:
    return int(_system.open(path, flags | getattr(_system, "O_BINARY", 0), mode))


UMASK: Final = _umask()
"""What was taken from the permissions of new files and folders when this was imported."""
