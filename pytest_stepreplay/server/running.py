"""The server as an object: it listens from `start` to `stop`, in a thread with an event loop of its own.

Cassettes are added and removed while it runs. Whoever stops it closes their sessions.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from aiohttp import web

from ..errors import StepReplayError
from ..interception.exchanges import left_alone
from ..session.threads import start_for_nobody
from .application import Application

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, Self, TypeVar

    from .served import LoggedRequest, Served

    Result = TypeVar("Result")

GRACE: Final = 10.0
"""Seconds that a server which is stopped waits for the requests that are under way."""

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "host.docker.internal", ""})
_REMEMBERED: Final = 100
_IPV4: Final = 4
_log: Final = logging.getLogger("pytest_stepreplay.server")
_log.addHandler(logging.NullHandler())
_log.propagate = False


class ReplayServer:
    """An HTTP server for cassettes, used in a ``with`` block."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, *, log: Callable[[LoggedRequest], None] | None = None
    ) -> None:
        """Listens to nothing yet.

        Args:
            host: the address to listen at; one of this machine alone unless something else is said.
            port: 0 for any that is free.
            log: is told of each request, in the server's thread.
        """
        self._host = host
        self._port = port
        self._application = Application(log)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.ServerRunner | None = None
        self._thread: threading.Thread | None = None
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """``http://HOST:PORT``; where it listens at all addresses of this machine, with the one to ask from here."""
        host = self._host
        with suppress(ValueError):
            address = ip_address(host)
            if address.is_unspecified:
                host = "127.0.0.1" if address.version == _IPV4 else "::1"
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Begins to listen.

        Raises:
            StepReplayError: the port is taken, or the address is none of this machine's.
        """
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="stepreplay", daemon=True)
        start_for_nobody(self._thread)
        if is_this_machine_alone(self._host):
            self._application.names = _LOOPBACK_NAMES | {self._host.lower()}
        try:
            self.run(self._listen())
        except OSError as error:
            self._end_loop()
            why = error.strerror or str(error)
            raise StepReplayError(
                f"cannot listen at port {self._port} of {self._host}: {why}. Name another --port, or 0 for a free one"
            ) from None
        for name in {self._host, "localhost", "127.0.0.1"}:
            self._stack.enter_context(left_alone(f"{name}:{self._port}"))
        return self

    def stop(self, grace: float = GRACE) -> None:
        """Listens no more, and ends once nothing is under way, or after `grace` seconds."""
        if self._loop is None:
            return
        self.run(self._close(grace))
        self._stack.close()
        self._end_loop()

    def add(self, served: Served, token: str | None = None) -> str:
        """Serves a cassette from now on, and returns the token that its URLs begin with.

        Args:
            served: the cassette.
            token: ``""`` for none; by default one that nobody guesses.
        """
        token = secrets.token_urlsafe(16) if token is None else token
        known = self._application.served
        if len(known) >= _REMEMBERED:  # for those, it is still said that their test has ended
            over = next((each for each, old in known.items() if old.session and old.session.closed), None)
            if over is not None:
                del known[over]
        known[token] = served
        return token

    def remove(self, token: str) -> None:
        """Serves a cassette no more."""
        self._application.served.pop(token, None)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Returns what a coroutine returns that runs in the server's event loop."""
        assert self._loop is not None  # noqa: S101 - a server that was not started has nothing to run in
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    async def _listen(self) -> None:
        server = web.Server(
            self._application.handle,
            handler_cancellation=True,
            access_log=None,
            logger=_log,
            keepalive_timeout=600,
            lingering_time=2,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=GRACE)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=1024)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]

    async def _close(self, grace: float) -> None:
        if self._runner is not None:
            for site in [*self._runner.sites]:
                await site.stop()
            for served in [*self._application.served.values()]:
                await served.until_idle(grace)
                if served.autosave is not None:
                    await served.autosave.end()
            self._runner._shutdown_timeout = 0  # they were waited for
            await self._runner.cleanup()
        await self._application.close()

    def _end_loop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def is_this_machine_alone(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
