"""Gemini: ids up to renaming, streams of both forms, and bodies that are something else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from pytest_stepreplay import compare
from pytest_stepreplay.drift.answers import read_answer
from pytest_stepreplay.endpoints import endpoint_of, endpoint_of_answer
from pytest_stepreplay.endpoints.gemini import GEMINI, GEMINI_EMBEDDINGS
from pytest_stepreplay.matching.keys import Matcher
from pytest_stepreplay.models import Request

URL = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent"


def asked(ids: tuple[str, str], *, sealed: str = "a", swapped: bool = False) -> Request:
    calls = [
        {
            "functionCall": {"id": each, "name": "get_weather", "args": {"city": city}},
            "thoughtSignature": sealed,
        }
        for each, city in zip(ids, ("Paris", "Lyon"), strict=True)
    ]
    cited = ids[::-1] if swapped else ids
    results = [
        {"functionResponse": {"id": each, "name": "get_weather", "response": {"output": text}}}
        for each, text in zip(cited, ("sunny", "rainy"), strict=True)
    ]
    contents = [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": calls}]
    return Request(method="POST", url=URL, json={"contents": [*contents, {"role": "user", "parts": results}]})


def answer(*parts: dict[str, Any], reason: str | None = "STOP", **rest: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    return {"candidates": [candidate | ({"finishReason": reason} if reason else {})], **rest}


def test_the_paths_of_both_hosts_are_known() -> None:
    vertex = (
        "/v1/projects/p/locations/europe-west4/publishers/google/models/gemini-2.5-pro:streamGenerateContent"
    )
    assert endpoint_of("/v1beta/models/gemini-2.5-flash:generateContent") is endpoint_of(vertex) is GEMINI
    assert endpoint_of("/v1beta/models/gemini-embedding-001:batchEmbedContents") is GEMINI_EMBEDDINGS
    counting = endpoint_of("/v1beta/models/gemini-2.5-flash:countTokens")
    assert counting.name == "gemini_tokens"
    assert str(compare({"totalTokens": 9}, {"totalTokens": 8}, endpoint=counting).level) == "metadata"
    assert GEMINI.model_of(asked(("a", "b"))) == "gemini-2.5-flash"


def test_fresh_ids_match_and_swapped_results_do_not() -> None:
    key = Matcher().key
    assert key(asked(("1", "2"))) == key(asked(("x", "y")))
    assert key(asked(("1", "2"))) != key(asked(("1", "2"), swapped=True))


@pytest.mark.parametrize("form", ["events", "array"])
def test_a_stream_is_the_answer_that_it_describes(form: str) -> None:
    chunks = [
        answer({"text": "Let me ", "thought": True}, reason=None, modelVersion="g", responseId="1"),
        answer({"text": "see.", "thought": True}, {"text": "It is "}, reason=None),
        answer({"text": "sunny."}, reason=None, usageMetadata={"totalTokenCount": 9}),
        answer({"functionCall": {"name": "f", "args": {}}}, reason=None),
        answer({"text": "", "thoughtSignature": "q"}, usageMetadata={"totalTokenCount": 16}),
    ]
    whole = answer(
        {"text": "Let me see.", "thought": True},
        {"text": "It is sunny."},
        {"functionCall": {"name": "f", "args": {}}},
        {"text": "", "thoughtSignature": "q"},
        modelVersion="g",
        responseId="1",
        usageMetadata={"totalTokenCount": 16},
    )
    stream = "".join(f"data: {json.dumps(each)}\n\n" for each in chunks) if form == "events" else chunks
    assert read_answer(stream).tree == whole
    assert not compare(whole, stream)


def test_several_candidates_keep_apart() -> None:
    def chunk(index: int, text: str) -> dict[str, Any]:
        return {"candidates": [{"index": index, "content": {"parts": [{"text": text}]}}]}

    folded = read_answer([chunk(1, "b"), chunk(0, "a"), chunk(1, "b")]).tree
    assert [it["content"]["parts"][0]["text"] for it in folded["candidates"]] == ["a", "bb"]


def test_what_is_something_else_is_said_to_be_so() -> None:
    stored = answer({"text": "Hi"})
    chat = {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}],
    }
    assert (
        str(compare(stored, chat, endpoint="gemini"))
        == "$: a chat completion instead of a Gemini answer (contract)"
    )
    failed = {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}
    assert "an error object (429: Slow down.)" in str(compare(stored, failed, endpoint="gemini"))
    assert endpoint_of_answer({"candidates": ["Ann", "Bob"]}) is not GEMINI, "those of an election"


def test_a_stream_with_events_that_nobody_documents_keeps_what_is_known() -> None:
    chunks = [answer({"text": "Hi"}, reason=None), {"heartbeat": 1}, {"type": "response.created"}, answer()]
    folded = read_answer(chunks, GEMINI).tree
    assert folded["candidates"][0]["content"]["parts"] == [{"text": "Hi"}]
    assert (folded["heartbeat"], folded["candidates"][0]["finishReason"]) == (1, "STOP")


def test_an_object_of_an_sdk_is_read_by_the_names_of_the_wire() -> None:
    class Candidate(BaseModel):
        model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
        finish_reason: str
        content: dict[str, Any]

    class Answer(BaseModel):
        model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
        candidates: list[Candidate]
        response_id: str

    def sdk(reason: str, name: str) -> Answer:
        content = {"role": "model", "parts": [{"text": "Hi"}]}
        return Answer(candidates=[Candidate(finish_reason=reason, content=content)], response_id=name)

    assert not compare(sdk("STOP", "r1"), sdk("STOP", "r2"))
    assert str(compare(sdk("STOP", "r1"), sdk("MAX_TOKENS", "r2"))) == (
        "candidates[0].finishReason: STOP -> MAX_TOKENS (behavior)"
    )
