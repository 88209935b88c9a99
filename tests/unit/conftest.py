"""What stands between these tests and the others of the same process."""

from __future__ import annotations

import pytest

from pytest_stepreplay.session import leave


@pytest.fixture(autouse=True)
def nothing_installed() -> None:
    """Takes out what a test with a cassette has installed for the rest of this run; the next such test puts it back."""
    leave()
