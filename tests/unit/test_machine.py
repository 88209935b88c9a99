"""The machine's clock and disk, whatever stands in their place."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from unittest import mock

import freezegun
import pytest
import time_machine
import trio

from pytest_stepreplay.machine import clock, waiting

FROZEN = {
    "freezegun": lambda: freezegun.freeze_time("2020-01-01"),
    "time-machine": lambda: time_machine.travel("2020-01-01", tick=False),
    "mock": lambda: mock.patch.multiple(
        "time", time=mock.Mock(return_value=0), monotonic=mock.Mock(return_value=0.0)
    ),
}
Freezing = Callable[[], AbstractContextManager[object]]


@pytest.mark.parametrize("freeze", FROZEN.values(), ids=FROZEN)
def test_the_time_is_the_machines_and_goes_on(freeze: Freezing) -> None:
    before = datetime.now(UTC)
    with freeze():
        count, found = clock.seconds(), clock.now()
        while clock.seconds() == count:
            pass
        later = clock.moment(clock.seconds())
    assert before - timedelta(seconds=1) < found < later < datetime.now(UTC) + timedelta(seconds=1)
    assert type(found) is type(clock.read("2020-01-01T00:00:00Z")) is datetime


@pytest.mark.parametrize("freeze", ["freezegun.freeze_time", "time_machine.travel"])
def test_so_is_the_time_for_who_imports_it_in_a_frozen_test(freeze: str) -> None:
    code = f"""
import freezegun, time_machine
with {freeze}("2020-01-01"):
    from pytest_stepreplay import use_cassette
    from pytest_stepreplay.machine import clock
    print(clock.now().timestamp())
"""
    before = time.time()
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert before - 1 < float(out) < time.time() + 1


@pytest.mark.parametrize("freeze", FROZEN.values(), ids=FROZEN)
@pytest.mark.parametrize(
    "run",
    [lambda wait: asyncio.run(wait(0.002)), lambda wait: trio.run(wait, 0.002)],
    ids=["asyncio", "trio"],
)
def test_waiting_ends_where_the_loops_clock_stands_still(freeze: Freezing, run: Callable[..., None]) -> None:
    async def wait(duration: float) -> None:
        await waiting.sleep(duration)

    count = clock.seconds()
    with freeze(), mock.patch("asyncio.sleep", side_effect=AssertionError):
        run(wait)
    assert clock.seconds() - count >= 0.002
