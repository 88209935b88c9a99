"""Options, ini keys, the marker and the configuration fixture: what wins, and what a wrong one is told."""

from __future__ import annotations

import pytest

from .suite import GREETING, PLAIN, Suite

USAGE_ERROR = 4


def ini(suite: Suite, *lines: str) -> None:
    suite.pytester.makeini("\n".join(["[pytest]", *lines]))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            "--stepreplay=reply",
            "'reply' is not one of replay, record, rewrite, verify, live, mutate (did you mean replay?)",
        ),
        ("--stepreplay-unused=maybe", "'maybe' is not one of ignore, warn, error"),
        ("--stepreplay-fail-on=worse", "'worse' is not one of contract, behavior, content, metadata, never"),
        ("--stepreplay-report=x.pdf", "'x.pdf' must end in .json, .md or .html"),
        (
            "--stepreplay-report=md:/x.md",
            "'md:/x.md' must be the path alone, such as '/x.md'; its ending names the form",
        ),
        ("--stepreplay-dir=", "'' must be a string that is not empty"),
        ("--stepreplay-block-network=yes", "'yes' is not one of marked, always, never"),
    ],
)
def test_a_bad_option_is_a_usage_error(suite: Suite, option: str, said: str) -> None:
    suite.write(GREETING)
    result = suite.run(option)
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: stepreplay: command line, *: {said.replace('[', '?')}"])


def test_a_history_without_a_page_that_shows_it_is_a_usage_error(suite: Suite) -> None:
    suite.write(GREETING)
    result = suite.run("--stepreplay-history=x.json")
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: stepreplay: command line, history: only a report for a browser shows it; *"]
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stepreplay_mode = playback", "*'playback' is not one of replay, *"),
        ("stepreplay_match_on = method body cookies", "*'cookies' is not one of method, scheme, *"),
        ("stepreplay_allow_repeats = perhaps", "*stepreplay_allow_repeats: *'perhaps'*"),
        ("stepreplay_ignore_request = seed messages[", "*ignore_request*messages?*"),
        (
            "stepreplay_tolerances = usage.total_tokens 20%",
            "*is neither a mapping nor lines of SELECTOR: RULE",
        ),
        ("stepreplay_tolerances = usage[: 20%", "*usage?*"),
        ("stepreplay_contract = claude", "*'claude' is not one of stepfun, openai, none"),
        (
            "stepreplay_allowed_hosts = https://a.example.com",
            "allowed_hosts: 'https://a.example.com' is not the name or address of a host; *",
        ),
        (
            "stepreplay_ignore_hosts = localhost:8080",
            "ignore_hosts: 'localhost:8080' is not the name or address of a host; *",
        ),
    ],
)
def test_a_bad_ini_value_is_a_usage_error(suite: Suite, line: str, said: str) -> None:
    suite.write(GREETING)
    ini(suite, line)
    result = suite.run()
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: stepreplay: ini file, {said}"])


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        (
            "cassete='x'",
            "*has no argument 'cassete' (did you mean cassette?). Valid ones: cassette, mode, fail_on, samples, *",
        ),
        (
            "mode='recrod'",
            "*@pytest.mark.stepreplay, mode: 'recrod' is not one of replay, *(did you mean record?)",
        ),
        ("match_on='method'", "*"),
        ("ignore_request=['a b']", "*ignore_request*"),
        ("cassette='../elsewhere'", "*elsewhere*"),
        ("cassette='/tmp/elsewhere'", "*elsewhere*"),
        ("'one', 'two'", "*takes one positional argument, the cassette; got 2"),
        ("'one', cassette='two'", "*names the cassette twice"),
        ("allow_repeats='perhaps'", "*'perhaps' is not one of true, false"),
        ("tolerances={{'usage.*': 'twenty'}}", "*tolerance*"),
        ("text={{'choices[*].message.content': 'fuzzy'}}", "*fuzzy*"),
        ("unused='error'", "*has no argument 'unused'*"),
    ],
)
def test_a_bad_marker_argument_fails_its_test(suite: Suite, argument: str, said: str) -> None:
    suite.write(GREETING.replace("mark.stepreplay", f"mark.stepreplay({argument})"))
    result = suite.run()
    if argument == "match_on='method'":
        result.assert_outcomes(failed=1)
        return
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_what_is_wrong_is_told_at_once_and_by_those_tests_alone(
    suite: Suite, options: tuple[str, ...]
) -> None:
    suite.write(
        PLAIN
        + """
    @pytest.mark.stepreplay(modes="x", mode="recrod", match="y", allow_repeats="perhaps")
    def test_wrong(): ...

    @pytest.mark.stepreplay(cassette="../elsewhere")
    def test_elsewhere(): ...
"""
    )
    suite.record("-k", "greeting").assert_outcomes(passed=1, deselected=2)
    result = suite.run(*options)
    result.assert_outcomes(passed=1, errors=2)
    for line in (
        "@pytest.mark.stepreplay, mode: 'recrod' is not one of *",
        "@pytest.mark.stepreplay, allow_repeats: 'perhaps' is not one of true, false",
        "@pytest.mark.stepreplay has no argument 'modes' (did you mean mode?) or 'match' (did you mean match_on?). *",
        "cassette='../elsewhere' must be a path inside *",
    ):
        result.stdout.fnmatch_lines([line])
    assert "Traceback" not in result.stdout.str()


