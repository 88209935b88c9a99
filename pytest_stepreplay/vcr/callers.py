"""Who calls a client's method: vcrpy's own stub does, where a test has opened another cassette with vcrpy itself."""

from __future__ import annotations

import sys


def is_called_by_vcrpy(depth: int) -> bool:
    """Whether the function that is called so many frames above this one's caller is called by a stub of vcrpy's."""
    name = sys._getframe(depth + 2).f_globals.get("__name__", "")
    return isinstance(name, str) and name.startswith("vcr.stubs")
