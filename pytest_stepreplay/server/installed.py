"""Whether the HTTP library is there that serves: it comes with an extra, and not with the plugin."""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import StepReplayError


def check_installed(who: str) -> None:
    """Does nothing where it is installed.

    Args:
        who: needs it.

    Raises:
        StepReplayError: it is not.
    """
    if find_spec("aiohttp") is None:
        raise StepReplayError(
            f"{who} needs aiohttp, which is not installed.\n"
            "Install it with: pip install 'pytest-stepreplay[server]'"
        )
