"""Keeps today's answers in a cassette, as samples: the baseline by which later runs tell a change from chance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..commands import stepreplay_command
from ..errors import CassetteError, display_path
from ..models import Cassette
from ..store import cassettes, locks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .judging import Verdict
    from .recorded_requests import AskedCassette


def keep_samples(asked: AskedCassette, verdicts: Iterable[Verdict]) -> AskedCassette:
    """Stores the new answers to each request that the model has not changed for, in place of the samples before.

    Returns:
        the cassette as it is now.

    Raises:
        CassetteError: it is another tool's, has changed since it was read, or cannot be written.
    """
    kept = {
        each.position: each.sampled.answers
        for each in verdicts
        if each.status != "unverified" and each.sampled and each.sampled.verdict != "changed"
    }
    if not kept:
        return asked
    if not asked.is_ours:
        raise CassetteError(
            asked.path,
            "is a cassette of another tool, which holds no samples",
            fix=f"Convert it with: {stepreplay_command('convert', display_path(asked.path))}",
        )
    interactions = tuple(
        replace(each, samples=kept[i]) if i in kept else each for i, each in enumerate(asked.interactions)
    )
    with locks.locked(asked.path):
        if not asked.is_as_it_was():
            raise CassetteError(asked.path, "has changed while it was asked again, and so keeps no samples")
        content = cassettes.write_cassette(
            asked.path, Cassette(test=asked.test or None, interactions=interactions)
        )
    return asked.written(content, interactions)
