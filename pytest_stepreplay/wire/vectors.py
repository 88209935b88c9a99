"""Vectors, as an API writes them: a list of numbers, or the base64 of 32-bit floats. Nobody reads 3,000 numbers.

A JSON value goes in, and a `Vector` comes out, which says how long it is, how near to another one, and what it is for
a person.
"""

from __future__ import annotations

import math
from array import array
from base64 import b64decode
from binascii import Error as BrokenBase64
from typing import TYPE_CHECKING, Any, Final

from ..value_classes import dataclass
from .encoded import without_base64

if TYPE_CHECKING:
    from collections.abc import Sequence

LONG: Final = 64
"""So many numbers in a row are told as a vector, wherever they stand."""

_NUMBERS: Final = frozenset({int, float})


@dataclass(frozen=True, slots=True)
class Vector:
    """A row of numbers."""

    values: Sequence[float]

    @classmethod
    def read(cls, value: Any) -> Vector | None:
        """Returns the vector that a JSON value stands for: a list of numbers, or base64 of 32-bit floats."""
        if isinstance(value, list):
            return cls(value) if value and _NUMBERS.issuperset(map(type, value)) else None
        return cls._decoded(value) if isinstance(value, str) else None

    @classmethod
    def _decoded(cls, text: str) -> Vector | None:
        try:
            data = b64decode(text, validate=True)
        except (BrokenBase64, ValueError):
            return None
        if not data or len(data) % 4:
            return None
        values = array("f", data)
        if values.itemsize != 4:  # pragma: no cover - on no machine that runs Python today
            return None
        if _IS_BIG_ENDIAN:  # pragma: no cover - the wire is little-endian
            values.byteswap()
        return cls(values)

    @property
    def norm(self) -> float:
        """Its length, NaN where a number in it is not finite."""
        try:
            return math.hypot(*self.values)
        except OverflowError:  # an integer beyond what a float holds
            return math.inf

    @property
    def odd(self) -> list[int]:
        """Where numbers stand that are not finite: NaN and the infinities."""
        return [
            i for i, value in enumerate(self.values) if isinstance(value, float) and not math.isfinite(value)
        ]

    def cosine(self, other: Vector) -> float:
        """Returns the cosine of the angle to another vector as long; 1 between two that are all zeros."""
        one, two = self._unit(), other._unit()
        if one is None or two is None:
            return 1.0 if one is two else 0.0
        return max(-1.0, min(1.0, math.fsum(a * b for a, b in zip(one, two, strict=True))))

    def _unit(self) -> list[float] | None:
        """Returns the vector of length 1 in its direction, without what is not finite; None for one of zeros."""
        finite = [value if math.isfinite(value) else 0.0 for value in self.values]
        largest = max(map(abs, finite))
        if not largest:
            return None
        scaled = [value / largest for value in finite]  # so that no square is too large or too small
        norm = math.hypot(*scaled)
        return [value / norm for value in scaled]

    def __str__(self) -> str:
        odd = len(self.odd)
        size = f"norm {self.norm:.4f}" if not odd else f"{odd:,} of them not finite"
        return f"{len(self.values):,} dimensions, {size}"


_IS_BIG_ENDIAN: Final = array("H", b"\0\1")[0] == 1


def shorten(tree: Any) -> Any:
    """Returns a JSON tree with a few words in place of each long row of numbers or of base64; else it is shared."""
    return without_base64(tree, _told)


def _told(items: list[Any]) -> str | None:
    vector = Vector.read(items) if len(items) >= LONG else None
    return f"[{vector}]" if vector else None
