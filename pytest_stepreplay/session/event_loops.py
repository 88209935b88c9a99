"""Work that takes time, done beside an event loop: to read or write a cassette must not keep other tasks waiting."""

from __future__ import annotations

import asyncio
import sys
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Result = TypeVar("_Result")


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """Returns what the work returns, done in a thread of its own while the tasks of this event loop go on.

    Once it has begun it is waited for, also by a task that is cancelled: half of it is never left behind. Under any
    other library than asyncio and trio it is done at once.
    """
    trio: Any = sys.modules.get("trio")
    if trio is not None and _runs_trio(trio):
        with trio.CancelScope(shield=True):
            done: _Result = await trio.to_thread.run_sync(work)
            return done
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return work()
    future = loop.run_in_executor(None, copy_context().run, work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    result = future.result()
    if cancelled is not None:
        raise cancelled
    return result


def _runs_trio(trio: Any) -> bool:
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True
