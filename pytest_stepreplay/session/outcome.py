"""What happened to one cassette while it was open: an `Outcome`, as reports take it and xdist carries it."""

from __future__ import annotations

from typing import Any

from ..value_classes import dataclass, field


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one cassette while it was open. Plain values, so that xdist can carry them.

    `ownerless` is a cassette that no test has recorded, as one that a script's `use_cassette` wrote.
    """

    path: str
    mode: str
    shared: bool = False
    passed: bool = True
    total: int = 0
    replayed: tuple[int, ...] = ()
    recorded: int = 0
    missed: int = 0
    sent: int = 0
    errors_not_recorded: tuple[str, ...] = ()
    refused_keys: tuple[str, ...] = ()
    unsent: tuple[tuple[str, str], ...] = ()
    written: bool = False
    not_written: str = ""
    ledger: tuple[tuple[Any, ...], ...] = ()
    seconds_saved: float = 0.0
    blocked: tuple[str, ...] = ()
    verified: tuple[dict[str, Any], ...] = ()
    selectors: tuple[str, ...] = ()
    matched: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    borrowed: tuple[tuple[str, int, tuple[int, ...]], ...] = ()
    stale: str = ""
    ownerless: bool = False
    faults: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()
    asked: dict[str, tuple[str, ...]] = field(default_factory=dict)
