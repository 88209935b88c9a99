"""Every error of this package; a message says what happened, where, and what to do next.

The tree::

    StepReplayError
    ├── SettingsError            an option, ini value, marker argument or setting that is not valid
    │   └── SelectorError        a selector that cannot be parsed
    ├── CassetteError            a cassette that cannot be used
    │   ├── CassetteReadError    it is broken, newer than this version, or not a cassette
    │   └── CassetteWriteError   it could not be written; the file on disk is the old one
    └── NetworkBlockedError      a test in replay tried to reach a host (also a RuntimeError)
    TestOutcomeError             a BaseException, as pytest's outcomes are: clients cannot swallow it
    ├── UnrecordedRequestError   a request that no recorded interaction answers
    └── RequestStoppedError      a request that cannot go on: no API key, or an unusable cassette
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class StepReplayError(Exception):
    """The base of what a user can cause and mend."""


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
        where = f"{path}:{line}" if line else f"{path}"
        super().__init__(f"{where}: {problem}" + (f"\n{fix}" if fix else ""))


class CassetteReadError(CassetteError):
    """The file is broken, written by a newer version, or no cassette at all. It is left as it is."""


class CassetteWriteError(CassetteError):
    """The cassette could not be written. What stood on disk before still stands."""


class NetworkBlockedError(StepReplayError, RuntimeError):
    """In replay, a test tried to reach a host that is not this machine."""


class TestOutcomeError(BaseException):
    """The test's verdict, raised inside a client library.

    Clients catch ``Exception`` to retry, wrap or swallow it (openai 2.x does all three), so this is
    a ``BaseException``, as pytest's own outcomes are.
    """

    __test__ = False


class UnrecordedRequestError(TestOutcomeError):
    """No recorded interaction answers a request."""


class RequestStoppedError(TestOutcomeError):
    """A request cannot go on: its API key is missing, or its cassette is unusable."""
