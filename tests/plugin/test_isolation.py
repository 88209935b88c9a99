"""A miss in a fixture, in setup or in teardown, concerns its own test and no other."""

from __future__ import annotations

import pytest

from pytest_stepreplay.upstream import answer

from .suite import PLAIN, Suite

TEARDOWN = (
    PLAIN
    + """
    @pytest.fixture
    def cleaned():
        yield
        ask("clean up")

    @pytest.mark.stepreplay
    def test_cleaned(cleaned):
        assert ask("first")

    @pytest.mark.stepreplay
    def test_next():
        assert ask("next")

    def test_unmarked():
        with pytest.raises(httpx.ConnectError):
            httpx.get("http://127.0.0.1:1/")
"""
)

SESSION = (
    PLAIN
    + """
    @pytest.fixture(scope="session")
    def topic():
        return ask("a topic")

    @pytest.mark.stepreplay
    def test_one(topic):
        assert ask(topic)

    @pytest.mark.stepreplay
    def test_two(topic):
        assert ask(topic)

    def test_unmarked(topic):
        assert topic
"""
)

SWALLOWED = SESSION.replace(
    'return ask("a topic")',
    'try:\n            return ask("a topic")\n        except BaseException:\n            return "none"',
)


def test_a_miss_in_a_teardown_is_that_tests_alone(suite: Suite) -> None:
    suite.write(TEARDOWN)
    suite.record()
    suite.change("clean up", "clean up well")
    result = suite.run()
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_cleaned*",
            "ERROR test_chat.py::test_cleaned - Failed: not recorded: messages*",
        ]
    )


@pytest.mark.parametrize("code", [SESSION, SWALLOWED], ids=["raised", "swallowed"])
def test_a_miss_in_a_session_fixture_is_the_same_for_each_of_its_tests(suite: Suite, code: str) -> None:
    suite.write(code)
    suite.record().assert_outcomes(passed=4)
    suite.change("a topic", "another topic")
    result = suite.run()
    result.assert_outcomes(passed=1, errors=3)
    text = result.stdout.str()
    assert text.count("Failed: not recorded: messages[0].content differs") >= 3
    assert "site-packages" not in text
    assert "AssertionError" not in text
    result.stdout.fnmatch_lines(["replayed 1, missed 1"])


def test_a_skipped_test_leaves_nothing_unplayed(suite: Suite) -> None:
    suite.write(PLAIN)
    suite.record()
    suite.change('assert ask("Say hello.")', 'pytest.skip("not today")')
    assert "unplayed:" not in suite.run().stdout.str()


def test_an_interrupted_recording_says_what_it_did_not_write(suite: Suite) -> None:
    suite.write(PLAIN)
    suite.change('assert ask("Say hello.")', 'assert ask("Say hello.")\n    raise KeyboardInterrupt')
    suite.monkeypatch.setenv("STEP_API_KEY", "sk-any-key-will-do")
    result = suite.run_process("--stepreplay=record")
    result.stdout.fnmatch_lines(
        ["not written, the run was interrupted: cassettes/test_chat/test_greeting.yaml"]
    )
    assert suite.cassettes == []


def test_a_place_that_cannot_be_written_is_found_before_anything_is_sent(suite: Suite) -> None:
    suite.write(PLAIN)
    (suite.pytester.path / "cassettes").write_text("a file where the folder should be", encoding="utf-8")
    result = suite.record()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*cassettes/test_chat/test_greeting.yaml: *cassettes is a file, not a folder*"]
    )
    assert suite.upstream.count == 0


def test_a_recorded_request_is_seen_through_the_redaction_of_today(suite: Suite) -> None:
    suite.write(PLAIN.replace("Say hello.", "Sort by created_at please."))
    suite.record().assert_outcomes(passed=1)
    suite.monkeypatch.setenv("SORT_KEY", "created_at")
    suite.run().assert_outcomes(passed=1)


def test_a_cassette_that_cannot_be_searched_does_not_hide_a_miss(suite: Suite) -> None:
    suite.write(PLAIN)
    suite.record()
    suite.cassette("test_chat/aaa.yaml").symlink_to("/proc/self/mem")
    suite.change("Say hello.", "Say goodbye.")
    suite.run().stdout.fnmatch_lines(["*Failed: not recorded: messages?0?.content differs"])


WIDE_TEARDOWN = (
    PLAIN
    + """
    @pytest.fixture(scope="module")
    def cleaned():
        yield
        try:
            ask("clean up")
        except BaseException:
            pass

    @pytest.mark.stepreplay
    def test_cleaned(cleaned):
        assert ask("first")
"""
)


def test_a_swallowed_miss_in_the_teardown_of_a_wide_fixture_fails_the_last_test(suite: Suite) -> None:
    suite.write(WIDE_TEARDOWN)
    suite.record().assert_outcomes(passed=2)
    suite.run().assert_outcomes(passed=2)
    suite.change("clean up", "clean up well")
    result = suite.run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_cleaned*",
            "ERROR test_chat.py::test_cleaned - Failed: not recorded: messages*",
        ]
    )


def test_a_wide_fixture_whose_teardown_fails_keeps_its_old_cassette(suite: Suite) -> None:
    suite.write(
        WIDE_TEARDOWN.replace("except BaseException:\n            pass", "finally:\n            assert True")
    )
    suite.record().assert_outcomes(passed=2)
    before = suite.cassette("test_chat/cleaned.fixture.yaml").read_bytes()
    suite.change("assert True", "assert False")
    result = suite.run("--stepreplay=rewrite", key="sk-any-key-will-do")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["not written, its teardown failed: cassettes/test_chat/cleaned.fixture.yaml"]
    )
    assert suite.cassette("test_chat/cleaned.fixture.yaml").read_bytes() == before


