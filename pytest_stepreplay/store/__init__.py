"""Cassettes on disk: where they lie, how their files read, and how they are written in one step.

Paths and `Cassette` values go in and come out; every file that cannot be used is a `CassetteError` that says
why. `codec` turns their text into trees, and back.
"""

__all__ = [
    "body_files",
    "cassettes",
    "codec",
    "files",
    "locks",
    "nearby",
    "paths",
    "pending",
    "schema",
    "secrets",
    "snapshot_files",
    "three_way",
]
