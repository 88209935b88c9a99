"""Responses: ``POST .../responses``, what the server keeps of them, and the conversations around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from . import error_object, responses_altering, responses_models, responses_stream
from .chat_request import name_of_tool
from .endpoint import BY_SHAPE, Contract, Conversation, Endpoint, nullable
from .messages_reading import COUNTING
from .reading import most_of, objects_of
from .responses_items import CALLS, IDS, PAIRED_ITEMS
from .responses_reading import ITEMS, READING, tokens_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


_TELLING: Final = (
    "input",
    "instructions",
    "previous_response_id",
    "conversation",
    "prompt",
    "model",
    "tools",
    "tool_choice",
    "temperature",
    "top_p",
    "max_output_tokens",
    "reasoning",
    "text",
    "stream",
)
_CONVERSATION: Final = Conversation(
    listed="input",
    fields=("role", "type", "name", "content", "arguments", "call_id", "output"),
    before=("instructions",),
)
_SOURCE: Final = "OpenAI's API reference, the response object"
_STEPFUN: Final = "StepFun's API reference, the response object"
_OBJECTS: Final = ("response", "response.compaction")

_DONE: Final = """
    type role status phase name namespace server_label arguments input action actions queries code operation
    approve tools call_id execution
"""
"""What of an item is what the model does."""

_KEPT_BY_SERVER: Final = "id encrypted_content container_id fingerprint approval_request_id created_by caller"
"""What of an item is new on each call."""

_BELOW_ITEMS: Final = (
    "content[*].annotations[*].file_id",
    "content[*].annotations[*].container_id",
    "results[*].file_id",
    "caller.caller_id",
    "environment.container_id",
    # An image is painted anew on each call.
    "result",
    "outputs[*].url",
    "output.image_url",
)
"""The same below an item. A file that is cited has a name besides its id."""


def _levels(listed: str) -> Iterator[tuple[str, Level | None]]:
    """Yields the levels of items in a list."""
    yield listed, Level.BEHAVIOR
    yield f"{listed}[*].*", Level.METADATA
    yield from ((f"{listed}[*].{name}", Level.BEHAVIOR) for name in _DONE.split())
    yield f"{listed}[*].content", Level.BEHAVIOR
    yield f"{listed}[*].content[*].*", Level.METADATA
    yield f"{listed}[*].content[*].type", Level.BEHAVIOR
    yield f"{listed}[*].content[*].refusal", Level.BEHAVIOR
    yield f"{listed}[*].content[*].text", BY_SHAPE
    yield f"{listed}[*].content[*].annotations", Level.CONTENT
    yield f"{listed}[*].summary", Level.CONTENT
    yield f"{listed}[*].summary[*].text", BY_SHAPE


def _fleeting(listed: str) -> tuple[str, ...]:
    kept = (f"{listed}[*].{name}" for name in _KEPT_BY_SERVER.split())
    return (*kept, *(f"{listed}[*].{place}" for place in _BELOW_ITEMS))


def _is_chunk(value: Mapping[str, Any]) -> bool:
    kind = value.get("type")
    return isinstance(kind, str) and kind.startswith(responses_stream.PREFIX)


def _are_chunks(values: Sequence[Mapping[str, Any]], listed: bool) -> bool:
    failed = listed and any(each.get("type") == "error" and "sequence_number" in each for each in values)
    return failed or any(map(_is_chunk, values))


def _fold(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return responses_stream.fold(events)


def _is_answer(tree: Mapping[str, Any]) -> bool:
    return tree.get("object") in _OBJECTS and not (tree.get("error") and "id" not in tree)


RESPONSES: Final = Endpoint(
    name="responses",
    paths=("/responses", "/responses/*", "/responses/*/cancel"),
    # OpenAI's API reference, "Create a model response": what may be null, and the defaults.
    optional={
        (): {
            **dict(
                nullable(
                    "context_management",
                    "conversation",
                    "include",
                    "instructions",
                    "max_output_tokens",
                    "max_tool_calls",
                    "metadata",
                    "previous_response_id",
                    "prompt",
                    "prompt_cache_key",
                    "prompt_cache_retention",
                    "reasoning",
                    "safety_identifier",
                    "stream_options",
                    "temperature",
                    "top_logprobs",
                    "top_p",
                )
            ),
            "background": (None, False),
            "parallel_tool_calls": (None, True),
            "service_tier": (None, "auto"),
            "store": (None, True),
            "stream": (None, False),
            "truncation": (None, "disabled"),
        },
        ("tools", "*"): dict(nullable("description", "output_schema")),
        ("text", "format"): {"strict": (None, False)},
    },
    optional_by_host={"api.openai.com": {"temperature": (None, 1), "top_p": (None, 1)}},
    telling=_TELLING,
    conversation=_CONVERSATION,
    tools={"tools": name_of_tool},
    marks=frozenset({"model", "input", "instructions", "output", "object", "usage"}),
    asks=lambda body: bool(body.keys() & {"instructions", "previous_response_id", "max_output_tokens"}),
    noun="a response",
    sort_of=error_object.sort_by(_is_answer),
    are_chunks=_are_chunks,
    fold=_fold,
    event_key="type",
    reading=READING,
    tokens_in=tokens_in,
    most_output=most_of("max_output_tokens"),
    measured=("usage", "created_at", "completed_at"),
    levels={
        "*": Level.METADATA,
        "status": Level.BEHAVIOR,
        "incomplete_details": Level.BEHAVIOR,
        **dict(_levels("output")),
        **error_object.LEVELS,
    },
    volatile=("id",),
    fleeting=(
        *error_object.FLEETING,
        *_fleeting("output"),
        "created_at",
        "completed_at",
        "previous_response_id",
        "conversation.id",
        "service_tier",
        "obfuscation",
        "prompt_cache_diagnostics",
        "usage.**.cached_tokens",
        # As the request had it.
        "tools[*].vector_store_ids",
        "tools[*].container",
    ),
    json_texts=("output[*].arguments",),
    content=("output[*].content[*].text",),
    empty_is_absent=(
        "output[*].content[*].annotations",
        "output[*].content[*].logprobs",
        "output[*].summary",
    ),
    paired={"output": PAIRED_ITEMS},
    calls=CALLS,
    ids=IDS,
    contracts={
        "openai": Contract(
            lambda: (responses_models.AnyResponse, responses_models.ResponseEvent),
            _SOURCE,
            f"{_SOURCE}'s events",
        ),
        "stepfun": Contract(
            lambda: (responses_models.StepFunResponse, responses_models.ResponseEvent),
            _STEPFUN,
            f"{_STEPFUN}'s events",
        ),
    },
    altering=lambda: responses_altering.ALTERING,
)

CONVERSATIONS: Final = Endpoint(
    name="conversations",
    paths=(
        "/conversations",
        "/conversations/*",
        "/conversations/*/items",
        "/conversations/*/items/*",
        "/responses/*/input_items",
    ),
    telling=("items", "metadata"),
    conversation=Conversation(listed="items", fields=_CONVERSATION.fields),
    noun="a conversation or its items",
    sort_of=error_object.sort_by(
        lambda tree: tree.get("object") in ("conversation", "conversation.deleted") or _lists_items(tree)
    ),
    reading=ITEMS,
    levels={"*": Level.METADATA, "deleted": Level.BEHAVIOR, **dict(_levels("data")), **error_object.LEVELS},
    volatile=("id",),
    fleeting=(*error_object.FLEETING, *_fleeting("data"), "created_at", "first_id", "last_id"),
    json_texts=("data[*].arguments",),
    content=("data[*].content[*].text",),
    empty_is_absent=("data[*].content[*].annotations", "data[*].content[*].logprobs", "data[*].summary"),
    paired={"data": PAIRED_ITEMS},
    calls=CALLS._replace(listed="data"),
    ids=IDS,
    contracts=Contract(
        lambda: (responses_models.ConversationAnswer, responses_models.ConversationAnswer),
        "OpenAI's API reference, conversations",
    ).of_all_hosts(),
)

INPUT_TOKENS: Final = Endpoint(
    name="input_tokens",
    paths=("/responses/input_tokens",),
    optional=RESPONSES.optional,
    telling=_TELLING,
    conversation=_CONVERSATION,
    tools={"tools": name_of_tool},
    noun="a count of tokens",
    sort_of=error_object.sort_by(lambda tree: tree.get("object") == "response.input_tokens"),
    reading=COUNTING._replace(request=READING.request),
    levels={"*": Level.METADATA, **error_object.LEVELS},
    fleeting=error_object.FLEETING,
    ids=IDS,
)


def _lists_items(tree: Mapping[str, Any]) -> bool:
    kinds = [each.get("type") for each in objects_of(tree.get("data"))]
    return tree.get("object") == "list" and any(isinstance(kind, str) for kind in kinds)
