"""Secrets under attack from a real test: nothing that a run leaves behind holds one, and a refusal names the place."""

from __future__ import annotations

import json
import random
import string
from base64 import b64encode
from pathlib import Path

import pytest

from pytest_stepreplay.cli import main
from pytest_stepreplay.upstream import ReceivedRequest
from pytest_stepreplay.upstream.replies import Reply, answer, error, raw

from .suite import Suite

# Made here, so that this file holds no key.
KEY = "sk-" + "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=48))

TEST = """
    import os
    import httpx, pytest

    def ask(text, stream=False):
        body = {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": text}}], "stream": stream}}
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        return httpx.post("{url}/chat/completions", json=body, headers=headers).text

    @pytest.mark.stepreplay(record_errors=True)
    def test_greeting():
        ask("Say hello.")
"""


def left_behind(suite: Suite, secret: str) -> list[str]:
    """Returns the files that hold a secret, but for the test modules themselves."""
    return [
        path.name
        for path in suite.pytester.path.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"} and secret.encode() in path.read_bytes()
    ]


def says_the_key(received: ReceivedRequest) -> Reply:
    return answer(f"Your key is {KEY}, is it?")


def refuses_the_key(received: ReceivedRequest) -> Reply:
    return error(401, "invalid_api_key", f"Incorrect API key provided: {KEY}.")


@pytest.mark.parametrize("say", [says_the_key, refuses_the_key])
@pytest.mark.parametrize("stream", ["False", "True"])
def test_a_key_that_the_api_says_is_redacted_and_the_test_replays_without_one(
    suite: Suite, say: object, stream: str
) -> None:
    suite.say = say  # type: ignore[assignment]
    suite.write(TEST.replace("Say hello.", KEY).replace("stream=False", f"stream={stream}"))
    recorded = suite.run("--stepreplay=record", key=KEY)
    recorded.assert_outcomes(passed=1)
    assert suite.cassette().exists()
    assert left_behind(suite, KEY) == []
    suite.go_offline()
    suite.run().assert_outcomes(passed=1)
    suite.start()


def test_a_prompt_with_the_key_in_it_matches_without_the_key(suite: Suite) -> None:
    suite.write(TEST.replace('"Say hello."', '"Say " + os.environ["STEP_API_KEY"]'))
    suite.run("--stepreplay=record", key="an-odd-secret-of-mine").assert_outcomes(passed=1)
    assert left_behind(suite, "an-odd-secret-of-mine") == []
    suite.run().assert_outcomes(passed=1)
    suite.run(key="quite-another-one-of-mine").assert_outcomes(passed=1)


def test_what_redaction_cannot_replace_is_refused_and_the_old_file_stands(suite: Suite) -> None:
    suite.say = lambda received: answer("Hello!")
    suite.write(TEST)
    suite.record().assert_outcomes(passed=1)
    before = suite.cassette().read_bytes()
    encoded = b64encode(f"user:{KEY}".encode()).decode()
    suite.change("Say hello.", f"See {encoded} there.")
    result = suite.record()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*test_greeting.yaml: was not written, since it would hold what looks like a secret:",
            "*test_chat.py::test_greeting, interaction 1, request.json.messages*0*.content: "
            "an API key of the form sk-..., in base64",
            "*If it is not a secret, allow it and give a reason, as a line of stepreplay_allow_secret:",
            "*request.json.messages*0*.content: REASON",
        ]
    )
    assert suite.cassette().read_bytes() == before
    assert suite.cassettes == ["test_chat/test_greeting.yaml"]


def test_a_refusal_names_five_places_at_most(suite: Suite) -> None:
    suite.say = lambda received: answer("Hello!")
    encoded = b64encode(f"user:{KEY}".encode()).decode()
    suite.write(
        TEST.replace("Say hello.", f"See {encoded} there.")
        .replace("ask(", "for n in range(7): ask(f'{{n}}' + ", 2)
        .replace("def for n in range(7): ask(f'{{n}}' + ", "def ask(")
    )
    result = suite.record()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*interaction 5, request.json.messages*", "*and 2 more places"])


@pytest.mark.parametrize("where", ["marker", "ini"])
def test_a_false_alarm_is_allowed_with_its_reason(suite: Suite, where: str) -> None:
    suite.say = lambda received: answer("Hello!")
    encoded = b64encode(f"user:{KEY}".encode()).decode()
    suite.write(TEST.replace("Say hello.", f"See {encoded} there."))
    if where == "marker":
        allowed = 'record_errors=True, allow_secret={"request.json.**": "made up"}'
        suite.change("record_errors=True", allowed)
    else:
        suite.pytester.makeini("[pytest]\nstepreplay_allow_secret =\n    request.json.**: made up\n")
    suite.record().assert_outcomes(passed=1)
    suite.run().assert_outcomes(passed=1)


def test_a_place_without_a_reason_is_bad_usage(suite: Suite) -> None:
    suite.write(TEST)
    suite.pytester.makeini("[pytest]\nstepreplay_allow_secret =\n    request.json\n")
    result = suite.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'request.json' has no reason; write it as SELECTOR: REASON*"])


