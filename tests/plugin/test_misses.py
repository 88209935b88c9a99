"""A request that was not recorded fails the test, with an explanation, once, whatever the client does with it."""

from __future__ import annotations

import pytest

from pytest_stepreplay.upstream import Raw

from .suite import GREETING, Suite


def test_a_changed_prompt_is_explained(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    suite.change("Say hello.", "Say goodbye.")
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*not recorded: messages?0?.content differs",
            "E *test      test_chat.py::test_greeting",
            "E *cassette  cassettes/test_chat/test_greeting.yaml (1 recorded, 0 played)",
            "E *request   POST http://127.0.0.1:*/v1/chat/completions",
            "E *The nearest recorded request is interaction 1. What differs:",
            "E *messages?0?.content: Say ?-hello-??+goodbye+?.",
            "E *Why: it was never recorded.",
            "E *Fix: if the test means to ask this, record it:",
            "E *pytest test_chat.py::test_greeting --stepreplay=record",
            "missed 1",
            "FAILED test_chat.py::test_greeting - Failed: not recorded: messages*",
        ]
    )
    assert suite.upstream.count == 1, "nothing was sent"


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ('model="step-3.5-flash"', 'model="step-3.7-flash"', 'model: "step-3.5-flash" -> "step-3.7-flash"'),
        ('"Say hello."', '"Say hello.", temperature=0.7', "temperature: *0.7"),
        ('"Say hello."', '"Say hello.", seed=3', "seed: *3"),
        (
            '"Say hello."',
            '"Say hello.", tools=[{"type": "function", "function": {"name": "search", "parameters": {}}}]',
            "tools: *",
        ),
        ('"Say hello."', '"Say hello.", stream=True', "stream: *"),
    ],
)
def test_a_changed_model_parameter_or_tool_is_a_miss(suite: Suite, old: str, new: str, shown: str) -> None:
    suite.write(GREETING)
    suite.record()
    suite.change(old, new)
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E *{shown}"])


SWALLOWING = {
    "swallowed": "try:\n        ask('Say goodbye.')\n    except Exception:\n        pass",
    "swallowed whatever it is": "try:\n        ask('Say goodbye.')\n    except BaseException:\n        pass",
    "wrapped": "try:\n        ask('Say goodbye.')\n    except BaseException as e:\n        raise ValueError('wrapped') from e",
    "retried": "for _ in range(3):\n        try:\n            ask('Say goodbye.')\n        except BaseException:\n            pass",
    "in a thread": "import threading\n    def run():\n        try:\n            ask('Say goodbye.')\n        except BaseException:\n"
    "            pass\n    thread = threading.Thread(target=run); thread.start(); thread.join()",
    "expected to fail": "pytest.xfail('known') if not ask('Say goodbye.') else None",
}


@pytest.mark.parametrize("how", SWALLOWING)
def test_a_miss_fails_the_test_whatever_becomes_of_it(suite: Suite, how: str) -> None:
    suite.write(GREETING)
    suite.record()
    suite.change('assert ask("Say hello.")', SWALLOWING[how])
    result = suite.run()
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert text.count("The nearest recorded request is") == 1, "it is shown once"
    assert suite.upstream.count == 1


def test_a_miss_is_no_expected_failure(suite: Suite) -> None:
    suite.write(
        GREETING.replace("@pytest.mark.stepreplay", "@pytest.mark.xfail\n    @pytest.mark.stepreplay")
    )
    suite.run().assert_outcomes(failed=1)


