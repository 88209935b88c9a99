"""Record real chat completions once, replay them offline, and see what differs when the model changes.

In pytest this is a plugin; elsewhere `use_cassette` and `compare` do the same. Names are imported when they
are first used, since pytest imports this package at the start of every run.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from .lazy import importer, install

install(__name__)

from . import machine as _machine  # noqa: E402, F401 - as it is, before a test replaces something

if TYPE_CHECKING:
    from .drift import Change, Drift, Level, Policy, compare
    from .endpoints import ChatCompletion, ChatCompletionChunk
    from .errors import (
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
    from .models import Cassette, Interaction
    from .session import Session, use_cassette

_ROOMS = {
    "drift": ("Change", "Drift", "Level", "Policy", "compare"),
    "endpoints": ("ChatCompletion", "ChatCompletionChunk"),
    "errors": (
        "CassetteError",
        "CassetteReadError",
        "CassetteWriteError",
        "NetworkBlockedError",
        "RequestStoppedError",
        "SelectorError",
        "SettingsError",
        "StepReplayError",
        "UnrecordedRequestError",
    ),
    "models": ("Cassette", "Interaction"),
    "session": ("Session", "use_cassette"),
}
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


_import_name = importer(__name__, _ROOMS)


def __getattr__(name: str) -> object:
    return version("pytest-stepreplay") if name == "__version__" else _import_name(name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
