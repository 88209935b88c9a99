"""The `chat_snapshot` fixture in a user's suite: what is written when, and what the terminal says."""

from __future__ import annotations

import sys

import pytest

from pytest_stepreplay.store.snapshot_files import read_snapshots
from tests.conftest import KEY

from .suite import GREETING, Suite

FILE = "test_chat/test_plan.snapshots.yaml"
PATH = f"cassettes/{FILE}"

PLAN = """
    import pytest

    def reply(tool, text):
        call = {{"type": "function", "function": {{"name": tool, "arguments": '{{"q": "tea"}}'}}}}
        message = {{"role": "assistant", "content": text, "tool_calls": [{{"id": f"call_{{id(call)}}", **call}}]}}
        choice = {{"index": 0, "message": message, "finish_reason": "tool_calls"}}
        usage = {{"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
        return {{"id": str(id(call)), "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}}

    def test_plan(chat_snapshot):
        assert reply("search", "I will look that up.") == chat_snapshot
        assert "done" == chat_snapshot("result")
"""
"""A test without the marker, so without a cassette."""

RENAMED = ('reply("search", "I will look that up.")', 'reply("fetch", "I will look it up.")')
FACTS = [
    "choices[0].message.tool_calls[0].function.name: search -> fetch (behavior)",
    "choices[0].message.content: I will look [-that-]{+it+} up. (similarity 0.84) (content)",
]


def error_lines(result: pytest.RunResult) -> list[str]:
    """Returns what pytest marks as the error, without its margin."""
    return [line[1:].strip() for line in result.outlines if line.startswith("E ")]


def section(result: pytest.RunResult) -> list[str]:
    """Returns what stands under the heading of the snapshots."""
    heads = [at for at, line in enumerate(result.outlines) if line.strip("= ") == "stepreplay snapshots"]
    if not heads:
        return []
    after = result.outlines[heads[0] + 1 :]
    return after[: next(at for at, line in enumerate(after) if line.startswith("="))]


@pytest.fixture
def recorded(suite: Suite) -> Suite:
    """`PLAN`, recorded."""
    suite.write(PLAN)
    suite.record().assert_outcomes(passed=1)
    return suite


def test_a_reply_is_recorded_once_and_equal_offline(suite: Suite) -> None:
    suite.write(
        GREETING.replace("test_greeting():", "test_greeting(chat_snapshot):").replace(
            'assert ask("Say hello.")',
            'messages = [{{"role": "user", "content": "Say hello."}}]\n'
            '        reply = client.chat.completions.create(model="step-3.5-flash", messages=messages)\n'
            "        assert reply == chat_snapshot",
        )
    )
    first = suite.record()
    first.assert_outcomes(passed=1)
    assert section(first) == ["1 added in 1 file"]
    assert suite.cassettes == ["test_chat/test_greeting.snapshots.yaml", "test_chat/test_greeting.yaml"]
    suite.go_offline()
    again = suite.run("--stepreplay-unused=error")
    again.assert_outcomes(passed=1)
    assert section(again) == []


def test_the_openai_sdk_object_is_stored_as_the_server_sent_it(suite: Suite) -> None:
    suite.write(
        GREETING.replace("test_greeting():", "test_greeting(chat_snapshot, stepreplay):").replace(
            'assert ask("Say hello.")',
            'messages = [{{"role": "user", "content": "Say hello."}}]\n'
            '        reply = client.chat.completions.create(model="step-3.5-flash", messages=messages)\n'
            "        assert reply == chat_snapshot\n"
            "        assert stepreplay.interactions[0].response.json == chat_snapshot(fail_on='metadata')",
        )
    )
    suite.record().assert_outcomes(passed=1)
    stored = read_snapshots(suite.cassette("test_chat/test_greeting.snapshots.yaml"))
    assert stored["1"] == stored["2"]


