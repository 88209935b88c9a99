"""The documented objects of the messages API, as frozen pydantic models.

Types are held strictly; fields and kinds of content nobody documented are kept, never dropped.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from .documented import Documented


class TextBlock(Documented):
    """A piece of the text."""

    type: Literal["text"]
    text: str


class ThinkingBlock(Documented):
    """A thought. Its signature can only be read by the server; not every server has one."""

    type: Literal["thinking"]
    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(Documented):
    """A thought that only the server can read."""

    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(Documented):
    """A call of a tool, the client's or the server's."""

    type: Literal["tool_use", "server_tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class OtherBlock(Documented):
    """Any other content, such as the result of a server's tool."""

    type: str


_BLOCKS = {
    "text": "text",
    "thinking": "thinking",
    "redacted_thinking": "redacted_thinking",
    "tool_use": "tool_use",
    "server_tool_use": "tool_use",
}


def _block_of(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    return _BLOCKS.get(kind, "other") if isinstance(kind, str) else "other"


Block = Annotated[
    Annotated[TextBlock, Tag("text")]
    | Annotated[ThinkingBlock, Tag("thinking")]
    | Annotated[RedactedThinkingBlock, Tag("redacted_thinking")]
    | Annotated[ToolUseBlock, Tag("tool_use")]
    | Annotated[OtherBlock, Tag("other")],
    Discriminator(_block_of),
]


class MessageUsage(Documented):
    """Tokens counted by the server."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class MessageAnswer(Documented):
    """The message object.

    Source: Anthropic's API reference, "Create a message".
    """

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Block]
    stop_reason: (
        Literal[
            "end_turn",
            "max_tokens",
            "stop_sequence",
            "tool_use",
            "pause_turn",
            "refusal",
            "model_context_window_exceeded",
        ]
        | None
    )
    stop_sequence: str | None = None
    usage: MessageUsage


class StepFunMessageAnswer(Documented):
    """The message object as StepFun serves it: a whole answer need not name its model.

    ``stop_sequence`` is no documented reason, but sequences to stop at can be asked for.

    Source: StepFun's API reference, "Messages API".
    """

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str | None = None
    content: list[Block]
    stop_reason: Literal["end_turn", "tool_use", "max_tokens", "stop_sequence"] | None
    stop_sequence: str | None = None
    usage: MessageUsage


class MessageEvent(Documented):
    """One event of a streamed message; new types may come.

    Source: Anthropic's API reference, "Streaming messages".
    """

    type: str
    index: int | None = None
    message: dict[str, Any] | None = None
    content_block: Block | None = None
    delta: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None


class MessageTokens(Documented):
    """How many tokens a request has.

    Source: Anthropic's API reference, "Count message tokens".
    """

    input_tokens: int
