"""`stepreplay review`: pending changes one at a time in the terminal, each decided with one key.

A decision is carried out at once, so whatever ends the review, what was decided stays decided and the rest
stays pending.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ..commands import pytest_command, stepreplay_command
from . import printing, web_review
from .command import COLOR, Command, Option, UsageError
from .decisions import DONE, Decisions, Waiting
from .keyboard import ENDED, RESIZED, reading_keys
from .pending_changes import PATHS, commands_for, find_pending, print_list, read_all, tell_units
from .project import api_key_is_set, guarded_by_project
from .review_screen import (
    LOW,
    View,
    clip,
    foot_lines,
    head_lines,
    key_lines,
    note_lines,
    screen_lines,
    scrolled,
)
from .terminal import echo, plural, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.console import Console
    from rich.text import Text

    from .decisions import Verb
    from .keyboard import Keyboard
    from .pending_changes import PendingDrift

VERBS: Final[dict[str, Verb]] = {"a": "accept", "r": "reject", "s": "skip"}
KEYS: Final = (
    ("a", "accept: the new version replaces the old one"),
    ("r", "reject: the old version stays"),
    ("s", "skip: decide later"),
    ("A, R, S", "the same for this change and all the rest of one cause"),
    ("*", "the same for all that are left; asks which"),
    ("u", "undo the last decision: the files are as they were before it"),
    ("b, n", "go back to the change before, or on to the next, and decide nothing"),
    ("d", "show the whole diff, or the leading part again"),
    ("c", "show the conversation before the question, or fold it"),
    ("space, up, down", "move the lines that do not fit the terminal"),
    ("e", "open the pending file in $VISUAL or $EDITOR"),
    ("/", "show only changes of a level, a test or a cause"),
    ("w, W", "where later turns quote an answer, and an API key is set: record the rest, or all, again"),
    ("t", "at the end: replay the tests of what was accepted"),
    ("?", "help"),
    ("q", "quit, as with Ctrl-C; decisions made so far stand"),
)
_SHOWN: Final = 20
"""Files that are told one by one at the end, for each verb."""
_TESTS: Final = 20
"""Tests that one command names."""


def _run(paths: tuple[str, ...], color: str, web: bool, no_open: bool) -> int:
    if no_open and not web:
        raise UsageError("--no-open goes with --web")
    if web:
        return web_review.review_in_browser(paths, opens=not no_open)
    files = find_pending(paths)
    if not files or not (sys.stdin.isatty() and sys.stdout.isatty()):
        found = read_all(files)
        print_list(found, color)
        if found:
            echo("\nreview needs a terminal, and this is not one. Decide with:")
            of_all = [stepreplay_command(verb, *(paths or ("--all",))) for verb in ("accept", "reject")]
            for command in [*commands_for(found), *of_all]:
                echo(f"  {clip(command, len(command))}")
        return 1 if found else 0

    waiting = Waiting(files)
    walk = _Walk(printing.open_console(color), waiting, Decisions(waiting))
    try:
        with guarded_by_project(), reading_keys() as keys, walk.screen():
            walk.ask(keys)
    except KeyboardInterrupt:
        echo("\nInterrupted. What was decided is done, and the rest is still pending.")
        raise
    finally:
        walk.print_outcome()
    return 1 if walk.problems else 0


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
    keys=KEYS,
    run=_run,
)


class _Walk:
    """One walk through what is pending, and where it stands."""

    def __init__(self, console: Console, waiting: Waiting, decisions: Decisions) -> None:
        self._console = console
        self._waiting = waiting
        self._decisions = decisions
        self._at: int | None = 0
        self._top = 0
        self._whole = self._opened = False
        self._note = ""
        self._filter: Callable[[PendingDrift], bool] | None = None
        self._filtered = ""
        self._drawn: tuple[object, list[Text]] | None = None
        self._alone = False

    @property
    def problems(self) -> list[str]:
        """What could not be read, or was refused."""
        return [*self._waiting.problems, *self._decisions.refused]

    @contextmanager
    def screen(self) -> Iterator[None]:
        """Shows the changes on a screen of their own, so that what was printed before is there afterwards."""
        self._alone = not self._console.is_dumb_terminal and self._console.set_alt_screen(True)
        try:
            yield
        finally:
            if self._alone:
                self._console.set_alt_screen(False)

    def ask(self, keys: Keyboard) -> None:
        """Shows one change after the other until all are decided, or a key quits."""
        self._at = self._next(0)
        if self._at is None:
            return
        while True:
            if self._at is None:
                if self._ends(keys):
                    return
                continue
            change = self._waiting.changes[self._at]
            self._draw(change)
            key, self._note = keys.read(self._read_on if self._waiting.unread else None), ""
            if key in ("q", ENDED):
                return
            if key != RESIZED:
                self._answer(key, change, keys)

    # ------------------------------------------------------------ what a key does

    def _answer(self, key: str, change: PendingDrift, keys: Keyboard) -> None:
        if key in VERBS or (key.lower() in VERBS and len(key) == 1):
            self._decide_by(VERBS[key.lower()], change, keys, alike=key.isupper())
        elif key == "*":
            self._decide_about_all(keys)
        elif key == "u":
            self._undo()
        elif key in ("b", "n"):
            self._go(-1 if key == "b" else 1)
        elif key == "d":
            self._whole, self._top = not self._whole, 0
        elif key == "c":
            self._opened, self._top = not self._opened, 0
        elif key in (" ", "page down", "down", "up", "page up"):
            page = max(self._console.height // 2, 1)
            self._top += {" ": page, "page down": page, "down": 1, "up": -1, "page up": -page}[key]
        elif key == "e":
            self._edit(change, keys)
        elif key == "/":
            self._ask_filter(change, keys)
        elif key == "?":
            self._help(keys)
        else:
            self._note = "That is not one of the keys:"

    def _decide_by(self, verb: Verb, change: PendingDrift, keys: Keyboard, *, alike: bool) -> None:
        done = self._decisions.of(change)
        if done not in (None, "skip"):
            self._note = f"This is {DONE[done]} already; u undoes decisions, the last one first"
            if verb == "skip":
                self._go(1)
            return
        self._carry_out(verb, self._alike(change) if alike else [change], keys)

    def _alike(self, change: PendingDrift) -> list[PendingDrift]:
        """Returns the change and all others of its cause about which nothing is decided."""
        self._read_rest()
        return [
            each
            for each in self._matching()
            if each is change or (self._decisions.is_open(each) and each.cause == change.cause)
        ]

    def _decide_about_all(self, keys: Keyboard) -> None:
        self._read_rest()
        left = [each for each in self._matching() if self._decisions.is_open(each)]
        question = (
            f"All {plural(len(left), 'change')} left{self._in_filter()}: a accept  r reject  s skip  esc none"
        )
        key = self._ask(question, keys)
        if key in VERBS:
            self._carry_out(VERBS[key], left, keys)

    def _carry_out(self, verb: Verb, changes: list[PendingDrift], keys: Keyboard) -> None:
        quoted = [each for each in changes if each.quoted] if verb == "accept" else []
        answer = self._ask(_told_quoted(quoted, low=self._console.height < LOW), keys) if quoted else "a"
        if answer in ("w", "W") and not api_key_is_set():
            answer = ""
        at = self._at or 0
        if answer == "W":
            self._record_again("rewrite", quoted, keys)
        elif answer not in ("a", "A", "w"):
            self._note = "Nothing was decided"
            return
        else:
            refused = self._decisions.decide(verb, changes)
            if len(changes) > 1:
                self._note = f"{DONE[verb].capitalize()} {plural(len(changes), 'change')}; u undoes that"
            if answer == "w":
                self._record_again(
                    "record", [each for each in quoted if self._decisions.of(each) == verb], keys
                )
            if refused:
                self._note = f"Refused: {refused[0]}"
        self._whole, self._top = False, 0
        self._at = self._next(min(at, len(self._waiting.changes)))
        if self._at is None:
            self._at = self._next(0)
        if self._at is None and self._filter is not None:
            self._filter, self._filtered = None, ""
            self._note = "Nothing is left in the filter; these are the others"
            self._at = self._next(0)

    def _undo(self) -> None:
        back, problems = self._decisions.undo()
        if problems:
            self._note = f"Not undone: {problems[0]}"
        elif not back:
            self._note = "There is no decision to undo"
        if back:
            self._note = self._note or f"Undone: {plural(len(back), 'change')} pending again"
            self._at = next(i for i, each in enumerate(self._waiting.changes) if each in back)
            self._top = 0

    def _go(self, step: int) -> None:
        at = (self._at or 0) + step
        while at >= 0:
            while at >= len(self._waiting.changes) and self._waiting.read_more():
                pass
            if at >= len(self._waiting.changes):
                break
            if self._fits(self._waiting.changes[at]):
                self._at, self._top, self._whole = at, 0, False
                return
            at += step
        self._note = self._note or ("This is the first" if step < 0 else "This is the last")

    def _edit(self, change: PendingDrift, keys: Keyboard) -> None:
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
        if not editor:
            self._note = "Set VISUAL or EDITOR to the editor that is to be opened"
            return
        path = change.pending.path
        problem = self._call([*shlex.split(editor), str(path)], keys)
        self._read_again([path])
        self._note = problem or ("" if self._at is None else "Read again from the file")

    def _ask_filter(self, change: PendingDrift, keys: Keyboard) -> None:
        asked = "Only those of a level, a test, a cause (= like this one; nothing: all): "
        words = self._ask_line(asked, keys)
        if words is None:
            return
        self._top = 0
        if not words:
            self._filter, self._filtered = None, ""
            return
        self._read_rest()
        chosen = _like(change) if words == "=" else _saying(words)
        found = [i for i, each in enumerate(self._waiting.changes) if chosen(each)]
        if not found:
            self._note = f"Nothing pending has {words}; all are shown"
            return
        still = [i for i in found if self._decisions.is_open(self._waiting.changes[i])]
        self._filter, self._filtered = chosen, "like this one" if words == "=" else words
        self._at = (still or found)[0]

    def _help(self, keys: Keyboard) -> None:
        width = max(len(name) for name, _ in KEYS) + 2
        lines = [printing.Text.assemble((name.ljust(width), "bold"), text) for name, text in KEYS]
        shown = [line for each in lines for line in each.wrap(self._console, max(self._console.width, 10))]
        top, room = 0, max(self._console.height - 2, 1)
        while True:
            more = top + room < len(shown)
            self._print(
                [*shown[top : top + room], printing.Text("any key goes on" if more else "any key goes back")]
            )
            if keys.read() in ("q", ENDED) or not more:
                return
            top += room

    # ------------------------------------------------------------ what is seen

    def _next(self, start: int) -> int | None:
        """Returns where the next change is that nothing was decided about; None where none is left."""
        at = start
        while at < len(self._waiting.changes) or self._waiting.read_more():
            if at < len(self._waiting.changes):
                change = self._waiting.changes[at]
                if self._decisions.is_open(change) and self._fits(change):
                    return at
                at += 1
        return None

    def _fits(self, change: PendingDrift) -> bool:
        return self._filter is None or self._filter(change)

    def _matching(self) -> list[PendingDrift]:
        return [each for each in self._waiting.changes if self._fits(each)]

    def _in_filter(self) -> str:
        return f" in {self._filtered}" if self._filtered else ""

    def _read_on(self) -> bool:
        """Reads one more file while nobody types, and finds what its changes have in common with others."""
        known = len(self._waiting.changes)
        more = self._waiting.read_more()
        for each in self._waiting.changes[known:]:
            _ = each.cause
        return more

    def _read_rest(self) -> None:
        total, told = self._waiting.unread, -1
        while self._waiting.unread:
            done = (total - self._waiting.unread) * 20 // total
            if done != told and total > 100:
                told = done
                self._print(
                    [printing.Text(f"Reading what is pending: {done * 5} % (Ctrl-C ends the review)")]
                )
            self._read_on()

    def _read_again(self, paths: Iterable[Path]) -> None:
        """Shows what waits in some files by now, in the place of what did."""
        before = self._waiting.changes[self._at] if self._at is not None else None
        for path in dict.fromkeys(paths):
            self._waiting.read_again(path, self._decisions.verbs)
        self._drawn = None
        if before is not None and before not in self._waiting.changes:
            same = [
                i
                for i, each in enumerate(self._waiting.changes)
                if (each.pending.path, each.unit.name) == (before.pending.path, before.unit.name)
            ]
            self._at = same[0] if same else self._next(min(self._at or 0, len(self._waiting.changes)))

    def _draw(self, change: PendingDrift, question: str = "") -> None:
        console = self._console
        view = View(max(console.width, 10), console.height, self._whole, self._opened)
        matching = self._matching()
        place = f"{matching.index(change) + 1:,} of {len(matching):,}"
        if self._waiting.unread:
            place += " so far"
        alike = [each for each in matching if each is not change and self._decisions.is_open(each)]
        like = sum(
            each.cause == change.cause
            for each in alike
            if not self._waiting.unread or "cause" in each.__dict__
        )
        done = self._decisions.of(change)
        notes = [
            *([DONE[done]] if done else []),
            *([f"{like + 1:,} like this"] if like else []),
            *([f"only {self._filtered}"] if self._filtered else []),
        ]
        head = head_lines(change, place, notes, view)
        foot = note_lines(question or self._note, view.width)
        if not question:
            foot += foot_lines(view, like + 1)
        space = [printing.Text()] if view.height >= LOW else []
        room = max(view.height - len(head) - len(foot) - 2 * len(space), 1)
        seen = (id(change), view)
        if self._drawn is None or self._drawn[0] != seen:
            self._drawn = (seen, screen_lines(change, view, console))
        lines = self._drawn[1]
        self._top = max(min(self._top, len(lines) - room), 0)
        shown = scrolled(lines, self._top, room, view.width)
        gap = [] if console.is_dumb_terminal else [printing.Text()] * (room - len(shown))
        self._print([*head, *space, *shown, *gap, *space, *foot])

    def _print(self, lines: Sequence[Text]) -> None:
        self._console.clear()
        if not self._console.is_dumb_terminal:
            lines = lines[-self._console.height :]
        for line in lines[:-1]:
            self._console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
        # No line feed behind the last one, or the terminal moves all lines up.
        dumb = self._console.is_dumb_terminal
        self._console.print(lines[-1], no_wrap=True, overflow="ellipsis", crop=True, end="\n" if dumb else "")

    def _ask(self, question: str, keys: Keyboard) -> str:
        """Asks for one key, below the change in question."""
        while True:
            self._draw(self._current, question)
            key = keys.read()
            if key != RESIZED:
                return key

    def _ask_line(self, question: str, keys: Keyboard) -> str | None:
        """Asks for a line of text; None where it is not wanted any more."""
        words = ""
        while True:
            self._draw(self._current, f"{question}\n/{words}")
            key = keys.read()
            if key == "enter":
                return words.strip()
            if key in ("esc", ENDED):
                return None
            if key == "backspace":
                words = words[:-1]
            elif len(key) == 1 and key.isprintable():
                words += key

    @property
    def _current(self) -> PendingDrift:
        return self._waiting.changes[self._at or 0]

    # ------------------------------------------------------------ other programs

    def _call(self, command: list[str], keys: Keyboard, told: str = "") -> str:
        """Runs another program in the terminal; returns what went wrong, if anything did.

        Args:
            command: the program.
            keys: what reads from the terminal at other times.
            told: what is run, as a person types it, where there is something to read at the end.
        """
        if self._alone:
            self._console.set_alt_screen(False)
        try:
            if told:
                echo(f"\n$ {safe(told)}")
            with keys.lent(), _left_to_the_child():
                status = subprocess.run(command, check=False).returncode  # noqa: S603 - the user's own
            if told:
                echo("\nAny key goes back to the review.")
                keys.read()
        except OSError as error:
            return f"{command[0]}: {error.strerror}"
        finally:
            if self._alone:
                self._console.set_alt_screen(True)
        return f"{told or command[0]} ended with status {status}" if status else ""

    def _pytest(self, options: Sequence[str], tests: Sequence[str], keys: Keyboard) -> str:
        # Like `pytest`, which does not look for modules in the working directory.
        command = [sys.executable, "-P", "-m", "pytest", *tests, *options]
        return self._call(command, keys, pytest_command(*options, tests=tests))

    def _record_again(self, mode: str, changes: Sequence[PendingDrift], keys: Keyboard) -> None:
        """Records tests again: all of each in `rewrite`; in `record`, what stands behind what was accepted."""
        problem = self._pytest([f"--stepreplay={mode}"], _tests_again(changes), keys)
        if not problem:
            self._decisions.note_recorded(changes)
        self._read_again(each.pending.path for each in changes)
        self._note = problem or "Recorded again"

    # ------------------------------------------------------------ the end

    def _ends(self, keys: Keyboard) -> bool:
        """Shows what was decided, when nothing is left; false where the review goes on after all."""
        tests = self._tests_to_replay()
        asked = ["u undo"]
        if self._decisions.breaks() and api_key_is_set():
            asked.append("w record again what will not replay")
        if tests:
            asked.append("t replay the tests of what was accepted")
        lines = [
            *self._outcome(),
            printing.Text(),
            *note_lines(self._note, self._console.width),
            *key_lines([*asked, "any other key ends the review"], self._console.width),
        ]
        self._print(
            [part for line in lines for part in line.wrap(self._console, max(self._console.width, 10))]
        )
        key, self._note = keys.read(), ""
        if key == "u":
            self._undo()
        elif key == "w" and len(asked) > 1 and asked[1].startswith("w"):
            self._record_again("record", self._decisions.breaks(), keys)
        elif key == "t" and tests:
            self._note = self._pytest([], tests, keys) or "They pass"
        return key not in ("u", "w", "t", RESIZED)

    def _tests_to_replay(self) -> list[str]:
        """Returns the tests whose answers were accepted, or their modules where they are many."""
        tests = list(dict.fromkeys(each.owner for each in self._decisions.decided("accept") if each.owner))
        return (
            tests if len(tests) <= _TESTS else list(dict.fromkeys(each.partition("::")[0] for each in tests))
        )

    def print_outcome(self) -> None:
        """Prints what was decided, what was refused, and which tests will not replay."""
        self._console.print()
        for line in self._outcome():
            self._console.print(line, soft_wrap=True)

    def _outcome(self) -> list[Text]:
        lines: list[Text] = []
        for verb, done in DONE.items():
            files: dict[Path, list[str]] = {}
            for each in self._decisions.decided(verb):
                files.setdefault(each.pending.path, []).append(each.unit.name)
            told = [f"{done} {tell_units(path, names)}" for path, names in files.items()]
            if len(told) > _SHOWN:
                told[_SHOWN:] = [f"{done} what is in {len(told) - _SHOWN:,} more files"]
            lines += map(printing.Text, told)
        lines += [printing.Text(safe(f"refused: {problem}"), "red") for problem in self.problems]
        breaks = self._decisions.breaks()
        for each in breaks[:_SHOWN]:
            lines.append(printing.Text(safe(f"{each.pending.target}: {each.quoted}"), "yellow"))
        if breaks:
            command = pytest_command("--stepreplay=record", tests=_tests_again(breaks))
            lines.append(
                printing.Text("These will not replay until the rest of them is recorded again:", "yellow")
            )
            lines.append(printing.Text(f"  {command}"))
        decided = len(self._decisions.decided("accept")) + len(self._decisions.decided("reject"))
        pending = len(self._waiting.changes) - decided
        more = f", and what is in {plural(self._waiting.unread, 'more file')}" if self._waiting.unread else ""
        if pending or more:
            lines.append(printing.Text(f"{plural(pending, 'change')} still pending{more}", "dim"))
        return lines


def _told_quoted(quoted: Sequence[PendingDrift], *, low: bool) -> str:
    """Returns what is to be decided where later turns quote the answers that would go; briefly in a low terminal."""
    one, others = quoted[0], len(quoted) - 1
    more = f", and so it is with {plural(others, 'other answer')}" if others else ""
    tests = _tests_again(quoted)
    rest = pytest_command("--stepreplay=record", tests=tests)
    whole = pytest_command("--stepreplay=rewrite", tests=tests)
    lines = [f"{one.pending.target}: {one.quoted}{more}. Once it is accepted, that does not replay."]
    if low:
        rest = whole = ""
    if api_key_is_set():
        lines += [f"w accept, and record the rest now  {rest}", f"W record it all again instead  {whole}"]
    elif not low:
        lines.append(f"With an API key set, w would record the rest: {rest}")
    return "\n".join([*lines, "a accept, and mark it as stale   esc decide nothing"])


def _tests_again(changes: Iterable[PendingDrift]) -> list[str]:
    """Returns the tests that quote old answers, as a person types them, or their modules where they are many."""
    tests = list(dict.fromkeys(test for each in changes for test in each.tests_again))
    return tests if len(tests) <= _TESTS else list(dict.fromkeys(each.partition("::")[0] for each in tests))


def _like(change: PendingDrift) -> Callable[[PendingDrift], bool]:
    return lambda other: other.cause == change.cause


def _saying(words: str) -> Callable[[PendingDrift], bool]:
    """Returns whether a change is of a level, or has all of the words in its test, its path or its leading line."""

    def says(change: PendingDrift) -> bool:
        told = f"{change.pending.test or ''} {change.pending.target} {change.line}".casefold()
        return all(word == change.level or word in told for word in words.casefold().split())

    return says


@contextmanager
def _left_to_the_child() -> Iterator[None]:
    """Lets Ctrl-C end the program that was started, and not the review."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
