"""How a response can be changed, and the events of its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .altering import Altering, CallPlace, EndPlace, streamed_pieces
from .reading import objects_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Tree = dict[str, Any]

_PARTS: Final = {
    "output_text": ("output_text", "text"),
    "refusal": ("refusal", "refusal"),
    "reasoning_text": ("reasoning_text", "text"),
    "summary_text": ("reasoning_summary_text", "text"),
}
"""By the type of a part: what its events are called, and the key of its text."""

_FIELDS: Final = {
    "function_call": ("function_call_arguments", "arguments"),
    "mcp_call": ("mcp_call_arguments", "arguments"),
    "custom_tool_call": ("custom_tool_call_input", "input"),
    "code_interpreter_call": ("code_interpreter_call_code", "code"),
}
"""The same of items that hold a text themselves."""

_LISTS: Final = (
    ("content", "content_part", "content_index"),
    ("summary", "reasoning_summary_part", "summary_index"),
)


def _refused(answer: Tree, text: str) -> Tree:
    message = {
        "id": "msg_refused",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "refusal", "refusal": text}],
    }
    return answer | {"output": [message]}


def _filtered(answer: Tree) -> Tree:
    return answer | {
        "status": "incomplete",
        "incomplete_details": {"reason": "content_filter"},
        "output": [each for each in objects_of(answer.get("output")) if each.get("type") == "reasoning"],
    }


def _unfold(answer: Tree, _chunks: Sequence[Mapping[str, Any]]) -> list[Tree]:
    started = {**answer, "status": "in_progress", "output": []}
    for key in ("usage", "incomplete_details", "completed_at"):
        if key in answer:
            started[key] = None
    events = [{"type": f"response.{step}", "response": started} for step in ("created", "in_progress")]
    for index, item in enumerate(objects_of(answer.get("output"))):
        events += _item_events(index, item)
    events.append({"type": f"response.{answer.get('status') or 'completed'}", "response": answer})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _item_events(index: int, item: Tree) -> Iterator[Tree]:
    where: Tree = {"output_index": index}
    here = where | ({"item_id": item["id"]} if "id" in item else {})
    kind = str(item.get("type"))
    empty: Tree = {key: [] for key, _, _ in _LISTS if item.get(key)}
    if "status" in item:
        empty["status"] = "in_progress"
    told, field = _FIELDS.get(kind, ("", ""))
    text = item.get(field)
    if isinstance(text, str):
        empty[field] = ""
    yield {"type": "response.output_item.added", **where, "item": {**item, **empty}}
    if isinstance(text, str):
        for piece in streamed_pieces(text):
            yield {"type": f"response.{told}.delta", **here, "delta": piece}
        yield {"type": f"response.{told}.done", **here, "name": item.get("name"), field: text}
    for listed, named, counted in _LISTS:
        for place, part in enumerate(objects_of(item.get(listed))):
            yield from _part_events(named, part, here | {counted: place})
    yield {"type": "response.output_item.done", **where, "item": item}


def _part_events(named: str, part: Tree, here: Tree) -> Iterator[Tree]:
    told, key = _PARTS.get(str(part.get("type")), ("", ""))
    text = part.get(key)
    empty = {key: ""} if isinstance(text, str) else {}
    yield {"type": f"response.{named}.added", **here, "part": {**part, **empty}}
    if isinstance(text, str):
        logged: Tree = {"logprobs": []} if told == "output_text" else {}
        for piece in streamed_pieces(text):
            yield {"type": f"response.{told}.delta", **here, "delta": piece, **logged}
        yield {"type": f"response.{told}.done", **here, key: text, **logged}
    yield {"type": f"response.{named}.done", **here, "part": part}


ALTERING: Final = Altering(
    calls=(
        CallPlace("output[*]", ("name",), ("arguments",), id="call_id"),
        CallPlace("output[*]", ("name",), ("input",), id="call_id"),
    ),
    ends=(
        EndPlace(
            "status",
            ("incomplete", "completed"),
            {"incomplete_details": {"reason": "max_output_tokens"}},
        ),
    ),
    usage="usage",
    refused=_refused,
    filtered=_filtered,
    unfold=_unfold,
)
