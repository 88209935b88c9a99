"""Asks once with a real HTTP client of this environment, as a test would: what `convert --check` replays with.

The request goes through the first of `CLIENTS` that is installed and can ask, and so through the open cassette.
Redirects are not followed, nothing is tried again, and proxies and certificates of the machine play no part.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import StepReplayError
from ..value_classes import dataclass
from . import clients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .player import Ask


@dataclass(frozen=True, slots=True)
class ReceivedResponse:
    """What the client was given."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Asker:
    """A client that is open; what it raises is the client's own."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def ask(self, method: str, url: str, content_type: str | None, body: bytes) -> ReceivedResponse:
        """Returns the answer to one request."""
        headers = {"content-type": content_type} if content_type else {}
        status, received, answer = self._ask(method, url, headers, body)
        return ReceivedResponse(status, tuple(received), answer)


@contextmanager
def open_asker() -> Iterator[Asker]:
    """Opens the first client that is installed.

    Raises:
        StepReplayError: none is.
    """
    for name, client in clients.CLIENTS.items():
        if client.asking is not None and find_spec(name):
            with client.asking.asking_with(import_module(name)) as ask:
                yield Asker(ask)
            return
    raise StepReplayError("no HTTP client is installed to replay with; install one: pip install httpx")
