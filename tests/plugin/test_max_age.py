"""`stepreplay_max_age`: recordings that are too old are named, fail their tests, or are recorded anew."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import KEY

from .suite import PLAIN, Suite


@pytest.fixture
def aged(suite: Suite) -> Suite:
    """A suite whose one cassette was recorded 100 days ago."""
    suite.write(PLAIN)
    suite.record().assert_outcomes(passed=1)
    make_old(suite)
    return suite


def make_old(suite: Suite, days: int = 100) -> None:
    moment = (datetime.now(UTC) - timedelta(days=days, hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = suite.cassette().read_text(encoding="utf-8")
    suite.cassette().write_text(
        re.sub(r"recorded_at: '.*'", f"recorded_at: '{moment}'", text), encoding="utf-8"
    )


def requests(suite: Suite) -> int:
    return len(suite.upstream.requests)


def test_any_age_will_do_by_default(aged: Suite) -> None:
    result = aged.run()
    result.assert_outcomes(passed=1)
    assert "too old" not in result.stdout.str()


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_what_is_too_old_is_named_and_replayed(aged: Suite, options: tuple[str, ...]) -> None:
    result = aged.run("-o", "stepreplay_max_age=90d", *options)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "too old: 1 of 1 interaction, the oldest recorded 3 months ago in cassettes/test_chat/test_greeting.yaml"
        ]
    )
    assert requests(aged) == 1
    assert "too old" not in aged.run("--stepreplay-max-age=15w").stdout.str()


def test_what_is_too_old_can_be_an_error(aged: Suite) -> None:
    result = aged.run("--stepreplay-max-age=2000h", "--stepreplay-stale=error")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*cassettes/test_chat/test_greeting.yaml: is older than 2000h: 1 of 1 interaction, the oldest recorded"
            " 3 months ago",
            "Record it anew: pytest test_chat.py::test_greeting --stepreplay=rewrite",
        ]
    )
    aged.run(
        "--stepreplay-max-age=90d", "--stepreplay-stale=error", "--stepreplay=rewrite", key=KEY
    ).assert_outcomes(passed=1)
    aged.run("--stepreplay-max-age=90d", "--stepreplay-stale=error").assert_outcomes(passed=1)


@pytest.mark.parametrize("mode", ["replay", "record"])
def test_what_is_too_old_can_be_recorded_anew(aged: Suite, mode: str) -> None:
    options = (f"--stepreplay={mode}", "--stepreplay-max-age=90d", "--stepreplay-stale=record")
    result = aged.run(*options, key=KEY)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["recorded 1 in 1 cassette", "too old: *; recorded anew in cassettes/*"])
    assert requests(aged) == 2
    result = aged.run(*options, key=KEY)
    result.stdout.fnmatch_lines(["replayed 1"])
    assert requests(aged) == 2


def test_without_a_key_nothing_is_recorded_anew(aged: Suite) -> None:
    before = aged.cassette().read_bytes()
    result = aged.run("--stepreplay-max-age=90d", "--stepreplay-stale=record")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["too old: *; not recorded anew, since no API key is set in cassettes/*"])
    assert aged.cassette().read_bytes() == before
    assert requests(aged) == 1


def test_a_failing_test_keeps_its_old_recording(aged: Suite) -> None:
    before = aged.cassette().read_bytes()
    aged.change("assert ask", "assert not ask")
    aged.run("--stepreplay-max-age=90d", "--stepreplay-stale=record", key=KEY).assert_outcomes(failed=1)
    assert aged.cassette().read_bytes() == before


def test_the_marker_and_use_cassette_take_an_age_too(aged: Suite) -> None:
    aged.change("@pytest.mark.stepreplay", '@pytest.mark.stepreplay(max_age="30d", stale="error")')
    aged.run().assert_outcomes(errors=1)
    aged.write(
        """
        import pytest
        from pytest_stepreplay import use_cassette

        def test_block():
            with use_cassette("cassettes/test_chat/test_greeting.yaml", max_age="30d", stale="error"):
                pass
        """
    )
    result = aged.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*is older than 30d*", "E *Record it anew"])


@pytest.mark.parametrize("age", ["90", "0d", "90 days", "-3d", "9999999d"])
def test_an_age_that_is_none_is_a_usage_error(suite: Suite, age: str) -> None:
    suite.write(PLAIN)
    result = suite.run(f"--stepreplay-max-age={age}")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [f"*max_age: '{age}' is not an age; write it as 12h, 90d or 4w (hours, days, weeks)"]
    )


def test_an_interaction_without_a_date_is_never_too_old(aged: Suite) -> None:
    text = aged.cassette().read_text(encoding="utf-8")
    aged.cassette().write_text(re.sub(r"recorded_at: '.*'", "recorded_at: some day", text), encoding="utf-8")
    result = aged.run("--stepreplay-max-age=1h", "--stepreplay-stale=error")
    result.assert_outcomes(passed=1)
