"""Open cassettes: what each holds, what was played and recorded, and whether to write it.

A `Session` is the only mutable state. The interception asks it for answers and gives it responses; closing it
returns a frozen `Outcome`. `current` finds the session that a request belongs to, `use_cassette` opens one. Names are
imported when they are first used, since a pytest run names itself as the `Host` at its start.
"""

__all__ = [
    "event_loops",
    "exchange",
    "faulting",
    "host",
    "merging",
    "outcome",
    "routing",
    "sessions",
    "threads",
]
