"""The HTTP clients that are intercepted, and the mocks that are recognized: one table, with an entry for each.

An entry says which module of ours patches a library, and how people call what is then intercepted. The modules run
when their library is imported. A room above adds the clients that it serves itself, with `add_clients`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from . import aiohttp_client, httpx_client, late_tls, mocks, urllib3_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import ModuleType

    from .player import Ask, Patch, Route


class PatchingModule(Protocol):
    """A module of ours that knows how to patch a library."""

    def patches(self, module: ModuleType, route: Route, /) -> Iterator[Patch]:
        """Yields the methods to replace."""


class AskingModule(Protocol):
    """A module of ours that can send requests with a library itself."""

    def asking_with(self, module: Any, /) -> AbstractContextManager[Ask]:
        """Gives a function that sends one request just as it is: nothing is followed or tried again."""


class Client(NamedTuple):
    """What is known of one library.

    Attributes:
        patching: the module of ours that patches it.
        intercepts: what is intercepted then, by the names that people know.
        recognizes: the mocks that are recognized then.
        asking: the module of ours that asks with it; `convert --check` does. None if there is none.
    """

    patching: PatchingModule
    intercepts: tuple[str, ...] = ()
    recognizes: tuple[str, ...] = ()
    asking: AskingModule | None = None


CLIENTS: Final[dict[str, Client]] = {
    "httpx": Client(httpx_client, ("httpx",), ("httpx.MockTransport",), httpx_client),
    "httpx2": Client(httpx_client, ("httpx2",), asking=httpx_client),
    "aiohttp": Client(aiohttp_client, ("aiohttp",)),
    "urllib3": Client(urllib3_client, ("requests", "urllib3"), asking=urllib3_client),
    "respx": Client(mocks, recognizes=("respx",)),
    "pytest_httpx": Client(mocks, recognizes=("pytest-httpx",)),
    "responses": Client(mocks, recognizes=("responses",)),
    "requests_mock": Client(mocks, recognizes=("requests-mock",)),
    "aioresponses": Client(mocks, recognizes=("aioresponses",)),
}
"""By the module that is patched as soon as it is imported."""
COLLECTED: Final[dict[str, Client]] = {"httpx": Client(late_tls), "httpx2": Client(late_tls)}
"""Those that are patched while tests are collected."""


def add_clients(clients: Mapping[str, Client]) -> None:
    """Adds the clients that a room above serves."""
    CLIENTS.update(clients)


def intercepted() -> list[str]:
    """Returns what is intercepted, by the names that people know."""
    return [name for client in CLIENTS.values() for name in client.intercepts]


def recognized() -> list[str]:
    """Returns the mocks that are recognized."""
    return [name for client in CLIENTS.values() for name in client.recognizes]
