"""Responses and messages, asked by their own clients: conversations with tools, plain and streamed."""

from __future__ import annotations

import anthropic.lib.streaming
import anthropic.types  # noqa: F401 - imported here, so that not each run of a suite does it anew
import openai.lib.streaming.responses
import openai.types.responses  # noqa: F401 - as above
import pytest

from tests.dialects import Dialects

from .suite import Suite
from .test_endpoints import check_rounds, verify

RESPONSES = """
    import pytest
    from openai import OpenAI

    client = OpenAI(base_url="{url}")
    pytestmark = pytest.mark.stepreplay
    TOOL = {{"type": "function", "name": "get_weather", "parameters": {{"type": "object"}}}}
    QUESTION = {{"role": "user", "content": "How is the weather in Paris and Oslo?"}}
    WEATHER = {{"Paris": "sunny", "Oslo": "snow"}}

    def results(response):
        import json

        calls = [each for each in response.output if each.type == "function_call"]
        cities = [json.loads(call.arguments)["city"] for call in calls]
        return [
            {{"type": "function_call_output", "call_id": call.call_id, "output": WEATHER[city]}}
            for call, city in zip(calls, cities)
        ]

    def ask(items, **options):
        return client.responses.create(model="m", input=items, tools=[TOOL], **options)

    def test_sent_back(chat_snapshot):
        first = ask([QUESTION], include=["reasoning.encrypted_content"], store=False)
        said = [each.to_dict(mode="json") for each in first.output]
        answer = ask([QUESTION, *said, *results(first)], store=False)
        assert answer.output_text.endswith("sunny snow")
        assert answer == chat_snapshot

    def test_kept():
        first = ask("How is the weather?")
        answer = ask(results(first), previous_response_id=first.id)
        assert answer.output_text.endswith("sunny snow")

    SERVERS_OWN = [
        {{"type": "web_search"}},
        {{"type": "file_search", "vector_store_ids": ["vs_1"]}},
        {{"type": "code_interpreter", "container": {{"type": "auto"}}}},
        {{"type": "mcp", "server_label": "maps", "server_url": "https://maps.example"}},
        {{"type": "image_generation"}},
        {{"type": "computer_use_preview", "environment": "browser", "display_width": 9, "display_height": 9}},
    ]

    def use(items, **options):
        return client.responses.create(model="m", input=items, tools=SERVERS_OWN, **options)

    def test_tools_of_the_server(chat_snapshot):
        first = use([QUESTION])
        *_, asked, _, clicked, message = first.output
        said = [each.to_dict(mode="json") for each in first.output]
        shot = {{"type": "computer_screenshot", "image_url": "data:image/png;base64,iVBORw0KGgo="}}
        seen = {{"type": "computer_call_output", "call_id": clicked.call_id, "output": shot}}
        approved = {{"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}}
        answer = use([QUESTION, *said, approved, seen])
        assert first == chat_snapshot
        events = list(use([QUESTION], stream=True))
        assert [each.type for each in events[-1].response.output] == [each.type for each in first.output]

    def test_conversation(chat_snapshot):
        talk = client.conversations.create(items=[QUESTION])
        client.conversations.items.create(talk.id, items=[QUESTION])
        answer = ask([QUESTION], conversation=talk.id)
        assert client.conversations.items.list(talk.id).data[0].role == "user"
        assert client.responses.input_items.list(answer.id) == chat_snapshot
        assert client.responses.retrieve(answer.id).id == answer.id
        if hasattr(client.responses, "input_tokens"):  # openai 2.0 has none
            assert client.responses.input_tokens.count(model="m", input=[QUESTION]).input_tokens == 11

    def test_streamed():
        events = list(ask([QUESTION], stream=True))
        first = events[-1].response
        assert events[0].type == "response.created"
        with client.responses.stream(model="m", input=results(first), previous_response_id=first.id) as stream:
            assert "".join(it.delta for it in stream if it.type == "response.output_text.delta").endswith("snow")
            assert stream.get_final_response().output_text.endswith("sunny snow")
"""

MESSAGES = """
    import pytest
    from anthropic import Anthropic

    client = Anthropic(base_url="{url}".removesuffix("/v1"), api_key="none")
    pytestmark = pytest.mark.stepreplay
    TOOL = {{"name": "get_weather", "input_schema": {{"type": "object"}}}}
    QUESTION = {{"role": "user", "content": "How is the weather in Paris and Oslo?"}}
    WEATHER = {{"Paris": "sunny", "Oslo": "snow"}}

    def results(message):
        calls = [each for each in message.content if each.type == "tool_use"]
        return [
            {{"type": "tool_result", "tool_use_id": call.id, "content": WEATHER[call.input["city"]]}} for call in calls
        ]

    def ask(*messages, **options):
        return client.messages.create(model="m", max_tokens=99, messages=messages, tools=[TOOL], **options)

    def turns(first):
        return QUESTION, {{"role": "assistant", "content": first.content}}, {{"role": "user", "content": results(first)}}

    def test_tools(chat_snapshot):
        first = ask(QUESTION, system=[{{"type": "text", "text": "Be brief.", "cache_control": {{"type": "ephemeral"}}}}])
        assert first.stop_reason == "tool_use"
        answer = ask(*turns(first))
        assert answer.content[-1].text.endswith("sunny snow")
        assert answer == chat_snapshot

    def test_streamed():
        with client.messages.stream(model="m", max_tokens=99, messages=[QUESTION], tools=[TOOL]) as stream:
            first = stream.get_final_message()
        pieces = [it.delta.text for it in ask(*turns(first), stream=True)
                  if it.type == "content_block_delta" and it.delta.type == "text_delta"]
        assert "".join(pieces).endswith("sunny snow")

    def test_counted():
        assert client.messages.count_tokens(model="m", messages=[QUESTION]).input_tokens == 70
"""


@pytest.fixture
def model(suite: Suite) -> Dialects:
    suite.say = Dialects()
    return suite.say


@pytest.mark.parametrize(("code", "passed"), [(RESPONSES, 5), (MESSAGES, 3)], ids=["responses", "messages"])
def test_conversations(suite: Suite, model: Dialects, code: str, passed: int) -> None:
    suite.write(code)
    check_rounds(suite, passed)

    model.talking.tool = "get_forecast"
    result = verify(suite)
    talked = passed - ("count_tokens" in code)
    result.assert_outcomes(failed=talked, passed=passed - talked)
    result.stdout.fnmatch_lines(["*.name: get_weather -> get_forecast"])

    model.talking.tool, model.talking.text = "get_weather", "The sun shines in Paris."
    model.talking.stop = "max_tokens"
    result = verify(suite)
    result.assert_outcomes(failed=talked, passed=passed - talked)
    result.stdout.fnmatch_lines(["*max_tokens*", "*text: *similarity*"])
