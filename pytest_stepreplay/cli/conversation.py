"""Cassettes read as conversations: which messages are new, what was answered, what it cost.

Interactions go in; plain values come out, for `stepreplay show` and `stepreplay list` to print. Nothing is
printed here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..endpoints import read_call
from ..endpoints.chat_stream import assemble
from ..wire.events import chunks_of, frame_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..models import Interaction, RawFrame, Request, Response


@dataclass(frozen=True, slots=True)
class Turn:
    """One interaction of a conversation.

    Attributes:
        number: in the cassette, from 1.
        interaction: as it was recorded.
        messages: of the request; None where it is no chat completion.
        repeated: how many of them, from the first on, the earlier turn `continues` asked or answered.
        continues: the number of that turn.
        completion: the answer, a stream's assembled; None where it is no chat completion.
    """

    number: int
    interaction: Interaction
    messages: tuple[dict[str, Any], ...] | None
    repeated: int
    continues: int | None
    completion: dict[str, Any] | None


def read_turns(interactions: Iterable[Interaction]) -> Iterator[Turn]:
    """Yields a turn for each interaction, in order."""
    said: dict[
        bytes, int
    ] = {}  # every conversation so far, with its answer and without, and the turn it was in
    for number, interaction in enumerate(interactions, 1):
        messages = _messages_of(interaction)
        completion = completion_of(interaction.response)
        repeated, continues, conversation = 0, None, b""
        for count, message in enumerate(messages or (), 1):
            conversation = _extended(conversation, message)
            if conversation in said:
                repeated, continues = count, said[conversation]
        if messages:
            said[conversation] = number
            for answer in _answers_of(completion):
                said[_extended(conversation, answer)] = number
        yield Turn(number, interaction, messages, repeated, continues, completion)


def completion_of(response: Response) -> dict[str, Any] | None:
    """Returns the chat completion that a response holds, a stream's assembled; None if it holds none."""
    if response.body_kind == "json":
        body = response.json
        return body if isinstance(body, dict) and isinstance(body.get("choices"), list) else None
    text = stream_of(response)
    chunks = chunks_of(text) if text is not None else []
    if not any("choices" in chunk or "error" in chunk for chunk in chunks):
        return None
    completion = assemble(chunks)
    return completion if isinstance(completion["choices"], list) else None


def stream_of(response: Response) -> str | None:
    """Returns the exact text of a stream of server-sent events; None if the response is no stream."""
    if response.events is not None:
        return _text_of_events(response.events)
    return response.text if "event-stream" in response.headers.get("content-type", "") else None


def body_of(message: Request | Response) -> Any:
    """Returns a body as JSON can hold it: a tree, a text, or the base64 of other bytes under that key."""
    if message.body_kind == "json":
        return message.json
    if message.base64 is not None:
        return {"base64": message.base64}
    return message.text if message.events is None else _text_of_events(message.events)


def tokens_of(completion: dict[str, Any] | None) -> int:
    """Returns the tokens that a completion cost; 0 where it does not say."""
    usage = (completion or {}).get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) else 0


def model_of(turn: Turn) -> str | None:
    """Returns the name of the model that was asked."""
    body = turn.interaction.request.json
    model = body.get("model") if isinstance(body, dict) else None
    return model if isinstance(model, str) else None


def text_of(content: Any) -> str:
    """Returns the text of a message's content; parts that are no text are named."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        return json.dumps(content, ensure_ascii=False)
    return "\n".join(_text_of_part(part) for part in content)


def calls_of(message: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Returns id, name and arguments of each tool call of a message."""
    calls = message.get("tool_calls")
    found = []
    for call in calls if isinstance(calls, list) else ():
        unnamed = _object(_object(call).get("function")).get("arguments")
        name, given = read_call(call) or (_object(call).get("type") or "?", unnamed)
        found.append((str(_object(call).get("id") or ""), str(name), _compact(given)))
    legacy = _object(message.get("function_call"))
    if legacy:
        found.append(("", str(legacy.get("name")), _compact(legacy.get("arguments"))))
    return found


def _text_of_events(events: Iterable[str | RawFrame]) -> str:
    return "".join(frame_of(it) if isinstance(it, str) else it.frame for it in events)


def _messages_of(interaction: Interaction) -> tuple[dict[str, Any], ...] | None:
    body = interaction.request.json
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list) or not all(isinstance(it, dict) for it in messages):
        return None
    return tuple(messages)


def _answers_of(completion: dict[str, Any] | None) -> list[dict[str, Any]]:
    choices = (completion or {}).get("choices")
    return [_object(_object(it).get("message")) for it in choices] if isinstance(choices, list) else []


def _extended(conversation: bytes, message: dict[str, Any]) -> bytes:
    """Returns the digest of a conversation with one more message.

    A client sends back less or more than it was answered: null fields, reasoning, annotations. What was said
    and which tools were called makes a message.
    """
    told = [
        message.get("role"),
        text_of(message.get("content")),
        calls_of(message),
        message.get("tool_call_id"),
    ]
    return hashlib.sha256(conversation + json.dumps(told).encode()).digest()


def _text_of_part(part: Any) -> str:
    part = _object(part)
    kind = str(part.get("type"))
    if isinstance(part.get("text"), str):
        return str(part["text"])
    value = part.get(kind)
    url = _object(value).get("url") if isinstance(value, dict) else value
    if isinstance(url, str):
        return f"[{kind} {url if len(url) <= 80 else f'{url[:60]}… ({len(url):,} characters)'}]"
    return f"[{kind}]"


def _compact(arguments: Any) -> str:
    """Returns arguments as JSON on one line; what is no JSON as it is."""
    try:
        value = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        return str(arguments)
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
