"""The error object that OpenAI-compatible servers answer with in place of any other: ``{"error": {...}}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from ..settings.levels import Level
from .endpoint import BY_SHAPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEVELS: Final[dict[str, Level | None]] = {
    "error": Level.BEHAVIOR,
    "error.*": Level.METADATA,
    "error.type": Level.BEHAVIOR,
    "error.code": Level.BEHAVIOR,
    "error.message": BY_SHAPE,
}

_ANEW: Final = "request_id requestId x_request_id x-request-id trace_id traceId x_trace_id x-trace-id"

FLEETING: Final = tuple(f"{place}{name}" for place in ("", "error.") for name in _ANEW.split())
"""The names of the call itself, which servers add to answers and errors."""


def sort_by(
    is_answer: Callable[[Mapping[str, Any]], bool],
) -> Callable[[Mapping[str, Any]], Literal["answer", "error"] | None]:
    """Returns what says whether an object is an answer, by a test of its own, or an error in its place."""

    def sort_of(tree: Mapping[str, Any]) -> Literal["answer", "error"] | None:
        if is_answer(tree):
            return "answer"
        return "error" if tree.get("error") else None

    return sort_of
