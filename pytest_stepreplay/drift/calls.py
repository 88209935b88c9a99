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
            call["id"] = Mask(f"the id of the call {names[key]}", given)
        else:
            tool = tool_of(call)
            counts[tool] += 1
            names[key] = f"{tool} #{counts[tool]}"
            call["id"] = Mask(name_type(given), given)
    for value in citations:
        cited = value["tool_call_id"]
        value["tool_call_id"] = Mask(f"the id of {names.get(canonical(cited), 'no call')}", cited)


def read_call(call: Any) -> tuple[str, Any] | None:
    """Returns the name of the tool that a tool call calls, and what it is given; None where it names none.

    A function is given arguments, JSON in a string; a custom tool an input, which is any text.
    """
    if not isinstance(call, dict):
        return None
    for kind, given in (("function", "arguments"), ("custom", "input")):
        inner = call.get(kind)
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            return inner["name"], inner.get(given)
    return None


def tool_of(call: Any) -> str:
    """Returns the name of the tool that a tool call calls."""
    read = read_call(call)
    if read:
        return read[0]
    named = (call.get("name"), call.get("type")) if isinstance(call, dict) else ()
    return next((it for it in named if isinstance(it, str) and it), "a call without a name")


def meaning_of(call: Any) -> tuple[str, str]:
    """Returns the tool and what it is given, equal for calls that mean the same."""
    read = read_call(call)
    given = read[1] if read else call
    if isinstance(call, dict) and not read:
        given = {key: value for key, value in call.items() if key not in ("id", "index")}
    value = parsed(given) if isinstance(given, str) and "function" in call else given
    return tool_of(call), str(given) if isinstance(value, BrokenJson) else canonical(value)


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
