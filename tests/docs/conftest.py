"""The reader of the documentation."""

from __future__ import annotations

import pytest

import tests.imported  # noqa: F401

from .page import Reader


@pytest.fixture
def reader(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """A user in an empty folder, without a key."""
    return Reader(pytester, monkeypatch)
