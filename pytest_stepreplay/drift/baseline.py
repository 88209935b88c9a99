"""Known drift, so that only new drift fails: what a baseline file holds, and whether a drift stands in it.

A baseline lists which places of which interactions drifted at which level, never the values there: a model
that samples writes another text on every call. It is JSON, sorted, one change per line, so that a pull
request shows what became known. Results are the mappings that `report.verified_runs` describes.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from ..errors import SettingsError
from ..settings.levels import Level
from ..value_classes import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

BASELINE_VERSION: Final = 1

_LEVELS: Final = {str(level): level for level in sorted(Level, reverse=True) if level}
_KEYS: Final = {"test", "interaction", "changes"}
_FIX: Final = "Fix it, or delete it and write it anew."
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_DRIFT: Final = re.compile(r'"drift"\s*:\s*\[')

_Interaction = tuple[str, int]
_Changes = frozenset[tuple[str, Level]]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is known: for each interaction of a test, the selectors that drifted and their levels."""

    known: Mapping[_Interaction, _Changes] = field(default_factory=dict)


def is_known(result: Mapping[str, Any], baseline: Baseline) -> bool:
    """Whether a result drifted only as the baseline says.

    What decides are the changes that fail; where none does, all of them. So a text that differs this time does
    not make a known change of behavior new.

    Args:
        result: one verified interaction.
        baseline: what is known.
    """
    drift = result["drift"]
    known = baseline.known.get((result["test"], result["interaction"]))
    if known is None or not drift:
        return False
    changes = _changes_of(drift)
    limit = _LEVELS.get(drift["fail_on"], Level.CONTRACT + 1)
    failing = {change for change in changes if change[1] >= limit}
    return bool(changes) and (failing or changes) <= known


def render_baseline(results: Iterable[Mapping[str, Any]]) -> str:
    """Returns the file that makes the drift of these results known: the same text for the same drift.

    Args:
        results: a run's, known ones included.
    """
    found = defaultdict[_Interaction, _Changes](frozenset)
    for each in results:
        if each["status"] == "drifted":
            found[each["test"], each["interaction"]] |= _changes_of(each["drift"])
    drift = [
        {
            "test": test,
            "interaction": interaction,
            "changes": [f"{level} {selector}" for selector, level in sorted(changes, key=_worst_first)],
        }
        for (test, interaction), changes in sorted(found.items())
    ]
    return json.dumps({"stepreplay_baseline": BASELINE_VERSION, "drift": drift}, indent=2) + "\n"


def _changes_of(drift: Mapping[str, Any]) -> _Changes:
    return frozenset((each["selector"], _LEVELS[each["level"]]) for each in drift["changes"])


def _worst_first(change: tuple[str, Level]) -> tuple[int, str]:
    return -change[1], change[0]


def read_baseline(text: str, path: Path) -> Baseline:
    """Returns what a baseline file holds.

    Args:
        text: the file's content.
        path: the file, for messages.

    Raises:
        SettingsError: it is no baseline; the message names the file, the line, and what should stand there.
    """
    text = text.removeprefix("\ufeff")
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{path}:{error.lineno}: is not valid JSON ({error.msg}). {_FIX}") from None
    except (ValueError, RecursionError):
        raise SettingsError(f"{path}: is not a baseline of known drift. {_FIX}") from None
    if not isinstance(tree, dict) or "stepreplay_baseline" not in tree:
        raise SettingsError(
            f'{path}:1: is not a baseline: it has no "stepreplay_baseline" at the top. {_FIX}'
        )
    version = tree["stepreplay_baseline"]
    if type(version) is not int or version < 1 or version > BASELINE_VERSION:
        newer = type(version) is int and version > BASELINE_VERSION
        fix = "Upgrade pytest-stepreplay, or write it anew." if newer else _FIX
        problem = f"stepreplay_baseline: {version!r:.60} is not {BASELINE_VERSION}, the version that is known"
        raise SettingsError(f"{path}:{_line(text, text.find('stepreplay_baseline'))}: {problem}. {fix}")
    unknown = [key for key in tree if key not in ("stepreplay_baseline", "drift")]
    if unknown or not isinstance(tree.get("drift"), list):
        problem = f"a baseline has no {unknown[0]!r:.60}" if unknown else '"drift" is not a list'
        raise SettingsError(f"{path}:1: {problem}. {_FIX}")
    known = defaultdict[_Interaction, _Changes](frozenset)
    for i, entry in enumerate(tree["drift"]):
        try:
            test, interaction, changes = _read_entry(entry)
        except _BrokenBaselineError as misfit:
            line = _line(text, _position(text, i, misfit.value))
            raise SettingsError(f"{path}:{line}: drift[{i}]: {misfit.problem}. {_FIX}") from None
        known[test, interaction] |= changes
    return Baseline(dict(known))


class _BrokenBaselineError(Exception):
    """Part of a baseline is not as it should be."""

    def __init__(self, problem: str, value: object = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.value = value


def _read_entry(entry: Any) -> tuple[str, int, _Changes]:
    if not isinstance(entry, dict) or entry.keys() != _KEYS:
        raise _BrokenBaselineError(f"should have {', '.join(sorted(_KEYS))}, and nothing else")
    test, interaction, changes = entry["test"], entry["interaction"], entry["changes"]
    if not isinstance(test, str) or not test:
        raise _BrokenBaselineError(f"test: {test!r:.60} is not the id of a test")
    if type(interaction) is not int or interaction < 1:
        raise _BrokenBaselineError(f"interaction: {interaction!r:.60} is not a whole number of 1 or more")
    if not isinstance(changes, list):
        raise _BrokenBaselineError(f"changes: {changes!r:.60} is not a list")
    return test, interaction, frozenset(map(_read_change, changes))


def _read_change(change: Any) -> tuple[str, Level]:
    level, _, selector = change.partition(" ") if isinstance(change, str) else ("", "", "")
    if level not in _LEVELS or not selector:
        wanted = f"should be a level ({', '.join(_LEVELS)}), a space and a selector"
        raise _BrokenBaselineError(f"changes: {change!r:.60} {wanted}", change)
    return selector, _LEVELS[level]


def _position(text: str, index: int, value: object) -> int:
    """Returns where in a valid file the value stands, or else the entry with this index."""
    start = _DRIFT.search(text)
    position = _after_space(text, start.end()) if start else 0
    decoder = json.JSONDecoder()
    for _ in range(index):
        _, end = decoder.raw_decode(text, position)
        position = _after_space(text, _after_space(text, end) + 1)
    inside = text.find(json.dumps(value), position) if value is not None else -1
    return inside if inside >= 0 else position


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
