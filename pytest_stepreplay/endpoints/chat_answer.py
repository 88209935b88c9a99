"""What is known of a chat completion, and of an error in its place: levels, volatile places, lists and contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from ..settings.levels import Level
from . import chat_models, chat_stream
from .endpoint import BY_SHAPE, Contract, Paired

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .endpoint import Part

TEXT_COMPLETION: Final = "text_completion"
"""The object of ``/v1/completions``, and of each of its chunks."""

LEVELS: Final[dict[str, Level | None]] = {
    "*": Level.METADATA,
    "choices": Level.BEHAVIOR,
    "choices[*].*": Level.METADATA,
    "choices[*].index": Level.BEHAVIOR,
    "choices[*].finish_reason": Level.BEHAVIOR,
    "choices[*].message": Level.BEHAVIOR,
    "choices[*].message.*": Level.METADATA,
    "choices[*].message.role": Level.BEHAVIOR,
    # What Azure's filter found: that it stepped in is behavior, how near it was is not.
    "choices[*].content_filter_results": Level.METADATA,
    "choices[*].content_filter_results.*.filtered": Level.BEHAVIOR,
    "choices[*].content_filter_results.*.detected": Level.BEHAVIOR,
    "prompt_filter_results[*].content_filter_results.*.filtered": Level.BEHAVIOR,
    "prompt_filter_results[*].content_filter_results.*.detected": Level.BEHAVIOR,
    "choices[*].message.refusal": Level.BEHAVIOR,
    "choices[*].message.content": BY_SHAPE,
    "choices[*].message.reasoning": BY_SHAPE,
    "choices[*].message.reasoning_content": BY_SHAPE,
    "choices[*].message.reasoning_details": BY_SHAPE,
    "choices[*].message.annotations": Level.CONTENT,
    "choices[*].message.audio": Level.CONTENT,
    "choices[*].message.function_call": Level.BEHAVIOR,
    # Whatever a call holds is what the model does, but for what is known to be something else.
    "choices[*].message.tool_calls": Level.BEHAVIOR,
    "choices[*].message.tool_calls[*].index": Level.METADATA,
    "choices[*].message.tool_calls[*].extra_content": Level.METADATA,
    "choices[*].message.tool_calls[*].provider_specific_fields": Level.METADATA,
    "choices[*].message.tool_calls[*].function.results": Level.METADATA,
    "choices[*].message.executed_tools": Level.BEHAVIOR,
    "choices[*].message.executed_tools[*].index": Level.METADATA,
    "choices[*].message.executed_tools[*].output": Level.METADATA,
    "choices[*].message.executed_tools[*].search_results": Level.METADATA,
    "error": Level.BEHAVIOR,
    "error.*": Level.METADATA,
    "error.type": Level.BEHAVIOR,
    "error.code": Level.BEHAVIOR,
    "error.message": BY_SHAPE,
}

# What servers count and measure beside the tokens themselves, wherever in the objects that tell the usage.
_USAGE = ("usage", "usage_breakdown", "x_groq.usage", "x_groq.usage_breakdown")
_MEASURED = """
    cached_tokens num_cached_tokens cached_prompt_text_tokens cache_read_tokens cache_write_tokens
    cache_read_input_tokens cache_creation_input_tokens prompt_cache_hit_tokens prompt_cache_miss_tokens
    queue_time prompt_time completion_time total_time start_time end_time generation_time time_to_first_token
    total_latency tokens_per_second total_tokens_per_sec completion_tokens_per_sec
    completion_tokens_after_first_per_sec completion_tokens_after_first_per_sec_first_ten
    total_duration load_duration prompt_eval_duration eval_duration
"""
# Reasoning that only the server can read is encrypted, or signed, anew on each call.
_SEALED = """
    reasoning_details[*].id reasoning_details[*].data reasoning_details[*].signature reasoning_signature
    encrypted_content content[*].signature content[*].data thinking_blocks[*].signature thinking_blocks[*].data
    thought_signature extra_content.**.thought_signature
    provider_specific_fields.**.thought_signature provider_specific_fields.thought_signatures
    tool_calls[*].thought_signature tool_calls[*].function.thought_signature
    tool_calls[*].extra_content.**.thought_signature
    tool_calls[*].provider_specific_fields.**.thought_signature
