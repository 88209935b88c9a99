"""Record real chat completions once, replay them offline, and see what differs when the model changes.

In pytest this is a plugin; elsewhere `use_cassette` and `compare` do the same. Names are imported when they
are first used, since pytest imports this package at the start of every run.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.metadata import version
from typing import TYPE_CHECKING

sys.meta_path.insert(0, PathFinder)  # pytest's own import hook takes several times as long for a module
from .lazy import importer, install  # noqa: E402

sys.meta_path.remove(PathFinder)
install(__name__)

from .errors import (  # noqa: E402 - and so the clock and the disk, before a test replaces something
    CassetteError,
    CassetteReadError,
    CassetteWriteError,
    NetworkBlockedError,
    RequestStoppedError,
    SelectorError,
    SettingsError,
    StepReplayError,
    UnrecordedRequestError,
)
from .vcr import stubbed_clients  # noqa: E402 - lazy

if TYPE_CHECKING:
    from .drift.changes import Change, Drift
    from .drift.comparison import compare
    from .endpoints.chat_models import ChatCompletion, ChatCompletionChunk
    from .models import Cassette, Interaction
    from .session.routing import use_cassette
    from .session.sessions import Session
    from .settings.levels import Level
    from .settings.policy import Policy

__all__ = [
    "Cassette",
    "CassetteError",
    "CassetteReadError",
    "CassetteWriteError",
    "Change",
    "ChatCompletion",
    "ChatCompletionChunk",
    "Drift",
    "Interaction",
    "Level",
    "NetworkBlockedError",
    "Policy",
    "RequestStoppedError",
    "SelectorError",
    "Session",
    "SettingsError",
    "StepReplayError",
    "UnrecordedRequestError",
    "compare",
    "use_cassette",
]

# As above for those who read only; a test holds that the two agree.
_import_name = importer(
    __name__,
    {
        "drift.changes": ("Change", "Drift"),
        "drift.comparison": ("compare",),
        "endpoints.chat_models": ("ChatCompletion", "ChatCompletionChunk"),
        "models": ("Cassette", "Interaction"),
        "session.sessions": ("Session",),
        "session.routing": ("use_cassette",),
        "settings.levels": ("Level",),
        "settings.policy": ("Policy",),
    },
)


def __getattr__(name: str) -> object:
    if name == "use_cassette":
        stubbed_clients.serve_stubbed_clients()
    return version("pytest-stepreplay") if name == "__version__" else _import_name(name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
