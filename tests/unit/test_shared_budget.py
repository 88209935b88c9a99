"""A budget that several machines share is never exceeded, and what a killed one has reserved comes to an end."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from pytest_stepreplay.errors import SettingsError
from pytest_stepreplay.verify import shared_budget
from pytest_stepreplay.verify.budget import MINUTE, BudgetSpentError, Limits, Reservation
from pytest_stepreplay.verify.budget_stores import store_at
from pytest_stepreplay.verify.shared_budget import LEASE, BudgetStoreError, Document, SharedBudget

from .test_verify_folder import TestClock, most_in_a_minute


@dataclass
class MemoryStore:
    """A store whose readers meet: each sees what is there before others have replaced it."""

    clock: TestClock
    content: bytes = b""
    version: int = 0
    conflicts: int = 0
    is_away: bool = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self) -> Document:
        if self.is_away:
            raise BudgetStoreError("--budget: memory cannot be used: it is away")
        found = Document(self.content, self.version, self.clock.now())
        await asyncio.sleep(0)
        return found

    async def replace(self, document: Document, content: bytes) -> bool:
        if document.version != self.version:
            self.conflicts += 1
            return False
        self.content, self.version = content, self.version + 1
        return True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is told to wait for the store waits until the others have had their turn."""
    monkeypatch.setattr(shared_budget, "PUT_OFF", 0.0)


