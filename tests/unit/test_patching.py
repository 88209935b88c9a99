"""Clients are patched when they are imported, and are as they were afterwards."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import urllib3.connectionpool

from pytest_stepreplay import use_cassette
from pytest_stepreplay.errors import StepReplayError
from pytest_stepreplay.interception import clients, installing
from pytest_stepreplay.session.sessions import Session
from pytest_stepreplay.upstream import Upstream

LATE = """
import sys
from pytest_stepreplay import use_cassette
from pytest_stepreplay.upstream import Upstream

clients = {"httpx", "httpx2", "aiohttp", "urllib3"}
with Upstream() as upstream, use_cassette("late.yaml", mode="record") as session:
    assert not clients & set(sys.modules), clients & set(sys.modules)
    import NAME
    before = NAME.__spec__.loader
    assert type(before).__module__.startswith(("importlib", "_frozen_importlib")), before
    assert NAME.__loader__ is before
    import inspect
    assert inspect.getsource(NAME)
    ASK
    assert session.intercepted == 1
"""
ASK = {
    "httpx": 'httpx.get(upstream.url + "/models", headers={"authorization": "Bearer k"})',
    "httpx2": 'httpx2.get(upstream.url + "/models", headers={"authorization": "Bearer k"})',
    "urllib3": 'urllib3.request("GET", upstream.url + "/models", headers={"authorization": "Bearer k"})',
    "aiohttp": """
    import asyncio
    async def ask():
        async with aiohttp.request("GET", upstream.url + "/models", headers={"authorization": "Bearer k"}) as got:
            await got.read()
    asyncio.run(ask())
    """.strip(),
}


@pytest.mark.parametrize("name", ASK)
def test_a_client_that_is_imported_later_is_intercepted(name: str, tmp_path: Path) -> None:
    code = LATE.replace("NAME", name).replace("ASK", ASK[name])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "late.yaml").exists()


def test_the_clients_are_as_they_were_when_the_last_cassette_is_closed(tmp_path: Path) -> None:
    transport, pool = (
        httpx.HTTPTransport.handle_request,
        urllib3.connectionpool.HTTPConnectionPool._make_request,
    )
    finders = list(sys.meta_path)
    with use_cassette(tmp_path / "a.yaml"):
        patched = httpx.HTTPTransport.handle_request
        assert patched is not transport
        with use_cassette(tmp_path / "b.yaml"):
            assert httpx.HTTPTransport.handle_request is patched
        assert httpx.HTTPTransport.handle_request is patched
    assert httpx.HTTPTransport.handle_request is transport
    assert urllib3.connectionpool.HTTPConnectionPool._make_request is pool
    assert sys.meta_path == finders


def test_a_module_that_does_not_exist_is_not_found_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(clients.CLIENTS, "no_such_client", clients.CLIENTS["httpx"])
    with installing.installed(lambda: None), pytest.raises(ModuleNotFoundError, match="no_such_client"):
        import no_such_client  # type: ignore[import-not-found]  # noqa: F401


def test_an_urllib3_that_cannot_be_intercepted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urllib3, "__version__", "1.26.20")
    before = httpx.HTTPTransport.handle_request
    with pytest.raises(StepReplayError, match=r"urllib3 1\.26\.20 cannot be intercepted, 2\.0 and newer can"):
        use_cassette(tmp_path / "a.yaml").__enter__()
    assert httpx.HTTPTransport.handle_request is before
    monkeypatch.undo()
    with Upstream() as upstream, use_cassette(tmp_path / "a.yaml", mode="record") as session:
        httpx.get(f"{upstream.url}/models", headers={"authorization": "Bearer k"})
        assert session.intercepted == 1


MOCKED, SENT = (
    {"ask": "the mock"},
    {"model": "step-3.5-flash", "messages": [{"role": "user", "content": "Hi."}]},
)
ANSWER = {"said by": "the mock"}


def ask_both(module: Any, url: str, *, is_async: bool) -> list[object]:
    """Asks what the mock answers and what it lets pass."""
    headers = {"authorization": "Bearer k"}
    if not is_async:
        with module.Client(headers=headers) as client:
            return [client.post(url, json=each).json() for each in (MOCKED, SENT)]

    async def ask() -> list[object]:
        async with module.AsyncClient(headers=headers) as client:
            return [(await client.post(url, json=each)).json() for each in (MOCKED, SENT)]

    return asyncio.run(ask())


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("module", [httpx, httpx2])
@pytest.mark.parametrize("place", ["transport", "pool"])
def test_a_mock_that_was_there_before_the_cassette_answers_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, place: str, is_async: bool
) -> None:
    core: Any = import_module(module.HTTPTransport.__module__.partition(".")[0].replace("httpx", "httpcore"))
    kinds = {"transport": (module.HTTPTransport, module.AsyncHTTPTransport)}
    owner = kinds.get(place, (core.ConnectionPool, core.AsyncConnectionPool))[is_async]
    name = "handle_async_request" if is_async else "handle_request"
    real, asked = getattr(owner, name), []
    answer = (module if place == "transport" else core).Response(200, content=json.dumps(ANSWER).encode())

    def is_mocked(transport: Any, request: Any) -> bool:
        asked.append(request)
        return len(asked) % 2 == 1

    def mock(transport: Any, request: Any) -> Any:
        return answer if is_mocked(transport, request) else real(transport, request)

    async def mock_async(transport: Any, request: Any) -> Any:
        return answer if is_mocked(transport, request) else await real(transport, request)

    monkeypatch.setattr(owner, name, mock_async if is_async else mock)
    with Upstream() as upstream:
        url = f"{upstream.url}/chat/completions"
        with use_cassette(tmp_path / "a.yaml", mode="record") as session:
            recorded = ask_both(module, url, is_async=is_async)
            assert (session.mocked, session.intercepted, len(session.recorded)) == (1, 1, 1)
        assert upstream.count == 1
    assert recorded[0] == ANSWER
    with use_cassette(tmp_path / "a.yaml") as session:
        assert ask_both(module, url, is_async=is_async) == recorded
        assert (session.mocked, session.intercepted, len(session.played)) == (1, 1, 1)
    assert len(asked) == 4  # once for each request


def test_mocks_and_cassettes_come_and_go_in_any_order(tmp_path: Path) -> None:
    real, place = httpx.HTTPTransport.handle_request, (httpx.HTTPTransport, "handle_request")

    def is_intercepted(session: Session) -> bool:
        before = session.intercepted
        httpx.get(f"{upstream.url}/models", headers={"authorization": "Bearer k"})
        return session.intercepted == before + 1

    def cassette() -> use_cassette:
        return use_cassette(tmp_path / "a.yaml", mode="live")

    def passing(real: Any) -> Any:
        def handle_request(transport: httpx.HTTPTransport, request: httpx.Request) -> object:
            return real(transport, request)

        return handle_request

    with Upstream() as upstream, cassette() as first, pytest.MonkeyPatch.context() as patch:
        patch.setattr(*place, passing(httpx.HTTPTransport.handle_request))
        assert is_intercepted(first)
        with cassette() as inner:
            assert is_intercepted(inner)
    assert httpx.HTTPTransport.handle_request is real

    with Upstream() as upstream, pytest.MonkeyPatch.context() as patch:  # the cassette goes before the mock
        with cassette() as second:
            patch.setattr(*place, passing(httpx.HTTPTransport.handle_request))
            assert is_intercepted(second)
        mock = httpx.HTTPTransport.handle_request
        with cassette() as third:
            assert is_intercepted(third)
        assert httpx.HTTPTransport.handle_request is mock
        patch.undo()
        with cassette() as fourth:
            assert is_intercepted(fourth)
    assert httpx.HTTPTransport.handle_request is real

    with (
        Upstream() as upstream,
        pytest.MonkeyPatch.context() as patch,
    ):  # the mock comes first, and goes first
        patch.setattr(*place, passing(httpx.HTTPTransport.handle_request))
        with cassette() as fifth:
            assert is_intercepted(fifth)
            patch.undo()
            with cassette() as inner:
                assert is_intercepted(inner)
    assert httpx.HTTPTransport.handle_request is real


def test_a_transport_of_the_users_that_wraps_a_real_one_is_recorded_and_replayed(tmp_path: Path) -> None:
    class Wrapped(httpx.BaseTransport):
        def __init__(self) -> None:
            self.inner = httpx.HTTPTransport()

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            request.headers["x-wrapped"] = "yes"
            return self.inner.handle_request(request)

        def close(self) -> None:
            self.inner.close()

    class Derived(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return super().handle_request(request)

    with Upstream() as upstream:
        for number, kind in enumerate([Wrapped, Derived]):
            for mode in ("record", "replay"):
                with (
                    use_cassette(tmp_path / f"{number}.yaml", mode=mode) as session,
                    httpx.Client(transport=kind(), headers={"authorization": "Bearer k"}) as client,
                ):
                    assert client.post(f"{upstream.url}/chat/completions", json=SENT).json()["choices"]
                assert len(session.recorded if mode == "record" else session.played) == 1
        assert upstream.count == 2


class Counting(MetaPathFinder):
    """Counts how often anybody looks for a module that is not there."""

    def __init__(self) -> None:
        self.asked = 0

    def find_spec(self, name: str, *_: object) -> None:
        self.asked += name == "no_such_client"


def test_a_hook_that_somebody_brings_back_asks_nobody_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(clients.CLIENTS, "no_such_client", clients.CLIENTS["respx"])
    counting = Counting()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, counting])
    for _ in range(12):
        with use_cassette(tmp_path / "none.yaml"):
            before = list(sys.meta_path)
        sys.meta_path[:] = before  # as pytester does at the end of a run inside of a test
    assert find_spec("no_such_client") is None
    assert counting.asked <= 2
