"""Completions of one text, the older API: ``POST .../completions``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from . import chat_altering, chat_answer, error_object, openai_models
from .chat_reading import end_of, tokens_in
from .endpoint import BY_SHAPE, Contract, Endpoint, nullable
from .folding import STATE, Growing, Shape
from .reading import Reading, Remark, most_of, objects_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


_OBJECT: Final = "text_completion"
"""The object of an answer, and of each of its chunks."""

_LOGPROBS: Final = frozenset({"tokens", "token_logprobs", "top_logprobs", "text_offset"})
_CHOICE: Final = Shape(joined=frozenset({"text"}), nested={"logprobs": Shape(joined=_LOGPROBS)}, rest=STATE)
_COMPLETION: Final = Shape(
    first=frozenset({"id", "created", "model"}), lists={"choices": _CHOICE}, rest=STATE
)


def _is_answer(tree: Mapping[str, Any]) -> bool:
    choices = objects_of(tree.get("choices"))
    texts = bool(choices) and all("text" in it and not it.keys() & {"message", "delta"} for it in choices)
    return tree.get("object") == _OBJECT or (texts and "object" not in tree)


def _are_chunks(values: Sequence[Mapping[str, Any]], listed: bool) -> bool:
    return listed and any(value.get("object") == _OBJECT for value in values)


def _fold(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the completion that the chunks of a stream describe."""
    growing = Growing(_COMPLETION)
    for chunk in chunks:
        growing.add(chunk)
    folded = growing.value()
    choices = folded.get("choices")
    for choice in objects_of(choices):
        choice["finish_reason"] = choice.get("finish_reason") or None
    return folded | {"choices": choices or []}


def _asked(body: Mapping[str, Any]) -> tuple[Remark, ...] | None:
    prompt = body.get("prompt")
    prompts = prompt if isinstance(prompt, list) else [prompt]
    texts = [it if isinstance(it, str) else f"[{it if isinstance(it, int) else 'tokens'}]" for it in prompts]
    return None if prompt is None else tuple(Remark("prompt", text) for text in texts)


def _answered(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
    choices = objects_of(tree.get("choices"))
    return tuple(
        Remark("text", str(it.get("text") or ""), label=str(it.get("index")) if len(choices) > 1 else "")
        for it in choices
    )


COMPLETIONS: Final = Endpoint(
    name="completions",
    paths=("/completions",),
    # OpenAI's API reference, "Create completion": what may be null, and the defaults.
    optional={
        (): {
            **dict(
                nullable(
                    "logit_bias",
                    "logprobs",
                    "seed",
                    "stop",
                    "stream_options",
                    "suffix",
                    "temperature",
                    "top_p",
                )
            ),
            "best_of": (None, 1),
            "echo": (None, False),
            "frequency_penalty": (None, 0),
            "max_tokens": (None, 16),
            "n": (None, 1),
            "presence_penalty": (None, 0),
            "stream": (None, False),
        }
    },
    optional_by_host={"api.openai.com": {"temperature": (None, 1), "top_p": (None, 1)}},
    telling=(
        "prompt",
        "suffix",
        "model",
        "temperature",
        "top_p",
        "n",
        "max_tokens",
        "stop",
        "seed",
        "stream",
    ),
    marks=frozenset({"model", "prompt", "choices", "object", "usage"}),
    asks=lambda body: "prompt" in body and "model" in body and "size" not in body,
    noun="a text completion",
    sort_of=error_object.sort_by(_is_answer),
    are_chunks=_are_chunks,
    fold=_fold,
    last_event="[DONE]",
    reading=Reading(_asked, _answered, end_of, ("prompt",)),
    tokens_in=tokens_in,
    most_output=most_of("max_tokens", times="n"),
    measured=("usage",),
    levels={
        "*": Level.METADATA,
        "choices": Level.BEHAVIOR,
        "choices[*].*": Level.METADATA,
        "choices[*].index": Level.BEHAVIOR,
        "choices[*].finish_reason": Level.BEHAVIOR,
        "choices[*].text": BY_SHAPE,
        **error_object.LEVELS,
    },
    volatile=("id", "created"),
    fleeting=chat_answer.FLEETING,
    content=("choices[*].text",),
    empty_is_null=chat_answer.EMPTY_IS_NULL,
    paired=chat_answer.PAIRED_CHOICES,
    parts=chat_answer.parts_of,
    contracts=Contract(
        lambda: (openai_models.TextCompletion, openai_models.TextCompletion),
        "the OpenAI-compatible API reference, the completion object",
        "the OpenAI-compatible API reference, the completion object, streamed",
    ).of_all_hosts(),
    altering=lambda: chat_altering.OF_TEXTS,
)
