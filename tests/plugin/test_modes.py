"""What each mode does with recorded and unrecorded requests, and what it writes."""

from __future__ import annotations

import pytest

from pytest_stepreplay.settings import MODES, Mode, OnMiss, Writes
from pytest_stepreplay.upstream import answer, error
from tests.conftest import KEY

from .suite import GREETING, PLAIN, Suite

TWO_TURNS = """
    import pytest
    from openai import OpenAI

    client = OpenAI(base_url="{url}")

    @pytest.mark.stepreplay
    def test_talk():
        messages = [{{"role": "system", "content": "Be brief."}}]
        for text in ["Name a colour.", "Name another."]:
            messages.append({{"role": "user", "content": text}})
            reply = client.chat.completions.create(model="step-3.5-flash", messages=messages)
            messages.append({{"role": "assistant", "content": reply.choices[0].message.content}})
        assert len(messages) == 5
"""
TALK = "test_chat/test_talk.yaml"


def test_recorded_once_it_replays_offline_and_without_a_key(suite: Suite) -> None:
    suite.write(GREETING)
    recorded = suite.record()
    recorded.assert_outcomes(passed=1)
    recorded.stdout.fnmatch_lines(
        ["stepreplay: record, cassettes/, network open", "recorded 1 in 1 cassette"]
    )
    assert suite.cassettes == ["test_chat/test_greeting.yaml"]
    suite.go_offline()
    replayed = suite.run()
    replayed.assert_outcomes(passed=1)
    replayed.stdout.fnmatch_lines(
        ["stepreplay: replay, cassettes/, network blocked", "replayed 1", "saved * tokens, * s"]
    )
    assert suite.upstream.count == 1


def test_recording_again_asks_nothing(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    before = suite.cassette().read_bytes()
    suite.record().assert_outcomes(passed=1)
    assert suite.upstream.count == 1
    assert suite.cassette().read_bytes() == before


def test_replay_writes_nothing(suite: Suite) -> None:
    suite.write(GREETING)
    suite.run().assert_outcomes(failed=1)
    assert suite.cassettes == []
    assert suite.upstream.count == 0


def test_rewrite_asks_everything_again_and_replaces_the_cassette(suite: Suite) -> None:
    suite.write(GREETING)
    suite.replies = [answer("Hello."), answer("Hi."), answer("Hi.")]
    suite.record()
    suite.run("--stepreplay=rewrite", key=KEY).assert_outcomes(passed=1)
    assert suite.upstream.count == 2
    after = suite.cassette().read_text(encoding="utf-8")
    assert after.count("- recorded_at:") == 1
    assert "content: Hi." in after
    suite.run("--stepreplay=rewrite", key=KEY).assert_outcomes(passed=1)
    assert suite.upstream.count == 3
    assert suite.cassette().read_text(encoding="utf-8") == after, "only ids and times were new"


def test_live_asks_and_writes_nothing(suite: Suite) -> None:
    suite.write(GREETING)
    result = suite.run("--stepreplay=live", key=KEY)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["sent 1"])
    assert suite.cassettes == []
    assert suite.upstream.count == 1


def test_what_follows_a_miss_in_a_conversation_is_recorded_anew(suite: Suite) -> None:
    suite.write(TWO_TURNS)
    suite.record()
    suite.change("Name another.", "Name two more.")
    suite.record().assert_outcomes(passed=1)
    assert suite.upstream.count == 3, "the first turn is answered from the cassette"
    text = suite.cassette(TALK).read_text(encoding="utf-8")
    assert "Name two more." in text
    assert "Name another." not in text, "the stale tail is gone"
    suite.go_offline()
    suite.run("--stepreplay-unused=error").assert_outcomes(passed=1)


def test_a_later_turn_is_recorded_anew_even_where_it_was_recorded(suite: Suite) -> None:
    suite.write(
        TWO_TURNS.replace(
            'model="step-3.5-flash"', 'model="step-3.5-flash", temperature=0.1 * (len(messages) < 3)'
        )
    )
    suite.record()
    suite.change("0.1 * (len", "0.2 * (len")
    suite.record().assert_outcomes(passed=1)
    assert suite.upstream.count == 4, "the second turn continues a conversation that was asked anew"


def test_a_failing_test_never_replaces_a_good_cassette(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    before = suite.cassette().read_bytes()
    suite.change('assert ask("Say hello.")', 'assert ask("Say goodbye.") == "something else"')
    result = suite.record()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["not written, the test failed: cassettes/test_chat/test_greeting.yaml"])
    assert suite.cassette().read_bytes() == before
    suite.run("--stepreplay=rewrite", key=KEY).assert_outcomes(failed=1)
    assert suite.cassette().read_bytes() == before


