"""One streamed completion through one client: when its first chunk came, and in how many chunks it came.

`python -m tests.benchmarks.inside.streaming record|replay TOOL CLIENT CASSETTE URL` prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from .opening import opener

BODY: dict[str, Any] = {
    "model": "step-3.5-flash",
    "messages": [{"role": "user", "content": "Count."}],
    "stream": True,
}
HEADERS = {"authorization": "Bearer sk-step-benchmark-2f7d", "content-type": "application/json"}
TIMEOUT = 20
LARGER = 65536
"""More bytes than a chunk has. Reading without a limit never ends where cassetter records."""


def with_httpx(url: str) -> Iterator[object]:
    """Yields the chunks that httpx hands out."""
    import httpx

    with httpx.Client(headers=HEADERS) as client, client.stream("POST", url, json=BODY) as response:
        yield from response.iter_bytes()


def with_httpx2(url: str) -> Iterator[object]:
    """Yields the chunks that httpx2 hands out."""
    import httpx2

    with httpx2.Client(headers=HEADERS) as client, client.stream("POST", url, json=BODY) as response:
        yield from response.iter_bytes()


def with_requests(url: str) -> Iterator[object]:
    """Yields the chunks that requests hands out."""
    import requests

    with requests.post(url, json=BODY, headers=HEADERS, stream=True, timeout=TIMEOUT) as response:
        yield from response.iter_content(chunk_size=LARGER)


def with_urllib3(url: str) -> Iterator[object]:
    """Yields the chunks that urllib3 hands out."""
    import urllib3

    body = json.dumps(BODY)
    response = urllib3.PoolManager().request("POST", url, body=body, headers=HEADERS, preload_content=False)
    yield from response.stream(LARGER)


def with_openai(url: str) -> Iterator[object]:
    """Yields the events of the openai client."""
    from openai import OpenAI

    client = OpenAI(base_url=url.removesuffix("/chat/completions"), api_key=HEADERS["authorization"][7:])
    yield from client.chat.completions.create(**BODY)


def with_aiohttp(url: str) -> Iterator[object]:
    """Yields the chunks that aiohttp hands out."""
    import aiohttp

    with asyncio.Runner() as runner:

        async def begin() -> tuple[aiohttp.ClientSession, aiohttp.ClientResponse]:
            session = aiohttp.ClientSession(headers=HEADERS)
            # Not `json=`: vcrpy cannot compare what aiohttp makes of that.
            return session, await session.post(url, data=json.dumps(BODY))

        session, response = runner.run(begin())
        while chunk := runner.run(_read(response)):
            yield chunk
        runner.run(session.close())


async def _read(response: Any) -> bytes:
    # cassetter replays a body that can only be read as a whole, without a stream.
    return bytes(await response.content.readany()) if response.content else b""


CLIENTS: dict[str, Callable[[str], Iterator[object]]] = {
    "httpx": with_httpx,
    "httpx2": with_httpx2,
    "aiohttp": with_aiohttp,
    "requests": with_requests,
    "urllib3": with_urllib3,
    "openai": with_openai,
}


def _give_up() -> None:
    print(json.dumps({}), flush=True)
    os._exit(0)  # the main thread may be in a loop that never ends


def main(mode: str, tool: str, client: str, cassette: str, url: str) -> None:
    """Streams twice, the second time measured, and prints what was seen; nothing of a stream that does not end."""
    watch = threading.Timer(TIMEOUT, _give_up)
    watch.daemon = True
    watch.start()
    chunks = CLIENTS[client]
    open_cassette = opener(tool, "record" if mode == "record" else "replay")
    with open_cassette(f"{cassette}.warm-up.yaml"):
        for _ in chunks(url):
            pass
    with open_cassette(cassette):
        started = time.perf_counter()
        arrivals = [time.perf_counter() - started for _ in chunks(url)]
    # Some tools give a client of theirs the whole body, and no chunk at all.
    times = {"first chunk, ms": arrivals[0] * 1e3, "last chunk, ms": arrivals[-1] * 1e3} if arrivals else {}
    print(json.dumps({**times, "chunks": len(arrivals)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
