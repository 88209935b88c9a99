"""Clients are patched when they are imported, and are as they were afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import urllib3.connectionpool

from pytest_stepreplay import interception, use_cassette
from pytest_stepreplay.errors import StepReplayError
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
    monkeypatch.setitem(interception.patching.CLIENTS, "no_such_client", "httpx_client")
    with interception.installed(lambda: None), pytest.raises(ModuleNotFoundError, match="no_such_client"):
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