def test_a_first_recording_is_kept_while_the_test_is_being_mended(suite: Suite) -> None:
    suite.write(GREETING)
    suite.change('assert ask("Say hello.")', 'assert ask("Say hello.") == "something else"')
    suite.record().assert_outcomes(failed=1)
    suite.change('== "something else"', "")
    suite.run().assert_outcomes(passed=1)
    assert suite.upstream.count == 1


def test_a_fixture_that_fails_in_teardown_keeps_the_old_cassette(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    before = suite.cassette().read_bytes()
    suite.change('ask("Say hello.")', 'ask("Say goodbye.")')
    suite.change("def test_greeting():", "def test_greeting(broken):")
    suite.change(
        "    @pytest.mark".strip(),
        "@pytest.fixture\ndef broken():\n    yield\n    raise OSError\n\n@pytest.mark",
    )
    suite.record().assert_outcomes(passed=1, errors=1)
    assert suite.cassette().read_bytes() == before


def test_an_interrupted_run_writes_nothing(suite: Suite) -> None:
    suite.write(PLAIN)
    suite.change('assert ask("Say hello.")', 'assert ask("Say hello.")\n    raise KeyboardInterrupt')
    suite.monkeypatch.setenv("STEP_API_KEY", KEY)
    suite.run_process("--stepreplay=record")
    assert suite.upstream.count == 1
    assert suite.cassettes == []


@pytest.mark.parametrize("asked_for", [False, True])
def test_error_responses_are_recorded_only_when_asked_for(suite: Suite, asked_for: bool) -> None:
    suite.replies = [error(451, "moderation", "no")]
    suite.write(
        GREETING.replace("import OpenAI", "import OpenAI, APIStatusError")
        .replace(
            'assert ask("Say hello.")',
            "with pytest.raises(APIStatusError, match='451'):\n            ask('Say hello.')",
        )
        .replace("mark.stepreplay", f"mark.stepreplay(record_errors={asked_for})")
    )
    result = suite.record()
    result.assert_outcomes(passed=1)
    assert bool(suite.cassettes) is asked_for
    if asked_for:
        suite.go_offline()
        suite.run().assert_outcomes(passed=1)
    else:
        result.stdout.fnmatch_lines(
            ["error response not recorded: 451 in test_chat.py::test_greeting", "*record_errors=True*"]
        )


def test_the_command_line_decides_the_mode_over_the_marker(suite: Suite) -> None:
    suite.write(GREETING.replace("mark.stepreplay", "mark.stepreplay(mode='live')"))
    suite.run(key=KEY).assert_outcomes(passed=1)
    assert suite.upstream.count == 1
    suite.run("--stepreplay=replay", key=KEY).assert_outcomes(failed=1)
    assert suite.upstream.count == 1


def test_identical_requests_are_answered_in_recorded_order(suite: Suite) -> None:
    suite.write(GREETING)
    suite.change(
        'assert ask("Say hello.")',
        "ids = [client.chat.completions.create(model='m', messages=[{'role': 'user', 'content': 'x'}]).id for _ in range(3)]\n    print('ids', ids)",
    )
    recorded = suite.record("-s")
    replayed = suite.run("-s")
    replayed.assert_outcomes(passed=1)
    ids = [line for line in recorded.outlines if "ids [" in line]
    assert ids == [line for line in replayed.outlines if "ids [" in line]
    assert ids


def test_a_mode_is_one_entry_in_one_table(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    peek = Mode(
        "peek",
        answers=True,
        sends=False,
        writes=Writes.NOTHING,
        compares=False,
        guards=False,
        on_miss=OnMiss.PASS_BY,
    )
    monkeypatch.setitem(MODES, "peek", peek)
    suite.write(PLAIN)
    suite.record()
    suite.change('assert ask("Say hello.")', 'assert ask("Say hello.") and ask("Say goodbye.")')
    before = suite.cassette().read_bytes()
    result = suite.run("--stepreplay=peek", key=KEY)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["stepreplay: peek, cassettes/, network open", "replayed 1, sent 1"])
    assert suite.upstream.count == 2, "what was recorded is not sent again"
    assert suite.cassette().read_bytes() == before
    suite.run("--stepreplay=pick").stderr.fnmatch_lines(["*'pick' is not one of replay, record, *peek*"])
