"""vcrpy's stubs, for the clients that they serve: imported at the first request, and known when they call."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..errors import StepReplayError
from ..formats.vcrpy import import_vcr

if TYPE_CHECKING:
    from ..interception.player import Player


def import_stubs(player: Player, name: str) -> Any:
    """Returns a module of vcrpy's stubs; raises for a request that it should serve and cannot."""
    try:
        return import_vcr(name)
    except StepReplayError as error:
        raise player.stop(str(error)) from None
    except Exception as error:  # whatever one of all the clients says that vcrpy imports
        raise player.stop(
            f"vcrpy, which serves this client, cannot be imported here ({type(error).__name__}: {error}).\n"
            "If the test replaces the disk or the clock, import vcrpy before that: import vcr, in conftest.py"
        ) from error


def is_called_by_vcrpy(depth: int) -> bool:
    """Whether the function so many frames above the caller is called by a stub: of a cassette that vcrpy opened."""
    name = sys._getframe(depth + 2).f_globals.get("__name__", "")
    return isinstance(name, str) and name.startswith("vcr.stubs")
