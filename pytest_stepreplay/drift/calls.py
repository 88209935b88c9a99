"""The ids of tool calls, replaced by what they mean.

A call's id is new on every run; what counts is that it is the call's own, and that a result cites it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ..wire.json_values import canonical, name_type, objects_in
from .answers import Mask

if TYPE_CHECKING:
    from ..endpoints import Calls, Endpoint


def name_calls(tree: Any, endpoint: Endpoint) -> None:
    """Replaces the ids of tool calls, and those that cite them, in every part of an answer; in place.

    Args:
        tree: the answer.
        endpoint: what is known of it; an id is unique within one of its parts.
    """
    if endpoint.calls:
        for _, part in endpoint.parts(tree):
            _name_calls(part, endpoint.calls)


def _name_calls(tree: Any, kind: Calls) -> None:
    """Replaces the ids of tool calls, and those that cite them, by what they mean; in place.

    An id becomes the name of its type, unless a call before has the same. A citation becomes the call's
    function and how many calls of that function came before, so one call less leaves the others as they are.
    """
    calls: list[tuple[dict[str, Any], Any]] = []
    citations: list[dict[str, Any]] = []
    for value in objects_in(tree):
        calls += [(call, call[kind.key]) for call in kind.made_in(value) if call.get(kind.key) is not None]
        if kind.cited_in(value) is not None:
            citations.append(value)
    names: dict[str, str] = {}
    counts = defaultdict[str, int](int)
    for call, given in calls:
        key = canonical(given)
        if key in names:
            call[kind.key] = Mask(f"the id of the call {names[key]}", given)
        else:
            tool = kind.tool_of(call)
            counts[tool] += 1
            names[key] = f"{tool} #{counts[tool]}"
            call[kind.key] = Mask(name_type(given), given)
    for value in citations:
        cited = value[kind.cites]
        value[kind.cites] = Mask(f"the id of {names.get(canonical(cited), 'no call')}", cited)
