"""`verify`: the stored answers answer the test, today's are compared with them when it has ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pytest_stepreplay.cli import main
from pytest_stepreplay.upstream import ReceivedRequest, Reply, answer, error
from tests.conftest import KEY

from .suite import GREETING, Suite

WEATHER = {"city": "Paris"}
TOOLS = """
    import json, pytest
    from openai import OpenAI

    client = OpenAI(base_url="{url}")

    @pytest.mark.stepreplay
    def test_weather():
        messages = [{{"role": "user", "content": "How is Paris?"}}]
        for _ in range(2):
            reply = client.chat.completions.create(model="step-3.5-flash", messages=messages)
            message = reply.choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            for call in message.tool_calls or ():
                messages.append({{"role": "tool", "tool_call_id": call.id, "content": "sunny"}})
        assert "sunny" in message.content
"""


def turns(tool: str = "weather", text: str = "It is sunny.") -> Callable[[ReceivedRequest], Reply]:
    """Returns an upstream that calls a tool, and answers when it has the result."""

    def say(received: ReceivedRequest) -> Reply:
        if received.json["messages"][-1]["role"] == "tool":
            return answer(text)
        return answer(tool_calls=[(tool, WEATHER)]) if tool else answer(text)

    return say


def verify(suite: Suite, *options: str) -> pytest.RunResult:
    return suite.run("--stepreplay=verify", *options, key=KEY)


def test_the_same_answer_passes_and_is_sent(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    before = suite.cassette().read_bytes()
    result = verify(suite)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["stepreplay: verify, cassettes/, network open"])
    assert suite.upstream.count == 2
    assert suite.cassettes == ["test_chat/test_greeting.yaml"]
    assert suite.cassette().read_bytes() == before


def test_another_tool_fails_the_test_and_says_which(suite: Suite) -> None:
    suite.write(TOOLS)
    suite.say = turns()
    suite.record().assert_outcomes(passed=1)
    suite.say = turns("fetch")
    result = verify(suite)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*choices?0?.message.tool_calls?0?.function.name: weather -> fetch",
            "*drift     behavior: *",
            "*cassette  cassettes/test_chat/test_weather.yaml, interaction 1",
            "*Fix: interaction 2 quotes the old answer.",
            "*pytest test_chat.py::test_weather --stepreplay=rewrite",
            "*stepreplay: how the answers differ*",
        ]
    )
    assert suite.cassettes == ["test_chat/test_weather.yaml", "test_chat/test_weather.yaml.new"]


def test_each_turn_is_verified_against_what_was_recorded(suite: Suite) -> None:
    suite.write(TOOLS)
    suite.say = turns()
    suite.record()
    sent = len(suite.upstream.requests)
    verify(suite).assert_outcomes(passed=1)
    again = sorted(suite.upstream.requests[sent:], key=lambda each: len(each.json["messages"]))
    assert [each.json for each in again] == [each.json for each in suite.upstream.requests[:sent]]


def test_another_text_is_told_and_fails_only_when_asked(suite: Suite) -> None:
    suite.write(GREETING)
    suite.replies = [answer("Hello there."), answer("Hi there."), answer("Hi there.")]
    suite.record()
    result = verify(suite)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*content (1): *", "*?-Hello-??+Hi+? there.*"])
    verify(suite, "--stepreplay-fail-on=content").assert_outcomes(failed=1)


def test_a_census_fails_nothing_and_its_baseline_lets_only_new_drift_fail(suite: Suite) -> None:
    suite.write(TOOLS)
    suite.say = turns()
    suite.record()
    suite.say = turns("fetch")
    result = verify(suite, "--stepreplay-fail-on=never", "--stepreplay-baseline=known.json")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*behavior (1): *", "baseline written to known.json"])
    verify(suite, "--stepreplay-baseline=known.json").assert_outcomes(passed=1)
    suite.say = turns("")
    verify(suite, "--stepreplay-baseline=known.json").assert_outcomes(failed=1)


def test_a_missing_baseline_is_a_usage_error(suite: Suite) -> None:
    suite.write(GREETING)
    result = verify(suite, "--stepreplay-baseline=nothing.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: stepreplay: the baseline nothing.json does not exist. To create it*"]
    )


def test_a_busy_server_is_asked_again(suite: Suite) -> None:
    busy = error(429, "rate_limit", "slow down", headers={"retry-after": "0"})
    suite.write(GREETING)
    suite.replies = [None, busy, busy, None]
    suite.record()
    verify(suite).assert_outcomes(passed=1)
    assert suite.upstream.count == 4


def test_what_could_not_be_verified_is_no_drift(suite: Suite) -> None:
    busy = error(429, "rate_limit", "slow down", headers={"retry-after": "0"})
    suite.write(GREETING)
    suite.replies = [None, busy, busy, busy]
    suite.record()
    result = verify(suite)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*could not verify cassettes/test_chat/test_greeting.yaml",
            "*interaction 1: the server answered 429 Too Many Requests, after 3 tries",
        ]
    )
    assert suite.cassettes == ["test_chat/test_greeting.yaml"]


def test_a_refused_request_is_not_asked_again(suite: Suite) -> None:
    suite.write(GREETING)
    suite.replies = [None, error(401, "invalid_api_key", "no")]
    suite.record()
    verify(suite).stdout.fnmatch_lines(["*the server answered 401 Unauthorized"])
    assert suite.upstream.count == 2


def test_an_unrecorded_request_is_a_miss(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    suite.change("Say hello.", "Say goodbye.")
    verify(suite).stdout.fnmatch_lines(["*not recorded: messages?0?.content differs"])
    assert suite.upstream.count == 1


def test_a_stream_is_compared_as_the_answer_it_makes(suite: Suite) -> None:
    suite.write(GREETING)
    suite.change(
        'assert ask("Say hello.")',
        'assert list(client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True))',
    )
    suite.replies = [answer("Hello there."), answer("Hello there."), answer("Hi there.")]
    suite.record().assert_outcomes(passed=1)
    verify(suite, "--stepreplay-fail-on=content").assert_outcomes(passed=1)
    verify(suite, "--stepreplay-fail-on=content").stdout.fnmatch_lines(
        ["*choices?0?.message.content: ?-Hello-??+Hi+? there.*"]
    )


def reported(suite: Suite) -> Any:
    return json.loads((suite.pytester.path / "out/report.json").read_text(encoding="utf-8"))


def test_reports_for_people_and_programs(suite: Suite) -> None:
    suite.write(TOOLS)
    suite.say = turns()
    suite.record()
    suite.say = turns("fetch", "It is <b>sunny</b>.\n::error::no")
    summary = suite.pytester.path / "summary.md"
    suite.monkeypatch.setenv("GITHUB_ACTIONS", "true")
    suite.monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    suite.monkeypatch.setenv("CI", "true")
    result = verify(suite, "--stepreplay-report=out/report.json", "--junitxml=junit.xml")
    result.assert_outcomes(failed=1)
    assert "fetch" in json.dumps(reported(suite))
    page = summary.read_text(encoding="utf-8")
    assert "fetch" in page
    assert "<b>" not in page
    assert not [line for line in [*page.splitlines(), *result.outlines] if line.startswith("::")]
    assert 'name="stepreplay_drift" value="behavior"' in (suite.pytester.path / "junit.xml").read_text(
        encoding="utf-8"
    )
    assert suite.cassettes == ["test_chat/test_weather.yaml"], "in CI nothing is left pending"


def test_a_form_that_a_project_adds_is_written_by_its_ending(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    suite.write(
        """
        from html import escape
        from pytest_stepreplay.report.renderers import RENDERERS, Renderer
        from pytest_stepreplay.report.verified_runs import VerifiedRun

        RENDERERS[VerifiedRun]["text"] = Renderer(lambda run: "<p>" + escape(run.numbers), ".txt")

        def pytest_unconfigure():  # this run is inside of another
            del RENDERERS[VerifiedRun]["text"]
        """,
        "conftest.py",
    )
    result = verify(suite, "--stepreplay-report=out/report.txt")
    result.assert_outcomes(passed=1)
    page = (suite.pytester.path / "out/report.txt").read_text(encoding="utf-8")
    assert page == "<p>verified 1 interaction in 1 cassette: 1 unchanged, 0 drifted"
    verify(suite, "--stepreplay-report=x.pdf").stderr.fnmatch_lines(
        ["*'x.pdf' must end in .json, .md, .html or .txt"]
    )


@pytest.mark.parametrize("options", [(), ("-q",), ("-n", "1")])
def test_the_table_is_the_same_in_every_sort_of_run(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write(TOOLS)
    suite.say = turns()
    suite.record()
    suite.say = turns("")
    verify(suite, *options).stdout.fnmatch_lines(["*behavior (1): the model does something different*"])


def test_a_rewrite_says_how_it_drifted_and_keeps_what_did_not(suite: Suite) -> None:
    suite.write(TOOLS)
    suite.say = turns()
    suite.record()
    before = suite.cassette("test_chat/test_weather.yaml").read_text(encoding="utf-8")
    suite.run("--stepreplay=rewrite", key=KEY).assert_outcomes(passed=1)
    assert suite.cassette("test_chat/test_weather.yaml").read_text(encoding="utf-8") == before
    suite.say = turns(text="Today it is sunny.")
    result = suite.run("--stepreplay=rewrite", "--stepreplay-report=drift.md", key=KEY)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*content (1): *", "*Today*"])
    report = suite.pytester.path.joinpath("drift.md").read_text(encoding="utf-8")
    assert report.startswith("## stepreplay: rewritten") and "Today" in report
    after = suite.cassette("test_chat/test_weather.yaml").read_text(encoding="utf-8")
    first = before.index("- recorded_at", before.index("- recorded_at") + 1)
    assert after[:first] == before[:first], "the first turn is as it was"
    suite.go_offline()
    suite.run().assert_outcomes(passed=1)


def test_a_failing_test_still_tells_its_drift(suite: Suite) -> None:
    suite.write(TOOLS)
    suite.say = turns()
    suite.record()
    suite.say = turns("fetch")
    suite.change('assert "sunny" in', 'assert "rainy" in')
    result = verify(suite)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*assert 'rainy' in*", "*stepreplay: how the answers differ*", "*weather -> fetch*"]
    )


def test_what_is_ignored_and_a_selector_that_matches_nothing(suite: Suite) -> None:
    suite.write(GREETING)
    ignored = 'ignore=["choices[*].message.content", "usage.*", "choises[*].index"]'
    suite.change("mark.stepreplay", f"mark.stepreplay({ignored}, fail_on='metadata')")
    suite.replies = [answer("Hello there."), answer("Hi.")]
    suite.record()
    result = verify(suite)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["matched nothing (a typo?): choises?*?.index"])
    assert "typo?): usage" not in result.stdout.str()


def test_tolerances_and_text_rules(suite: Suite) -> None:
    suite.write(GREETING)
    suite.pytester.makepyprojecttoml(
        "[tool.pytest.ini_options]\n"
        'stepreplay_tolerances = ["usage.completion_tokens: 50%", "usage.total_tokens: 50%"]\n'
        'stepreplay_text = ["choices[*].message.content: similarity>=0.6"]\n'
        'stepreplay_fail_on = "metadata"\n'
    )
    suite.replies = [answer("It is a sunny day in Paris today."), answer("It is a sunny day in Paris now.")]
    suite.record()
    verify(suite).assert_outcomes(passed=1)


def test_a_server_that_cannot_be_reached(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    suite.monkeypatch.setattr("pytest_stepreplay.interception.sending.clock.sleep", lambda seconds: None)
    suite.go_offline()
    verify(suite).stdout.fnmatch_lines(
        ["*could not verify *", "*interaction 1: no answer (*), after 3 tries"]
    )


SHARED = """
    import os, httpx, pytest

    def ask(text):
        body = {{"model": "m", "messages": [{{"role": "user", "content": text}}]}}
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        reply = httpx.post("{url}/chat/completions", json=body, headers=headers)
        return reply.raise_for_status().json()["choices"][0]["message"]["content"]

    @pytest.fixture(scope="module")
    def topic():
        yield ask("a topic")
        ask("goodbye")

    @pytest.mark.stepreplay("shared")
    def test_one(topic):
        assert ask("one")

    @pytest.mark.stepreplay("shared")
    def test_two(topic):
        assert ask("two")