def test_what_the_test_ended_with_is_said_too(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    suite.change('assert ask("Say hello.")', SWALLOWING["wrapped"])
    suite.run().stdout.fnmatch_lines(["*the test then ended with*", "ValueError: wrapped"])


def test_several_misses_are_all_shown(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    suite.change(
        'assert ask("Say hello.")',
        "for text in ['Say one.', 'Say two.']:\n        try:\n            ask(text)\n        except BaseException:\n            pass",
    )
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *?+one+?*", "*one more request without an answer*", "*?+two+?*"])


def test_no_time_is_lost_to_back_off(suite: Suite) -> None:
    """A client that retries sleeps in between; this one is watched for it."""
    suite.write(GREETING)
    suite.change("import pytest", "import pytest, time")
    suite.change("def test_greeting():", "def test_greeting(monkeypatch):")
    watch = "monkeypatch.setattr(time, 'sleep', lambda seconds: print('SLEPT', seconds))"
    suite.change('assert ask("Say hello.")', f"{watch}\n    ask('Hi')")
    result = suite.run()
    result.assert_outcomes(failed=1)
    assert "SLEPT 0" not in result.stdout.str()


def test_asking_once_more_than_recorded_says_so(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    suite.change('assert ask("Say hello.")', 'assert ask("Say hello.") == ask("Say hello.")')
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*asked once more than recorded: 1 recorded answer, already played",
            "E *Why: it was recorded once, and the test has sent it twice.",
            "E *@pytest.mark.stepreplay(allow_repeats=True)",
        ]
    )
    suite.change("mark.stepreplay", "mark.stepreplay(allow_repeats=True)")
    suite.run().assert_outcomes(passed=1)


def test_a_request_of_another_test_is_recognised(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    suite.change("def test_greeting", "def test_renamed")
    suite.run().stdout.fnmatch_lines(
        [
            "*not recorded: there is no cassette yet",
            "E *Why: it was recorded for another test, in cassettes/test_chat/test_greeting.yaml.",
        ]
    )


def test_a_field_that_differs_on_every_run_can_be_ignored(suite: Suite) -> None:
    suite.write(GREETING)
    suite.change('"Say hello."', '"Say hello.", user="run-1"')
    suite.record()
    suite.change("run-1", "run-2")
    suite.run().stdout.fnmatch_lines(['E *@pytest.mark.stepreplay(ignore_request=?"user"?)'])
    suite.change("mark.stepreplay", 'mark.stepreplay(ignore_request=["user"])')
    suite.run().assert_outcomes(passed=1)


def test_only_the_projects_own_frames_are_shown(suite: Suite) -> None:
    suite.write(GREETING)
    text = suite.run().stdout.str()
    assert "def test_greeting" in text
    assert "site-packages" not in text


def test_a_miss_in_a_task_group_is_shown_as_itself(suite: Suite) -> None:
    suite.write(
        """
        import anyio, httpx, pytest

        async def ask(n):
            async with httpx.AsyncClient() as client:
                await client.post("{url}/chat/completions", json={{"n": n}})

        async def both():
            async with anyio.create_task_group() as group:
                group.start_soon(ask, 1)
                group.start_soon(ask, 2)

        @pytest.mark.stepreplay
        def test_group():
            anyio.run(both)
        """
    )
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED test_chat.py::test_group - Failed: not recorded: *"])
    assert "ExceptionGroup" not in result.stdout.str()


TOOLS = """
    import os
    import httpx, pytest

    @pytest.mark.stepreplay
    def test_tools():
        tools = [{{"type": "function", "function": {{"name": name}}}} for name in os.environ["NAMES"].split()]
        body = {{"model": "m", "messages": [{{"role": "user", "content": "Hi"}}], "tools": tools}}
        body |= {{"seed": None, "n": 1}} if "FULL" in os.environ else {{}}
        body |= {{"customer": None}} if "EXTRA" in os.environ else {{}}
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        assert httpx.post("{url}/chat/completions", json=body, headers=headers).status_code == 200
"""


def test_an_order_that_the_program_does_not_control(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAMES", "search weather")
    suite.write(TOOLS)
    suite.record()
    monkeypatch.setenv("NAMES", "weather search")
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *tools: in another order, now weather, search",
            "E *Why: it differs only by the order of a list.",
            "E *Fix: sort tools where the request is made, or do not compare that:",
            'E *@pytest.mark.stepreplay(ignore_order=?"tools"?)',
        ]
    )
    assert "--stepreplay=record" not in result.stdout.str(), (
        "recorded once more, it differs again in the next run"
    )
    suite.change("mark.stepreplay", 'mark.stepreplay(ignore_order=["tools"])')
    suite.run().assert_outcomes(passed=1)


def test_null_and_documented_defaults_are_absent(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAMES", "search")
    suite.write(TOOLS)
    suite.record()
    monkeypatch.setenv("FULL", "1")
    suite.run().assert_outcomes(passed=1)
    monkeypatch.setenv("EXTRA", "1")
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *customer: was not recorded, now null",
            "E *Why: it differs only by fields that are null or empty on one side and absent on the other.",
            "E *Fix: if the test means to ask this, record it:",
            "E *if your API treats both alike:",
            'E *@pytest.mark.stepreplay(absent_equals="null")',
        ]
    )
    suite.change("mark.stepreplay", 'mark.stepreplay(absent_equals="null")')
    suite.run().assert_outcomes(passed=1)
    suite.run("-o", "stepreplay_absent_equals=nothing").assert_outcomes(passed=1)
    suite.change('absent_equals="null"', "")
    suite.run("-o", "stepreplay_absent_equals=nothing").assert_outcomes(failed=1)


