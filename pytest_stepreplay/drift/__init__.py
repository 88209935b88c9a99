"""Drift: how a new response differs from the stored one, ranked by how much it matters.

`compare` takes two responses and a `Policy` and returns a `Drift` of `Change`s, each with its place (a
`Selector` reads it) and its `Level`. Pure: no pytest, no HTTP, no files. Names are imported when they are
first used, and DeepDiff only once something differs.
"""

__all__ = ["answers", "baseline", "changes", "comparison", "contract", "forms", "keeping", "values"]
