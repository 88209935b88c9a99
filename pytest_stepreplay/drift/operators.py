"""What the places of two answers mean, told to DeepDiff: it walks both and finds what changed.

`Judge` is an operator that DeepDiff asks at every place before it compares the values there. It settles what is
volatile or ignored, numbers within a tolerance, texts that a rule accepts and JSON in strings, and brings the items
of lists side by side. Everything that differs comes out, with its path. Only this module imports DeepDiff, and it is
imported only when something differs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deepdiff import DeepDiff
from deepdiff.operator import BaseOperator

from ..endpoints import Paired
from ..errors import SettingsError
from ..selectors import format_path
from ..settings.levels import Level
from ..settings.policy import Tolerance
from ..settings.text_rules import TextRule
from ..texts.alignment import align, match
from ..wire.json_values import BrokenJson, canonical, name_type, parsed, structure_in
from .answers import Mask
from .changes import Change
from .judged_places import (
    COMPARED_DEPTH,
    NOTHING,
    Role,
    Told,
    folded,
    is_vector_place,
    vector_at,
)
from .values import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..selectors import Path
    from ..texts.alignment import Aligned
    from ..wire.vectors import Vector
    from .judged_places import Action, JudgedPlace, JudgedPlaces

_DIFFERS: Final = "stepreplay_differs"
_PLACE: Final = "stepreplay_place"


class _Gap:
    """Stands for `ABSENT` among what DeepDiff walks; it passes over a value that is one of those it stands in."""

    __slots__ = ()


def _filled(value: Any) -> Any:
    return _Gap() if value is ABSENT else value


class _PlaceVerdict(NamedTuple):
    """What is to become of two values.

    Attributes:
        old: what counts of the stored one.
        new: and of the new one.
        inside: the place, where DeepDiff shall go on into the two; None where they differ as they are.
    """

    old: Any
    new: Any
    inside: JudgedPlace | None = None


class Judge(BaseOperator):
    """A DeepDiff operator that judges two values at every place.

    Attributes:
        notes: what it learned about places that differ.
        levels: places whose level it settled.
        broken: places where one text is JSON and the other is not, so that comparing words says nothing.
        changes: lists whose items changed their order.
    """

    def __init__(self, places: JudgedPlaces) -> None:
        super().__init__()
        self._places = places
        self.notes: dict[Path, str] = {}
        self.levels: dict[Path, Level] = {}
        self.broken: set[Path] = set()
        self.changes: list[Change] = []

    def differences(self, old: Any, new: Any) -> Iterator[tuple[Path, Any, Any]]:
        """Yields each place where two values differ, as DeepDiff finds them, with both values there.

        Raises:
            SettingsError: if a callable of the policy's fails.
        """
        found = DeepDiff(
            old,
            new,
            view="tree",
            custom_operators=[self],
            zip_ordered_iterables=True,  # this operator has brought the items side by side
            threshold_to_diff_deeper=0,  # else objects with few common keys are not walked
            ignore_private_variables=False,  # else keys that start with __ are not seen
        )
        for level in found.get(_DIFFERS, ()):
            yield level.additional[_PLACE].path, level.t1, level.t2

    def match(self, level: Any) -> bool:  # noqa: ARG002 - each place is judged
        """Whether DeepDiff is to ask about a place."""
        return True

    def give_up_diffing(self, level: Any, diff_instance: Any) -> bool:
        """Judges the two values at a place, and says whether nothing is left for DeepDiff to do there."""
        place = self._place_of(level)
        old = ABSENT if isinstance(level.t1, _Gap) else level.t1
        verdict = self._judge(old, level.t2, place)
        if verdict is None:
            return True
        # What DeepDiff goes on with, here and below.
        level.t1, level.t2 = verdict.old, verdict.new
        level.additional[_PLACE] = verdict.inside or place
        if verdict.inside is None:
            diff_instance.custom_report_result(_DIFFERS, level)
        return verdict.inside is None

    def _place_of(self, level: Any) -> JudgedPlace:
        above = level.up
        if above is None:
            return self._places.root
        place: JudgedPlace = above.additional[_PLACE]
        step = above.t1_child_rel.param
        positions = place.positions
        if positions is None:
            return place.below(step)
        if level.t1 is None or level.t2 is None:  # a null in a list is an item like any other
            place = place.opened()
        return place.below(positions[step])

    def _judge(self, old: Any, new: Any, place: JudgedPlace) -> _PlaceVerdict | None:
        """Returns what differs of the values at one place; `ABSENT` stands where there is none."""
        roles = self._places.at(place.state)
        if roles:
            if Role.IGNORED in roles:
                return None
            if Role.EMPTY_IS_NULL in roles:
                old, new = (None if it == "" else it for it in (old, new))
            if Role.EMPTY_IS_ABSENT in roles:
                old, new = ([] if it in NOTHING else it for it in (old, new))
            if Role.FLEETING in roles and (old in NOTHING or new in NOTHING):
                return None
        if place.lax and old in NOTHING and new in NOTHING:
            return None
        if old is ABSENT or new is ABSENT:
            return self._as_shown(old, new, place)
        if Role.VOLATILE in roles or Role.FLEETING in roles:
            return _unlike(Mask(name_type(old), old), Mask(name_type(new), new))
        return self._judge_values(old, new, place, roles)

    def _as_shown(self, old: Any, new: Any, place: JudgedPlace) -> _PlaceVerdict | None:
        one, other = (ABSENT if it is ABSENT else self._places.shown(it, place) for it in (old, new))
        return None if one is other is ABSENT else _PlaceVerdict(one, other)

    def _judge_values(
        self, old: Any, new: Any, place: JudgedPlace, roles: Sequence[Action]
    ) -> _PlaceVerdict | None:
        rules = [role for role in roles if isinstance(role, TextRule)]
        if rules and isinstance(old, str) and isinstance(new, str):
            return self._judge_by_rule(old, new, place, rules[-1])
        if Role.CONTENT in roles and not rules:
            one, other = (structure_in(it) if isinstance(it, str) else it for it in (old, new))
            if isinstance(one, dict | list) and type(one) is type(other):
                return self._judge_values(one, other, place.opened(), ())
            if isinstance(old, str) and isinstance(new, str):
                return self._judge_texts(old, new, one, other, place)
        if Role.JSON_TEXT in roles:
            return self._judge_json(old, new, place)
        one_vector, other_vector = vector_at(old, roles), vector_at(new, roles)
        if one_vector and other_vector:
            return self._judge_vectors(one_vector, other_vector, place, roles)
        if (one_vector or other_vector) and is_vector_place(roles):
            self.levels[place.path] = Level.BEHAVIOR
            return _PlaceVerdict(Told(one_vector or name_type(old)), Told(other_vector or name_type(new)))
        if len(place.path) >= COMPARED_DEPTH:
            self.notes[place.path] = f"nested deeper than {COMPARED_DEPTH} levels, compared as text"
            return _unlike(folded(old), folded(new))
        if isinstance(old, dict) and isinstance(new, dict):
            return self._inside_objects(old, new, place)
        if isinstance(old, list) and isinstance(new, list):
            return self._inside_lists(old, new, place, roles)
        if isinstance(old, dict | list) or isinstance(new, dict | list):
            return self._as_shown(old, new, place)
        tolerances = [role for role in roles if isinstance(role, Tolerance)]
        if tolerances and _is_number(old) and _is_number(new):
            if tolerances[-1].allows(old, new):
                return None
            self.notes[place.path] = f"more than {tolerances[-1]} apart"
        return _unlike(old, new)

    def _judge_vectors(
        self, old: Vector, new: Vector, place: JudgedPlace, roles: Sequence[Action]
    ) -> _PlaceVerdict | None:
        """Judges two vectors: by a rule for both as a whole, and by one for each of their values."""
        rules = [role for role in roles if isinstance(role, Tolerance)]
        of_values = [role for role in self._places.at(place.state.step(0)) if isinstance(role, Tolerance)]
        if len(old.values) != len(new.values) or old.odd != new.odd:
            if rules:  # of a place that is known to hold a vector
                self.levels[place.path] = Level.BEHAVIOR
            return _PlaceVerdict(Told(old), Told(new))
        problem = _vectors_differ(old, new, [*rules[-1:], *of_values[-1:]])
        if not problem:
            return None
        self.notes[place.path] = problem
        return _PlaceVerdict(Told(old), Told(new))

    def _inside_objects(self, old: dict[str, Any], new: dict[str, Any], place: JudgedPlace) -> _PlaceVerdict:
        """Returns both objects with the keys of both, but for those under which nothing differs."""
        pairs = {key: (old.get(key, ABSENT), new.get(key, ABSENT)) for key in dict.fromkeys((*old, *new))}
        left = {key: pair for key, pair in pairs.items() if not self._are_same(*pair, place, key)}
        return _PlaceVerdict(
            {key: _filled(one) for key, (one, _) in left.items()},
            {key: other for key, (_, other) in left.items()},
            place,
        )

    def _inside_lists(
        self, old: list[Any], new: list[Any], place: JudgedPlace, roles: Sequence[Action]
    ) -> _PlaceVerdict:
        """Returns both lists with the items that belong together side by side, but for those that are the same."""
        left: list[tuple[Any, Any, int]] = []
        for i, j in self._aligned(old, new, place, roles):
            one = ABSENT if i is None else old[i]
            other = ABSENT if j is None else new[j]
            position = j if j is not None else i or 0
            if not self._are_same(
                one, other, place.opened() if one is None or other is None else place, position
            ):
                left.append((one, other, position))
        positions = tuple(position for *_, position in left)
        return _PlaceVerdict(
            [_filled(one) for one, *_ in left], [it for _, it, _ in left], place._replace(positions=positions)
        )

    def _are_same(self, old: Any, new: Any, place: JudgedPlace, step: str | int) -> bool:
        depth = len(place.path) + 1
        return self._places.are_same(old, new, place.state.step(step), lax=place.lax, depth=depth)

    def _aligned(
        self, old: list[Any], new: list[Any], place: JudgedPlace, roles: Sequence[Action]
    ) -> Aligned:
        paired = next((role for role in reversed(roles) if isinstance(role, Paired)), None)
        if paired is None:
            state = place.state.step(0)
            return align(old, new, lambda item: canonical(self._places.lasting(item, state)))
        aligned = match(old, new, paired.keys)
        if paired.named is None:
            return aligned
        moved = [i for i, j in aligned if i is not None and j is not None]
        if moved != sorted(moved):
            before, after = (list(map(paired.named, items)) for items in (old, new))
            self.changes.append(Change(format_path(place.path), Level.BEHAVIOR, "order", before, after))
        return aligned

    def _judge_json(self, old: Any, new: Any, place: JudgedPlace) -> _PlaceVerdict | None:
        one, other = (parsed(it) if isinstance(it, str) else it for it in (old, new))
        were, are = isinstance(one, BrokenJson), isinstance(other, BrokenJson)
        if not were and not are:
            return self._judge_values(one, other, place.opened(), ())
        if old != new:
            self.levels[place.path] = Level.BEHAVIOR
            self.notes[place.path] = f"broken JSON: {other.problem}" if are else "was broken JSON"
            if were is not are:
                self.broken.add(place.path)
        return _unlike(old, new)

    def _judge_texts(
        self, old: str, new: str, one: Any, other: Any, place: JudgedPlace
    ) -> _PlaceVerdict | None:
        """Judges two texts, given the object or array in each of them, if one is there."""
        if one is not None and other is not None:
            return self._judge_values(one, other, place.opened(), ())
        if one is not None or other is not None:
            self.levels[place.path] = Level.BEHAVIOR
            self.notes[place.path] = "was JSON" if one is not None else "is now JSON"
            self.broken.add(place.path)
        return _unlike(old, new)

    def _judge_by_rule(self, old: str, new: str, place: JudgedPlace, rule: TextRule) -> _PlaceVerdict | None:
        if old == new:
            return None
        if rule.accepts is None:
            return self._judge_json(old, new, place)
        try:
            accepted = bool(rule.accepts(old, new))
        except Exception as error:  # a callable of the user's own may raise anything
            where = format_path(place.path)
            problem = f"text, {where}: the rule {rule.name} failed with {type(error).__name__}"
            raise SettingsError(problem) from error
        if accepted:
            return None
        self.notes[place.path] = rule.problem
        return _PlaceVerdict(old, new)


def _vectors_differ(old: Vector, new: Vector, rules: Sequence[Tolerance]) -> str:
    """Returns how two vectors, as long as each other, break one of the rules; nothing where they do not.

    Without a rule they must be equal.
    """
    for rule in rules or (Tolerance(0),):
        if rule.cosine is not None:
            cosine = old.cosine(new)
            if cosine < rule.cosine:
                return f"cosine {math.floor(cosine * 10_000) / 10_000:.4f}, less than {rule.cosine}"
            continue
        pairs = enumerate(zip(old.values, new.values, strict=True))
        apart = [
            (i, one, other)
            for i, (one, other) in pairs
            if _unlike(one, other) and not rule.allows(one, other)
        ]
        if apart:
            i, one, other = apart[0]
            by = f"are more than {rule} apart" if rules else "differ"
            return f"{len(apart):,} of {len(old.values):,} values {by}, the first [{i}]: {one:.6g} -> {other:.6g}"
    return ""


def _unlike(old: Any, new: Any) -> _PlaceVerdict | None:
    """Returns both values, or None where they are JSON-equal. In Python True is 1, and NaN is not NaN."""
    both_nan = old != old and new != new  # noqa: PLR0124 - only NaN is not itself
    same = isinstance(old, bool) is isinstance(new, bool) and (old == new or both_nan)
    return None if same else _PlaceVerdict(old, new)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
