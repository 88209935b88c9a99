"""What `/v1/responses` and `/v1/messages` say: a tool is called twice where one is offered, then its results are told.

Ids, times, signatures, counts of the cache and the pieces of a stream are new on every call.
"""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pytest_stepreplay.upstream import Raw, ReceivedRequest, raw


@dataclass
class Talking:
    """A model behind both endpoints.

    Attributes:
        tool: that it calls where it is offered any.
        text: what it says, before the results of its tool.
        stop: why it stops, where it would stop by itself.
        thought: what it thinks; nothing for no thoughts.
        named: makes a fresh id of a prefix.
        time: returns the time of a call.
    """

    named: Callable[[str], str]
    time: Callable[[], int]
    tool: str = "get_weather"
    text: str = "It is sunny in Paris today."
    stop: str = ""
    thought: str = "They want to know the weather."
    kept: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    stored: dict[str, Any] = field(default_factory=dict)

    # ------------------------------------------------------------ responses

    def responses(self, received: ReceivedRequest) -> Raw:
        """Answers ``POST /v1/responses``; with ``stream``, by its events."""
        asked = received.json
        before = self.kept.get(asked.get("previous_response_id") or "", [])
        given = asked["input"]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        results = [str(each["output"]) for each in items if each.get("type") == "function_call_output"]
        output: list[dict[str, Any]] = []
        if self.thought:
            summary = [{"type": "summary_text", "text": self.thought}]
            sealed = {"encrypted_content": f"gAAAAAB{secrets.token_urlsafe(40)}"}
            output.append({"id": self.named("rs_"), "type": "reasoning", "summary": summary, **sealed})
        offered = [each["type"] for each in asked.get("tools") or ()]
        if not results:
            output += [self.used(kind) for kind in offered if kind != "function"]
        if "function" in offered and not results:
            output += [
                {
                    "id": self.named("fc_"),
                    "type": "function_call",
                    "status": "completed",
                    "call_id": self.named("call_"),
                    "name": self.tool,
                    "arguments": json.dumps({"city": city}),
                }
                for city in ("Paris", "Oslo")
            ]
        else:
            text = " ".join([self.text, *results])
            cited = {
                "type": "file_citation",
                "index": 3,
                "filename": "notes.txt",
                "file_id": self.named("file-"),
            }
            notes = [cited] if "file_search" in offered else []
            part = {"type": "output_text", "text": text, "annotations": notes, "logprobs": []}
            message = {
                "id": self.named("msg_"),
                "type": "message",
                "status": "completed",
                "role": "assistant",
            }
            output.append({**message, "content": [part]})
        response = {
            "id": self.named("resp_"),
            "object": "response",
            "created_at": self.time(),
            "status": "incomplete" if self.stop else "completed",
            "error": None,
            "incomplete_details": {"reason": self.stop} if self.stop else None,
            "instructions": asked.get("instructions"),
            "metadata": {},
            "model": asked["model"],
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": asked.get("previous_response_id"),
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": asked.get("tools", []),
            "top_p": 1.0,
            "usage": {
                "input_tokens": 20,
                "input_tokens_details": {"cached_tokens": random.randrange(20), "cache_write_tokens": 0},
                "output_tokens": 10,
                "output_tokens_details": {"reasoning_tokens": 4},
                "total_tokens": 30,
            },
        }
        self.kept[response["id"]] = [*before, *items, *output]
        self.stored = response
        if not asked.get("stream"):
            return json_of(response)
        return frames(response_events(response))

    def used(self, tool: str) -> dict[str, Any]:
        """Returns the item that tells what a tool of the server's own has done."""
        call = {"type": f"{tool}_call", "status": "completed"}
        match tool:
            case "web_search":
                return call | {"id": self.named("ws_"), "action": {"type": "search", "query": self.tool}}
            case "file_search":
                found = {"file_id": self.named("file-"), "filename": "notes.txt", "text": "sun", "score": 0.5}
                return call | {"id": self.named("fs_"), "queries": [self.tool], "results": [found]}
            case "code_interpreter":
                ran = {"code": "1 + 1", "outputs": [{"type": "logs", "logs": "2"}]}
                return call | {"id": self.named("ci_"), "container_id": self.named("cntr_"), **ran}
            case "mcp":
                asks = {"id": self.named("mcpr_"), "type": "mcp_approval_request", "server_label": "maps"}
                return asks | {"name": self.tool, "arguments": "{}"}
            case "image_generation":
                return call | {"id": self.named("ig_"), "result": secrets.token_hex(40)}
            case _:
                made = {"id": self.named("cu_"), "call_id": self.named("call_"), "pending_safety_checks": []}
                return {**call, "type": "computer_call", **made, "action": {"type": "click", "x": 1, "y": 2}}

    def conversation(self, received: ReceivedRequest) -> Raw:
        """Answers what asks for a conversation, its items, or what the server has kept of a response."""
        path = received.path.partition("?")[0]
        if path.endswith("/input_tokens"):
            return json_of({"object": "response.input_tokens", "input_tokens": 11})
        if path.endswith("/conversations"):
            return json_of({"id": self.named("conv_"), "object": "conversation", "created_at": self.time()})
        if not path.endswith(("/items", "/input_items")):
            return json_of(self.stored | {"id": path.rpartition("/")[2]})
        part = {"type": "input_text", "text": self.text}
        item = {"id": self.named("msg_"), "type": "message", "status": "completed", "role": "user"}
        ends = {"first_id": item["id"], "last_id": item["id"], "has_more": False}
        return json_of({"object": "list", "data": [{**item, "content": [part]}], **ends})

    # ------------------------------------------------------------ messages

    def messages(self, received: ReceivedRequest) -> Raw:
        """Answers ``POST /v1/messages``; with ``stream``, by its events."""
        asked = received.json
        last = asked["messages"][-1]["content"]
        blocks = last if isinstance(last, list) else []
        results = [text_in(each["content"]) for each in blocks if each.get("type") == "tool_result"]
        content: list[dict[str, Any]] = []
        if self.thought:
            sealed = f"EqQB{secrets.token_urlsafe(40)}"
            content.append({"type": "thinking", "thinking": self.thought, "signature": sealed})
        calls = bool(asked.get("tools")) and not results
        if calls:
            content += [
                {"type": "tool_use", "id": self.named("toolu_"), "name": self.tool, "input": {"city": city}}
                for city in ("Paris", "Oslo")
            ]
        else:
            content.append({"type": "text", "text": " ".join([self.text, *results])})
        message = {
            "id": self.named("msg_"),
            "type": "message",
            "role": "assistant",
            "model": asked["model"],
            "content": content,
            "stop_reason": self.stop or ("tool_use" if calls else "end_turn"),
            "stop_sequence": None,
            "usage": {
                "input_tokens": 20,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": random.randrange(20),
                "output_tokens": 10,
                "service_tier": "standard",
            },
        }
        return frames(message_events(message)) if asked.get("stream") else json_of(message)

    def count_tokens(self, received: ReceivedRequest) -> Raw:
        """Answers ``POST /v1/messages/count_tokens``."""
        return json_of({"input_tokens": len(json.dumps(received.json["messages"]))})


