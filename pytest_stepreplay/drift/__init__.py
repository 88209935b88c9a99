"""Drift: how a new response differs from the stored one, ranked by how much it matters.

`compare` takes two responses and a `Policy` and returns a `Drift` of `Change`s, each with its place (a
`Selector` reads it) and its `Level`. Pure: no pytest, no HTTP, no files. Names are imported when they are
first used, and DeepDiff only once something differs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .changes import ABSENT, Change, Drift, Level
    from .comparison import compare
    from .contract import contract_of_url
    from .policy import Policy
    from .selectors import Selector

_MODULE_OF = {
    "ABSENT": "changes",
    "Change": "changes",
    "Drift": "changes",
    "Level": "changes",
    "Policy": "policy",
    "Selector": "selectors",
    "compare": "comparison",
    "contract_of_url": "contract",
}

__all__ = ["ABSENT", "Change", "Drift", "Level", "Policy", "Selector", "compare", "contract_of_url"]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
