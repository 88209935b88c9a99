"""Open cassettes: what each holds, what was played and recorded, and whether to write it.

A `Session` is the only mutable state. The interception asks it for answers and gives it responses; closing it
returns a frozen `Outcome`. `current` finds the session that a request belongs to, `use_cassette` opens one. Names are
imported when they are first used, since a pytest run names itself as the `Host` at its start.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .host import Host, set_host

if TYPE_CHECKING:
    from .cassette import Session
    from .exchange import Filters
    from .outcome import Outcome
    from .routing import current, leave, running, use_cassette

_MODULE_OF = {
    "Filters": "exchange",
    "Outcome": "outcome",
    "Session": "cassette",
    "current": "routing",
    "leave": "routing",
    "running": "routing",
    "use_cassette": "routing",
}

__all__ = ["Filters", "Host", "Outcome", "Session", "current", "leave", "running", "set_host", "use_cassette"]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
