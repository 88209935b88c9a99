"""Asks once with a real HTTP client of this environment, as a test would: what `convert --check` replays with.

The request goes through whichever of httpx, httpx2 and urllib3 is installed, and so through the open cassette.
Redirects are not followed, nothing is tried again, and proxies and certificates of the machine play no part.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..errors import StepReplayError

_CLIENTS = ("httpx", "httpx2", "urllib3")


@dataclass(frozen=True, slots=True)
class ReceivedResponse:
    """What the client was given."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Asker:
    """A client; close it when done. What it raises is the client's own."""

    def __init__(self) -> None:
        """Opens the first client that is installed.

        Raises:
            StepReplayError: none is.
        """
        name = next((name for name in _CLIENTS if find_spec(name)), None)
        if name is None:
            raise StepReplayError(
                "no HTTP client is installed to replay with; install one: pip install httpx"
            )
        self.name = name
        module: Any = import_module(name)
        if name == "urllib3":
            self._client = module.PoolManager(retries=False)
        else:
            self._client = module.Client(trust_env=False, verify=False, follow_redirects=False)

    def ask(self, method: str, url: str, content_type: str | None, body: bytes) -> ReceivedResponse:
        """Returns the answer to one request."""
        headers = {"content-type": content_type} if content_type else {}
        if self.name == "urllib3":
            answer = self._client.request(method, url, body=body or None, headers=headers, redirect=False)
            return ReceivedResponse(answer.status, tuple(answer.headers.items()), answer.data)
        answer = self._client.request(method, url, content=body or None, headers=headers)
        return ReceivedResponse(answer.status_code, tuple(answer.headers.multi_items()), answer.content)

    def close(self) -> None:
        """Lets go of the client's connections."""
        self._client.clear() if self.name == "urllib3" else self._client.close()

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
