"""A request that was not recorded fails the test, with an explanation, once, whatever the client does with it."""

from __future__ import annotations

import pytest

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
            "E *Why: it was recorded once, and the test has asked it twice.",
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
