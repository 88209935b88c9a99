"""The suite fixture of the plugin tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tests.imported  # noqa: F401
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
