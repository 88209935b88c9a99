"""How a message can be changed, and how it is streamed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from .altering import Altering, CallPlace, EndPlace, streamed_pieces
from .reading import object_of, objects_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Tree = dict[str, Any]

_DELTAS: Final = {"text": "text_delta", "thinking": "thinking_delta"}


def _refused(answer: Tree, _text: str) -> Tree:
    """Anthropic's API reference, "Handling stop reasons": what was said before the refusal is not to be used."""
    return answer | {"content": [], "stop_reason": "refusal"}


def _unfold(answer: Tree, _chunks: Sequence[Mapping[str, Any]]) -> list[Tree]:
    usage = object_of(answer.get("usage"))
    ended = {"stop_reason": answer.get("stop_reason"), "stop_sequence": answer.get("stop_sequence")}
    started = {**answer, "content": [], "stop_reason": None, "stop_sequence": None}
    if "usage" in answer:
        started["usage"] = {**usage, "output_tokens": 1} if "output_tokens" in usage else usage
    events: list[Tree] = [{"type": "message_start", "message": started}]
    for index, block in enumerate(objects_of(answer.get("content"))):
        events += _block_events(index, block)
    last: Tree = {"type": "message_delta", "delta": ended}
    if "usage" in answer:
        last["usage"] = usage
    return [*events, last, {"type": "message_stop"}]


def _block_events(index: int, block: Tree) -> Iterator[Tree]:
    where = {"type": "content_block_delta", "index": index}
    empty: Tree = {}
    deltas: list[Tree] = []
    for key, sort in _DELTAS.items():
        if isinstance(block.get(key), str):
            empty[key] = ""
            deltas += [{"type": sort, key: piece} for piece in streamed_pieces(block[key])]
    if "input" in block:
        given = block["input"]
        text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        empty["input"] = {}
        deltas += [{"type": "input_json_delta", "partial_json": piece} for piece in streamed_pieces(text)]
    if "signature" in block:
        empty["signature"] = ""
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
    yield from ({**where, "delta": delta} for delta in deltas)
    yield {"type": "content_block_stop", "index": index}


ALTERING: Final = Altering(
    calls=(CallPlace("content[*]", ("name",), ("input",)),),
    ends=(EndPlace("stop_reason", ("max_tokens", "end_turn")),),
    usage="usage",
    refused=_refused,
    filtered=lambda answer: _refused(answer, ""),
    unfold=_unfold,
)
