"""What counts as the same: two answers become two views in which only what differs is left different.

Volatile values are masked, ignored places left out, numbers within their tolerance and texts that their rule
accepts made equal, JSON in strings opened, and list items brought side by side. Equal parts of the views are
one object, so equal answers give one view.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..endpoints import Paired
from ..errors import SettingsError
from ..selectors import Selector, Selectors, format_path
from ..settings.levels import Level
from ..settings.policy import TextRule, Tolerance
from ..texts.alignment import align, match
from ..wire.json_values import BrokenJson, canonical, name_type, parsed
from .answers import Mask
from .calls import name_calls
from .changes import Change
from .values import ABSENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..endpoints import Endpoint
    from ..selectors import Path, State
    from ..settings.policy import Policy
    from ..texts.alignment import Aligned

MAX_DEPTH: Final = 48
"""What is nested deeper is compared as one text: both this walk and DeepDiff's take stack for every level."""


class Role(Enum):
    """What a place is to a comparison, besides a value."""

    IGNORED = "left out"
    VOLATILE = "only the type counts"
    FLEETING = "volatile, and may be missing"
    JSON_TEXT = "JSON in a string; broken JSON is worth telling"
    CONTENT = "a text, or JSON where both sides hold an object or array"
    EMPTY_IS_NULL = '"" is no value'
    EMPTY_IS_ABSENT = "[] is no value"


_Action = Role | Paired | Tolerance | TextRule


@lru_cache(maxsize=64)
def _known_actions(endpoint: Endpoint) -> tuple[tuple[Selector, _Action], ...]:
    """Returns what is known of the places of an endpoint's answers."""
    places = {
        Role.VOLATILE: endpoint.volatile,
        Role.FLEETING: endpoint.fleeting,
        Role.JSON_TEXT: endpoint.json_texts,
        Role.CONTENT: endpoint.content,
        Role.EMPTY_IS_NULL: endpoint.empty_is_null,
        Role.EMPTY_IS_ABSENT: endpoint.empty_is_absent,
    }
    actions: list[tuple[str, _Action]] = [(text, role) for role, texts in places.items() for text in texts]
    actions += endpoint.paired.items()
    return tuple((Selector.parse(text), action) for text, action in actions)


@lru_cache(maxsize=64)
def _selectors(endpoint: Endpoint, of_policy: tuple[Selector, ...]) -> Selectors:
    """Returns the selectors of what is known and of a policy; the states that a walk has built stay for the next."""
    return Selectors((*(selector for selector, _ in _known_actions(endpoint)), *of_policy))


class Folded(str):
    """Stands for what is nested deeper than `MAX_DEPTH`: its canonical JSON."""

    __slots__ = ()


class AlignedList(list[Any]):
    """A list whose items stand beside those of another list; `ABSENT` where one has no partner.

    Attributes:
        shown: for each place, the position in the new list, or in the old one for an item that went.
    """

    __slots__ = ("shown",)

    def __init__(self, items: list[Any], shown: list[int]) -> None:
        super().__init__(items)
        self.shown = shown


class _Place(NamedTuple):
    """Where the walk is.

    Attributes:
        path: from the root.
        state: of the selectors.
        lax: whether null and an absent key say the same, as they do in the documented objects.
    """

    path: Path
    state: State
    lax: bool

    def below(self, step: str | int) -> _Place:
        return _Place((*self.path, step), self.state.step(step), self.lax)


