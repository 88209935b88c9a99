"""A request of httpx goes through whatever was put between its transport and the network, and comes to us behind it.

Mocks replace methods of httpx (pytest-httpx) or of httpcore (respx), before us or after us. Whatever they answer is
theirs; `Detour` gives them a pool whose connections are no connections but call us, so what they let pass is ours.
Where nothing was replaced, which `is_replaced` tells, nobody pays for that way.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, Any

from .mocks import is_own

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


class Detour:
    """The way through the mocks, for the sync or the async side of one library."""

    def __init__(self, httpx: ModuleType, core: Callable[[], Any], handle: str, real: object) -> None:
        """Looks at what is to be patched.

        Args:
            httpx: the library.
            core: returns httpcore, or its fork, with which it talks to the network.
            handle: the name of the method with which transports and pools handle a request.
            real: the transport's, as it stands there now.
        """
        self._core = core
        self._handle = handle
        self._is_transport_replaced = not is_own(real, httpx)
        self._pools: dict[object, bool] = {}
        """Whether a pool's method is a mock's, by the method."""

    def is_replaced(self, transport: Any) -> bool:
        """Whether something stands between this transport and the network."""
        if self._is_transport_replaced:
            return True
        pool = getattr(transport, "_pool", None)
        function = getattr(getattr(pool, self._handle, None), "__func__", None)
        known = self._pools.get(function)
        if known is None:
            known = self._pools[function] = self._judge(pool, function)
        return known

    def _judge(self, pool: Any, function: object) -> bool:
        """A pool of the user's own kind is no mock: what it does is how it reaches the network."""
        kind = next((each for each in type(pool).__mro__ if self._handle in vars(each)), None)
        core = self._core()
        is_httpcores = kind is not None and kind.__module__.partition(".")[0] == core.__name__
        return is_httpcores and not is_own(function, core)

    def transport(self, transport: Any, answer: Callable[..., Any]) -> Any:
        """Returns a transport like this one, of which each request that reaches its network is given to `answer`.

        Args:
            transport: the client's.
            answer: is given httpcore's request, and a function that sends one; returns httpcore's response. Both
                are coroutine functions on the async side.
        """
        copied = copy.copy(transport)
        pool: Any = getattr(transport, "_pool", None)
        core = self._core()
        if isinstance(pool, core.ConnectionPool | core.AsyncConnectionPool):
            kind: Any = type(pool)
            copied._pool = _pool_class(core, kind)(pool, answer)
        return copied


@cache
def _pool_class(core: Any, kind: Any) -> Any:
    """Returns a kind of pool like `kind`, whose connections give their requests to a function."""
    is_async = issubclass(kind, core.AsyncConnectionPool)
    base: Any = core.AsyncConnectionPool if is_async else core.ConnectionPool
    connections: Any = _connection_classes(core)[is_async]

    class DetouredPool(kind):  # type: ignore[misc]  # httpcore's, known at run time
        def __init__(self, pool: Any, answer: Callable[..., Any]) -> None:
            self.__dict__.update(pool.__dict__)  # mocks may look at its proxy
            base.__init__(self, max_keepalive_connections=0)
            self._stepreplay = pool, answer

        def create_connection(self, origin: Any) -> Any:
            return connections(*self._stepreplay, origin)

    return DetouredPool


class _Connection:
    """What the sync and the async kind share: it is none until a request must be sent."""

    def __init__(self, pool: Any, answer: Callable[..., Any], origin: Any) -> None:
        self._pool = pool
        self._answer = answer
        self._origin = origin
        self._real: Any = None

    def _connect(self) -> Any:
        self._real = self._pool.create_connection(self._origin)
        return self._real

    def info(self) -> str:
        return "CASSETTE" if self._real is None else str(self._real.info())

    def can_handle_request(self, origin: Any) -> bool:
        return bool(origin == self._origin)

    def is_available(self) -> bool:
        return False

    def has_expired(self) -> bool:
        return self._real is not None and bool(self._real.has_expired())

    def is_idle(self) -> bool:
        return self._real is not None and bool(self._real.is_idle())

    def is_closed(self) -> bool:
        return self._real is not None and bool(self._real.is_closed())


@cache
def _connection_classes(core: Any) -> tuple[type, type]:
    class Connection(_Connection, core.ConnectionInterface):  # type: ignore[misc]  # as above
        def handle_request(self, request: Any) -> Any:
            return self._answer(request, lambda sent: self._connect().handle_request(sent))

        def close(self) -> None:
            if self._real is not None:
                self._real.close()

    class AsyncConnection(_Connection, core.AsyncConnectionInterface):  # type: ignore[misc]  # as above
        async def handle_async_request(self, request: Any) -> Any:
            async def send(sent: Any) -> Any:
                return await self._connect().handle_async_request(sent)

            return await self._answer(request, send)

        async def aclose(self) -> None:
            if self._real is not None:
                await self._real.aclose()

    return Connection, AsyncConnection
