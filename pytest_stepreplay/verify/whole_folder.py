"""Asks all requests of a folder's cassettes again, without their tests, and judges the answers.

Recorded requests, a budget and a journal go in; several workers send within the budget, each call noted in the
journal before it leaves. Frozen `Verdict`s come out, as from a test in verify mode, and what drifted is left beside
the cassettes. What was not asked, and why, is told apart from what was answered: another run goes on with that.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from ..errors import CassetteError
from ..interception.sending import LONGEST_WAIT, RETRIED, TRIES, Unanswered, asked_wait
from ..value_classes import dataclass, field
from . import judging, left_pending, recorded_requests, sampling
from .budget import BudgetSpentError
from .journal import CallResult
from .kept_samples import keep_samples
from .recorded_requests import tokens_spent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ..interception.sending import Answered, Outgoing
    from ..models import Interaction
    from ..redaction.redactor import Redactor
    from ..settings import Settings
    from .budget import Leave, Pacer
    from .journal import Journal
    from .recorded_requests import AskedCassette, RecordedRequest, Sendable

IN_A_ROW: Final = 3
"""After so many requests that a host gave no answer to, each tried as often as it may be, no more are sent there."""
LONGEST_PAUSE: Final = 15 * LONGEST_WAIT
"""Seconds. No more is sent to a host that asks for a longer pause."""
_NOT_ASKED: Final = "not asked: "
_KEY_REFUSED: Final = frozenset({401, 402})
_UNDER_WAY: Final = (
    "it was under way when the run before was ended; it may have been answered, and is not sent twice"
)


class Sender(Protocol):
    """What sends a request, once."""

    async def send_once(self, outgoing: Outgoing, number: int = 1) -> Answered | Unanswered:
        """Returns the server's answer to one try, the how-manieth it is."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How far a run has come.

    Attributes:
        total: the requests of all cassettes.
        done: those that are answered, or never will be.
        calls: that were sent, by earlier runs that this one goes on with too.
        tokens: that they have cost.
        asked: how many this run itself has asked.
    """

    total: int
    done: int
    calls: int
    tokens: int
    asked: int


@dataclass(slots=True)
class _HostState:
    """What a host has said of the requests to it."""

    paused_until: float = 0.0
    in_a_row: int = 0
    closed: str = ""


@dataclass(eq=False)
class FolderRun:
    """One run over a folder.

    Attributes:
        requests: what is asked, in the order of the cassettes.
        sendable: makes requests that can be sent of them.
        sender: sends them.
        budget: says when.
        journal: keeps what was sent, and what came back.
        settings: the project's; what only the marker of a test says, no folder knows.
        redactor: takes secrets out of the answers.
        pacer: the clock.
        watch: is told how far the run has come.
        keeps_samples: ask as often as may be, unless something has changed: the answers are to be kept.
        left: why requests were not asked, by their keys.
    """

    requests: Sequence[RecordedRequest]
    sendable: Sendable
    sender: Sender
    budget: Leave
    journal: Journal
    settings: Settings
    redactor: Redactor
    pacer: Pacer
    watch: Callable[[Tally], None] = lambda _: None
    keeps_samples: bool = False
    left: dict[str, str] = field(default_factory=dict)
    _answers: dict[str, CallResult] = field(default_factory=dict)
    _hosts: dict[str, _HostState] = field(default_factory=dict)
    _samplings: dict[str, sampling.Sampling] = field(default_factory=dict)
    _asked: int = 0
    _total: int = 0

    def __post_init__(self) -> None:
        """Takes over what the journal knows."""
        keys = {each.key for each in self.requests}
        for key, past in self.journal.past.items():
            if recorded_requests.key_of_first(key) not in keys:
                continue
            if past.answer is None:
                self._answers[key] = CallResult(_UNDER_WAY)
            elif not past.answer.again:
                self._answers[key] = past.answer
        if self.settings.samples > 1:
            for each in self.requests:
                self._samplings[each.key] = sampling.Sampling(
                    self.settings, each.interaction, to_the_end=self.keeps_samples
                )

    @property
    def answered(self) -> int:
        """How many requests are answered, as often as is needed, or never will be."""
        left = {recorded_requests.key_of_first(key) for key in self.left}
        return sum(self._is_answered(each) and each.key not in left for each in self.requests)

    def _is_answered(self, each: RecordedRequest) -> bool:
        several = self._samplings.get(each.key)
        return each.key in self._answers and (several is None or several.is_over)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left that another run could ask."""
        return self.answered == len(self.requests)

    async def ask_all(self, at_once: int) -> None:
        """Asks what no run has asked yet.

        Args:
            at_once: how many requests are sent at the same time.

        Raises:
            OSError: the journal could not be written; nothing more was sent.
        """
        wanted = self._wanted()
        self._tell()
        try:
            while wanted:
                waiting = iter(wanted)
                async with asyncio.TaskGroup() as group:
                    for _ in range(at_once):
                        group.create_task(self._work(waiting))
                wanted = self._wanted()
        except* OSError as errors:
            raise errors.exceptions[0] from None

    def _wanted(self) -> list[RecordedRequest]:
        """Returns what is to be asked before the answers are looked at again; nothing where all is known."""
        wanted: list[RecordedRequest] = []
        self._total = 0
        for each in self.requests:
            several = self._samplings.get(each.key)
            asked = [each] if several is None else self._asked_again(each, several)
            self._total += len(asked) if several is None or several.is_over else self.settings.samples
            if not any(it.key in self.left for it in asked):
                wanted += [it for it in asked if it.key not in self._answers]
        return wanted

    def _asked_again(self, recorded: RecordedRequest, several: sampling.Sampling) -> list[RecordedRequest]:
        """Returns a request as often as it is to be asked up to the next look, once it knows all answers so far."""
        while True:
            asked = [recorded.again(number) for number in range(1, several.wanted + 1)]
            fresh = asked[several.asked :]
            if not fresh or any(each.key not in self._answers for each in fresh):
                return asked
            came = [self._answers[each.key] for each in fresh]
            several.take([each.response or each.reason for each in came])

    async def _work(self, waiting: Iterator[RecordedRequest]) -> None:
        for recorded in waiting:
            answer = await self._ask(recorded)
            if isinstance(answer, CallResult):
                self._answers[recorded.key] = answer
            else:
                self.left[recorded.key] = f"{_NOT_ASKED}{answer}"
            self._tell()

    def _tell(self) -> None:
        done = len(self._answers) + len(self.left)
        self.watch(Tally(self._total, done, self.budget.calls, self.budget.tokens, self._asked))

    async def _ask(self, recorded: RecordedRequest) -> CallResult | str:
        """Returns what came of a request, or why it was not asked."""
        outgoing = self.sendable.outgoing_of(recorded)
        if isinstance(outgoing, str):
            return outgoing if self.sendable.lacks_key(recorded) else CallResult(outgoing)
        host = self._hosts.setdefault(urlsplit(outgoing.url).netloc, _HostState())
        past = self.journal.past.get(recorded.key)
        tries = past.tries if past else 0
        while True:
            answer = await self._try(recorded, outgoing, host, tries + 1)
            if isinstance(answer, str):
                return answer
            tries += 1
            if not answer.again:
                return answer if answer.reached else answer.reason

    async def _try(
        self, recorded: RecordedRequest, outgoing: Outgoing, host: _HostState, number: int
    ) -> CallResult | str:
        """Sends a request once the host and the budget let it."""
        while True:
            while not host.closed and host.paused_until > self.pacer.now():
                await self.pacer.wait(host.paused_until - self.pacer.now())
            if host.closed:
                return host.closed
            try:
                reserved = await self.budget.reserve(recorded.most_tokens)
            except BudgetSpentError as spent:
                return str(spent)
            if not host.closed and host.paused_until <= self.pacer.now():
                break
            await self.budget.give_back(reserved)
        note = partial(self.journal.note_sent, recorded.key, at=self.pacer.now(), tokens=reserved.tokens)
        await self.pacer.apart(note)
        came = await self.sender.send_once(outgoing, number)
        answer = self._answer_of(recorded, came, host, number, urlsplit(outgoing.url).hostname or "")
        await self.pacer.apart(partial(self.journal.note_answer, recorded.key, answer, at=self.pacer.now()))
        if answer.reached:
            self._asked += 1
            await self.budget.settle(reserved, answer.tokens)
        else:
            await self.budget.give_back(reserved)
        return answer

    def _answer_of(
        self, recorded: RecordedRequest, came: Answered | Unanswered, host: _HostState, number: int, name: str
    ) -> CallResult:
        stored = recorded.interaction.response
        is_refused = isinstance(came, Unanswered) or (came.status >= judging.ERROR_STATUS > stored.status)
        if not is_refused:
            host.in_a_row = 0
            return self._answer_with(recorded.interaction, came)
        reason = str(judging.new_response(came, stored, self.settings, self.redactor))
        if isinstance(came, Unanswered) and number > 1:
            reason = f"{reason}, after {number} tries"
        if isinstance(came, Unanswered) and came.arrived:  # it may have been answered: it is not sent twice
            self._give_up(host, name, reason)
            return CallResult(reason, tokens=recorded.most_tokens)
        if not isinstance(came, Unanswered) and came.status not in RETRIED:
            if came.status in _KEY_REFUSED:
                host.closed = f"{name} has refused the key: {reason}"
            return CallResult(reason)
        wait = asked_wait(came.headers, self.pacer.now()) if not isinstance(came, Unanswered) else None
        wait = float(number) if wait is None else wait
        if wait > LONGEST_PAUSE:
            host.closed = f"{name} asks for a pause of {wait:,.0f} s"
            return CallResult(reason)
        host.paused_until = max(host.paused_until, self.pacer.now() + wait)
        reached = not isinstance(came, Unanswered)
        if number >= TRIES:
            self._give_up(host, name, reason)
            return CallResult(reason, reached=reached)
        return CallResult(reason, again=True, reached=reached)

    def _give_up(self, host: _HostState, name: str, reason: str) -> None:
        host.in_a_row += 1
        if host.in_a_row >= IN_A_ROW and not host.closed:
            host.closed = f"{name} has answered none of the last {IN_A_ROW} requests: {reason}"
            self.pacer.wake()

    def _answer_with(self, stored: Interaction, came: Answered | Unanswered) -> CallResult:
        new = judging.new_response(came, stored.response, self.settings, self.redactor)
        size = 0 if isinstance(came, Unanswered) else len(came.body)
        if isinstance(new, str):
            return CallResult(new, tokens=tokens_spent(stored, None, size))
        seconds = None if isinstance(came, Unanswered) else came.seconds
        return CallResult(response=new, tokens=tokens_spent(stored, new, size), seconds=seconds)

    def judge(self, *, known: bool) -> dict[AskedCassette, tuple[judging.Verdict, ...]]:
        """Returns the verdicts, by cassette.

        Args:
            known: on what was answered alone, not on what is left.
        """
        found: dict[AskedCassette, list[judging.Verdict]] = {}
        changed = {
            each: not each.is_as_it_was() for each in dict.fromkeys(it.cassette for it in self.requests)
        }
        for each in self.requests:
            verdicts = found.setdefault(each.cassette, [])
            answer = self._answers.get(each.key)
            if (answer is None or not self._is_answered(each)) and known:
                continue
            if each.key in self._samplings and not changed[each.cassette]:
                verdicts.append(self._judge_samples(each))
                continue
            if answer is None:
                reason = self.left.get(each.key, "not asked")
            elif changed[each.cassette]:
                reason = "its cassette has changed while it was asked again; run this again"
            elif answer.response is not None:
                told = self.settings, each.interaction, answer.response, each.position
                verdicts.append(judging.verdict_on(*told, seconds=answer.seconds))
                continue
            else:
                reason = answer.reason
            verdicts.append(judging.Verdict(each.position, "unverified", reason=reason))
        return {cassette: tuple(verdicts) for cassette, verdicts in found.items()}

    def _judge_samples(self, recorded: RecordedRequest) -> judging.Verdict:
        several = self._samplings[recorded.key]
        keys = [each.key for each in self._asked_again(recorded, several)]
        left = next((self.left[key] for key in keys if key in self.left), "")
        left = left.removeprefix(_NOT_ASKED) if several.asked else left
        came = [self._answers[key] for key in keys[several.asked :] if key in self._answers]
        several.end([each.response or each.reason for each in came])
        return several.verdict(recorded.position, left=left)


def keep_all_samples(
    judged: Mapping[AskedCassette, tuple[judging.Verdict, ...]],
) -> tuple[dict[AskedCassette, tuple[judging.Verdict, ...]], list[str]]:
    """Stores the answers of today as samples in the cassettes, where nothing has changed.

    Returns:
        the verdicts by cassette, as these are now, and why some could not be written.
    """
    kept: dict[AskedCassette, tuple[judging.Verdict, ...]] = {}
    problems = []
    for cassette, verdicts in judged.items():
        try:
            kept[keep_samples(cassette, verdicts)] = verdicts
        except CassetteError as error:
            problems.append(str(error))
            kept[cassette] = verdicts
    return kept, problems


def leave_all_pending(judged: Iterable[tuple[AskedCassette, tuple[judging.Verdict, ...]]]) -> list[str]:
    """Leaves what drifted beside the cassettes; returns why that could not be done, where it could not."""
    problems = []
    for cassette, verdicts in judged:
        try:
            left_pending.leave_pending(cassette.path, cassette.interactions, verdicts, test=cassette.test)
        except CassetteError as error:
            problems.append(str(error))
    return problems