class Pairing:
    """One comparison's walk over both trees.

    Attributes:
        notes: what the walk learned about places that stay different.
        levels: places whose level it settled.
        broken: places where one text is JSON and the other is not, so that comparing words says nothing.
        changes: lists whose items changed their order.
    """

    def __init__(self, policy: Policy, endpoint: Endpoint) -> None:
        self.notes: dict[Path, str] = {}
        self.levels: dict[Path, Level] = {}
        self.broken: set[Path] = set()
        self.changes: list[Change] = []
        self._endpoint = endpoint
        of_policy: list[tuple[Any, Any]] = [
            *((selector, Role.IGNORED) for selector in policy.ignore),
            *policy.tolerances.items(),
            *policy.text.items(),
        ]
        self._actions: list[_Action] = [action for _, action in _known_actions(endpoint)]
        self._actions += [action for _, action in of_policy]
        self._selectors = _selectors(endpoint, tuple(selector for selector, _ in of_policy))

    def views(self, old: Any, new: Any) -> tuple[Any, Any]:
        """Returns what to compare of both trees; one and the same object where nothing differs.

        Args:
            old: the stored tree; the ids of its tool calls are replaced.
            new: the new one; the same.

        Raises:
            SettingsError: if a callable of the policy's fails.
        """
        endpoint = self._endpoint
        if endpoint.calls:
            for _, part in (*endpoint.parts(old), *endpoint.parts(new)):
                name_calls(part, endpoint.calls)
        return self._pair(old, new, _Place((), self._selectors.start, endpoint.null_is_absent))

    def _pair(self, old: Any, new: Any, place: _Place) -> tuple[Any, Any]:
        """Returns the views of what stands at one place on both sides; `ABSENT` where nothing does."""
        roles = [self._actions[i] for i in place.state.hits]
        if roles:
            if Role.IGNORED in roles:
                return ABSENT, ABSENT
            if Role.EMPTY_IS_NULL in roles:
                old, new = (None if it == "" else it for it in (old, new))
            if Role.EMPTY_IS_ABSENT in roles:
                old, new = ([] if it in _NOTHING else it for it in (old, new))
            if Role.FLEETING in roles and (old in _NOTHING or new in _NOTHING):
                return ABSENT, ABSENT
        if place.lax and old in _NOTHING and new in _NOTHING:
            return ABSENT, ABSENT
        if old is ABSENT:
            return ABSENT, self._view(new, place)
        if new is ABSENT:
            return self._view(old, place), ABSENT
        if Role.VOLATILE in roles or Role.FLEETING in roles:
            return _unified(Mask(name_type(old), old), Mask(name_type(new), new))
        return self._pair_values(old, new, place, roles)

    def _view(self, value: Any, place: _Place) -> Any:
        """Returns the view of a value that has no counterpart: masked as if it had one."""
        return self._pair(value, value, place)[0]

    def _pair_values(self, old: Any, new: Any, place: _Place, roles: Sequence[_Action]) -> tuple[Any, Any]:
        if isinstance(old, str) and isinstance(new, str):
            rules = [role for role in roles if isinstance(role, TextRule)]
            if rules:
                return self._pair_by_rule(old, new, place, rules[-1])
            if Role.CONTENT in roles:
                return self._pair_content(old, new, place)
        if Role.JSON_TEXT in roles:
            return self._pair_arguments(old, new, place)
        if len(place.path) >= MAX_DEPTH:
            return self._pair_folded(old, new, place)
        if isinstance(old, dict) and isinstance(new, dict):
            return self._pair_objects(old, new, place)
        if isinstance(old, list) and isinstance(new, list):
            return self._pair_lists(old, new, self._aligned(old, new, place, roles), place)
        if isinstance(old, dict | list) or isinstance(new, dict | list):
            return self._view(old, place), self._view(new, place)
        tolerances = [role for role in roles if isinstance(role, Tolerance)]
        if tolerances and _is_number(old) and _is_number(new):
            if tolerances[-1].allows(old, new):
                return old, old
            self.notes[place.path] = f"more than {tolerances[-1]} apart"
        return _unified(old, new)

    def _pair_objects(self, old: Mapping[str, Any], new: Mapping[str, Any], place: _Place) -> tuple[Any, Any]:
        old_view: dict[str, Any] = {}
        new_view: dict[str, Any] = {}
        same = True
        for key in (*old, *(key for key in new if key not in old)):
            one, other = self._pair(old.get(key, ABSENT), new.get(key, ABSENT), place.below(key))
            same = same and one is other
            if one is not ABSENT:
                old_view[key] = one
            if other is not ABSENT:
                new_view[key] = other
        return (old_view, old_view) if same else (old_view, new_view)

    def _pair_lists(self, old: list[Any], new: list[Any], aligned: Aligned, place: _Place) -> tuple[Any, Any]:
        pairs: list[tuple[Any, Any, int]] = []
        for i, j in aligned:
            before = ABSENT if i is None else old[i]
            after = ABSENT if j is None else new[j]
            position = j if j is not None else i or 0
            below = place.below(position)
            if before is None or after is None:
                below = below._replace(lax=False)  # a null in a list is an item like any other
            one, other = self._pair(before, after, below)
            if one is not ABSENT or other is not ABSENT:
                pairs.append((one, other, position))
        shown = [position for *_, position in pairs]
        view = AlignedList([one for one, *_ in pairs], shown)
        if all(one is other for one, other, _ in pairs):
            return view, view
        return view, AlignedList([other for _, other, _ in pairs], shown)

    def _aligned(self, old: list[Any], new: list[Any], place: _Place, roles: Sequence[_Action]) -> Aligned:
        paired = next((role for role in reversed(roles) if isinstance(role, Paired)), None)
        if paired is None:
            return align(old, new, lambda item: canonical(self._lasting(item, place.state.step(0))))
        aligned = match(old, new, paired.keys)
        if paired.named is None:
            return aligned
        moved = [i for i, j in aligned if i is not None and j is not None]
        if moved != sorted(moved):
            before, after = (list(map(paired.named, items)) for items in (old, new))
            self.changes.append(Change(format_path(place.path), Level.BEHAVIOR, "order", before, after))
        return aligned

    def _lasting(self, value: Any, state: State, depth: int = 0) -> Any:
        """Returns a value without what is volatile or ignored in it, by which items belong together."""
        if any(self._actions[i] in _PASSING for i in state.hits):
            return None
        if depth == MAX_DEPTH or not state.alive:
            return value
        if isinstance(value, dict):
            return {key: self._lasting(child, state.step(key), depth + 1) for key, child in value.items()}
        if isinstance(value, list):
            return [self._lasting(child, state.step(i), depth + 1) for i, child in enumerate(value)]
        return value

    def _pair_arguments(self, old: Any, new: Any, place: _Place) -> tuple[Any, Any]:
        one, other = (parsed(it) if isinstance(it, str) else it for it in (old, new))
        were, are = isinstance(one, BrokenJson), isinstance(other, BrokenJson)
        if not were and not are:
            return self._pair_opened(one, other, place)
        if old != new:
            self.levels[place.path] = Level.BEHAVIOR
            self.notes[place.path] = f"broken JSON: {other.problem}" if are else "was broken JSON"
            if were is not are:
                self.broken.add(place.path)
        return _unified(old, new)

    def _pair_content(self, old: str, new: str, place: _Place) -> tuple[Any, Any]:
        one, other = _structure(old), _structure(new)
        if one is not None and other is not None:
            return self._pair_opened(one, other, place)
        if one is not None or other is not None:
            self.levels[place.path] = Level.BEHAVIOR
            self.notes[place.path] = "was JSON" if one is not None else "is now JSON"
            self.broken.add(place.path)
        return _unified(old, new)

    def _pair_opened(self, old: Any, new: Any, place: _Place) -> tuple[Any, Any]:
        """Returns the views of JSON that stood in a string; there null is a value like any other."""
        return self._pair_values(old, new, place._replace(lax=False), ())

    def _pair_by_rule(self, old: str, new: str, place: _Place, rule: TextRule) -> tuple[Any, Any]:
        if old == new:
            return old, old
        if rule.accepts is None:
            return self._pair_arguments(old, new, place)
        try:
            accepted = bool(rule.accepts(old, new))
        except Exception as error:  # a callable of the user's own may raise anything
            where = format_path(place.path)
            problem = f"text, {where}: the rule {rule.name} failed with {type(error).__name__}"
            raise SettingsError(problem) from error
        if accepted:
            return old, old
        self.notes[place.path] = rule.problem
        return old, new

    def _pair_folded(self, old: Any, new: Any, place: _Place) -> tuple[Any, Any]:
        one, other = (Folded(canonical(it)) if isinstance(it, dict | list) else it for it in (old, new))
        self.notes[place.path] = f"nested deeper than {MAX_DEPTH} levels, compared as text"
        return _unified(one, other)


