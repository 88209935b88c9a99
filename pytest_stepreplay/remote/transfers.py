"""Pulling and pushing: what the lock file lists is brought here, and what is here goes to the store and is listed.

The states of the files go in, and a `Transfer` comes out that says what was done, what was left, and what is wrong.
A file appears here in one step, the files beside a cassette before it, and the lock file is written last: whoever is
ended in between has changed nothing that the same command does not go on from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeVar

from ..errors import CassetteError, CassetteReadError, CassetteWriteError, ObjectError
from ..machine import disk
from ..redaction.secret_rules import unpacked
from ..store import body_files, cassettes, codec, files, locks, paths, snapshot_files
from ..store.files import write_bytes
from ..store.secrets import refuse_secrets
from ..value_classes import dataclass, field
from . import lock_file
from .states import FileState, Standing, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .objects import ObjectStore

    Result = TypeVar("Result")
    Watch = Callable[[int, int], None]

AT_ONCE: Final = 16
"""How many objects are under way at the same time."""


@dataclass
class Transfer:
    """What a pull or a push did.

    Attributes:
        moved: the names of the files that were brought here, or that the store did not have yet.
        removed: the names of those that were removed here, since others have removed them.
        listed: the names whose lines in the lock file are new.
        left: what was left as it is, since both sides have changed it.
        problems: why the others were not moved, by name.
        size: how many bytes were moved.
    """

    moved: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problems: dict[str, Exception] = field(default_factory=dict)
    size: int = 0


def pull(
    folder: Path, store: ObjectStore, states: Iterable[FileState], *, force: bool = False, watch: Watch
) -> Transfer:
    """Brings what the lock file lists and is not here, and removes what others have removed.

    Args:
        folder: of the cassettes.
        store: where the files come from.
        states: of the files to look at.
        force: what was changed here is replaced, too.
        watch: is told how many files of how many are done.

    Raises:
        StoreError: the store cannot be read.
        CassetteError: nothing can be written here.
    """
    replaced = {
        Standing.MISSING,
        Standing.BEHIND,
        *((Standing.CHANGED, Standing.BOTH) if force else ()),
    }
    states = [*states]
    wanted = [each for each in states if each.standing in replaced]
    done = Transfer(left=[each.name for each in states if each.standing is Standing.BOTH and not force])
    noted = {each.name: each.here for each in states if each.standing is Standing.SAME}

    def bring(state: FileState) -> int:
        content = store.read(str(state.listed))
        _put(folder, state, content)
        return len(content)

    def note(state: FileState, size: int) -> None:
        done.moved.append(state.name)
        done.size += size
        noted[state.name] = state.listed

    try:
        beside = [each for each in wanted if each.is_beside]
        others = [each for each in wanted if not each.is_beside]
        _do_all(beside, bring, note, done, lambda number: watch(number, len(wanted)))
        _do_all(others, bring, note, done, lambda number: watch(len(beside) + number, len(wanted)))
        for each in states:
            if each.standing is Standing.DROPPED:
                _remove(folder, each)
                done.removed.append(each.name)
                noted[each.name] = None
    finally:
        _note_base(folder, noted)
    return done


def push(
    folder: Path, store: ObjectStore, states: Iterable[FileState], *, force: bool = False, watch: Watch
) -> Transfer:
    """Gives the store what it does not have of what is here, and lists what is new or was changed here.

    Args:
        folder: of the cassettes.
        store: where the files go to.
        states: of the files to look at.
        force: what others have changed too is listed as it is here, and what the store has is written again.
        watch: is told how many files of how many are done.

    Raises:
        StoreError: the store cannot be written. What it has got by then is listed.
        CassetteError: the lock file cannot be written.
    """
    given = {Standing.SAME, Standing.NEW, Standing.CHANGED, *((Standing.BOTH,) if force else ())}
    states = [*states]
    wanted = [each for each in states if each.standing in given]
    done = Transfer(left=[each.name for each in states if each.standing is Standing.BOTH and not force])
    pushed: list[tuple[FileState, str]] = []

    def give(state: FileState) -> tuple[str, int]:
        return _give(folder, store, state, force=force)

    def note(state: FileState, given: tuple[str, int]) -> None:
        digest, size = given
        pushed.append((state, digest))
        if size >= 0:
            done.moved.append(state.name)
            done.size += size

    try:
        _do_all(wanted, give, note, done, lambda number: watch(number, len(wanted)))
    finally:
        _list(folder, pushed, done)
    return done


def absent_from(store: ObjectStore, states: Iterable[FileState], *, watch: Watch) -> list[str]:
    """Returns the names of the files that are listed and that the store does not hold.

    Raises:
        StoreError: the store cannot be asked.
    """
    listed, absent = [each for each in states if each.listed], list[str]()

    def note(state: FileState, is_there: bool) -> None:
        absent.extend([] if is_there else [state.name])

    _do_all(
        listed,
        lambda state: store.has(str(state.listed)),
        note,
        Transfer(),
        lambda number: watch(number, len(listed)),
    )
    return sorted(absent)


@contextmanager
def removals_listed(folder: Path) -> Iterator[None]:
    """Takes what is removed inside out of the lock file of a folder, where it has one.

    Raises:
        CassetteError: the lock file cannot be read or written.
    """
    here = [name for name in lock_file.read_lock(folder) if files.exists(folder / name)]
    yield
    gone = {name for name in here if not files.exists(folder / name)}
    if not gone:
        return
    lock = folder / paths.LOCK
    with locks.locked(lock):
        left = {name: digest for name, digest in lock_file.read_lock(folder).items() if name not in gone}
        write_bytes(lock, lock_file.render_lock(left))
    _note_base(folder, dict.fromkeys(gone))


def _do_all(
    states: Sequence[FileState],
    do: Callable[[FileState], Result],
    note: Callable[[FileState, Result], None],
    done: Transfer,
    watch: Callable[[int], None],
) -> None:
    """Does something for each of the files, several at once; what is wrong with one of them stops no other."""
    number = 0

    def finish(state: FileState, get: Callable[[], Result]) -> None:
        nonlocal number
        try:
            note(state, get())
        except (ObjectError, CassetteError) as error:
            done.problems[state.name] = error
        number += 1
        watch(number)

    for state in states[:1]:  # if the store cannot be reached, one has to wait for that
        finish(state, partial(do, state))
    if len(states) <= 1:
        return
    with ThreadPoolExecutor(AT_ONCE, "stepreplay") as pool:
        futures = {pool.submit(copy_context().run, do, state): state for state in states[1:]}
        try:
            for future in as_completed(futures):
                finish(futures[future], future.result)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _put(folder: Path, state: FileState, content: bytes) -> None:
    path = folder / state.name
    paths.check_inside(path, folder)
    with locks.locked(path):
        if digest_of(path) != state.here:
            raise CassetteWriteError(path, "was changed here in the meantime, and is left as it is")
        try:
            files.put(path, content, owner=path)
        except OSError as error:
            raise files.write_error(path, error) from None


def _remove(folder: Path, state: FileState) -> None:
    path = folder / state.name
    with locks.locked(path):
        if digest_of(path) == state.here:
            files.remove_cassette(path)


def _give(folder: Path, store: ObjectStore, state: FileState, *, force: bool) -> tuple[str, int]:
    """Gives the store a file, and returns its digest and how many bytes were sent: -1 for none, if it had them."""
    path = folder / state.name
    try:
        is_known = state.standing is Standing.SAME and not force
        if is_known and store.has(str(state.here), disk.status(path).st_size):
            return str(state.here), -1
        content = disk.read(path)
    except OSError as error:
        raise CassetteReadError(path, f"cannot be read: {error.strerror}") from None
    digest = sha256(content).hexdigest()
    _check(path, content)
    if not force and store.has(digest, len(content)):
        return digest, -1
    store.write(digest, content)
    return digest, len(content)


def _check(path: Path, content: bytes) -> None:
    """Does nothing where a file can be read, and holds no secret.

    Raises:
        CassetteError: it is broken, or what it cites is not there, or it holds a secret.
    """
    if paths.BESIDE.fullmatch(path.name.lower()):
        if path.name.partition(".")[0].lower() != sha256(content).hexdigest():
            raise CassetteReadError(path, "was changed: its name is the SHA-256 of other bytes")
        for text in body_files.texts_in(content):
            refuse_secrets(path, text, {}, verb="pushed")
        return
    if path.name.lower().endswith(paths.SNAPSHOTS_SUFFIX):
        snapshot_files.parse_snapshots(content, path)
    else:
        body_files.check_files(cassettes.parse_cassette(content, path).cassette.interactions, path)
    content = unpacked(content)
    tree, _ = codec.decode(content, path)
    refuse_secrets(path, content, tree if isinstance(tree, dict) else {}, verb="pushed")


def _list(folder: Path, pushed: Sequence[tuple[FileState, str]], done: Transfer) -> None:
    """Writes what was pushed into the lock file, beside what others are writing into it."""
    if not pushed:
        return
    lock = folder / paths.LOCK
    noted: dict[str, str | None] = {}
    with locks.locked(lock):
        listed = lock_file.read_lock(folder)
        for state, digest in pushed:
            if listed.get(state.name) not in {state.listed, digest}:  # by another push to this folder
                if state.standing is not Standing.SAME:
                    done.left.append(state.name)
                continue
            if listed.get(state.name) != digest:
                done.listed.append(state.name)
            listed[state.name] = noted[state.name] = digest
        write_bytes(lock, lock_file.render_lock(listed))
    _note_base(folder, noted)


def _note_base(folder: Path, noted: Mapping[str, str | None]) -> None:
    """Notes what the lock file and the folder have in common; None for what neither has."""
    if not noted:
        return
    path = folder / paths.BASE
    with locks.locked(path):
        base = lock_file.read_base(folder)
        merged = {name: digest for name, digest in (base | dict(noted)).items() if digest is not None}
        if merged != base:
            write_bytes(path, lock_file.render_lock(merged))