"""

VOLATILE: Final = ("id", "created", "choices[*].message.audio.id", "choices[*].message.audio.expires_at")

_ANEW = """
    system_fingerprint service_tier x_groq.id x_groq.seed error.request_id error.trace_id
    request_id requestId x_request_id x-request-id trace_id traceId x_trace_id x-trace-id
    obfuscation p time_info timings sla_metrics choices[*].seed choices[*].content_filter_offsets
"""

FLEETING: Final = (
    *_ANEW.split(),
    *(f"{usage}.**.{name}" for usage in _USAGE for name in _MEASURED.split()),
    *(f"choices[*].message.{place}" for place in _SEALED.split()),
    # What a model speaks or paints is new on each call; what it said stands beside the sound.
    "choices[*].message.audio.data",
    "choices[*].message.images[*].image_url.url",
)
"""What else is known to differ between identical calls."""

CONTENT: Final = ("choices[*].message.content",)
EMPTY_IS_NULL: Final = ("choices[*].finish_reason",)
EMPTY_IS_ABSENT: Final = ("choices[*].message.tool_calls", "choices[*].message.annotations")


def _index_of(choice: Any) -> Any:
    index = choice.get("index") if isinstance(choice, dict) else None
    return index if isinstance(index, int) else None


PAIRED_CHOICES: Final = {"choices": Paired((_index_of,))}


def parts_of(tree: Any) -> list[Part]:
    """Returns the choices of an answer, each with its index: some servers count the calls of each from 0."""
    choices = tree.get("choices") if isinstance(tree, dict) else None
    if not isinstance(choices, list):
        return [(None, tree)]
    return [(it.get("index") if isinstance(it, dict) else None, it) for it in choices]


def sort_of(tree: Mapping[str, Any]) -> Literal["answer", "error"] | None:
    """Says whether an object is a chat completion, or an error in its place."""
    choices = tree.get("choices")
    if tree.get("error") and not choices:
        return "error"
    if tree.get("object") == "chat.completion":
        return "answer"
    if not isinstance(choices, list) or tree.get("object") == TEXT_COMPLETION or _are_texts(choices):
        return None
    messages = any(isinstance(it, dict) and "message" in it for it in choices)
    return "answer" if messages or {"model", "created"} <= tree.keys() else None


def are_chunks(values: Sequence[Mapping[str, Any]], _listed: bool) -> bool:
    """Whether these are the chunks of a stream."""
    return any(map(_is_chunk, values))


def _are_texts(choices: list[Any]) -> bool:
    """Whether each choice is a text and no message, as those of ``/v1/completions`` are."""
    texts = [isinstance(it, dict) and "text" in it and "message" not in it for it in choices]
    return bool(texts) and all(texts)


def _is_chunk(value: Mapping[str, Any]) -> bool:
    if value.get("object") in ("chat.completion.chunk", TEXT_COMPLETION):
        return value.get("object") != TEXT_COMPLETION
    choices = value.get("choices")
    return isinstance(choices, list) and any(isinstance(it, dict) and "delta" in it for it in choices)


def fold(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the completion that the chunks of a stream describe."""
    return chat_stream.assemble(chunks)


def _documented(models: Any, reference: str) -> Contract:
    subject = f"{reference}, the chat completion"
    return Contract(models, f"{subject} object", f"{subject} chunk object")


CONTRACTS: Final = {
    "stepfun": _documented(
        lambda: (chat_models.StepFunChatCompletion, chat_models.ChatCompletionChunk),
        "StepFun's API reference",
    ),
    "openai": _documented(
        lambda: (chat_models.ChatCompletion, chat_models.ChatCompletionChunk),
        "the OpenAI-compatible API reference",
    ),
}
