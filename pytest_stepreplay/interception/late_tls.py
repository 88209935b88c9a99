"""TLS contexts that load the trusted certificates once a handshake needs them.

httpx loads them for each client that is made, which takes longer than to replay a test. Most suites make theirs in a
replay, or in a module that is imported while tests are collected.
"""

from __future__ import annotations

import functools
import ssl
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from .player import Patch, Route


def patches(httpx: ModuleType, route: Route) -> Iterator[Patch]:
    """Yields what to patch in httpx or httpx2."""
    for transport in (httpx.HTTPTransport, httpx.AsyncHTTPTransport):
        yield transport, "__init__", partial(_make_transport, httpx, route)


def _make_transport(httpx: ModuleType, route: Route, real: Any) -> object:
    """Has a transport that is made in a replay load the usual certificates only if it sends something after all."""

    @functools.wraps(real)
    def make_transport(transport: Any, *args: Any, **named: Any) -> None:
        is_usual = not args and named.get("verify", True) is True and not named.get("cert")
        player = route() if is_usual else None
        if player is not None and player.sends_nothing:
            trust = named.get("trust_env", True)
            named["verify"] = LateContext(partial(httpx.create_ssl_context, trust_env=trust))
        real(transport, *args, **named)

    return make_transport


class LateContext(ssl.SSLContext):
    """Stands for another context, which is made once something of it is used."""

    def __new__(cls, make: Callable[[], ssl.SSLContext]) -> Self:
        """Takes what makes the other one."""
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        object.__setattr__(context, "_made", _once(make))
        return context

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return LateContext
        return getattr(object.__getattribute__(self, "_made")(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "_made")(), name, value)


def _once(make: Callable[[], ssl.SSLContext]) -> Callable[[], ssl.SSLContext]:
    """Returns what makes a context at its first call, also where threads call at once."""
    lock = threading.Lock()
    made: list[ssl.SSLContext] = []

    def get() -> ssl.SSLContext:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return get
