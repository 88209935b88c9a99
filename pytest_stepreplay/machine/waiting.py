"""Waiting in an event loop, also where a test has frozen or mocked its clock."""

from __future__ import annotations

import asyncio

from . import clock, waiting_in_trio


async def sleep(duration: float) -> None:
    """Waits for so many seconds in an event loop, asyncio's or trio's, also where its clock stands still."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        await waiting_in_trio.sleep(duration)
        return
    if clock.is_replaced():
        await loop.run_in_executor(None, clock.sleep, duration)
        return
    over = asyncio.Event()
    timer = loop.call_later(duration, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()
