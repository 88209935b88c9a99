"""How the files of a folder of cassettes differ from what the lock file lists, and who has changed them.

Three digests of each file decide: of what is here, of what the lock file lists, and of what it listed when the folder
was last pulled or pushed, as in git's own merges.
"""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import CassetteReadError, NoCassetteError
from ..machine import disk
from ..store import cassettes, codec, paths
from ..value_classes import dataclass
from . import lock_file

if TYPE_CHECKING:
    from collections.abc import Iterator


class Standing(Enum):
    """How a file stands to what the lock file lists; the value is what a person is told."""

    SAME = "as listed"
    MISSING = "not here yet"
    BEHIND = "changed by others"
    DROPPED = "removed by others"
    NEW = "new here"
    CHANGED = "changed here"
    BOTH = "changed here and by others"


_START: Final = 4096  # bytes, in which a cassette of ours says that it is one
TO_PULL: Final = (Standing.MISSING, Standing.BEHIND, Standing.DROPPED)
TO_PUSH: Final = (Standing.NEW, Standing.CHANGED)


@dataclass(frozen=True, slots=True)
class FileState:
    """A file of the folder, or one that the lock file lists.

    Attributes:
        name: its path in the folder, with slashes.
        here: the digest of what is here.
        listed: the digest in the lock file.
        base: the digest that both had when the folder was last pulled or pushed.
    """

    name: str
    here: str | None = None
    listed: str | None = None
    base: str | None = None

    @property
    def standing(self) -> Standing:
        """How it stands to what is listed."""
        if self.here == self.listed:
            return Standing.SAME
        if self.here is None:
            return Standing.MISSING
        if self.here == self.base:
            return Standing.DROPPED if self.listed is None else Standing.BEHIND
        if self.listed is None:
            return Standing.NEW
        return Standing.CHANGED if self.listed == self.base else Standing.BOTH

    @property
    def is_beside(self) -> bool:
        """Whether it holds what is too large for a cassette, which cites it."""
        return paths.BESIDE.fullmatch(self.name.rpartition("/")[2].lower()) is not None


def states_of(folder: Path) -> list[FileState]:
    """Returns the states of all files that are here or listed, by name.

    Raises:
        CassetteReadError: the lock file, or another one, cannot be read.
    """
    listed, base = lock_file.read_lock(folder), lock_file.read_base(folder)
    here = {
        name: digest_of(folder / name)
        for name in _names_in(folder)
        if name in listed or _is_cassette(folder / name)
    }
    return [
        FileState(name, here.get(name), listed.get(name), base.get(name)) for name in sorted({*here, *listed})
    ]


def state_of(path: Path, folder: Path) -> FileState:
    """Returns the state of a file in a folder.

    Raises:
        CassetteReadError: the lock file, or the file, cannot be read.
    """
    name = Path(path).relative_to(folder).as_posix()
    listed, base = lock_file.read_lock(folder), lock_file.read_base(folder)
    return FileState(name, digest_of(path), listed.get(name), base.get(name))


def digest_of(path: Path) -> str | None:
    """Returns the digest of a file; None where there is none.

    Raises:
        CassetteReadError: it cannot be read.
    """
    digest = sha256()
    try:
        for piece in disk.pieces_of(path):
            digest.update(piece)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise CassetteReadError(path, problem) from None
    return digest.hexdigest()


def _names_in(folder: Path) -> Iterator[str]:
    """Yields the names of the files in a folder that a lock file can list; none that a link leads out to."""
    for entry in disk.walk(folder):
        name = Path(entry.path).relative_to(folder).as_posix()
        if (
            lock_file.is_listed_name(name)
            and entry.is_file()
            and not paths.leads_out(Path(entry.path), folder)
        ):
            yield name


def _is_cassette(path: Path) -> bool:
    """Whether it is no file of something else, though it may be broken."""
    if paths.BESIDE.fullmatch(path.name.lower()):
        return True
    try:
        if codec.is_ours(disk.read(path, _START).decode("utf-8", "replace")):
            return True
        cassettes.read_cassette(path)
    except NoCassetteError:
        return False
    except (OSError, CassetteReadError):
        return True
    return True
