"""How old recordings are: the interactions of a cassette go in, and what is older than allowed comes out.

An interaction that does not say when it was recorded, as those of other tools, has no age and is never stale.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Final

from ..commands import pytest_command
from ..errors import CassetteReadError
from ..machine import clock
from ..settings import PLACEHOLDER_KEY, REWRITE, readers
from ..texts import plural
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from ..models import Cassette, Interaction
    from ..settings import Settings

_UNITS: Final = (
    ("year", 365 * 86_400),
    ("month", 30 * 86_400),
    ("day", 86_400),
    ("hour", 3_600),
    ("minute", 60),
)


@dataclass(frozen=True, slots=True)
class Stale:
    """The interactions of a cassette that are older than allowed.

    Attributes:
        positions: where they stand, counted from 0.
        total: how many interactions the cassette holds.
        age: of the oldest one, in words.
    """

    positions: tuple[int, ...]
    total: int
    age: str

    def __str__(self) -> str:
        return f"{len(self.positions)} of {plural(self.total, 'interaction')}, the oldest recorded {self.age} ago"


def find_stale(interactions: Sequence[Interaction], max_age: timedelta, now: datetime) -> Stale | None:
    """Returns what is older than `max_age`; None where nothing is."""
    moments = {i: moment for i, each in enumerate(interactions) if (moment := moment_of(each.recorded_at))}
    stale = {i: moment for i, moment in moments.items() if now - moment > max_age}
    if not stale:
        return None
    return Stale(tuple(stale), len(interactions), age_in_words(min(stale.values()), now))


def judge_age(cassette: Cassette, settings: Settings, path: Path, test: str) -> tuple[Settings, str]:
    """Returns the settings to go on with, and what is too old in words; an empty text for nothing.

    What is too old is recorded anew, if the settings say so, where an API key is set: a run without one, as in
    CI, goes on to replay.

    Args:
        cassette: as it was read.
        settings: the test's.
        path: of the cassette.
        test: its id; empty outside of pytest.

    Raises:
        CassetteReadError: something is too old, and that is to be an error.
    """
    if settings.max_age is None or not settings.mode.answers or settings.mode.verifies:
        return settings, ""
    stale = find_stale(cassette.interactions, readers.parse_age(settings.max_age), clock.now())
    if stale is None:
        return settings, ""
    if settings.stale == "error" and settings.mode.replays:
        fix = (
            f"Record it anew: {pytest_command('--stepreplay=rewrite', tests=[test])}"
            if test
            else "Record it anew"
        )
        raise CassetteReadError(path, f"is older than {settings.max_age}: {stale}", fix=fix)
    if settings.stale == "record":
        if any(os.environ.get(name, "") not in {"", PLACEHOLDER_KEY} for name in settings.api_keys):
            return replace(settings, mode=REWRITE), f"{stale}; recorded anew"
        return settings, f"{stale}; not recorded anew, since no API key is set"
    return settings, str(stale)


def with_new_dates(
    kept: Sequence[Interaction], recorded: Sequence[Interaction], settings: Settings
) -> tuple[Interaction, ...]:
    """Returns a rewrite in which what was too old says when it was recorded anew.

    A rewrite keeps the old date where nothing else has changed. What was too old would stay so for ever.

    Args:
        kept: the rewrite, with the old dates.
        recorded: the same interactions, with the new ones.
        settings: the test's.
    """
    if settings.max_age is None:
        return tuple(kept)
    stale = find_stale(kept, readers.parse_age(settings.max_age), clock.now())
    positions = stale.positions if stale else ()
    return tuple(
        replace(each, recorded_at=new.recorded_at) if i in positions else each
        for i, (each, new) in enumerate(zip(kept, recorded, strict=True))
    )


def moment_of(recorded_at: str | None) -> datetime | None:
    """Returns the moment that ``recorded_at`` names; None where it names none. Without a zone, it is UTC."""
    try:
        moment = clock.read(recorded_at or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def age_in_words(moment: datetime, now: datetime) -> str:
    """Returns how long ago that was: ``3 days``."""
    seconds = (now - moment).total_seconds()
    for unit, length in _UNITS:
        if seconds >= length:
            return plural(int(seconds // length), unit)
    return "just now"
