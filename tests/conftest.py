"""What the tests share: a real upstream on loopback, and suites that run in a pytest of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pytest_stepreplay.upstream import Upstream

pytest_plugins = ["pytester"]

KEY = "sk-step-test-4f9a1c77d2e84b0b"
"""The key that the tests record with; no cassette may ever hold it."""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A server that speaks StepFun's documented dialect. It is ours, not StepFun."""
    with Upstream() as server:
        yield server


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the keys, proxies or pytest options of the person who runs it."""
    for name in [*os.environ]:
        if name.upper().endswith(("_PROXY", "_API_KEY")) or name in {
            "PYTEST_ADDOPTS",
            "CI",
            "GITHUB_ACTIONS",
        }:
            monkeypatch.delenv(name)