def test_a_key_in_the_id_of_a_test_is_refused_and_not_repeated(suite: Suite) -> None:
    suite.write(
        TEST.replace(
            "    def test_greeting():",
            f'    @pytest.mark.parametrize("key", ["{KEY}"])\n    def test_greeting(key):',
        )
    )
    result = suite.record("--no-header", "--tb=short")
    result.assert_outcomes(passed=1, errors=1)
    refused = [line for line in result.outlines if "an API key" in line or "not written" in line]
    assert any("the file name: an API key" in line for line in refused)
    assert any("test_greeting[[redacted]], test: an API key" in line for line in refused)
    assert not any(KEY.lower() in line.lower() for line in refused)
    assert suite.cassettes == []
    suite.change("record_errors=True", 'record_errors=True, allow_secret={"test": "made up"}')
    suite.record().assert_outcomes(passed=1)


def test_an_option_that_is_named_like_a_secret_is_one(suite: Suite) -> None:
    suite.pytester.makeconftest('def pytest_addoption(parser):\n    parser.addoption("--shop-password")\n')
    suite.write(TEST.replace("Say hello.", "Log in with correct horse, please."))
    suite.record("--shop-password=correct horse").assert_outcomes(passed=1)
    assert "Log in with [redacted], please." in suite.cassette().read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["pytest.ini", "pyproject.toml"])
def test_a_setting_that_is_named_like_a_secret_is_one(suite: Suite, name: str) -> None:
    text = {
        "pytest.ini": "[pytest]\nshop_password = {}\n",
        "pyproject.toml": '[tool.pytest.ini_options]\nshop_password = "{}"\n',
    }
    (suite.pytester.path / name).write_text(text[name].format("correct horse"), encoding="utf-8")
    suite.pytester.makeconftest('def pytest_addoption(parser):\n    parser.addini("shop_password", "x")\n')
    suite.write(TEST.replace("Say hello.", "Log in with correct horse, please."))
    suite.record().assert_outcomes(passed=1)
    assert "Log in with [redacted], please." in suite.cassette().read_text(encoding="utf-8")


@pytest.mark.parametrize("report", ["drift.json", "drift.md"])
def test_reports_of_verify_hold_no_key(suite: Suite, report: str) -> None:
    suite.write(TEST)
    suite.record().assert_outcomes(passed=1)
    suite.say = says_the_key
    result = suite.run("--stepreplay=verify", f"--stepreplay-report={report}", key=KEY)
    assert Path(suite.pytester.path, report).exists()
    assert left_behind(suite, KEY) == []
    assert KEY not in result.stdout.str()


def test_a_miss_tells_no_key(suite: Suite) -> None:
    suite.write(TEST)
    suite.record().assert_outcomes(passed=1)
    suite.change("Say hello.", f"Say {KEY}.")
    result = suite.run("--tb=line")
    result.assert_outcomes(failed=1)
    assert KEY not in result.stdout.str()


def test_a_snapshot_with_a_key_is_refused_where_the_test_stands(suite: Suite) -> None:
    encoded = b64encode(f"user:{KEY}".encode()).decode()
    suite.write(f'def test_it(chat_snapshot):\n    assert "see {encoded}" == chat_snapshot\n')
    result = suite.record()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*was not written, since it would hold what looks like a secret:"])
    assert suite.cassettes == []


TOKEN = "ghp_" + "".join(random.Random(2).choices(string.ascii_letters + string.digits, k=36))
ARGUMENTS = f'{{"note": "see:\\n{TOKEN}'  # cut off
FRAMES = {
    "CR LF": f'data: {{"choices": [{{"delta": {{"content": "see:\\n{TOKEN}"}}}}]}}\r\n\r\ndata: [DONE]\r\n\r\n',
    "event": f'event: x\ndata: {{"choices": [{{"delta": {{"content": "see:\\t{TOKEN}"}}}}]}}\n\ndata: [DONE]\n\n',
    "id": f'id: 1\ndata: {{"choices": [{{"delta": {{"content": "see:\\u003d{TOKEN}"}}}}]}}\n\ndata: [DONE]\n\n',
    "no space": f'data:{{"choices": [{{"delta": {{"content": "see:\\n{TOKEN}"}}}}]}}\n\ndata:[DONE]\n\n',
    "JSON in lines": f'{{"text": "see"}}\n{{"text": "see:\\n{TOKEN}"}}\n',
    "cut-off arguments": 'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '
    + json.dumps(ARGUMENTS)
    + "}}]}}]}\n\n",
}


def test_an_escape_in_front_of_a_key_hides_it_in_no_frame(suite: Suite) -> None:
    def say(received: ReceivedRequest) -> Reply:
        text = FRAMES[received.json["messages"][-1]["content"].partition("|")[0]]
        return raw(200, {"content-type": "text/event-stream"}, text.encode())

    suite.say = say
    escaped = [
        f'```json\n{{"a": "x\\n{TOKEN}"}}\n```',
        f"{{'a': 'x\\t{TOKEN}'}}",
        ARGUMENTS,
        f'{{"a": 1}}\n{{"a": "\\u003d{TOKEN}"}}',
    ]
    (suite.pytester.path / "texts.py").write_text(
        f"TEXTS = {dict(zip(FRAMES, escaped * 2, strict=False))!r}\n"
    )
    each = """from texts import TEXTS
        for frame, text in TEXTS.items():
            assert "see" in ask(frame + "|" + text, stream=True)"""
    suite.write(TEST.replace('ask("Say hello.")', each))
    suite.record().assert_outcomes(passed=1)
    assert suite.cassette().read_text(encoding="utf-8").count("[redacted]") >= 2 * len(FRAMES)
    assert left_behind(suite, TOKEN) == []
    assert main(["lint", "--skip", "contract", str(suite.cassette())]) == 0
    suite.go_offline()
    suite.run().assert_outcomes(passed=1)
    suite.start()
