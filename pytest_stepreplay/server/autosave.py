"""What a server has recorded goes into its file at once: one that is killed loses no more than what is under way.

A save takes a thread and not the event loop's time. A large cassette takes long to write, so it is not written for
each request: nine tenths of the time, none is saved.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..errors import StepReplayError
from ..machine import clock, waiting
from ..session.event_loops import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

_REST: Final = 9
"""How many times as long as the last save took none follows."""


class Autosave:
    """Saves soon after something was recorded, in the server's event loop."""

    def __init__(self, save: Callable[[], None], say: Callable[[str], None]) -> None:
        """Saves nothing yet.

        Args:
            save: saves what was recorded so far; called in a thread.
            say: is told why that could not be done, once for each reason in a row.
        """
        self._save = save
        self._say = say
        self._said = ""
        self._changed = False
        self._task: asyncio.Task[None] | None = None

    def note(self) -> None:
        """Notes that something may have been recorded."""
        self._changed = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def end(self) -> None:
        """Saves no more; a save that has begun is waited for."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while self._changed:
            self._changed = False
            started, said = clock.seconds(), ""
            try:
                await in_thread(self._save)
            except StepReplayError as error:
                said = str(error)
            if said and said != self._said:
                self._say(said)
            self._said = said
            await waiting.sleep((clock.seconds() - started) * _REST)
