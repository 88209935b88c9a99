"""`stepreplay.lock`: the files of a folder of cassettes by their digests, a line for each, for git to hold.

Texts go in and mappings of names to digests come out, and back. A name is the path of a file in the folder, with
slashes; a digest is the SHA-256 of its bytes. The lines are those of ``sha256sum``, which can check them too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final

from ..commands import project_command, stepreplay_command
from ..errors import CassetteReadError, NotPulledError, StepReplayError, display_path
from ..machine import disk
from ..store import paths
from ..store.files import exists, read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_VERSION: Final = 1
_TITLE: Final = (
    f"# stepreplay.lock {_VERSION}: written by `stepreplay push`, read by `stepreplay pull`; keep it in git"
)
_ANY_TITLE: Final = re.compile(r"# stepreplay\.lock (\d+):")
_LINE: Final = re.compile(r"([0-9a-f]{64})  (\S(?:.*\S)?)")
_CONFLICT: Final = re.compile(r"(?:<{7}|={7}|>{7}|\|{7})(?: .*)?")
_SHOWN: Final = 3


def read_lock(folder: Path) -> dict[str, str]:
    """Returns the digests of the files that the lock file of a folder lists, by name; none where there is none.

    Raises:
        CassetteReadError: it has a merge conflict, or cannot be read; the message names the line.
    """
    return _read(folder / paths.LOCK)


def read_base(folder: Path) -> dict[str, str]:
    """Returns what the lock file listed, of the files that were here, when the folder was last pulled or pushed.

    It is only what was noted for this copy of the folder, so that a broken note is none.
    """
    try:
        return _read(folder / paths.BASE)
    except CassetteReadError:
        return {}


def render_lock(digests: Mapping[str, str]) -> bytes:
    """Returns the text of a lock file, sorted, so that only what has changed differs from the one before."""
    lines = (f"{digest}  {name}" for name, digest in sorted(digests.items()))
    return "".join(f"{line}\n" for line in (_TITLE, *lines)).encode()


def is_listed_name(name: str) -> bool:
    """Tells whether a lock file can list a file: one of a cassette, in the folder, and not hidden.

    Whoever changes a lock file in a pull request shall not have other files written, such as a conftest.py.
    """
    parts = PurePosixPath(name).parts
    return (
        paths.belongs_to_cassettes(name.rpartition("/")[2])
        and "/".join(parts) == name
        and not any(part.startswith(".") or part == "/" for part in parts)
        and not PureWindowsPath(name).drive
        and not any(each == "\\" or ord(each) < 32 for each in name)
        and _LINE.fullmatch(f"{'0' * 64}  {name}") is not None
    )


def check_pulled(cassette: Path, folder: Path) -> None:
    """Does nothing where a cassette that is not there is not listed either.

    Args:
        cassette: the file.
        folder: that of the cassettes.

    Raises:
        NotPulledError: the lock file lists it.
        CassetteReadError: the lock file cannot be read.
    """
    if is_listed(cassette, folder):
        raise NotPulledError(
            cassette,
            f"is listed in {display_path(folder / paths.LOCK)}, and not here yet",
            fix=f"Bring it with: {project_command('pull')}",
        )


def check_all_pulled(folder: Path) -> None:
    """Does nothing where all that the lock file of a folder lists is here.

    Raises:
        StepReplayError: something is not.
        CassetteReadError: the lock file cannot be read.
    """
    absent = sum(not exists(folder / name) for name in read_lock(folder))
    if absent:
        verb = "file is" if absent == 1 else "files are"
        raise StepReplayError(
            f"{absent:,} {verb} listed in {display_path(folder / paths.LOCK)}, and not here yet.\n"
            f"Bring what is missing with: {project_command('pull')}"
        )


def is_listed(cassette: Path, folder: Path) -> bool:
    """Tells whether the lock file of a folder lists a file.

    Raises:
        CassetteReadError: the lock file cannot be read.
    """
    try:
        status = disk.status(folder / paths.LOCK)
        name = cassette.relative_to(folder).as_posix()
    except (OSError, ValueError):
        return False
    return name in _read_once(folder, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _read_once(folder: Path, *_state: int) -> Mapping[str, str]:
    return read_lock(folder)


def _read(path: Path) -> dict[str, str]:
    if not exists(path):
        return {}
    try:
        lines = read_bytes(path).decode().splitlines()
    except UnicodeDecodeError:
        raise CassetteReadError(path, "is not UTF-8", fix=_fix(path)) from None
    title = _ANY_TITLE.match(lines[0]) if lines else None
    if title and int(title[1]) > _VERSION:
        problem = f"is of version {title[1]}, and this release reads version {_VERSION}"
        raise CassetteReadError(path, problem, line=1, fix="Update pytest-stepreplay")
    found: dict[str, dict[str, int]] = {}
    conflict = 0
    for number, line in enumerate(lines, 1):
        if _CONFLICT.fullmatch(line):
            conflict = conflict or number
            continue
        if not line.strip() or line.startswith("#"):
            continue
        entry = _LINE.fullmatch(line)
        if entry is None:
            raise CassetteReadError(path, "is no digest and a name", line=number, fix=_fix(path))
        if not is_listed_name(entry[2]):
            problem = f"{entry[2]!a:.200} is no file that a cassette is made of"
            raise CassetteReadError(path, problem, line=number, fix=_fix(path))
        found.setdefault(entry[2], {}).setdefault(entry[1], number)
    twice = {name: digests for name, digests in found.items() if len(digests) > 1}
    if conflict:
        raise CassetteReadError(path, _conflict_of([*twice]), line=conflict, fix=_how_to_merge([*twice]))
    for name, digests in twice.items():
        first, second = [*digests.values()][:2]
        problem = f"{name} is listed twice, here and in line {first}, with different digests"
        raise CassetteReadError(path, problem, line=second, fix=_how_to_merge([name]))
    return {name: next(iter(digests)) for name, digests in found.items()}


def _conflict_of(names: list[str]) -> str:
    if not names:
        return "has a merge conflict, in which no file has two digests"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"has a merge conflict: both sides changed {', '.join(names[:_SHOWN])}{more}"


def _how_to_merge(names: list[str]) -> str:
    keep = "Keep the lines of both sides, without the marks"
    if names:
        keep = "Keep one line for each file, that of the recording you want, and no marks"
    return f"{keep}, then: {stepreplay_command('status')}"


def _fix(path: Path) -> str:
    return f"Take it from git again: git checkout -- {display_path(path)}"
