"""Single changes to the answers of the endpoints beside chat, for `docs/drift-levels.md`."""

from __future__ import annotations

import random
from typing import Any

from .changes import Change, at, without


def vector(seed: int, noise: float = 0) -> list[float]:
    same, fresh = random.Random(seed), random.Random(1)
    return [round(same.gauss(0, 0.1) + fresh.uniform(-noise, noise), 6) for _ in range(96)]


EMBEDDINGS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": vector(1)}],
    "model": "step-embed-1",
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}
EMBEDDING = ("data", 0, "embedding")

TRANSCRIPTION = {"text": "It is sunny in Paris.", "usage": {"type": "tokens", "total_tokens": 23}}
TRANSCRIBED = [
    {"type": "transcript.text.delta", "delta": "It is sunny "},
    {"type": "transcript.text.delta", "delta": "in Paris."},
    {"type": "transcript.text.done", **TRANSCRIPTION},
]
SPEECH = {"type": "audio/mpeg", "bytes": 12044, "sha256": "5891b5b522d5df08"}
IMAGES = {
    "created": 1709893411,
    "data": [{"b64_json": "iVBORw0KGgo=", "revised_prompt": "A red cat."}],
    "size": "1024x1024",
    "usage": {"total_tokens": 42},
}
FILE = {
    "id": "file-1",
    "object": "file",
    "bytes": 120,
    "created_at": 1709893411,
    "filename": "notes.txt",
    "purpose": "batch",
    "status": "processed",
}
BATCH = {
    "id": "batch_1",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "input_file_id": "file-1",
    "completion_window": "24h",
    "status": "completed",
    "created_at": 1709893411,
    "request_counts": {"total": 3, "completed": 3, "failed": 0},
}

RESULTS = [
    {
        "id": f"batch_req_{name}",
        "custom_id": name,
        "response": {
            "status_code": 200,
            "request_id": f"req_{name}",
            "body": {
                "id": f"chatcmpl-{name}",
                "object": "chat.completion",
                "created": 1709893411,
                "model": "step-3.5-flash",
                "choices": [
                    {
                        "index": 0,
                        "message": {
                            "role": "assistant",
                            "content": "Let me see.",
                            "tool_calls": [
                                {
                                    "id": f"call_{name}",
                                    "type": "function",
                                    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                                }
                            ],
                        },
                        "finish_reason": "tool_calls",
                    }
                ],
                "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16},
            },
        },
        "error": None,
    }
    for name in ("first", "second")
]
IN_RESULT = (0, "response", "body", "choices", 0)

VECTOR_STORE = {
    "id": "vs_1",
    "object": "vector_store",
    "created_at": 1709893411,
    "name": "notes",
    "status": "completed",
    "file_counts": {"total": 1, "completed": 1, "failed": 0},
    "last_active_at": 1709893411,
}

TEXT = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1709893411,
    "model": "old-1",
    "choices": [{"index": 0, "text": " sunny in Paris.", "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}
MODERATION = {
    "id": "modr-1",
    "model": "omni-moderation-latest",
    "results": [{"flagged": False, "categories": {"violence": False}, "category_scores": {"violence": 0.02}}],
}
MODELS = {
    "object": "list",
    "data": [
        {"id": name, "object": "model", "created": 1, "owned_by": "stepfun"} for name in ("step-1", "step-2")
    ],
}

AZURE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1709893411,
    "model": "gpt-4o-2024-11-20",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "It is sunny."},
            "finish_reason": "stop",
            "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}},
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
    "prompt_filter_results": [
        {"prompt_index": 0, "content_filter_results": {"jailbreak": {"filtered": False, "detected": False}}}
    ],
}
FOUND = ("choices", 0, "content_filter_results", "hate")

