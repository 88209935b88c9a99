"""The events of a streamed response -> the response that they describe.

Source: OpenAI's API reference, "Streaming events" of responses. The last event of a stream holds the whole response;
one that breaks off before is put together from its items. Events of types that nobody documented are kept.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from .messages_stream import OTHERS
from .reading import object_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX: Final = "response."

_TEXTS: Final = {
    "output_text": ("content", "text", "output_text"),
    "refusal": ("content", "refusal", "refusal"),
    "reasoning_text": ("content", "text", "reasoning_text"),
    "reasoning_summary_text": ("summary", "text", "summary_text"),
}
"""Texts of parts: the list that the part stands in, its key, and the type of the part."""

_FIELDS: Final = {
    "function_call_arguments": "arguments",
    "mcp_call_arguments": "arguments",
    "custom_tool_call_input": "input",
    "code_interpreter_call_code": "code",
}
"""Texts of an item itself, by the key under which it holds them."""

_PARTS: Final = {"content_part": "content", "reasoning_part": "content", "reasoning_summary_part": "summary"}
_WHOLE: Final = frozenset(
    {"created", "queued", "in_progress", "completed", "failed", "incomplete", "cancelled"}
)
_LAST: Final = frozenset({"completed", "failed", "incomplete", "cancelled"})
_STATES: Final = frozenset(
    {"in_progress", "searching", "interpreting", "generating", "compacting", "completed", "failed"}
)
_PADDING: Final = frozenset({"sequence_number", "obfuscation"})


def fold(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the response that the events of a stream describe.

    What breaks the documented shape is kept as far as it can be: nothing is raised. An error in the stream stays as
    `error`; without a last event, `status` is what it was.
    """
    growing = _GrowingResponse()
    for event in events:
        growing.add(event)
    return growing.value()


