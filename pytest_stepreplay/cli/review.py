"""`stepreplay review`: pending changes one at a time in the terminal, each decided with one key.

A decision is carried out at once, so whatever ends the review, what was decided stays decided and the rest
stays pending.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ..commands import stepreplay_command
from ..errors import CassetteError
from ..store.pending import accept_pending, reject_pending
from ..texts.escaping import escape_for_terminal
from . import printing, web_review
from .command import COLOR, Command, Option, UsageError
from .pending_changes import (
    PATHS,
    Unreadable,
    commands_for,
    find_pending,
    findings_of,
    print_list,
    read_all,
    tell_units,
)
from .project import guarded_by_project
from .terminal import echo, plural, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.console import Console

    from ..store.pending import Pending
    from .pending_changes import PendingDrift

KEYS: Final = "a accept  r reject  s skip  A R S all the rest  d full diff  q quit"
VERBS: Final = {"a": "accepted", "r": "rejected", "s": "skipped"}
END_OF_INPUT: Final = ("", "\x04", "\x1a")  # Ctrl-D, and Ctrl-Z on Windows
LINES: Final = 2_000  # of a full diff
SHORTEST: Final = 3  # lines of a change, however low the terminal is
WHOLE_SEQUENCE: Final = 0.05  # seconds in which the rest of what one key sends is there


def _run(paths: tuple[str, ...], color: str, web: bool, no_open: bool) -> int:
    if no_open and not web:
        raise UsageError("--no-open goes with --web")
    if web:
        return web_review.review_in_browser(paths, opens=not no_open)
    found = read_all(find_pending(paths))
    if not found or not (sys.stdin.isatty() and sys.stdout.isatty()):
        print_list(found, color)
        if found:
            echo("\nreview needs a terminal, and this is not one. Decide with:")
            of_all = [stepreplay_command(verb, *(paths or ("--all",))) for verb in ("accept", "reject")]
            for command in [*commands_for(found), *of_all]:
                echo(f"  {_one_line(command)}")
        return 1 if found else 0

    walk = _Review(printing.open_console(color), found)
    try:
        with guarded_by_project(), reading_keys() as read_key:
            walk.ask(read_key)
    finally:
        walk.print_outcome()
    return 1 if walk.refused else 0


REVIEW: Final = Command(
    name="review",
    description="""
    Go through the pending changes, and decide on each with one key.

    PATHS are cassettes, pending files (NAME.yaml.new), folders or globs; by default the project's folder. The
    exit status is 1 if a change was refused. Without a terminal nothing is asked: the changes are listed with
    the commands to use instead, and the exit status is 1 if there are any.
    """,
    examples=("stepreplay review", "stepreplay review cassettes/test_chat", "stepreplay review --web"),
    operands=(PATHS,),
    options=(
        Option("--web", "Show them as a page in the browser, served to this machine alone."),
        Option("--no-open", "With --web: print the URL, and open no browser."),
        COLOR,
    ),
    keys=(
        ("a", "accept: the new version replaces the old one"),
        ("r", "reject: the old version stays"),
        ("s", "skip: decide later"),
        ("A, R, S", "the same for this change and all the rest"),
        ("d", "show the full diff, or the leading changes again"),
        ("q", "quit, as with Ctrl-C; decisions made so far stand"),
    ),
    run=_run,
)


def _one_line(text: str) -> str:
    return escape_for_terminal(text)


class _Review:
    """One walk through what is pending."""

    def __init__(self, console: Console, found: list[Pending | Unreadable]) -> None:
        self.refused: list[str] = []
        self._console = console
        self._findings: list[PendingDrift] = []
        self._decided: dict[str, list[tuple[Path, str]]] = {verb: [] for verb in VERBS.values()}
        for each in found:
            if isinstance(each, Unreadable):
                self.refused.append(each.problem)
            elif each.stale:
                self.refused.append(
                    f"{each.path}: was made from another version of {each.target}, which has changed since"
                )
            else:
                self._findings += findings_of(each)

    def ask(self, read_key: Callable[[], str]) -> None:
        """Shows one finding after the other until all are decided, or a key quits."""
        at, full, note = 0, False, ""
        while at < len(self._findings):
            self._show(at, full=full, note=note)
            key, note = read_key(), ""
            if key in ("q", *END_OF_INPUT):
                return
            if key == "d":
                full = not full
            elif key.lower() in VERBS and len(key) == 1:
                rest = self._findings[at:] if key.isupper() else self._findings[at : at + 1]
                self._decide(VERBS[key.lower()], rest)
                at, full = at + len(rest), False
            else:
                note = "That is not one of the keys:"

    def print_outcome(self) -> None:
        """Prints what was decided, and what was refused."""
        self._console.print()
        for verb, units in self._decided.items():
            files: dict[Path, list[str]] = {}
            for path, name in units:
                files.setdefault(path, []).append(name)
            for path, names in files.items():
                self._console.print(printing.Text(f"{verb} {tell_units(path, names)}"), soft_wrap=True)
        for problem in self.refused:
            self._console.print(printing.Text(safe(f"refused: {problem}"), "red"), soft_wrap=True)
        done = len(self._decided["accepted"]) + len(self._decided["rejected"])
        left = len(self._findings) - done
        if left:
            self._console.print(printing.Text(f"{plural(left, 'change')} still pending", "dim"))

    def _decide(self, verb: str, findings: list[PendingDrift]) -> None:
        files: dict[Path, list[str]] = {}
        for finding in findings:
            files.setdefault(finding.pending.path, []).append(finding.unit.name)
        for path, names in files.items():
            try:
                with _uninterrupted():
                    if verb != "skipped":
                        (accept_pending if verb == "accepted" else reject_pending)(path, names)
                    self._decided[verb] += [(path, name) for name in names]
            except CassetteError as error:
                self.refused.append(str(error))

    def _show(self, at: int, *, full: bool, note: str) -> None:
        finding, console = self._findings[at], self._console
        head = self._head(finding, at)
        told = finding.facts(full=full)
        shown = printing.Text(told) if finding.drift is None else printing.colored(told)
        facts = shown.wrap(console, max(console.width, 10), tab_size=4)
        room = LINES if full else max(console.height - len(head) - 4, SHORTEST)
        lines: list[printing.Text] = [*facts]
        if len(lines) > room:
            more = f"… {len(lines) - room + 1:,} more lines"
            lines = [*lines[: room - 1], printing.Text(more if full else f"{more} (d shows them)", "dim")]
        console.clear()
        for line in [*head, printing.Text(), *lines, printing.Text()]:
            console.print(line, no_wrap=True, overflow="ellipsis")
        console.print(printing.Text(f"{note} {KEYS}" if note else KEYS, "bold yellow" if note else "bold"))

    def _head(self, finding: PendingDrift, at: int) -> list[printing.Text]:
        pending, request = finding.pending, finding.request
        told = [
            (f"{at + 1:,} of {len(self._findings):,}  {pending.target}", "bold"),
            (pending.test or "", "dim"),
            (f"{finding.name}: {finding.level}", STYLES.get(finding.level, "")),
            (f"{request.method} {request.url}" if request else "", "dim"),
        ]
        return [printing.Text(_one_line(text), style) for text, style in told if text]


STYLES: Final = {"contract": "bold red", "behavior": "red", "content": "yellow", "removed": "red"}


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Holds Ctrl-C back until a decision has reached both files."""
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt


