"""Keeps the patches in the clients while at least one user needs them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, cast

from .clients import COLLECTED
from .patching import Patches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .player import Player, Route

_lock = threading.Lock()
_users = 0
_patches: Patches | None = None


@contextmanager
def installed(route: Route) -> Iterator[None]:
    """Intercepts the HTTP clients of this process while at least one user is inside.

    Args:
        route: returns the open cassette that a request made here and now belongs to.
    """
    global _users, _patches  # noqa: PLW0603 - patching is process-wide, and so is its count
    with _lock:
        if _patches is None:
            patches = Patches(route)
            patches.install()
            _patches = patches
        else:
            _patches.repair()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _patches.remove()
                _patches = None


@contextmanager
def collecting() -> Iterator[None]:
    """Has clients that are made inside load certificates only if they send something, as most tests will not."""
    patches = Patches(lambda: _COLLECTION, COLLECTED)
    patches.install()
    try:
        yield
    finally:
        patches.remove()


_COLLECTION: Final = cast("Player", SimpleNamespace(sends_nothing=True))
"""Stands for the cassettes of all tests; those patches ask for nothing else."""


def repair() -> None:
    """Sees to it that the clients are intercepted still, if they are: mocks come and go at the same places."""
    if _patches is not None:
        _patches.repair()
