"""These tests are run as a user's are: nothing but the plugin stands between them and the API."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def environment() -> None:
    """Replaces the fixture of all other tests, which takes away the keys: here the plugin's placeholders stay."""
