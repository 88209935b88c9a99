"""The network kept away from one session: while its test replays, and from its threads that go on afterwards.

The settings go in; what was tried and refused comes out. A session that does not replay has nothing to refuse.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..network import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..settings import Settings


class Guard:
    """One session's guard, and what it has refused."""

    def __init__(self) -> None:
        self._log: guard.Log | None = None
        self._late: guard.Log | None = None

    @property
    def blocked(self) -> tuple[str, ...]:
        """What was tried while the session was open."""
        return tuple(map(str, self._log.attempts)) if self._log else ()

    @property
    def blocked_late(self) -> tuple[str, ...]:
        """What its threads tried afterwards."""
        return tuple(map(str, self._late.attempts)) if self._late else ()

    @contextmanager
    def during(self, settings: Settings) -> Iterator[None]:
        """Keeps the network away in replay, and in no other mode."""
        if not settings.mode.guards or settings.block_network == "never":
            with guard.opened():  # another guard may be around it
                yield
            return
        with guard.blocked(_hosts(settings)) as self._log:
            yield

    @contextmanager
    def afterwards(self, settings: Settings, name: str, applies: Callable[[], bool]) -> Iterator[None]:
        """Keeps the network away from threads that go on after the test, if it was kept away before.

        Args:
            settings: the session's.
            name: of the session.
            applies: whether the running thread is one of them.
        """
        if self._log is None:
            yield
            return
        why = f"this thread was started by {name}, which replayed a cassette and has ended,"
        with guard.blocked(_hosts(settings), why=why, applies=applies) as self._late:
            yield


def _hosts(settings: Settings) -> tuple[str, ...]:
    return (*settings.allowed_hosts, *settings.ignore_hosts)