def text_in(content: Any) -> str:
    return content if isinstance(content, str) else " ".join(each["text"] for each in content)


def pieces(text: str) -> list[str]:
    """Returns a text in pieces, cut anew each time."""
    at = sorted(random.sample(range(1, len(text)), min(3, len(text) - 1)))
    return [text[one:other] for one, other in zip([0, *at], [*at, len(text)], strict=True)]


def response_events(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the events of a stream that ends with a response."""
    started = {**response, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    for i, item in enumerate(response["output"]):
        where = {"item_id": item["id"], "output_index": i}
        match item["type"]:
            case "message":
                empty = {**item, "status": "in_progress", "content": []}
                yield {"type": "response.output_item.added", "output_index": i, "item": empty}
                for j, part in enumerate(item["content"]):
                    here = {**where, "content_index": j}
                    yield {"type": "response.content_part.added", **here, "part": {**part, "text": ""}}
                    for piece in pieces(part["text"]):
                        padding = {"obfuscation": secrets.token_hex(3), "logprobs": []}
                        yield {"type": "response.output_text.delta", **here, "delta": piece, **padding}
                    yield {"type": "response.output_text.done", **here, "text": part["text"], "logprobs": []}
                    yield {"type": "response.content_part.done", **here, "part": part}
            case "function_call":
                empty = {**item, "status": "in_progress", "arguments": ""}
                yield {"type": "response.output_item.added", "output_index": i, "item": empty}
                for piece in pieces(item["arguments"]):
                    yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
                yield {
                    "type": "response.function_call_arguments.done",
                    **where,
                    "arguments": item["arguments"],
                }
            case "reasoning":
                empty = {**item, "summary": []}
                yield {"type": "response.output_item.added", "output_index": i, "item": empty}
                here = {**where, "summary_index": 0}
                whole = item["summary"][0]
                yield {"type": "response.reasoning_summary_part.added", **here, "part": {**whole, "text": ""}}
                for piece in pieces(whole["text"]):
                    yield {"type": "response.reasoning_summary_text.delta", **here, "delta": piece}
                yield {"type": "response.reasoning_summary_text.done", **here, "text": whole["text"]}
                yield {"type": "response.reasoning_summary_part.done", **here, "part": whole}
            case kind:
                started = {**item, "status": "in_progress"} if "status" in item else item
                yield {"type": "response.output_item.added", "output_index": i, "item": started}
                if kind in ("web_search_call", "file_search_call", "image_generation_call"):
                    yield {"type": f"response.{kind}.in_progress", **where}
                    yield {"type": f"response.{kind}.completed", **where}
        yield {"type": "response.output_item.done", "output_index": i, "item": item}
    yield {"type": f"response.{response['status']}", "response": response}


def message_events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the events of a stream that gives a message."""
    usage = message["usage"]
    started = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": started}
    for i, block in enumerate(message["content"]):
        here = {"index": i}
        match block["type"]:
            case "text":
                yield {"type": "content_block_start", **here, "content_block": {"type": "text", "text": ""}}
                yield {"type": "ping"}
                changes = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            case "thinking":
                empty = {"type": "thinking", "thinking": "", "signature": ""}
                yield {"type": "content_block_start", **here, "content_block": empty}
                changes = [{"type": "thinking_delta", "thinking": it} for it in pieces(block["thinking"])]
                changes.append({"type": "signature_delta", "signature": block["signature"]})
            case _:
                yield {"type": "content_block_start", **here, "content_block": {**block, "input": {}}}
                written = pieces(json.dumps(block["input"]))
                changes = [{"type": "input_json_delta", "partial_json": it} for it in ["", *written]]
        yield from ({"type": "content_block_delta", **here, "delta": change} for change in changes)
        yield {"type": "content_block_stop", **here}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}


def framed(events: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yields events as both APIs frame them; those of responses are numbered."""
    for number, event in enumerate(events):
        numbered = {"sequence_number": number} if event["type"].startswith("response.") else {}
        yield f"event: {event['type']}\ndata: {json.dumps({**event, **numbered})}\n\n"


def frames(events: Iterator[dict[str, Any]]) -> Raw:
    return raw(200, {"Content-Type": "text/event-stream"}, (frame.encode() for frame in [*framed(events)]))


def json_of(value: Any) -> Raw:
    named = {"Content-Type": "application/json", "request-id": f"req_{secrets.token_hex(8)}"}
    return raw(200, named, json.dumps(value).encode())
