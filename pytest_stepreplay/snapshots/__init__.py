"""A test's snapshots: values that it asserts against, stored beside its cassette.

`ChatSnapshot` is what the `chat_snapshot` fixture gives to a test. Values of any kind that `drift.compare` takes
go in through ``==``; closing it writes what is to be written and returns a frozen `SnapshotOutcome`. What failed
is explained by `explain`, for a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .comparing import ChatSnapshot, Snapshot
from .options import Options
from .outcome import Comparison, SnapshotOutcome

if TYPE_CHECKING:
    from .explaining import SHORT, explain

__all__ = ["SHORT", "ChatSnapshot", "Comparison", "Options", "Snapshot", "SnapshotOutcome", "explain"]


def __getattr__(name: str) -> object:
    if name not in {"SHORT", "explain"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import explaining  # noqa: PLC0415 - only what fails needs it, and the report behind it

    return getattr(explaining, name)
