"""A whole folder is asked again: within its limits whatever the workers do, and each call once whenever it is killed.

The clock is one of the tests' own, in which waiting takes no time, and the server is a class.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_stepreplay.errors import SettingsError, StepReplayError
from pytest_stepreplay.interception.sending import Answered, Outgoing, Unanswered, asked_wait
from pytest_stepreplay.machine import disk
from pytest_stepreplay.models import Cassette, Interaction, Request, Response
from pytest_stepreplay.redaction.redactor import Redactor
from pytest_stepreplay.redaction.shapes import PLACEHOLDER
from pytest_stepreplay.settings import VERIFY, Settings
from pytest_stepreplay.store.cassettes import write_cassette
from pytest_stepreplay.verify import whole_folder
from pytest_stepreplay.verify.budget import MINUTE, Budget, Limits
from pytest_stepreplay.verify.journal import open_journal
from pytest_stepreplay.verify.recorded_requests import (
    AskedCassette,
    Sendable,
    read_asked,
    read_rebased,
    requests_of,
)
from tests.cli.conftest import URL, chat, completion, user

ENVIRONMENT = {"STEP_API_KEY": "a key of StepFun"}


class TestClock:
    """A clock that stands still until everybody waits, and then goes on to the next thing that happens."""

    __test__ = False

    def __init__(self) -> None:
        self._now = 1_000_000.0
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._busy = 0

    def now(self) -> float:
        return self._now

    async def wait(self, duration: float | None) -> None:
        until = float("inf") if duration is None else self._now + duration
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((until, next(self._numbers), future))
        await future

    def wake(self) -> None:
        for _, _, future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def apart(self, work: Callable[[], None]) -> None:
        self._busy += 1
        try:
            await asyncio.to_thread(work)
        finally:
            self._busy -= 1

    async def go_on(self) -> None:
        """Runs the clock for as long as there is something to wait for."""
        while True:
            quiet = 0
            while quiet < 20:  # everybody who can go on does, also those whom a thread has just let go
                await asyncio.sleep(0)
                quiet = 0 if self._busy else quiet + 1
            self._waiting = [each for each in self._waiting if not each[2].done()]
            if self._waiting:
                until, _, future = min(self._waiting, key=lambda each: each[:2])
                if until < float("inf"):
                    self._now = until
                    future.set_result(None)


@dataclass
class Server:
    """An API that counts."""

    clock: TestClock
    latency: Callable[[], tuple[float, float]] = lambda: (0.0, 1.0)
    answer: Callable[[str, int], Answered | Unanswered] | None = None
    tokens: int = 85
    arrivals: list[float] = field(default_factory=list)
    times: Counter[str] = field(default_factory=Counter)
    headers: list[dict[str, str]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def send_once(self, outgoing: Outgoing, number: int = 1) -> Answered | Unanswered:
        there, back = self.latency()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if there:
            await self._pass(there)
        self.arrivals.append(self.clock.now())
        said = str(json.loads(outgoing.body)["messages"][-1]["content"])
        self.times[said] += 1
        self.headers.append(dict(outgoing.headers))
        await self._pass(back)
        self.under_way -= 1
        if self.answer is not None:
            return self.answer(said, self.times[said])
        return answered(200, completion(), tries=number)

    async def _pass(self, duration: float) -> None:
        until = self.clock.now() + duration
        while self.clock.now() < until:
            await self.clock.wait(until - self.clock.now())


def answered(status: int, body: Any, tries: int = 1, **headers: str) -> Answered:
    told = {"content-type": "application/json"} | {name.replace("_", "-"): it for name, it in headers.items()}
    return Answered(status, tuple(told.items()), json.dumps(body).encode(), tries)


def cassette_of(folder: Path, *interactions: Interaction, name: str = "a.yaml") -> AskedCassette:
    path = folder / name
    write_cassette(path, Cassette(test="test_x.py::test_x", interactions=interactions))
    return read_asked(path, name, Settings(mode=VERIFY))


def many(count: int, **parameters: Any) -> list[Interaction]:
    return [chat(user(f"Question {number}"), **parameters) for number in range(count)]


@contextmanager
def run_over(
    folder: Path,
    cassettes: list[AskedCassette],
    server: Server,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    *,
    environment: dict[str, str] = ENVIRONMENT,
    settings: Settings | None = None,
    fresh: bool = False,
) -> Iterator[whole_folder.FolderRun]:
    settings = settings or Settings(mode=VERIFY)
    with open_journal(folder / "journal.jsonl", root=folder, what="all", fresh=fresh) as journal:
        yield whole_folder.FolderRun(
            [*requests_of(cassettes)],
            Sendable(settings, environment),
            server,
            Budget(limits, server.clock, journal.calls(server.clock.now())),
            journal,
            settings,
            Redactor(),
            server.clock,
        )


def ask_all(run: whole_folder.FolderRun, at_once: int = 4) -> None:
    async def main() -> None:
        assert isinstance(run.pacer, TestClock)
        going = asyncio.ensure_future(run.pacer.go_on())
        try:
            await run.ask_all(at_once)
        finally:
            going.cancel()

    asyncio.run(main())


def reasons(run: whole_folder.FolderRun) -> list[str]:
    return [each.reason or each.status for verdicts in run.judge(known=False).values() for each in verdicts]


def most_in_a_minute(arrivals: list[float]) -> int:
    return max(sum(start <= other < start + MINUTE for other in arrivals) for start in arrivals)


def test_many_workers_are_never_above_a_limit(tmp_path: Path) -> None:
    chance = random.Random(7)
    clock = TestClock()
    server = Server(clock, latency=lambda: (chance.uniform(0, 20), chance.uniform(0, 40)))
    asked = cassette_of(tmp_path, *many(70))
    limits = Limits(calls_a_minute=30, tokens_a_minute=2_000, calls=60)
    with run_over(tmp_path, [asked], server, limits) as run:
        ask_all(run, at_once=64)
        assert len(server.arrivals) == run.budget.calls == 60
        assert most_in_a_minute(server.arrivals) <= 2_000 // 85
        assert set(server.times.values()) == {1}
        assert reasons(run).count("not asked: --max-calls 60 is reached") == 10
        assert not run.is_done
    # With only calls counted, the rate is used as far as it goes.
    fast = Server(TestClock(), latency=lambda: (0.1, 0.4))
    with run_over(tmp_path, [asked], fast, Limits(calls_a_minute=30), fresh=True) as run:
        ask_all(run, at_once=64)
        assert most_in_a_minute(fast.arrivals) == 30
        assert fast.clock.now() - 1_000_000 < (70 / 30 + 1) * (MINUTE + 1)


def test_a_budget_of_tokens_is_reserved_before_it_is_spent(tmp_path: Path) -> None:
    limited = cassette_of(tmp_path, *many(40, max_tokens=417))  # 83 that are asked, and so 500 at most
    server = Server(TestClock(), answer=lambda said, _: answered(200, costing(500)))
    with run_over(tmp_path, [limited], server, Limits(tokens=7_800)) as run:
        ask_all(run, at_once=16)
        assert (len(server.arrivals), run.budget.tokens) == (15, 7_500)
        assert {each for each in reasons(run) if each.startswith("not asked")} == {
            "not asked: it may cost 500 tokens, and 300 of --max-tokens 7,800 are left"
        }
    with run_over(tmp_path, [limited], server, Limits(tokens_a_minute=499), fresh=True) as run:
        ask_all(run)
        assert {*reasons(run)} == {"not asked: it may cost 500 tokens, more than --tpm 499"}
        assert len(server.arrivals) == 15
    # An answer that costs less than it may leaves room for more.
    cheap = Server(TestClock())
    with run_over(tmp_path, [limited], cheap, Limits(tokens=2_000), fresh=True) as run:
        ask_all(run, at_once=16)
        assert run.budget.tokens == 85 * len(cheap.arrivals) <= 2_000
        assert len(cheap.arrivals) == 18


def costing(tokens: int) -> dict[str, Any]:
    usage = {"prompt_tokens": 83, "completion_tokens": tokens - 83, "total_tokens": tokens}
    return completion() | {"usage": usage}


class KilledError(BaseException):
    """The process ends here."""


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, chance: random.Random, steps: int) -> Iterator[None]:
    """Ends the process after so many steps that reach the disk, and swallows that."""
    real_write, real_flush = disk.write, disk.flush

    def one_step() -> None:
        nonlocal steps
        steps -= 1
        if steps < 0:
            raise KilledError

    def write(descriptor: int, content: Any) -> None:
        try:
            one_step()
        except KilledError:
            real_write(descriptor, content[: chance.randrange(len(content))])  # the end of a line is missing
            raise
        real_write(descriptor, content)

    def flush(descriptor: int) -> None:
        one_step()
        real_flush(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(disk, "write", write)
        patched.setattr(disk, "flush", flush)
        try:
            yield
        except BaseExceptionGroup as killed:
            assert killed.subgroup(KilledError)
        except KilledError:
            pass


@pytest.mark.parametrize("seed", range(12))
def test_a_run_that_is_killed_goes_on_and_sends_no_call_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    asked = cassette_of(tmp_path, *many(12))
    server = Server(TestClock(), latency=lambda: (0.0, chance.uniform(0.5, 4)))
    limits = Limits(calls_a_minute=6, calls=12)
    with (
        dying(monkeypatch, chance, chance.randrange(40)),
        run_over(tmp_path, [asked], server, limits) as run,
    ):
        ask_all(run)
    with run_over(tmp_path, [asked], server, limits) as run:
        ask_all(run)
        told = Counter(reasons(run))
    assert set(server.times.values()) == {1}
    assert most_in_a_minute(server.arrivals) <= 6
    never_answered = told.pop(
        "it was under way when the run before was ended; it may have been answered, and is not sent twice", 0
    )
    assert never_answered <= 4
    assert told == {"same": 12 - never_answered}
    assert run.is_done


@pytest.mark.parametrize("seed", range(4))
def test_nor_does_it_send_a_sample_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    asked, settings = cassette_of(tmp_path, *many(2)), Settings(mode=VERIFY, samples=12)
    server = Server(TestClock(), latency=lambda: (0.0, chance.uniform(0.5, 4)))
    limits = Limits(calls_a_minute=6, calls=24)
    with (
        dying(monkeypatch, chance, chance.randrange(5, 50)),
        run_over(tmp_path, [asked], server, limits, settings=settings) as run,
    ):
        ask_all(run)
    with run_over(tmp_path, [asked], server, limits, settings=settings) as run:
        ask_all(run)
        (verdicts,) = run.judge(known=False).values()
    assert run.is_done
    assert most_in_a_minute(server.arrivals) <= 6
    for verdict, said in zip(verdicts, ("Question 0", "Question 1"), strict=True):
        sampled = verdict.sampled
        assert sampled is not None
        assert server.times[said] <= sampled.asked <= 12


def test_what_a_run_knows_is_judged_by_the_cassette_as_it_is_now(tmp_path: Path) -> None:
    one, other = many(2)
    server = Server(TestClock())
    with run_over(tmp_path, [cassette_of(tmp_path, one)], server) as run:
        ask_all(run)
    bye = replace(one, response=Response(status=200, json=completion("Bye.")))
    changed = cassette_of(tmp_path, bye, other)
    with run_over(tmp_path, [changed], server) as run:
        ask_all(run)
        (verdicts,) = run.judge(known=False).values()
    assert [each.status for each in verdicts] == ["drifted", "same"]
    assert set(server.times.values()) == {1}
    write_cassette(changed.path, Cassette(interactions=(one,)))
    assert reasons(run) == ["its cassette has changed while it was asked again; run this again"] * 2


def open_briefly(path: Path) -> None:
    with open_journal(path, root=path.parent, what="all", fresh=False):
        pass


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b'{"stepreplay_journal": 1, "root": "/elsewhere", "cassettes": "all"}\n',
            "of a run in /elsewhere, for all",
        ),
        (b'{"stepreplay_journal": 2, "root": "/", "cassettes": "all"}\n', "is no journal of this version"),
        (b"[]\n", "is no journal of this version"),
    ],
)
def test_the_journal_of_another_folder_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    again = f"{told}.*\nAdd --fresh to begin anew"
    with pytest.raises(StepReplayError, match=again):
        open_briefly(path)
    assert path.read_bytes() == content
    with open_journal(path, root=tmp_path, what="all", fresh=True) as journal:
        assert not journal.past
        with pytest.raises(StepReplayError, match="another run of stepreplay verify is at work on all"):
            open_briefly(path)
    head = path.read_bytes()
    path.write_bytes(head + b'{"answered": "nothing"}\n')
    with pytest.raises(StepReplayError, match="is broken"):
        open_briefly(path)


def test_answers_come_back_from_the_journal_as_they_were(tmp_path: Path) -> None:
    key = "sk-" + "a1B2" * 12
    secret = chat(user("Question 0"), response=Response(status=200, text="plain"))
    bodies = [b"plain", b"\xff\x00", b'{"a": 1.0}', f"key {key}".encode()]
    said = iter(bodies)
    server = Server(
        TestClock(), answer=lambda *_: Answered(200, (("content-type", "text/plain"),), next(said), 1)
    )
    asked = cassette_of(tmp_path, *(replace(secret, request=each.request) for each in many(4)))
    with run_over(tmp_path, [asked], server) as run:
        ask_all(run, at_once=1)
        first = run.judge(known=False)
    assert key.encode() not in (tmp_path / "journal.jsonl").read_bytes()
    with run_over(tmp_path, [asked], server) as run:
        ask_all(run)
        assert run.judge(known=False) == first
    assert len(server.arrivals) == 4


def busy(said: str, times: int) -> Answered:
    return answered(429, {}, tries=times, retry_after="17") if times < 3 else answered(200, completion())


def test_a_host_that_is_busy_is_left_alone_as_long_as_it_asks(tmp_path: Path) -> None:
    server = Server(TestClock(), answer=busy)
    with run_over(tmp_path, [cassette_of(tmp_path, *many(3))], server, Limits(calls=20)) as run:
        ask_all(run)
        assert reasons(run) == ["same"] * 3
        assert run.budget.calls == 9
    assert [round(each - server.arrivals[0]) for each in server.arrivals] == [0] * 3 + [18] * 3 + [36] * 3


@pytest.mark.parametrize(
    ("answer", "sent", "told"),
    [
        (
            lambda *_: answered(429, {}, tries=3),
            9,
            "api.stepfun.com has answered none of the last 3 requests",
        ),
        (lambda *_: answered(401, {}), 1, "api.stepfun.com has refused the key: the server answered 401"),
        (lambda *_: answered(429, {}, retry_after="900"), 1, "api.stepfun.com asks for a pause of 900 s"),
        (
            lambda *_: Unanswered("no answer within 60 s"),
            3,
            "none of the last 3 requests: no answer within 60 s",
        ),
        (lambda *_: Unanswered("no answer (refused)", arrived=False), 9, "no answer (refused)"),
    ],
)
def test_a_host_that_answers_nothing_is_given_up(
    tmp_path: Path, answer: Callable[[str, int], Answered | Unanswered], sent: int, told: str
) -> None:
    server = Server(TestClock(), answer=answer)
    with run_over(tmp_path, [cassette_of(tmp_path, *many(30))], server) as run:
        ask_all(run, at_once=1)
        assert len(server.arrivals) == sent
        assert told in reasons(run)[-1]
        assert not run.is_done


def test_a_connection_that_is_refused_is_no_call(tmp_path: Path) -> None:
    """It has reached nobody: it takes no budget, and what was not asked is asked by the next run."""
    asked = cassette_of(tmp_path, *many(4))
    refused = Unanswered("no answer (refused)", arrived=False)
    down = Server(TestClock(), answer=lambda *_: refused)
    with run_over(tmp_path, [asked], down, Limits(calls=4, tokens=2_000)) as run:
        ask_all(run, at_once=1)
        assert (run.budget.calls, run.budget.tokens, run.answered) == (0, 0, 0)
        assert set(reasons(run)) == {
            "not asked: no answer (refused), after 3 tries",
            "not asked: api.stepfun.com has answered none of the last 3 requests: "
            "no answer (refused), after 3 tries",
        }
    flaky = Server(
        TestClock(),
        answer=lambda _, times: refused if times < 3 else answered(200, completion(), tries=times),
    )
    with run_over(tmp_path, [asked], flaky, Limits(calls=4)) as run:
        assert run.budget.calls == 0
        ask_all(run)
        assert (run.budget.calls, run.is_done) == (4, True)
        assert reasons(run) == ["same"] * 4


def test_each_host_gets_its_own_key_and_what_cannot_be_sent_is_told(tmp_path: Path) -> None:
    def to(url: str, **more: Any) -> Interaction:
        return chat(user("Hello"), url=url, **more)

    asked = cassette_of(
        tmp_path,
        to(URL),
        to("https://api.anthropic.com/v1/messages"),
        to(
            f"https://generativelanguage.googleapis.com/v1/models/g:generateContent?alt=sse&key={PLACEHOLDER}"
        ),
        to("http://127.0.0.1:1234/v1/chat/completions"),
        to("https://gateway.example.com/v1/chat/completions"),
        to("https://api.openai.com/v1/chat/completions"),
        to("https://other.example.com/v1/chat/completions"),
        to(URL, api_key=PLACEHOLDER),
    )
    environment = {
        "STEP_API_KEY": "one",
        "ANTHROPIC_API_KEY": "two",
        "GEMINI_API_KEY": "three",
        "MINE": "four",
    }
    settings = Settings(mode=VERIFY, host_keys=(("gateway.example.com", "MINE"),))
    sendable = Sendable(settings, environment, read_rebased(["http://127.0.0.1:1234=http://127.0.0.1:99/x"]))
    found = [sendable.outgoing_of(each) for each in requests_of([asked])]
    sent = [(each.url, dict(each.headers)) for each in found if isinstance(each, Outgoing)]
    kind = {"content-type": "application/json"}
    assert sent == [
        (URL, kind | {"authorization": "Bearer one"}),
        (
            "https://api.anthropic.com/v1/messages",
            kind | {"x-api-key": "two", "anthropic-version": "2023-06-01"},
        ),
        (
            "https://generativelanguage.googleapis.com/v1/models/g:generateContent?alt=sse",
            kind | {"x-goog-api-key": "three"},
        ),
        ("http://127.0.0.1:99/x/v1/chat/completions", kind | {"authorization": "Bearer one"}),
        ("https://gateway.example.com/v1/chat/completions", kind | {"authorization": "Bearer four"}),
    ]
    assert [each for each in found if isinstance(each, str)] == [
        "the API key of api.openai.com is not set: set OPENAI_API_KEY",
        "which variable holds the API key of other.example.com is not known: add the line "
        "'other.example.com: VARIABLE' to stepreplay_host_keys, or 'other.example.com: none'",
        "its body held a secret, which is not stored: only its test can send it",
    ]
    with pytest.raises(SettingsError, match="is not FROM=TO"):
        read_rebased(["http://127.0.0.1"])


def test_half_of_the_keys_missing_leaves_the_other_half_to_be_asked_later(tmp_path: Path) -> None:
    both = [*many(2), chat(user("To another"), url="https://api.openai.com/v1/chat/completions")]
    asked, server = cassette_of(tmp_path, *both), Server(TestClock())
    with run_over(tmp_path, [asked], server) as run:
        ask_all(run)
        assert reasons(run)[2] == "not asked: the API key of api.openai.com is not set: set OPENAI_API_KEY"
        assert (run.is_done, len(server.arrivals)) == (False, 2)
    with run_over(tmp_path, [asked], server, environment=ENVIRONMENT | {"OPENAI_API_KEY": "k"}) as run:
        ask_all(run)
        assert (run.is_done, len(server.arrivals)) == (True, 3)


def test_a_body_has_the_type_that_a_client_gave_it(tmp_path: Path) -> None:
    bodies: list[dict[str, Any]] = [
        {"text": "a=1&b=%20"},
        {"text": "Hello, world."},
        {"base64": "/wA="},
        {
            "text": '--stepreplay-boundary\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--stepreplay-boundary--\r\n'
        },
    ]
    asked = cassette_of(
        tmp_path,
        *(replace(chat(), request=Request(method="POST", url=URL, **body)) for body in bodies),
        replace(chat(), request=Request(method="GET", url=URL)),
    )
    found = [Sendable(Settings(), ENVIRONMENT).outgoing_of(each) for each in requests_of([asked])]
    assert [each.headers.get("content-type") for each in found if isinstance(each, Outgoing)] == [
        "application/x-www-form-urlencoded",
        "text/plain; charset=utf-8",
        "application/octet-stream",
        "multipart/form-data; boundary=stepreplay-boundary",
        None,
    ]


def test_a_server_names_a_pause_or_a_time() -> None:
    now = 1_709_893_411.0
    assert asked_wait([("Retry-After", "1.5")], now) == 1.5
    assert asked_wait([("retry-after", "Fri, 08 Mar 2024 10:24:31 GMT")], now) == 60
    assert asked_wait([("retry-after", "Fri, 08 Mar 2024 10:20:00 GMT")], now) == 0
    assert asked_wait([("retry-after", "soon")], now) is None
    assert asked_wait([], now) is None


def test_the_journal_is_on_the_disk_before_a_call_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed = tmp_path / "journal.jsonl", b""
    real, seen = disk.flush, list[int]()

    def flush(descriptor: int) -> None:
        nonlocal flushed
        real(descriptor)
        flushed = path.read_bytes()

    def answer(said: str, times: int) -> Answered:
        seen.append(flushed.count(b'"sent"'))
        return answered(200, completion())

    monkeypatch.setattr(disk, "flush", flush)
    with run_over(tmp_path, [cassette_of(tmp_path, *many(3))], Server(TestClock(), answer=answer)) as run:
        ask_all(run, at_once=1)
    assert seen == [1, 2, 3]