def test_what_its_fixture_asks_for_is_there_for_others(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.fixture(autouse=True)
        def about(request, stepreplay_config):
            return request.node.name, stepreplay_config

        @pytest.mark.parametrize("number", [1, 2])
        def test_arguments(chat_snapshot, number, request, stepreplay_config, about):
            assert about == (request.node.name, stepreplay_config) == (f"test_arguments[{{number}}]", {{}})
            assert number == chat_snapshot

        def test_alone(chat_snapshot, about):
            assert about == ("test_alone", {{}})
            assert "x" == chat_snapshot
    """)
    suite.record().assert_outcomes(passed=3)
    suite.run().assert_outcomes(passed=3)


def test_a_missing_one_fails_and_says_how_to_write_it(suite: Suite) -> None:
    suite.write(PLAN)
    result = suite.run()
    result.assert_outcomes(failed=1)
    assert error_lines(result) == [
        f"AssertionError: there is no snapshot 1 of {PATH}",
        "write it:  pytest test_chat.py::test_plan --stepreplay=record",
        f"or accept: stepreplay accept {PATH}",
    ]
    result.stdout.fnmatch_lines([">*assert reply(*) == chat_snapshot", "test_chat.py:12: AssertionError"])
    result.stdout.no_fnmatch_line("*site-packages*")
    assert section(result) == ["pending in 1 file; decide with: stepreplay review"]
    assert suite.cassettes == [f"{FILE}.new"]


def test_the_assertion_leads_with_what_matters_most(recorded: Suite) -> None:
    recorded.change(*RENAMED)
    result = recorded.run()
    result.assert_outcomes(failed=1)
    assert error_lines(result) == [
        f"assert {FACTS[0]}",
        FACTS[1],
        f"in snapshot 1 of {PATH}",
        f"accept it: stepreplay accept {PATH}",
    ]
    assert section(result) == ["pending in 1 file; decide with: stepreplay review"]
    assert recorded.cassettes == [FILE, f"{FILE}.new"]


@pytest.mark.parametrize("way", ["-vv", "-n1"])
def test_it_is_as_good_under_vv_and_xdist(recorded: Suite, way: str) -> None:
    recorded.change(*RENAMED)
    result = recorded.run(way)
    result.assert_outcomes(failed=1)
    lines = error_lines(result)
    assert lines[0] == f"assert {FACTS[0]}"
    if way == "-vv":
        assert lines[1:3] == [f"in snapshot 1 of {PATH}", f"accept it: stepreplay accept {PATH}"]
        assert lines[4] == "drift: behavior (1 behavior, 1 content)"
    else:
        assert lines[1:] == [FACTS[1], f"in snapshot 1 of {PATH}", f"accept it: stepreplay accept {PATH}"]
        assert section(result) == ["pending in 1 file; decide with: stepreplay review"]


def test_ci_leaves_no_pending_file_and_names_the_rewrite(recorded: Suite) -> None:
    recorded.change(*RENAMED)
    recorded.monkeypatch.setenv("CI", "true")
    result = recorded.run()
    assert error_lines(result) == [
        f"assert {FACTS[0]}",
        FACTS[1],
        f"in snapshot 1 of {PATH}",
        "accept it: pytest test_chat.py::test_plan --stepreplay=rewrite",
    ]
    assert section(result) == []
    assert recorded.cassettes == [FILE]
    recorded.run("-o", "stepreplay_pending=true")
    assert recorded.cassettes == [FILE, f"{FILE}.new"]


def test_ci_shows_what_the_short_form_leaves_out(suite: Suite) -> None:
    suite.write(
        "def test_plan(chat_snapshot):\n    assert {{f'k{{n}}': 'old' for n in range(20)}} == chat_snapshot\n"
    )
    suite.record()
    suite.change("'old'", "'new'")
    assert "… and 15 more, shown by -vv" in error_lines(suite.run())
    suite.monkeypatch.setenv("CI", "1")
    lines = error_lines(suite.run())
    assert "k9: old -> new" in lines
    assert "k19: old -> new" in lines


def test_without_an_assertion_a_section_says_what_differs(suite: Suite) -> None:
    suite.write(
        "import pytest\n\ndef test_plan(chat_snapshot):\n"
        "    if not (chat_snapshot == 'one'):\n        pytest.fail('not the same')\n"
    )
    suite.record()
    suite.change("'one'", "'two'")
    result = suite.run()
    assert error_lines(result) == ["Failed: not the same"]
    result.stdout.fnmatch_lines(
        [
            "*- stepreplay: snapshot 1 differs -*",
            "$: [[]-one-[]]{+two+} (similarity 0.00) (content)",
            f"in snapshot 1 of {PATH}",
        ]
    )


def test_plain_assertions_have_that_section_too(recorded: Suite) -> None:
    recorded.change(*RENAMED)
    # A pytest of its own: the one around this one has rewritten the assertions already.
    result = recorded.run_process("--assert=plain")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*- stepreplay: snapshot 1 differs -*", FACTS[0].replace("[0]", "[[]0]")])


def test_an_assertion_of_two_explains_each(suite: Suite) -> None:
    suite.write(
        "def test_plan(chat_snapshot):\n    a, b = 'A1'.lower(), 'B1'.lower()\n"
        "    assert a == chat_snapshot\n    assert b == chat_snapshot\n"
    )
    suite.record()
    suite.change("assert a == chat_snapshot\n    assert b", "assert b == chat_snapshot or a")
    lines = error_lines(suite.run())
    assert lines[0].startswith("assert ($: [-a1-]{+b1+}")
    assert f"in snapshot 1 of {PATH}" in lines
    assert any("$: [-b1-]{+a1+}" in line for line in lines)


def test_asserting_that_they_differ(suite: Suite) -> None:
    suite.write("def test_plan(chat_snapshot):\n    assert 'a' == chat_snapshot\n")
    suite.record()
    suite.change("==", "!=")
    assert error_lines(suite.run()) == [f"assert the same as snapshot 1 of {PATH}"]


def test_other_assertions_are_left_to_pytest(suite: Suite) -> None:
    suite.write(
        "def test_plan(chat_snapshot):\n    assert 'a' == chat_snapshot\n    assert 1 == 2\n    assert 1 < 0\n"
    )
    assert error_lines(suite.record()) == ["assert 1 == 2"]
    suite.change("    assert 1 == 2\n", "")
    assert error_lines(suite.record()) == ["assert 1 < 0"]


def test_rewrite_says_what_it_changed(recorded: Suite) -> None:
    recorded.change(*RENAMED)
    recorded.run()
    recorded.change('chat_snapshot("result")', 'chat_snapshot("answer")')
    result = recorded.run("--stepreplay=rewrite", key=KEY)
    result.assert_outcomes(passed=1)
    assert section(result) == [
        "1 added, 1 changed, 1 removed in 1 file",
        f"  {PATH} 1: {FACTS[0]} and 1 more",
    ]
    assert recorded.cassettes == [FILE], "and the pending file is gone"
    before = recorded.cassette(FILE).read_bytes()
    assert section(recorded.run("--stepreplay=rewrite", key=KEY)) == []
    assert recorded.cassette(FILE).read_bytes() == before


def test_a_long_list_of_changes_is_cut(suite: Suite) -> None:
    suite.write(
        "import pytest\n\n@pytest.mark.parametrize('n', range(22))\n"
        "def test_plan(n, chat_snapshot):\n    assert f'old{{n}}' == chat_snapshot\n"
    )
    suite.record()
    suite.change("old", "new")
    lines = section(suite.run("--stepreplay=rewrite"))
    assert lines[0] == "22 changed in 22 files"
    assert len(lines) == 22
    assert lines[-1] == "  … and 2 more"


@pytest.mark.parametrize(
    "end",
    [
        "assert False",
        "raise OSError",
        "pytest.skip('later')",
        "pytest.xfail('known')",
        "request.addfinalizer(lambda: 1 / 0)",
    ],
)
def test_only_a_test_that_passed_writes(suite: Suite, end: str) -> None:
    suite.write(
        f"import pytest\n\ndef test_plan(chat_snapshot, request):\n    assert 'a' == chat_snapshot\n    {end}\n"
    )
    suite.record()
    suite.run("--stepreplay=rewrite")
    assert suite.cassettes == []


def test_a_marked_test_that_asked_nothing_writes_none(suite: Suite) -> None:
    suite.write(
        "import pytest\n\n@pytest.mark.stepreplay\ndef test_plan(chat_snapshot):\n    assert 'a' == chat_snapshot\n"
    )
    result = suite.record()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stepreplay intercepted no request of this test*"])
    assert suite.cassettes == []


def test_a_known_failure_leaves_nothing_pending(recorded: Suite) -> None:
    recorded.change(*RENAMED)
    recorded.change("def test_plan", "@pytest.mark.xfail\ndef test_plan")
    recorded.run().assert_outcomes(xfailed=1)
    assert recorded.cassettes == [FILE]


def test_parametrized_tests_and_shared_cassettes_keep_theirs_apart(suite: Suite) -> None:
    suite.write(
        """
        import pytest

        @pytest.mark.stepreplay(cassette="shared")
        @pytest.mark.parametrize("city", ["Paris", "São Paulo"])
        def test_plan(city, chat_snapshot, request):
            import httpx
            httpx.get("{url}/models")
            assert city == chat_snapshot

        class TestOther:
            def test_plan(self, chat_snapshot):
                assert chat_snapshot("x") == 1
        """
    )
    suite.run("--stepreplay=record", "-o", "stepreplay_record_errors=true", key=KEY).assert_outcomes(passed=3)
    snapshots = [name for name in suite.cassettes if "snapshots" in name]
    assert len(snapshots) == 3
    assert "test_chat/TestOther.test_plan.snapshots.yaml" in snapshots
    assert snapshots[1] == "test_chat/test_plan[Paris].snapshots.yaml"
    assert snapshots[2] == "test_chat/test_plan[São Paulo].snapshots.yaml"
    suite.go_offline()
    suite.run().assert_outcomes(passed=3)
    suite.run("-n2").assert_outcomes(passed=3)


def test_a_rerun_counts_from_one_again(suite: Suite) -> None:
    suite.needs = ("rerunfailures",)
    suite.write(
        """
        import pytest
        tries = []

        @pytest.mark.flaky(reruns=2)
        def test_plan(chat_snapshot):
            tries.append(1)
            assert "first" == chat_snapshot
            assert "second" == chat_snapshot
            assert len(tries) == 3
        """
    )
    first = suite.record()
    first.assert_outcomes(passed=1)
    assert section(first) == ["2 added in 1 file"]
    suite.run().assert_outcomes(passed=1)
    suite.change('"second" == chat_snapshot', '("second" if len(tries) > 1 else "other") == chat_snapshot')
    result = suite.run()
    result.assert_outcomes(passed=1)
    assert suite.cassettes == [FILE], "the try that passed has dropped what the first one left"


@pytest.mark.parametrize(
    ("options", "marker", "use", "passes"),
    [
        (["--stepreplay-fail-on=behavior"], "", "", True),
        (["-o", "stepreplay_fail_on=behavior"], "", "", True),
        ([], "(fail_on='never')", "", True),
        ([], "", "(fail_on='behavior')", True),
        ([], "", "", False),
        (["--stepreplay-fail-on=never"], "", "(fail_on='content')", False),
    ],
)
def test_fail_on_may_be_set_anywhere(
    suite: Suite, options: list[str], marker: str, use: str, passes: bool
) -> None:
    suite.write(
        f"""
        import httpx, pytest

        @pytest.mark.stepreplay{marker}
        def test_plan(chat_snapshot):
            httpx.get("{{url}}/models")
            assert 'old text' == chat_snapshot{use}
        """
    )
    suite.record("-o", "stepreplay_record_errors=true").assert_outcomes(passed=1)
    suite.change("old text", "new text")
    suite.run(*options).assert_outcomes(passed=passes, failed=not passes)


def test_a_bad_option_is_one_line(suite: Suite) -> None:
    suite.write("def test_plan(chat_snapshot):\n    assert 'a' == chat_snapshot(fail_on='bad')\n")
    result = suite.run()
    assert error_lines(result) == [
        "Failed: chat_snapshot, fail_on: 'bad' is not one of contract, behavior, content, metadata, never"
    ]
    result.stdout.fnmatch_lines(["test_chat.py:2: Failed"])


def test_bad_settings_are_one_line(suite: Suite) -> None:
    suite.write(
        "import pytest\n\n@pytest.fixture\ndef stepreplay_config():\n    return {{'fail_on': 'bad'}}\n\n"
        "def test_plan(chat_snapshot):\n    assert 'a' == chat_snapshot\n"
    )
    result = suite.run()
    result.assert_outcomes(errors=1)
    assert error_lines(result) == []
    result.stdout.fnmatch_lines(
        ["the stepreplay_config fixture, fail_on: 'bad' is not one of contract, behavior,*"]
    )


def test_a_broken_file_is_named(recorded: Suite) -> None:
    recorded.cassette(FILE).write_text("<<<<<<< HEAD\nstepreplay: 1\n", encoding="utf-8")
    result = recorded.run()
    result.assert_outcomes(failed=1)
    assert error_lines(result)[0].endswith(f"{FILE}:1: has an unresolved merge conflict")
    result.stdout.no_fnmatch_line("*pytest_stepreplay/store*")


def test_what_cannot_be_written_is_said(suite: Suite) -> None:
    suite.write(PLAN)
    (suite.pytester.path / "cassettes").write_text("a file", encoding="utf-8")
    result = suite.record()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"*{FILE}: could not be written: *; nothing was written"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert section(result) == []


def test_no_key_is_ever_stored(suite: Suite) -> None:
    suite.write(
        "import os\n\ndef test_plan(chat_snapshot):\n"
        "    assert f\"key {{os.environ['STEP_API_KEY']}}\" == chat_snapshot\n"
    )
    suite.record().assert_outcomes(passed=1)
    text = suite.cassette(FILE).read_text(encoding="utf-8")
    assert KEY not in text
    assert "key [redacted]" in text


def test_a_fixture_and_its_test_have_the_same_snapshots(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.fixture
        def checked(chat_snapshot):
            assert "first" == chat_snapshot
            return chat_snapshot

        def test_plan(checked, chat_snapshot):
            assert checked is chat_snapshot
            assert "second" == chat_snapshot

        def test_asked_for_later(request):
            assert "third" == request.getfixturevalue("chat_snapshot")
    """)
    suite.record().assert_outcomes(passed=2)
    assert read_snapshots(suite.cassette(FILE)) == {"1": "first", "2": "second"}
    suite.run().assert_outcomes(passed=2)


