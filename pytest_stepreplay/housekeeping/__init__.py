"""Keeping a suite's cassettes in order: what is too old, what no test needs any more, whose cassette is lost.

Cassettes and what the last run has seen (`last_run`) go in; frozen plans come out (`pruning`, `relinking`,
`ages`), which the commands show before they carry them out. `publishing` writes what a run leaves of `verify`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CACHE_KEY", "ages", "last_run", "pruning", "publishing", "quoted_answers", "relinking"]

CACHE_KEY: Final = "stepreplay/last_run"
"""Where what the last run knows of the cassettes lies in pytest's cache."""
