"""The mocks that tests use beside cassettes: their answers are counted, so that a test they serve does ask something.

Their answers are never seen here: they work above the places that are patched for a client, or are let through. Here
is where each of them is asked.
"""

from __future__ import annotations

import functools
import inspect
from operator import attrgetter
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from .player import Patch, Route

ASKED: Final = {
    "respx": ("router.Router.handler", "router.Router.async_handler"),
    "pytest_httpx": ("HTTPXMock._handle_request", "HTTPXMock._handle_async_request"),
    "responses": ("RequestsMock._on_request",),
    "requests_mock": ("Adapter.send",),
    "aioresponses": ("aioresponses.match",),
    "httpx": ("MockTransport.handle_request", "MockTransport.handle_async_request"),
    "httpx2": ("MockTransport.handle_request", "MockTransport.handle_async_request"),
}
"""By the library, the methods that are given each request that it may answer."""


def patches(module: ModuleType, route: Route) -> Iterator[Patch]:
    """Yields what to patch."""
    for path in ASKED[module.__name__]:
        owner, _, name = path.rpartition(".")
        try:
            found = attrgetter(owner)(module)
        except AttributeError:
            # Another version; a test that it serves alone is then told that it asks nothing.
            continue
        if name in vars(found):
            yield found, name, functools.partial(_counted, route)


def _counted(route: Route, real: Any) -> object:
    if inspect.iscoroutinefunction(real):

        @functools.wraps(real)
        async def asked(*args: Any, **named: Any) -> Any:
            _note(route)
            return await real(*args, **named)

        return asked

    @functools.wraps(real)
    def ask(*args: Any, **named: Any) -> Any:
        _note(route)
        return real(*args, **named)

    return ask


def _note(route: Route) -> None:
    """Notes that a mock is asked, for the open cassette if there is one."""
    player = route()
    if player is not None:
        player.note_mocked()


def is_own(function: object, package: ModuleType) -> bool:
    """Whether a function is written in a package, and not put there by somebody else."""
    if not isinstance(function, FunctionType):
        return False
    return Path(function.__code__.co_filename).is_relative_to(Path(package.__file__ or "").parent)
