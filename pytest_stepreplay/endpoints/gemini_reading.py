"""Gemini's requests and answers, read as a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..texts import plural
from ..wire import vectors
from . import gemini_parts
from .chat_reading import named_part
from .reading import Call, Reading, Remark, Tokens, number, object_of, objects_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def _asked(body: Mapping[str, Any]) -> tuple[Remark, ...] | None:
    contents = body.get("contents")
    if not isinstance(contents, list) or not all(isinstance(it, dict) for it in contents):
        return None
    before = object_of(body.get("systemInstruction"))
    said = [Remark("system", _text_of(before))] if before else []
    return (*said, *(remark for content in contents for remark in _remarks(content)))


def _answered(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
    candidates = objects_of(tree.get("candidates"))
    return tuple(
        remark
        for it in candidates
        for remark in _remarks(
            object_of(it.get("content")), str(it.get("index", 0)) if len(candidates) > 1 else ""
        )
    )


def _remarks(content: Mapping[str, Any], label: str = "") -> Iterator[Remark]:
    """Yields what a content says: the results of tools each by itself, all else at once."""
    parts = objects_of(content.get("parts"))
    for part in parts:
        result = object_of(part.get("functionResponse"))
        if result:
            cited = str(result.get("id") or result.get("name") or "")
            yield Remark("tool", str(result.get("response")), cites=cited, label=label)
    others = [part for part in parts if "functionResponse" not in part]
    if others or not parts:
        yield Remark(
            role=str(content.get("role") or "model"),
            text=_text_of({"parts": [it for it in others if not it.get("thought")]}),
            reasoning=tuple(str(it["text"]) for it in others if it.get("thought") and it.get("text")),
            calls=tuple(call for call in map(gemini_parts.read, others) if isinstance(call, Call)),
            label=label,
        )


def _text_of(content: Mapping[str, Any]) -> str:
    return "\n".join(text for part in objects_of(content.get("parts")) if (text := _text_of_part(part)))


def _text_of_part(part: Mapping[str, Any]) -> str:
    if isinstance(part.get("text"), str):
        return str(part["text"])
    if "functionCall" in part:
        return ""
    kind = next((key for key in part if key != "thoughtSignature"), "part")
    held = object_of(part.get(kind))
    return named_part(str(held.get("mimeType") or kind), held.get("fileUri"))


def _end(tree: Mapping[str, Any]) -> str:
    candidates = objects_of(tree.get("candidates"))
    told = list(dict.fromkeys(str(it["finishReason"]) for it in candidates if it.get("finishReason")))
    blocked = object_of(tree.get("promptFeedback")).get("blockReason")
    told += [f"the prompt was blocked: {blocked}"] if blocked else []
    return ", ".join(told) or "without a finish reason"


def tokens_in(tree: Mapping[str, Any]) -> Tokens | None:
    """Returns what an answer cost, or what a chunk says of it; in a stream the last such chunk is right."""
    usage = tree.get("usageMetadata")
    if not isinstance(usage, dict):
        return None
    thoughts, said = number(usage, "thoughtsTokenCount"), number(usage, "candidatesTokenCount")
    output = None if said is None and thoughts is None else (said or 0) + (thoughts or 0)
    return Tokens(
        number(usage, "promptTokenCount"),
        output,
        number(usage, "totalTokenCount"),
        number(usage, "cachedContentTokenCount"),
        thoughts,
    )


def _to_embed(body: Mapping[str, Any]) -> tuple[Remark, ...] | None:
    asked = objects_of(body.get("requests"))
    contents = [object_of(it.get("content")) for it in asked or (body,)]
    return tuple(Remark("input", _text_of(it)) for it in contents) if any(contents) else None


def _embedded(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
    held = objects_of(tree.get("embeddings")) or [object_of(tree.get("embedding"))]
    return tuple(Remark("vector", str(vectors.Vector.read(it.get("values")) or "no vector")) for it in held)


READING: Final = Reading(_asked, _answered, _end)
EMBEDDINGS: Final = Reading(
    _to_embed, _embedded, lambda tree: plural(len(_embedded(tree)), "embedding"), ("content", "requests")
)
