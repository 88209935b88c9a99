"""Tool use, as content blocks of messages write it: what is called, with what, and which calls mean the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..wire.json_values import canonical
from .endpoint import Calls, Paired
from .ids import Ids
from .reading import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .ids import Keys


def is_call(block: Mapping[str, Any]) -> bool:
    """Says whether a content block calls a tool, of the client's or of the server's: ``tool_use`` and its like."""
    kind = block.get("type")
    return isinstance(kind, str) and kind.endswith("tool_use")


def is_result(block: Mapping[str, Any]) -> bool:
    """Says whether a content block is the result of a tool, the client's or the server's."""
    kind = block.get("type")
    return isinstance(kind, str) and kind.endswith("tool_result")


def read(block: Any) -> Call | None:
    """Returns the call that a content block makes; None where it makes none."""
    if not isinstance(block, dict) or not is_call(block) or not isinstance(block.get("name"), str):
        return None
    return Call(str(block.get("id") or ""), block["name"], block.get("input"))


def tool_of(block: Any) -> str:
    """Returns the name of the tool that a content block calls."""
    call = read(block)
    return call.tool if call else "a call without a name"


def meaning_of(block: Any) -> tuple[str, str]:
    """Returns the tool and its input, equal for calls that mean the same."""
    return tool_of(block), canonical(block.get("input") if isinstance(block, dict) else block)


def _sort(block: Any) -> Any:
    return block.get("type") if isinstance(block, dict) else type(block).__name__


def _named(block: Any) -> str:
    return tool_of(block) if isinstance(block, dict) and is_call(block) else str(_sort(block))


def _whole(block: Any) -> Any:
    if isinstance(block, dict) and is_call(block):
        return meaning_of(block)
    text = (block.get("text"), block.get("thinking")) if isinstance(block, dict) else block
    return _sort(block), canonical(text)


def _keys_in(block: Mapping[str, Any], under: str) -> Keys:
    if under in _BELOW:
        return _BELOW[under]
    if under not in ("content", "content_block"):  # of a message, and of an event that starts one
        return ()
    kind = block.get("type")
    if kind in ("thinking", "redacted_thinking"):
        return ("signature", "sealed"), ("data", "sealed")
    if is_call(block):
        return (("id", "made"),)
    if "file_id" in block:
        return (("file_id", "sealed"),)
    return (("tool_use_id", "cited"),) if "tool_use_id" in block else ()


_BELOW: Final[dict[str, Keys]] = {
    "caller": (("tool_id", "cited"),),
    "source": (("file_id", "sealed"),),
    "citations": (("file_id", "sealed"),),
}
"""The ids in what stands below a block, by its key. A file may be another one, so its id counts in a request."""


CALLS: Final = Calls(
    listed="content",
    cites="tool_use_id",
    tool_of=tool_of,
    meaning_of=meaning_of,
    read=read,
    names=(".name",),
    is_call=is_call,
)

PAIRED_BLOCKS: Final = {"content": Paired((_whole, _named, _sort), named=_named)}

IDS: Final = Ids(_keys_in, word="call")
