"""The section at the end of a run, plain and under xdist."""

from __future__ import annotations

from itertools import takewhile

import pytest

from tests.conftest import KEY

from .suite import PLAIN, Suite

TWO = (
    PLAIN
    + """
    @pytest.mark.stepreplay
    def test_other():
        assert ask("Say something else.")
"""
)


def section(result: pytest.RunResult) -> list[str]:
    lines = result.outlines
    starts = [i for i, line in enumerate(lines) if line.strip("= ") == "stepreplay"]
    if not starts:
        return []
    return list(takewhile(lambda line: line and not line.startswith("="), lines[starts[0] + 1 :]))


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("-q",), ("-p", "no:cacheprovider", "-q")])
def test_what_was_replayed_and_saved(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write(TWO)
    suite.record().assert_outcomes(passed=2)
    lines = section(suite.run(*options))
    assert lines[0] == "replayed 2"
    assert lines[1].startswith("saved ")
    assert not [line for line in lines[2:] if "passed" not in line]


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_what_each_mode_has_spent_and_saved(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write(TWO)
    suite.pytester.makeini("[pytest]\nstepreplay_prices =\n    m: $1 $1\n    step-*: $1000000 $2000000")

    def tokens_of(result: pytest.RunResult, use: str) -> list[str]:
        return [line.rpartition(", ")[0] or line for line in section(result) if line.startswith(use)]

    recorded = suite.record("-v", *options)
    (spent,) = tokens_of(recorded, "spent ")
    assert not tokens_of(recorded, "saved ")
    assert any(line.startswith("  step-3.5-flash (chat): 2 requests, ") for line in section(recorded))
    replayed = suite.run(*options)
    assert tokens_of(replayed, "saved ")[0].startswith(spent.replace("spent", "saved"))
    assert not tokens_of(replayed, "spent ")
    verified = suite.run("--stepreplay=verify")
    assert tokens_of(verified, "spent ")[0].startswith("spent ")
    assert not tokens_of(verified, "saved ")


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_cassettes_that_no_test_owns_and_interactions_that_none_played(
    suite: Suite, options: tuple[str, ...]
) -> None:
    suite.write(TWO)
    suite.change('assert ask("Say hello.")', 'assert ask("Say hello.") and ask("Say more.")')
    suite.record()
    suite.change(' and ask("Say more.")', "")
    suite.change("test_other", "test_renamed")
    suite.record("-k", "renamed")
    result = suite.run(*options)
    assert result.ret == 0
    assert section(result)[2:] == [
        "unplayed: 1 of 2 interactions in cassettes/test_chat/test_greeting.yaml",
        "no test uses cassettes/test_chat/test_other.yaml",
    ]
    assert suite.run("--stepreplay-unused=error", *options).ret == 1
    assert len(section(suite.run("--stepreplay-unused=ignore"))) == 2


@pytest.mark.parametrize(
    "options",
    [
        ("-k", "greeting"),
        ("test_chat.py::test_greeting",),
        ("--deselect", "test_chat.py::test_other"),
        ("-x",),
        ("sub",),
    ],
)
def test_a_run_that_was_not_complete_judges_no_other_tests_cassette(
    suite: Suite, options: tuple[str, ...]
) -> None:
    suite.write(TWO)
    suite.write(PLAIN, "sub/test_sub.py")
    suite.record()
    if options == ("-x",):
        suite.change('assert ask("Say hello.")', "assert False")
    result = suite.run("--stepreplay-unused=error", *options)
    assert "no test uses" not in result.stdout.str()
    assert result.ret == (1 if options == ("-x",) else 0)


def test_a_failing_test_is_not_told_what_it_did_not_play(suite: Suite) -> None:
    suite.write(PLAIN)
    suite.change('assert ask("Say hello.")', 'assert ask("Say hello.") and ask("Say more.")')
    suite.record()
    suite.change(' and ask("Say more.")', " == 'this'")
    assert "unplayed:" not in suite.run().stdout.str()


def test_a_run_without_cassettes_has_no_section(suite: Suite) -> None:
    suite.write("def test_plain():\n    pass\n")
    result = suite.run()
    assert section(result) == []
    result.stdout.fnmatch_lines(["stepreplay: replay, cassettes/, network blocked"])


def test_a_crashed_worker_makes_the_run_incomplete(suite: Suite) -> None:
    suite.write(TWO)
    suite.record()
    suite.change('assert ask("Say something else.")', "import os; os._exit(1)")
    suite.change("test_other", "test_crashing")
    assert "no test uses" not in suite.run("-n", "1").stdout.str()


def test_what_a_module_that_skips_itself_would_use_is_not_reported(suite: Suite) -> None:
    suite.write(TWO)
    suite.write(
        TWO.replace("@pytest.mark.stepreplay", "@pytest.mark.stepreplay('named')", 1), "test_optional.py"
    )
    suite.record().assert_outcomes(passed=4)
    suite.change("import httpx", "pytest.importorskip('nothing_like_it')\nimport httpx", "test_optional.py")
    suite.change("import os", "import os, pytest", "test_optional.py")
    for options in [(), ("-n", "1")]:
        assert "no test uses" not in suite.run("--stepreplay-unused=error", *options).stdout.str()
    (suite.pytester.path / "test_optional.py").unlink()
    suite.run().stdout.fnmatch_lines(
        ["no test uses cassettes/named.yaml", "no test uses cassettes/test_optional/test_other.yaml"]
    )


def test_a_module_that_is_left_out_by_a_conftest_is_not_judged(suite: Suite) -> None:
    suite.write(TWO)
    suite.write(TWO, "tests/test_left_out.py")
    suite.record().assert_outcomes(passed=4)
    (suite.pytester.path / "conftest.py").write_text(
        "collect_ignore = ['tests/test_left_out.py']", encoding="utf-8"
    )
    assert "no test uses" not in suite.run().stdout.str()


def test_other_data_beside_the_cassettes_is_no_cassette(suite: Suite) -> None:
    suite.write(TWO)
    suite.record()
    suite.cassette("test_chat/people.json").write_text('[{"name": "Ms. Example"}]', encoding="utf-8")
    suite.cassette("settings.yaml").write_text("colour: blue", encoding="utf-8")
    suite.run("--stepreplay-unused=error").assert_outcomes(passed=2)
    assert suite.run("--stepreplay-unused=error").ret == 0


def test_many_orphans_are_not_all_listed(suite: Suite) -> None:
    suite.write(PLAIN)
    suite.record()
    for number in range(30):
        suite.cassette(f"old/{number:02}.yaml").parent.mkdir(exist_ok=True)
        suite.cassette(f"old/{number:02}.yaml").write_bytes(suite.cassette().read_bytes())
    suite.run().stdout.fnmatch_lines(["no test uses cassettes/old/00.yaml", "  ... and 20 more cassettes"])


FIXTURE = (
    PLAIN.partition("    @pytest.mark.stepreplay")[0]
    + """
    @pytest.fixture(scope="module")
    def answers():
        yield [ask("Say 1."), ask("Say 2."), ask("Say 3.")]
        ask("Say bye.")

    @pytest.mark.stepreplay
    def test_greeting(answers):
        assert ask("Say hello.")

    @pytest.mark.stepreplay
    def test_other():
        assert ask("Say hello.")
"""
)


def said_in(suite: Suite, name: str) -> list[str]:
    lines = suite.cassette(name).read_text(encoding="utf-8").splitlines()
    return sorted(line.partition("content: ")[2] for line in lines if " content: Say " in line)


def test_what_a_fixture_no_longer_plays_is_counted_and_goes_with_the_next_recording(suite: Suite) -> None:
    suite.write(FIXTURE)
    suite.record().assert_outcomes(passed=2)
    suite.change(', ask("Say 2.")', "")
    unplayed = "unplayed: 1 of 4 interactions in cassettes/test_chat/answers.fixture.yaml"
    for narrow in ((), ("-k", "greeting")):
        result = suite.run("--stepreplay-unused=error", *narrow)
        assert result.ret == 1
        result.stdout.fnmatch_lines([unplayed])
    assert suite.run("-k", "other", "--stepreplay-unused=error").ret == 0
    suite.change("Say 1.", "Say one.")
    suite.record().assert_outcomes(passed=2)
    assert said_in(suite, "test_chat/answers.fixture.yaml") == ["Say 3.", "Say bye.", "Say one."]
    suite.change(', ask("Say 3.")', "")
    suite.run("--stepreplay=rewrite", key=KEY).assert_outcomes(passed=2)
    assert said_in(suite, "test_chat/answers.fixture.yaml") == ["Say bye.", "Say one."]
    suite.go_offline()
    assert suite.run("--stepreplay-unused=error").ret == 0
