"""Messages: ``POST .../messages``, as Anthropic documents it and StepFun serves it too; and counting their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from . import error_object, messages_altering, messages_models, messages_stream
from .chat_request import name_of_tool
from .endpoint import BY_SHAPE, Contract, Conversation, Endpoint, nullable
from .messages_calls import CALLS, IDS, PAIRED_BLOCKS
from .messages_reading import COUNTING, READING, tokens_in
from .reading import most_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


_TELLING: Final = (
    "messages",
    "system",
    "model",
    "tools",
    "tool_choice",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "thinking",
    "output_config",
    "stream",
)
_CONVERSATION: Final = Conversation(listed="messages", fields=("role", "content"), before=("system",))
_STEPFUN: Final = "StepFun's API reference, the message object"
_SOURCE: Final = "Anthropic's API reference, the message object"

_LEVELS: Final[dict[str, Level | None]] = {
    "*": Level.METADATA,
    "type": Level.BEHAVIOR,
    "role": Level.BEHAVIOR,
    "stop_reason": Level.BEHAVIOR,
    "stop_sequence": Level.BEHAVIOR,
    "stop_details": Level.BEHAVIOR,
    "stop_details.explanation": BY_SHAPE,
    "content": Level.BEHAVIOR,
    "content[*].*": Level.METADATA,
    "content[*].type": Level.BEHAVIOR,
    "content[*].id": Level.BEHAVIOR,
    "content[*].tool_use_id": Level.BEHAVIOR,
    "content[*].name": Level.BEHAVIOR,
    "content[*].input": Level.BEHAVIOR,
    "content[*].text": BY_SHAPE,
    "content[*].thinking": BY_SHAPE,
    "content[*].citations": Level.CONTENT,
    **error_object.LEVELS,
}
_FLEETING: Final = (
    *error_object.FLEETING,
    "container.id",
    "container.expires_at",
    "diagnostics",
    # What only the server can read is sealed anew on each call.
    "content[*].signature",
    "content[*].data",
    "content[*].caller.tool_id",
    "content[*].citations[*].encrypted_index",
    "content[*].citations[*].file_id",
    "content[*].file_id",
    "content[*].content.content[*].file_id",
    "content[*].content[*].encrypted_content",
    "content[*].content.encrypted_content",
    "usage.cache_creation",
    "usage.cache_creation_input_tokens",
    "usage.cache_read_input_tokens",
    "usage.inference_geo",
    "usage.service_tier",
    "usage.speed",
)


def _fold(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return messages_stream.fold(events)


def _is_answer(tree: Mapping[str, Any]) -> bool:
    # An item of a conversation is of this type too; it has neither model nor reason.
    told = "stop_reason" in tree or "model" in tree
    return tree.get("type") == "message" and told and not (tree.get("error") and not tree.get("content"))


def _are_chunks(values: Sequence[Mapping[str, Any]], _listed: bool) -> bool:
    kinds = [each.get("type") for each in values]
    return any(isinstance(kind, str) and kind in messages_stream.EVENTS for kind in kinds)


# Anthropic's API reference, "Authentication" and "Versions".
_KEY_HEADERS: Final = {"x-api-key": "{key}", "anthropic-version": "2023-06-01"}

MESSAGES: Final = Endpoint(
    name="messages",
    paths=("/messages",),
    # Anthropic's API reference, "Create a message": what may be left out, and the defaults.
    optional={
        (): {
            "stop_sequences": ([],),
            "stream": (False,),
            "tool_choice": ({"type": "auto"},),
        },
        ("messages", "*", "content", "*"): dict(nullable("cache_control", "citations")),
        ("system", "*"): dict(nullable("cache_control", "citations")),
        ("tools", "*"): {"cache_control": (None,), "type": (None, "custom")},
    },
    optional_by_host={"api.anthropic.com": {"temperature": (1,)}},
    telling=_TELLING,
    conversation=_CONVERSATION,
    tools={"tools": name_of_tool},
    marks=frozenset({"model", "messages", "role", "stop_reason", "usage"}),
    asks=lambda body: "messages" in body and bool(body.keys() & {"system", "stop_sequences"}),
    noun="a message",
    sort_of=error_object.sort_by(_is_answer),
    are_chunks=_are_chunks,
    fold=_fold,
    event_key="type",
    reading=READING,
    tokens_in=tokens_in,
    most_output=most_of("max_tokens"),
    key_headers=_KEY_HEADERS,
    measured=("usage",),
    levels=_LEVELS,
    volatile=("id",),
    fleeting=_FLEETING,
    json_texts=("content[*].input",),
    content=("content[*].text",),
    empty_is_absent=("content[*].citations",),
    paired=PAIRED_BLOCKS,
    calls=CALLS,
    ids=IDS,
    contracts={
        "openai": Contract(
            lambda: (messages_models.MessageAnswer, messages_models.MessageEvent),
            _SOURCE,
            f"{_SOURCE}'s events",
        ),
        "stepfun": Contract(
            lambda: (messages_models.StepFunMessageAnswer, messages_models.MessageEvent),
            _STEPFUN,
            f"{_STEPFUN}'s events",
        ),
    },
    altering=lambda: messages_altering.ALTERING,
)

TOKEN_COUNT: Final = Endpoint(
    name="count_tokens",
    paths=("/messages/count_tokens",),
    optional=MESSAGES.optional,
    telling=_TELLING,
    conversation=_CONVERSATION,
    tools={"tools": name_of_tool},
    noun="a count of tokens",
    sort_of=error_object.sort_by(lambda tree: "input_tokens" in tree and len(tree) <= 2),
    reading=COUNTING,
    key_headers=_KEY_HEADERS,
    levels={"*": Level.METADATA, **error_object.LEVELS},
    fleeting=error_object.FLEETING,
    calls=CALLS,
    ids=IDS,
    contracts=Contract(
        lambda: (messages_models.MessageTokens, messages_models.MessageTokens),
        "Anthropic's API reference, the count of tokens",
    ).of_all_hosts(),
)
