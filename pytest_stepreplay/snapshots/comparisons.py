"""What became of a test's snapshots: frozen values, of each comparison and of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..value_classes import dataclass

if TYPE_CHECKING:
    from ..drift.changes import Drift

Result = Literal["same", "accepted", "written", "differs", "contradicts", "missing"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One evaluation of ``value == chat_snapshot``.

    Attributes:
        name: the snapshot's name or number.
        value: what the test holds, as it is.
        result: ``same`` up to what the policy lets pass; ``written``, which is to come, for a new one;
            ``accepted`` where `rewrite` takes what differs; ``differs``; ``contradicts`` where this very test
            has set the snapshot to another value; ``missing`` where there is none to compare with.
        drift: how the value differs; None where there was nothing to compare with, or plainly no difference.
    """

    name: str
    value: object
    result: Result
    drift: Drift | None = None

    @property
    def holds(self) -> bool:
        """What ``==`` returns."""
        return self.result in {"same", "accepted", "written"}


@dataclass(frozen=True, slots=True)
class SnapshotOutcome:
    """What became of a test's snapshots. Plain values, so that xdist can carry them.

    Attributes:
        path: the file.
        test: the id of the test.
        mode: the run's.
        passed: the test did.
        used: the names of the snapshots that were compared.
        added: the names of those written for the first time.
        changed: the names of those written anew, which only `rewrite` does.
        removed: the names of those that are no longer there, which only `rewrite` does.
        failed: the names of those that differed or were missing.
        pending: the pending file that was left; empty for none.
        drifts: for each comparison that found drift, the name of the ``snapshot``, a ``line`` to print, and the
            ``drift`` as `Drift.to_json` gives it.
        selectors: those of the policies in use, and `matched` those of them that named a place.
    """

    path: str
    test: str
    mode: str
    passed: bool
    used: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    pending: str = ""
    drifts: tuple[dict[str, Any], ...] = ()
    selectors: tuple[str, ...] = ()
    matched: tuple[str, ...] = ()