def test_an_upload_replays_whatever_its_boundary(suite: Suite) -> None:
    suite.write(
        """
        import asyncio, io
        import httpx, pytest, requests
        from openai import AsyncOpenAI, OpenAI

        audio = b"RIFF" + bytes(range(256))

        def say_it_with_openai():
            client = OpenAI(base_url="{url}", max_retries=0)
            client.audio.transcriptions.create(model="step-asr", file=("a.wav", io.BytesIO(audio)))

        def say_it_with_openai_async():
            async def ask():
                async with AsyncOpenAI(base_url="{url}", max_retries=0) as client:
                    await client.files.create(file=("a.jsonl", b"{{}}"), purpose="batch")
            asyncio.run(ask())

        def say_it_with_httpx():
            httpx.post("{url}/files", files={{"file": ("a.wav", audio)}}, data={{"purpose": "x"}})

        def say_it_with_requests():
            requests.post("{url}/files", files={{"file": ("a.wav", audio)}}, data={{"purpose": "x"}})

        @pytest.mark.stepreplay
        @pytest.mark.parametrize("ask", [
            say_it_with_openai, say_it_with_openai_async, say_it_with_httpx, say_it_with_requests,
        ])
        def test_upload(ask):
            ask()
        """
    )
    suite.say = lambda _: Raw(200, (("content-type", "application/json"),), b'{"text": "hi", "id": "f"}')
    suite.record().assert_outcomes(passed=4)
    suite.record().assert_outcomes(passed=4)
    assert suite.upstream.count == 4, "the second run asked nothing anew"
    suite.run().assert_outcomes(passed=4)
    suite.change("bytes(range(256))", "bytes(range(255))")
    result = suite.run()
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(["E *body?*?.bytes: 260 -> 259"])