"""


def echo(extra: dict[str, str]) -> Callable[[ReceivedRequest], Reply]:
    """Returns an upstream that says what it was told, but for some prompts."""

    def say(received: ReceivedRequest) -> Reply:
        prompt = received.json["messages"][-1]["content"]
        return answer(extra.get(prompt, f"You said {prompt}."))

    return say


def test_a_rewrite_of_a_shared_cassette_keeps_what_other_tests_recorded(suite: Suite) -> None:
    suite.write(SHARED)
    suite.say = echo({})
    suite.record().assert_outcomes(passed=2)
    suite.run("--stepreplay=rewrite", key=KEY).assert_outcomes(passed=2)
    suite.go_offline()
    suite.run("--stepreplay-unused=error").assert_outcomes(passed=2)


def test_what_waits_for_one_test_is_not_lost_to_the_next(suite: Suite) -> None:
    suite.write(SHARED)
    suite.say = echo({})
    suite.record()
    suite.say = echo({"one": "Something else."})
    verify(suite, "--stepreplay-fail-on=content").assert_outcomes(passed=1, failed=1)
    assert "shared.yaml.new" in suite.cassettes
    before = suite.cassette("shared.yaml.new").read_bytes()
    suite.say = lambda received: error(401, "invalid_api_key", "no")
    verify(suite, "--stepreplay-fail-on=never").assert_outcomes(passed=2)
    assert suite.cassette("shared.yaml.new").read_bytes() == before, (
        "what could not be verified changes nothing"
    )
    suite.say = echo({"one": "Something else."})
    suite.run("--stepreplay=rewrite", key=KEY).assert_outcomes(passed=2)
    assert "shared.yaml.new" not in suite.cassettes


def test_drift_in_a_shared_fixture_is_an_error_of_its_tests(suite: Suite) -> None:
    suite.write(SHARED)
    suite.say = echo({})
    suite.record()
    suite.say = echo({"a topic": "Something else."})
    result = verify(suite, "--stepreplay-fail-on=content")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*choices?0?.message.content: *", "*cassettes/test_chat/topic.fixture.yaml, interaction 1"]
    )


def test_an_expected_failure_stays_one(suite: Suite) -> None:
    suite.write(TOOLS.replace("@pytest.mark.stepreplay", "@pytest.mark.xfail\n    @pytest.mark.stepreplay"))
    suite.change('assert "sunny" in', 'assert "rainy" in')
    suite.say = turns()
    suite.start_pytest("--stepreplay=record")
    suite.record()
    suite.say = turns("fetch")
    verify(suite).assert_outcomes(xfailed=1)


def test_verify_without_a_key_says_which_one(suite: Suite) -> None:
    suite.write(GREETING.replace("{url}", "http://api.stepfun.com/v1"))
    path = suite.cassette()
    path.parent.mkdir(parents=True)
    path.write_text(
        "stepreplay: 1\ninteractions:\n- request:\n    method: POST\n    url: http://api.stepfun.com/v1/chat/completions\n"
        "    json:\n      model: step-3.5-flash\n      messages:\n      - role: user\n        content: Say hello.\n"
        "  response:\n    status: 200\n    json: {}\n",
        encoding="utf-8",
    )
    result = suite.run("--stepreplay=verify")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Set STEP_API_KEY, or run in replay*"])
    assert "site-packages" not in result.stdout.str()


def test_a_project_can_name_a_contract_of_its_own(suite: Suite) -> None:
    suite.write(GREETING)
    suite.change(
        "import pytest",
        "import pydantic, pytest\n\nclass Short(pydantic.BaseModel):\n    id: str = pydantic.Field(max_length=40)\n    seed: int | None = None",
    )
    suite.change("mark.stepreplay", "mark.stepreplay(contract=Short)")
    suite.replies = [answer("Hello."), answer("Hello.", seed="not a number")]
    suite.record().assert_outcomes(passed=1)
    result = verify(suite)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*seed: *", "*drift     contract: *"])


FAILING = {
    "comparing": (
        "pytest_stepreplay.drift.comparison.compare",
        "interaction 1: the two answers cannot be compared: RuntimeError: no",
    ),
    "telling": (
        "pytest_stepreplay.report.failing_tests.failure_text",
        "could not be explained in full: RuntimeError: no",
    ),
}


@pytest.mark.parametrize("what", FAILING)
def test_a_verdict_stands_where_its_text_cannot_be_made(suite: Suite, what: str) -> None:
    name, told = FAILING[what]
    suite.write(GREETING)
    suite.record()
    suite.replies.append(answer("Something else.", tool_calls=[("weather", WEATHER)]))
    suite.change("def test_greeting():", "def test_greeting(monkeypatch):")
    suite.change(
        'assert ask("Say hello.")',
        "\n    ".join(
            [
                "def fail(*args, **named):",
                "    raise RuntimeError('no')",
                "ask('Say hello.')",
                f"monkeypatch.setattr('{name}', fail)",
            ]
        ),
    )
    result = suite.run("--stepreplay=verify", key=KEY)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{told}"])


TALK = """
    import os
    import httpx, pytest

    def ask(messages):
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        reply = httpx.post("{url}/chat/completions", json={{"model": "m", "messages": messages}}, headers=headers)
        return reply.json()["choices"][0]["message"]

    @pytest.mark.stepreplay
    def test_talk():
        first = ask([{{"role": "user", "content": "Name a colour."}}])
        assert ask([first, {{"role": "user", "content": "Another."}}])
