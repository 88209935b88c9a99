"""Chat completions: ``POST .../chat/completions``."""

from __future__ import annotations

from typing import Final

from . import chat_altering, chat_answer, chat_reading
from .chat_calls import ARGUMENTS, CALLS, IDS, PAIRED_CALLS
from .chat_request import CONVERSATION, TELLING, name_of_tool
from .endpoint import Endpoint, nullable
from .reading import most_of

CHAT: Final = Endpoint(
    name="chat",
    paths=("/chat/completions",),
    # OpenAI's API reference, "Create chat completion": what may be null, and the defaults.
    optional={
        (): {
            **dict(
                nullable(
                    "audio",
                    "logit_bias",
                    "max_completion_tokens",
                    "max_tokens",
                    "metadata",
                    "prediction",
                    "prompt_cache_key",
                    "prompt_cache_retention",
                    "reasoning_effort",
                    "safety_identifier",
                    "seed",
                    "stop",
                    "stream_options",
                    "temperature",
                    "top_logprobs",
                    "top_p",
                )
            ),
            "frequency_penalty": (None, 0),
            "logprobs": (None, False),
            "modalities": (None, ["text"]),
            "n": (None, 1),
            "parallel_tool_calls": (True,),
            "presence_penalty": (None, 0),
            "service_tier": (None, "auto"),
            "store": (None, False),
            "stream": (None, False),
            "verbosity": (None, "medium"),
        },
        ("messages", "*"): dict(nullable("audio", "content", "function_call", "refusal")),
        ("tools", "*", "function"): {"strict": (None, False)},
        ("response_format", "json_schema"): {"strict": (None, False)},
    },
    optional_by_host={
        "api.openai.com": {"temperature": (None, 1), "top_p": (None, 1)},
        # StepFun's API reference: sampling is on, with these.
        "api.stepfun.com": {"temperature": (None, 0.5), "top_p": (None, 0.9)},
        "api.stepfun.ai": {"temperature": (None, 0.5), "top_p": (None, 0.9)},
    },
    telling=TELLING,
    conversation=CONVERSATION,
    tools={"tools": name_of_tool},
    marks=frozenset({"model", "messages", "choices", "object", "usage"}),
    asks=lambda body: "messages" in body and not body.keys() & {"system", "stop_sequences"},
    noun="a chat completion",
    sort_of=chat_answer.sort_of,
    are_chunks=chat_answer.are_chunks,
    fold=chat_answer.fold,
    last_event="[DONE]",
    reading=chat_reading.READING,
    tokens_in=chat_reading.tokens_in,
    most_output=most_of("max_completion_tokens", "max_tokens", times="n"),
    measured=("usage",),
    levels=chat_answer.LEVELS,
    volatile=chat_answer.VOLATILE,
    fleeting=chat_answer.FLEETING,
    json_texts=ARGUMENTS,
    content=chat_answer.CONTENT,
    empty_is_null=chat_answer.EMPTY_IS_NULL,
    empty_is_absent=chat_answer.EMPTY_IS_ABSENT,
    paired=chat_answer.PAIRED_CHOICES | PAIRED_CALLS,
    calls=CALLS,
    ids=IDS,
    parts=chat_answer.parts_of,
    contracts=chat_answer.CONTRACTS,
    altering=lambda: chat_altering.ALTERING,
)
