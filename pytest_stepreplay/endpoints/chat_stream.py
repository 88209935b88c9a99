"""The chunks of a streamed chat completion -> the completion that they describe, in every known dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .folding import CALLED, STATE, Growing, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What a delta brings is a piece, in whichever object of whichever server it stands.
_PIECES = Shape(
    joined=frozenset(
        {"text", "content", "thinking", "reasoning", "summary", "transcript", "data", "arguments", "input"}
    )
)
_FUNCTION = Shape(joined=frozenset({"name", "arguments"}), rest=STATE)
_CALL = Shape(
    joined=frozenset({"arguments", "input"}),
    first=frozenset({"id"}),
    nested={"function": _FUNCTION, "custom": Shape(joined=frozenset({"name", "input"}), rest=STATE)},
    rest=_PIECES,
)
# What a delta says of itself. Of a server that nobody has documented, any other text may be what the model wrote.
_STATED = frozenset(
    {
        "role",
        "type",
        "id",
        "name",
        "status",
        "state",
        "phase",
        "channel",
        "object",
        "model",
        "event",
        "format",
    }
    | {
        "provider",
        "recipient",
        "tool_call_id",
        "finish_reason",
        "stop_reason",
        "reasoning_signature",
        "signature",
    }
)
_MESSAGE = Shape(
    joined=frozenset({"content", "reasoning", "reasoning_content", "thinking", "refusal", "annotations"}),
    lists={
        "tool_calls": _CALL,
        "executed_tools": Shape(joined=frozenset({"arguments"}), rest=STATE),
        "reasoning_details": _PIECES,
    },
    nested={"function_call": _FUNCTION},
    rest=_PIECES,
    padding=frozenset({"obfuscation"}),
    stated=_STATED,
)
_LOGPROBS = frozenset({"content", "refusal"})
_CHOICE = Shape(
    nested={"delta": _MESSAGE, "logprobs": Shape(joined=_LOGPROBS)},
    rest=STATE,
)
_COMPLETION = Shape(
    first=frozenset({"id", "created", "model"}),
    lists={"choices": _CHOICE},
    rest=STATE,
    padding=frozenset({"obfuscation", "p"}),  # OpenAI's, Mistral's
)


def assemble(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Fold the chunks of one stream into the ``chat.completion`` object that they describe.

    Texts, the arguments of tool calls and the pieces of one content part are joined, and an object that comes
    in several chunks is one with all their keys. The last number in `usage` counts, since StepFun's is
    cumulative on every chunk. ``""`` and null never replace a value. A choice that never finished has
    `finish_reason` null. A field nobody documented is kept, with its last value; a text of one
    in a delta is joined, unless it is always the same or its name is that of a state, as `channel` is. An
    ``error`` in the stream stays as `error`. What breaks the documented shape is kept as far as it can be:
    nothing is raised, and judging it
    is not done here.

    Args:
        chunks: parsed ``chat.completion.chunk`` objects, as `wire.events.json_chunks_of` returns them.

    Returns:
        A new dict, JSON throughout.
    """
    growing = Growing(_COMPLETION)
    for chunk in chunks:
        growing.add(_numbered(chunk))
    completion = growing.value()
    completion["object"] = "chat.completion"
    choices = completion.get("choices") or []
    completion["choices"] = [_finished(it) for it in choices] if isinstance(choices, list) else choices
    return completion


def _numbered(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the chunk with an index on each choice; its place in the list where the server sent none."""
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return chunk
    numbered = [
        {**choice, "index": place} if isinstance(choice, dict) and choice.get("index") is None else choice
        for place, choice in enumerate(choices)
    ]
    return {**chunk, "choices": numbered}


def _finished(choice: Any) -> Any:
    """Return a choice of a completion for one that grew from deltas."""
    if not isinstance(choice, dict):
        return choice
    message: dict[str, Any] = {"role": "assistant", "content": None}
    delta, whole = choice.pop("delta", None), choice.pop("message", None)
    if isinstance(delta, dict):
        message |= {key: value for key, value in delta.items() if key != "role" or value}
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                call.pop("index", None)  # it joined the pieces; a documented tool call has none
                kind = next((kind for kind in CALLED if kind in call), None)
                if kind and not call.get("type"):
                    call["type"] = kind
    if isinstance(whole, dict):
        # Some servers end a stream with the whole message; it speaks for all the pieces before it.
        message |= {key: value for key, value in whole.items() if value not in (None, "")}
    reason = choice.pop("finish_reason", None) or None
    return {"index": choice.pop("index"), "message": message, "finish_reason": reason, **choice}
