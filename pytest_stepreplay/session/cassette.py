"""One open cassette: what it holds, what was played and recorded, what was missed, and whether to write it.

A `Session` is the only mutable state. The interception asks it for answers and gives it responses; closing it
returns a frozen `Outcome`. `current()` finds the session that a request belongs to, `use_cassette` opens one.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from .. import matching, network, store
from ..drift.keeping import keep_volatile
from ..errors import (
    CassetteReadError,
    CassetteWriteError,
    RequestStoppedError,
    StepReplayError,
    TestOutcomeError,
    UnrecordedRequestError,
    display_path,
)
from ..housekeeping.ages import judge_age, with_new_dates
from ..housekeeping.relinking import moved_cassette
from ..models import Cassette, Interaction, Request, Response
from ..redaction import Redactor, Wall, secret_values
from ..report.misses import Miss, explain_miss
from . import threads
from .forks import Forks
from .host import host
from .merging import merge_recorded, merge_rewritten
from .verification import Verdict, Verifier, compare_interactions, result_of, selectors_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..drift import Drift
    from ..interception import Recording
    from ..interception.sending import Outgoing
    from ..settings import Settings

ERROR_STATUS: Final = 400
SEARCHED_FILES: Final = 20
"""How many other cassettes a miss opens at most to say where else the request was recorded."""


_UNKNOWN: Final = Request(method="", url="")


@dataclass(frozen=True, slots=True)
class Filters:
    """What a project changes in requests and responses before they are matched and recorded.

    Attributes:
        request: returns the request as it is to be seen; None to let it pass by.
        response: returns the response as it is to be recorded; None to record nothing.
    """

    request: Callable[[Request], Request | None] = lambda request: request
    response: Callable[[Response], Response | None] = lambda response: response


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one cassette while it was open. Plain values, so that xdist can carry them."""

    path: str
    mode: str
    shared: bool = False
    passed: bool = True
    total: int = 0
    replayed: tuple[int, ...] = ()
    recorded: int = 0
    missed: int = 0
    sent: int = 0
    errors_not_recorded: tuple[str, ...] = ()
    written: bool = False
    not_written: str = ""
    tokens_saved: int = 0
    seconds_saved: float = 0.0
    blocked: tuple[str, ...] = ()
    verified: tuple[dict[str, Any], ...] = ()
    selectors: tuple[str, ...] = ()
    matched: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    borrowed: tuple[tuple[str, int, tuple[int, ...]], ...] = ()
    stale: str = ""
    asked: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Exchange:
    """One request on its way: the recorded interaction that answers it, or, once sent, the new one."""

    session: Session
    request: Request
    position: int | None = None
    answer: Interaction | None = None
    recorded: Interaction | None = None
    error_status: int | None = None
    passes_by: bool = False
    recorded_at: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    started: float = field(default_factory=time.perf_counter)
    coming: Recording | None = None
    thread: threading.Thread = field(default_factory=threading.current_thread)
    told: bool = False

    @property
    def response(self) -> Response | None:
        """The stored response; None where the request must be sent."""
        return self.answer.response if self.answer else None

    @property
    def verifies(self) -> bool:
        """Whether the stored response is compared with a new one."""
        return self.session.mode == "verify"

    def verify(self, outgoing: Outgoing) -> None:
        """Sends the request once more, in the background."""
        if self.position is not None and self.answer is not None:
            self.session.verifier.start(self.position, self.answer, outgoing)

    @property
    def pace(self) -> float:
        """What the recorded times of a stream are multiplied with; 0 for no pauses."""
        return self.session.settings.pace

    def elapsed(self) -> float:
        """Seconds since the request began."""
        return time.perf_counter() - self.started

    def records(self, status: int, recording: Recording) -> bool:
        """Whether the response that has begun to come is to be taken down."""
        if self.passes_by:
            return False
        if self.session.mode == "live":
            self.session.tell("sent", None)
            return False
        if status >= ERROR_STATUS and not self.session.settings.record_errors:
            self.error_status = status
            self.session.tell("error", status)
            return False
        return self.session.comes(self, recording)

    def finish(self, response: Response) -> None:
        """Takes the response of a request that was sent."""
        self.coming = None
        filtered = self.session.filters.response(response)
        if filtered is None:
            return
        recorded = Interaction(
            recorded_at=self.recorded_at,
            elapsed=round(self.elapsed(), 3),
            request=self.request,
            response=self.session.redactor.redact_response(filtered),
        )
        self.session.take(self, recorded)

    def read_past_the_end(self, length: int) -> BaseException:
        """Returns the error for a client that reads on where the recorded one had stopped."""
        return self.session.read_past_the_end(self, length)


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
        """
        self.settings = settings
        self.path = path
        self.test = test
        self.around = around
        self._shared = shared
        self._root = root
        self._closed = False
        self._lenders = lenders
        self._borrowed: list[tuple[Path, int]] = []
        self.filters = filters or Filters()
        self.stale = ""
        self._forks = Forks()
        self._loaded: store.ReadCassette | None = None
        self._recorded: tuple[Interaction, ...] = ()
        self._answers: tuple[Interaction, ...] = ()
        self._matcher = matching.Matcher(match_on=settings.match_on, ignore_request=settings.ignore_request)
        self.redactor = Redactor(fields=settings.redact_fields, values=settings.secrets)
        self._index = matching.Index(self._matcher, ())
        self._played: dict[int, int] = {}
        self._exchanges: list[_Exchange] = []
        self._missed_keys: dict[object, UnrecordedRequestError] = {}
        self._overread: dict[int | None, RequestStoppedError] = {}
        self._missed_conversations: set[str] = set()
        self._missed_some = False
        self._blocked: network.Log | None = None
        self._blocked_late: network.Log | None = None
        self._ignored_hosts = network.Hosts.read(settings.ignore_hosts)
        self.verifier = Verifier(settings, self.redactor)
        self._verdicts: tuple[Verdict, ...] | None = None

    @property
    def mode(self) -> str:
        """What this run does with requests: replay, record, rewrite, verify or live."""
        return self.settings.mode

    @property
    def closed(self) -> bool:
        """Whether the test has ended: nothing is answered or recorded any more."""
        return self._closed

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """The interactions that the cassette would hold if it were written now."""
        with self._forks.lock:
            return self._merged(self._recorded)

    @property
    def played(self) -> tuple[Interaction, ...]:
        """The recorded interactions that answered a request, in the order of the requests."""
        self._hear_of_forks()
        return tuple(exchange.answer for exchange in tuple(self._exchanges) if exchange.answer)

    @property
    def recorded(self) -> tuple[Interaction, ...]:
        """The interactions recorded since the cassette was opened, in the order of the requests."""
        self._hear_of_forks()
        return tuple(exchange.recorded for exchange in tuple(self._exchanges) if exchange.recorded)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """How today's answers differ from the stored ones, once the test has ended; waits for the answers."""
        if self._verdicts is None:
            self._verdicts = self.verifier.verdicts()
        return self._verdicts

    @property
    def drift(self) -> tuple[Drift, ...]:
        """The drift of each interaction that was verified, in the order of the cassette."""
        return tuple(verdict.drift for verdict in self.verdicts if verdict.drift is not None)

    @property
    def misses(self) -> tuple[TestOutcomeError, ...]:
        """One error for each different request that was not recorded, and each stream that was not to its end."""
        self._hear_of_forks()
        with self._forks.lock:  # a thread may be adding one
            return (*self._missed_keys.values(), *self._overread.values())

    @property
    def intercepted(self) -> int:
        """How many requests came by, whatever became of them."""
        self._hear_of_forks()
        return len(self._exchanges) + len(self._missed_keys)

    def __repr__(self) -> str:
        return (
            f"<stepreplay {self.mode} {self.path}: {len(self.played)} played, {len(self.recorded)} recorded>"
        )

    def load(self) -> None:
        """Reads the cassette, once.

        Raises:
            CassetteReadError: it exists but cannot be read; it stays as it is.
            CassetteWriteError: it cannot be recorded into, or its folder cannot be written.
            CassetteError: a symbolic link leads out of the folder of the cassettes.
        """
        if self._root is not None:
            store.check_inside(self.path, self._root)
        if self.mode in {"record", "rewrite"}:
            store.check_writable(self.path)
        if self._loaded is None and self.mode != "live" and store.exists(self.path):
            loaded = self._read()
            self.settings, self.stale = judge_age(loaded.cassette, self.settings, self.path, self.test)
            self._loaded = loaded
            self._recorded = self._answers = loaded.cassette.interactions
            if self.mode in {"replay", "record", "verify"}:
                self._index = matching.Index(self._matcher, self._requests())
        if self._lenders and self.mode in {"replay", "record", "verify"}:
            self._borrow()

    def _borrow(self) -> None:
        """Takes what other cassettes hold as further answers."""
        lenders, self._lenders = self._lenders, ()
        for path in lenders:
            if not store.exists(path) and self.mode == "record":
                continue
            if not store.exists(path):
                raise CassetteReadError(
                    path, "does not exist", fix="The test's marker names it: restore it, or take the name out"
                )
            interactions = store.read_cassette(path).cassette.interactions
            self._borrowed.append((path, len(interactions)))
            self._answers += interactions
        self._index = matching.Index(self._matcher, self._requests())

    def _read(self) -> store.ReadCassette:
        loaded = store.read_cassette(self.path)
        if loaded.format != "stepreplay" and self.mode == "record":
            raise CassetteWriteError(
                self.path,
                f"is a cassette of another tool ({loaded.format}); it can be replayed, but not recorded into",
                fix=f"Convert it with: stepreplay convert {display_path(self.path)}\nor delete it to record the "
                'test anew, or name another cassette: @pytest.mark.stepreplay(cassette="...")',
            )
        return loaded

    def passes_by(self, host: str) -> bool:
        """Whether requests to this host are neither recorded nor replayed."""
        return self._ignored_hosts.include(host)

    def keep_headers(self) -> tuple[str, ...]:
        """The response headers to store besides the usual ones."""
        return self.settings.keep_headers

    def begin(self, request: Request) -> _Exchange:
        """Returns the exchange for a request: with the stored response, or without one where it must be sent.

        Raises:
            UnrecordedRequestError: in replay and verify, if nothing recorded answers it.
            RequestStoppedError: if the cassette cannot be used, or the test has ended.
        """
        seen = self.filters.request(request)
        if seen is None:
            return _Exchange(self, request, passes_by=True)
        request = self.redactor.redact_request(seen)
        with self._forks.lock:
            if self._closed:
                raise self._too_late(request)
            try:
                self.load()
            except StepReplayError as error:
                raise RequestStoppedError(str(error)) from None
            exchange = _Exchange(self, request)
            if self.mode in {"replay", "record", "verify"}:
                key = self._matcher.key(request)
                conversation = self._matcher.conversation(request) if self.mode == "record" else []
                anew = not self._missed_conversations.isdisjoint(conversation[:-1])
                position = None if anew else self._next_position(key)
                if position is not None:
                    exchange.position = position
                    exchange.answer = self._answers[position]
                    self._played[position] = self._played.get(position, 0) + 1
                    self.tell("played", position)
                elif self.mode in {"replay", "verify"}:
                    raise self._miss(request, key)
                else:
                    self._note_miss(request)
            self._exchanges.append(exchange)
        return exchange

    def read_past_the_end(self, exchange: _Exchange, length: int) -> RequestStoppedError:
        """Returns the error for a client that reads on where the recorded one had stopped, and keeps it."""
        position = exchange.position
        error = RequestStoppedError(
            f"{display_path(self.path)}, interaction {(position or 0) + 1}: the client that recorded this stream "
            f"left it after {length:,} bytes, and now more is read.\n"
            "Nothing more is known of it. Read as far as then, or record it again with: pytest --stepreplay=rewrite"
        )
        self.tell("missed", str(error))
        with self._forks.lock:
            return self._overread.setdefault(position, error)

    def tell(self, what: str, fact: Interaction | str | int | None) -> None:
        """In a forked child, hands what happened to the process that opened the cassette.

        Raises:
            RequestStoppedError: that is not possible, and what is recorded here would be lost.
        """
        if not self._forks.is_copy:
            return
        if isinstance(fact, Interaction):
            fact = fact.model_dump_json(by_alias=True, exclude_unset=True)
        try:
            self._forks.tell({what: fact})
        except OSError as error:
            raise RequestStoppedError(
                f"what this forked process did cannot be handed to its parent: {error}\n"
                "Make some room in the folder for temporary files, then run it again."
            ) from None

    def _hear_of_forks(self) -> None:
        """Takes what forked children did as if it had been done here."""
        with self._forks.lock:
            for note in self._forks.notes():
                self._take_note(note)

    def _take_note(self, note: dict[str, Any]) -> None:
        match note:
            case {"played": int(position)}:
                answer = self._answers[position]
                self._exchanges.append(_Exchange(self, answer.request, position, answer))
                self._played[position] = self._played.get(position, 0) + 1
            case {"recorded": str(text)}:
                recorded = Interaction.model_validate_json(text)
                self._note_miss(recorded.request)
                self._exchanges.append(_Exchange(self, recorded.request, recorded=recorded))
            case {"missed": str(text)}:
                self._missed_keys[text] = UnrecordedRequestError(text)
            case {"error": status}:
                self._exchanges.append(_Exchange(self, _UNKNOWN, error_status=status))
            case {"sent": _}:
                self._exchanges.append(_Exchange(self, _UNKNOWN))

    def comes(self, exchange: _Exchange, recording: Recording) -> bool:
        """Whether a response that has begun to come is taken down: it is not once the test has ended."""
        with self._forks.lock:
            if not self._closed:
                exchange.coming = recording
                return True
        self._miss_answer(exchange)
        return False

    def take(self, exchange: _Exchange, interaction: Interaction) -> None:
        """Keeps what was recorded, unless the test has ended: then it is said that it is not."""
        with self._forks.lock:
            if not self._closed:
                exchange.recorded = interaction
                self.tell("recorded", interaction)
                return
        self._miss_answer(exchange)

    def _miss_answer(self, exchange: _Exchange) -> None:
        with self._forks.lock:
            told, exchange.told = exchange.told, True
        if not told:
            self._report(late=(self._not_come(exchange),))

    def _not_come(self, exchange: _Exchange) -> str:
        request = exchange.request
        return (
            f"not recorded: the answer to {request.method} {request.url} had not come when {self._name} ended"
        )

    def _too_late(self, request: Request) -> RequestStoppedError:
        asked = f"{request.method} {request.url}"
        self._report(late=(f"refused: {asked}, asked by a thread of {self._name} after that had ended",))
        return RequestStoppedError(
            f"{self._name} has ended, but a thread that it started asks {asked}.\n"
            "It is neither answered nor sent: it could get into the cassette of another test.\n"
            "Wait for the thread before the test ends. Or start it in a fixture of a wider scope; then it works for "
            "whichever test is running."
        )

    @property
    def _name(self) -> str:
        return self.test or f"the use_cassette of {display_path(self.path)}"

    def _report(self, *, late: tuple[str, ...] = (), blocked: tuple[str, ...] = ()) -> None:
        """Tells the run what happened after the outcome of this session was known."""
        run = host()
        if run is not None:
            total = len(self._recorded)
            run.report(
                Outcome(str(self.path), self.mode, self._shared, total=total, late=late, blocked=blocked)
            )

    def close(self, *, passed: bool, interrupted: bool = False, why: str = "the test failed") -> Outcome:
        """Writes what was recorded, and returns what happened.

        Args:
            passed: the test did; else nothing is written over an existing cassette.
            interrupted: the run was stopped; nothing is written at all.
            why: in the outcome of a test that has not passed, what became of it.

        Raises:
            CassetteWriteError: it could not be written; what stood on disk still stands.
        """
        with store.guarded_by(self.wall()):
            return self._close(passed=passed, interrupted=interrupted, why=why)

    def wall(self) -> Wall:
        """Returns what no file of this test may hold: what was secret at its start, and what is now."""
        secrets = self.redactor.known | secret_values(os.environ)
        return Wall(secrets, tuple(selector for selector, _ in self.settings.allow_secret))

    def _close(self, *, passed: bool, interrupted: bool, why: str) -> Outcome:
        under_way = self._stop_taking()
        recorded, not_written, written = self.recorded, "", False
        self._forks.close()
        if self._forks.is_copy:
            recorded = ()  # they are the other process's to write
        if self.mode == "verify" and not interrupted and not self._forks.is_copy:
            self._leave_pending()
        if recorded and self.mode in {"record", "rewrite"}:
            if interrupted:
                not_written = "the run was interrupted"
            elif not passed and self._loaded is not None:
                not_written = why
            else:
                self._save()
                written = True
        played, saves = self.played, self.mode != "verify"
        positions = [exchange.position for exchange in self._exchanges if exchange.position is not None]
        return Outcome(
            path=str(self.path),
            mode=self.mode,
            shared=self._shared,
            passed=passed,
            total=len(self._recorded),
            replayed=tuple(each for each in positions if each < len(self._recorded)),
            recorded=len(recorded) if written else 0,
            missed=len(self.misses),
            sent=sum(exchange.answer is None for exchange in self._exchanges),
            errors_not_recorded=tuple(
                f"{exchange.error_status} in {self.test or display_path(self.path)}"
                for exchange in self._exchanges
                if exchange.error_status is not None
            ),
            written=written,
            not_written=not_written,
            tokens_saved=sum(_tokens_of(each.response) for each in played) if saves else 0,
            seconds_saved=sum(each.elapsed or 0.0 for each in played) if saves else 0.0,
            blocked=tuple(str(attempt) for attempt in self._blocked.attempts) if self._blocked else (),
            verified=() if interrupted else self._results(),
            selectors=tuple(selectors_of(self.settings)) if self.mode == "verify" else (),
            matched=tuple(selector for drift in self.drift for selector in drift.matched),
            late=tuple(map(self._not_come, under_way)),
            borrowed=tuple(self._played_of_lenders(positions)),
            stale=self.stale,
            asked=self._asked_in_vain(),
        )

    def _played_of_lenders(self, positions: list[int]) -> Iterator[tuple[str, int, tuple[int, ...]]]:
        """Yields each lender with how many interactions it holds, and the positions that were played."""
        start = len(self._recorded)
        for path, total in self._borrowed:
            inside = (each - start for each in positions)
            yield str(path), total, tuple(each for each in inside if 0 <= each < total)
            start += total

    def _asked_in_vain(self) -> dict[str, tuple[str, ...]]:
        """Returns the keys of what was missed, with the settings that make them, for `stepreplay relink`."""
        if not self._missed_keys:
            return {}
        settings = self.settings
        return {
            "keys": tuple(str(key) for key in self._missed_keys),
            "match_on": settings.match_on,
            "ignore_request": settings.ignore_request,
            "redact_fields": settings.redact_fields,
        }

    def _stop_taking(self) -> list[_Exchange]:
        """Ends the session for all threads, and returns the requests that one of them still waits for."""
        for exchange in tuple(self._exchanges):
            # What nobody reads to its end any more has come as far as was wanted.
            if exchange.coming is not None and not threads.is_at_work(exchange.thread, self):
                exchange.coming.stop()
        with self._forks.lock:
            self._closed = True
            waiting = [
                each
                for each in self._exchanges
                if (each.answer, each.recorded, each.error_status) == (None, None, None)
                and self.mode in {"record", "rewrite"}
                and threads.is_at_work(each.thread, self)
            ]
            for each in waiting:
                each.told = True
        return waiting

    def _results(self) -> tuple[dict[str, Any], ...]:
        verdicts = self.verdicts
        if self.mode == "rewrite":
            verdicts = tuple(
                compare_interactions(self.settings, self._recorded[old], new, old)
                for new, old in zip(self.recorded, self._pairs(), strict=True)
                if old is not None
            )
        return tuple(result_of(each, test=self.test, path=display_path(self.path)) for each in verdicts)

    def drifted(self) -> list[dict[str, Any]]:
        """Returns those results of `verify` that have drift."""
        return [each for each in self._results() if each["status"] == "drifted"]

    def _pairs(self) -> list[int | None]:
        """Returns, for each interaction recorded anew, the position of the one that it replaces."""
        index = matching.Index(self._matcher, [each.request for each in self._recorded])
        left: dict[object, list[int]] = {}
        pairs: list[int | None] = []
        for each in self.recorded:
            key = self._key(each)
            positions = left.setdefault(key, list(index.positions(key)))
            pairs.append(positions.pop(0) if positions else None)
        return pairs

    def _leave_pending(self) -> None:
        """Leaves what drifted beside the cassette, for a person to decide about.

        What waits there of interactions that this test did not verify goes on waiting.
        """
        verified = {each.position for each in self.verdicts if each.status != "unverified"}
        if not verified or not self.settings.leaves_pending():
            return
        drifted = {each.position: each.response for each in self.verdicts if each.status == "drifted"}
        if not drifted and not store.exists(store.pending_path(self.path)):
            return
        # Another test that shares the cassette may leave its own at this moment.
        with store.locked(self.path):
            new = {i: response for i, response in self._waiting().items() if i not in verified} | drifted
            interactions = tuple(
                each.model_copy(update={"response": new[i]}) if i in new else each
                for i, each in enumerate(self._recorded)
            )
            store.write_pending(self.path, Cassette(test=self.test or None, interactions=interactions))

    def _waiting(self) -> dict[int, Response | None]:
        """Returns the responses of the pending file by position, if there is one for this very cassette."""
        pending = store.pending_path(self.path)
        if not store.exists(pending):
            return {}
        read = store.read_pending(pending)
        if read.stale:
            return {}
        return {
            int(unit.name) - 1: unit.new.response for unit in read.units if isinstance(unit.new, Interaction)
        }

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Keeps the network away while this session is open in replay, and in no other mode."""
        if self.mode != "replay" or self.settings.block_network == "never":
            with network.opened():  # another guard may be around it
                yield
            return
        with network.blocked((*self.settings.allowed_hosts, *self.settings.ignore_hosts)) as self._blocked:
            yield

    @contextmanager
    def guard_late(self, applies: Callable[[], bool]) -> Iterator[None]:
        """Keeps the network away from those of its threads that go on after the test, if it did so before.

        Args:
            applies: whether the running thread is one of them.
        """
        if self._blocked is None:
            yield
            return
        hosts = (*self.settings.allowed_hosts, *self.settings.ignore_hosts)
        why = f"this thread was started by {self._name}, which replayed a cassette and has ended,"
        with network.blocked(hosts, why=why, applies=applies) as self._blocked_late:
            yield

    def report_late(self) -> None:
        """Tells the run what those threads tried, once they have ended."""
        if self._blocked_late is not None and self._blocked_late.attempts:
            self._report(blocked=tuple(map(str, self._blocked_late.attempts)))

    def _requests(self) -> list[Request]:
        """Returns the recorded requests as a request of today is seen: redacted, by the rules of today."""
        filtered = (self.filters.request(each.request) or each.request for each in self._answers)
        return [self.redactor.redact_request(each) for each in filtered]

    def _note_miss(self, request: Request) -> None:
        self._missed_some = True
        self._missed_conversations.update(self._matcher.conversation(request)[-1:])

    def _next_position(self, key: Any) -> int | None:
        positions = self._index.positions(key)
        for position in positions:
            if position not in self._played:
                return position
        return positions[-1] if positions and self.settings.allow_repeats else None

    def _miss(self, request: Request, key: Any) -> UnrecordedRequestError:
        if key not in self._missed_keys:
            same = self._index.positions(key)
            candidates = self._requests()
            miss = Miss(
                request=request,
                test=self.test,
                cassette=display_path(self.path),
                exists=self._loaded is not None,
                moved=self._moved(),
                writable=self._loaded is None or self._loaded.format == "stepreplay",
                recorded=len(self._answers),
                played=len(self._played),
                times_recorded=len(same),
                nearest=None if same else matching.nearest(request, candidates, self._played, self._matcher),
                elsewhere=None if same else self._recorded_elsewhere(request, key),
            )
            self._missed_keys[key] = UnrecordedRequestError(explain_miss(miss))
            self.tell("missed", str(self._missed_keys[key]))
        return self._missed_keys[key]

    def _moved(self) -> str | None:
        """Returns the cassette of a test of this name that is gone, where this one's is not there."""
        if self._loaded is not None or self._root is None or not self.test or self._shared:
            return None
        path = moved_cassette(self._root, self.path)
        return display_path(path) if path else None

    def _recorded_elsewhere(self, request: Request, key: Any) -> str | None:
        """Returns the first other cassette of the suite that answers the request.

        Only files that hold a telling word of the request are parsed, and not more than `SEARCHED_FILES`.
        """
        if self._root is None:
            return None
        word = matching.telling_word(request).encode()
        opened = 0
        for path in store.iter_cassettes(self._root):
            try:
                if path == self.path or word not in path.read_bytes():
                    continue
                opened += 1
                interactions = store.read_cassette(path).cassette.interactions
            except (OSError, StepReplayError):
                continue
            if any(
                self._matcher.key(self.redactor.redact_request(each.request)) == key for each in interactions
            ):
                return display_path(path)
            if opened == SEARCHED_FILES:
                break
        return None

    def _save(self) -> None:
        """Writes the cassette: what it holds now, whoever has written it meanwhile, and what is new."""
        with store.locked(self.path):
            loaded = self._read() if store.exists(self.path) else None
            now = loaded.cassette if loaded else Cassette(interactions=self._recorded)
            test = now.test if self._shared and loaded else self.test
            cassette = Cassette(test=test or None, interactions=self._merged(now.interactions))
            store.write_cassette(self.path, cassette)
            if store.exists(store.pending_path(self.path)):
                store.write_pending(self.path, cassette)  # nothing waits any more, and so its file goes

    def _merged(self, now: tuple[Interaction, ...]) -> tuple[Interaction, ...]:
        """Returns the interactions to write.

        What a test's own cassette holds and the test no longer asks for goes once something was missed:
        it is the tail of a conversation that is recorded anew.

        Args:
            now: what the file holds, others having written it perhaps.
        """
        if self.mode == "rewrite":
            pairs = self._pairs()
            rewritten = keep_volatile(self._recorded, self.recorded, pairs)
            rewritten = with_new_dates(rewritten, self.recorded, self.settings)
            return merge_rewritten(self._recorded, now, rewritten, pairs, shared=self._shared, key=self._key)
        misses = self._missed_some and not self._shared
        own = len(self._recorded)
        return merge_recorded(
            self._recorded,
            now,
            [
                (each.position if each.position is None or each.position < own else None, each.recorded)
                for each in self._exchanges
            ],
            stale=set(range(own)) - self._played.keys() if misses else (),
            shared=self._shared,
            key=self._key,
        )

    def _key(self, interaction: Interaction) -> str:
        return self._matcher.key(interaction.request)


def _tokens_of(response: Response) -> int:
    """Returns the tokens that a completion cost; in a stream the last chunk that says so is right."""
    completions = [response.json_]
    for event in reversed(response.events or ()):
        if isinstance(event, str) and '"usage"' in event:
            with suppress(ValueError):  # a person may have edited it
                completions = [json.loads(event)]
            break
    usage = completions[0].get("usage") if isinstance(completions[0], dict) else None
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) else 0
