"""What a request for a chat completion is made of, in the order in which a reader cares."""

from __future__ import annotations

from typing import Any, Final

from .endpoint import Conversation

TELLING: Final = (
    "messages",
    "model",
    "tools",
    "temperature",
    "top_p",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "reasoning_effort",
    "reasoning_format",
    "response_format",
    "tool_choice",
    "stream",
)
"""The fields that say what is asked for."""

CONVERSATION: Final = Conversation(
    listed="messages", fields=("role", "name", "content", "tool_calls", "tool_call_id")
)


def name_of_tool(tool: Any) -> str | None:
    """Returns the name of a tool that a request offers; None where it has none."""
    held = tool if isinstance(tool, dict) else {}
    inner = held.get("function", held.get("custom"))
    name = inner.get("name") if isinstance(inner, dict) else None
    if name is None:
        name = held.get("name", held.get("type"))
    return name if isinstance(name, str) else None
