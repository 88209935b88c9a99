"""What a suite no longer needs: the last run goes in, and what can be removed from its cassettes comes out.

`plan` decides and changes nothing; `prune` carries one decision out. What has changed since the run, waits for
a person, or cannot be read, stays as it is.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..commands import review_command, stepreplay_command
from ..errors import CassetteError, CassetteReadError, CassetteWriteError, display_path
from ..machine import disk
from ..models import Cassette
from ..store import body_files, cassettes, files, locks, paths, pending
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..models import BodyFile, Interaction
    from .last_run import LastRun, SeenFile


@dataclass(frozen=True, slots=True)
class Needless:
    """A cassette that the last run did not need, or not wholly.

    Attributes:
        seen: the file as the run has seen it.
        interactions: positions of those that were not played; None for the whole file.
        why: the reason, in words.
        kept: why it stays nevertheless; empty where it can go.
    """

    seen: SeenFile
    interactions: tuple[int, ...] | None
    why: str
    kept: str = ""

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.seen.path)


def plan(run: LastRun) -> list[Needless]:
    """Returns what the run did not need, in the order of the paths."""
    found = [Needless(each, None, "no test uses it", _why_kept(each, None)) for each in run.orphans]
    for each in run.unplayed:
        left = tuple(sorted({*range(each.total)} - {*each.played}))
        whole = len(left) == each.total
        numbers = ", ".join(str(i + 1) for i in left)
        noun = "interaction" if len(left) == 1 else "interactions"
        why = "its test plays none of it" if whole else f"{noun} {numbers} of {each.total} not played"
        positions = None if whole else left
        found.append(Needless(each, positions, why, _why_kept(each, positions)))
    return sorted(found, key=lambda each: each.seen.path)


def prune(needless: Needless, folders: tuple[str, ...] = ()) -> None:
    """Removes a cassette, or the interactions of it that were not played.

    Args:
        needless: what goes.
        folders: those of the cassettes. A folder inside them that gets empty is removed.

    Raises:
        CassetteError: the file has changed since the plan was made, or cannot be read or changed. It stays.
    """
    path = needless.path
    with locks.locked(path):
        kept = _why_kept(needless.seen, needless.interactions)
        if kept:
            raise CassetteWriteError(path, f"was left as it is: {kept}")
        if needless.interactions is not None:
            cassette = cassettes.read_cassette(path).cassette
            gone = set(needless.interactions)
            left = tuple(each for i, each in enumerate(cassette.interactions) if i not in gone)
            cassettes.write_cassette(path, replace(cassette, interactions=left))
            return
        try:
            disk.remove(path)
        except OSError as error:
            raise CassetteWriteError(path, f"could not be removed: {error.strerror}") from None
    _remove_empty(path, folders)


def uncited_files(run: LastRun, going: Sequence[Needless] = ()) -> list[Path]:
    """Returns the files beside cassettes that no cassette cites, nor a pending version of one.

    Args:
        run: the last run; its folders are looked through.
        going: what is about to be pruned, and so cites nothing any more.
    """
    gone = {each.path: each.interactions for each in going}

    def left(path: Path, cassette: Cassette) -> Iterator[Interaction]:
        removed = gone.get(path, ())
        if removed is not None:
            yield from (each for i, each in enumerate(cassette.interactions) if i not in removed)

    return [path for folder in run.folders for path in iter_uncited(Path(folder), left)]


def iter_uncited(root: Path, left: Callable[[Path, Cassette], Iterable[Interaction]]) -> Iterator[Path]:
    """Yields the files under a folder that are named as those beside a cassette, and that nothing there cites.

    Where a cassette cannot be read, all that stand beside it stay.

    Args:
        root: the folder.
        left: returns the interactions of a cassette that count.
    """
    folders: dict[Path, list[Path]] = {}
    for entry in disk.walk(root):
        folders.setdefault(Path(entry.path).parent, []).append(Path(entry.path))
    for _, together in sorted(folders.items()):
        named = sorted(path for path in together if paths.BESIDE.fullmatch(path.name))
        if named:
            with suppress(CassetteReadError):
                cited = {file.name for path in together for file in _cited_by(path, left)}
                yield from (path for path in named if path.name not in cited)


def _cited_by(path: Path, left: Callable[[Path, Cassette], Iterable[Interaction]]) -> Iterator[BodyFile]:
    name = path.name.lower()
    if name.startswith("."):
        return
    if name.endswith(files.PENDING_SUFFIX):
        new = pending.read_new_version(path)
        if isinstance(new, Cassette):
            yield from body_files.cited_in(new.interactions)
    elif name.endswith(paths.SUFFIXES) and not name.endswith(paths.SNAPSHOTS_SUFFIX):
        yield from body_files.cited_in(left(path, cassettes.read_cassette(path).cassette))


def remove_uncited(run: LastRun) -> None:
    """Removes the files beside cassettes that no cassette cites.

    Raises:
        CassetteWriteError: one cannot be removed.
    """
    for path in uncited_files(run):
        body_files.remove_file(path)
        _remove_empty(path, run.folders)


def _why_kept(seen: SeenFile, interactions: tuple[int, ...] | None) -> str:
    path = Path(seen.path)
    if not seen.is_unchanged():
        return "it has changed since the last run"
    if files.exists(pending.pending_path(path)):
        return f"it has pending changes; decide: {review_command()}"
    try:
        read = cassettes.read_cassette(path)
    except CassetteError:
        return "it is not a readable cassette"
    if interactions is None and read.format == "stepreplay" and read.cassette.test is None:
        return "no test has recorded it"
    if interactions is not None and read.format != "stepreplay":
        return (
            "it is another tool's, which is never written; convert it first: "
            f"{stepreplay_command('convert', display_path(path))}"
        )
    if interactions is not None and len(read.cassette.interactions) != seen.total:
        return "it has changed since the last run"
    return ""


def _remove_empty(path: Path, folders: tuple[str, ...]) -> None:
    """Removes the folder that a file was in, and those around it, as far as they are empty."""
    for parent in _inner_folders(path, folders):
        try:
            disk.remove_folder(parent)
        except OSError:  # it holds something else
            return


def _inner_folders(path: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    for parent in path.parents:
        if not any(Path(folder) in parent.parents for folder in folders):
            return
        yield parent