def test_another_may_take_its_place(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.mark.parametrize("chat_snapshot", ["mine"])
        def test_parameter(chat_snapshot):
            assert chat_snapshot == "mine"

        @pytest.mark.parametrize("stepreplay_config", [{{"mode": "record"}}])
        def test_config_as_parameter(chat_snapshot, stepreplay_config):
            assert "new" == chat_snapshot

        class TestOther:
            @pytest.fixture
            def chat_snapshot(self, chat_snapshot):
                return chat_snapshot("named")

            def test_fixture(self, chat_snapshot):
                assert "value" == chat_snapshot
    """)
    suite.run().assert_outcomes(passed=2, failed=1)
    suite.record().assert_outcomes(passed=3)
    assert read_snapshots(suite.cassette("test_chat/TestOther.test_fixture.snapshots.yaml")) == {
        "named": "value"
    }


@pytest.mark.skipif(sys.platform == "win32", reason="Windows asks for a privilege to make links")
@pytest.mark.parametrize("fails", [False, True])
def test_a_folder_that_becomes_a_link_during_the_run_is_not_followed(suite: Suite, fails: bool) -> None:
    suite.write(
        """
        from pathlib import Path

        def test_first(chat_snapshot):
            assert {{"text": "one"}} == chat_snapshot

        def test_second(chat_snapshot):
            inside, outside = Path("cassettes/test_chat"), Path("outside")
            outside.mkdir()
            inside.rename("moved")
            inside.symlink_to(outside.absolute())
            assert {{"text": "two"}} == chat_snapshot
        """
    )
    result = suite.record("-k", "first")
    result.assert_outcomes(passed=1, deselected=1)
    if fails:  # a value that differs would wait beside the file
        result = suite.run()
        result.assert_outcomes(passed=1, failed=1, errors=1)
    else:
        result = suite.record()
        result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*cassettes/test_chat/test_second.snapshots.yaml: *link*"])
    assert [*(suite.pytester.path / "outside").iterdir()] == []
