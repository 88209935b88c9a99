"""What earlier reports say of each drift: when it was first and last seen, and how often it came and went.

JSON reports go in, the oldest first, each with the name of its file; one frozen value for each drift comes out. A
drift is a level at a place in an interaction, whatever the values there: a model that samples has others each time.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from ..texts import plural
from ..value_classes import dataclass
from .merged_runs import read_report
from .verified_runs import LEVELS, EarlierRun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .verified_runs import Result, VerifiedRun

_WORST_FIRST: Final = {level: place for place, level in enumerate(LEVELS)}


@dataclass(frozen=True, slots=True)
class SeenDrift:
    """One drift over several runs.

    Attributes:
        path: of the cassette.
        interaction: its number there, from 1.
        test: the id of its test.
        selector: the place.
        level: how much a change there matters.
        first: the report that has it first.
        last: the report that has it last.
        seen: how many reports have it.
        compared: how many reports compare the interaction at all.
        flickers: how often it went and came back.
        is_there: whether the last report that compares the interaction has it.
    """

    path: str
    interaction: int
    test: str
    selector: str
    level: str
    first: str
    last: str
    seen: int
    compared: int
    flickers: int
    is_there: bool


def read_history(reports: Iterable[tuple[str, str]]) -> list[SeenDrift]:
    """Returns every drift of some reports: those that are there now first, the worst of them first.

    Args:
        reports: the name of each file, and its text, the oldest first.

    Raises:
        StepReplayError: one is no report.
    """
    runs: dict[tuple[str, int, str], list[tuple[str, set[tuple[str, str]]]]] = defaultdict(list)
    for name, text in reports:
        for each in read_report(name, text)["interactions"]:
            if each["status"] != "unverified":
                runs[each["path"], each["interaction"], each["test"]].append((name, _places_in(each)))
    found = [
        _seen(key, place, compared)
        for key, compared in runs.items()
        for place in dict.fromkeys(place for _, places in compared for place in sorted(places))
    ]
    return sorted(found, key=_order)


def read_runs(reports: Iterable[tuple[str, str]]) -> list[EarlierRun]:
    """Returns what reports say of each interaction that they compare.

    Args:
        reports: the name of each file, and its text, the oldest first.

    Raises:
        StepReplayError: one is no report.
    """
    return [
        EarlierRun(
            name,
            {
                (each["path"], each["interaction"], each["test"]): each["drift"]["level"]
                if each["status"] == "drifted"
                else ""
                for each in read_report(name, text)["interactions"]
                if each["status"] != "unverified"
            },
        )
        for name, text in reports
    ]


def _places_in(result: dict[str, Any]) -> set[tuple[str, str]]:
    changes = result["drift"]["changes"] if result["status"] == "drifted" else ()
    return {(each["selector"], each["level"]) for each in changes}


def _seen(
    key: tuple[str, int, str], place: tuple[str, str], compared: list[tuple[str, set[tuple[str, str]]]]
) -> SeenDrift:
    holds = [place in places for _, places in compared]
    names = [name for name, places in compared if place in places]
    starts = sum(now and not before for before, now in zip([False, *holds], holds, strict=False))
    path, interaction, test = key
    return SeenDrift(
        path=path,
        interaction=interaction,
        test=test,
        selector=place[0],
        level=place[1],
        first=names[0],
        last=names[-1],
        seen=len(names),
        compared=len(compared),
        flickers=starts - 1,
        is_there=holds[-1],
    )


def _order(drift: SeenDrift) -> tuple[Any, ...]:
    worst = _WORST_FIRST.get(drift.level, len(_WORST_FIRST))
    return (not drift.is_there, worst, drift.path, drift.interaction, drift.selector)


def since_when(run: VerifiedRun, result: Result) -> tuple[list[tuple[str, str | None]], str]:
    """Returns how an interaction fared in the runs before, the oldest first, and since when it drifts, in words.

    Args:
        run: the run of today.
        result: one of its results, which has drifted.

    Returns:
        The names of the reports, each with the level, empty for no drift and None where it was not compared; and
        a sentence.
    """
    key = result["path"], result["interaction"], result["test"]
    fared = [(each.name, each.levels.get(key)) for each in run.earlier]
    compared = [(name, level) for name, level in fared if level is not None]
    drifted = [name for name, level in compared if level]
    if not compared:
        return fared, "in no earlier report"
    if not drifted:
        return fared, f"new: no drift in {plural(len(compared), 'earlier report')}"
    holds = [*(bool(level) for _, level in compared), True]
    came_back = sum(now and not before for before, now in zip([False, *holds], holds, strict=False)) - 1
    flickers = f", came back {plural(came_back, 'time')}" if came_back else ""
    return fared, f"since {drifted[0]}: in {len(drifted) + 1:,} of {len(compared) + 1:,} runs{flickers}"
