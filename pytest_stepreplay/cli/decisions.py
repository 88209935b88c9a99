"""What a review decides, whether its screen is a terminal or a page.

What waits is read as far as somebody comes to it. Each decision is carried out at once, and has a way back.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from ..errors import CassetteError, CassetteReadError
from ..store.pending import Decided, decide_pending, read_pending, undo_decision
from ..value_classes import dataclass, field
from .pending_changes import PendingDrift, findings_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from pathlib import Path

Verb = Literal["accept", "reject", "skip"]
DONE: Final[dict[Verb, str]] = {"accept": "accepted", "reject": "rejected", "skip": "skipped"}


class Waiting:
    """The pending changes of some files, in their order; a file is read when somebody comes to it.

    Attributes:
        changes: those of the files that were read, also when they are decided.
        problems: why files could not be read, or can only be rejected as a whole.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.changes: list[PendingDrift] = []
        self.problems: list[str] = []
        self._unread = deque(paths)

    @property
    def unread(self) -> int:
        """How many files are still to be read."""
        return len(self._unread)

    def read_more(self) -> bool:
        """Reads one more file; false where none is left."""
        if not self._unread:
            return False
        self.changes += self._read(self._unread.popleft())
        return True

    def read_all(self) -> None:
        """Reads all that is left."""
        while self.read_more():
            pass

    def read_again(self, path: Path, keep: Container[PendingDrift] = ()) -> None:
        """Puts in the place of a file's changes what is pending there by now.

        Args:
            path: the pending file.
            keep: changes that stay: they are decided.
        """
        at = [i for i, each in enumerate(self.changes) if each.pending.path == path]
        if at:
            rest = self.changes[at[0] :]
            kept = [each for each in rest if each.pending.path == path and each in keep]
            others = [each for each in rest if each.pending.path != path]
            self.changes[at[0] :] = [*kept, *self._read(path), *others]

    def _read(self, path: Path) -> list[PendingDrift]:
        try:
            pending = read_pending(path)
        except CassetteReadError as error:
            if path.exists():  # else somebody else has decided about it
                self.problems.append(str(error))
            return []
        if pending.stale:
            problem = f"was made from another version of {pending.target}, which has changed since"
            self.problems.append(f"{path}: {problem}")
            return []
        return findings_of(pending)


@dataclass(slots=True)
class OneDecision:
    """What one key, or one click, has decided."""

    verb: Verb
    changes: list[PendingDrift] = field(default_factory=list)
    carried_out: list[Decided] = field(default_factory=list)


class Decisions:
    """What was decided about pending changes. Each decision is in the files before the next one is asked for.

    Attributes:
        made: what was decided and stands, in order.
        refused: why decisions could not be carried out.
        verbs: what stands about each change that was decided, or skipped.
    """

    def __init__(self, waiting: Waiting) -> None:
        self.made: list[OneDecision] = []
        self.refused: list[str] = []
        self._recorded: set[PendingDrift] = set()
        self._waiting = waiting
        self.verbs: dict[PendingDrift, Verb] = {}

    def of(self, change: PendingDrift) -> Verb | None:
        """Returns what was decided about a change."""
        return self.verbs.get(change)

    def is_open(self, change: PendingDrift) -> bool:
        """Whether nothing was decided about a change, not even to skip it."""
        return change not in self.verbs

    def decided(self, verb: Verb) -> list[PendingDrift]:
        """Returns the changes about which that was decided, in the order of the decisions."""
        found = [each for one in self.made if one.verb == verb for each in one.changes]
        # What was skipped may be decided later.
        return [each for each in found if self.verbs.get(each) == verb]

    def decide(self, verb: Verb, changes: Sequence[PendingDrift]) -> list[str]:
        """Carries out one decision about changes, file by file.

        Returns:
            Why it was refused, for each file where it was: what was shown is no longer what is there. Such a
            file is read again.
        """
        one = OneDecision(verb)
        self.made.append(one)  # now, since Ctrl-C may end this between two files
        refused: list[str] = []
        for path, those in _by_file(changes).items():
            try:
                with uninterrupted():
                    if verb != "skip":
                        one.carried_out.append(decide_pending(path, verb, [each.unit for each in those]))
                    one.changes += those
                    self.verbs |= dict.fromkeys(those, verb)
            except CassetteError as error:
                refused.append(str(error))
                self._waiting.read_again(path, self.verbs)
        self.refused += refused
        if not one.changes:
            self.made.pop()
        return refused

    def undo(self) -> tuple[list[PendingDrift], list[str]]:
        """Takes the last decision back.

        Returns:
            The changes that are pending again, and why others are not. Both are empty where nothing was decided.
        """
        if not self.made:
            return [], []
        one = self.made[-1]
        back: list[PendingDrift] = []
        problems: list[str] = []
        carried_out = {each.path: each for each in one.carried_out}
        try:
            for path, those in _by_file(one.changes).items():
                try:
                    with uninterrupted():
                        if path in carried_out:
                            undo_decision(carried_out[path])
                        back += those
                        for each in those:
                            del self.verbs[each]
                except CassetteError as error:
                    problems.append(str(error))
        finally:
            one.changes = [each for each in one.changes if each in self.verbs]
            if problems or not one.changes:
                self.made.pop()
                if one.changes:  # what cannot be undone does not stand in the way of what can
                    self.made.insert(0, one)
        return back, problems

    def breaks(self) -> list[PendingDrift]:
        """Returns the changes that were accepted although later requests quote the old answer: a test misses them."""
        return [each for each in self.decided("accept") if each.quoted and each not in self._recorded]

    def note_recorded(self, changes: Iterable[PendingDrift]) -> None:
        """Notes that the tests which quoted the old answers have been recorded again since."""
        self._recorded.update(changes)


def _by_file(changes: Iterable[PendingDrift]) -> dict[Path, list[PendingDrift]]:
    files: dict[Path, list[PendingDrift]] = {}
    for each in changes:
        files.setdefault(each.pending.path, []).append(each)
    return files


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds Ctrl-C back until a decision has reached both files."""
    if threading.current_thread() is not threading.main_thread():  # where it never interrupts
        yield
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt
