"""Work that grows: what a turn of a conversation, a stream among others and a folder of cassettes cost when there are many.

`python -m tests.benchmarks.inside.growing conversation|streams|folder record|replay TOOL PATH COUNT URL` prints JSON. All
measures are for one unit, so those of twice as many must not be larger.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx

from ..environments import FLOOR
from .cassettes import Asker, prepare, question
from .opening import opener

SCALE = 1 if sys.platform == "darwin" else 1024
HEADERS = {"authorization": "Bearer sk-step-benchmark-2f7d"}
IN_EACH = 100
"""Interactions of each cassette in a folder."""


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * SCALE


@contextmanager
def measured(measures: dict[str, float], count: int) -> Iterator[None]:
    """Puts into the measures what the block costs for each of `count` units."""
    before, cpu = _peak(), time.process_time()
    yield
    measures["CPU, ms"] = (time.process_time() - cpu) * 1e3 / count
    measures["memory, KB"] = (_peak() - before) / 1e3 / count


def _answer(request: httpx.Request) -> httpx.Response:
    """Answers for the floor, with as much as is recorded."""
    message = {"role": "assistant", "content": json.loads(request.content)["messages"][-1]["content"]}
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"message": message}],
    }
    return httpx.Response(200, json=body)


def conversation(
    mode: Literal["record", "replay"], tool: str, path: Path, count: int, url: str
) -> dict[str, float]:
    """Talks for so many turns; each is sent with all those before it."""
    mocked = {"transport": httpx.MockTransport(_answer)} if tool == FLOOR else {}
    client = httpx.Client(headers=HEADERS, timeout=600, **mocked)  # type: ignore[arg-type]
    measures: dict[str, float] = {}
    messages: list[dict[str, str]] = []
    with measured(measures, count), opener(tool, mode)(str(path)):
        for turn in range(count):
            messages.append({"role": "user", "content": question(turn)})
            body = {"model": "step-3.5-flash", "messages": messages}
            reply = client.post(f"{url}/chat/completions", json=body).json()["choices"][0]["message"]
            messages.append({"role": "assistant", "content": reply["content"]})
    return measures


def streams(
    mode: Literal["record", "replay"], tool: str, path: Path, count: int, url: str
) -> dict[str, float]:
    """Reads so many streams at the same time, in one event loop."""

    async def read(client: httpx.AsyncClient, number: int) -> int:
        body = {"messages": [{"role": "user", "content": question(number)}], "model": "m", "stream": True}
        async with client.stream("POST", f"{url}/chat/completions", json=body) as response:
            return sum([len(line) async for line in response.aiter_lines()])

    async def read_all() -> list[int]:
        # A process may have 1,024 files open, and to record takes a connection for each stream.
        limits = httpx.Limits(max_connections=100 if mode == "record" else None)
        async with httpx.AsyncClient(headers=HEADERS, timeout=600, limits=limits) as client:
            return await asyncio.gather(*(read(client, number) for number in range(count)))

    measures: dict[str, float] = {}
    with measured(measures, count), opener(tool, mode)(str(path)):
        if not all(asyncio.run(read_all())):
            raise SystemExit("a stream came empty")
    return measures


def folder(
    mode: Literal["record", "replay"], tool: str, path: Path, count: int, url: str
) -> dict[str, float]:
    """Replays from one of many cassettes in a folder; to record is to make them, all but the first from that one."""
    first, measures = path / "0.yaml", dict[str, float]()
    asker = Asker(url)
    if mode == "record":
        path.mkdir(parents=True)
        prepare(tool, first, IN_EACH, asker)
        text = first.read_text(encoding="utf-8")
        for number in range(1, max(1, count // IN_EACH)):
            other = text.replace("Question-0", f"Question-{number}-")
            (path / f"{number}.yaml").write_text(other, encoding="utf-8")
        return {}
    for number in (0, IN_EACH - 1):
        with measured(measures, 1), opener(tool, "replay")(str(first)):
            asker.ask(question(number))
    return measures


WORKS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "conversation": conversation,
    "streams": streams,
    "folder": folder,
}


def main(*arguments: str) -> None:
    """Does one of the works, once in small before it is measured, and prints its measures."""
    work, mode, tool, path, count, url = arguments
    if work != "folder":
        WORKS[work](mode, tool, Path(f"{path}.warm-up.yaml"), 2, url)
    print(json.dumps(WORKS[work](mode, tool, Path(path), int(count), url)))


if __name__ == "__main__":
    main(*sys.argv[1:])
