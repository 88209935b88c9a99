"""The reader of the documentation."""

from __future__ import annotations

# A pytest inside this one forgets what it imported; what is imported here stays.
import aiohttp  # noqa: F401
import httpx  # noqa: F401
import httpx2  # noqa: F401
import openai.resources.chat  # noqa: F401
import pytest
import requests  # noqa: F401

import pytest_stepreplay.interception.exchanges
import pytest_stepreplay.session  # noqa: F401

from .page import Reader


@pytest.fixture
def reader(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """A user in an empty folder, without a key."""
    return Reader(pytester, monkeypatch)