if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def reading_keys() -> Iterator[Callable[[], str]]:
        """Yields a function that waits for a key and returns it."""
        yield _read_key

    def _read_key() -> str:
        key = msvcrt.getwch()
        if key in ("\x00", "\xe0"):  # what a special key sends is two characters
            return key + msvcrt.getwch()
        if key == "\x03":  # Ctrl-C is not told in another way
            raise KeyboardInterrupt
        return key

else:
    import select
    import termios
    import tty

    @contextmanager
    def reading_keys() -> Iterator[Callable[[], str]]:
        """Yields a function that waits for a key and returns it; all that a special key sends is one key.

        The terminal gives single keys until the end, and is then as it was before, whatever the end was.
        """
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        waiting: list[str] = []

        def take_keys(*_: object) -> None:
            tty.setcbreak(descriptor, termios.TCSADRAIN)

        def read_key() -> str:
            if not waiting:
                waiting.extend(_read_keys(descriptor))
            return waiting.pop(0)

        resumed = signal.signal(signal.SIGCONT, take_keys)  # after Ctrl-Z the shell has had the terminal
        try:
            tty.setcbreak(descriptor)
            yield read_key
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
            signal.signal(signal.SIGCONT, resumed)

    def _read_keys(descriptor: int) -> list[str]:
        """Returns the keys that were pressed, at least one; an empty one where no terminal is left."""
        try:
            sent = os.read(descriptor, 1024)
            # The letters in what an arrow key sends must not be taken for keys.
            while b"\x1b" in sent and select.select([descriptor], [], [], WHOLE_SEQUENCE)[0]:
                more = os.read(descriptor, 1024)
                if not more:
                    break
                sent += more
        except OSError:
            return [""]
        keys, escape, _ = sent.decode("utf-8", "replace").partition("\x1b")
        return [*keys, *([escape] if escape else [])] or [""]
