"""Requests that this package makes itself, or that a client makes inside of one: they are not intercepted."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_unseen: ContextVar[bool] = ContextVar("stepreplay_unseen", default=False)


@contextmanager
def unseen() -> Iterator[None]:
    """Lets the requests that are made inside pass by: they are our own."""
    token = _unseen.set(True)
    try:
        yield
    finally:
        _unseen.reset(token)


def is_unseen() -> bool:
    """Whether what is asked here and now is our own."""
    return _unseen.get()
