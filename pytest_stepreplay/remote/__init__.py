"""Cassettes that are kept outside of git: a lock file of their digests, and a store that holds them by these.

A folder of cassettes goes in; `states` tells how each of its files differs from what the lock file lists, and
`transfers` brings the one to the other. Only `objects`, which asks the store, imports fsspec.
"""

__all__ = ["lock_file", "objects", "states", "transfers"]
