"""The machine itself, its clock and its disk, whatever a test has put in their place.

Tests freeze the clock, fake the file system, and mock `os` and `time`, for the code that they test. What is recorded
for them is real, and so is when it was. `clock` and `disk` are the only modules of this package that read the one or
touch the other while tests run.
"""

from __future__ import annotations

from importlib import import_module

__all__ = ["clock", "disk", "file_lock", "waiting"]

for _module in ("clock", "disk"):
    import_module(f"{__name__}.{_module}")  # now, before a test replaces something