GEMINI = {
    "candidates": [
        {
            "content": {
                "parts": [
                    {"text": "They want the weather.", "thought": True},
                    {"text": "I look it up.", "thoughtSignature": "EqQB"},
                    {"functionCall": {"id": "1", "name": "get_weather", "args": {"city": "Paris"}}},
                    {"functionCall": {"id": "2", "name": "get_time", "args": {"city": "Paris"}}},
                ],
                "role": "model",
            },
            "finishReason": "STOP",
            "index": 0,
            "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}],
        }
    ],
    "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 5, "totalTokenCount": 13},
    "modelVersion": "gemini-2.5-flash",
    "responseId": "r1",
}
PARTS = ("candidates", 0, "content", "parts")
GEMINI_VECTOR = {"embedding": {"values": vector(1)}}


def fresh_results(lines: Any) -> Any:
    for line in lines:
        line["id"], line["response"]["request_id"] = "batch_req_x", "req_x"
        line["response"]["body"] |= {"id": "chatcmpl-x", "created": 1}
        line["response"]["body"]["choices"][0]["message"]["tool_calls"][0]["id"] = "call_x"
    return lines[::-1]


def fresh_gemini(it: Any) -> Any:
    it["candidates"][0]["content"]["parts"][1]["thoughtSignature"] = "EpYC"
    it["candidates"][0]["content"]["parts"][2]["functionCall"]["id"] = "3"
    return it | {"responseId": "r2"}


def swap_gemini(it: Any) -> Any:
    parts = it["candidates"][0]["content"]["parts"]
    parts[2], parts[3] = parts[3], parts[2]
    return it


