"""Gemini, asked by Google's own client. It is skipped by its name where that is not installed; `.ci/run` installs it."""

from __future__ import annotations

import pytest

from tests.dialects import Dialects

from .suite import Suite
from .test_endpoints import check_rounds, verify

pytest.importorskip("google.genai")

ASKED = """
    import pytest
    from google import genai
    from google.genai import types

    MODEL = "gemini-2.5-flash"
    DECLARED = types.FunctionDeclaration(name="get_weather", parameters_json_schema={{"type": "object"}})
    CONFIG = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[DECLARED])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    pytestmark = pytest.mark.stepreplay

    @pytest.fixture
    def client():
        options = types.HttpOptions(base_url="{url}".removesuffix("/v1"))
        with genai.Client(api_key="none", http_options=options) as client:
            yield client

    def converse(generate):
        contents = [types.Content(role="user", parts=[types.Part(text="How are Paris and Lyon?")])]
        for _ in range(2):
            said = generate(contents)
            contents.append(said)
            calls = [part.function_call for part in said.parts if part.function_call]
            results = [
                types.Part(function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={{"output": "sunny in " + call.args["city"]}}
                ))
                for call in calls
            ]
            contents.append(types.Content(role="user", parts=results))
        return "".join(part.text or "" for part in said.parts if not part.thought)

    def test_tools(client, chat_snapshot):
        def generate(contents):
            whole = client.models.generate_content(model=MODEL, contents=contents, config=CONFIG)
            if len(contents) == 1:
                assert whole == chat_snapshot
            return whole.candidates[0].content

        assert "sunny in Paris, sunny in Lyon" in converse(generate)

    def test_stream(client):
        def generate(contents):
            chunks = client.models.generate_content_stream(model=MODEL, contents=contents, config=CONFIG)
            parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
            text = "".join(part.text or "" for part in parts if not part.thought)
            calls = [part for part in parts if part.function_call]
            return types.Content(role="model", parts=calls or [types.Part(text=text)])

        assert "sunny in Paris, sunny in Lyon" in converse(generate)

    def test_async(client):
        import asyncio

        async def ask():
            async with client.aio as own:
                return await own.models.generate_content(model=MODEL, contents="How is Paris?")

        assert "sunny" in asyncio.run(ask()).text

    def test_embedding(client, chat_snapshot):
        found = client.models.embed_content(model="gemini-embedding-001", contents=["red", "green"])
        assert len(found.embeddings[1].values) == 256
        assert found == chat_snapshot
"""


def test_googles_client(suite: Suite) -> None:
    suite.say = model = Dialects()
    suite.write(ASKED)
    check_rounds(suite, 4)
    model.tool = "get_forecast"
    result = verify(suite)
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*functionCall.name: get_weather -> get_forecast*", "*behavior*"])
