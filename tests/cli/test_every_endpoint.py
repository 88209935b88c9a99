"""Each endpoint, asked by its own client: the cassettes through `show`, `diff`, `list`, `convert` and the ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI

from pytest_stepreplay import compare, use_cassette
from pytest_stepreplay.report.ledger import entries
from pytest_stepreplay.store.cassettes import read_cassette
from pytest_stepreplay.upstream import Upstream
from tests.dialects import Dialects

from .conftest import Project

TOOL: Final[Any] = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
USED: Final[Any] = {"name": "get_weather", "input_schema": {"type": "object"}}
ASKED: Final[Any] = {"role": "user", "content": "How is Paris?"}
SEARCH: Final[Any] = {"type": "web_search"}


class Clients:
    """Clients of one server, and what each test of a suite would ask them."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.url = url
        self.openai = stack.enter_context(OpenAI(base_url=url, api_key="none"))
        root = url.removesuffix("/v1")
        self.anthropic = stack.enter_context(Anthropic(base_url=root, api_key="none"))
        self.httpx = stack.enter_context(httpx.Client(base_url=root, verify=False))

    def responses(self) -> Iterator[Any]:
        create = self.openai.responses.create
        first = create(model="m", input="How is Paris?", tools=[TOOL, SEARCH])
        yield first
        calls = [each for each in first.output if each.type == "function_call"]
        output: Any = [
            {"type": "function_call_output", "call_id": it.call_id, "output": "sun"} for it in calls
        ]
        yield create(model="m", input=output, previous_response_id=first.id)
        yield [*create(model="m", input="Hi", stream=True)]

    def responses_otherwise(self) -> Iterator[Any]:
        async def ask() -> Any:
            async with AsyncOpenAI(base_url=self.url, api_key="none") as client:
                return [it async for it in await client.responses.create(model="m", input="Hi", stream=True)]

        yield asyncio.run(ask())
        yield self.httpx.post("/v1/responses", json={"model": "m", "input": "Hi"}).json()

    def conversations(self) -> Iterator[Any]:
        talk = self.openai.conversations.create(items=[ASKED])
        yield talk
        yield self.openai.conversations.items.list(talk.id)
        if hasattr(self.openai.responses, "input_tokens"):  # openai 2.0 has none
            yield self.openai.responses.input_tokens.count(model="m", input="Hi")

    def messages(self) -> Iterator[Any]:
        create = self.anthropic.messages.create
        first = create(model="m", max_tokens=9, messages=[ASKED], tools=[USED])
        yield first
        used = [each for each in first.content if each.type == "tool_use"]
        results: Any = [{"type": "tool_result", "tool_use_id": each.id, "content": "sun"} for each in used]
        turns: Any = [
            ASKED,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": results},
        ]
        yield create(model="m", max_tokens=9, messages=turns, tools=[USED])
        yield self.anthropic.messages.count_tokens(model="m", messages=[ASKED])

    def messages_otherwise(self) -> Iterator[Any]:
        async def ask() -> Any:
            client = AsyncAnthropic(base_url=self.url.removesuffix("/v1"), api_key="none")
            async with client, client.messages.stream(model="m", max_tokens=9, messages=[ASKED]) as stream:
                return await stream.get_final_message()

        yield asyncio.run(ask())
        body = {"model": "m", "max_tokens": 9, "messages": [ASKED], "stream": True}
        with self.httpx.stream("POST", "/v1/messages", json=body) as response:
            yield "".join(response.iter_text())

    def texts(self) -> Iterator[Any]:
        yield self.openai.completions.create(model="o", prompt="Hi")
        yield [*self.openai.completions.create(model="o", prompt="Hi", stream=True)]
        yield self.openai.moderations.create(input="Hi")
        yield self.openai.models.list()
        yield self.openai.embeddings.create(model="e", input=["red"], encoding_format="float")

    def bytes(self) -> Iterator[Any]:
        yield self.openai.images.generate(model="i", prompt="A hat")
        sound = ("hi.mp3", b"ID3\xff", "audio/mpeg")
        yield self.openai.audio.transcriptions.create(model="a", file=sound)
        self.openai.audio.speech.create(model="t", voice="alloy", input="Hi")

    def files(self) -> Iterator[Any]:
        kept = self.openai.files.create(file=("a.jsonl", b"{}"), purpose="batch")
        yield kept
        create = self.openai.batches.create
        batch = create(input_file_id=kept.id, endpoint="/v1/chat/completions", completion_window="24h")
        batch = self.openai.batches.retrieve(batch.id)
        yield batch
        yield self.openai.files.content(batch.output_file_id or "").text
        yield self.openai.vector_stores.create(file_ids=[kept.id], name="n")

    def gemini(self) -> Iterator[Any]:
        model = "/v1beta/models/gemini-2.5-flash"
        contents = [{"role": "user", "parts": [{"text": "How is Paris?"}]}]
        body = {"contents": contents, "tools": [{"functionDeclarations": [{"name": "get_weather"}]}]}
        yield self.httpx.post(f"{model}:generateContent", json=body).json()
        with self.httpx.stream("POST", f"{model}:streamGenerateContent", json=body) as response:
            yield json.loads("".join(response.iter_text()))
        yield self.httpx.post(f"{model}:embedContent", json={"content": {"parts": [{"text": "red"}]}}).json()


