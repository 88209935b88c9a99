"""Tests that replace the clock: freezegun, time-machine, mocks. What is stored says when and how long it really was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import yaml

from .suite import QUICK, Suite

CLOCKS = (
    QUICK
    + """
    import asyncio, datetime, time
    from unittest import mock
    import freezegun, time_machine

    def key():
        return {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}

    def stream(text):
        body = {{"model": "m", "stream": True, "messages": [{{"role": "user", "content": text}}]}}
        with httpx.stream("POST", "{url}/chat/completions", json=body, headers=key(), verify=False) as reply:
            return b"".join(reply.iter_bytes())

    async def ask_all(name):
        async with httpx.AsyncClient(verify=False) as client:
            body = {{"model": "m", "stream": True, "messages": [{{"role": "user", "content": name}}]}}
            async with client.stream("POST", "{url}/chat/completions", json=body, headers=key()) as reply:
                return await reply.aread()

    CLOCKS = {{  # httpx itself counts twice for each request
        "frozen": lambda: freezegun.freeze_time("2020-01-01"),
        "ticking": lambda: freezegun.freeze_time("2035-01-01", auto_tick_seconds=3600),
        "travelled": lambda: time_machine.travel("2020-01-01", tick=False),
        "counted": lambda: mock.patch("time.perf_counter", side_effect=[1.0, 2.0, 3.0, 4.0]),
        "mocked": lambda: mock.patch("time.time", return_value=0),
        "asleep": lambda: mock.patch("time.sleep", side_effect=AssertionError("the plugin sleeps in the test")),
    }}

    @pytest.mark.stepreplay(max_age="1d", pace=0.5)
    @pytest.mark.parametrize("clock", CLOCKS)
    def test_clock(clock):
        with CLOCKS[clock]():
            assert ask("Say hello to " + clock)
            assert stream("Spell " + clock)

    @pytest.mark.stepreplay(max_age="1d", pace=0.5)
    @pytest.mark.parametrize("real", [True, False])
    def test_frozen_loop(real):
        with freezegun.freeze_time("2020-01-01", real_asyncio=real):
            assert asyncio.run(ask_all(f"loop {{real}}"))

    @pytest.fixture
    def early():
        with freezegun.freeze_time("2020-01-01"), mock.patch("time.perf_counter_ns", return_value=0):
            yield

    @pytest.mark.stepreplay(max_age="1d")
    def test_fixture(early):
        assert ask("Say hello early.")

    @freezegun.freeze_time("2050-01-01")
    @pytest.mark.stepreplay(max_age="1d")
    def test_snapshot(chat_snapshot):
        assert ask("Say hello late.") == chat_snapshot
    """
)


def test_a_clock_that_a_test_replaces_is_not_the_plugins(suite: Suite) -> None:
    suite.write(CLOCKS)
    began = datetime.now(UTC).replace(microsecond=0)
    suite.record("-q").assert_outcomes(passed=11)
    suite.go_offline()
    result = suite.run()
    result.assert_outcomes(passed=11)
    result.stdout.no_fnmatch_line("*recorded * ago*")
    for name in suite.cassettes:
        if name.endswith(".snapshots.yaml"):
            continue
        for each in yaml.safe_load(suite.cassette(name).read_text(encoding="utf-8"))["interactions"]:
            recorded = datetime.fromisoformat(each["recorded_at"])
            assert began - timedelta(seconds=1) <= recorded <= datetime.now(UTC), name
            assert 0 <= each["elapsed"] < 600, name
