"""What differs between two answers, each difference with its level, worst first.

Two answers that are not the same and a policy go in, `Change`s come out. DeepDiff finds what differs, by what
`operators` tells it, and the endpoint's table gives each difference its level.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..endpoints import BY_SHAPE, CHAT, GENERIC
from ..selectors import Selectors, format_path
from ..settings.levels import Level
from ..texts.words import similarity
from ..wire.encoded import without_base64
from ..wire.json_values import name_type
from . import operators
from .answers import Mask, unmasked
from .calls import name_calls
from .changes import Change
from .contract import MISSING, new_breaches
from .judged_places import Folded, JudgedPlaces, Told
from .values import ABSENT
from .volatile_rules import mask_by_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..endpoints import Endpoint
    from ..selectors import Path
    from ..settings.policy import Policy
    from .answers import Answer
    from .operators import Judge
    from .values import Kind

_LONG = 40
_SPACE = re.compile(r"\s")


def changes_between(old: Answer, new: Answer, policy: Policy) -> list[Change]:
    """Returns how the new answer differs from the old one, worst first.

    Args:
        old: the stored answer; its tree is changed.
        new: the answer to judge; the same.
        policy: what counts.

    Raises:
        SettingsError: if a callable or a model class of the policy's fails.
    """
    if _sorts_differ(old, new):
        level = Level.CONTRACT if old.sort == "answer" else Level.BEHAVIOR
        noun = old.endpoint.noun or new.endpoint.noun or CHAT.noun
        one, other = (replace(each, wanted=noun).description for each in (old, new))
        return [Change("$", level, "replaced", one, other, f"{other} instead of {one}")]
    calls = old.endpoint.calls or GENERIC.calls
    names = calls.names if calls else ()
    return sorted(
        _changes(old, new, policy), key=lambda change: (-change.level, _rank(change.selector, names))
    )


def _rank(selector: str, names: tuple[str, ...]) -> int:
    """Returns what of one level is told first: the cause before what follows from it."""
    if selector == "error":  # in a stream, why everything behind it is missing
        return 0
    return 1 if names and selector.endswith(names) else 2


def _sorts_differ(old: Answer, new: Answer) -> bool:
    """Whether the two cannot be compared place by place. Two values of an application's own always can."""
    own = {"json", "text", "empty"}
    if old.sort in own and new.sort in own:
        return False
    return (old.sort, old.endpoint) != (new.sort, new.endpoint)


def _changes(old: Answer, new: Answer, policy: Policy) -> list[Change]:
    breaches = dict(_contract_changes(old, new, policy))
    places = JudgedPlaces(old.endpoint, policy)
    for answer in (old, new):
        name_calls(answer.tree, old.endpoint)
        if old.endpoint.names_tell:
            mask_by_rule(answer.tree, [each for each in policy.volatile if isinstance(each, str)])
    root = places.root
    if places.are_same(old.tree, new.tree, root.state, lax=root.lax):
        return list(breaches.values())

    judge = operators.Judge(places)
    zones = _zones(old.endpoint)
    changes = []
    for path, one, other in sorted(judge.differences(old.tree, new.tree), key=_by_path):
        gone = other is ABSENT and isinstance(path[-1], int)
        if path in breaches and not gone:  # one fact is told once, at its worst level
            before, after = _shown(one, other)
            breaches[path] = replace(breaches[path], old=before, new=after)
        else:
            changes.append(_change(path, one, other, zones, judge))
    return [*breaches.values(), *judge.changes, *changes]


def _contract_changes(old: Answer, new: Answer, policy: Policy) -> Iterator[tuple[Path, Change]]:
    ignored = Selectors(policy.ignore)
    for path, expected, got, source in new_breaches(old, new, policy.contract):
        state, kept = ignored.start, not ignored.start.hits
        for step in path:
            state = state.step(step)
            kept = kept and not state.hits
        if kept:
            note = f"expected {expected}, got {got}" if got else MISSING
            yield path, Change(format_path(path), Level.CONTRACT, "contract", note=note, source=source)


def _by_path(found: tuple[Path, Any, Any]) -> list[tuple[bool, str | int]]:
    return [(isinstance(step, str), step) for step in found[0]]


class _Zones:
    """An endpoint's table of levels, ready to be asked."""

    def __init__(self, table: Mapping[str, Level | None]) -> None:
        self._levels: Sequence[Level | None] = tuple(table.values())
        self._selectors = Selectors(table)

    def at(self, path: Path) -> tuple[Level | None, int]:
        """Returns the entry for a place, and the depth at which it stands."""
        state, depth = self._selectors.start, 0
        zone = BY_SHAPE
        for steps in range(len(path) + 1):
            if state.hits:
                zone, depth = self._levels[state.hits[-1]], steps
            if steps < len(path):
                state = state.step(path[steps])
        return zone, depth


@lru_cache(maxsize=64)
def _zones(endpoint: Endpoint) -> _Zones:
    return _Zones(endpoint.levels)


def _change(path: Path, old: Any, new: Any, zones: _Zones, judge: Judge) -> Change:
    zone, depth = zones.at(path)
    prose = zone is BY_SHAPE and depth == len(path)
    kind = "changed" if path in judge.broken else _kind(old, new, prose=prose)
    settled = judge.levels.get(path)
    level = settled or (_shape_level(path, kind, old, new, depth) if zone is BY_SHAPE else zone)
    one, other = _shown(old, new)
    old, new = without_base64(one), without_base64(other)
    if kind == "text" and not (old is one and new is other):
        kind = "changed"
    return Change(
        selector=format_path(path),
        level=level,
        kind=kind,
        old=old,
        new=new,
        note=judge.notes.get(path, ""),
        similarity=similarity(old, new) if kind == "text" else None,
    )


def _shown(old: Any, new: Any) -> tuple[Any, Any]:
    """Returns both values as a person is to see them: those that are volatile too, unless it is both."""
    # Of two masks, it is the types that differ, or what they cite.
    if isinstance(old, Mask) and isinstance(new, Mask):
        return old, new
    return unmasked(old), unmasked(new)


def _kind(old: Any, new: Any, *, prose: bool) -> Kind:
    if old is ABSENT:
        return "added"
    if new is ABSENT:
        return "removed"
    if _shape(old) != _shape(new) or isinstance(old, Mask):
        return "type"
    if isinstance(old, Told) and isinstance(new, Told):
        return "changed"
    if isinstance(old, str):
        long = max(len(old), len(new)) > _LONG or _SPACE.search(old) or _SPACE.search(new)
        return "text" if prose or long else "changed"
    return "changed"


def _shape(value: Any) -> str:
    return "a number" if name_type(value) == "an integer" else name_type(value)


def _shape_level(path: Path, kind: Kind, old: Any, new: Any, depth: int) -> Level:
    """Returns the level of a difference in a text or in JSON that starts at `depth`."""
    if depth and len(path) == depth:
        if old in _NO_TEXT and new in _NO_TEXT:
            return Level.METADATA
        return (
            Level.BEHAVIOR if isinstance(old, dict | list) or isinstance(new, dict | list) else Level.CONTENT
        )
    if kind == "type" or isinstance(old, Folded) or isinstance(new, Folded):
        return Level.BEHAVIOR
    if kind in ("added", "removed") and isinstance(path[-1], str):
        return Level.BEHAVIOR
    return Level.CONTENT


_NO_TEXT = (ABSENT, None, "")
