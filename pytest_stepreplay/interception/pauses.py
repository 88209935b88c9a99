"""Pauses that a client has to bear without anybody waiting: they pass on a clock of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..value_classes import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..models import StreamError
    from ..wire.chunks import Chunk


class PauseClock:
    """A clock that a test moves on, and that moves on by itself where a client would wait.

    Attributes:
        now: the seconds that have passed on it.
    """

    def __init__(self) -> None:
        self.now = 0.0

    def advance(self, seconds: float) -> None:
        """Lets so many seconds pass at once."""
        self.now += max(0.0, seconds)


@dataclass(frozen=True)
class Disturbance:
    """What goes wrong on the way of a stored response.

    Attributes:
        lost: with what the connection is lost before anything comes; None where it is not.
        pauses: the seconds before each chunk; of a plain answer, before all of it.
        clock: on which they pass.
    """

    lost: StreamError | None = None
    pauses: tuple[float, ...] = ()
    clock: PauseClock = field(default_factory=PauseClock)


class PausedChunks:
    """Chunks with pauses before them: a client that waits less long for the next one sees nothing more."""

    def __init__(self, chunks: list[Chunk], disturbance: Disturbance, give_up: Callable[[], None]) -> None:
        """Takes the chunks.

        Args:
            chunks: all of them.
            disturbance: the pauses, and their clock.
            give_up: is called where the client waits no longer.
        """
        self.patience: float | None = None
        self.waits_really = False
        self.left = 0.0
        self._chunks = chunks
        self._disturbance = disturbance
        self._give_up = give_up

    def __iter__(self) -> Iterator[Chunk]:
        clock, pauses = self._disturbance.clock, self._disturbance.pauses
        start = clock.now
        for place, chunk in enumerate(self._chunks):
            pause = pauses[place] if place < len(pauses) else 0.0
            self.left = max(0.0, pause - (clock.now - start)) if pause else 0.0
            if self.left and not self.waits_really:
                if bear(self.left, self.patience, clock):
                    self._give_up()
                    return
                self.left = 0.0
            start = clock.now
            yield chunk


def bear(pause: float, patience: float | None, clock: PauseClock) -> bool:
    """Lets a pause pass on the clock, and returns whether a client of this patience gives up before it is over."""
    gives_up = patience is not None and patience <= pause
    clock.advance(patience if gives_up and patience is not None else pause)
    return gives_up
