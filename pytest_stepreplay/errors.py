"""Every error of this package; a message says what happened, where, and what to do next.

The tree::

    StepReplayError
    ├── SettingsError            an option, ini value, marker argument or setting that is not valid
    │   └── SelectorError        a selector that cannot be parsed
    ├── CassetteError            a cassette that cannot be used
    │   ├── CassetteReadError    it is broken, newer than this version, or not a cassette
    │   │   ├── NoCassetteError  it is a file of something else
    │   │   └── NotPulledError   it is kept outside of git, and not here yet
    │   └── CassetteWriteError   it could not be written; the file on disk is the old one
    ├── StoreError               where cassettes are kept outside of git cannot be used
    │   └── ObjectError          it does not hold what the lock file names, or holds something else
    └── NetworkBlockedError      a test in replay tried to reach a host (also a RuntimeError)
    TestOutcomeError             pytest's own Failed, which is no Exception: clients cannot swallow it
    ├── UnrecordedRequestError   a request that no recorded interaction answers
    └── RequestStoppedError      a request that cannot go on: no API key, or an unusable cassette
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from _pytest.outcomes import Failed  # pytest.fail.Exception, without importing the rest of pytest

from .machine import disk
from .value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator


class StepReplayError(Exception):
    """The base of all errors that a user can cause and fix."""


class SettingsError(StepReplayError):
    """A setting is not valid; the message names it and lists the valid ones."""


class SelectorError(SettingsError):
    """A selector cannot be parsed; the message points at the character."""


class CassetteError(StepReplayError):
    """A cassette cannot be used.

    Attributes:
        path: the file.
        line: the line in it, counted from 1, where one is known.
    """

    def __init__(self, path: Path, problem: str, *, line: int | None = None, fix: str = "") -> None:
        self.path = path
        self.line = line
        self._problem = problem
        self._fix = fix
        shown = display_path(path)
        where = f"{shown}:{line}" if line else shown
        super().__init__(f"{where}: {problem}" + (f"\n{fix}" if fix else ""))

    def about(self, path: Path) -> Self:
        """Returns the same problem as that of another file, for which this one stood."""
        return type(self)(path, self._problem, line=self.line, fix=self._fix)


def display_path(path: Path) -> str:
    """Returns the path as a person would type it: relative to the folder that they stand in, where it is inside."""
    try:
        return path.relative_to(_standing_in[-1]).as_posix()
    except ValueError:
        return str(path)


@contextmanager
def standing_in(folder: Path) -> Iterator[None]:
    """Names the folder that a run, or a command, was started in; a test may go into another one, and replace `os`."""
    _standing_in.append(folder)
    try:
        yield
    finally:
        _standing_in.remove(folder)


def _folder_of_process() -> Path:
    try:
        return Path(disk.folder_of_process())
    except OSError:  # it was deleted
        return Path(os.devnull)


_standing_in: Final = [_folder_of_process()]


class CassetteReadError(CassetteError):
    """The file is broken, written by a newer version, or not a cassette. It is left as it is."""


class NoCassetteError(CassetteReadError):
    """The file is readable, and is a cassette of no known tool."""


class NotPulledError(CassetteReadError):
    """The lock file lists the cassette, and nobody has pulled it yet."""


class CassetteWriteError(CassetteError):
    """The cassette could not be written. What was on disk before is still there."""


class StoreError(StepReplayError):
    """Where cassettes are kept outside of git cannot be reached, or does not do what it is asked."""


class ObjectError(StoreError):
    """The store does not hold what a digest stands for, or holds something else under it.

    Attributes:
        is_absent: it holds nothing under it.
    """

    def __init__(self, message: str, *, is_absent: bool = False) -> None:
        self.is_absent = is_absent
        super().__init__(message)


class NetworkBlockedError(StepReplayError, RuntimeError):
    """In replay, a test tried to reach another machine."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a person is told of a test's failure.

    Attributes:
        text: all of it.
        cause: the part that other failures have in common with this one; its first line stands for itself. Empty for
            what is always told in full.
        records: whether recording the test mends it.
    """

    text: str
    cause: str = ""
    records: bool = False


class TestOutcomeError(Failed):
    """The test's verdict, raised inside a client library.

    Clients catch ``Exception`` to retry, wrap or swallow it (openai 2.x does all three). This is what
    ``pytest.fail`` raises: a ``BaseException`` that pytest expects anywhere, in a fixture's teardown too.
    """

    __test__ = False

    def __init__(self, message: str) -> None:
        super().__init__(message, pytrace=True)
        self.explanation = Explanation(message)

    def explain(self, explanation: Explanation) -> None:
        """Replaces the message that the client was given by the one that a person reads when the test has ended."""
        self.explanation = explanation
        self.msg = explanation.text
        self.args = (explanation.text,)


class UnrecordedRequestError(TestOutcomeError):
    """No recorded interaction answers a request."""


class RequestStoppedError(TestOutcomeError):
    """A request cannot go on: its API key is missing, or its cassette is unusable."""
