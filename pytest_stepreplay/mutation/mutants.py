"""The mutants of one test: its recorded answers, changed one at a time; and the controls, which nobody should notice.

The interactions that answered a test go in, with their positions, and a list of `Mutant`s comes out, the same for the
same tape.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ..selectors import Selectors
from ..settings.levels import Level
from ..value_classes import dataclass
from . import places
from .operator_table import OPERATORS
from .taped_answers import read_taped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..endpoints import Endpoint
    from ..models import Interaction, Response
    from .taped_answers import TapedAnswer

_PREFIX: Final = re.compile(r"[a-z]+[_-]")
"""What an id begins with says what kind of id it is."""


@dataclass(frozen=True)
class Mutant:
    """One recorded answer, changed.

    Attributes:
        operator: the name of what was done to it.
        level: how much such a drift matters.
        position: that of the interaction among those that may answer, from 0.
        answer: its number among the answers of the test, from 1.
        place: what was changed.
        told: what is so now, for a person.
        make: returns the changed response.
    """

    operator: str
    level: Level
    position: int
    answer: int
    place: str
    told: str
    make: Callable[[], Response]


def mutants_of(
    played: Iterable[tuple[int, Interaction]], *, most: int | None = None, lowest: Level = Level.METADATA
) -> list[Mutant]:
    """Returns the mutants of a test, those of the worst level first.

    Where only some are wanted, each operator has one before any has two.

    Args:
        played: what answered the test's requests, in order, each with its position.
        most: how many to return; None for all.
        lowest: the lowest level to return.
    """
    ranked = []
    for number, (position, interaction) in enumerate(dict(played).items(), 1):
        taped = read_taped(interaction)
        if taped is None:
            continue
        for order, operator in enumerate(OPERATORS):
            if operator.level < lowest:
                continue
            for time, altered in enumerate(operator.changes(taped)):
                mutant = Mutant(operator.name, operator.level, position, number, *altered)
                ranked.append(((time, -operator.level, number, order), mutant))
    ranked.sort(key=lambda pair: pair[0])
    return sorted((mutant for _, mutant in ranked[:most]), key=lambda mutant: -mutant.level)


def controls_of(played: Iterable[tuple[int, Interaction]]) -> dict[int, Response]:
    """Returns the answers of a test as another call would have brought them, by their positions.

    Ids, times and what else is volatile are new, and a stream is cut into other chunks.
    """
    controls = {}
    for position, interaction in played:
        taped = read_taped(interaction)
        if taped is not None:
            controls[position] = taped.with_tree(_with_other_volatile(taped))
    return controls


@cache
def _volatile_in(endpoint: Endpoint) -> Selectors:
    """Returns where values stand that differ on every call."""
    known = endpoint.altering()
    calls = known.calls if known else ()
    ids = {f"{each.at}.{each.id}" for each in calls if each.id}
    return Selectors([*endpoint.volatile, *endpoint.fleeting, *sorted(ids)])


def _with_other_volatile(taped: TapedAnswer) -> Any:
    tree = taped.tree
    for path, value in [*places.find_places(tree, _volatile_in(taped.endpoint))]:
        tree = places.with_value(tree, path, _anew(value))
    return tree


def _anew(value: Any) -> Any:
    """Returns another value that looks alike."""
    if isinstance(value, str):
        prefix = _PREFIX.match(value)
        start = prefix.end() if prefix else 0
        return value[:start] + value[start:].translate(_NEXT)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value + 1
    return value


_NEXT: Final = str.maketrans("0123456789abcdef", "1234567890bcdefa")
"""Hexadecimal digits stay such."""
