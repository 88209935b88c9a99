"""What the endpoints beside chat say: each in its own dialect, with fresh ids, times and counts on every call.

`Dialects()` is what an `Upstream` says: a request goes in, a response comes out. What it shall say otherwise is set on
it, as a model is changed behind an API.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import random
import secrets
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from pytest_stepreplay.upstream import Raw, ReceivedRequest, error, raw
from tests.talking import Talking

DIMENSIONS = 256


@dataclass
class Dialects:
    """An API of many endpoints.

    Attributes:
        tool: that the model calls where it is offered any.
        text: what it says.
        model: the other model that there is.
        named: Gemini's calls have ids.
        stop: why it stops, where it would stop by itself.
        filtered: the filter steps in.
        noise: how far the values of an embedding are from those of the last call.
        seed: of the embedding model, and of what files hold; another one gives others.
        size: of what is binary, in bytes.
    """

    tool: str = "get_weather"
    text: str = "It is sunny in Paris today."
    model: str = "step-3.7-flash"
    filtered: bool = False
    named: bool = True
    stop: str = ""
    noise: float = 1e-5
    seed: int = 0
    size: int = 1000
    paths: list[str] = field(default_factory=list)
    batch: dict[str, Any] = field(default_factory=dict)
    talking: Talking = field(default_factory=lambda: Talking(fresh, now))

    def __call__(self, received: ReceivedRequest) -> Raw:
        """Answers a request."""
        path = urlsplit(received.path).path
        self.paths.append(path)
        for end, say in self._by_path().items():
            if fnmatchcase(path, f"*{end}"):
                return say(received)
        return error(404, "not_found", f"there is no {path}")

    def _by_path(self) -> Mapping[str, Callable[[ReceivedRequest], Raw]]:
        return {
            "/chat/completions": self.azure,
            ":generateContent": self.gemini,
            ":streamGenerateContent": self.gemini,
            ":embedContent": self.gemini_embedding,
            ":batchEmbedContents": self.gemini_embedding,
            "/orders": self.orders,
            "/embeddings": self.embeddings,
            "/completions": self.completions,
            "/moderations": self.moderations,
            "/models": self.models,
            "/audio/speech": self.speech,
            "/audio/transcriptions": self.transcription,
            "/images/generations": self.images,
            "/images/edits": self.images,
            "/content": self.content,
            "/vector_stores": self.vector_stores,
            "/vector_stores/*/files": self.vector_stores,
            "/files": self.files,
            "/batches": self.batches,
            "/batches/*": self.batches,
            "/responses": self.talking.responses,
            "/responses/*": self.talking.conversation,
            "/conversations": self.talking.conversation,
            "/conversations/*": self.talking.conversation,
            "/messages": self.talking.messages,
            "/messages/count_tokens": self.talking.count_tokens,
        }

    def embeddings(self, received: ReceivedRequest) -> Raw:
        asked = received.json
        inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        vectors = [self.vector(text, asked.get("dimensions", DIMENSIONS)) for text in inputs]
        as_text = asked.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": i, "embedding": encoded(vector) if as_text else vector}
            for i, vector in enumerate(vectors)
        ]
        return reply(
            {
                "object": "list",
                "data": data,
                "model": asked["model"],
                "usage": {"prompt_tokens": 7, "total_tokens": 7},
            }
        )

    def azure(self, received: ReceivedRequest) -> Raw:
        """Answers as Azure's deployments of OpenAI's models do: with what their filter found."""
        asked = received.json
        head = {
            "id": fresh("chatcmpl-"),
            "created": now(),
            "model": "gpt-4o-2024-11-20",
            "system_fingerprint": fresh("fp_"),
        }
        prompt = [
            {
                "prompt_index": 0,
                "content_filter_results": {"jailbreak": {"filtered": False, "detected": False}},
            }
        ]
        found = {"hate": {"filtered": self.filtered, "severity": "safe"}}
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        reason = "content_filter" if self.filtered else "stop"
        if asked.get("tools") and asked["messages"][-1]["role"] != "tool":
            function = {"name": self.tool, "arguments": '{"city": "Paris"}'}
            message |= {
                "content": None,
                "tool_calls": [{"id": fresh("call_"), "type": "function", "function": function}],
            }
            reason = "tool_calls"
        usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
        if not asked.get("stream"):
            choice = {
                "index": 0,
                "message": message,
                "finish_reason": reason,
                "content_filter_results": found,
            }
            whole = {**head, "object": "chat.completion", "choices": [choice]}
            return reply({**whole, "usage": usage, "prompt_filter_results": prompt})
        first = {
            "id": "",
            "object": "",
            "created": 0,
            "model": "",
            "choices": [],
            "prompt_filter_results": prompt,
        }
        at = random.randrange(1, len(self.text))
        deltas = [
            {"role": "assistant", "content": ""},
            {"content": self.text[:at]},
            {"content": self.text[at:]},
            {},
        ]
        chunks = [
            {
                "index": 0,
                "delta": delta,
                "finish_reason": None if delta else reason,
                "content_filter_results": found,
            }
            for delta in deltas
        ]
        return events(
            [first, *({**head, "object": "chat.completion.chunk", "choices": [it]} for it in chunks)]
        )

    def gemini(self, received: ReceivedRequest) -> Raw:
        """Answers as Gemini does; a stream by events with ``alt=sse``, else as one array."""
        asked = received.json
        said = asked["contents"][-1]["parts"]
        sealed = {"thoughtSignature": base64.b64encode(b"\xfb\xff" + secrets.token_bytes(38)).decode()}
        parts: list[dict[str, Any]] = [{"text": "They want the weather.", "thought": True}]
        results = [part["functionResponse"] for part in said if "functionResponse" in part]
        if asked.get("tools") and not results:
            for city in ("Paris", "Lyon"):
                call = {
                    "name": self.tool,
                    "args": {"city": city},
                    **({"id": fresh("")} if self.named else {}),
                }
                parts.append({"functionCall": call, **sealed})
        else:
            told = ", ".join(
                str(it["response"].get("output", it["response"].get("result"))) for it in results
            )
            parts.append({"text": f"{self.text} {told}".strip(), **sealed})
        ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}]
        end = {"finishReason": self.stop or "STOP", "safetyRatings": ratings}
        head = {"modelVersion": "gemini-2.5-flash", "responseId": fresh("r")}
        usage = {
            "promptTokenCount": 8,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 3,
            "totalTokenCount": 16,
        }

        def answer(parts: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
            candidate = {"content": {"parts": parts, "role": "model"}, "index": 0, **more}
            return {"candidates": [candidate], "usageMetadata": usage, **head}

        if ":generate" in received.path:
            return reply(answer(parts, **end))
        pieces = [piece for part in parts for piece in self.cut(part)]
        chunks = [answer([piece]) for piece in pieces] + [answer([{"text": ""}], **end)]
        if "alt=sse" in received.path:
            return events(chunks, done=False)
        texts = [json.dumps(chunk, indent=2) for chunk in chunks]
        sent = [f"[{texts[0]}\n", *(f",\r\n{text}\n" for text in texts[1:]), "]"]
        return raw(200, {"Content-Type": "application/json"}, iter([text.encode() for text in sent]))

    def cut(self, part: dict[str, Any]) -> list[dict[str, Any]]:
        """Returns the pieces in which a part comes: a text in two, cut anywhere."""
        if "text" not in part:
            return [part]
        at = random.randrange(1, len(part["text"]))
        return [{**part, "text": part["text"][:at]}, {**part, "text": part["text"][at:]}]

    def gemini_embedding(self, received: ReceivedRequest) -> Raw:
        asked = received.json
        requests = asked.get("requests") or [asked]
        made = [{"values": self.vector(str(it["content"]["parts"]), DIMENSIONS)} for it in requests]
        return reply({"embeddings": made} if "requests" in asked else {"embedding": made[0]})

    def orders(self, received: ReceivedRequest) -> Raw:
        """Answers as an API that nobody knows."""
        item = {"orderId": fresh("o_"), "sku": "lamp", "count": 2, "ready_at": now()}
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now()))
        return reply({"id": next(_counter), "placed": moment, "items": [item], "note": self.text})

    def completions(self, received: ReceivedRequest) -> Raw:
        head = {
            "id": fresh("cmpl-"),
            "object": "text_completion",
            "created": now(),
            "model": received.json["model"],
        }

        def choice(text: str, reason: str | None) -> dict[str, Any]:
            return {"choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": reason}]}

        usage = {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}
        if not received.json.get("stream"):
            return reply({**head, **choice(self.text, "stop"), "usage": usage})
        at = random.randrange(1, len(self.text))
        pieces = [choice(self.text[:at], None), choice(self.text[at:], "stop")]
        return events([*({**head, **piece} for piece in pieces), {**head, "choices": [], "usage": usage}])

    def moderations(self, received: ReceivedRequest) -> Raw:
        score = 0.01 + random.random() / 1000
        flagged = self.text.startswith("Attack")
        result = {
            "flagged": flagged,
            "categories": {"violence": flagged},
            "category_scores": {"violence": score},
        }
        return reply({"id": fresh("modr-"), "model": "omni-moderation-latest", "results": [result]})

    def models(self, received: ReceivedRequest) -> Raw:
        names = ["step-3.5-flash", self.model]
        data = [{"id": it, "object": "model", "created": now(), "owned_by": "stepfun"} for it in names]
        return reply({"object": "list", "data": random.sample(data, 2)})

    def speech(self, received: ReceivedRequest) -> Raw:
        return raw(200, {"Content-Type": "audio/mpeg"}, b"ID3\xff" + secrets.token_bytes(self.size))

    def content(self, received: ReceivedRequest) -> Raw:
        if "/file-out" in received.path:
            lines = [json.dumps(self.result(name)) for name in random.sample(["first", "second"], 2)]
            return raw(200, {"Content-Type": "application/octet-stream"}, "\n".join(lines).encode())
        data = random.Random(f"{self.seed} content").randbytes(self.size)
        return raw(200, {"Content-Type": "application/octet-stream"}, b"\xff" + data)

    def transcription(self, received: ReceivedRequest) -> Raw:
        usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 9, "total_tokens": 23}
        return reply({"text": self.text, "usage": usage})

    def images(self, received: ReceivedRequest) -> Raw:
        data = [{"b64_json": base64.b64encode(b"\x89PNG" + secrets.token_bytes(90)).decode()}]
        usage = {"input_tokens": 12, "output_tokens": 30, "total_tokens": 42}
        if "json" in received.headers.get("content-type", "") and received.json.get("stream"):
            kept = {"created_at": now(), "size": "1024x1024", "quality": "low", "background": "opaque"}
            kept |= data[0] | {"output_format": "png"}
            part = {"type": "image_generation.partial_image", "partial_image_index": 0, **kept}
            return events([part, {"type": "image_generation.completed", **kept, "usage": usage}], done=False)
        return reply({"created": now(), "data": data, "size": "1024x1024", "quality": "low", "usage": usage})

    def files(self, received: ReceivedRequest) -> Raw:
        if received.method == "GET":
            return reply({"object": "list", "data": [], "has_more": False})
        return reply(
            {
                "id": fresh("file-"),
                "object": "file",
                "bytes": 120,
                "created_at": now(),
                "filename": "notes.bin",
                "purpose": "user_data",
                "status": "processed",
            }
        )

    def batches(self, received: ReceivedRequest) -> Raw:
        if received.method == "POST":
            self.batch = {
                "id": fresh("batch_"),
                "object": "batch",
                "endpoint": "/v1/chat/completions",
                "input_file_id": received.json["input_file_id"],
                "completion_window": "24h",
                "status": "validating",
                "created_at": now(),
                "expires_at": now(),
                "request_counts": {"total": 0, "completed": 0, "failed": 0},
            }
            return reply(self.batch)
        done = {"status": "completed", "completed_at": now(), "output_file_id": fresh("file-out")}
        return reply(self.batch | done | {"id": received.path.rpartition("/")[2]})

    def result(self, name: str) -> dict[str, Any]:
        """Returns what a batch has answered to the request of a name."""
        function = {"name": self.tool, "arguments": '{"city": "Paris"}'}
        call = {"id": fresh("call_"), "type": "function", "function": function}
        message = {"role": "assistant", "content": f"{self.text} ({name})", "tool_calls": [call]}
        body = {
            "id": fresh("chatcmpl-"),
            "object": "chat.completion",
            "created": now(),
            "model": "step-3.5-flash",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16},
        }
        answer = {"status_code": 200, "request_id": fresh("req_"), "body": body}
        return {"id": fresh("batch_req_"), "custom_id": name, "response": answer, "error": None}

    def vector_stores(self, received: ReceivedRequest) -> Raw:
        """Answers as what makes a store of files, or puts one into it."""
        head = {"id": fresh("vs_"), "object": "vector_store", "created_at": now(), "status": "completed"}
        if received.path.endswith("/files"):
            held = {"vector_store_id": received.path.split("/")[-2], "usage_bytes": 99, "last_error": None}
            return reply(head | {"id": received.json["file_id"], "object": "vector_store.file", **held})
        counts = {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1}
        return reply(
            head | {"name": "notes", "file_counts": counts, "last_active_at": now(), "usage_bytes": 9}
        )

    def vector(self, text: str, dimensions: int) -> list[float]:
        """Returns the embedding of a text, a little different each time."""
        same, fresh = random.Random(f"{self.seed} {text}"), random.Random()
        values = [same.gauss(0, 1) for _ in range(dimensions)]
        norm = math.hypot(*values)
        return [value / norm + fresh.uniform(-self.noise, self.noise) for value in values]


def encoded(vector: list[float]) -> str:
    """Returns a vector as the API writes it in base64."""
    return base64.b64encode(array("f", vector).tobytes()).decode()


def reply(value: Any, **headers: str) -> Raw:
    """Returns a response with a JSON body, and a name of its own."""
    named = {"Content-Type": "application/json", "x-request-id": f"req_{secrets.token_hex(8)}"}
    return raw(200, named | headers, json.dumps(value).encode())


def events(values: Iterator[Any] | list[Any], *, done: bool = True) -> Raw:
    """Returns a stream of server-sent events."""
    frames = [f"data: {json.dumps(value)}\n\n".encode() for value in values]
    last = [b"data: [DONE]\n\n"] if done else []
    return raw(200, {"Content-Type": "text/event-stream"}, iter([*frames, *last]))


_counter = itertools.count(1)


def fresh(prefix: str) -> str:
    """Returns an id that no call had before."""
    return f"{prefix}{next(_counter)}{secrets.token_hex(10)}"


def now() -> int:
    """Returns the time of a call; no two have the same."""
    return int(time.time()) + next(_counter)
