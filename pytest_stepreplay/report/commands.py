"""Commands that a message suggests, ready to be copied into a shell."""

from __future__ import annotations

import shlex


def rewrite_command(test: str) -> str:
    """Returns the command that records a test anew.

    Args:
        test: its id; for what several tests share, such as a fixture, or has none, the whole suite is recorded.
    """
    name = "" if not test or test.endswith(")") else f" {shlex.quote(test)}"
    return f"pytest{name} --stepreplay=rewrite"
