"""HTTP requests of this process become exchanges with the cassette that is open for them.

The only importer of vcrpy. Its patch engine is installed once and asks `route` for each request; without an
open cassette a request passes through untouched. vcrpy's stubs serve httpx and httpx2; ours stand where its
own would un-patch other threads (urllib3) or bypass the client's redirects, cookies and errors (aiohttp).
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..models import Request, Response
    from .sending import Outgoing


class Exchange(Protocol):
    """One request on its way."""

    @property
    def response(self) -> Response | None:
        """The stored response; None where the request must be sent."""

    def finish(self, response: Response) -> None:
        """Takes the response of a request that was sent."""

    @property
    def verifies(self) -> bool:
        """Whether a request that the stored response answers is to be sent once more."""

    def verify(self, outgoing: Outgoing) -> None:
        """Takes the request as the client made it, to be sent once more."""


class Player(Protocol):
    """An open cassette, as the interception sees it."""

    def passes_by(self, host: str) -> bool:
        """Whether requests to this host are left alone."""

    def keep_headers(self) -> tuple[str, ...]:
        """The response headers to store besides the usual ones."""

    def begin(self, request: Request) -> Exchange:
        """Returns the exchange for a request; raises where nothing recorded may answer it."""


Route = Callable[[], Player | None]

_lock = threading.Lock()
_users = 0
_patches = ExitStack()


@contextmanager
def installed(route: Route) -> Iterator[None]:
    """Intercepts the HTTP clients of this process while at least one user is inside.

    Args:
        route: returns the open cassette that a request made here and now belongs to.
    """
    global _users  # noqa: PLW0603 - patching is process-wide, and so is its count
    with _lock:
        if _users == 0:
            _install(route)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _patches.close()


def _install(route: Route) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # vcrpy imports every HTTP client there is; their warnings are not ours
        from vcr.patch import CassettePatcherBuilder  # noqa: PLC0415 - costs a second, and only now is it needed

        from .routing import RoutingCassette  # noqa: PLC0415
    for patch in CassettePatcherBuilder(RoutingCassette(route)).build():
        _patches.enter_context(patch)
