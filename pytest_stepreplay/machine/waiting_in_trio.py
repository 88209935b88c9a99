"""Waiting in trio. Whichever client knows trio is built on anyio, and nobody else needs it."""

from __future__ import annotations

import anyio
import anyio.to_thread

from . import clock


async def sleep(duration: float) -> None:
    """Waits for so many seconds."""
    if clock.is_replaced():
        await anyio.to_thread.run_sync(clock.sleep, duration, abandon_on_cancel=True)
    else:
        await anyio.sleep(duration)
