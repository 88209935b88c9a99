"""Many threads and tasks at once, through each client library: each request recorded, each answer its own.

The numbers here are small; `docs/reliability.md` has those of 16 threads with 200 requests each.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import openai
import pytest
import requests
import urllib3

from pytest_stepreplay import RequestStoppedError, UnrecordedRequestError, use_cassette
from pytest_stepreplay.upstream import Upstream

THREADS, EACH = 16, 12
HEADERS = {"Authorization": "Bearer sk-any"}

Answer = tuple[str, str, str]
"""What was asked, what was said, and the id of the answer."""


@pytest.fixture(autouse=True)
def outside_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run is the host of what is opened here."""
    monkeypatch.setattr("pytest_stepreplay.session.host._host", None)


def body(text: str) -> dict[str, Any]:
    return {"model": "step-3.5-flash", "messages": [{"role": "user", "content": text}]}


def read(text: str, completion: Any) -> Answer:
    return text, str(completion["choices"][0]["message"]["content"]), str(completion["id"])


def texts_of(thread: int) -> Iterator[str]:
    """Most requests are the thread's own, each fourth is asked by others too."""
    for number in range(EACH):
        yield f"thread {thread}, request {number}" if number % 4 else f"the same {number % 8}"


def in_threads(ask: Callable[[str], Answer]) -> list[Answer]:
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda thread: [ask(text) for text in texts_of(thread)], range(THREADS))
        return [answer for answers in found for answer in answers]


def with_httpx(url: str) -> list[Answer]:
    with httpx.Client(verify=False) as client:
        return in_threads(lambda text: read(text, client.post(url, json=body(text), headers=HEADERS).json()))


def with_httpx2(url: str) -> list[Answer]:
    with httpx2.Client(verify=False) as client:
        return in_threads(lambda text: read(text, client.post(url, json=body(text), headers=HEADERS).json()))


def with_requests(url: str) -> list[Answer]:
    with requests.Session() as session:
        return in_threads(lambda text: read(text, session.post(url, json=body(text), headers=HEADERS).json()))


def with_urllib3(url: str) -> list[Answer]:
    headers = HEADERS | {"Content-Type": "application/json"}
    with urllib3.PoolManager(maxsize=THREADS) as pool:
        return in_threads(
            lambda text: read(
                text, pool.request("POST", url, body=json.dumps(body(text)), headers=headers).json()
            )
        )


def with_openai(url: str) -> list[Answer]:
    with openai.OpenAI(base_url=url.removesuffix("/chat/completions"), api_key="sk-any") as client:
        return in_threads(lambda text: read(text, client.chat.completions.create(**body(text)).model_dump()))


def in_tasks(ask: Callable[[str], Any]) -> Any:
    async def one(thread: int) -> list[Answer]:
        return [await ask(text) for text in texts_of(thread)]

    async def main() -> list[Answer]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(thread)) for thread in range(THREADS)]
        return [answer for task in tasks for answer in task.result()]

    return main()


def with_openai_async(url: str) -> list[Answer]:
    async def main() -> list[Answer]:
        base_url = url.removesuffix("/chat/completions")
        async with openai.AsyncOpenAI(base_url=base_url, api_key="sk-any") as client:

            async def ask(text: str) -> Answer:
                return read(text, (await client.chat.completions.create(**body(text))).model_dump())

            return list(await in_tasks(ask))

    return asyncio.run(main())


def with_aiohttp(url: str) -> list[Answer]:
    async def main() -> list[Answer]:
        async with aiohttp.ClientSession() as session:

            async def ask(text: str) -> Answer:
                async with session.post(url, json=body(text), headers=HEADERS) as response:
                    return read(text, await response.json())

            return list(await in_tasks(ask))

    return asyncio.run(main())


def with_httpx_async(url: str) -> list[Answer]:
    async def main() -> list[Answer]:
        async with httpx.AsyncClient(verify=False) as client:

            async def ask(text: str) -> Answer:
                return read(text, (await client.post(url, json=body(text), headers=HEADERS)).json())

            return list(await in_tasks(ask))

    return asyncio.run(main())


