"""Tool calls, as chat completions write them: what is called, with what, and which calls mean the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..wire.json_values import BrokenJson, canonical, parsed
from .endpoint import Calls, Paired
from .ids import Ids
from .reading import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .ids import Keys


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


def _read(call: Any) -> Call | None:
    read = read_call(call)
    return Call(str(call.get("id") or ""), *read) if read else None


CALLS: Final = Calls(
    listed="tool_calls",
    cites="tool_call_id",
    tool_of=tool_of,
    meaning_of=meaning_of,
    read=_read,
    names=(".function.name", ".custom.name"),
)

PAIRED_CALLS: Final = {"**.tool_calls": Paired((meaning_of, tool_of), named=tool_of)}


def _keys_in(value: Mapping[str, Any], under: str) -> Keys:
    if under == "tool_calls":
        return _MADE
    if under == "reasoning_details":
        return _REASONED
    return _CITED if under and "tool_call_id" in value else ()


_MADE: Final[Keys] = (("id", "made"),)
_CITED: Final[Keys] = (("tool_call_id", "cited"),)
_REASONED: Final[Keys] = (("id", "made"), ("data", "sealed"), ("signature", "sealed"))


IDS: Final = Ids(_keys_in, word="call")

ARGUMENTS: Final = (
    "**.tool_calls[*].function.arguments",
    "**.function_call.arguments",
    "**.executed_tools[*].arguments",
)
"""Where what a tool is given stands, as JSON in a string."""
