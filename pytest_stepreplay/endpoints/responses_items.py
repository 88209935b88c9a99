"""Items of responses: calls of tools and their results, messages and thoughts, and the ids in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..wire.json_values import BrokenJson, canonical, parsed
from .endpoint import Calls, Paired
from .ids import Ids
from .reading import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .ids import Keys

_GIVEN: Final = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "mcp_call": "arguments",
    "mcp_approval_request": "arguments",
    "web_search_call": "action",
    "file_search_call": "queries",
    "computer_call": "action",
    "code_interpreter_call": "code",
    "image_generation_call": "action",
    "local_shell_call": "action",
    "shell_call": "action",
    "apply_patch_call": "operation",
    "tool_search_call": "arguments",
    "program": "code",
}
"""What a tool is given, by the type of the call: built-in tools have no other name."""

LISTED: Final = ("input", "output", "items", "data", "item", "response")
"""The keys under which items stand: in requests, in answers, in what a conversation holds, and in events."""


def type_of(item: Any) -> str:
    """Returns the type of an item; a message may leave it out."""
    kind = item.get("type") if isinstance(item, dict) else None
    if isinstance(kind, str):
        return kind
    return "message" if isinstance(item, dict) and "role" in item else ""


def is_call(item: Mapping[str, Any]) -> bool:
    """Says whether an item calls a tool."""
    kind = type_of(item)
    return kind in _GIVEN or kind.endswith("_call")


def is_result(item: Mapping[str, Any]) -> bool:
    """Says whether an item is the result of a call."""
    kind = type_of(item)
    return kind.endswith("_output") or kind == "mcp_approval_response"


def read(item: Any) -> Call | None:
    """Returns the call that an item makes; None where it makes none."""
    if not isinstance(item, dict) or not is_call(item):
        return None
    kind = type_of(item)
    named = item.get("name")
    tool = named if isinstance(named, str) and named else kind.removesuffix("_call")
    given = item.get(_GIVEN.get(kind, ""), item.get("actions"))
    return Call(str(item.get("call_id") or item.get("id") or ""), tool, given)


def tool_of(item: Any) -> str:
    """Returns the name of the tool that an item calls."""
    call = read(item)
    return call.tool if call else "a call without a name"


def meaning_of(item: Any) -> tuple[str, str]:
    """Returns the tool and what it is given, equal for calls that mean the same."""
    call = read(item)
    given = call.given if call else item
    value = parsed(given) if isinstance(given, str) and type_of(item) != "custom_tool_call" else given
    return tool_of(item), str(given) if isinstance(value, BrokenJson) else canonical(value)


def _named(item: Any) -> str:
    return tool_of(item) if isinstance(item, dict) and is_call(item) else type_of(item)


def _whole(item: Any) -> Any:
    if isinstance(item, dict) and is_call(item):
        return meaning_of(item)
    told = (item.get("content"), item.get("summary")) if isinstance(item, dict) else item
    return type_of(item), canonical(told)


def _keys_in(item: Mapping[str, Any], under: str) -> Keys:
    if not under:  # the body of a request, or an answer
        given: Keys = (("id", "made"),) if item.get("object") in ("response", "conversation") else ()
        return (*given, ("previous_response_id", "cited"), ("conversation", "cited"))
    if under in _BELOW:
        return _BELOW[under]
    if under not in LISTED:
        return ()
    kind = type_of(item)
    if kind == "item_reference":
        return (("id", "cited"),)
    call: Keys = (("call_id", "cited" if is_result(item) else "made"), ("approval_request_id", "cited"))
    image: Keys = (("result", "sealed"),) if kind == "image_generation_call" else ()
    return (("id", "made"), *call, *_SEALED, *image)


_BELOW: Final[dict[str, Keys]] = {
    "conversation": (("id", "cited"),),
    "content": (("file_id", "cited"),),
    "annotations": (("file_id", "cited"), ("container_id", "sealed")),
    "results": (("file_id", "cited"),),
    "caller": (("caller_id", "cited"),),
    "tools": (("vector_store_ids", "cited"), ("container", "cited")),
}
"""The ids in what stands below an item, or beside the items, by its key."""

_SEALED: Final[Keys] = (
    ("encrypted_content", "sealed"),
    ("container_id", "sealed"),
    ("fingerprint", "sealed"),
)

CALLS: Final = Calls(
    listed="output",
    cites="call_id",
    tool_of=tool_of,
    meaning_of=meaning_of,
    read=read,
    names=(".name",),
    key="call_id",
    is_call=is_call,
)

PAIRED_ITEMS: Final = Paired((_whole, _named, type_of), named=_named)

IDS: Final = Ids(_keys_in, are_kept=True)
