"""How a chat completion, and the completion of a text, can be changed, and how they are streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .altering import Altering, CallPlace, EndPlace, streamed_pieces
from .reading import object_of, objects_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Tree = dict[str, Any]

_JOINED: Final = ("reasoning", "reasoning_content", "content", "refusal")
"""The texts of a message that arrive in pieces, in the order in which they come."""


def _with_messages(answer: Tree, reason: str, **fields: Any) -> Tree:
    """Returns an answer whose messages say something else, and nothing of what they did."""
    choices = [
        each | {"message": {"role": "assistant", "content": None, **fields}, "finish_reason": reason}
        for each in objects_of(answer.get("choices"))
    ]
    return answer | {"choices": choices}


def _refused(answer: Tree, text: str) -> Tree:
    return _with_messages(answer, "stop", refusal=text)


def _filtered(answer: Tree) -> Tree:
    return _with_messages(answer, "content_filter", content="")


def _unfold(answer: Tree, chunks: Sequence[Mapping[str, Any]]) -> list[Tree]:
    """Returns the chunks of a streamed completion; usage stands where it stood in the recorded ones."""
    head = {key: it for key, it in answer.items() if key not in ("choices", "usage", "object")}
    head = {**head, "object": "chat.completion.chunk"}
    grown = [
        {**head, "choices": [piece]}
        for choice in objects_of(answer.get("choices"))
        for piece in _pieces(choice)
    ]
    return _with_usage(grown, head, answer, chunks)


def _with_usage(
    grown: list[Tree], head: Tree, answer: Tree, chunks: Sequence[Mapping[str, Any]]
) -> list[Tree]:
    if "usage" not in answer:
        return grown
    apart = any(each.get("usage") and not each.get("choices") for each in chunks)
    if grown and not apart:
        return [*grown[:-1], grown[-1] | {"usage": answer["usage"]}]
    return [*grown, {**head, "choices": [], "usage": answer["usage"]}]


def _pieces(choice: Tree) -> Iterator[Tree]:
    """Yields a choice as its deltas."""
    where = {"index": choice.get("index", 0)}
    message = object_of(choice.get("message"))
    texts = {key: message[key] for key in _JOINED if isinstance(message.get(key), str) and message[key]}
    calls = objects_of(message.get("tool_calls"))
    first = {key: it for key, it in message.items() if key not in texts and key != "tool_calls"}
    yield {**where, "delta": {"role": "assistant", **first}, "finish_reason": None}
    for key, text in texts.items():
        for piece in streamed_pieces(text):
            yield {**where, "delta": {key: piece}, "finish_reason": None}
    for i, call in enumerate(calls):
        for part in _call_pieces({"index": i, **call}):
            yield {**where, "delta": {"tool_calls": [part]}, "finish_reason": None}
    rest = {key: it for key, it in choice.items() if key not in ("index", "message", "finish_reason")}
    yield {**where, "delta": {}, "finish_reason": choice.get("finish_reason"), **rest}


def _call_pieces(call: Tree) -> Iterator[Tree]:
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        yield call
        return
    yield {**call, "function": {**function, "arguments": ""}}
    for piece in streamed_pieces(function["arguments"]):
        yield {"index": call["index"], "function": {"arguments": piece}}


_REASONS: Final = (EndPlace("choices[*].finish_reason", ("length", "stop")),)

ALTERING: Final = Altering(
    calls=(
        CallPlace("choices[*].message.tool_calls[*]", ("function", "name"), ("function", "arguments")),
        CallPlace("choices[*].message.tool_calls[*]", ("custom", "name"), ("custom", "input")),
        CallPlace("choices[*].message.function_call", ("name",), ("arguments",), id=""),
    ),
    ends=_REASONS,
    alternatives="choices",
    usage="usage",
    refused=_refused,
    filtered=_filtered,
    unfold=_unfold,
)


def _filtered_text(answer: Tree) -> Tree:
    ended = {"text": "", "finish_reason": "content_filter"}
    return answer | {"choices": [each | ended for each in objects_of(answer.get("choices"))]}


def _unfold_text(answer: Tree, chunks: Sequence[Mapping[str, Any]]) -> list[Tree]:
    head = {key: it for key, it in answer.items() if key not in ("choices", "usage")}
    grown: list[Tree] = []
    for choice in objects_of(answer.get("choices")):
        *before, last = list(streamed_pieces(str(choice.get("text") or ""))) or [""]
        started = {"index": choice.get("index", 0), "logprobs": None, "finish_reason": None}
        grown += [{**head, "choices": [{**started, "text": piece}]} for piece in before]
        grown.append({**head, "choices": [{**started, **choice, "text": last}]})
    return _with_usage(grown, head, answer, chunks)


OF_TEXTS: Final = Altering(
    ends=_REASONS, alternatives="choices", usage="usage", filtered=_filtered_text, unfold=_unfold_text
)
"""The same of completions of one text."""
