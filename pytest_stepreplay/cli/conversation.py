"""Cassettes read as conversations: which remarks are new, what was answered, what it cost.

Interactions go in; plain values come out, for `stepreplay show` and `stepreplay list` to print. Nothing is
printed here.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from ..drift.answers import read_answer
from ..drift.keeping import binary_of, body_of
from ..endpoints import GENERIC, Endpoint, Tokens, endpoint_of_url
from ..models import Request
from ..value_classes import dataclass
from ..wire import arrays
from ..wire.events import frame_of
from ..wire.json_values import on_one_line
from ..wire.large import body_parts_of, data_of, head_of
from ..wire.multipart import BOUNDARY, part_of
from . import printing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..endpoints import Remark
    from ..models import BodyPart, Interaction, RawFrame, Response


@dataclass(frozen=True, slots=True)
class Turn:
    """One interaction of a conversation.

    Attributes:
        number: in the cassette, from 1.
        interaction: as it was recorded.
        endpoint: what was asked.
        asked: what the request says; None where it holds no conversation.
        repeated: how much of that, from the first on, the earlier turn `continues` asked or answered.
        continues: the number of that turn.
        answer: the answer, a stream's folded into one; None where nobody knows how to read it.
        answered: what it says.
        end: how it ended.
        tokens: what it cost.
        tools: the tools that were called so far, by the ids of the calls.
    """

    number: int
    interaction: Interaction
    endpoint: Endpoint
    asked: tuple[Remark, ...] | None
    repeated: int
    continues: int | None
    answer: dict[str, Any] | None
    answered: tuple[Remark, ...]
    end: str
    tokens: Tokens
    tools: Mapping[str, str]


def read_turns(interactions: Iterable[Interaction]) -> Iterator[Turn]:
    """Yields a turn for each interaction, in order."""
    # Every conversation so far, with its answer and without, and the turn it was in.
    said: dict[bytes, int] = {}
    tools: dict[str, str] = {}
    for number, interaction in enumerate(interactions, 1):
        endpoint = endpoint_of_url(interaction.request.url)
        owner, answer = _answer_of(interaction.response, endpoint)
        if endpoint is GENERIC:
            endpoint = owner
        asked, answered = asked_in(endpoint, interaction.request), _answered(owner, answer)
        tools |= {
            call.id: call.tool for remark in (*(asked or ()), *answered) for call in remark.calls if call.id
        }
        repeated, continues, conversation = 0, None, b""
        for count, remark in enumerate(asked or (), 1):
            conversation = _extended(conversation, remark)
            if conversation in said:
                repeated, continues = count, said[conversation]
        if asked:
            said[conversation] = number
            for remark in answered:
                longer = _extended(conversation, remark)
                said[longer] = number
                conversation = conversation if remark.label else longer
        yield Turn(
            number=number,
            interaction=interaction,
            endpoint=endpoint,
            asked=asked,
            repeated=repeated,
            continues=continues,
            answer=answer,
            answered=answered,
            end=owner.reading.end(answer) if owner.reading and answer else "",
            tokens=(owner.tokens_in(answer) if answer else None) or Tokens(),
            tools=dict(tools),
        )


def _answer_of(response: Response, endpoint: Endpoint) -> tuple[Endpoint, dict[str, Any] | None]:
    """Returns whose answer a response holds, and the answer, a stream's folded into one; None if it holds none."""
    body = body_of(response) if _holds_json(response) else stream_of(response)
    if body is None:
        return endpoint, None
    answer = read_answer(body, endpoint)
    known = answer.sort == "answer" or (answer.sort == "error" and answer.chunks)
    return answer.endpoint, answer.tree if known and answer.endpoint.reading else None


def _holds_json(response: Response) -> bool:
    return response.body_kind == "json" or (response.text or "").lstrip()[:1] in ("{", "[")


