"""Open cassettes: what each holds, what was played and recorded, and whether to write it.

A `Session` is the only mutable state. The interception asks it for answers and gives it responses; closing it
returns a frozen `Outcome`. `current` finds the session that a request belongs to, `use_cassette` opens one. Names are
imported when they are first used, since a pytest run names itself as the `Host` at its start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import importer
from .host import Host, set_host

if TYPE_CHECKING:
    from .cassette import Session
    from .exchange import Filters
    from .outcome import Outcome
    from .routing import current, leave, running, use_cassette

__all__ = ["Filters", "Host", "Outcome", "Session", "current", "leave", "running", "set_host", "use_cassette"]

__getattr__ = importer(
    __name__,
    {
        "cassette": ("Session",),
        "exchange": ("Filters",),
        "outcome": ("Outcome",),
        "routing": ("current", "leave", "running", "use_cassette"),
    },
)
