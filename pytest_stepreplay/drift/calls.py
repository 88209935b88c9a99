"""Tool calls: which ones belong together, and ids replaced by what they mean.

A call's id is new on every run; what counts is that it is the call's own, and that a ``tool_call_id`` cites
it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from .answers import BrokenJson, Mask, canonical, name_type, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator


def name_calls(tree: Any) -> None:
    """Replaces the ids of tool calls, and those that cite them, by what they mean; in place.

    An id becomes the name of its type, unless a call before has the same. A citation becomes the call's
    function and how many calls of that function came before, so one call less leaves the others as they are.
    """
    calls: list[tuple[dict[str, Any], Any]] = []
    citations: list[dict[str, Any]] = []
    for value in objects_in(tree):
        listed = value.get("tool_calls")
        own = [call for call in listed if isinstance(call, dict)] if isinstance(listed, list) else []
        calls += [(call, call["id"]) for call in own if call.get("id") is not None]
        if isinstance(value.get("tool_call_id"), str):
            citations.append(value)
    names: dict[str, str] = {}
    counts = defaultdict[str, int](int)
    for call, given in calls:
        key = canonical(given)
        if key in names:
            call["id"] = Mask(f"the id of the call {names[key]}")
        else:
            function = function_of(call)
            counts[function] += 1
            names[key] = f"{function} #{counts[function]}"
            call["id"] = Mask(name_type(given))
    for value in citations:
        value["tool_call_id"] = Mask(f"the id of {names.get(canonical(value['tool_call_id']), 'no call')}")


def function_of(call: Any) -> str:
    """Returns the name of the function that a tool call calls."""
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else "a call without a name"


def meaning_of(call: Any) -> tuple[str, str]:
    """Returns the function and the arguments of a tool call, equal for calls that mean the same."""
    function = call.get("function") if isinstance(call, dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else call
    value = parsed(arguments) if isinstance(arguments, str) else arguments
    return function_of(call), str(arguments) if isinstance(value, BrokenJson) else canonical(value)


def objects_in(tree: Any) -> Iterator[dict[str, Any]]:
    """Yields every object of a tree, in the order of the document."""
    pending = [tree]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            pending.extend(reversed(value.values()))
        elif isinstance(value, list):
            pending.extend(reversed(value))
