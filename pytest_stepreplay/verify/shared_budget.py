"""A budget that several machines share: what all of them have sent together is kept where all of them can reach it.

It is one small document in a store that replaces it only where nobody else has in the meantime. Who wants to send
reads it, adds a reservation by the rules of `budget.Account`, and tries to put it back. A reservation is a lease: one
that its machine does not renew, since it was killed, is over, and counts as a call that has cost all that it might.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from uuid import uuid4

from ..errors import StepReplayError
from ..value_classes import dataclass
from .budget import Account, BudgetSpentError, Reservation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from .budget import Limits, Pacer

VERSION: Final = 1
LEASE: Final = 90.0
"""Seconds for which a reservation holds that is not renewed."""
RENEWED_EVERY: Final = LEASE / 3
ASKED_AGAIN: Final = 1.0
"""Seconds between two looks at what others have under way."""
PUT_OFF: Final = 0.05
"""Seconds, twice as many each time, before a document is read again that somebody else has just replaced."""
TRIES: Final = 40


class BudgetStoreError(StepReplayError):
    """The store of a budget cannot be used; the message says why, and holds no password."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a store holds.

    Attributes:
        content: nothing where there is nothing yet.
        version: what the store knows it by.
        now: the time by the store's own clock, in seconds since 1970.
    """

    content: bytes
    version: Any
    now: float


class Store(Protocol):
    """Keeps one document; it is open inside an ``async with`` block."""

    async def __aenter__(self) -> Self:
        """Reaches the store."""

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets it go."""

    async def read(self) -> Document:
        """Returns the document.

        Raises:
            BudgetStoreError: it cannot be read.
        """

    async def replace(self, document: Document, content: bytes) -> bool:
        """Puts content in the place of a document, unless somebody else has done that; returns whether it did.

        Raises:
            BudgetStoreError: it cannot be written.
        """


class _SharedAccount:
    """The document, read: an account, with whose the reservations are."""

    def __init__(self, document: Document, limits: Limits, where: str) -> None:
        try:
            tree: dict[str, Any] = json.loads(document.content or b"{}")
            is_ours = not document.content or tree.get("stepreplay_budget") == VERSION
            self.open = {
                name: (float(until), int(tokens)) for name, (until, tokens) in tree.get("open", {}).items()
            }
            self.account = Account(
                limits,
                recent=[(float(at), int(tokens)) for at, tokens in tree.get("recent", [])],
                calls=int(tree.get("calls", 0)),
                tokens=int(tree.get("tokens", 0)),
            )
        except (ValueError, TypeError, AttributeError):
            is_ours = False
        if not is_ours:
            raise BudgetStoreError(f"--budget: {where} holds something else than a budget")
        self.account.reserved = [tokens for _, tokens in self.open.values()]
        for name, (until, tokens) in [*self.open.items()]:
            if until <= document.now:  # its machine may have sent it before it was killed
                self.close(name, tokens, until)

    def close(self, name: str, tokens: int, now: float) -> None:
        """Notes what a call has cost. One whose lease was over has been counted with all that it might cost."""
        if name in self.open:
            self.account.settle(self.open.pop(name)[1], tokens, now)

    def content(self, now: float) -> bytes:
        """Returns the document to put in its place."""
        self.account.forget(now)
        return json.dumps(
            {
                "stepreplay_budget": VERSION,
                "calls": self.account.calls,
                "tokens": self.account.tokens,
                "recent": sorted(self.account.recent),
                "open": self.open,
            }
        ).encode()


