"""vcrpy's stubs, for the clients that they serve: imported at the first request, and known when they call.

And the whole body of a request, in any of the forms that these clients and vcrpy hold one.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .. import formats
from ..errors import StepReplayError

if TYPE_CHECKING:
    from vcr.request import Request as VcrRequest

    from ..interception.player import Player


def import_stubs(player: Player, name: str) -> Any:
    """Returns a module of vcrpy's stubs; raises for a request that it should serve and cannot."""
    try:
        return formats.vcrpy.import_vcr(name)
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


def whole_body(request: VcrRequest) -> bytes:
    """Returns a request's body; vcrpy gives bytes, or a new file or iterator each time."""
    body = read_body(request.body)
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def read_body(body: Any) -> Any:
    """Returns a body that can be read more than once: text as it is, and all else as bytes; None for none."""
    if hasattr(body, "read"):
        body = body.read()
    if not isinstance(body, Iterable) or isinstance(body, str):
        return body
    if isinstance(body, bytes | bytearray | memoryview | array):
        return bytes(body)
    return b"".join(each.encode() if isinstance(each, str) else bytes(each) for each in body)
