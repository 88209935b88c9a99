"""Faults by the names that a user writes: ``rate_limit``, ``cut_at=2``, or a list of them."""

from __future__ import annotations

from typing import Final

from ..texts import spelling
from ..value_classes import dataclass

FAULTS: Final[dict[str, float | None]] = {
    "rate_limit": 0,
    "server_error": 500,
    "timeout": None,
    "reset": None,
    "cut_at": 1,
    "stall": 60,
    "slow": 10,
    "truncated_arguments": None,
    "invalid_json": None,
    "empty": None,
    "content_filter": None,
}
"""Every fault, with the number that it has where none is given; None where it takes none."""

NO_FAULT: Final = "ok"
"""Stands in a list for a request that is answered as it was recorded."""

ALL: Final = "all"
_NEEDS_A_NUMBER: Final = ("cut_at", "stall", "slow")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request.

    Attributes:
        name: one of `FAULTS`, or `NO_FAULT`.
        number: chunks, seconds, a factor or a status; 0 where it takes none.
        text: as a user writes it.
    """

    name: str
    number: float
    text: str

    def __str__(self) -> str:
        return self.text


def read_faults(value: object) -> tuple[Fault, ...]:
    """Returns the faults that a text or a list of texts names, one for each request in turn.

    Raises:
        ValueError: one of them is none; the message lists those there are.
    """
    listed = value.split() if isinstance(value, str) else value
    if isinstance(listed, Fault):
        return (listed,)
    if not isinstance(listed, list | tuple) or not listed:
        raise ValueError(f"{value!r:.60} is neither a fault nor a list of faults, such as 'rate_limit'")
    return tuple(each if isinstance(each, Fault) else _read(each) for each in listed)


def _read(text: object) -> Fault:
    name, equals, given = str(text).strip().partition("=")
    known = (*FAULTS, NO_FAULT)
    if name not in known:
        listed = ", ".join(f"{each}=N" if each in _NEEDS_A_NUMBER else each for each in known)
        raise ValueError(f"{text!r:.60} is not one of {listed}{spelling.did_you_mean(name, known)}")
    usual = FAULTS.get(name)
    if not equals and name not in _NEEDS_A_NUMBER:
        return Fault(name, usual or 0, name)
    if usual is None:
        raise ValueError(f"{text!r:.60}: {name} takes no number")
    try:
        number = float(given)
    except ValueError:
        number = -1.0
    whole = name in ("cut_at", "server_error")
    if (
        not 0 <= number < 1e6
        or (whole and number != int(number))
        or (name == "server_error" and number < 400)
    ):
        raise ValueError(f"{text!r:.60}: {name} takes {_WANTED[name]}, such as {name}={usual}")
    return Fault(name, number, f"{name}={given.strip()}")


_WANTED: Final = {
    "rate_limit": "the seconds of retry-after",
    "server_error": "a status from 400 on",
    "cut_at": "the number of chunks that still come",
    "stall": "seconds",
    "slow": "a factor of the recorded times",
}


def read_fault_table(value: object) -> tuple[Fault, ...]:
    """Returns the faults that a test is to be run with, one run for each: those of a list, or all.

    Raises:
        ValueError: one of them is none.
    """
    if value == ALL:
        numbered = {name: f"{name}={number}" for name, number in FAULTS.items() if name in _NEEDS_A_NUMBER}
        return read_faults([numbered.get(name, name) for name in FAULTS])
    return read_faults(value)
