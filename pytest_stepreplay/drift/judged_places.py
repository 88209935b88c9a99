"""What each place of two answers is to their comparison: volatile, ignored, JSON in a string, or a plain value.

An endpoint and a policy go in. What comes out says which differences count for nothing, so that answers which are the
same never reach DeepDiff, and what a person is to see of a value.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..endpoints import Paired
from ..selectors import Selector, Selectors
from ..settings.policy import Tolerance
from ..settings.text_rules import TextRule
from ..wire.json_values import BrokenJson, canonical, is_equal, name_type, parsed, structure_in
from ..wire.vectors import LONG, Vector
from .values import ABSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..endpoints import Endpoint
    from ..selectors import Path, State
    from ..settings.policy import Policy

COMPARED_DEPTH: Final = 48
"""What is nested deeper is compared as one text: DeepDiff's walk takes stack for every level."""

NOTHING: Final = (ABSENT, None)


class Role(Enum):
    """What a place is to a comparison, besides a value."""

    IGNORED = "left out"
    VOLATILE = "only the type counts"
    FLEETING = "volatile, and may be missing"
    JSON_TEXT = "JSON in a string; broken JSON is worth telling"
    CONTENT = "a text, or JSON where both sides hold an object or array"
    EMPTY_IS_NULL = '"" is no value'
    EMPTY_IS_ABSENT = "[] is no value"


Action = Role | Paired | Tolerance | TextRule


@lru_cache(maxsize=64)
def _known_actions(endpoint: Endpoint) -> tuple[tuple[Selector, Action], ...]:
    """Returns what is known of the places of an endpoint's answers."""
    places = {
        Role.VOLATILE: endpoint.volatile,
        Role.FLEETING: endpoint.fleeting,
        Role.JSON_TEXT: endpoint.json_texts,
        Role.CONTENT: endpoint.content,
        Role.EMPTY_IS_NULL: endpoint.empty_is_null,
        Role.EMPTY_IS_ABSENT: endpoint.empty_is_absent,
    }
    actions: list[tuple[str, Action]] = [(text, role) for role, texts in places.items() for text in texts]
    actions += endpoint.paired.items()
    actions += ((text, Tolerance.parse(rule)) for text, rule in endpoint.tolerances.items())
    return tuple((Selector.parse(text), action) for text, action in actions)


@lru_cache(maxsize=64)
def _selectors(endpoint: Endpoint, of_policy: tuple[Selector, ...]) -> Selectors:
    """Returns the selectors of what is known and of a policy; the states that a walk has built stay for the next."""
    return Selectors((*(selector for selector, _ in _known_actions(endpoint)), *of_policy))


class Folded(str):
    """Stands for what is nested deeper than `COMPARED_DEPTH`: its canonical JSON."""

    __slots__ = ()


class Told(str):
    """Stands for a value that no one would read, such as a vector: what it is."""

    __slots__ = ()


class JudgedPlace(NamedTuple):
    """A place in both answers.

    Attributes:
        path: from the root.
        state: of the selectors.
        lax: whether null and an absent key say the same, as they do in the documented objects.
        positions: of a list, where the items that are compared stand in the new one, or in the old one if they went.
    """

    path: Path
    state: State
    lax: bool
    positions: tuple[int, ...] | None = None

    def below(self, step: str | int) -> JudgedPlace:
        """Returns the place one step further down."""
        return JudgedPlace((*self.path, step), self.state.step(step), self.lax)

    def opened(self) -> JudgedPlace:
        """Returns this place for JSON that stands in a string; there null is a value like any other."""
        return self._replace(lax=False)


