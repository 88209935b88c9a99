"""The pytest run around the sessions, if there is one: what it was set to, and who wants to hear of outcomes.

The run names itself at its start, before it is known whether it opens a cassette, so nothing heavy is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..settings import Settings
    from .outcome import Outcome


@dataclass(frozen=True, slots=True)
class Host:
    """A run of tests.

    Attributes:
        settings: returns what is set for the test that runs now.
        report: takes what became of a cassette that the run did not open itself; called in any thread.
        test: returns the id of the test that runs now; empty between tests.
    """

    settings: Callable[[], Settings]
    report: Callable[[Outcome], None]
    test: Callable[[], str] = str


_host: Host | None = None


def set_host(host: Host | None) -> Host | None:
    """Names the run that sessions opened from here on belong to, and returns the one before it."""
    global _host
    before, _host = _host, host
    return before


def host() -> Host | None:
    """Returns the run that sessions belong to; None outside of pytest."""
    return _host
