"""Drift: how a new response differs from the stored one, ranked by how much it matters.

`compare` takes two responses and a `Policy` and returns a `Drift` of `Change`s, each with its place (a
`Selector` reads it) and its `Level`. Pure: no pytest, no HTTP, no files. Names are imported when they are
first used, and DeepDiff only once something differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import importer

if TYPE_CHECKING:
    from ..settings.levels import Level
    from ..settings.policy import Policy
    from .changes import ABSENT, Change, Drift
    from .comparison import compare
    from .contract import contract_of_url

__all__ = ["ABSENT", "Change", "Drift", "Level", "Policy", "compare", "contract_of_url"]

__getattr__ = importer(
    __name__,
    {
        "changes": ("ABSENT", "Change", "Drift", "Level"),
        "comparison": ("Policy", "compare"),
        "contract": ("contract_of_url",),
    },
)