class JudgedPlaces:
    """What an endpoint and a policy say of the places of its answers."""

    def __init__(self, endpoint: Endpoint, policy: Policy) -> None:
        of_policy: list[tuple[Any, Any]] = [
            *((selector, Role.IGNORED) for selector in policy.ignore),
            *((each, Role.VOLATILE) for each in policy.volatile if isinstance(each, Selector)),
            *policy.tolerances.items(),
            *policy.text.items(),
        ]
        self._actions: list[Action] = [action for _, action in _known_actions(endpoint)]
        self._actions += [action for _, action in of_policy]
        selectors = _selectors(endpoint, tuple(selector for selector, _ in of_policy))
        self.root = JudgedPlace((), selectors.start, endpoint.null_is_absent)

    def at(self, state: State) -> list[Action]:
        """Returns what a place is, besides a value."""
        return [self._actions[i] for i in state.hits]

    def are_same(self, old: Any, new: Any, state: State, *, lax: bool, depth: int = 0) -> bool:
        """Whether two values are the same but for what is volatile or ignored in them, as far as that costs little.

        Args:
            old: a value; `ABSENT` for none.
            new: the same.
            state: of the selectors, at its place.
            lax: whether null says no more than absence.
            depth: of its place.
        """
        roles = self.at(state) if state.hits else ()
        if Role.IGNORED in roles:
            return True
        if Role.FLEETING in roles and (old in NOTHING or new in NOTHING):
            return True
        if old is ABSENT or new is ABSENT:
            return lax and old in NOTHING and new in NOTHING
        if Role.VOLATILE in roles or Role.FLEETING in roles:
            return name_type(old) == name_type(new)
        if type(old) is not type(new):
            return False
        if depth >= COMPARED_DEPTH or not state.alive or not isinstance(old, dict | list):
            return is_equal(old, new)
        if isinstance(old, dict):
            return all(
                self.are_same(
                    old.get(key, ABSENT), new.get(key, ABSENT), state.step(key), lax=lax, depth=depth + 1
                )
                for key in old.keys() | new.keys()
            )
        return len(old) == len(new) and all(
            self.are_same(one, other, state.step(i), lax=lax, depth=depth + 1)
            for i, (one, other) in enumerate(zip(old, new, strict=True))
        )

    def shown(self, value: Any, place: JudgedPlace) -> Any:
        """Returns a value as a person is to see it: without what is ignored, and with JSON in strings opened.

        Args:
            value: a value without a counterpart.
            place: where it stands.
        """
        roles = self.at(place.state)
        if Role.IGNORED in roles:
            return ABSENT
        if Role.EMPTY_IS_NULL in roles and value == "":
            value = None
        if Role.EMPTY_IS_ABSENT in roles and value in NOTHING:
            value = []
        if value in NOTHING and (place.lax or Role.FLEETING in roles):
            return ABSENT
        if Role.VOLATILE in roles or Role.FLEETING in roles:
            return value
        if vector := vector_at(value, roles):
            return Told(vector)
        if isinstance(value, str):
            opened = self._opened(value, roles)
            return value if opened is None else self._shown_inside(opened, place.opened())
        return self._shown_inside(value, place.opened() if Role.JSON_TEXT in roles else place)

    def _opened(self, text: str, roles: list[Action]) -> Any:
        """Returns the JSON in a text; None where there is none, or it counts as a text."""
        if any(isinstance(role, TextRule) for role in roles):
            return None
        if Role.CONTENT in roles:
            return structure_in(text)
        value = parsed(text) if Role.JSON_TEXT in roles else None
        return None if isinstance(value, BrokenJson) else value

    def _shown_inside(self, value: Any, place: JudgedPlace) -> Any:
        if len(place.path) >= COMPARED_DEPTH:
            return folded(value)
        if isinstance(value, dict):
            items = ((key, self.shown(child, place.below(key))) for key, child in value.items())
            return {key: child for key, child in items if child is not ABSENT}
        if isinstance(value, list):
            strict = place.opened()  # a null in a list is an item like any other
            shown = (
                self.shown(child, (strict if child is None else place).below(i))
                for i, child in enumerate(value)
            )
            return [child for child in shown if child is not ABSENT]
        return value

    def lasting(self, value: Any, state: State, depth: int = 0) -> Any:
        """Returns a value without what is volatile or ignored in it, by which items of lists belong together."""
        if any(self._actions[i] in _PASSING for i in state.hits):
            return None
        if depth == COMPARED_DEPTH or not state.alive:
            return value
        if isinstance(value, dict):
            return {key: self.lasting(child, state.step(key), depth + 1) for key, child in value.items()}
        if isinstance(value, list):
            return [self.lasting(child, state.step(i), depth + 1) for i, child in enumerate(value)]
        return value


_PASSING: Final = (Role.IGNORED, Role.VOLATILE, Role.FLEETING)


def folded(value: Any) -> Any:
    """Returns what stands for a value that is nested too deeply to be walked."""
    return Folded(canonical(value)) if isinstance(value, dict | list) else value


def vector_at(value: Any, roles: Sequence[Action]) -> Vector | None:
    """Returns the vector that a value is: where a rule is about one, or where there are many numbers in a row."""
    if is_vector_place(roles) or (isinstance(value, list) and len(value) >= LONG):
        return Vector.read(value)
    return None


def is_vector_place(roles: Sequence[Action]) -> bool:
    """Whether what stands at a place is said to be a vector."""
    return any(isinstance(role, Tolerance) and role.cosine is not None for role in roles)
