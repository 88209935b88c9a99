"""What may be sent, and when: calls and tokens a minute, and of a whole run. Nothing is ever sent beyond it.

Each call reserves its place, and the most tokens that it may cost, before it is sent, so that many workers cannot go
over a limit together. A place is free again a minute after the answer has come, and not after the request was sent:
in no minute of the server's own can there be more calls than the limit, however long each was on its way.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be sent; None for no limit.

    Attributes:
        calls_a_minute: in any minute.
        tokens_a_minute: in any minute.
        calls: in the whole run.
        tokens: in the whole run.
    """

    calls_a_minute: int | None = None
    tokens_a_minute: int | None = None
    calls: int | None = None
    tokens: int | None = None


class Pacer(Protocol):
    """What time it is, and how to wait; tests have one of their own."""

    def now(self) -> float:
        """Returns a count of seconds that goes on from run to run."""

    async def wait(self, duration: float | None) -> None:
        """Waits so many seconds, or until `wake` is called; with None, for that alone."""

    def wake(self) -> None:
        """Ends all waiting: something has changed."""

    async def apart(self, work: Callable[[], None]) -> None:
        """Does what blocks, while other tasks go on."""


class BudgetSpentError(Exception):
    """A call cannot be sent within the limits, however long one waits; the message says why."""


@dataclass(slots=True, eq=False)
class Reservation:
    """A call that may be sent.

    Attributes:
        tokens: that it may cost.
    """

    tokens: int


class Budget:
    """Gives calls leave to be sent, each once there is room for it."""

    def __init__(self, limits: Limits, pacer: Pacer, before: Iterable[tuple[float, int]] = ()) -> None:
        """Begins with what an earlier run that is gone on with has sent.

        Args:
            limits: how much may be sent.
            pacer: the clock.
            before: the calls of the earlier run: when each was over, and its tokens.
        """
        self._limits = limits
        self._pacer = pacer
        self._recent = deque(sorted(before))
        self._open: list[Reservation] = []
        self.calls = len(self._recent)
        self.tokens = sum(tokens for _, tokens in self._recent)

    @property
    def under_way(self) -> int:
        """How many calls have been let go, and have no answer yet."""
        return len(self._open)

    async def reserve(self, tokens: int) -> Reservation:
        """Waits until a call may be sent.

        Args:
            tokens: the most that it may cost.

        Raises:
            BudgetSpentError: it never may.
        """
        while True:
            granted = self._try(tokens)
            if isinstance(granted, Reservation):
                return granted
            await self._pacer.wait(granted)

    def give_back(self, reservation: Reservation) -> None:
        """Takes leave back that was not used: nothing has come to a server."""
        self._open.remove(reservation)
        self.calls -= 1
        self._pacer.wake()

    def settle(self, reservation: Reservation, tokens: int) -> None:
        """Says what a call has cost, once its answer is there."""
        self._open.remove(reservation)
        self.tokens += tokens
        self._recent.append((self._pacer.now(), tokens))
        self._pacer.wake()

    def _try(self, tokens: int) -> Reservation | float | None:
        """Returns leave; or how long to wait for it; None where that depends on calls that are under way."""
        limits, reserved = self._limits, sum(each.tokens for each in self._open)
        now = self._pacer.now()
        while self._recent and self._recent[0][0] + MINUTE <= now:
            self._recent.popleft()
        if limits.calls is not None and self.calls >= limits.calls:
            raise BudgetSpentError(f"--max-calls {limits.calls:,} is reached")
        if limits.tokens is not None and self.tokens + reserved + tokens > limits.tokens:
            if self._open:  # they may cost less than they could
                return None
            left = max(limits.tokens - self.tokens, 0)
            raise BudgetSpentError(
                f"it may cost {tokens:,} tokens, and {left:,} of --max-tokens {limits.tokens:,} are left"
            )
        if limits.tokens_a_minute is not None and tokens > limits.tokens_a_minute:
            raise BudgetSpentError(
                f"it may cost {tokens:,} tokens, more than --tpm {limits.tokens_a_minute:,}"
            )
        waits = [
            self._wait_for(1, limits.calls_a_minute, [1] * len(self._recent), len(self._open)),
            self._wait_for(tokens, limits.tokens_a_minute, [each for _, each in self._recent], reserved),
        ]
        if any(wait is None for wait in waits):
            return None
        longest = max(wait for wait in waits if wait is not None)
        if longest > 0:
            return longest
        granted = Reservation(tokens)
        self._open.append(granted)
        self.calls += 1
        return granted

    def _wait_for(self, wanted: int, limit: int | None, recent: list[int], reserved: int) -> float | None:
        """Returns the seconds until there is room; None where calls under way must be answered first."""
        if limit is None:
            return 0.0
        over = sum(recent) + reserved + wanted - limit
        if over <= 0:
            return 0.0
        for (answered, _), amount in zip(self._recent, recent, strict=True):
            over -= amount
            if over <= 0:
                return max(answered + MINUTE - self._pacer.now(), 0.001)
        return None
