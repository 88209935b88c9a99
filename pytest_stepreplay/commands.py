"""The commands that messages suggest, as a person can type them in the folder where the run was started.

What a command is to do goes in, and its text comes out: with the tests that the run was told to run, and with those
of its options that decide where cassettes are.
"""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .errors import display_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
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
    """

    folder: Path
    root: Path
    cassettes: Path
    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    @property
    def is_outside(self) -> bool:
        """Whether a command that is started in the folder finds another project."""
        return bool(self.options) or not self.folder.is_relative_to(self.root)


_starts: Final[list[Start]] = []


@contextmanager
def started(start: Start) -> Iterator[None]:
    """Names how the run was started."""
    _starts.append(start)
    try:
        yield
    finally:
        _starts.remove(start)


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
    start = _starts[-1] if _starts else None
    words = ["pytest", *(start.options if start else ()), *tests]
    if start is not None and not tests and start.is_outside:
        words += start.arguments
    return " ".join([*map(shlex.quote, words), *options])


def mend_or_record(verb: str = "record") -> str:
    """Returns what to do about a file that cannot be read; no mode takes such a file for one that is not there.

    Args:
        verb: what is done anew, for a cassette or for snapshots.
    """
    return f"Fix it, or delete it and {verb} it again with: {pytest_command('--stepreplay=record')}"


def review_command(verb: str = "review", option: str = "") -> str:
    """Returns the text of ``stepreplay review`` and its like, for all that is pending in the run's project."""
    start = _starts[-1] if _starts else None
    if start is not None and start.is_outside:
        option = shlex.quote(display_path(start.cassettes))
    return " ".join(filter(None, ["stepreplay", verb, option]))


def project_command(verb: str) -> str:
    """Returns the text of a command that goes by the last run of a project."""
    start = _starts[-1] if _starts else None
    where = ""
    if start is not None and not start.folder.is_relative_to(start.root):
        where = f"cd {shlex.quote(display_path(start.root))} && "
    return f"{where}stepreplay {verb}"
