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
        name: of its own, where others have some too.
    """

    tokens: int
    name: str = ""


class Leave(Protocol):
    """Gives calls leave to be sent, each once there is room for it."""

    @property
    def calls(self) -> int:
        """How many have been sent from here."""

    @property
    def tokens(self) -> int:
        """What those have cost that are over."""

    async def reserve(self, tokens: int) -> Reservation:
        """Waits until a call may be sent.

        Args:
            tokens: the most that it may cost.

        Raises:
            BudgetSpentError: it never may.
        """

    async def give_back(self, reservation: Reservation) -> None:
        """Takes leave back that was not used: nothing has come to a server."""

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        """Says what a call has cost, once its answer is there."""


class Account:
    """What has been sent, and what is under way.

    Attributes:
        calls: how many have been let go in all.
        tokens: that those have cost that are over.
        recent: when each call of the last minute was over, and its tokens.
        reserved: the most that the calls under way may cost.
    """

    def __init__(
        self, limits: Limits, *, recent: Iterable[tuple[float, int]] = (), calls: int = 0, tokens: int = 0
    ) -> None:
        self._limits = limits
        self.recent = deque(sorted(recent))
        self.reserved: list[int] = []
        self.calls = calls
        self.tokens = tokens

    def let_go(self, tokens: int, now: float) -> float | None:
        """Lets a call go, and returns 0; or how long it has to wait; None where that depends on calls under way.

        Args:
            tokens: the most that it may cost.
            now: the time.

        Raises:
            BudgetSpentError: it never may.
        """
        limits, reserved = self._limits, sum(self.reserved)
        self.forget(now)
        if limits.calls is not None and self.calls >= limits.calls:
            raise BudgetSpentError(f"--max-calls {limits.calls:,} is reached")
        if limits.tokens is not None and self.tokens + reserved + tokens > limits.tokens:
            if self.reserved:  # they may cost less than they could
                return None
            left = max(limits.tokens - self.tokens, 0)
            raise BudgetSpentError(
                f"it may cost {tokens:,} tokens, and {left:,} of --max-tokens {limits.tokens:,} are left"
            )
        if limits.tokens_a_minute is not None and tokens > limits.tokens_a_minute:
            raise BudgetSpentError(
                f"it may cost {tokens:,} tokens, more than --tpm {limits.tokens_a_minute:,}"
            )
        calls = [1] * len(self.recent)
        waits = [
            self._wait_for(1, limits.calls_a_minute, calls, len(self.reserved), now),
            self._wait_for(tokens, limits.tokens_a_minute, [each for _, each in self.recent], reserved, now),
        ]
        if any(wait is None for wait in waits):
            return None
        longest = max(wait for wait in waits if wait is not None)
        if longest <= 0:
            self.reserved.append(tokens)
            self.calls += 1
        return longest

    def forget(self, now: float) -> None:
        """Drops what was over more than a minute ago."""
        while self.recent and self.recent[0][0] + MINUTE <= now:
            self.recent.popleft()

    def give_back(self, reserved: int) -> None:
        """Takes back a call that nobody has got."""
        self.reserved.remove(reserved)
        self.calls -= 1

    def settle(self, reserved: int, tokens: int, now: float) -> None:
        """Notes that a call is over, and what it has cost."""
        self.reserved.remove(reserved)
        self.tokens += tokens
        self.recent.append((now, tokens))

    def _wait_for(
        self, wanted: int, limit: int | None, recent: list[int], reserved: int, now: float
    ) -> float | None:
        """Returns the seconds until there is room; None where calls under way must be answered first."""
        if limit is None:
            return 0.0
        over = sum(recent) + reserved + wanted - limit
        if over <= 0:
            return 0.0
        for (answered, _), amount in zip(self.recent, recent, strict=True):
            over -= amount
            if over <= 0:
                return max(answered + MINUTE - now, 0.001)
        return None


class Budget:
    """The budget of one run alone."""

    def __init__(self, limits: Limits, pacer: Pacer, before: Iterable[tuple[float, int]] = ()) -> None:
        """Begins with what an earlier run that is gone on with has sent.

        Args:
            limits: how much may be sent.
            pacer: the clock.
            before: the calls of the earlier run: when each was over, and its tokens.
        """
        before = list(before)
        self._pacer = pacer
        self._account = Account(
            limits, recent=before, calls=len(before), tokens=sum(tokens for _, tokens in before)
        )

    @property
    def calls(self) -> int:
        """How many have been sent."""
        return self._account.calls

    @property
    def tokens(self) -> int:
        """What those have cost that are over."""
        return self._account.tokens

    @property
    def under_way(self) -> int:
        """How many calls have been let go, and have no answer yet."""
        return len(self._account.reserved)

    async def reserve(self, tokens: int) -> Reservation:
        """Waits until a call may be sent, as in `Leave`."""
        while True:
            wait = self._account.let_go(tokens, self._pacer.now())
            if wait == 0:
                return Reservation(tokens)
            await self._pacer.wait(wait)

    async def give_back(self, reservation: Reservation) -> None:
        """Takes leave back that was not used."""
        self._account.give_back(reservation.tokens)
        self._pacer.wake()

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        """Says what a call has cost, once its answer is there."""
        self._account.settle(reservation.tokens, tokens, self._pacer.now())
        self._pacer.wake()
