"""What the plugin does while a coroutine waits keeps no other one waiting; `free_event_loops` raises where it would."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
import trio
from blockbuster import BlockingError

from pytest_stepreplay import UnrecordedRequestError, use_cassette
from pytest_stepreplay.session.event_loops import in_thread
from pytest_stepreplay.upstream import Upstream
from tests.conftest import KEY

from .suite import Suite

HEADERS = {"Authorization": f"Bearer {KEY}"}
ASYNC = """
    import os
    import aiohttp, httpx, pytest, pytest_asyncio

    HEADERS = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
    CLOUD = "hello"

    def body(text, **more):
        return {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": text}}], **more}}

    async def ask(text, **more):
        async with httpx.AsyncClient(verify=False, headers=HEADERS) as client:
            reply = await client.post("{url}/chat/completions", json=body(text, **more))
            return reply.raise_for_status().text

    @pytest_asyncio.fixture(scope="session", loop_scope="session")
    async def topic():
        yield await ask(CLOUD + " from a fixture")
        assert await ask(CLOUD + " from its teardown")

    @pytest.mark.stepreplay
    @pytest.mark.asyncio
    async def test_httpx():
        assert await ask(CLOUD)
        assert "[DONE]" in await ask(CLOUD, stream=True)

    @pytest.mark.stepreplay
    @pytest.mark.asyncio
    async def test_aiohttp():
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            async with session.post("{url}/chat/completions", json=body(CLOUD, stream=True)) as reply:
                assert "[DONE]" in await reply.text()

    @pytest.mark.stepreplay
    @pytest.mark.asyncio(loop_scope="session")
    async def test_fixture(topic):
        assert topic
        assert await ask(CLOUD)
"""


def test_nothing_that_a_coroutine_asks_touches_the_disk(suite: Suite) -> None:
    suite.write(ASYNC)
    suite.needs = ("asyncio",)
    suite.run().assert_outcomes(failed=2, errors=1)  # there is no cassette yet
    suite.record().assert_outcomes(passed=3)
    suite.run().assert_outcomes(passed=3)
    suite.run("--stepreplay=verify", "--stepreplay-fail-on=never").assert_outcomes(passed=3)
    suite.change('CLOUD = "hello"', 'CLOUD = "goodbye"')
    for mode in "replay", "verify":
        result = suite.run(f"--stepreplay={mode}")
        result.assert_outcomes(failed=2, errors=1)
        said = result.stdout.str()
        assert said.count("The nearest recorded request is") + said.count("as in test_chat.py::") == 3
        result.stdout.no_fnmatch_line("*Blocking*")


def test_these_tests_would_see_it(tmp_path: Path) -> None:
    async def block() -> None:
        with use_cassette(tmp_path / "x.yaml", mode="record"):
            pass

    with pytest.raises(BlockingError):
        asyncio.run(block())


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_an_async_block_reads_writes_and_explains_beside_the_loop(
    upstream: Upstream, tmp_path: Path, run: object
) -> None:
    async def ask(mode: str, text: str) -> None:
        async with use_cassette(tmp_path / "x.yaml", mode=mode), httpx.AsyncClient(verify=False) as client:
            body = {"model": "m", "messages": [{"role": "user", "content": text}]}
            try:
                await client.post(f"{upstream.url}/chat/completions", json=body, headers=HEADERS)
            except UnrecordedRequestError as miss:
                assert "nearest" not in str(miss), "a client is told in short"

    def start(mode: str, text: str) -> None:
        asyncio.run(ask(mode, text)) if run is asyncio.run else trio.run(ask, mode, text)

    start("record", "Say hello.")
    start("replay", "Say hello.")
    with pytest.raises(UnrecordedRequestError, match="The nearest recorded request is interaction 1"):
        start("replay", "Say goodbye.")
    assert upstream.count == 1


def test_what_is_cancelled_while_a_thread_writes_waits_until_it_is_written() -> None:
    done: list[str] = []

    async def with_asyncio() -> None:
        loop, began = asyncio.get_running_loop(), asyncio.Event()

        def work() -> None:
            loop.call_soon_threadsafe(began.set)
            asyncio.run_coroutine_threadsafe(began.wait(), loop).result()
            done.append("asyncio")

        task = asyncio.create_task(in_thread(work))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == ["asyncio"]

    async def with_trio() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await in_thread(lambda: done.append("trio"))
        assert done == ["asyncio", "trio"]

    asyncio.run(with_asyncio())
    trio.run(with_trio)