def test_the_closest_marker_wins_for_what_it_names(suite: Suite) -> None:
    suite.write(
        GREETING.replace(
            "    @pytest.mark.stepreplay",
            "    pytestmark = pytest.mark.stepreplay(mode='live', allow_repeats=True)\n\n    @pytest.mark.stepreplay(mode='record')",
        )
        .replace("def test_greeting():", "def test_greeting(stepreplay):")
        .replace(
            'assert ask("Say hello.")',
            'assert ask("Say hello.") == ask("Say hello.")\n        assert stepreplay.mode == "record"',
        )
    )
    suite.run(key="sk-any-key-will-do").assert_outcomes(passed=1)
    assert suite.cassettes == ["test_chat/test_greeting.yaml"]


def test_ini_fixture_command_line_and_marker_in_this_order(suite: Suite) -> None:
    ini(suite, "stepreplay_dir = from_ini", "stepreplay_ignore_hosts = from_ini")
    suite.pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def stepreplay_config():
            return {"ignore_hosts": ["from_fixture"], "record_errors": True, "match_on": ["path"]}
        """
    )
    suite.write(
        """
        import pytest

        @pytest.mark.stepreplay(match_on=["method"])
        def test_it(stepreplay):
            assert stepreplay.settings.ignore_hosts == ("from_fixture",)
            assert stepreplay.settings.record_errors
            assert stepreplay.settings.match_on == ("method",)
            assert stepreplay.path.parts[-3:] == ("from_option", "test_chat", "test_it.yaml")
            pytest.skip("seen")
        """
    )
    suite.run("--stepreplay-dir=from_option").assert_outcomes(skipped=1)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "the stepreplay_config fixture must return a dict, not NoneType"),
        ("{'match': ['path']}", "the stepreplay_config fixture has no argument 'match'*"),
        ("{'api_keys': ['MINE']}", "the stepreplay_config fixture has no argument 'api_keys'*"),
        ("{'mode': 'x'}", "the stepreplay_config fixture, mode: 'x' is not one of *"),
    ],
)
def test_a_bad_configuration_fixture_is_one_clear_line(suite: Suite, returned: str, said: str) -> None:
    suite.write(GREETING)
    suite.pytester.makeconftest(
        f"import pytest\n\n@pytest.fixture(scope='session')\ndef stepreplay_config():\n    return {returned}\n"
    )
    result = suite.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])
    assert "Traceback" not in result.stdout.str()


def test_settings_in_pyproject(suite: Suite) -> None:
    suite.pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\nstepreplay_mode = "record"\nstepreplay_dir = "tapes"\nstepreplay_allow_repeats = true\n'
    )
    suite.write(GREETING)
    result = suite.run(key="sk-any-key-will-do")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["stepreplay: record, tapes/, network open"])
    assert (suite.pytester.path / "tapes/test_chat/test_greeting.yaml").exists()


def test_a_named_cassette_is_shared_and_keeps_what_others_recorded(suite: Suite) -> None:
    suite.write(
        GREETING.replace("@pytest.mark.stepreplay", "@pytest.mark.stepreplay('shared/talk')")
        + """
    @pytest.mark.stepreplay(cassette="shared/talk.yaml")
    def test_other():
        assert ask("Say something else.")
    """
    )
    suite.record().assert_outcomes(passed=2)
    assert suite.cassettes == ["shared/talk.yaml"]
    suite.change("something else", "something new")
    suite.record().assert_outcomes(passed=2)
    assert suite.cassette("shared/talk.yaml").read_text(encoding="utf-8").count("- recorded_at") == 3
    suite.go_offline()
    result = suite.run("--stepreplay-unused=error")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["unplayed: 1 of 3 interactions in cassettes/shared/talk.yaml"])
    assert result.ret == 1


def test_ignored_hosts_pass_by(suite: Suite) -> None:
    suite.write(GREETING.replace("mark.stepreplay", 'mark.stepreplay(ignore_hosts=["127.0.0.1"])'))
    result = suite.run(key="sk-any-key-will-do")
    result.stdout.fnmatch_lines(["*intercepted no request*"])
    assert suite.upstream.count == 1


def test_stored_headers_can_be_extended(suite: Suite) -> None:
    suite.write(GREETING.replace("mark.stepreplay", 'mark.stepreplay(keep_headers=["X-Trace-Id"])'))
    suite.record().assert_outcomes(passed=1)
    assert "x-trace-id:" in suite.cassette().read_text(encoding="utf-8")


def test_help_lists_the_options_and_ini_keys(suite: Suite) -> None:
    result = suite.run("--help")
    result.stdout.fnmatch_lines(
        ["*--stepreplay=MODE*", "*--stepreplay-dir=DIR*", "*--stepreplay-unused=ignore|warn|error*"]
    )
    result.stdout.fnmatch_lines(["*stepreplay_match_on (args)*", "*stepreplay_redact_fields (args)*"])


def test_the_marker_is_registered(suite: Suite) -> None:
    suite.run("--markers").stdout.fnmatch_lines(["@pytest.mark.stepreplay(cassette=None, mode=None, *"])


def test_a_parameters_marker_is_closer_than_the_functions(suite: Suite) -> None:
    suite.write(
        """
        import pytest

        @pytest.mark.stepreplay("of_the_function", match_on=["path"], allow_repeats=True)
        @pytest.mark.parametrize("name", ["one", pytest.param("two", marks=pytest.mark.stepreplay("two", match_on=["host"]))])
        def test_it(name, stepreplay):
            two = name == "two"
            assert stepreplay.settings.match_on == (("host",) if two else ("path",))
            assert stepreplay.path.name == ("two.yaml" if two else "of_the_function.yaml")
            assert stepreplay.settings.allow_repeats
            pytest.skip("that is all")
        """
    )
    suite.run().assert_outcomes(skipped=2)