class SharedBudget:
    """The part of one machine in a shared budget; it is open inside an ``async with`` block."""

    def __init__(
        self, limits: Limits, pacer: Pacer, store: Store, where: str, before: Iterable[tuple[float, int]] = ()
    ) -> None:
        """Reaches nothing yet.

        Args:
            limits: how much all may send together.
            pacer: this machine's clock.
            store: keeps what all have sent.
            where: it is, in words without a password.
            before: the calls of an earlier run here that is gone on with; the store has them already.
        """
        before = list(before)
        self._limits = limits
        self._pacer = pacer
        self._store = store
        self._where = where
        self._one_at_a_time = asyncio.Lock()
        self._own: set[str] = set()
        self._renewing: asyncio.Task[None] | None = None
        self.calls = len(before)
        self.tokens = sum(tokens for _, tokens in before)

    async def __aenter__(self) -> Self:
        await self._store.__aenter__()
        try:
            await self._change(lambda *_: 0)
        except BaseException:
            await self._store.__aexit__(None, None, None)
            raise
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()

        def end(shared: _SharedAccount, now: float) -> float:
            for name in self._own & shared.open.keys():  # they may have been answered
                shared.close(name, shared.open[name][1], now)
            return 0

        if self._own:
            with suppress(BudgetStoreError):
                await self._change(end)
        await self._store.__aexit__(kind, value, trace)

    async def reserve(self, tokens: int) -> Reservation:
        """Waits until a call may be sent, as in `Leave`."""
        while True:
            name = uuid4().hex
            try:
                wait = await self._change(lambda shared, now: self._let_go(shared, now, name, tokens))  # noqa: B023 - it is done at once
            except BudgetStoreError as error:
                raise BudgetSpentError(str(error)) from None
            if wait == 0:
                self._own.add(name)
                self.calls += 1
                return Reservation(tokens, name)
            # Who waits for others is not woken by them.
            await self._pacer.wait(ASKED_AGAIN if wait is None else wait + random.uniform(0, 0.1))  # noqa: S311 - no secret

    @staticmethod
    def _let_go(shared: _SharedAccount, now: float, name: str, tokens: int) -> float | None:
        wait = shared.account.let_go(tokens, now)
        if wait == 0:
            shared.open[name] = now + LEASE, tokens
        return wait

    async def give_back(self, reservation: Reservation) -> None:
        """Takes leave back that was not used."""

        def give_back(shared: _SharedAccount, _: float) -> float:
            if shared.open.pop(reservation.name, None):
                shared.account.give_back(reservation.tokens)
            return 0

        self.calls -= 1
        await self._finish(reservation, give_back)

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        """Says what a call has cost, once its answer is there."""
        self.tokens += tokens

        def settle(shared: _SharedAccount, now: float) -> float:
            shared.close(reservation.name, tokens, now)
            return 0

        await self._finish(reservation, settle)

    async def _finish(
        self, reservation: Reservation, change: Callable[[_SharedAccount, float], float]
    ) -> None:
        self._own.discard(reservation.name)
        # If that fails, the lease ends by itself, and the call has cost all that it might.
        with suppress(BudgetStoreError):
            await self._change(change)
        self._pacer.wake()

    async def _renew(self) -> None:
        def renew(shared: _SharedAccount, now: float) -> float:
            for name in self._own & shared.open.keys():
                shared.open[name] = now + LEASE, shared.open[name][1]
            return 0

        while True:
            until = self._pacer.now() + RENEWED_EVERY
            while self._pacer.now() < until:
                await self._pacer.wait(until - self._pacer.now())
            with suppress(BudgetStoreError):  # who wants to send next is told
                await self._change(renew)

    async def _change(self, change: Callable[[_SharedAccount, float], float | None]) -> float | None:
        """Changes the document, again where somebody else was faster.

        Returns:
            What the change does; with anything but 0, nothing is changed.
        """
        async with self._one_at_a_time:
            for number in range(TRIES):
                document = await self._store.read()
                shared = _SharedAccount(document, self._limits, self._where)
                found = change(shared, document.now)
                if found != 0:  # it has to wait
                    return found
                content = shared.content(document.now)
                if content == document.content or await self._store.replace(document, content):
                    return found
                await self._pacer.wait(random.uniform(0, min(PUT_OFF * 2**number, 2.0)))  # noqa: S311 - no secret
        raise BudgetStoreError(f"--budget: {self._where} was changed by others {TRIES} times in a row")