def without_equal_parts(old: Any, new: Any) -> tuple[Any, Any]:
    """Returns two views without what is one object in both; to leave it out is much cheaper than to compare it."""
    if isinstance(old, dict) and isinstance(new, dict):
        differing = [
            key for key in dict.fromkeys((*old, *new)) if old.get(key, ABSENT) is not new.get(key, ABSENT)
        ]
        pairs = {key: without_equal_parts(old.get(key, ABSENT), new.get(key, ABSENT)) for key in differing}
        return (
            {key: one for key, (one, _) in pairs.items() if one is not ABSENT},
            {key: other for key, (_, other) in pairs.items() if other is not ABSENT},
        )
    if isinstance(old, AlignedList) and isinstance(new, AlignedList):
        kept = [at for at, (one, other) in enumerate(zip(old, new, strict=True)) if one is not other]
        rest = [without_equal_parts(old[at], new[at]) for at in kept]
        shown = [old.shown[at] for at in kept]
        return AlignedList([one for one, _ in rest], shown), AlignedList([other for _, other in rest], shown)
    return old, new


_NOTHING = (ABSENT, None)
_PASSING = (Role.IGNORED, Role.VOLATILE, Role.FLEETING)


def _unified(old: Any, new: Any) -> tuple[Any, Any]:
    """Returns one object for both where they are JSON-equal. In Python True is 1, and NaN is not NaN."""
    both_nan = old != old and new != new  # noqa: PLR0124 - only NaN is not itself
    if isinstance(old, bool) is isinstance(new, bool) and (old == new or both_nan):
        return old, old
    return old, new


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _structure(text: str) -> Any:
    """Returns the object or array in a text, or None."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    value = parsed(text)
    return None if isinstance(value, BrokenJson) else value
