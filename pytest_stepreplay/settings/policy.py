"""What a user decides about drift: from which level it fails, what is ignored, and how near is near enough.

Plain values go in, as they stand in a settings file or in Python; a checked, frozen `Policy` comes out, or an
error that names the setting, the selector and the valid values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from ..errors import SettingsError
from ..selectors import Selector
from ..value_classes import dataclass, field
from .levels import CONTRACTS, VOLATILE_RULES, FailOn, Level, read_fail_on
from .text_rules import TextRule, TextRuleInput

Number = int | float

Read = TypeVar("Read")

_TOLERANCE = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)", re.ASCII)
_COSINE = re.compile(r"cosine\s*>=\s*(-?\d*\.?\d+)\s*(%?)", re.ASCII)


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be from the stored one: at most `amount`, or that share of the stored one.

    Attributes:
        amount: the distance or the share.
        relative: it is a share.
        cosine: in place of both, how alike two vectors must be: the least cosine of the angle between them.
    """

    amount: Number = 0
    relative: bool = False
    cosine: float | None = None

    @classmethod
    def parse(cls, value: object) -> Tolerance:
        """Returns the tolerance that ``20``, ``0.5``, ``"20%"`` or ``"cosine>=0.999"`` stands for.

        Raises:
            ValueError: for anything else.
        """
        if isinstance(value, Tolerance):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
            return cls(value)
        if isinstance(value, str) and (read := _TOLERANCE.fullmatch(value.strip())):
            relative = bool(read[2])
            return cls(float(read[1]) / 100 if relative else float(read[1]), relative)
        if isinstance(value, str) and (read := _COSINE.fullmatch(value.strip())):
            least = float(read[1]) / (100 if read[2] else 1)
            if not -1 <= least <= 1:
                raise ValueError(f"a cosine is from -1 to 1, not {least:g}")
            return cls(cosine=least)
        raise ValueError(
            f'{value!r:.60} is not a tolerance; write a number (20) or a share of the stored value ("20%"), or '
            'for a vector how alike it must be ("cosine>=0.999")'
        )

    def allows(self, old: Number, new: Number) -> bool:
        """Whether `new` is near enough to `old`. Infinity is near itself alone, and nothing is near NaN."""
        if self.cosine is not None:  # it is about vectors
            return old == new
        try:
            limit = self.amount * abs(old) if self.relative else self.amount
            # A float cannot hold each sum exactly: 10% of 30 must allow 33.
            return abs(new - old) <= limit * (1 + 1e-9)
        except OverflowError:
            return False

    def __str__(self) -> str:
        if self.cosine is not None:
            return f"cosine>={self.cosine:g}"
        return f"{self.amount * 100:g}%" if self.relative else f"{self.amount:g}"


@dataclass(frozen=True)
class Policy:
    """What a user decides about drift.

    Attributes:
        fail_on: the lowest level that fails, or ``"never"``.
        ignore: selectors of places that never count.
        tolerances: how far apart numbers may be, by selector: ``{"usage.completion_tokens": "20%"}``, or a
            plain number for an absolute distance; or how alike vectors must be:
            ``{"data[*].embedding": "cosine>=0.999"}``.
        text: when a changed text counts as equal, by selector: ``"exact"``, ``"whitespace"``, ``"json"``,
            ``"similarity>=0.9"`` or 0.9, ``"regex:..."`` or a compiled pattern that must be found in the new
            text, or a callable of the old text and the new one. If several name a place, the last one counts.
        contract: the documented object that a response must conform to: ``"stepfun"``, ``"openai"`` (the core that
            the compatible servers share), a pydantic model class of your own, or None for no check.
        volatile: selectors of places of which only the type counts, and ``"ids"`` and ``"times"``: what is one by its
            name or its form, in JSON of which nothing else is known.

    Raises:
        SettingsError: for a bad value; the message names it and lists the valid ones.
        SelectorError: for a text that is not a selector.
    """

    fail_on: FailOn | str = Level.CONTENT
    ignore: Iterable[str | Selector] = ()
    tolerances: Mapping[str | Selector, Number | str | Tolerance] = field(default_factory=dict, hash=False)
    text: Mapping[str | Selector, TextRuleInput | TextRule] = field(default_factory=dict, hash=False)
    contract: str | type[Any] | None = "openai"
    volatile: Iterable[str | Selector] = ()

    def __post_init__(self) -> None:
        checked = {
            "fail_on": read_fail_on(self.fail_on),
            "ignore": _read_selectors("ignore", self.ignore),
            "volatile": _read_selectors("volatile", self.volatile, VOLATILE_RULES),
            "tolerances": _read_table("tolerances", self.tolerances, Tolerance.parse),
            "text": _read_table("text", self.text, TextRule.parse),
            "contract": _read_contract(self.contract),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Policy:
        """Returns the policy that a table of settings stands for.

        Raises:
            SettingsError: for an unknown name or a bad value; the message lists the valid ones.
            SelectorError: for a text that is not a selector.
        """
        if not isinstance(values, Mapping):
            raise SettingsError(f"a policy is a table of settings, not {values!r:.60}")
        for name in values:
            if name not in cls.__dataclass_fields__:
                valid = ", ".join(each.name for each in fields(cls))
                raise SettingsError(f"a policy has no {name!r:.60}; it has {valid}")
        return cls(**values)

    @property
    def selectors(self) -> frozenset[str]:
        """Every selector of this policy, as it was written."""
        written = (*self.ignore, *self.volatile, *self.tolerances, *self.text)
        return frozenset(it.text for it in written if isinstance(it, Selector))


def _read_selectors(name: str, value: object, rules: tuple[str, ...] = ()) -> tuple[Selector | str, ...]:
    if isinstance(value, str | Selector):
        value = (value,)
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes):
        raise SettingsError(f"{name}: {value!r:.60} is not a list of selectors")
    return tuple(each if each in rules else _read_selector(each) for each in value)


def _read_selector(value: object) -> Selector:
    return value if isinstance(value, Selector) else Selector.parse(value)  # type: ignore[arg-type]  # it refuses others


def _read_table(name: str, value: object, read: Callable[[object], Read]) -> dict[Selector, Read]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{name}: {value!r:.60} is not a table with selectors for keys")
    table = {}
    for key, given in value.items():
        selector = _read_selector(key)
        try:
            table[selector] = read(given)
        except ValueError as error:
            raise SettingsError(f"{name}, {selector}: {error}") from None
    return table


def _read_contract(value: object) -> str | type[Any] | None:
    if value is None or value in CONTRACTS:
        return value
    if isinstance(value, type) and hasattr(value, "model_validate"):
        return value
    raise SettingsError(
        f"contract: {value!r:.60} is not one of {', '.join(CONTRACTS)}, a pydantic model class, or None"
    )
