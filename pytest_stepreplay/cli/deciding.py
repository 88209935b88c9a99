"""What the commands that change cassettes by the last run share: its knowledge, and a person's consent."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from ..commands import pytest_command
from ..errors import StepReplayError
from ..housekeeping import CACHE_KEY
from ..housekeeping.last_run import read_last_run
from .command import AS_JSON, Option, UsageError
from .project import cache_folder, display
from .terminal import echo

if TYPE_CHECKING:
    from ..housekeeping.last_run import LastRun


CONSENT: Final = (
    Option("--dry-run", "Show what would be done, and do nothing."),
    Option("-y, --yes", "Do it without asking."),
    AS_JSON,
)
"""The options of such a command."""


def check_consent(*, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Does nothing where the options say what to do.

    Raises:
        UsageError: they do not go together.
    """
    if dry_run and yes:
        raise UsageError("use --dry-run or --yes, not both")
    if as_json and not (dry_run or yes):
        raise UsageError("--json cannot ask; add --dry-run or --yes")


def is_agreed(question: str, *, dry_run: bool, yes: bool, as_json: bool = False) -> bool:
    """Returns whether to go on: as the options say, else as a person at the terminal answers; says where not.

    Raises:
        UsageError: nobody is there to be asked.
    """
    agreed = not dry_run and (yes or _ask(question))
    if not agreed and not as_json:
        echo("Nothing was changed.")
    return agreed


def _ask(question: str) -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("there is no terminal to ask in; add --yes to go ahead, or --dry-run to look first")
    while True:
        answer = input(f"{question} [y/N]: ").strip().lower()
        if answer in ("y", "yes"):
            return True
        if answer in ("", "n", "no"):
            return False
        echo("Please answer y or n.")


def last_run_of_project() -> LastRun:
    """Returns what the last pytest run of the project has left.

    Raises:
        StepReplayError: there is none.
    """
    path = cache_folder() / "v" / CACHE_KEY
    run = read_last_run(path)
    if run is None:
        raise StepReplayError(
            f"no pytest run is on record ({display(path)} is missing, or from another version).\n"
            f"Run the whole suite first, without -p no:cacheprovider: {pytest_command()}"
        )
    return run
