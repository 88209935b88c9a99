"""The documented objects of the responses API, as frozen pydantic models.

Types are held strictly; fields and kinds of items nobody documented are kept, never dropped.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, RootModel, Tag

from .documented import Documented

_ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(Documented):
    """A piece of the text."""

    type: Literal["output_text"]
    text: str
    annotations: list[dict[str, Any]] | None = None


class OutputRefusal(Documented):
    """Why the model says nothing."""

    type: Literal["refusal"]
    refusal: str


class OtherPart(Documented):
    """Any other content."""

    type: str


def _sort_among(*known: str) -> Discriminator:
    def sort(value: Any) -> str:
        kind = value.get("type") if isinstance(value, dict) else None
        return kind if isinstance(kind, str) and kind in known else "other"

    return Discriminator(sort)


OutputPart = Annotated[
    Annotated[OutputText, Tag("output_text")]
    | Annotated[OutputRefusal, Tag("refusal")]
    | Annotated[OtherPart, Tag("other")],
    _sort_among("output_text", "refusal"),
]


class OutputMessage(Documented):
    """What the model says."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    status: _ItemStatus
    content: list[OutputPart]


class FunctionCallItem(Documented):
    """A call of a function; its arguments are JSON in a string."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: _ItemStatus | None = None


class CustomCallItem(Documented):
    """A call of a custom tool; its input is text in whatever form the tool wants."""

    type: Literal["custom_tool_call"]
    call_id: str
    name: str
    input: str
    id: str | None = None


class StepFunReasoningItem(Documented):
    """What the model thought; its text comes in a stream alone."""

    id: str
    type: Literal["reasoning"]
    summary: list[OtherPart]
    status: str | None = None
    content: list[OtherPart] | dict[str, Any] | None = None
    encrypted_content: str | None = None


class ReasoningItem(Documented):
    """What the model thought, as far as the server tells it."""

    id: str
    type: Literal["reasoning"]
    summary: list[OtherPart]
    content: list[OtherPart] | None = None
    encrypted_content: str | None = None


class OtherItem(Documented):
    """Any other item, such as a call of a built-in tool."""

    type: str


Item = Annotated[
    Annotated[OutputMessage, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[CustomCallItem, Tag("custom_tool_call")]
    | Annotated[ReasoningItem, Tag("reasoning")]
    | Annotated[OtherItem, Tag("other")],
    _sort_among("message", "function_call", "custom_tool_call", "reasoning"),
]


class ResponseUsage(Documented):
    """Tokens counted by the server."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class ResponseAnswer(Documented):
    """The response object.

    Source: OpenAI's API reference, "The response object".
    """

    id: str
    object: Literal["response"]
    created_at: int | float
    model: str
    output: list[Item]
    status: Literal["completed", "failed", "in_progress", "cancelled", "queued", "incomplete"] | None = None
    error: dict[str, Any] | None = None
    incomplete_details: dict[str, Any] | None = None
    usage: ResponseUsage | None = None


StepFunItem = Annotated[
    Annotated[OutputMessage, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[StepFunReasoningItem, Tag("reasoning")]
    | Annotated[OtherItem, Tag("other")],
    _sort_among("message", "function_call", "reasoning"),
]


class StepFunResponse(Documented):
    """The response object as StepFun serves it: no other response can be kept, queued or cancelled.

    ``in_progress`` is the status of a stream that broke off.

    Source: StepFun's API reference, "Responses API".
    """

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None = None
    model: str
    output: list[StepFunItem]
    status: Literal["completed", "incomplete", "failed", "in_progress"]
    error: dict[str, Any] | None = None
    incomplete_details: dict[str, Any] | None = None
    usage: ResponseUsage | None = None


class Compaction(Documented):
    """A conversation made shorter: messages of any role, and one item that stands for the rest.

    Source: OpenAI's API reference, "The compacted response object".
    """

    id: str
    object: Literal["response.compaction"]
    created_at: int
    output: list[OtherItem]
    usage: ResponseUsage


class AnyResponse(
    RootModel[
        Annotated[
            Annotated[ResponseAnswer, Tag("response")] | Annotated[Compaction, Tag("compaction")],
            Discriminator(lambda value: "compaction" if _is_compaction(value) else "response"),
        ]
    ]
):
    """Whatever is answered about responses."""


def _is_compaction(value: Any) -> bool:
    return isinstance(value, dict) and value.get("object") == "response.compaction"


class ResponseEvent(Documented):
    """One event of a streamed response; new types may come.

    Source: OpenAI's API reference, "Streaming events".
    """

    type: str
    sequence_number: int | None = None
    output_index: int | None = None
    content_index: int | None = None
    item_id: str | None = None
    item: OtherItem | None = None
    part: OtherPart | None = None
    response: dict[str, Any] | None = None


class ConversationAnswer(Documented):
    """A conversation, or a list of items."""

    object: Literal["conversation", "conversation.deleted", "list", "response.input_tokens"]
    id: str | None = None
    data: list[OtherItem] | None = None
