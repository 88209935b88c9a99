"""Decides which recorded interaction answers a request, and says what differs where none does.

`Matcher` turns a request into its key and `Index` finds the recorded requests with that key, at a cost that
does not grow with the cassette. `nearest` explains a miss, and is imported for one. What was played is the session's
business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import importer
from .keys import Index, Matcher, is_plainly_same

if TYPE_CHECKING:
    from .contrast import Difference, differences
    from .nearness import Nearest, nearest, telling_words
    from .quoting import find_quoting

__all__ = [
    "Difference",
    "Index",
    "Matcher",
    "Nearest",
    "differences",
    "find_quoting",
    "is_plainly_same",
    "nearest",
    "telling_words",
]

__getattr__ = importer(
    __name__,
    {
        "contrast": ("Difference", "differences"),
        "quoting": ("find_quoting",),
        "nearness": ("Nearest", "nearest", "telling_words"),
    },
)
