"""Runs of pytest inside of a test that load few plugins: half of their time goes into the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def few_plugins(*others: str) -> Iterator[list[str]]:
    """Lets the runs that start here load no plugin but ours and the named ones; yields the options that they need.

    Args:
        others: the names of their entry points.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        options = [word for name in ("stepreplay", *others) for word in ("-p", name)]
        if "asyncio" in others:  # its oldest versions warn without it
            options += ["-o", "asyncio_default_fixture_loop_scope=function"]
        yield options
