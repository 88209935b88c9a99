"""One open cassette, as its test and the interception see it.

A `Session` is the only mutable state. The interception asks it for answers and gives it responses; closing it writes
what is to be written and returns a frozen `Outcome`.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import StepReplayError, display_path
from ..housekeeping import ages
from ..interception import pauses
from ..mutation import faulty_answers
from ..redaction import wall
from ..redaction.redactor import Redactor
from ..redaction.variables import environment_secrets
from ..remote import lock_file
from ..settings import OnMiss, Writes
from ..settings.hosts import Hosts
from ..store import files, paths
from ..store import secrets as secret_checks
from ..verify import drift_policy, judging, left_pending
from ..wire import last_body
from . import faulting, saving, threads
from .answering import Answers, read_own
from .counting import count
from .exchange import Exchange, Filters, Unsent, as_it_is
from .forks import Forks
from .guarding import Guard
from .history import History
from .outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ..drift.changes import Drift
    from ..errors import TestOutcomeError
    from ..models import Interaction, Request, Response
    from ..redaction.wall import Wall
    from ..settings import Settings
    from ..settings.faults import Fault
    from ..verify.judging import Verdict
    from ..wire.last_body import LastBody
    from .faulting import RequestFaults
    from .saving import Work


class Session:
    """A test's open cassette, as the `stepreplay` fixture gives it to the test."""

    def __init__(
        self,
        settings: Settings,
        path: Path,
        *,
        test: str = "",
        shared: bool = False,
        root: Path | None = None,
        around: Session | None = None,
        lenders: tuple[Path, ...] = (),
        filters: Filters | None = None,
        owner: str = "",
        asks_alone: bool = False,
        setup: Session | None = None,
        typed: str = "",
        served: str = "",
    ) -> None:
        """Opens nothing yet; the cassette is read when it is first needed.

        Args:
            settings: the test's.
            path: the cassette file; it need not exist.
            test: the id of the test, stored in the cassette and named in messages.
            shared: other tests use this cassette too, so what this one did not play is kept.
            root: the folder of the suite's cassettes, searched when a request is not recorded here.
            around: the session of the test that this one was opened in.
            lenders: more cassettes whose interactions may answer, after its own. They are never written.
            filters: what the project changes before a request is matched or recorded.
            owner: the id of the test that a new cassette is recorded by, where it is not this session's own.
            asks_alone: only what is shared by name, as a fixture's setup and teardown, asks for what is in it.
            typed: what a person types to run the test; empty for all that the run was told to run.
            served: the command that serves the cassette, where it is opened by that.
            setup: for the teardown of a fixture that asks alone, the session of its setup.
        """
        self.settings = settings
        self.path = path
        self.test = test
        self.around = around
        self.filters = filters or Filters()
        self.redactor = Redactor(fields=settings.redact_fields, values=settings.secrets)
        self.stale = ""
        self._shared = shared
        self._owner = owner or test
        self._typed = typed
        self._served = served
        self._asks_alone = asks_alone
        self._setup = setup if asks_alone else None
        self._root = root
        self._loaded = False
        self._forks = Forks()
        self._answers = Answers(
            settings,
            path,
            test=test,
            typed=typed,
            served=served,
            shared=shared,
            root=root,
            lenders=lenders,
            filters=filters,
            redactor=self.redactor,
        )
        self._history = History(
            settings,
            path,
            name=self._name,
            shared=shared,
            filters=self.filters,
            redactor=self.redactor,
            answers=self._answers,
            forks=self._forks,
        )
        self._verdicts: tuple[Verdict, ...] | None = None
        self._guard = Guard()
        self._saved: saving.Saved | None = None
        self._saving = threading.Lock()
        self._ignored_hosts = Hosts.read(settings.ignore_hosts)
        self._altered: Mapping[int, Response] = {}
        self._faults = faulting.RequestFaults(settings.fault) if settings.fault else None

    @property
    def mode(self) -> str:
        """What this run does with requests: replay, record, rewrite, verify, live or mutate."""
        return self.settings.mode.name

    @property
    def closed(self) -> bool:
        """Whether the test has ended: nothing is answered or recorded any more."""
        return self._history.closed

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """The interactions that the cassette would hold if it were written now."""
        with self._forks.lock:
            work = self._work()
            return work.merged(work.saved.cassette.interactions)

    @property
    def played(self) -> tuple[Interaction, ...]:
        """The recorded interactions that answered a request, in the order of the requests."""
        return self._history.played

    @property
    def total(self) -> int:
        """How many interactions the cassette held when it was opened."""
        return len(self._answers.own)

    @property
    def answering(self) -> tuple[Interaction, ...]:
        """The recorded interactions that may answer: those of the cassette, then those that others lend."""
        return self._answers.every

    @property
    def plays(self) -> dict[int, int]:
        """How often each recorded interaction has answered, by its position from 0."""
        with self._forks.lock:
            return dict(self._answers.played)

    @property
    def recorded(self) -> tuple[Interaction, ...]:
        """The interactions recorded since the cassette was opened, in the order of the requests."""
        return self._history.recorded

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """How today's answers differ from the stored ones, once the test has ended; waits for the answers."""
        if not self.settings.mode.verifies:
            return ()
        if self._verdicts is None:
            self._verdicts = self._history.verifier.verdicts()
        return self._verdicts

    @property
    def drift(self) -> tuple[Drift, ...]:
        """The drift of each interaction that was verified, in the order of the cassette."""
        return tuple(verdict.drift for verdict in self.verdicts if verdict.drift is not None)

    @property
    def unsent(self) -> tuple[Unsent, ...]:
        """The requests that got no answer, and why."""
        return self._history.unsent

    @property
    def misses(self) -> tuple[TestOutcomeError, ...]:
        """One error for each different request, and each end of a stream, that was not recorded."""
        return self._history.misses

    @property
    def failures(self) -> tuple[TestOutcomeError, ...]:
        """The misses, and one error for each different problem that stopped a request."""
        return self._history.failures

    @property
    def mocked(self) -> int:
        """How many requests a mock has answered; they are neither recorded nor answered from the cassette."""
        return self._history.mocked

    @property
    def intercepted(self) -> int:
        """How many requests were intercepted, whatever happened to them."""
        return self._history.intercepted

    def __repr__(self) -> str:
        counts = f"{len(self.played)} played, {len(self.recorded)} recorded"
        return f"<stepreplay {self.mode} {display_path(self.path)}: {counts}>"

    @property
    def sends_nothing(self) -> bool:
        """Whether the cassette alone answers."""
        return self.settings.mode.replays and not self.settings.ignore_hosts

    @cached_property
    def last_body(self) -> LastBody:
        """What a long request may go on from."""
        return last_body.LastBody()

    def load(self) -> None:
        """Reads the cassette, once.

        Raises:
            NotPulledError: it is kept outside of git, and is not here yet.
            CassetteReadError: it exists but cannot be read; it stays as it is.
            CassetteWriteError: it cannot be recorded into, or its folder cannot be written.
            CassetteError: a symbolic link leads out of the folder of the cassettes.
            SettingsError: what several answers are judged by is not installed.
        """
        if self._loaded:
            return
        if self.settings.samples > 1 and self.settings.mode.verifies:
            judging.check_samples()
        if self._root is not None:
            paths.check_inside(self.path, self._root)
        if self.settings.mode.records:
            files.check_writable(self.path)
        if self.settings.mode.reads and files.exists(self.path):
            loaded = read_own(self.path, self.settings, self.filters.parse)
            if self.settings.max_age is not None:
                self.settings, self.stale = ages.judge_age(
                    loaded.cassette, self.settings, self.path, self._typed
                )
                self._history.settings = self.settings
            self._answers.hold(loaded, self.settings.mode)
        elif self.settings.store is not None and self.settings.mode.answers and self._root is not None:
            lock_file.check_pulled(self.path, self._root)
        self._answers.borrow(self.settings.mode)
        self._loaded = True

    def rewind(self) -> None:
        """Makes every played interaction available again."""
        with self._forks.lock:
            self._answers.rewind()

    def passes_by(self, host: str) -> bool:
        """Whether requests to this host are neither recorded nor replayed."""
        return self._ignored_hosts.include(host)

    def keep_headers(self) -> tuple[str, ...]:
        """The response headers to store besides the usual ones."""
        return self.settings.keep_headers

    def next_sent_so(self, method: str, url: str, body: bytes) -> Request | None:
        """Returns the next recorded request where a client sends it to the letter, so that it need not be read."""
        if self.filters.request is not as_it_is or not self.settings.mode.answers:
            return None
        with self._forks.lock:
            return self._answers.next_sent_so(method, url, body)

    def begin(self, request: Request) -> Exchange:
        """Returns the exchange for a request: with the stored response, or without one where it must be sent.

        Raises:
            UnrecordedRequestError: in replay and verify, if nothing recorded answers it.
            RequestStoppedError: if the cassette cannot be used, or the test has ended.
        """
        seen = self.filters.request(request)
        if seen is None:
            return Exchange(self._history, request, passes_by=True)
        with self._forks.lock:
            if self._history.closed:
                raise self._history.too_late(self.redactor.redact_request(seen))
            try:
                self.load()
            except StepReplayError as error:
                raise self._history.stop(str(error)) from None
            mode = self.settings.mode
            position, request = None, seen
            if mode.answers and not self._answers.missed_some:
                position = self._answers.next_same(seen)
            if position is None:  # else nothing is in it that is not in the cassette
                request = self.redactor.redact_request(seen)
            else:
                request = self._answers.at(position).request
                if "last_body" in self.__dict__:
                    self.last_body.replace(seen.json, request.json)
            exchange = Exchange(self._history, request)
            if mode.answers:
                if position is None:
                    position = self._answers.find(request)
                if position is not None:
                    fault = self._faults.take() if self._faults is not None else None
                    if fault is not None:
                        self._answer_faultily(exchange, position, fault)
                    else:
                        self._answer(exchange, position)
                elif mode.on_miss == OnMiss.FAIL:
                    raise self._history.miss(self._answers.key(request), request)
                elif mode.on_miss == OnMiss.RECORD:
                    self._answers.note_miss(request)
            self._history.exchanges.append(exchange)
        return exchange

    def _answer(self, exchange: Exchange, position: int) -> None:
        exchange.position = position
        exchange.answer = self._answers.play(position)
        if self._altered:
            exchange.served = self._altered.get(position)
        if self._faults is not None:
            self._faults.note(position, str(exchange.answer.response.status))
        self._history.tell("played", position)

    def _answer_faultily(self, exchange: Exchange, position: int, fault: Fault) -> None:
        """Answers a request with what has gone wrong.

        What comes in place of an answer leaves it for the next try, and so does an answer that came broken.
        """
        try:
            faulty = faulty_answers.make_faulty(fault, self._answers.at(position))
        except faulty_answers.CannotFailSoError as why:
            raise self._history.stop(
                f"the fault {fault} does not apply to the answer of interaction {position + 1} of "
                f"{display_path(self.path)}: {why}"
            ) from None
        exchange.served = faulty.response
        if faulty.is_answer:
            exchange.position = position
            exchange.answer = self._answers.play(position)
            self._answers.give_again(position)
            self._history.tell("played", position)
        else:
            self._history.tell("sent", None)
        told = faulty.lost or (
            f"{faulty.response.status} ({fault})" if faulty.is_answer else str(faulty.response.status)
        )
        self.faults.note(position, told)
        if faulty.lost is not None or faulty.pauses:
            exchange.disturbance = pauses.Disturbance(faulty.lost, faulty.pauses, self.faults.clock)

    @property
    def faults(self) -> RequestFaults:
        """What goes wrong with the requests."""
        if self._faults is None:
            self._faults = faulting.RequestFaults()
        return self._faults

    def why_no_fault(self) -> str:
        """Returns why the first fault that is set applies to no recorded answer; empty where it may to one."""
        why = ""
        for each in self._answers.every:
            try:
                faulty_answers.make_faulty(self.settings.fault[0], each)
            except faulty_answers.CannotFailSoError as error:
                why = str(error)
            else:
                return ""
        return why

    def alter(self, answers: Mapping[int, Response]) -> None:
        """Has other responses served in the place of stored ones.

        Args:
            answers: by the positions of the stored ones among those that may answer.
        """
        self._altered = answers

    @property
    def answered_by(self) -> tuple[tuple[int, Interaction], ...]:
        """What has answered the requests, in their order: the recorded interactions with their positions."""
        self._history.hear()
        gone = [each for each in self._history.gone.elements() if each is not None]
        here = [each.position for each in tuple(self._history.exchanges) if each.position is not None]
        return tuple((position, self._answers.at(position)) for position in (*gone, *here))

    def let_go(self, exchange: Exchange) -> None:
        """Keeps no more than the number of an exchange that is over, where nothing is written of it in the end."""
        if self.settings.mode.writes == Writes.NOTHING:
            with self._forks.lock:
                self._history.let_go(exchange)

    def refuse_late(self, request: Request) -> TestOutcomeError:
        """Returns the error for a request of another process that comes when the test has ended; tells the run."""
        return self._history.too_late(self.redactor.redact_request(request), by="another process")

    def note_mocked(self) -> None:
        """Notes that a mock has answered a request: it is neither recorded nor answered from the cassette."""
        self._history.mocked += 1
        self._history.tell("mocked", None)

    def stop(self, problem: str) -> TestOutcomeError:
        """Returns the error for a request that cannot go on; whatever the client does with it, the test fails."""
        return self._history.stop(problem)

    def explain(self) -> None:
        """Adds to each of the `failures` what a person needs to know about it. Called after the test."""
        self._history.explain()

    @property
    def _name(self) -> str:
        return self.test or f"the {'server' if self._served else 'use_cassette'} of {display_path(self.path)}"

    def close(self, *, passed: bool, interrupted: bool = False, why: str = "the test failed") -> Outcome:
        """Writes what was recorded, and returns what happened.

        Args:
            passed: whether the test passed; if not, an existing cassette is kept.
            interrupted: whether the run was stopped; if so, nothing is written.
            why: what happened to a test that did not pass, for the outcome.

        Raises:
            CassetteWriteError: it could not be written; what was on disk is still there.
        """
        return self.settle(self.end(), passed=passed, interrupted=interrupted, why=why)

    def settle(
        self,
        under_way: Sequence[Exchange],
        *,
        passed: bool,
        interrupted: bool = False,
        why: str = "the test failed",
    ) -> Outcome:
        """Does the second half of `close`, which is the part that takes time.

        Args:
            under_way: what the first half, `end`, has returned.
            passed: as for `close`.
            interrupted: as for `close`.
            why: as for `close`.

        Raises:
            CassetteWriteError: as for `close`.
        """
        if self.settings.mode.writes == Writes.NOTHING:
            return self._settle(under_way, passed=passed, interrupted=interrupted, why=why)
        with secret_checks.guarded_by(self.wall):
            return self._settle(under_way, passed=passed, interrupted=interrupted, why=why)

    def forget(self) -> None:
        """Drops what happened, once nobody needs it, instead of waiting for a garbage collection."""
        self._history.exchanges.clear()

    def wall(self) -> Wall:
        """Returns what no file of this test may hold: what was secret at its start, and what is now."""
        secrets = self.redactor.known | environment_secrets()
        return wall.Wall(secrets, tuple(selector for selector, _ in self.settings.allow_secret))

    def _leave_pending(self) -> None:
        if self.settings.leaves_pending():
            left_pending.leave_pending(self.path, self._answers.own, self.verdicts, test=self.test)

    def _settle(self, under_way: Sequence[Exchange], *, passed: bool, interrupted: bool, why: str) -> Outcome:
        recorded, not_written, written = self.recorded, "", False
        self._forks.close()
        if self._forks.is_copy:
            recorded = ()  # they are the other process's to write
        if self.settings.mode.verifies and not interrupted and not self._forks.is_copy:
            self._leave_pending()
        if recorded and self.settings.mode.records:
            if interrupted:
                not_written = "the run was interrupted"
            elif not passed and self._answers.loaded is not None:
                not_written = why
            else:
                with self._saving:
                    work = self._work()
                    if not work.is_saved:
                        work.save()
                written = True
        if self._setup is not None and passed and not interrupted and not self._forks.is_copy:
            self._drop_unasked(self._setup)
        return Outcome(
            path=str(self.path),
            mode=self.mode,
            shared=self._shared and not self._asks_alone,
            passed=passed,
            recorded=len(recorded) if written else 0,
            written=written,
            not_written=not_written,
            blocked=self._guard.blocked,
            verified=() if interrupted else self._results(),
            selectors=self._selectors(),
            matched=tuple(selector for drift in self.drift for selector in drift.matched),
            late=tuple(each.not_come(self._name) for each in under_way),
            stale=self.stale,
            ownerless=not self.test and self._answers.is_ownerless(),
            faults=self._told_faults(),
            **count(
                self._history,
                self._answers,
                self.settings,
                self.test or display_path(self.path),
                verdicts=() if interrupted else self.verdicts,
                faulted=self._faults.positions if self._faults is not None else None,
            ),
        )

    def _told_faults(self) -> tuple[str, ...]:
        """Returns what the faults did to the number of requests, for the summary."""
        if self._faults is None or len(self._faults.requests) < 2:
            return ()
        asked, answers = len(self._faults.requests), len(self._faults.positions)
        requests = f"{asked} request{'s' * (asked != 1)} for {answers} answer{'s' * (answers != 1)}"
        return (f"{self._name}: {requests}: {', '.join(self._faults.requests)}",)

    def _work(self) -> Work:
        self._history.hear()
        return saving.work_of(
            self._answers,
            self._history,
            self.settings,
            self.path,
            self._owner,
            shared=self._shared,
            saved=self._saved,
        )

    def save_so_far(self) -> None:
        """Writes what was recorded so far into the cassette, which stays open.

        Raises:
            CassetteReadError: the file was changed into one that cannot be read.
            CassetteWriteError: it could not be written; what was on disk is still there.
        """
        with self._saving:
            if self.closed or not self.settings.mode.records:
                return
            with self._forks.lock:
                work = self._work()
            if not work.is_saved:
                with secret_checks.guarded_by(self.wall):
                    self._saved = work.save_so_far()

    def _drop_unasked(self, setup: Session) -> None:
        """Removes what neither the setup nor this teardown of a fixture has asked for, once one was recorded anew."""
        both = (setup, self)
        mode = self.settings.mode
        missed = mode.adds and any(each._answers.missed_some for each in both)
        if not missed and not (mode.rewrites and any(each.recorded for each in both)):
            return

        asked = [interaction for each in both for interaction in (*each.played, *each.recorded)]
        saving.drop_unasked(setup._work(), asked)

    def end(self) -> Sequence[Exchange]:
        """Ends the session for all threads, and returns the requests that one of them still waits for."""
        for exchange in tuple(self._history.exchanges):
            # What nobody reads to its end any more has come as far as was wanted.
            if exchange.coming is not None and not threads.is_at_work(exchange.thread, self):
                exchange.coming.stop()
        with self._forks.lock:
            self._history.closed, records = True, self.settings.mode.records
            waiting = [
                each
                for each in self._history.exchanges
                if each.is_open and records and threads.is_at_work(each.thread, self)
            ]
            for each in waiting:
                each.told = True
        return waiting

    def _selectors(self) -> tuple[str, ...]:
        if not self.settings.mode.verifies:
            return ()

        return tuple(drift_policy.selectors_of(self.settings))

    def _results(self) -> tuple[dict[str, Any], ...]:
        if not self.settings.mode.compares:
            return ()

        judged = self._work().verdicts() if self.settings.mode.rewrites else self.verdicts
        return tuple(
            judging.result_of(
                each, self._answers.at(each.position), test=self.test, path=display_path(self.path)
            )
            for each in judged
        )

    def drifted(self) -> list[dict[str, Any]]:
        """Returns those results of `verify` that have drift."""
        return [each for each in self._results() if each["status"] == "drifted"]

    def guard(self) -> AbstractContextManager[None]:
        """Blocks the network while this session is open, in replay only."""
        return self._guard.during(self.settings)

    def guard_late(self, applies: Callable[[], bool]) -> AbstractContextManager[None]:
        """Keeps the network blocked for threads that outlive the test, if it was blocked before.

        Args:
            applies: whether the running thread is one of them.
        """
        return self._guard.afterwards(self.settings, self._name, applies)

    def report_late(self) -> None:
        """Reports to the run what those threads tried, once they have ended."""
        if self._guard.blocked_late:
            self._history.report(blocked=self._guard.blocked_late)