@dataclass
class Machine:
    """A run that sends from several workers, and may be killed."""

    budget: SharedBudget
    clock: TestClock
    costs: tuple[int, int]
    sent: list[tuple[float, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def send(self, count: int, chance: random.Random) -> None:
        most, least = self.costs
        for _ in range(count):
            try:
                reserved = await self.budget.reserve(most)
            except BudgetSpentError as error:
                self.refused.append(str(error))
                return
            cost = chance.randint(least, most)
            self.sent.append((self.clock.now(), cost))
            until = self.clock.now() + chance.uniform(1, 40)
            while self.clock.now() < until:
                await self.clock.wait(until - self.clock.now())
            await self.budget.settle(reserved, cost)


def run(clock: TestClock, work: Any) -> None:
    async def main() -> None:
        going = asyncio.ensure_future(clock.go_on())
        try:
            await work()
        finally:
            going.cancel()

    asyncio.run(main())


def test_many_machines_are_never_above_a_limit_together() -> None:
    clock, chance = TestClock(), random.Random(3)
    store = MemoryStore(clock)
    limits = Limits(calls_a_minute=20, tokens_a_minute=1_500, calls=90, tokens=6_000)
    machines = [Machine(SharedBudget(limits, clock, store, "memory"), clock, (100, 40)) for _ in range(4)]

    async def work() -> None:
        async with machines[0].budget, machines[1].budget, machines[2].budget, machines[3].budget:
            await asyncio.gather(*(each.send(8, chance) for each in machines for _ in range(4)))

    run(clock, work)
    sent = [each for machine in machines for each in machine.sent]
    arrivals = [at for at, _ in sent]
    assert 60 <= len(sent) <= 90
    assert most_in_a_minute(arrivals) <= 20
    assert max(sum(cost for at, cost in sent if start <= at < start + MINUTE) for start in arrivals) <= 1_500
    assert sum(cost for _, cost in sent) <= 6_000
    assert store.conflicts > 0
    tree = json.loads(store.content)
    assert (tree["calls"], tree["tokens"], tree["open"]) == (len(sent), sum(cost for _, cost in sent), {})
    assert {tuple(each.refused) for each in machines} != {()}
    assert sum(each.budget.calls for each in machines) == len(sent)


def test_a_lease_of_a_killed_machine_ends_and_counts_in_full() -> None:
    clock = TestClock()
    store = MemoryStore(clock)
    limits = Limits(calls_a_minute=1, calls=2, tokens=150)

    async def work() -> None:
        killed = SharedBudget(limits, clock, store, "memory")
        await killed.reserve(100)  # and nothing more is heard of it
        began = clock.now()
        async with SharedBudget(limits, clock, store, "memory") as other:
            # It may have been sent at any time before its lease was over, and may have cost all that it was let to.
            with pytest.raises(BudgetSpentError, match="51 tokens, and 50 of --max-tokens 150 are left"):
                await other.reserve(51)
            assert LEASE <= clock.now() - began < LEASE + 3
            await other.settle(await other.reserve(50), 40)
            assert LEASE + MINUTE <= clock.now() - began < LEASE + MINUTE + 3
            with pytest.raises(BudgetSpentError, match="--max-calls 2 is reached"):
                await other.reserve(1)
        # It was only held up: what it says now changes nothing.
        await killed.settle(Reservation(100, "gone"), 100)
        assert json.loads(store.content)["tokens"] == 140

    run(clock, work)


def test_a_lease_is_renewed_while_its_machine_lives() -> None:
    clock = TestClock()
    store = MemoryStore(clock)

    async def work() -> None:
        async with SharedBudget(Limits(calls=5), clock, store, "memory") as budget:
            reserved = await budget.reserve(10)
            until = clock.now() + 4 * LEASE
            while clock.now() < until:
                await clock.wait(until - clock.now())
            assert json.loads(store.content)["open"][reserved.name][0] > until
            await budget.give_back(reserved)
        assert json.loads(store.content)["calls"] == 0

    run(clock, work)


def test_who_is_ended_leaves_no_lease_and_without_the_store_nothing_is_sent() -> None:
    clock = TestClock()
    store = MemoryStore(clock)

    async def work() -> None:
        async with SharedBudget(Limits(calls=5), clock, store, "memory", before=[(1.0, 7)]) as budget:
            await budget.reserve(10)
            store.is_away = True
            with pytest.raises(BudgetSpentError, match="memory cannot be used: it is away"):
                await budget.reserve(10)
            store.is_away = False
            assert (budget.calls, budget.tokens) == (2, 7)
        tree = json.loads(store.content)
        assert (tree["open"], tree["calls"], tree["tokens"]) == ({}, 1, 10)

    run(clock, work)


@pytest.mark.parametrize(
    "content", [b"[]", b"hello", b'{"stepreplay_budget": 2}', b'{"a": 1}', b'{"open": 3}', b"{}"]
)
def test_what_is_no_budget_is_not_replaced(content: bytes) -> None:
    clock = TestClock()
    store = MemoryStore(clock, content)

    async def work() -> None:
        with pytest.raises(BudgetStoreError, match="memory holds something else than a budget"):
            async with SharedBudget(Limits(calls=5), clock, store, "memory"):
                pass

    run(clock, work)
    assert store.content == content


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://user:hush@host", "--budget 'redis://host' is not redis://HOST:PORT/DATABASE/NAME"),
        ("redis://user:hush@host/x/name", "is not redis://HOST:PORT/DATABASE/NAME"),
        ("redis://host:99999/0/name", "is not redis://HOST:PORT/DATABASE/NAME"),
        (
            "file:///tmp/x",
            "no budget can be shared in 'file:///tmp/x'. It can in redis://, rediss://, s3://, gs://",
        ),
        ("https://me:hush@host/x", "no budget can be shared in 'https://host/x'"),
        ("s3://bucket", "--budget 's3://bucket' names no object, as s3://BUCKET/NAME does"),
        ("redis://[host/0/name", "--budget: 'redis://[host/0/name' is no URL"),
    ],
)
def test_a_place_where_no_budget_can_be_is_told_without_its_password(url: str, told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        store_at(url)
    assert told in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_stepreplay.verify.budget_stores.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'pytest-stepreplay\[redis\]'"):
        store_at("redis://host/0/name")
    with pytest.raises(SettingsError, match=r"pip install 'pytest-stepreplay\[budget\]'"):
        store_at("s3://bucket/name")
