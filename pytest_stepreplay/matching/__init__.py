"""Decides which recorded interaction answers a request, and says what differs where none does.

`Matcher` turns a request into its key and `Index` finds the recorded requests with that key, at a cost that
does not grow with the cassette. `nearest` explains a miss. What was played is the session's business.
"""

from __future__ import annotations

from .differences import Difference, differences
from .keys import Index, Matcher, continues
from .nearest import Nearest, nearest, telling_word

__all__ = [
    "Difference",
    "Index",
    "Matcher",
    "Nearest",
    "continues",
    "differences",
    "nearest",
    "telling_word",
]
