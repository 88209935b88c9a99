"""A test's snapshots: values that it asserts against, stored beside its cassette.

`ChatSnapshot` is what the `chat_snapshot` fixture gives to a test. Values of any kind that `drift.compare` takes
go in through ``==``; closing it writes what is to be written and returns a frozen `SnapshotOutcome`. What failed
is explained by `explain`, for a person.
"""

from .comparing import ChatSnapshot, Comparison, Snapshot, SnapshotOutcome
from .explaining import SHORT, explain
from .options import Options

__all__ = ["SHORT", "ChatSnapshot", "Comparison", "Options", "Snapshot", "SnapshotOutcome", "explain"]
