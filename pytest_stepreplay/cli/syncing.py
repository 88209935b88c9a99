"""`stepreplay pull`, `push` and `status`: cassettes that are kept outside of git, by their digests in a lock file."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

from ..commands import pytest_command, stepreplay_command
from ..errors import ObjectError, StepReplayError, display_path
from ..machine import clock
from ..remote import objects, states, transfers
from ..remote.states import Standing
from ..settings.fields import Settings
from ..store.paths import LOCK
from . import naming, printing
from .command import AS_JSON, Command, Operand, Option
from .project import cassette_folder, display, guarded_by_project, project_root, project_settings
from .terminal import echo, json_text, plural, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..remote.objects import ObjectStore
    from ..remote.states import FileState
    from ..remote.transfers import Transfer

SHOWN: Final = 10
"""How many files are named of each sort."""
BETWEEN_LINES: Final = 30.0
"""Seconds between two lines about the progress, where there is no terminal."""
EXAMPLE: Final = "stepreplay_store = s3://BUCKET/FOLDER"


def _pull(files: tuple[str, ...], force: bool, as_json: bool) -> int:
    folder, store = cassette_folder(), _store_of_project()
    if not (folder / LOCK).is_file():
        raise StepReplayError(
            f"there is no {display(folder / LOCK)}, so that nothing is known to be in {store.shown}.\n"
            f"Push what you have recorded with: {stepreplay_command('push')}"
        )
    chosen = _chosen(files, folder)
    with _progress("Pulling") as watch:
        done = transfers.pull(folder, store, chosen, force=force, watch=watch)
    if as_json:
        echo(json_text(_as_json("pulled", done)))
    elif done.moved:
        echo(f"pulled {plural(len(done.moved), 'file')}, {printing.decimal(done.size)}")
    elif not (done.problems or done.left or done.removed):
        listed = sum(each.listed is not None for each in chosen)
        echo(f"nothing to pull: {'the file is' if listed == 1 else f'all {listed:,} files are'} here")
    if done.removed and not as_json:
        echo(f"removed {plural(len(done.removed), 'file')} that others have removed")
    _tell_absent([name for name, error in done.problems.items() if _is_absent(error)], store, done)
    _tell_problems(folder, {name: error for name, error in done.problems.items() if not _is_absent(error)})
    _tell_left(folder, done)
    return 1 if done.problems or done.left else 0


def _push(files: tuple[str, ...], force: bool, as_json: bool) -> int:
    folder, store = cassette_folder(), _store_of_project()
    chosen = _chosen(files, folder)
    if not any(each.here for each in chosen):
        raise StepReplayError(
            f"there is no cassette in {display(folder)}.\nRecord some with: {pytest_command('--stepreplay=record')}"
        )
    with guarded_by_project(), _progress("Pushing") as watch:
        done = transfers.push(folder, store, chosen, force=force, watch=watch)
    if as_json:
        echo(json_text(_as_json("pushed", done)))
    else:
        _print_pushed(folder, done, store)
    _tell_problems(folder, done.problems)
    _tell_left(folder, done)
    behind = [each.name for each in chosen if each.standing in (Standing.BEHIND, Standing.DROPPED)]
    if behind:
        verb = "was" if len(behind) == 1 else "were"
        told = f"{plural(len(behind), 'file')} {verb} changed by others, and not here: {stepreplay_command('pull')}"
        echo(told, err=True)
    return 1 if done.problems or done.left else 0


def _print_pushed(folder: Path, done: Transfer, store: ObjectStore) -> None:
    if done.moved:
        echo(f"pushed {plural(len(done.moved), 'file')}, {printing.decimal(done.size)}, to {store.shown}")
    elif not (done.problems or done.left):
        echo(f"nothing to push: all that is here is in {store.shown}")
    if done.listed:
        verb = "is" if len(done.listed) == 1 else "are"
        echo(f"{plural(len(done.listed), 'file')} {verb} newly listed; commit {display(folder / LOCK)}")


def _status(files: tuple[str, ...], check: bool, store: bool, as_json: bool) -> int:
    folder = cassette_folder()
    asked = _store_of_project() if store else None
    if project_settings("store").get("store") is None:
        raise _no_store()
    chosen = _chosen(files, folder)
    absent: list[str] = []
    if asked is not None:
        with _progress("Asking") as watch:
            absent = transfers.absent_from(asked, chosen, watch=watch)
    if as_json:
        rows = [{"file": each.name, "state": each.standing.name.lower()} for each in chosen]
        tree = {"lock": display(folder / LOCK), "files": rows}
        echo(json_text(tree | ({"store": asked.shown, "absent": absent} if asked else {})))
    else:
        _print_states(folder, chosen)
        if asked is not None:
            _tell_absent(absent, asked, None)
    differs = any(each.standing is not Standing.SAME for each in chosen) or absent
    return 1 if check and differs else 0


_ADVICE: Final = {
    Standing.MISSING: ("pull",),
    Standing.BEHIND: ("pull",),
    Standing.DROPPED: ("pull",),
    Standing.NEW: ("push",),
    Standing.CHANGED: ("push",),
}


def _print_states(folder: Path, found: Sequence[FileState]) -> None:
    for kind in Standing:
        names = [each.name for each in found if each.standing is kind]
        if not names or kind is Standing.SAME:
            continue
        advice = f": {stepreplay_command(*_ADVICE[kind])}" if kind in _ADVICE else ""
        echo(f"{plural(len(names), 'file')} {kind.value}{advice}")
        _print_names(folder, names)
        if kind is Standing.BOTH:
            echo(_how_to_decide(folder, names))
    if not (folder / LOCK).is_file():
        echo(f"there is no {display(folder / LOCK)} yet; {stepreplay_command('push')} writes it")
        return
    same = sum(each.standing is Standing.SAME for each in found)
    echo(f"{plural(same, 'file')} {'is' if same == 1 else 'are'} as {display(folder / LOCK)} lists")


def _print_names(folder: Path, names: Sequence[str], *, err: bool = False) -> None:
    for name in names[:SHOWN]:
        echo(safe(f"  {display_path(folder / name)}"), err=err)
    if len(names) > SHOWN:
        echo(f"  and {len(names) - SHOWN:,} more", err=err)


def _how_to_decide(folder: Path, names: Sequence[str]) -> str:
    named = [display_path(folder / names[0])] if len(names) == 1 else []
    return (
        f"To keep what is here: {stepreplay_command('push', '--force', *named)}\n"
        f"To take what others have pushed: {stepreplay_command('pull', '--force', *named)}"
    )


def _tell_problems(folder: Path, problems: Mapping[str, Exception]) -> None:
    for name, error in [*problems.items()][:SHOWN]:
        told = str(error)
        if isinstance(error, ObjectError):
            shown = display_path(folder / name)
            again = stepreplay_command("push", "--force", shown)
            told = f"{shown} {error}\nWhoever has the file mends it with: {again}"
        echo(safe(told), err=True)
    if len(problems) > SHOWN:
        echo(f"and {plural(len(problems) - SHOWN, 'more problem')}", err=True)


def _tell_left(folder: Path, done: Transfer) -> None:
    if done.left:
        echo(f"{plural(len(done.left), 'file')} left as it is, {Standing.BOTH.value}:", err=True)
        _print_names(folder, done.left, err=True)
        echo(_how_to_decide(folder, done.left), err=True)


def _tell_absent(names: Sequence[str], store: ObjectStore, done: Transfer | None) -> None:
    """Says which files are listed and not in the store."""
    if not names:
        return
    folder = cassette_folder()
    verb = "is" if len(names) == 1 else "are"
    echo(f"{plural(len(names), 'file')} {verb} listed, and not in {store.shown}:", err=True)
    _print_names(folder, names, err=True)
    them = "it" if len(names) == 1 else "them"
    echo(f"Whoever has {them} pushes {them} with: {stepreplay_command('push')}", err=True)
    if done is not None and not done.moved:
        were = "it was" if len(names) == 1 else "they were"
        echo(
            f"If nobody has, check stepreplay_store: it may name another place than {were} pushed to",
            err=True,
        )


def _is_absent(error: Exception) -> bool:
    return isinstance(error, ObjectError) and error.is_absent


def _as_json(what: str, done: Transfer) -> dict[str, Any]:
    return {
        what: sorted(done.moved),
        "bytes": done.size,
        "removed": done.removed,
        "listed": sorted(done.listed),
        "left": done.left,
        "problems": {name: str(error) for name, error in sorted(done.problems.items())},
    }


def _store_of_project() -> ObjectStore:
    """Returns the store that the project has set.

    Raises:
        StepReplayError: it has set none, or it cannot be opened here.
    """
    settings = Settings.merge(project_settings("store", "store_options"))
    if settings.store is None:
        raise _no_store()
    if find_spec("fsspec") is None:
        raise StepReplayError(
            "a store is opened with fsspec, which is not installed.\n"
            "Install it with: pip install 'pytest-stepreplay[remote]'"
        )
    return objects.ObjectStore(settings.store, dict(settings.store_options), project_root())


def _no_store() -> StepReplayError:
    return StepReplayError(
        "this project keeps its cassettes in no store: stepreplay_store is not set.\n"
        f"Set it in the ini file of pytest, as in: {EXAMPLE}"
    )


def _chosen(words: Sequence[str], folder: Path) -> list[FileState]:
    """Returns the states of the files that the words name, by default of all.

    Raises:
        StepReplayError: a word names none.
    """
    known = states.states_of(folder)
    if not words:
        return known
    named: dict[PurePath, naming.Named] = {}
    for each in known:
        place = PurePath(each.name).with_name(naming.without_endings(PurePath(each.name).name))
        named.setdefault(place, naming.Named(place)).files.append(folder / each.name)
    wanted: set[Path] = set()
    for word in words:
        path = Path(word).absolute()
        inside = {
            folder / each.name for each in known if (folder / each.name).absolute().is_relative_to(path)
        }
        if not inside:
            found = naming.find_named(word, [*named.values()])
            inside = {file for each in found for file in each.files}
        if not inside:
            near = naming.nearest_names(word, [*named.values()])
            raise StepReplayError(f"{word!r} is neither in {display(folder)} nor listed in its {LOCK}{near}")
        wanted |= inside
    # What a cassette cites is known only once it is here.
    folders = {path.parent for path in wanted}
    return [
        each
        for each in known
        if folder / each.name in wanted or (each.is_beside and (folder / each.name).parent in folders)
    ]


@contextmanager
def _progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yields what is told how many of how many are done: a bar on a terminal, else a line now and then."""
    if sys.stderr.isatty():
        with printing.progress_bar(label, "files") as bar:
            task = bar.add_task("", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    told_at = clock.seconds()

    def tell(done: int, total: int) -> None:
        nonlocal told_at
        if clock.seconds() - told_at >= BETWEEN_LINES:
            told_at = clock.seconds()
            echo(f"{label.lower()}: {done:,} of {total:,}", err=True)

    yield tell


_FILES: Final = Operand("files", "any")  # not checked here: what is pulled need not be there

PULL: Final = Command(
    name="pull",
    description="""
    Bring the cassettes that stepreplay.lock lists from the store; afterwards, tests run offline.

    FILES are cassettes, tests (by name or by id) and folders; by default all. Only what is not here, or was changed
    by others, is fetched. What was changed here stays. Exit status 1 means that something could not be brought.
    """,
    examples=("stepreplay pull", "stepreplay pull cassettes/test_chat"),
    operands=(_FILES,),
    options=(Option("--force", "Also replace what was changed here."), AS_JSON),
    run=_pull,
)
PUSH: Final = Command(
    name="push",
    description="""
    Put new and changed cassettes into the store, and list them in stepreplay.lock, which git holds.

    FILES are cassettes, tests (by name or by id) and folders; by default all. What holds a secret is not pushed.
    Nothing in the store is ever changed or removed. Exit status 1 means that something was not pushed.
    """,
    examples=("stepreplay push && git add cassettes/stepreplay.lock", "stepreplay push test_greeting"),
    operands=(_FILES,),
    options=(
        Option(
            "--force", "Also list what others have changed as it is here, and write again what the store has."
        ),
        AS_JSON,
    ),
    run=_push,
)
STATUS: Final = Command(
    name="status",
    description="""
    Tell what to pull and what to push: how the cassettes here differ from what stepreplay.lock lists.

    FILES are cassettes, tests (by name or by id) and folders; by default all. No network is needed, unless --store is
    given.
    """,
    examples=("stepreplay status", "stepreplay status --check --store"),
    operands=(_FILES,),
    options=(
        Option("--check", "Exit with status 1 if something differs."),
        Option("--store", "Also ask the store whether it holds all that is listed."),
        AS_JSON,
    ),
    run=_status,
)
