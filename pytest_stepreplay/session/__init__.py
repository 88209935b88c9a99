"""Open cassettes: what each holds, what was played and recorded, and whether to write it.

A `Session` is the only mutable state. The interception asks it for answers and gives it responses; closing it
returns a frozen `Outcome`. `current` finds the session that a request belongs to, `use_cassette` opens one.
"""

from .cassette import Outcome, Session
from .routing import Host, current, running, set_host, use_cassette

__all__ = ["Host", "Outcome", "Session", "current", "running", "set_host", "use_cassette"]
