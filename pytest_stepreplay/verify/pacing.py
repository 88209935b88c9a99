"""The real clock of a run that sends requests: what time it is, and waiting in an event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from ..machine import clock

if TYPE_CHECKING:
    from collections.abc import Callable


class ClockPacer:
    """Waits by the real clock. Its seconds count from 1970, so that a journal can hold them."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def now(self) -> float:
        """Returns the time, in seconds since 1970."""
        return clock.now().timestamp()

    async def wait(self, duration: float | None) -> None:
        """Waits so many seconds, or until `wake` is called; with None, for that alone."""
        with suppress(TimeoutError):
            async with asyncio.timeout(duration):
                await self._changed.wait()

    def wake(self) -> None:
        """Ends all waiting: something has changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def apart(self, work: Callable[[], None]) -> None:
        """Does what blocks, while other tasks go on."""
        await asyncio.to_thread(work)
