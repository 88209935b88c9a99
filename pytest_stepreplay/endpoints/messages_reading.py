"""A message and its request, read as a conversation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from . import messages_calls
from .chat_reading import text_of
from .reading import Reading, Remark, Tokens, number, object_of, objects_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def _asked(body: Mapping[str, Any]) -> tuple[Remark, ...] | None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(it, dict) for it in messages):
        return None
    system = _text_of(body.get("system"))
    first = (Remark("system", system),) if system else ()
    return (*first, *(remark for it in messages for remark in _remarks(it)))


def _answered(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
    return tuple(_remarks(tree))


def _remarks(message: Mapping[str, Any]) -> Iterator[Remark]:
    """Yields the results in a message, each a remark, and what else it says as one."""
    role, content = str(message.get("role") or "?"), message.get("content")
    blocks = objects_of(content)
    results = [block for block in blocks if messages_calls.is_result(block)]
    for block in results:
        yield Remark("tool", _text_of(block.get("content")), cites=str(block.get("tool_use_id") or ""))
    if results and len(results) == len(blocks):
        return
    thoughts = [block for block in blocks if block.get("type") in ("thinking", "redacted_thinking")]
    others = [block for block in blocks if block not in thoughts and block not in results]
    refused = message.get("stop_reason") == "refusal"
    details = object_of(message.get("stop_details"))
    yield Remark(
        role=role,
        text=_text_of(
            [block for block in others if not messages_calls.is_call(block)] if blocks else content
        ),
        reasoning=tuple(str(block.get("thinking") or "[redacted]") for block in thoughts),
        refusal=str(details.get("explanation") or details.get("category") or "without a reason")
        if refused
        else "",
        calls=tuple(call for block in others if (call := messages_calls.read(block))),
    )


def _text_of(content: Any) -> str:
    return text_of(content, lambda block: object_of(block.get("source")).get("url"))


def _end(tree: Mapping[str, Any]) -> str:
    reason, sequence = tree.get("stop_reason"), tree.get("stop_sequence")
    told = str(reason) if reason else "without a stop reason"
    return f"{told} ({json.dumps(sequence, ensure_ascii=False)})" if isinstance(sequence, str) else told


def tokens_in(tree: Mapping[str, Any]) -> Tokens | None:
    """Returns what a message cost, or what an event of a stream says of it.

    Tokens that were read from a cache or put there are no part of `input_tokens`.
    """
    usage = tree.get("usage", object_of(tree.get("message")).get("usage"))
    if not isinstance(usage, dict):
        return None
    read, put = number(usage, "cache_read_input_tokens"), number(usage, "cache_creation_input_tokens")
    asked = number(usage, "input_tokens")
    whole = None if asked is None else asked + (read or 0) + (put or 0)
    thoughts = number(usage.get("output_tokens_details"), "thinking_tokens")
    return Tokens(whole, number(usage, "output_tokens"), cached=read, reasoning=thoughts)


def counted(tree: Mapping[str, Any]) -> str:
    """Returns how many tokens a request has, in words."""
    return f"{tree.get('input_tokens')} tokens"


READING: Final = Reading(_asked, _answered, _end)
COUNTING: Final = Reading(_asked, lambda _: (), counted)
