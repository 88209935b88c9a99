"""The suite fixture of the plugin tests."""

from __future__ import annotations

from collections.abc import Iterator

# A pytest inside this one forgets what it imported; what is imported here stays.
import aiohttp  # noqa: F401
import httpcore  # noqa: F401
import httpcore2  # noqa: F401
import httpx  # noqa: F401
import httpx2  # noqa: F401
import openai.resources.chat  # noqa: F401
import pytest
import requests  # noqa: F401

import pytest_stepreplay.interception.exchanges
import pytest_stepreplay.session  # noqa: F401
from tests.odd_server import OddServer

from .suite import Suite


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """An empty project folder beside a real upstream."""
    suite = Suite(pytester, monkeypatch).start()
    yield suite
    suite.go_offline()


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[OddServer]:
    """A server that sends what its scripts say, for tests that open their own cassettes, of no run."""
    monkeypatch.setattr("pytest_stepreplay.session.host._host", None)
    with OddServer() as server:
        yield server