class _GrowingResponse:
    """One response that arrives in events."""

    def __init__(self) -> None:
        self._response: dict[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._audio: dict[str, str] = {}
        self._others: list[Any] = []
        self._ended = False

    def add(self, event: Mapping[str, Any]) -> None:
        kind = event.get("type")
        name = kind.removeprefix(PREFIX) if isinstance(kind, str) and kind.startswith(PREFIX) else None
        if name in _WHOLE and isinstance(event.get("response"), dict):
            told = copy.deepcopy(event["response"])
            self._response |= {
                key: it for key, it in told.items() if it is not None or key not in self._response
            }
            self._ended = self._ended or name in _LAST
        elif name is not None and self._add_part(name, event):
            pass
        elif kind == "error" or (name is None and "error" in event):
            self._response["error"] = _error_of(event.get("error", event))
        else:
            self._others.append({key: it for key, it in event.items() if key not in _PADDING})

    def _add_part(self, name: str, event: Mapping[str, Any]) -> bool:
        """Adds what an event says of an item; says whether its type is known."""
        what, _, step = name.rpartition(".")
        if what == "output_item":
            place = self._place_of(event)
            told = copy.deepcopy(object_of(event.get("item")))
            self._items[place] = _with_parts(told, self._items.get(place))
        elif what in _PARTS:
            self._part(event, _PARTS[what], "").update(copy.deepcopy(object_of(event.get("part"))))
        elif what in _TEXTS:
            listed, key, sort = _TEXTS[what]
            part = self._part(event, listed, sort)
            part[key] = (
                _grown(part.get(key), event.get("delta"))
                if step == "delta"
                else event.get(key, part.get(key))
            )
        elif what in _FIELDS:
            item, key = self._item(event), _FIELDS[what]
            item[key] = (
                _grown(item.get(key), event.get("delta"))
                if step == "delta"
                else event.get(key, item.get(key))
            )
        elif what == "output_text.annotation":
            part = self._part(event, "content", "output_text")
            held = part.get("annotations")
            part["annotations"] = [*(held if isinstance(held, list) else ()), event.get("annotation")]
        elif what in ("audio", "audio.transcript"):
            key = "transcript" if what.endswith("transcript") else "data"
            if step == "delta":
                self._audio[key] = self._audio.get(key, "") + str(event.get("delta") or "")
        elif what == "shell_call_command":
            self._command(event, step)
        elif what == "shell_call_output_content":
            self._output(event, step)
        elif step == "partial_image":
            pass  # the whole image comes at the end
        elif step in _STATES and (what.endswith("_call") or what in ("mcp_list_tools", "compaction")):
            if what.endswith("_call"):
                self._item(event)["status"] = step
        else:
            return False
        return True

    @staticmethod
    def _place_of(event: Mapping[str, Any], key: str = "output_index") -> int:
        place = event.get(key)
        return place if isinstance(place, int) and place >= 0 else 0

    def _item(self, event: Mapping[str, Any]) -> dict[str, Any]:
        named = {"id": event["item_id"]} if isinstance(event.get("item_id"), str) else {}
        return self._items.setdefault(self._place_of(event), named)

    def _part(self, event: Mapping[str, Any], listed: str, sort: str) -> dict[str, Any]:
        key = "summary_index" if listed == "summary" else "content_index"
        started: dict[str, Any] = {"type": sort} if sort else {}
        return _entry(self._item(event), listed, self._place_of(event, key), started)

    def _command(self, event: Mapping[str, Any], step: str) -> None:
        action = self._item(event).setdefault("action", {})
        if not isinstance(action, dict):
            return
        commands = action.setdefault("commands", [])
        place = self._place_of(event, "command_index")
        if isinstance(commands, list) and place <= len(commands):
            if place == len(commands):
                commands.append("")
            told = (
                _grown(commands[place], event.get("delta")) if step == "delta" else event.get("command", "")
            )
            commands[place] = told

    def _output(self, event: Mapping[str, Any], step: str) -> None:
        item = self._item(event)
        if step == "done":
            item["output"] = copy.deepcopy(event.get("output"))
            return
        entry = _entry(item, "output", self._place_of(event, "command_index"), {})
        for key, piece in object_of(event.get("delta")).items():
            entry[key] = _grown(entry.get(key), piece)

    def value(self) -> dict[str, Any]:
        """Returns the response so far."""
        whole: dict[str, Any] = {"object": "response", "output": []}
        whole |= self._response
        told = whole.get("output")
        if self._items and not (self._ended and told):
            whole["output"] = [self._items[place] for place in sorted(self._items)]
        elif isinstance(told, list):
            whole["output"] = [_with_parts(each, self._items.get(place)) for place, each in enumerate(told)]
        whole |= {"audio": dict(self._audio)} if self._audio else {}
        return whole | ({OTHERS: self._others} if self._others else {})


def _with_parts(item: Any, before: dict[str, Any] | None) -> Any:
    """Returns a whole item with the parts that came before it, where it has none: StepFun's thoughts come so."""
    if before is None or not isinstance(item, dict) or item.get("id") != before.get("id"):
        return item
    kept = {key: before[key] for key in ("content", "summary") if before.get(key) and not item.get(key)}
    return {**item, **kept} if kept else item


def _error_of(told: Any) -> Any:
    """Returns an error as a response has it, from the event that tells it."""
    if not isinstance(told, dict):
        return told
    framed = _PADDING | ({"type"} if told.get("type") == "error" else frozenset())
    return {key: it for key, it in told.items() if key not in framed and it is not None}


def _entry(holder: dict[str, Any], listed: str, place: int, started: dict[str, Any]) -> dict[str, Any]:
    """Returns an object in a list of an item; one that is not there yet is put there, behind the others."""
    entries = holder.get(listed)
    if not isinstance(entries, list):
        entries = holder[listed] = []
    if place < len(entries) and isinstance(entries[place], dict):
        held: dict[str, Any] = entries[place]
        return held
    entries.append(started)
    return started


def _grown(before: Any, piece: Any) -> Any:
    if not isinstance(piece, str):
        return before
    return (before if isinstance(before, str) else "") + piece
