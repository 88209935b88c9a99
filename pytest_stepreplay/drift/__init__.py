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
    from .changes import Change, Drift
    from .comparison import compare
    from .contract import contract_of_url
    from .forms import describe_change
    from .values import ABSENT

__all__ = ["ABSENT", "Change", "Drift", "Level", "Policy", "compare", "contract_of_url", "describe_change"]

__getattr__ = importer(
    __name__,
    {
        "changes": ("Change", "Drift", "Level"),
        "comparison": ("Policy", "compare"),
        "contract": ("contract_of_url",),
        "forms": ("describe_change",),
        "values": ("ABSENT",),
    },
)