CLIENTS = [
    with_httpx,
    with_httpx2,
    with_requests,
    with_urllib3,
    with_openai,
    with_openai_async,
    with_aiohttp,
    with_httpx_async,
]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_each_request_is_recorded_once_and_each_answer_is_its_own(
    client: Callable[[str], list[Answer]], upstream: Upstream, tmp_path: Path
) -> None:
    path, url = tmp_path / "x.yaml", f"{upstream.url}/chat/completions"
    with use_cassette(path, mode="record") as session:
        recorded = client(url)
    assert len(session.recorded) == upstream.count == THREADS * EACH
    with use_cassette(path) as session:
        replayed = client(url)
    assert upstream.count == THREADS * EACH, "nothing was sent in replay"
    assert all(f'"{asked}"' in said for asked, said, _ in recorded + replayed)
    assert sorted(replayed) == sorted(recorded)
    assert set(Counter(answer_id for *_, answer_id in replayed).values()) == {1}, "none is answered twice"


def test_one_answer_is_given_once_however_many_ask_for_it(upstream: Upstream, tmp_path: Path) -> None:
    url = f"{upstream.url}/chat/completions"
    with httpx.Client(verify=False) as client:

        def ask(_: object) -> str:
            try:
                return str(client.post(url, json=body("the same"), headers=HEADERS).json()["id"])
            except UnrecordedRequestError:
                return "refused"

        with use_cassette(tmp_path / "x.yaml", mode="record"):
            ids = {ask(number) for number in range(3)}
        once_more = pytest.raises(UnrecordedRequestError, match="asked once more than recorded")
        with once_more, use_cassette(tmp_path / "x.yaml"), ThreadPoolExecutor(8) as pool:
            answers = Counter(pool.map(ask, range(8)))
    assert answers == Counter({"refused": 5} | dict.fromkeys(ids, 1))


def test_the_pools_and_tasks_of_a_block_use_its_cassette_beside_others(
    upstream: Upstream, tmp_path: Path
) -> None:
    """Without it nobody knows which of several open blocks a pool's thread belongs to."""
    url = f"{upstream.url}/chat/completions"
    shared = ThreadPoolExecutor(3)

    def ask(text: str) -> None:
        httpx.post(url, json=body(text), headers=HEADERS, verify=False).raise_for_status()

    async def one(name: str) -> set[str]:
        async with use_cassette(tmp_path / f"{name}.yaml", mode="record") as outer:
            await asyncio.to_thread(ask, f"{name} to thread")
            await asyncio.get_running_loop().run_in_executor(shared, ask, f"{name} executor")
            async with use_cassette(tmp_path / f"{name} inner.yaml", mode="record") as inner:
                await asyncio.gather(
                    *(asyncio.to_thread(ask, f"{name} inner {number}") for number in range(3))
                )
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.to_thread(ask, f"{name} task"))
            with ThreadPool(1) as pool:
                await asyncio.to_thread(pool.map, ask, [f"{name} other pool"])
        assert asked(inner) == {f"{name} inner {number}" for number in range(3)}
        return asked(outer)

    async def main() -> list[set[str]]:
        return await asyncio.gather(*(one(name) for name in "abcd"))

    with shared:
        found = asyncio.run(main())
    rest = ("to thread", "executor", "task", "other pool")
    assert found == [{f"{name} {each}" for each in rest} for name in "abcd"]


def asked(session: Any) -> set[str]:
    return {each.request.json["messages"][0]["content"] for each in session.recorded}


def test_a_task_of_a_closed_block_gets_into_no_other_one(upstream: Upstream, tmp_path: Path) -> None:
    url = f"{upstream.url}/chat/completions"

    async def main() -> tuple[Any, Any]:
        go = asyncio.Event()

        async def late() -> None:
            await go.wait()
            async with httpx.AsyncClient(verify=False) as client:
                await client.post(url, json=body("late"), headers=HEADERS)

        async with use_cassette(tmp_path / "one.yaml", mode="record") as one:
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        async with use_cassette(tmp_path / "two.yaml", mode="record") as two:
            go.set()
            with pytest.raises(RequestStoppedError, match=r"the use_cassette of .*one\.yaml has ended, but"):
                await task
        return one, two

    one, two = asyncio.run(main())
    assert not one.recorded
    assert not two.recorded
    assert upstream.count == 0
