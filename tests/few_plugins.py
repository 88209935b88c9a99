"""Runs of pytest inside of a test that load few plugins: half of their time goes into the rest."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import Distribution
from typing import Final

import pytest

_OF_NO_USE: Final = ("faulthandler", "legacypath", "pastebin")
"""Plugins of pytest itself, which every run would search for hooks and fixtures."""


@cache
def _with_plugins() -> tuple[Distribution, ...]:
    """Returns the installed distributions that have plugins. For each `-p`, pytest reads the metadata of all others too."""
    every = importlib.metadata.distributions()
    return tuple(each for each in every if any(point.group == "pytest11" for point in each.entry_points))


@contextmanager
def few_plugins(*others: str) -> Iterator[list[str]]:
    """Lets the runs that start here load no plugin but ours and the named ones; yields the options that they need.

    Args:
        others: the names of their entry points.
    """
    installed = _with_plugins()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.setattr(importlib.metadata, "distributions", lambda **_: iter(installed))
        options = [word for name in ("stepreplay", *others) for word in ("-p", name)]
        options += [word for name in _OF_NO_USE for word in ("-p", f"no:{name}")]
        if "asyncio" in others:  # its oldest versions warn without it
            options += ["-o", "asyncio_default_fixture_loop_scope=function"]
        yield options
