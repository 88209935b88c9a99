"""A chat completion and its request, read as a conversation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from .chat_calls import read_call
from .reading import Call, Reading, Remark, Tokens, number, object_of, objects_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _asked(body: Mapping[str, Any]) -> tuple[Remark, ...] | None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(it, dict) for it in messages):
        return None
    return tuple(_remark(it) for it in messages)


def _answered(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
    choices = objects_of(tree.get("choices"))
    return tuple(
        _remark(it["message"], str(it.get("index")) if len(choices) > 1 else "")
        for it in choices
        if isinstance(it.get("message"), dict)
    )


def _remark(message: dict[str, Any], label: str = "") -> Remark:
    cites = message.get("tool_call_id")
    return Remark(
        role=str(message.get("role") or "?"),
        text=_text_of(message.get("content")),
        reasoning=tuple(
            _text_of(message[key]) for key in ("reasoning", "reasoning_content") if message.get(key)
        ),
        refusal=_text_of(message.get("refusal")),
        calls=tuple(_calls(message)),
        cites=str(cites or "") if cites or message.get("role") == "tool" else None,
        label=label,
    )


def _calls(message: dict[str, Any]) -> list[Call]:
    made = message.get("tool_calls")
    found = []
    for call in made if isinstance(made, list) else ():
        held = object_of(call)
        unnamed = str(held.get("type") or "?"), object_of(held.get("function")).get("arguments")
        name, given = read_call(call) or unnamed
        found.append(Call(str(held.get("id") or ""), name, given))
    legacy = object_of(message.get("function_call"))
    if legacy:
        found.append(Call("", str(legacy.get("name")), legacy.get("arguments")))
    return found


def text_of(content: Any, url_of: Callable[[dict[str, Any]], Any]) -> str:
    """Returns the text of a message's content; parts that are no text are named.

    Args:
        content: a text, or a list of parts.
        url_of: returns the address of a part that has one.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        return json.dumps(content, ensure_ascii=False)
    parts = map(object_of, content)
    return "\n".join(
        it["text"] if isinstance(it.get("text"), str) else named_part(str(it.get("type")), url_of(it))
        for it in parts
    )


def _text_of(content: Any) -> str:
    return text_of(content, _url_of)


def _url_of(part: dict[str, Any]) -> Any:
    held = part.get(str(part.get("type")))
    return held.get("url") if isinstance(held, dict) else held


def named_part(kind: str, url: Any = None) -> str:
    """Returns what stands for a part that is no text: its kind, and its address where it has one."""
    if isinstance(url, str):
        return f"[{kind} {url if len(url) <= 80 else f'{url[:60]}… ({len(url):,} characters)'}]"
    return f"[{kind}]"


def end_of(tree: Mapping[str, Any]) -> str:
    """Returns why the choices of a completion ended."""
    found = (it.get("finish_reason") for it in objects_of(tree.get("choices")))
    reasons = dict.fromkeys(str(reason) for reason in found if reason)
    return ", ".join(reasons) or "without a finish reason"


def tokens_in(tree: Mapping[str, Any]) -> Tokens | None:
    """Returns what a completion cost, or what a chunk says of it; in a stream the last such chunk is right."""
    usage = tree.get("usage")
    if not isinstance(usage, dict):
        return None
    cached = number(usage, "cached_tokens")
    asked, answered = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    return Tokens(
        number(usage, "prompt_tokens"),
        number(usage, "completion_tokens"),
        number(usage, "total_tokens"),
        number(asked, "cached_tokens") if cached is None else cached,
        number(answered, "reasoning_tokens"),
    )


READING: Final = Reading(_asked, _answered, end_of)
