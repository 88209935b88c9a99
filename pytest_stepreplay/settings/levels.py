"""Levels: how much a change of an answer matters, and from which one on a drift fails."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal

from ..errors import SettingsError


class Level(IntEnum):
    """How much a change matters; a drift has the level of its worst change."""

    NONE = 0
    METADATA = 1
    CONTENT = 2
    BEHAVIOR = 3
    CONTRACT = 4

    def __str__(self) -> str:
        return self.name.lower()


FailOn = Level | Literal["never"]
"""From which level on a drift fails."""

FAIL_ON: Final = ("contract", "behavior", "content", "metadata", "never")
"""What a user may write for it."""

CONTRACTS: Final = ("stepfun", "openai")
"""The documented objects that a response may be held to, by the names that a user writes: whose they are."""

VOLATILE_RULES: Final = ("ids", "times")
"""What a user may name, in place of a selector, as volatile wherever it stands."""


def read_fail_on(value: object) -> FailOn:
    """Returns the level that `value` spells, or ``"never"``.

    Raises:
        SettingsError: for anything that is not in `FAIL_ON`.
    """
    text = str(value) if isinstance(value, Level) else value
    if not isinstance(text, str) or text not in FAIL_ON:
        raise SettingsError(f"fail_on: {value!r:.60} is not one of {', '.join(FAIL_ON)}")
    return "never" if text == "never" else Level[text.upper()]
