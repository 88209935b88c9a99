"""The `stepreplay` command: learn the product, and look at cassettes without pytest.

Exit status 0 means that all is well, 1 that something was found, 2 that the command could not do what it
was asked. A user's mistake is one message on stderr, never a traceback.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..commands import started
from ..errors import StepReplayError, standing_in
from . import (
    adopt,
    completion,
    convert,
    demo,
    diff,
    drift_over_time,
    git_config,
    git_merge,
    git_view,
    init,
    linting,
    listing,
    merging_reports,
    pending_changes,
    project,
    prune,
    relink,
    review,
    serve,
    show,
    syncing,
    verifying,
)
from .command import HELP, UsageError, help_page, unknown
from .terminal import echo, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .command import Command

# As a shell reports a command that SIGINT or SIGPIPE ended.
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

VERSION: Final = "--version"
USAGE: Final = "stepreplay [OPTIONS] COMMAND [ARGS]..."
DESCRIPTION: Final = """
Record real chat completions once, replay them offline, and see what differs.

Start with `stepreplay demo`: it needs no API key and no network.
"""
COMMANDS: Final[Mapping[str, tuple[str, Callable[[], Command]]]] = {
    "accept": ("Accept pending changes.", lambda: pending_changes.ACCEPT),
    "adopt": ("Run a suite of pytest-recording or pytest-vcr on this plugin.", lambda: adopt.ADOPT),
    "completion": (
        "Print what bash, zsh or fish needs to complete words.",
        lambda: completion.completing(COMMANDS, VERSION),
    ),
    "convert": ("Convert cassettes of other tools, HTTP archives and logs.", lambda: convert.CONVERT),
    "demo": ("Learn it in a minute: no key, no network.", lambda: demo.DEMO),
    "diff": ("Compare two cassettes, completions or streams.", lambda: diff.DIFF),
    "git-merge": ("Merge cassettes, as git calls it.", lambda: git_merge.GIT_MERGE),
    "git-textconv": ("Print a file for `git diff`, as git calls it.", lambda: git_view.GIT_TEXTCONV),
    "history": ("Tell since when answers drift.", lambda: drift_over_time.HISTORY),
    "init": ("Look at a project, and propose what it needs.", lambda: init.INIT),
    "lint": ("Find secrets and other problems in cassettes.", lambda: linting.LINT),
    "list": ("List cassettes with their size, age, models and tokens.", lambda: listing.LIST),
    "merge": ("Make one report of those of several machines.", lambda: merging_reports.MERGE),
    "pending": ("List pending changes.", lambda: pending_changes.PENDING),
    "prune": ("Remove what the last run did not play.", lambda: prune.PRUNE),
    "pull": ("Bring cassettes that are kept outside of git.", lambda: syncing.PULL),
    "push": ("Put cassettes where they are kept outside of git.", lambda: syncing.PUSH),
    "reject": ("Drop pending changes.", lambda: pending_changes.REJECT),
    "relink": ("Give renamed and moved tests their cassettes back.", lambda: relink.RELINK),
    "review": ("Accept or reject pending changes one by one.", lambda: review.REVIEW),
    "serve": ("Record and replay for other processes and languages.", lambda: serve.SERVE),
    "setup": ("Let git show and merge cassettes.", lambda: git_config.SETUP),
    "show": ("Print a cassette as a conversation.", lambda: show.SHOW),
    "status": ("Tell what to pull and what to push.", lambda: syncing.STATUS),
    "verify": ("Send what is recorded again, and compare the answers.", lambda: verifying.VERIFY_COMMAND),
}
"""What each is for, in the list of all; and the command itself, whose module is imported when it is called."""


def main(args: Sequence[str] | None = None) -> int:
    """Runs the `stepreplay` command and returns its exit status.

    Args:
        args: the arguments; by default those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what the terminal's encoding lacks is escaped, not an error
            stream.reconfigure(errors="backslashreplace")
    if args is None:
        args = expanded(sys.argv[1:]) if sys.platform == "win32" else sys.argv[1:]
    try:
        with standing_in(Path.cwd()), started(project.start_here):
            status = _run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads the output any more (``| head``)
        # What Python still flushes at its exit must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except (KeyboardInterrupt, EOFError):
        echo("", err=True)
        return INTERRUPTED
    except (StepReplayError, OSError) as error:
        echo(f"stepreplay: {safe(str(error))}", err=True)
        return 2
    return status


def _run(words: Sequence[str]) -> int:
    command = COMMANDS[words[0]][1]() if words and words[0] in COMMANDS else None
    try:
        return command.start(words[1:]) if command else _answer(words)
    except UsageError as error:
        usage = command.usage if command else USAGE
        name = f"stepreplay {command.name}" if command else "stepreplay"
        echo(safe(f"Usage: {usage}\nstepreplay: {error}\nTry: {name} --help"), err=True)
        return 2


def _answer(words: Sequence[str]) -> int:
    """Says what a call that names no command asks for.

    Raises:
        UsageError: that is nothing known.
    """
    if not words or words[0] in HELP.flags:
        options = [(VERSION, "Show the version and exit."), (HELP.label, HELP.text)]
        commands = [(name, summary) for name, (summary, _) in COMMANDS.items()]
        page = help_page(USAGE, DESCRIPTION, {"Options": options, "Commands": commands})
        echo(page, err=not words)
        return 0 if words else 2
    if words[0] == VERSION:
        echo(f"stepreplay, version {importlib.metadata.version('pytest-stepreplay')}")
        return 0
    if words[0].startswith("-"):
        raise unknown("option", words[0], [VERSION, *HELP.flags])
    raise unknown("command", words[0], COMMANDS)


def expanded(words: Iterable[str]) -> list[str]:
    """Returns the words with home folders, variables and globs filled in, which no shell of Windows does."""
    found: list[str] = []
    for word in words:
        filled = os.path.expandvars(os.path.expanduser(word))  # noqa: PTH111 - a word need not be a path
        if os.path.lexists(filled):  # brackets in a name are no glob
            found.append(filled)
            continue
        found += glob(filled, recursive=True) or [filled]  # noqa: PTH207 - as before
    return found
