"""The facts of one difference, and what stands for a value where none of JSON's would do."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

from ..value_classes import dataclass

if TYPE_CHECKING:
    from ..settings.levels import Level


class Absent(Enum):
    """The type of `ABSENT`, which stands where there is no value, not even null."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent.ABSENT

Kind = Literal["added", "removed", "changed", "text", "type", "order", "contract", "replaced"]
"""What happened at a place.

``text`` is a changed text long enough to be shown word by word, ``order`` a list whose items stand in another
order, ``contract`` a break of the documented object, ``replaced`` another sort of answer as a whole.
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """What differs at one place, as it is; `forms` says it.

    Attributes:
        selector: the place: in the new response, or for something removed, in the stored one.
        level: how much it matters.
        kind: what happened there.
        old: the stored value, or `ABSENT`. Where volatile values differ in their type, or in what they cite, that.
        new: the new one, in the same way.
        note: what the values don't show: why JSON is broken, what was expected.
        source: the documentation of the object, if `kind` is ``contract``.
        similarity: of two texts, from 0 to 1, if `kind` is ``text``.
    """

    selector: str
    level: Level
    kind: Kind
    old: Any = ABSENT
    new: Any = ABSENT
    note: str = ""
    source: str = ""
    similarity: float | None = None