def test_a_drifted_answer_in_the_teardown_of_a_wide_fixture_fails_the_last_test(suite: Suite) -> None:
    suite.write(WIDE_TEARDOWN)
    suite.record().assert_outcomes(passed=2)
    suite.say = lambda received: (
        answer("", finish_reason="length") if "clean up" in str(received.json) else None
    )
    result = suite.run("--stepreplay=verify", key="sk-any-key-will-do")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_cleaned*"])


def test_a_wide_fixture_that_is_asked_for_by_name_has_its_own_cassette(suite: Suite) -> None:
    suite.write(
        PLAIN
        + """
    @pytest.fixture(scope="session")
    def topic():
        return ask("a topic")

    @pytest.mark.stepreplay
    @pytest.mark.parametrize("number", [1, 2])
    def test_number(request, number):
        assert ask(request.getfixturevalue("topic") + str(number))
    """
    )
    suite.record().assert_outcomes(passed=3)
    assert "test_chat/topic.fixture.yaml" in suite.cassettes
    suite.go_offline()
    suite.run("-k", "2").assert_outcomes(passed=1, deselected=2)
    suite.run().assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("pytest.skip('later')", "the test was skipped"),
        ("pytest.xfail('later')", "the test failed, as expected"),
        ("assert False", "the test failed"),
    ],
)
def test_what_is_not_written_says_why(suite: Suite, ending: str, said: str) -> None:
    suite.write(PLAIN)
    suite.record()
    suite.change('assert ask("Say hello.")', f'ask("Say hello."), ask("Say more.")\n    {ending}')
    suite.record().stdout.fnmatch_lines([f"not written, {said}: cassettes/test_chat/test_greeting.yaml"])


def test_a_block_inside_a_test_follows_the_tests_settings(suite: Suite) -> None:
    (suite.pytester.path / "conftest.py").write_text(
        "import pytest\n\n@pytest.fixture(scope='session')\ndef stepreplay_config():\n"
        "    return {'redact_fields': ['customer'], 'keep_headers': ['x-trace-id']}\n",
        encoding="utf-8",
    )
    suite.write(
        PLAIN
        + """
    from pytest_stepreplay import use_cassette

    def ask_for(customer, **settings):
        body = {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": "hi"}}], "customer": customer}}
        with use_cassette("cassettes/block.yaml", **settings) as cassette:
            headers = {{"Authorization": "Bearer sk-any"}}
            httpx.post("{url}/chat/completions", json=body, headers=headers).raise_for_status()
        return cassette

    def test_unmarked():
        assert "x-trace-id" in ask_for("Ms. Example").settings.keep_headers

    @pytest.mark.stepreplay(ignore_request=["customer"], keep_headers=["x-other"])
    def test_marked():
        assert ask("Say hello.")
        settings = ask_for("Mr. Other").settings
        assert settings.ignore_request == ("customer",) and settings.keep_headers == ("x-other",)
        assert ask_for("Mr. Other", match_on=["path"]).settings.match_on == ("path",)
    """
    )
    suite.record().assert_outcomes(passed=3)
    text = suite.cassette("block.yaml").read_text(encoding="utf-8")
    assert "Example" not in text and "Other" not in text
    suite.go_offline()
    suite.run().assert_outcomes(passed=3)
    suite.run("-k", "unmarked").assert_outcomes(passed=1, deselected=2)


OTHERS = (
    PLAIN
    + """
    from pathlib import Path

    @pytest.fixture(scope="module")
    def server():
        yield
        try:
            httpx.get("http://127.0.0.1:1/shutdown")
        except httpx.ConnectError:
            Path(__file__).with_name("asked for real").touch()

    def test_unmarked(server):
        pass

    @pytest.mark.stepreplay
    def test_last():
        assert ask("last")
"""
)


def test_the_last_test_does_not_answer_for_a_wide_fixture_that_is_not_its_own(suite: Suite) -> None:
    suite.write(OTHERS)
    suite.record().assert_outcomes(passed=3)
    asked = suite.pytester.path / "asked for real"
    asked.unlink()
    suite.run().assert_outcomes(passed=3)
    assert asked.exists()


def test_a_marker_that_a_conftest_sets_counts(suite: Suite) -> None:
    suite.write(PLAIN.replace("    @pytest.mark.stepreplay\n", ""))
    suite.pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.stepreplay(cassette="all"))
        """
    )
    suite.record().assert_outcomes(passed=1)
    suite.run().stdout.fnmatch_lines(["replayed 1"])
    assert (suite.pytester.path / "cassettes/all.yaml").exists()


def test_a_module_can_have_settings_of_its_own(suite: Suite) -> None:
    suite.write(
        PLAIN
        + """
    @pytest.fixture(scope="module")
    def stepreplay_config():
        return {{"ignore_request": ["messages"]}}
"""
    )
    suite.record()
    suite.change("Say hello.", "Say goodbye.")
    suite.run().assert_outcomes(passed=1)


def test_settings_can_be_parameters(suite: Suite) -> None:
    suite.write(
        PLAIN.replace(
            "@pytest.mark.stepreplay\n    def test_greeting():",
            '@pytest.mark.stepreplay\n    @pytest.mark.parametrize("stepreplay_config", '
            '[{{"ignore_request": ["messages"]}}, {{}}])\n    def test_greeting(stepreplay_config):',
        )
    )
    suite.record()
    suite.change("Say hello.", "Say goodbye.")
    suite.run().assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan"])
def test_a_run_that_only_sets_up_judges_no_cassette(suite: Suite, option: str) -> None:
    suite.write(PLAIN)
    suite.record()
    result = suite.run(option, "--stepreplay-unused=error")
    assert result.ret == 0
    assert "unplayed" not in result.stdout.str()