BROKEN = {
    "a working directory that cannot be asked for": "monkeypatch.setattr('os.getcwd', fail)",
    "a bug of ours": "monkeypatch.setattr('pytest_stepreplay.report.misses.explain_miss', fail)",
    "a bug in what is done with a request": "monkeypatch.setattr('pytest_stepreplay.matching.keys.Matcher.key', fail)",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_miss_fails_the_test_where_its_explanation_raises(suite: Suite, how: str) -> None:
    """The clients of a test swallow whatever is raised inside of a request, and try again."""
    suite.write(GREETING)
    suite.record()
    suite.change("def test_greeting():", "def test_greeting(monkeypatch):")
    suite.change(
        'assert ask("Say hello.")',
        "\n    ".join(
            [
                "def fail(*args, **named):",
                "    raise RuntimeError('it may not be done here')",
                "with monkeypatch.context() as patch:",
                f"    {BROKEN[how].replace('monkeypatch', 'patch')}",
                "    try:",
                "        ask('Say goodbye.')",
                "    except BaseException:",
                "        pass",
            ]
        ),
    )
    if "bug" in how:
        suite.change("with monkeypatch.context() as patch:", "patch = monkeypatch\n    if True:")
    result = suite.run()
    result.assert_outcomes(failed=1)
    told = {
        "a bug of ours": "*The rest of the explanation could not be made: RuntimeError: it may not be done here",
        "a bug in what is done with a request": "*could not be looked up: RuntimeError: it may not be done here",
    }
    result.stdout.fnmatch_lines([told.get(how, "E *messages?0?.content: Say ?-hello-??+goodbye+?.")])


SEVEN = """
    import os
    import httpx, pytest

    SYSTEM = "Be terse."

    def ask(*texts):
        messages = [{{"role": "system", "content": SYSTEM}}, *({{"role": "user", "content": each}} for each in texts)]
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        body = {{"model": "step-3.5-flash", "messages": messages}}
        httpx.post("{url}/chat/completions", json=body, headers=headers, verify=False).raise_for_status()

    @pytest.mark.stepreplay
    @pytest.mark.parametrize("number", range(7))
    def test_many(number):
        ask(f"Say {{number}}.")

    @pytest.mark.stepreplay
    def test_other():
        ask("Say hello.")

    @pytest.mark.stepreplay
    def test_conversation():
        for text in "abc":
            try:
                ask(text)
            except BaseException:
                pass
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_one_change_has_brought_about_is_told_once(suite: Suite, workers: str) -> None:
    suite.write(SEVEN)
    suite.record()
    suite.change("Be terse.", "Be chatty.")
    suite.change("Say hello.", "Say goodbye.")
    result = suite.run("-n", workers, "--junitxml=junit.xml")
    result.assert_outcomes(failed=9)
    text = result.stdout.str()
    assert text.count("What differs:") == 2, "for the first of eight tests, and for one of its own"
    assert text.count("E       as in test_chat.py::test_") == 7
    result.stdout.fnmatch_lines(
        [
            "E       Failed: not recorded: messages?0?.content differs",
            "E       as in test_chat.py::test_*",
            "test_chat.py:*: Failed",
        ]
    )
    result.stdout.fnmatch_lines(
        [
            "*stepreplay: 2 more for the same reasons*",
            "2 of them: messages?0?.content: Be ?-terse-??+chatty+?.",
        ]
    )
    result.stdout.fnmatch_lines(
        [
            "missed 11",
            "8 tests: messages?0?.content: Be ?-terse-??+chatty+?.",
            "  test_chat.py::test_*",
            "  ... and 3 more",
            "  if they mean to ask this: pytest test_chat.py --stepreplay=record",
        ]
    )
    junit = (suite.pytester.path / "junit.xml").read_text(encoding="utf-8")
    assert junit.count("What differs:") >= 9, "in a file, each test stands for itself"
    if workers == "0":
        suite.run("-vv").stdout.no_fnmatch_line("*as in test_chat.py*")
        suite.record().assert_outcomes(passed=9)  # as the summary says
        suite.run().assert_outcomes(passed=9)


def test_answers_that_are_errors_are_mentioned_once(suite: Suite) -> None:
    suite.write(SEVEN)
    result = suite.run()
    result.assert_outcomes(failed=9)
    said = "an answer with status 400 or above is recorded only with record_errors=True"
    assert result.stdout.str().count("record_errors") == 1
    alone = suite.run("-k", "test_other")
    alone.assert_outcomes(failed=1, deselected=8)
    alone.stdout.no_fnmatch_line("*record_errors*")
    result.stdout.fnmatch_lines(["9 tests: there is no cassette yet", "  test_chat.py::test_many?0?", said])


def test_an_error_of_a_fixture_or_a_teardown_shows_no_frame_of_ours(suite: Suite) -> None:
    suite.write("""
    import pytest

    @pytest.fixture
    def stepreplay_config():
        raise ValueError("boom in the configuration")

    @pytest.fixture
    def ends_badly():
        yield
        raise ValueError("boom in a teardown")

    @pytest.mark.stepreplay
    def test_config():
        pass

    def test_teardown(ends_badly, chat_snapshot):
        pass
    """)
    output = suite.run().stdout.str()
    assert "boom in the configuration" in output
    assert "boom in a teardown" in output
    assert "pytest_stepreplay" not in output


def test_a_configuration_that_fails_is_an_error_of_its_test_alone(suite: Suite) -> None:
    suite.write("""
    import pytest

    @pytest.fixture(scope="session")
    def stepreplay_config(tmp_path):
        return {{}}

    @pytest.fixture(scope="session")
    def wide():
        yield

    @pytest.mark.stepreplay
    def test_config(wide):
        pass

    def test_other(wide):
        pass
    """)
    result = suite.run()
    result.assert_outcomes(passed=1, errors=1)
    assert "ScopeMismatch" in result.stdout.str()
    assert "FixtureLookupError" not in result.stdout.str()
