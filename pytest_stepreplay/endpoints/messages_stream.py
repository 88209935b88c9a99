"""The events of a streamed message -> the message that they describe.

Source: Anthropic's API reference, "Streaming messages". Events of types that nobody documented are kept.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final

from .reading import object_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STARTS: Final = "message_start"
EVENTS: Final = frozenset(
    {
        STARTS,
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
    }
)

OTHERS: Final = "other_events"
"""The key under which events stand that nobody documented."""


def fold(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the message that the events of a stream describe.

    Texts and thoughts are joined, and so is the input of a tool, which is read as JSON then; broken JSON stays text.
    Counts in the usage are cumulative, so the last one counts. What breaks the documented shape is kept as far as it
    can be: nothing is raised. Without the last event, `stop_reason` stays null.
    """
    growing = _GrowingMessage()
    for event in events:
        growing.add(event)
    return growing.value()


class _GrowingMessage:
    """One message that arrives in events."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, list[str]] = {}
        self._others: list[Any] = []

    def add(self, event: Mapping[str, Any]) -> None:
        kind = event.get("type")
        if kind == STARTS:
            self._message |= copy.deepcopy(object_of(event.get("message")))
        elif kind == "content_block_start":
            self._blocks[self._place_of(event)] = copy.deepcopy(object_of(event.get("content_block")))
        elif kind == "content_block_delta":
            self._grow(self._place_of(event), object_of(event.get("delta")))
        elif kind == "message_delta":
            self._message |= {k: v for k, v in object_of(event.get("delta")).items() if v is not None}
            self._message |= {
                k: v for k, v in event.items() if k not in ("type", "delta", "usage") and v is not None
            }
            told = {k: v for k, v in object_of(event.get("usage")).items() if v is not None}
            if told:
                self._message["usage"] = object_of(self._message.get("usage")) | told
        elif "error" in event:
            self._message["error"] = event["error"]
        elif not isinstance(kind, str) or kind not in EVENTS:
            self._others.append(dict(event))

    def _place_of(self, event: Mapping[str, Any]) -> int:
        index = event.get("index")
        return index if isinstance(index, int) else max(self._blocks, default=0)

    def _grow(self, place: int, delta: Mapping[str, Any]) -> None:
        block = self._blocks.setdefault(place, {"type": _KINDS.get(str(delta.get("type")), "text")})
        for key, piece in delta.items():
            if key == "type":
                continue
            if key == "partial_json" and isinstance(piece, str):
                self._inputs.setdefault(place, []).append(piece)
            elif key == "citation":
                held = block.get("citations")
                block["citations"] = [*(held if isinstance(held, list) else ()), piece]
            elif key in ("text", "thinking") and isinstance(piece, str):
                before = block.get(key)
                block[key] = (before if isinstance(before, str) else "") + piece
            else:
                block[key] = piece

    def value(self) -> dict[str, Any]:
        """Returns the message so far."""
        for place, pieces in self._inputs.items():
            text = "".join(pieces)
            if text:
                self._blocks[place]["input"] = _parsed(text)
        whole: dict[str, Any] = {"type": "message", "role": "assistant", "content": [], "stop_reason": None}
        whole |= self._message
        if self._blocks:
            started = whole["content"] if isinstance(whole["content"], list) else []
            whole["content"] = [*started, *(self._blocks[place] for place in sorted(self._blocks))]
        return whole | ({OTHERS: self._others} if self._others else {})


_KINDS: Final = {
    "input_json_delta": "tool_use",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