SUITES: Final = [
    name for name, value in vars(Clients).items() if not name.startswith("_") and callable(value)
]


def run(folder: Path, say: Dialects | None, mode: str = "record") -> dict[str, list[Any]]:
    """Returns the SDKs' objects that each suite got, with a cassette for each of them."""
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream(say or Dialects()))
        clients = Clients(upstream.url, stack)
        found = {}
        for name in SUITES:
            ask: Callable[[], Iterator[Any]] = getattr(clients, name)
            with use_cassette(folder / f"{name}.yaml", mode=mode):
                found[name] = [*ask()]
        assert (upstream.count == 0) == (mode == "replay")
    return found


TOLD: Final = {
    "responses": 'call        web_search({"type": "search", "query": "get_weather"})\ncall        get_weather(',
    "responses_otherwise": "assistant   It is sunny in Paris today.\nends        completed, 20 + 10 tokens",
    "conversations": "user        It is sunny in Paris today.\nends        1 item",
    "messages": "tool        get_weather: sun\nreasoning   They want to know",
    "messages_otherwise": "200, streamed",
    "texts": "model       step-3.5-flash",
    "bytes": "request     model: a\n            file: hi.mp3, audio/mpeg, 4 bytes",
    "files": "request     purpose: batch\n            file: {}\nfile        notes.bin, 120 bytes, for user_data\n"
    "ends        processed",
    "gemini": 'call        get_weather({"city": "Lyon"})\nends        STOP, 8 + 8 tokens',
}
CHANGED: Final = {
    "responses": "output[2].name: get_weather -> get_forecast",
    "responses_otherwise": "output[1].content[0].text: It [-is sunny in Paris today-]{+rains+}.",
    "conversations": "data[0].content[0].text: It [-is sunny in Paris today-]{+rains+}.",
    "messages": "content[1].name: get_weather -> get_forecast",
    "messages_otherwise": "content[1].text: It [-is sunny in Paris today-]{+rains+}.",
    "texts": ".id: step-3.7-flash -> step-9",
    "bytes": "text: It [-is sunny in Paris today-]{+rains+}.",
    "files": "results_by_custom_id.first.response.body.choices[0].message.tool_calls[0].function.name: get_weather",
    "gemini": "candidates[0].content.parts[1].functionCall.name: get_weather -> get_forecast",
}
SPENT: Final = {
    ("responses", "m"): (5, 100, 50),
    ("completions", "o"): (2, 6, 12),
    ("embeddings", "e"): (1, 7, 0),
    ("images", "i"): (1, 12, 30),
    ("transcriptions", "a"): (1, 14, 9),
    ("files", ""): (2, 18, 14),
    ("gemini", "gemini-2.5-flash"): (2, 16, 16),
}
"""Requests, and tokens of the requests and of the answers."""


def test_every_endpoint_is_shown_compared_counted_and_converted(project: Project) -> None:
    same = run(project.path / "stored", Dialects())
    again = run(project.path / "again", Dialects())
    other = Dialects(tool="get_forecast", text="It rains.", model="step-9")
    other.talking.tool, other.talking.text = other.tool, other.text
    changed = run(project.path / "changed", other)
    assert run(project.path / "stored", None, "replay").keys() == same.keys()

    for name in SUITES:
        stored = f"stored/{name}.yaml"
        assert TOLD[name] in project.run("show", stored).out, name
        result = project.run("diff", stored, f"again/{name}.yaml", "--fail-on", "metadata")
        assert result.status == 0, (name, result.out)
        told = project.run("diff", stored, f"changed/{name}.yaml").out
        assert CHANGED[name] in told, name
        # What the SDKs return is what `chat_snapshot` is given.
        for one, two in zip(same[name], again[name], strict=True):
            assert not compare(one, two), (name, type(one))
        assert any(compare(one, two) for one, two in zip(same[name], changed[name], strict=True)), name

    answered = [
        (it.request, it.response)
        for name in SUITES
        for it in read_cassette(project.path / f"stored/{name}.yaml").cassette.interactions
    ]
    spent = {(name, model): tuple(rest[:3]) for _, name, model, *rest in entries("spent", answered)}
    assert {key: spent[key] for key in SPENT} == SPENT
    listed = project.run("list", "--stats", "stored", "--json").json["stats"]["endpoints"]
    assert listed["responses"]["total_tokens"] == 150
    assert listed["gemini"]["completion_tokens"] == 16

    for form in ("vcr", "har"):
        assert project.run("convert", "stored", "--to", form, "--format", form).status == 0
        assert project.run("convert", form, "--to", f"back_{form}").status == 0
        for name in SUITES:
            (back,) = (project.path / f"back_{form}").rglob(f"{name}.yaml")
            result = project.run("diff", f"stored/{name}.yaml", back, "--fail-on", "metadata")
            assert result.status == 0, (form, name, result.out)
