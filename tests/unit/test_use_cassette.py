"""`use_cassette` outside of pytest: sync and async, nested, in tasks and threads."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from pytest_stepreplay import SettingsError, StepReplayError, UnrecordedRequestError, use_cassette
from pytest_stepreplay.upstream import Upstream

HEADERS = {"authorization": "Bearer sk-any"}


@pytest.fixture(autouse=True)
def outside_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run is the host of what is opened here."""
    monkeypatch.setattr("pytest_stepreplay.session.host._host", None)


def body(text: str) -> dict[str, object]:
    return {"model": "step-3.5-flash", "messages": [{"role": "user", "content": text}]}


def ask(upstream: Upstream, text: str) -> str:
    reply = httpx.post(f"{upstream.url}/chat/completions", json=body(text), headers=HEADERS)
    return str(reply.raise_for_status().json()["id"])


async def ask_later(client: httpx.AsyncClient, upstream: Upstream, text: str) -> str:
    reply = await client.post(f"{upstream.url}/chat/completions", json=body(text), headers=HEADERS)
    return str(reply.raise_for_status().json()["id"])


def test_records_then_replays(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.yaml"
    with use_cassette(path, mode="record") as session:
        first = ask(upstream, "one")
        assert [each.request.method for each in session.recorded] == ["POST"]
        assert session.interactions == session.recorded
    with use_cassette(str(path)) as session:
        assert ask(upstream, "one") == first
        assert session.mode == "replay"
        assert len(session.played) == 1
        assert "1 played" in repr(session)
    assert upstream.count == 1
    assert ask(upstream, "one") != first, "afterwards nothing is intercepted"


def test_nothing_stays_installed_after_an_error(upstream: Upstream, tmp_path: Path) -> None:
    real = httpx.HTTPTransport.handle_request
    with pytest.raises(ValueError, match="mine"), use_cassette(tmp_path / "x.yaml", mode="record"):
        assert httpx.HTTPTransport.handle_request is not real
        ask(upstream, "one")
        raise ValueError("mine")
    assert httpx.HTTPTransport.handle_request is real
    assert (tmp_path / "x.yaml").exists(), "a first recording is kept"


def test_an_error_keeps_the_old_cassette(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with use_cassette(path, mode="record"):
        ask(upstream, "one")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="mine"), use_cassette(path, mode="record"):
        ask(upstream, "two")
        raise ValueError("mine")
    with pytest.raises(KeyboardInterrupt), use_cassette(tmp_path / "y.yaml", mode="record"):
        ask(upstream, "two")
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert not (tmp_path / "y.yaml").exists()


def test_a_swallowed_miss_is_raised_at_the_end(upstream: Upstream, tmp_path: Path) -> None:
    expected = pytest.raises(UnrecordedRequestError, match="not recorded: there is no cassette yet")
    with expected as caught, use_cassette(tmp_path / "x.yaml"), suppress(BaseException):
        ask(upstream, "one")
    assert 'use_cassette("' in str(caught.value)
    assert 'mode="record")' in str(caught.value)
    assert upstream.count == 0


def test_the_innermost_answers(upstream: Upstream, tmp_path: Path) -> None:
    with use_cassette(tmp_path / "outer.yaml", mode="record") as outer:
        ask(upstream, "one")
        with use_cassette(tmp_path / "inner.yaml", mode="record") as inner:
            ask(upstream, "two")
        ask(upstream, "three")
    assert (len(outer.recorded), len(inner.recorded)) == (2, 1)


def test_tasks_keep_their_cassettes_apart(upstream: Upstream, tmp_path: Path) -> None:
    async def task(client: httpx.AsyncClient, name: str) -> list[str]:
        async with use_cassette(tmp_path / f"{name}.yaml", mode="record") as session:
            for number in range(3):
                await ask_later(client, upstream, f"{name} {number}")
            return [each.request.json["messages"][0]["content"] for each in session.recorded]

    async def main() -> list[list[str]]:
        async with httpx.AsyncClient() as client:
            return await asyncio.gather(*(task(client, name) for name in "abc"))

    assert asyncio.run(main()) == [[f"{name} {number}" for number in range(3)] for name in "abc"]


def test_a_thread_without_a_cassette_uses_the_only_one(upstream: Upstream, tmp_path: Path) -> None:
    with use_cassette(tmp_path / "x.yaml", mode="record") as session:
        thread = threading.Thread(target=ask, args=(upstream, "one"))
        thread.start()
        thread.join()
    assert len(session.recorded) == 1


def test_a_thread_that_was_started_before_uses_the_only_one_too(upstream: Upstream, tmp_path: Path) -> None:
    go = [threading.Event() for _ in range(2)]
    done = [threading.Event() for _ in range(2)]

    def work() -> None:
        for number in range(2):
            go[number].wait(30)
            ask(upstream, f"number {number}")
            done[number].set()

    thread = threading.Thread(target=work)
    thread.start()
    with use_cassette(tmp_path / "x.yaml", mode="record") as one:
        go[0].set()
        assert done[0].wait(30)
        with use_cassette(tmp_path / "y.yaml", mode="record") as other:
            go[1].set()
            assert done[1].wait(30)
    thread.join()
    assert len(one.recorded) == 1
    assert not other.recorded, "of two, nobody knows which it belongs to"


def test_a_closed_cassette_answers_no_task_that_outlives_it(upstream: Upstream, tmp_path: Path) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def late() -> str:
            await go.wait()
            async with httpx.AsyncClient() as client:
                return await ask_later(client, upstream, "late")

        async with use_cassette(tmp_path / "x.yaml", mode="record") as session:
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        go.set()
        assert await task
        assert not session.recorded

    asyncio.run(main())


def test_it_is_opened_once(upstream: Upstream, tmp_path: Path) -> None:
    block = use_cassette(tmp_path / "x.yaml", mode="live")
    with pytest.raises(StepReplayError, match="open already"), block, block:
        pass
    with pytest.raises(StepReplayError, match="is not open"):
        block.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mode": "x"}, "'x' is not one of replay"),
        ({"cassette": "x"}, "no argument 'cassette'"),
        ({"unused": "warn"}, "no argument 'unused'"),
    ],
)
def test_bad_settings(settings: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        use_cassette("x.yaml", **settings)


def test_what_is_recorded_anew_has_the_url_that_was_asked(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    first: list[dict[str, str]] = [{"role": "user", "content": "One."}]
    second = [*first, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Two."}]

    def ask(url: str, messages: list[dict[str, str]]) -> None:
        body = {"model": "step-3.5-flash", "messages": messages}
        httpx.post(f"{url}/chat/completions", json=body, headers={"Authorization": "Bearer k"}, verify=False)

    with Upstream() as one, use_cassette(path, mode="record"):
        ask(one.url, second)
    with Upstream() as other, use_cassette(path, mode="record") as session:
        ask(other.url, first)
        ask(other.url, second)  # which goes on with what was missed, and so is recorded anew
        assert other.count == 2
        assert [each.request.url for each in session.recorded] == [f"{other.url}/chat/completions"] * 2
