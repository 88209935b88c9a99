"""One cassette that a server answers from: its session, the upstreams it stands for, and what was asked of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from ..errors import display_path
from ..value_classes import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..session.sessions import Session
    from .autosave import Autosave
    from .upstreams import NamedUpstream

_VERSION: Final = version("pytest-stepreplay")  # read from the disk, where no event loop waits
_MAY_BE_RECORDED: Final = frozenset({"sent", "left by the client"})
_MOST_MISSES: Final = 100
"""How many misses a status tells in full."""
_NOTHING: Final[dict[str, Any]] = {
    "cassette": None,
    "mode": None,
    "test": None,
    "total": 0,
    "played": {},
    "unplayed": [],
    "recorded": 0,
    "unanswered": [],
    "missed": 0,
    "misses": [],
}
"""What there is to tell where no cassette is open."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request that was answered, for a log. It holds nothing of the body, the headers or the query.

    Attributes:
        method: of the request.
        path: of the request, without the token.
        status: of the answer.
        how: ``played``, ``sent``, ``missed`` or ``refused``.
        interaction: the number of the recorded interaction that answered, from 1.
        seconds: until the answer was whole.
    """

    method: str
    path: str
    status: int
    how: str
    interaction: int | None
    seconds: float


@dataclass(eq=False)
class Served:
    """A cassette that a server answers from.

    Attributes:
        session: the open cassette; None where none is chosen yet.
        upstreams: what may be asked.
        switch: opens another cassette, as a mapping says; None where the owner of the session is a test.
        keeps_order: the session's owner wants to know in which order was played what.
        origins: the web pages that may ask, ``*`` for all.
        waiting: why nothing is answered, as long as no cassette is chosen.
        autosave: saves what is recorded; None where the session's owner does so at its end.
    """

    session: Session | None
    upstreams: tuple[NamedUpstream, ...]
    switch: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]] | None = None
    keeps_order: bool = True
    origins: tuple[str, ...] = ()
    waiting: str = ""
    autosave: Autosave | None = None
    under_way: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    idle: asyncio.Event | None = None

    def begin(self) -> None:
        """Counts a request that has come."""
        self.under_way += 1

    def end(self, how: str) -> None:
        """Counts what became of it."""
        self.under_way -= 1
        self.counts[how] += 1
        if self.idle is not None and not self.under_way:
            self.idle.set()
        if self.autosave is not None and how in _MAY_BE_RECORDED:
            self.autosave.note()

    async def until_idle(self, seconds: float) -> None:
        """Waits until no request is under way, but not longer than so many seconds."""
        if self.under_way:
            self.idle = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.idle.wait(), seconds)
            self.idle = None

    def status(self) -> dict[str, Any]:
        """Returns what was played and missed so far, as JSON values."""
        told: dict[str, Any] = {
            "stepreplay": _VERSION,
            "upstreams": {each.name: each.url for each in self.upstreams},
            "requests": dict(self.counts),
        }
        if self.session is None:
            return told | _NOTHING | {"waiting": self.waiting}
        return told | session_status(self.session)


def session_status(session: Session) -> dict[str, Any]:
    """Returns what a session has played, recorded and missed so far, as JSON values."""
    plays = session.plays
    misses = [{"explanation": each.explanation.text} for each in session.failures]
    return {
        "cassette": display_path(session.path),
        "mode": session.mode,
        "test": session.test or None,
        "total": session.total,
        "played": {str(position + 1): times for position, times in sorted(plays.items())},
        "unplayed": [each + 1 for each in range(session.total) if each not in plays],
        "recorded": len(session.recorded),
        "unanswered": [each.why for each in session.unsent],
        "missed": len(misses),
        "misses": misses[:_MOST_MISSES],
    }