"""


def says(colour: str, another: str) -> Callable[[ReceivedRequest], Reply]:
    """Returns an upstream of two answers; `verify` asks for both at once, in any order."""
    return lambda received: answer(colour if len(received.json["messages"]) == 1 else another)


def command(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    main(list(args))
    return capsys.readouterr().out


def test_accepting_a_turn_that_later_ones_quote_says_what_else_to_do(
    suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.write(TALK)
    suite.say = says("Blue.", "Green.")
    suite.record()
    suite.say = says("Red.", "Green.")
    result = verify(suite, "--stepreplay-report=out.md")
    result.assert_outcomes(passed=1)
    rewrite = "pytest test_chat.py::test_talk --stepreplay=rewrite"
    quoted = "interaction 2 quotes the old answer"
    for said in (result.stdout.str(), (suite.pytester.path / "out.md").read_text("utf-8")):
        assert quoted in said and rewrite in said and "accept --all" not in said
    told = command(capsys, "pending")
    assert quoted in told and rewrite in told, "it is said before anything is accepted"
    accepted = command(capsys, "accept", "--all")
    record = rewrite.replace("rewrite", "record")
    assert quoted in accepted and record in accepted, "a rewrite would replace what was accepted"
    suite.run().assert_outcomes(failed=1)
    suite.run(*record.split()[1:], key=KEY).assert_outcomes(passed=1)
    suite.run().assert_outcomes(passed=1)


def test_accepting_a_turn_that_nobody_quotes_says_no_more(
    suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.write(TALK)
    suite.say = says("Blue.", "Green.")
    suite.record()
    suite.say = says("Blue.", "Yellow.")
    result = verify(suite)
    result.assert_outcomes(passed=1)
    assert "accept --all" in result.stdout.str() and "rewrite" not in result.stdout.str()
    accepted = command(capsys, "accept", "--all")
    assert "interaction 2" in accepted and "rewrite" not in accepted
    suite.run().assert_outcomes(passed=1)


@pytest.mark.parametrize("file", ["test_chat.py", "conftest.py"])
def test_what_quotes_a_fixture_is_found_in_its_tests_cassettes(
    suite: Suite, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    asking, _, _ = TALK.partition("    @pytest.mark")
    fixture = """
    @pytest.fixture(scope="session")
    def first():
        return ask([{{"role": "user", "content": "Name a colour."}}])
"""
    test = """
    @pytest.mark.stepreplay
    def test_talk(first):
        assert ask([first, {{"role": "user", "content": "Another."}}])
"""
    if file == "conftest.py":
        suite.write(asking + fixture, file)
        suite.write(asking + test)
    else:
        suite.write(asking + fixture + test)
    suite.say = says("Blue.", "Green.")
    suite.record().assert_outcomes(passed=1)
    suite.say = says("Red.", "Green.")
    failed = verify(suite, "--stepreplay-fail-on=content").stdout.str()
    rewrite = "pytest test_chat.py::test_talk --stepreplay=rewrite"
    quoted = "cassettes/test_chat/test_talk.yaml quotes the old answer"
    assert quoted in failed and rewrite in failed, "what fails for the fixture says it at once"
    assert f"test      {file}::first (fixture)" in failed
    told = command(capsys, "pending")
    assert quoted in told and f"record anew: {rewrite}\n" in told
    record = rewrite.replace("rewrite", "record")
    assert f"    {record}\n" in command(capsys, "accept", "--all")
    suite.run().assert_outcomes(failed=1)
    suite.run(*record.split()[1:], key=KEY).assert_outcomes(passed=1)
    suite.run().assert_outcomes(passed=1)
