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
    from .answers import read_answer
    from .baseline import Baseline, is_known, read_baseline, render_baseline
    from .changes import Change, Drift
    from .comparison import compare
    from .contract import MISSING, breaches_of
    from .forms import describe_change
    from .keeping import binary_of, body_of, keep_volatile
    from .values import ABSENT

__all__ = [
    "ABSENT",
    "MISSING",
    "Baseline",
    "Change",
    "Drift",
    "Level",
    "Policy",
    "binary_of",
    "body_of",
    "breaches_of",
    "compare",
    "describe_change",
    "is_known",
    "keep_volatile",
    "read_answer",
    "read_baseline",
    "render_baseline",
]

__getattr__ = importer(
    __name__,
    {
        "answers": ("read_answer",),
        "baseline": ("Baseline", "is_known", "read_baseline", "render_baseline"),
        "changes": ("Change", "Drift", "Level"),
        "comparison": ("Policy", "compare"),
        "contract": ("MISSING", "breaches_of"),
        "forms": ("describe_change",),
        "keeping": ("binary_of", "body_of", "keep_volatile"),
        "values": ("ABSENT",),
    },
)
