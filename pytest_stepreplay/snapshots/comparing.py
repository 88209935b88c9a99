"""A test's snapshots while it runs: what was compared, what it holds to, and what is written when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final, Unpack

from ..drift import answers
from ..drift import comparison as answer_comparison
from ..errors import StepReplayError
from ..machine import disk
from ..settings import policy as policies
from ..store import codec, locks
from ..store import pending as pending_files
from ..store.files import PENDING_SUFFIX
from ..store.secrets import guarded_by
from ..store.snapshot_files import read_snapshots, snapshots_tree, write_snapshots
from ..wire.json_values import is_equal
from . import explaining
from .comparisons import Comparison, Result, SnapshotOutcome
from .options import Options, check_options, checked_name, with_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..redaction.redactor import Redactor
    from ..redaction.wall import Wall
    from ..settings import Mode

_NOTHING: Final = object()
"""Stands where nothing is stored."""


class ChatSnapshot:
    """The snapshots of one test, as the `chat_snapshot` fixture gives them to it.

    Each evaluation of ``value == chat_snapshot`` is a snapshot of its own, numbered in the order of use. A call,
    as in ``chat_snapshot("plan")`` or ``chat_snapshot(ignore=["usage.*"])``, returns one snapshot, which stays
    the same however often it is compared.
    """

    __hash__ = None  # type: ignore[assignment]  # it is equal to what it is compared with

    def __init__(
        self,
        path: Path,
        *,
        test: str,
        mode: Mode,
        redactor: Callable[[], Redactor],
        wall: Callable[[], Wall] | None = None,
        policy: Callable[[], policies.Policy] | None = None,
        check_place: Callable[[], object] | None = None,
        plain: bool = False,
        leave_pending: bool = True,
        shown_path: str = "",
        typed: str = "",
    ) -> None:
        """Opens nothing yet; the file is read when a snapshot is first compared.

        Args:
            path: the file of the snapshots; it need not exist.
            test: the id of the test.
            mode: what the run does with snapshots. `rewrite` takes each value as the new one, `record` writes
                those that are not stored yet, and in all others a missing one is an error.
            redactor: returns what replaces that which must not be stored, in values before they are compared
                too; asked only for one that is not what is stored.
            wall: returns what no file may hold; asked only if one is written.
            policy: returns what counts as a difference, each time one is looked for; None for what counts by default.
            check_place: raises where the file must not be written; asked before each writing.
            plain: that policy selects no places and has no contract but ours, so it is not asked for a value that is
                what is stored to the last one.
            leave_pending: leave a pending file where a snapshot fails.
            shown_path: the path as a person would type it.
            typed: the same for the test.
        """
        self.path = path
        self.test = test
        self.mode = mode
        self.shown_path = shown_path or str(path)
        self.typed = typed or test
        self.leaves_pending = leave_pending and mode.answers
        self._redactor = redactor
        self._wall = wall
        self._policy = policy or policies.Policy
        self._check_place = check_place
        self._is_plain = plain or policy is None
        self._numbered = 0
        self._stored: dict[str, Any] | None = None
        self._held: dict[str, Any] = {}  # the values that this test holds to, by name
        self._proposed: dict[str, Any] = {}  # the values that failed
        self._selectors: set[str] = set()
        self._matched: set[str] = set()
        self.comparisons: list[Comparison] = []
        self._told: set[int] = set()

    def __call__(self, name: str | None = None, **options: Unpack[Options]) -> Snapshot:
        """Returns one snapshot of the test.

        Args:
            name: names it; without a name it takes the next number.
            **options: `fail_on`, `ignore`, `tolerances`, `text` and `contract`, as for `Policy`, for this
                snapshot alone. They add to what is set for the test.

        Raises:
            SettingsError: for a bad name or option; the message lists the valid ones.
        """
        __tracebackhide__ = True
        check_options(options)
        if name is None:
            self._numbered += 1
            return Snapshot(self, str(self._numbered), options)
        return Snapshot(self, checked_name(name), options)

    def __eq__(self, value: object) -> bool:
        __tracebackhide__ = True
        return self().__eq__(value)

    def __repr__(self) -> str:
        return f"<chat_snapshot of {self.shown_path}>"

    def compare(self, name: str, value: object, options: Options) -> Comparison:
        """Returns how a value compares with the snapshot of that name, and remembers it.

        Raises:
            AssertionError: there is no such snapshot, in a mode that writes none.
            StepReplayError: no snapshot can be made of the value, or the file cannot be read.
        """
        if self._stored is None:
            self._stored = read_snapshots(self.path)
        is_held = name in self._held
        old = self._held[name] if is_held else self._stored.get(name, _NOTHING)
        new = self._readable(value, old)
        # Where it holds, nothing of the value is written.
        if self.mode.rewrites or not (new is old or is_equal(old, new)):
            new = self._redactor().redact_json(new)
        drift = None
        result: Result
        if old is _NOTHING:
            result = "written" if self.mode.records else "missing"
        elif new is old and self._is_plain and not options:
            result = "same"
        else:
            policy = with_options(self._policy(), options)
            drift = answer_comparison.compare(old, new, policy)
            self._selectors |= policy.selectors
            self._matched |= drift.matched
            result = "same" if drift.passes() else "differs"
            if is_held and result == "differs" and (self.mode.rewrites or name not in self._stored):
                result = "contradicts"
            elif not is_held and self.mode.rewrites and drift.changes:
                result = "accepted"
        comparison = Comparison(name, value, result, drift)
        self.comparisons.append(comparison)
        if result in {"written", "accepted"}:
            self._check_storable(name, new)
            self._held[name] = new
        elif result == "missing":
            self._check_storable(name, new)
            self._proposed[name] = new

            raise AssertionError("\n".join(explaining.explain(self, comparison)))
        else:
            self._held[name] = old
            if result == "differs":
                with suppress(StepReplayError):  # the difference matters more
                    self._check_storable(name, new)
                    self._proposed[name] = new
        return comparison

    def comparison_of(self, value: object, name: str | None, *, holds: bool) -> Comparison | None:
        """Returns the comparison that an assertion is about, and counts it as told.

        Args:
            value: what was compared.
            name: the snapshot's; None for one that took its number in that comparison.
            holds: what ``==`` returned.
        """
        found = [
            at
            for at, each in enumerate(self.comparisons)
            if each.value is value and each.holds is holds and name in {None, each.name}
        ]
        if not found:
            return None
        at = next((at for at in found if at not in self._told), found[-1])
        self._told.add(at)
        return self.comparisons[at]

    def untold(self) -> list[Comparison]:
        """Returns the comparisons that found a difference, and that no assertion was about."""
        return [
            each
            for at, each in enumerate(self.comparisons)
            if at not in self._told and each.result in {"differs", "contradicts"}
        ]

    def close(self, *, passed: bool, failed: bool = False) -> SnapshotOutcome:
        """Writes what is to be written, and returns what happened.

        Args:
            passed: the test did; else no snapshot is written.
            failed: the test did, and what did not hold is left as a pending file.

        Raises:
            StepReplayError: a file could not be written; what stood on disk still stands.
        """
        stored = self._stored if self._stored is not None else {}
        wanted, pending = stored, ""
        if passed and self.mode.adds:
            wanted = stored | self._held
        elif passed and self.mode.rewrites:
            if self._stored is None:
                stored = read_snapshots(self.path)
            wanted = self._held
        added: list[str] = []
        changed: list[str] = []
        removed: list[str] = []
        if wanted is not stored:
            added = [name for name in wanted if name not in stored]
            changed = [name for name in stored if name in wanted and stored[name] is not wanted[name]]
            removed = [name for name in stored if name not in wanted]
        written = bool(changed) or list(wanted) != list(stored)
        proposes = failed and bool(self._proposed) and self.leaves_pending
        if self._check_place is not None and (written or proposes):
            self._check_place()
        if written:
            with guarded_by(self._wall), locks.locked(self.path):
                write_snapshots(self.path, self.test, self._merged(stored, wanted))
        if proposes:
            whole = snapshots_tree(self.test, stored | self._held | self._proposed)
            with guarded_by(self._wall):
                pending = str(pending_files.write_pending(self.path, whole) or "")
        elif passed and (written or self.comparisons) and not self._proposed:
            self._drop_pending()
        return SnapshotOutcome(
            path=str(self.path),
            test=self.test,
            mode=self.mode.name,
            passed=passed,
            used=tuple(dict.fromkeys([each.name for each in self.comparisons])),
            added=tuple(added),
            changed=tuple(changed),
            removed=tuple(removed),
            failed=tuple(dict.fromkeys([each.name for each in self.comparisons if not each.holds])),
            pending=pending,
            drifts=tuple(
                [
                    {"snapshot": each.name, "line": each.drift.line(), "drift": each.drift.to_json()}
                    for each in self.comparisons
                    if each.drift
                ]
            ),
            selectors=tuple(sorted(self._selectors)),
            matched=tuple(sorted(self._matched)),
        )

    def _merged(self, stored: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
        """Returns the snapshots to write: what another process has added since they were read stays."""
        return wanted | {
            name: value
            for name, value in read_snapshots(self.path).items()
            if name not in stored and name not in wanted
        }

    def _drop_pending(self) -> None:
        """Removes the pending file of an earlier run: what it proposes is no longer what the test does."""
        if (self.leaves_pending or self.mode.rewrites) and disk.exists(f"{self.path}{PENDING_SUFFIX}"):
            pending_files.reject_pending(pending_files.pending_path(self.path))

    def _check_storable(self, name: str, new: object) -> None:
        """Raises what writing the value would raise, while the test still stands where it came from."""
        with guarded_by(self._wall):
            codec.encode(snapshots_tree(self.test, {name: new}), self.path)

    def _readable(self, value: object, old: object) -> Any:
        """Returns the value as a JSON tree; a text, unless it is a chat completion, stays one.

        Of most values, which are what is stored to the last one, nothing has to be made: they are `old`.
        """
        if is_equal(old, value):
            return old
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        try:
            with suppress(RecursionError):  # `read_answer` says what is too deep, or refers to itself
                value = _dumped(value)
            if is_equal(old, value):
                return old
            answer = answers.read_answer(value)
        except TypeError as error:
            # It names the place; its first words are those of whoever calls `compare`.
            raise StepReplayError(str(error).replace("compare() takes", "chat_snapshot takes", 1)) from None
        except ValueError as error:  # pydantic's, for a field that JSON cannot hold
            reason = str(error).partition("\n")[0]
            raise StepReplayError(f"no snapshot can be made of this value: {reason}") from None
        return value if isinstance(value, str) and answer.sort not in {"answer", "error"} else answer.tree


class Snapshot:
    """One snapshot of a test; it is equal to a value that differs from the stored one in nothing that counts."""

    __hash__ = None  # type: ignore[assignment]  # it is equal to what it is compared with

    def __init__(self, owner: ChatSnapshot, name: str, options: Options) -> None:
        self.owner = owner
        self.name = name
        self._options = options

    def __eq__(self, value: object) -> bool:
        __tracebackhide__ = True
        return _without_frames(self.owner, self.name, value, self._options).holds

    def __repr__(self) -> str:
        return f"<chat_snapshot {self.name} of {self.owner.shown_path}>"


def _without_frames(owner: ChatSnapshot, name: str, value: object, options: Options) -> Comparison:
    """Compares; an error of the user's comes without the frames of this package."""
    __tracebackhide__ = True
    problem: Exception
    try:
        return owner.compare(name, value, options)
    except (AssertionError, StepReplayError) as error:
        problem = error
    raise problem.with_traceback(None) from None


_LEAVES: Final = frozenset({str, int, float, bool, type(None)})


def _dumped(value: Any) -> Any:
    """Returns the value with dataclasses, and models that mirror a server's answer, as plain dicts.

    A model that keeps fields it does not know mirrors what a server sent, as those of the SDKs do: fields that
    were not set never came. In an application's own model the defaults count.
    """
    if type(value) in _LEAVES:
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _dumped(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: _dumped(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_dumped(child) for child in value]
    config = getattr(type(value), "model_config", None)
    if isinstance(config, Mapping) and config.get("extra") == "allow":
        return value.model_dump(mode="json", exclude_unset=True, warnings=False)
    return value
