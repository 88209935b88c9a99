"""The documented objects of the chat completions API, as frozen pydantic models.

StepFun's dialect and the core that all compatible servers share. Types are held strictly; fields nobody documented
are kept, never dropped.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from .documented import Documented, NoneForEmpty


def _unnamed(value: object) -> object:
    """Azure's first chunk tells only what its filter found in the prompt: all of its texts are empty."""
    return "chat.completion.chunk" if value == "" else value


FinishReason = Annotated[
    Literal["stop", "length", "content_filter", "tool_calls", "function_call"] | None,
    NoneForEmpty,
]
"""Why the model stopped. In streams ``""`` and null both mean that it has not yet."""


class FunctionCall(Documented):
    """The function a model calls; its arguments are JSON in a string, as the API sends it."""

    name: str
    arguments: str


class CustomCall(Documented):
    """The custom tool a model calls; its input is text in whatever form the tool wants."""

    name: str
    input: str


class ToolCall(Documented):
    """One tool call. `id` is unique only within its response."""

    id: str
    type: str
    function: FunctionCall | None = None
    custom: CustomCall | None = None


class Message(Documented):
    """What the model answered. `reasoning` comes from step reasoning models only."""

    role: Literal["assistant"]
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(Documented):
    """One of the `n` answers asked for."""

    index: int
    message: Message
    finish_reason: FinishReason


class Usage(Documented):
    """Tokens counted by the server; `cached_tokens` depends on its prefix cache."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int | None = None


class ChatCompletion(Documented):
    """The chat completion object, as the common OpenAI-compatible API documents it.

    Source: the API references of StepFun and OpenAI, "The chat completion object".
    """

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None = None


class StepFunToolCall(ToolCall):
    """A tool call of StepFun's; `web_search` is its built-in search."""

    type: Literal["function", "web_search"]


class StepFunMessage(Message):
    """The message of StepFun's chat completion."""

    tool_calls: list[StepFunToolCall] | None = None  # type: ignore[assignment]  # frozen, so no list is written to


class StepFunChoice(Choice):
    """A choice of StepFun's chat completion. Audio has no finish reason."""

    message: StepFunMessage
    finish_reason: Annotated[Literal["stop", "length", "content_filter", "tool_calls"] | None, NoneForEmpty]


class StepFunChatCompletion(ChatCompletion):
    """The chat completion object as StepFun documents it: it always counts its tokens.

    Source: StepFun's API reference, "The chat completion object".
    """

    choices: list[StepFunChoice]  # type: ignore[assignment]  # frozen, so no list is written to
    usage: Usage


class DeltaFunction(Documented):
    """A piece of a function call in a stream."""

    name: str | None = None
    arguments: str | None = None


class DeltaCustom(Documented):
    """A piece of a call of a custom tool in a stream."""

    name: str | None = None
    input: str | None = None


class DeltaToolCall(Documented):
    """A piece of a tool call in a stream; pieces belong together by `index`."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: DeltaFunction | None = None
    custom: DeltaCustom | None = None


class Delta(Documented):
    """What one chunk adds to the message. StepFun sends ``role: ""`` on middle chunks."""

    role: Annotated[Literal["assistant"] | None, NoneForEmpty] = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[DeltaToolCall] | None = None


class ChunkChoice(Documented):
    """One choice's part of a chunk."""

    index: int
    delta: Delta
    finish_reason: FinishReason = None


class ChatCompletionChunk(Documented):
    """One chunk of a streamed chat completion. StepFun's carry a cumulative `usage` each.

    Source: the API references of StepFun and OpenAI, "The chat completion chunk object".
    """

    id: str
    object: Annotated[Literal["chat.completion.chunk"], BeforeValidator(_unnamed)]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
