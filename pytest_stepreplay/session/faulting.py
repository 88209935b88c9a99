"""The faults of a test: what is to go wrong with its next requests, and what went wrong with those before."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..errors import SettingsError
from ..interception.pauses import PauseClock
from ..settings.faults import NO_FAULT, read_faults

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..settings.faults import Fault


class RequestFaults:
    """What the fixture `stepreplay_faults` gives: call it with faults for the next requests, one for each in turn.

    Attributes:
        requests: what came of each request since, in order: a status, or how the connection was lost; behind it,
            in brackets, the fault of an answer that came.
        clock: on which stalled and slow answers take their time.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._next = deque(faults)
        self.requests: list[str] = []
        self.positions: set[int] = set()
        self.clock = PauseClock()

    def __call__(self, *faults: str) -> None:
        """Names a fault for each of the next requests; ``ok`` for none.

        Raises:
            SettingsError: for a name that is none; the message lists them.
        """
        try:
            self._next.extend(read_faults([*faults]))
        except ValueError as error:
            raise SettingsError(f"stepreplay_faults: {error}") from None

    def advance(self, seconds: float) -> None:
        """Moves the clock on: what would come within so many seconds is there."""
        self.clock.advance(seconds)

    def take(self) -> Fault | None:
        """Returns what is to go wrong with the next request; None for nothing."""
        fault = self._next.popleft() if self._next else None
        return None if fault is None or fault.name == NO_FAULT else fault

    def note(self, position: int, told: str) -> None:
        """Takes what a request came to, and which recorded interaction would have answered it."""
        self.positions.add(position)
        self.requests.append(told)
