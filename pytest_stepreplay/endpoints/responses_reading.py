"""A response and its request, read as a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..texts import plural
from . import responses_items as items
from .chat_reading import named_part, text_of
from .reading import Reading, Remark, Tokens, number, object_of, objects_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def _asked(body: Mapping[str, Any]) -> tuple[Remark, ...] | None:
    said = body.get("input", body.get("items"))
    told = body.get("instructions")
    first = (Remark("system", told),) if isinstance(told, str) and told else ()
    if isinstance(said, str):
        return (*first, Remark("user", said))
    if said is None and first:
        return first
    if not isinstance(said, list) or not all(isinstance(it, dict) for it in said):
        return None
    return (*first, *(remark for it in said for remark in _remarks(it)))


def _answered(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
    held = tree.get("output", tree.get("data"))
    return tuple(remark for it in objects_of(held) for remark in _remarks(it))


def _remarks(item: dict[str, Any]) -> Iterator[Remark]:
    kind = items.type_of(item)
    if kind == "message":
        parts = item.get("content")
        refused = [part for part in objects_of(parts) if part.get("type") == "refusal"]
        rest = [part for part in parts if part not in refused] if isinstance(parts, list) else parts
        yield Remark(
            role=str(item.get("role") or "?"),
            text=_text_of(rest),
            refusal="\n".join(str(part.get("refusal") or "") for part in refused),
        )
    elif items.is_result(item):
        told = item.get("output", item.get("result", item.get("approve")))
        cites = item.get("call_id") or item.get("approval_request_id") or ""
        yield Remark("tool", told if isinstance(told, str) else _text_of(told), cites=str(cites))
    elif call := items.read(item):
        yield Remark("assistant", calls=(call,))
    elif kind == "reasoning":
        thoughts = [*objects_of(item.get("summary")), *objects_of(item.get("content"))]
        yield Remark("", reasoning=tuple(str(each["text"]) for each in thoughts if each.get("text")))
    else:
        yield Remark("", reasoning=(named_part(kind or "?"),))


def _text_of(content: Any) -> str:
    return text_of(content, lambda part: part.get("image_url", part.get("file_url")))


def _end(tree: Mapping[str, Any]) -> str:
    status = tree.get("status")
    why = object_of(tree.get("incomplete_details")).get("reason")
    told = str(status) if status else "without a status"
    return f"{told} ({why})" if why else told


def tokens_in(tree: Mapping[str, Any]) -> Tokens | None:
    """Returns what a response cost, or what an event of a stream says of it."""
    usage = tree.get("usage", object_of(tree.get("response")).get("usage"))
    if not isinstance(usage, dict):
        return None
    return Tokens(
        number(usage, "input_tokens"),
        number(usage, "output_tokens"),
        number(usage, "total_tokens"),
        number(usage.get("input_tokens_details"), "cached_tokens"),
        number(usage.get("output_tokens_details"), "reasoning_tokens"),
    )


READING: Final = Reading(_asked, _answered, _end)
ITEMS: Final = Reading(
    _asked,
    _answered,
    lambda tree: plural(len(objects_of(tree["data"])), "item") if "data" in tree else str(tree.get("id")),
)
