"""What is volatile by a rule: ids and times, wherever in an application's own JSON they stand.

A tree and the names of rules go in; of each value that a rule is about, only its type is left.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ..wire.json_values import name_type, objects_in
from .answers import Mask

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_ID_NAME: Final = re.compile(
    r"(?:id|uuid|guid|ulid|etag|nonce)|.*(?:[_-](?:id|uuid|guid)|[a-z](?:Id|ID|Uuid|UUID))"
)
_ID: Final = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{24,64}",
    re.IGNORECASE,
)
_TIME_NAME: Final = re.compile(
    r"(?:created|updated|modified|expires|timestamp|time|date|now)"
    r"|.*(?:[_-](?:at|on|time|date|timestamp|ts)|[a-z](?:At|On|Time|Date|Timestamp))"
)
_DATE: Final = r"(?:19|20)\d\d-[01]\d-[0-3]\d"
_MOMENT: Final = re.compile(
    _DATE + r"[Tt ][0-2]\d:[0-5]\d(?::[0-6]\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:?\d\d)?"
)
_DAY: Final = re.compile(_DATE)
_EPOCH: Final = 500_000_000
"""Seconds since 1970 are more than these; what is less counts something else."""


def _is_id(name: str, value: Any) -> bool:
    if isinstance(value, str):
        return bool(_ID_NAME.fullmatch(name) or _ID.fullmatch(value))
    return isinstance(value, int) and not isinstance(value, bool) and bool(_ID_NAME.fullmatch(name))


def _is_time(name: str, value: Any) -> bool:
    if isinstance(value, str):
        return bool(_MOMENT.fullmatch(value) or (_TIME_NAME.fullmatch(name) and _DAY.fullmatch(value)))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and value > _EPOCH and bool(_TIME_NAME.fullmatch(name))


_RULES: Final[dict[str, Callable[[str, Any], bool]]] = {"ids": _is_id, "times": _is_time}


def mask_by_rule(tree: Any, names: Collection[str]) -> None:
    """Replaces what the rules name; in place.

    Args:
        tree: of an answer.
        names: of the rules: ``ids`` and ``times``.
    """
    rules = [_RULES[name] for name in sorted(names)]
    for value in objects_in(tree) if rules else ():
        for name, held in value.items():
            if any(rule(name, held) for rule in rules):
                value[name] = Mask(name_type(held), held)