def asked_in(endpoint: Endpoint, request: Request) -> tuple[Remark, ...] | None:
    """Returns what a request says; None where it holds no conversation."""
    if endpoint.reading is None or not isinstance(request.json, dict):
        return None
    found = endpoint.reading.request(request.json)
    return None if found is None else tuple(found)


def _answered(endpoint: Endpoint, answer: dict[str, Any] | None) -> tuple[Remark, ...]:
    return tuple(endpoint.reading.answer(answer)) if endpoint.reading and answer else ()


def stream_of(response: Response) -> str | None:
    """Returns the exact text of a stream of server-sent events; None if the response is no stream."""
    if response.events is not None:
        return _text_of_events(response.events)
    return response.text if "event-stream" in response.headers.get("content-type", "") else None


def is_streamed(response: Response) -> bool:
    """Says whether a response came in events, or as an array item by item."""
    return response.events is not None or bool(
        response.stream and response.text and arrays.items_of(response.text)
    )


def body_shown(message: Request | Response) -> Any:
    """Returns a body as JSON can hold it: a tree, a text, or the base64 of other bytes under that key."""
    if message.body_kind == "json":
        return message.json
    if message.base64 is not None:
        return {"base64": message.base64}
    if message.file is not None:
        return {"file": message.file.name, "bytes": message.file.size}
    if message.parts is not None:
        return [_part(part) for part in message.parts]
    return message.text if message.events is None else _text_of_events(message.events)


def summary_of(message: Request | Response) -> str | None:
    """Returns what a body of bytes is, for a person: ``audio/mpeg, 12.3 kB``; None for a body that is text.

    A multipart body is a line for each part.
    """
    parts = message.parts
    if parts is None and isinstance(message, Request) and (message.text or "").startswith(f"--{BOUNDARY}"):
        parts = body_parts_of((message.text or "").encode())  # a form that is short, and all text
    if parts is not None:
        return "\n".join(_summary_of_part(part) for part in parts)
    found = binary_of(message)
    if found is None:
        return None
    told = [found["type"], printing.decimal(found["bytes"]), message.file and f"in {message.file.name}"]
    return ", ".join(filter(None, told))


def _summary_of_part(part: BodyPart) -> str:
    read = part_of(head_of(part), b"")
    name = (read.name if read else None) or "?"
    if part.text is not None:
        return f"{name}: {part.text}"
    size = part.file.size if part.file else len(data_of(part))
    told = [read.filename, read.type] if read else []
    told += [printing.decimal(size), f"in {part.file.name}" if part.file else None]
    return f"{name}: {', '.join(filter(None, told))}"


def _part(part: BodyPart) -> dict[str, Any]:
    read = part_of(head_of(part), b"")
    told: dict[str, Any] = {"name": read.name, "filename": read.filename, "type": read.type} if read else {}
    if part.file is not None:
        return told | {"file": part.file.name, "bytes": part.file.size}
    return told | ({"text": part.text} if part.text is not None else {"base64": part.base64})


def model_of(turn: Turn) -> str | None:
    """Returns the name of the model that was asked."""
    return turn.endpoint.model_of(turn.interaction.request)


def last_said(request: Request) -> str:
    """Returns the text of the last remark of a request; empty where it holds no conversation."""
    asked = asked_in(endpoint_of_url(request.url), request)
    return asked[-1].text if asked else ""


def _text_of_events(events: Iterable[str | RawFrame]) -> str:
    return "".join(frame_of(it) if isinstance(it, str) else it.frame for it in events)


def _extended(conversation: bytes, remark: Remark) -> bytes:
    """Returns the digest of a conversation with one more remark.

    A client sends back less or more than it was answered: null fields, reasoning, annotations. What was said
    and which tools were called makes a remark.
    """
    if not remark.role:
        return conversation
    calls = [(call.id, call.tool, on_one_line(call.given)) for call in remark.calls]
    told = [remark.role, remark.text, calls, remark.cites]
    return hashlib.sha256(conversation + json.dumps(told).encode()).digest()
