"""Leaves what drifted beside its cassette, for a person to decide about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..models import Cassette, Interaction
from ..store import files, locks
from ..store import pending as pending_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from .judging import Verdict


def leave_pending(
    path: Path, known: Sequence[Interaction], verdicts: Iterable[Verdict], *, test: str | None
) -> None:
    """Writes the pending file of a cassette: the new responses of what drifted, in place of the stored ones.

    What waits there of interactions that were not verified goes on waiting.

    Args:
        path: the cassette.
        known: the interactions that it held when they were asked again.
        verdicts: on those that were.
        test: the id of the test that the cassette belongs to.

    Raises:
        CassetteError: the cassette is another one by now, or the file could not be written.
    """
    verdicts = tuple(verdicts)
    verified = {each.position for each in verdicts if each.status != "unverified"}
    if not verified:
        return
    drifted = {
        each.position: _as_new(each, known[each.position])
        for each in verdicts
        if each.status == "drifted" and each.response
    }
    if not drifted and not files.exists(pending_files.pending_path(path)):
        return
    # Another test that shares the cassette may leave its own at this moment.
    with locks.locked(path):
        new = {i: each for i, each in _waiting(path).items() if i not in verified} | drifted
        interactions = tuple(
            replace(each, response=new[i].response, samples=new[i].samples) if i in new else each
            for i, each in enumerate(known)
        )
        pending_files.write_pending(path, Cassette(test=test or None, interactions=interactions))


def _as_new(verdict: Verdict, stored: Interaction) -> Interaction:
    """Returns an interaction with the new response; where the model has changed, with the new samples too."""
    new, samples = verdict.response or stored.response, stored.samples
    if verdict.sampled and verdict.sampled.verdict == "changed":
        samples = tuple(each for each in verdict.sampled.answers if each is not new)
    return replace(stored, response=new, samples=samples)


def _waiting(path: Path) -> dict[int, Interaction]:
    """Returns the interactions of the pending file by position, if there is one for this very cassette."""
    pending = pending_files.pending_path(path)
    if not files.exists(pending):
        return {}
    read = pending_files.read_pending(pending)
    if read.stale:
        return {}
    return {int(unit.name) - 1: unit.new for unit in read.units if isinstance(unit.new, Interaction)}
