"""TLS contexts that load the trusted certificates once a handshake needs them.

httpx loads them for each client that is made, which takes longer than to replay a test.
"""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable


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
