"""A test's snapshots: values that it asserts against, stored beside its cassette.

`ChatSnapshot` is what the `chat_snapshot` fixture gives to a test. Values of any kind that `comparison.compare` takes
go in through ``==``; closing it writes what is to be written and returns a frozen `SnapshotOutcome`. What failed
is explained by `explaining`, for a person.
"""

__all__ = ["comparing", "comparisons", "explaining"]