TABLE: dict[str, tuple[Any, list[tuple[str, Change]]]] = {
    "Embeddings": (
        EMBEDDINGS,
        [
            ("its values differ a little", at(*EMBEDDING, to=vector(1, 0.001))),
            ("it is another vector", at(*EMBEDDING, to=vector(2))),
            ("it has fewer dimensions", at(*EMBEDDING, to=vector(1)[:48])),
            (
                "there is one embedding more",
                lambda it: it | {"data": [*it["data"], {**it["data"][0], "index": 1}]},
            ),
            ("a number is not finite", at(*EMBEDDING, 7, to=float("nan"))),
            ("another model answers", at("model", to="step-embed-2")),
            ("`usage` is gone", without("usage")),
        ],
    ),
    "Transcriptions": (
        TRANSCRIPTION,
        [
            ("a word differs", at("text", to="It is rainy in Paris.")),
            ("more tokens are used", at("usage", "total_tokens", to=30)),
            ("`text` is gone", without("text")),
        ],
    ),
    "A streamed transcription": (
        TRANSCRIBED,
        [
            ("the text comes in other pieces", at(0, "delta", to="It is ")),
            ("a word differs", at(2, "text", to="It is rainy in Paris.")),
        ],
    ),
    "Speech, and other bytes that are made anew": (
        SPEECH,
        [
            ("the bytes differ", lambda it: it | {"bytes": 11980, "sha256": "ba799984cb17d8f7"}),
            ("it is of another type", at("type", to="audio/wav")),
        ],
    ),
    "Images": (
        IMAGES,
        [
            ("`created` and the image are new", at("data", 0, "b64_json", to="iVBORx1LHho=")),
            ("the prompt was revised in other words", at("data", 0, "revised_prompt", to="A blue cat.")),
            ("there is one image more", lambda it: it | {"data": [*it["data"], {"b64_json": "iVBORw0K"}]}),
            ("it has another size", at("size", to="512x512")),
            ("`data` is gone", without("data")),
        ],
    ),
    "Files": (
        FILE,
        [
            ("`id` and `created_at` are new", lambda it: it | {"id": "file-2", "created_at": 1}),
            ("it has another name", at("filename", to="other.txt")),
            ("it is for another purpose", at("purpose", to="user_data")),
            ("it was not processed", at("status", to="error")),
            ("`filename` is gone", without("filename")),
        ],
    ),
    "Batches": (
        BATCH,
        [
            (
                "the ids and times are new",
                lambda it: it | {"id": "batch_2", "created_at": 1, "input_file_id": "f"},
            ),
            ("it has failed", at("status", to="failed")),
            ("fewer requests were completed", at("request_counts", "completed", to=2)),
            ("`status` is one that nobody documents", at("status", to="lost")),
        ],
    ),
    "The results of a batch": (
        RESULTS,
        [
            ("ids and times are new, and the order is another", fresh_results),
            ("a word differs", at(*IN_RESULT, "message", "content", to="Let me look.")),
            (
                "another function is called",
                at(*IN_RESULT, "message", "tool_calls", 0, "function", "name", to="get_forecast"),
            ),
            ("one is gone", lambda it: it[:1]),
            ("one has failed", at(1, "error", to={"code": "batch_expired", "message": "Too late."})),
        ],
    ),
    "Vector stores": (
        VECTOR_STORE,
        [
            ("`id` and times are new", lambda it: it | {"id": "vs_2", "created_at": 1, "last_active_at": 2}),
            ("it has another name", at("name", to="letters")),
            ("it is not ready", at("status", to="in_progress")),
        ],
    ),
    "Completions of a text": (
        TEXT,
        [
            ("`id` and `created` are new", lambda it: it | {"id": "cmpl-2", "created": 1}),
            ("a word differs", at("choices", 0, "text", to=" rainy in Paris.")),
            ("it is cut off", at("choices", 0, "finish_reason", to="length")),
            ("`finish_reason` is one that nobody documents", at("choices", 0, "finish_reason", to="eos")),
        ],
    ),
    "Moderations": (
        MODERATION,
        [
            (
                "`id` is new, and the scores differ a little",
                at("results", 0, "category_scores", to={"violence": 0.03}),
            ),
            ("a score differs", at("results", 0, "category_scores", "violence", to=0.4)),
            ("it is flagged", at("results", 0, "flagged", to=True)),
            ("another category is", at("results", 0, "categories", "violence", to=True)),
            ("`flagged` is gone", without("results", 0, "flagged")),
        ],
    ),
    "Models": (
        MODELS,
        [
            ("they come in another order", lambda it: it | {"data": it["data"][::-1]}),
            ("one is gone", without("data", 1)),
            ("one has another owner", at("data", 0, "owned_by", to="system")),
        ],
    ),
    "Azure's filter": (
        AZURE,
        [
            ("it steps in", at(*FOUND, "filtered", to=True)),
            ("something is nearer to being filtered", at(*FOUND, "severity", to="low")),
            (
                "an attack is found in the prompt",
                at("prompt_filter_results", 0, "content_filter_results", "jailbreak", "detected", to=True),
            ),
        ],
    ),
    "Gemini": (
        GEMINI,
        [
            ("ids and signatures are new", fresh_gemini),
            ("another function is called", at(*PARTS, 2, "functionCall", "name", to="get_forecast")),
            ("an argument differs", at(*PARTS, 2, "functionCall", "args", "city", to="Lyon")),
            ("a call is gone", without(*PARTS, 2)),
            ("the calls change places", swap_gemini),
            ("the text differs", at(*PARTS, 1, "text", to="I search for it.")),
            ("it is thought anew", at(*PARTS, 0, "text", to="They ask for the weather.")),
            ("it is cut off", at("candidates", 0, "finishReason", to="MAX_TOKENS")),
            ("a rating differs", at("candidates", 0, "safetyRatings", 0, "probability", to="LOW")),
            ("it is blocked", at("candidates", 0, "safetyRatings", 0, "blocked", to=True)),
            ("more tokens are used", at("usageMetadata", "candidatesTokenCount", to=9)),
            ("a call has no `name`", without(*PARTS, 2, "functionCall", "name")),
            ("the prompt was blocked", lambda it: {"promptFeedback": {"blockReason": "SAFETY"}}),
        ],
    ),
    "Gemini's embeddings": (
        GEMINI_VECTOR,
        [
            ("the values differ a little", at("embedding", "values", to=vector(1, 0.001))),
            ("it is another vector", at("embedding", "values", to=vector(2))),
        ],
    ),
}
