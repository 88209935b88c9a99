"""Reads a stream with each HTTP client, chunk by chunk, and says what the caller saw."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import aiohttp
import httpx
import httpx2
import openai
import requests
import urllib3

from tests.odd_server import PATIENCE

BODY: Final = {
    "model": "step-3.5-flash",
    "messages": [{"role": "user", "content": "Say hello."}],
    "stream": True,
}


@dataclass
class Seen:
    """What came out of a client, in order.

    Attributes:
        chunks: the pieces of the body, as the client handed them out.
        error: the full name of the exception that ended it; None for a stream that just ended.
    """

    chunks: list[bytes] = field(default_factory=list)
    error: str | None = None

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(self.chunks)


class Read(Protocol):
    """Asks a URL and reads the answer.

    `on_chunk` is called with each chunk; a client is closed early by a `Leave` that it raises. `timeout` is how many
    seconds to wait for a chunk.
    """

    def __call__(
        self, url: str, on_chunk: Callable[[bytes], object] = ..., timeout: float = ..., /
    ) -> Seen: ...


class Leave(Exception):  # noqa: N818 - no error
    """Raised in `on_chunk`: the caller has enough, and closes the response."""


_Take = Callable[[bytes], None]


def _nothing(chunk: bytes) -> None:
    """Reads on."""


def _seeing(read: Callable[[str, _Take, float], object]) -> Read:
    def see(url: str, on_chunk: Callable[[bytes], object] = _nothing, timeout: float = PATIENCE, /) -> Seen:
        seen = Seen()

        def take(chunk: bytes) -> None:
            if chunk:
                seen.chunks.append(chunk)
                on_chunk(chunk)

        try:
            read(url, take, timeout)
        except Leave:
            pass
        except Exception as fault:  # noqa: BLE001 - what a test compares
            seen.error = f"{type(fault).__module__}.{type(fault).__qualname__}"
        return seen

    return see


def _running(read: Callable[[str, _Take, float], Coroutine[Any, Any, None]]) -> Read:
    async def bounded(url: str, take: _Take, timeout: float) -> None:
        async with asyncio.timeout(2 * PATIENCE):  # a client that hangs is a failure, not a wait
            await read(url, take, timeout)

    return _seeing(lambda url, take, timeout: asyncio.run(bounded(url, take, timeout)))


def _httpx(module: Any) -> Read:
    def read(url: str, take: _Take, timeout: float) -> None:
        with module.Client(timeout=timeout) as client, client.stream("POST", url, json=BODY) as response:
            for chunk in response.iter_bytes():
                take(chunk)

    return _seeing(read)


def _httpx_async(module: Any) -> Read:
    async def read(url: str, take: _Take, timeout: float) -> None:
        async with (
            module.AsyncClient(timeout=timeout) as client,
            client.stream("POST", url, json=BODY) as response,
        ):
            async for chunk in response.aiter_bytes():
                take(chunk)

    return _running(read)


async def _aiohttp(url: str, take: _Take, timeout: float) -> None:
    waits = aiohttp.ClientTimeout(total=None, sock_read=timeout)
    async with aiohttp.ClientSession(timeout=waits) as session, session.post(url, json=BODY) as response:
        async for chunk in response.content.iter_any():
            take(chunk)


def _requests(url: str, take: _Take, timeout: float) -> None:
    with requests.post(url, json=BODY, stream=True, timeout=timeout) as response:
        for chunk in response.iter_content(None):
            take(chunk)


def _urllib3(url: str, take: _Take, timeout: float) -> None:
    with urllib3.PoolManager() as pool:
        response = pool.request("POST", url, json=BODY, preload_content=False, timeout=timeout, retries=False)
        try:
            for chunk in response.stream(None, decode_content=True):
                take(chunk)
        finally:
            response.close()


def _base_url(url: str) -> str:
    return url.removesuffix("/chat/completions")


def _openai(url: str, take: _Take, timeout: float) -> None:
    with (
        openai.OpenAI(base_url=_base_url(url), api_key="sk-any", max_retries=0, timeout=timeout) as client,
        client.chat.completions.create(**BODY) as chunks,  # type: ignore[call-overload]  # a dict of arguments
    ):
        for chunk in chunks:
            take(chunk.to_json(indent=None).encode())


async def _openai_async(url: str, take: _Take, timeout: float) -> None:
    async with openai.AsyncOpenAI(
        base_url=_base_url(url), api_key="sk-any", max_retries=0, timeout=timeout
    ) as client:
        stream = await client.chat.completions.create(**BODY)  # type: ignore[call-overload]  # a dict of arguments
        async with stream as chunks:
            async for chunk in chunks:
                take(chunk.to_json(indent=None).encode())


def _openai_helper(url: str, take: _Take, timeout: float) -> None:
    asked: Any = {name: value for name, value in BODY.items() if name != "stream"}
    with (
        openai.OpenAI(base_url=_base_url(url), api_key="sk-any", max_retries=0, timeout=timeout) as client,
        client.chat.completions.stream(**asked) as events,
    ):
        for event in events:
            if event.type == "chunk":
                take(event.chunk.to_json(indent=None).encode())


def _openai_raw(url: str, take: _Take, timeout: float) -> None:
    asked: Any = BODY
    with (
        openai.OpenAI(base_url=_base_url(url), api_key="sk-any", max_retries=0, timeout=timeout) as client,
        client.chat.completions.with_streaming_response.create(**asked) as response,
    ):
        for chunk in response.iter_bytes():
            take(chunk)


CLIENTS: Final[dict[str, Read]] = {
    "httpx": _httpx(httpx),
    "httpx-async": _httpx_async(httpx),
    "httpx2": _httpx(httpx2),
    "httpx2-async": _httpx_async(httpx2),
    "aiohttp": _running(_aiohttp),
    "requests": _seeing(_requests),
    "urllib3": _seeing(_urllib3),
}
"""Those that hand out the chunks of the connection, decoded."""

SDKS: Final[dict[str, Read]] = {
    "openai": _seeing(_openai),
    "openai-async": _running(_openai_async),
    "openai-helper": _seeing(_openai_helper),
    "openai-raw": _seeing(_openai_raw),
}
"""Those that hand out chunks of a completion, one for each frame; `openai-raw` hands out bytes."""

ALL: Final = {**CLIENTS, **SDKS}
