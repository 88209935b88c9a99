"""The commands that messages suggest, as a person can type them in the folder where the run was started.

What a command is to do goes in, and its text comes out: with the tests that the run was told to run, and with those
of its options that decide where cassettes are.
"""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from .errors import display_path
from .value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

_CARRIED: Final = ("-c", "--config-file", "--rootdir", "--stepreplay-dir")


@dataclass(frozen=True, slots=True)
class Start:
    """How a run was started.

    Attributes:
        folder: where.
        root: the rootdir that pytest found.
        cassettes: the folder of the cassettes.
        options: those of its command line that decide where cassettes are.
        arguments: the tests that it was told to run; none for those that pytest looks for itself.
        runs_tests: it is one of pytest, and not of ``stepreplay``.
    """

    folder: Path
    root: Path
    cassettes: Path
    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    runs_tests: bool = True

    @property
    def is_outside(self) -> bool:
        """Whether a command that is started in the folder finds another project."""
        return bool(self.options) or not self.folder.is_relative_to(self.root)


_starts: Final[list[Callable[[], Start | None]]] = []


@contextmanager
def started(find: Callable[[], Start | None]) -> Iterator[None]:
    """Names how the run was started, as is asked when a command is suggested; None where nobody knows."""
    _starts.append(find)
    try:
        yield
    finally:
        _starts.remove(find)


def _start() -> Start | None:
    return _starts[-1]() if _starts else None


def carried_options(words: Iterable[str]) -> tuple[str, ...]:
    """Returns those words of a command line of pytest that decide where cassettes are."""
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word in {"-o", "--override-ini"} or (name in _CARRIED and not equals):
            value = next(rest, "")
            if name in _CARRIED or value.startswith("stepreplay_"):
                found += [word, value]
        elif name in _CARRIED or (name == "--override-ini" and value.startswith("stepreplay_")):
            found.append(word)
    return tuple(found)


def pytest_command(*options: str, tests: Sequence[str] = ()) -> str:
    """Returns the text of a command of pytest.

    Args:
        options: what is set.
        tests: as a person types them; by default those that the run was told to run, where pytest would not find
            them by itself.
    """
    start, where = _start(), ""
    words = ["pytest", *(start.options if start else ()), *tests]
    if start is not None and not tests:
        if start.is_outside:
            words += start.arguments
        if not start.runs_tests:
            where = _going_to(start.root, start.folder)
    return _typed(*words, *options, where=where)


def mend_or_record(path: Path, *, goes_on: bool = False) -> str:
    """Returns what to do about a file that cannot be read; no mode takes such a file for one that is not there.

    Args:
        path: the cassette, the snapshots, or what is pending for one of them.
        goes_on: it does not start a sentence.
    """
    return f"{'fix' if goes_on else 'Fix'} it, or {record_again(path, goes_on=True)}"


def record_again(path: Path, *, goes_on: bool = False) -> str:
    """Returns what to do about a file of which nothing can be kept.

    Args:
        path: the cassette, the snapshots, or what is pending for one of them.
        goes_on: it does not start a sentence.
    """
    snapshots = ".snapshots." in path.name
    if not path.name.endswith(".new"):
        again = f"{'write' if snapshots else 'record'} it again with: {pytest_command('--stepreplay=record')}"
    elif snapshots:  # a run leaves it where a snapshot does not hold
        again = f"run the test again with: {pytest_command()}"
    else:
        again = f"verify again with: {pytest_command('--stepreplay=verify')}"
    return f"{'delete' if goes_on else 'Delete'} it and {again}"


def stepreplay_command(verb: str, *words: str) -> str:
    """Returns the text of a command of ``stepreplay`` that is told what it is about."""
    return _typed("stepreplay", verb, *words)


def review_command(verb: str = "review", option: str = "") -> str:
    """Returns the text of ``stepreplay review`` and its like, for all that is pending in the run's project."""
    start = _start()
    if start is not None and start.is_outside:
        option = display_path(start.cassettes)
    return stepreplay_command(verb, *filter(None, [option]))


def project_command(verb: str) -> str:
    """Returns the text of a command that goes by the last run of a project."""
    start = _start()
    where = ""
    if start is not None and not start.folder.is_relative_to(start.root):
        where = _going_to(start.root, start.folder)
    return _typed("stepreplay", verb, where=where)


def _going_to(folder: Path, start: Path) -> str:
    # Both are absolute, so that nothing is asked of the disk.
    return "" if folder == start else f"cd {shlex.quote(os.path.relpath(folder, start))} && "


def _typed(*words: str, where: str = "") -> str:
    """Returns all of these as a person types it."""
    return where + " ".join(map(shlex.quote, words))
