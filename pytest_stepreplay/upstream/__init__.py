"""A stand-in for the API: a real HTTP server on loopback that speaks StepFun's documented dialect.

`stepreplay demo` and the tests of this project record from it, and so can yours. Requests go in over HTTP and
come out of `Upstream.requests`; its replies follow from rules or a script, and never pass for a model's.
"""

from __future__ import annotations

from .replies import Raw, ReceivedRequest, Reply, Script, ScriptedAnswer, answer, error, raw
from .stand_in import Upstream

__all__ = [
    "Raw",
    "ReceivedRequest",
    "Reply",
    "Script",
    "ScriptedAnswer",
    "Upstream",
    "answer",
    "error",
    "example",
    "raw",
    "stand_in",
]
