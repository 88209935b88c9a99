"""`stepreplay show`: a cassette as a conversation that a person can read."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len

from pytest_stepreplay import endpoints
from pytest_stepreplay.cli import main
from pytest_stepreplay.endpoints import Call, Conversation, Endpoint, Reading, Remark, Tokens, table
from pytest_stepreplay.models import Interaction, RawFrame, Request, Response
from tests.talking import framed, message_events, response_events
from tests.unit.test_drift_table import MESSAGE_ANSWER, RESPONSE

from .conftest import URL, Project, Terminal, chat, completion, user

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
}
WEATHER = {"type": "function", "function": {"name": "get_weather"}}


def shown(project: Project, *interactions: Interaction, args: tuple[str, ...] = ()) -> str:
    """Returns what is printed for the interactions, without the two lines of the head."""
    path = project.write("cassettes/a.yaml", *interactions)
    result = project.run("show", path, *args)
    assert (result.status, result.err) == (0, "")
    return result.out.split("\n", 3)[3]


def other(method: str = "GET", **response: Any) -> Interaction:
    return Interaction(
        request=Request(method=method, url="https://example.com/x"),
        response=Response(**{"status": 200, **response}),
    )


def test_a_conversation_reads_from_top_to_bottom(project: Project) -> None:
    question = [{"role": "system", "content": "Be brief."}, user("How is the weather in Oslo?")]
    asked = completion("", "tool_calls", tool_calls=[CALL], reasoning="I need the weather.")
    sent_back = {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "7 degrees"}
    answered = completion("It is cold.\nTake a coat.") | {
        "usage": {"prompt_tokens": 90, "completion_tokens": 4, "total_tokens": 94, "cached_tokens": 64}
    }
    path = project.write(
        "cassettes/test_chat/test_weather.yaml",
        chat(*question, answer=asked, tools=[WEATHER], temperature=0.2),
        chat(*question, sent_back, result, answer=answered, tools=[WEATHER]),
        test="test_chat.py::test_weather",
    )
    assert project.run("show", path).out == (
        "cassettes/test_chat/test_weather.yaml\n"
        "test_chat.py::test_weather, 2 interactions\n"
        "\n"
        f"1  POST {URL}  200, 0.41 s, 2026-11-22T17:00:00Z\n"
        "asks        step-3.5-flash, tools: get_weather, temperature=0.2\n"
        "system      Be brief.\n"
        "user        How is the weather in Oslo?\n"
        "reasoning   I need the weather.\n"
        'call        get_weather({"city": "Oslo"})\n'
        "ends        tool_calls, 83 + 2 tokens\n"
        "\n"
        f"2  POST {URL}  200, 0.41 s, 2026-11-22T17:00:00Z\n"
        "asks        step-3.5-flash, tools: get_weather\n"
        "… 3 earlier messages as above\n"
        "tool        get_weather: 7 degrees\n"
        "assistant   It is cold.\n"
        "            Take a coat.\n"
        "ends        stop, 90 + 4 tokens (64 cached)\n"
    )


def test_one_interaction_is_shown_whole(project: Project) -> None:
    out = shown(
        project,
        chat(user("Say hello.")),
        chat(user("Say hello."), {"role": "assistant", "content": "Hello!"}, user("Again.")),
        args=("-n", "2"),
    )
    assert out.startswith("2  POST ")
    assert "user        Say hello.\nassistant   Hello!\nuser        Again.\n" in out
    assert "earlier" not in out


def test_an_interaction_that_is_not_there_is_a_mistake(project: Project) -> None:
    project.write("cassettes/a.yaml", chat())
    result = project.run("show", "a", "--interaction", "2")
    assert (result.status, result.err) == (
        2,
        "stepreplay: cassettes/a.yaml has no interaction 2; it holds 1\n",
    )


@pytest.mark.parametrize(
    "name", ["cassettes/test_chat/test_a.yaml", "cassettes/test_chat/test_a", "test_chat/test_a"]
)
def test_a_cassette_is_found_by_path_or_name(project: Project, name: str) -> None:
    project.write("cassettes/test_chat/test_a.yaml", chat())
    assert project.run("show", name).out.startswith("cassettes/test_chat/test_a.yaml\n1 interaction\n")


def test_messages_are_compared_with_any_earlier_conversation(project: Project) -> None:
    one = [user("One."), {"role": "assistant", "content": "Hello!"}, user("More.")]
    out = shown(
        project, chat(user("One.")), chat(user("Two.")), chat(*one), chat(user("Other."), user("One."))
    )
    first, second, third, fourth = out.split("\n\n")
    assert "user        One." in first
    assert "user        Two." in second
    assert "… 2 earlier messages as in 1\nuser        More." in third
    assert "user        Other.\nuser        One." in fourth


def test_a_changed_earlier_message_is_shown_again(project: Project) -> None:
    out = shown(
        project,
        chat(user("One.")),
        chat(user("One."), {"role": "assistant", "content": "Edited."}, user("Two.")),
        chat(user("One."), {**completion("", tool_calls=[CALL])["choices"][0]["message"]}, user("Three.")),
    )
    assert "… 1 earlier message as above\nassistant   Edited.\nuser        Two." in out
    assert '… 1 earlier message as in 1\ncall        get_weather({"city": "Oslo"})\nuser        Three.' in out


def test_streams_are_shown_assembled(project: Project) -> None:
    def event(delta: dict[str, Any], reason: str = "") -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return json.dumps({"id": "a", "object": "chat.completion.chunk", "choices": [choice]})

    events = (
        event({"role": "assistant", "content": ""}),
        RawFrame(frame=": OPENROUTER PROCESSING\n\n"),
        event({"content": "Hel"}),
        RawFrame(frame=f"data:{event({'content': 'lo.'}, 'stop')}\n\n"),
        "[DONE]",
    )
    out = shown(project, chat(response=Response(status=200, events=events), stream=True))
    assert "200, streamed, 0.41 s" in out
    assert out.endswith(
        "asks        step-3.5-flash\nuser        Say hello.\nassistant   Hello.\nends        stop\n"
    )


@pytest.mark.parametrize(
    "response",
    [
        Response(status=200, events=('{"error":{"type":"busy","message":"try later"}}',)),
        Response(status=503, json={"error": {"type": "busy", "message": "try later"}}),
        Response(status=503, json={"error": {"code": "busy", "message": "try later"}}),
        Response(status=503, json={"error": "busy: try later"}),
    ],
)
def test_errors_are_shown_as_errors(project: Project, response: Response) -> None:
    out = shown(project, chat(response=response))
    assert "error       busy: try later\n" in out


def test_an_error_without_words_is_shown_as_it_is(project: Project) -> None:
    assert 'error       {\n              "param": "x"' in shown(
        project, chat(response=Response(status=400, json={"error": {"param": "x"}}))
    )


def test_several_choices_are_numbered(project: Project) -> None:
    answer = completion("One.")
    answer["choices"].append(
        {"index": 1, "message": {"role": "assistant", "content": "Two."}, "finish_reason": "stop"}
    )
    answer["choices"].append("odd")
    out = shown(project, chat(answer=answer, n=2))
    assert "asks        step-3.5-flash, n=2\n" in out
    assert "assistant 0 One.\nassistant 1 Two.\nends        stop, 83 + 2 tokens\n" in out


def test_what_is_seldom_in_a_message_is_shown(project: Project) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100}}
    custom = {"type": "custom", "custom": {"name": "run_sql", "input": "SELECT 1"}}
    out = shown(
        project,
        chat(
            user(
                [
                    {"type": "text", "text": "Look:"},
                    picture,
                    {"type": "video_url", "video_url": "https://v"},
                    "odd",
                ]
            ),
            {"role": "assistant", "function_call": {"name": "old", "arguments": "not json"}},
            {"role": "tool", "content": {"odd": True}},
            {"role": "a-very-long-role", "content": "hm"},
            {"content": None, "tool_calls": [{"type": "web_search"}, "odd", custom]},
            answer=completion(None, None, refusal="I can't.", reasoning_content="Hm."),
            response_format={"type": "json_object"},
            stop="x",
            tools=["odd", {"type": "web_search"}, {"type": "custom", "custom": {"name": "run_sql"}}],
        ),
    )
    assert 'response_format={"type": "json_object"}, stop=x, tools: web_search, run_sql' in out
    assert "user        Look:\n            [image_url data:image/png;base64,AAAA" in out
    assert "… (122 characters)]\n            [video_url https://v]\n            [None]\n" in out
    assert "call        old(not json)\n" in out
    assert 'tool        : {"odd": true}\n' in out
    assert "a-very-long-role\n            hm\n" in out
    assert "call        web_search()\ncall        ?()\ncall        run_sql(SELECT 1)\n" in out
    assert (
        "reasoning   Hm.\nassistant   refuses: I can't.\nends        without a finish reason, 83 + 2 tokens\n"
        in out
    )


def test_an_answer_with_nothing_in_it_says_so(project: Project) -> None:
    out = shown(project, chat(answer=completion(None) | {"usage": None}))
    assert out.endswith("assistant   (nothing)\nends        stop\n")


def test_what_is_no_conversation_is_shown_shortened(project: Project) -> None:
    numbers = {"data": list(map(str, range(100))), "row": [0.5] * 100, "more": {"a": 1}}
    out = shown(
        project,
        other(json=numbers),
        other(text="word " * 1000),
        other(text=""),
        other(base64=base64.b64encode(b"\xff\xfe").decode()),
        other(events=(RawFrame(frame="data: hello\n\n"),)),
        replace(
            chat(answer="just text"),
            request=Request(method="POST", url=URL, json={"input": "x", "messages": "odd"}),
        ),
    )
    first, second, third, fourth, fifth, sixth = out.split("\n\n")[:6]
    assert '"… 88 more"' in first
    assert '"row": "[100 dimensions, norm 5.0000]"' in first
    assert second.endswith("… (3,000 more characters)")
    assert third.endswith("response    (no body)")
    assert fourth.endswith("response    2 bytes")
    assert "data: hello" in fifth
    assert 'request     {\n              "input": "x"' in sixth + out


def test_what_a_model_wrote_cannot_act(project: Project) -> None:
    evil = "\x1b]0;owned\x07[bold]big[/bold] [link=file:///x]y[/link] :smile:\n::error::pwned\r\u202egnp"
    result = shown(
        project,
        chat(
            user(evil),
            {"role": evil, "content": "x"},
            answer=completion(evil, tool_calls=[CALL | {"id": evil}]),
        ),
    )
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(result)
    assert "[bold]big[/bold] [link=file:///x]y[/link] :smile:" in result
    assert not any(line.lstrip().startswith("::") for line in result.splitlines())


def test_json_holds_messages_and_completion(project: Project) -> None:
    event = '{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}'
    path = project.write(
        "cassettes/a.yaml",
        chat(user("One.")),
        chat(user("One."), response=Response(status=200, events=(event,))),
        other(base64="//4="),
        test="t.py::test",
    )
    reply = project.run("show", path, "--json").json
    assert (reply["path"], reply["format"], reply["test"]) == ("cassettes/a.yaml", "stepreplay", "t.py::test")
    plain, streamed, binary = reply["interactions"]
    assert plain["request"]["body"]["messages"] == [user("One.")]
    assert plain["response"] == {"status": 200, "streamed": False, "completion": completion(), "body": None}
    assert (streamed["continues"], streamed["repeated_messages"]) == (1, 1)
    assert streamed["response"]["completion"]["choices"][0]["message"]["content"] == "Hi"
    assert binary["request"] == {"method": "GET", "url": "https://example.com/x", "body": None}
    assert binary["response"]["body"] == {"base64": "//4="}


def test_an_event_stream_stored_as_text_is_read_as_a_stream(project: Project) -> None:
    text = 'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n\n'
    response = Response(status=200, headers={"content-type": "text/event-stream"}, text=text)
    assert "assistant   Hi\n" in shown(project, chat(response=response))
    odd = Response(status=200, events=('{"choices": 3}',))
    assert "response    data: " in shown(project, chat(response=odd))


def test_a_cassette_of_vcrpy_is_shown_and_says_so(project: Project) -> None:
    (project.path / "old.yaml").write_text(
        "version: 1\n"
        "interactions:\n"
        "- request:\n"
        f"    uri: {URL}\n"
        "    method: POST\n"
        '    body: \'{"messages": [{"role": "user", "content": "Hi."}]}\'\n'
        "    headers: {}\n"
        "  response:\n"
        "    status: {code: 200, message: OK}\n"
        "    headers: {}\n"
        f"    body: {{string: '{json.dumps(completion())}'}}\n",
        encoding="utf-8",
    )
    assert project.run("show", "old.yaml").out == (
        "old.yaml\n"
        "1 interaction, vcr format\n"
        "\n"
        f"1  POST {URL}  200\n"
        "user        Hi.\n"
        "assistant   Hello!\n"
        "ends        stop, 83 + 2 tokens\n"
    )


@pytest.mark.parametrize("width", [30, 60])
def test_lines_fit_the_terminal(project: Project, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    long = "A sentence that is much longer than any narrow terminal. " * 3
    path = project.write("cassettes/a.yaml", chat(user(long), answer=completion("一" * 50 + "\n\tend")))
    terminal = Terminal()
    for name, value in {"COLUMNS": str(width), "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["show", str(path)]) == 0
    written = re.sub(r"\x1b\[\d*m", "", terminal.getvalue())
    conversation = written[written.index("user") :].splitlines()
    assert "A sentence that" in "\n".join(conversation)
    assert max(map(cell_len, conversation)) <= width


def test_an_endpoint_says_how_it_reads(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    weather = Endpoint(
        name="weather",
        paths=("/forecast",),
        noun="a forecast",
        sort_of=lambda tree: "answer" if "sky" in tree else None,
        conversation=Conversation("question"),
        reading=Reading(
            request=lambda body: [Remark("user", body["question"])],
            answer=lambda tree: [Remark("radar", tree["sky"], calls=(Call("1", "look", {"at": "sky"}),))],
            end=lambda tree: "over",
        ),
        tokens_in=lambda tree: Tokens(input=3, output=4),
    )
    monkeypatch.setattr(table, "ENDPOINTS", (*table.ENDPOINTS, weather))
    endpoints.endpoint_of.cache_clear()
    interaction = Interaction(
        request=Request(
            method="POST", url="https://w.example/forecast", json={"question": "Rain?", "day": 2}
        ),
        response=Response(status=200, json={"sky": "blue"}),
    )
    assert shown(project, interaction).endswith(
        "asks        day=2\n"
        "user        Rain?\n"
        "radar       blue\n"
        'call        look({"at": "sky"})\n'
        "ends        over, 3 + 4 tokens\n"
    )
    assert project.run("list", "--stats", "--json").json["stats"]["total_tokens"] == 7
    endpoints.endpoint_of.cache_clear()


def test_responses_and_messages_read_as_chat_does(project: Project) -> None:
    def asked(path: str, answer: Response | dict[str, Any], **body: Any) -> Interaction:
        request = Request(
            method="POST", url=URL.replace("chat/completions", path), json={"model": "m", **body}
        )
        response = answer if isinstance(answer, Response) else Response(status=200, json=answer)
        return Interaction(request=request, response=response)

    def streamed(events: Iterator[dict[str, Any]]) -> Response:
        return Response(status=200, events=tuple(RawFrame(frame=frame) for frame in framed(events)))

    said = [{"type": "output_text", "text": "Sunny."}]
    spoken = RESPONSE | {"output": [{"type": "message", "role": "assistant", "content": said}]}
    result = {"type": "function_call_output", "call_id": "call_9f2k", "output": "7 degrees"}
    question = {"role": "user", "content": "How is Paris?"}
    tools = [{"type": "function", "name": "get_weather"}, {"type": "web_search"}]
    out = shown(
        project,
        asked("responses", RESPONSE, instructions="Be brief.", input="How is Paris?", tools=tools),
        asked("responses", spoken, previous_response_id="resp_68a1", input=[result]),
        asked(
            "responses",
            streamed(response_events(RESPONSE)),
            instructions="Be brief.",
            input=[question, *RESPONSE["output"], result],
        ),
    )
    assert out == (
        f"1  POST {URL.replace('chat/completions', 'responses')}  200\n"
        "asks        m, tools: get_weather, web_search\n"
        "system      Be brief.\n"
        "user        How is Paris?\n"
        "reasoning   They ask for the weather.\n"
        "assistant   I will look it up.\n"
        'call        get_weather({"city": "Paris", "days": 2})\n'
        "ends        completed, 36 + 21 tokens (16 cached)\n"
        "\n"
        f"2  POST {URL.replace('chat/completions', 'responses')}  200\n"
        "asks        m, previous_response_id=resp_68a1\n"
        "tool        get_weather: 7 degrees\n"
        "assistant   Sunny.\n"
        "ends        completed, 36 + 21 tokens (16 cached)\n"
        "\n"
        f"3  POST {URL.replace('chat/completions', 'responses')}  200, streamed\n"
        "asks        m\n"
        "… 5 earlier messages as in 1\n"
        "tool        get_weather: 7 degrees\n"
        "reasoning   They ask for the weather.\n"
        "assistant   I will look it up.\n"
        'call        get_weather({"city": "Paris", "days": 2})\n'
        "ends        completed, 36 + 21 tokens (16 cached)\n"
    )
    back = [
        {
            "type": "tool_result",
            "tool_use_id": "toolu_01A0",
            "content": [{"type": "text", "text": "7 degrees"}],
        },
        {"type": "text", "text": "So?"},
    ]
    spoken = MESSAGE_ANSWER | {"content": [{"type": "text", "text": "Sunny."}], "stop_reason": "end_turn"}
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    made = {"role": "assistant", "content": MESSAGE_ANSWER["content"]}
    out = shown(
        project,
        asked("messages", MESSAGE_ANSWER, system=system, messages=[question], max_tokens=9),
        asked(
            "messages",
            streamed(message_events(spoken)),
            system="Be brief.",
            messages=[question, made, {"role": "user", "content": back}],
        ),
        asked("messages/count_tokens", {"input_tokens": 9}, messages=[question]),
    )
    assert out == (
        f"1  POST {URL.replace('chat/completions', 'messages')}  200\n"
        "asks        m, max_tokens=9\n"
        "system      Be brief.\n"
        "user        How is Paris?\n"
        "reasoning   They ask for the weather.\n"
        "assistant   I will look it up.\n"
        'call        get_weather({"city": "Paris", "days": 2})\n'
        "ends        tool_use, 52 + 21 tokens (16 cached)\n"
        "\n"
        f"2  POST {URL.replace('chat/completions', 'messages')}  200, streamed\n"
        "asks        m\n"
        "… 3 earlier messages as above\n"
        "tool        get_weather: 7 degrees\n"
        "user        So?\n"
        "assistant   Sunny.\n"
        "ends        end_turn, 52 + 21 tokens (16 cached)\n"
        "\n"
        f"3  POST {URL.replace('chat/completions', 'messages/count_tokens')}  200\n"
        "asks        m\n"
        "user        How is Paris?\n"
        "ends        9 tokens\n"
    )
    stats = project.run("list", "--stats", "--json").json["stats"]
    assert (stats["prompt_tokens"], stats["completion_tokens"], stats["streamed"]) == (104, 42, 1)


def test_pipes_get_whole_lines(project: Project) -> None:
    long = "word " * 500
    assert f"user        {long.rstrip()}\n" in shown(project, chat(user(long)))
