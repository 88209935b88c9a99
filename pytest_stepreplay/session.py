"""One open cassette: what it holds, what was played and recorded, what was missed, and whether to write it.

A `Session` is the only mutable state. The interception asks it for answers and gives it responses; closing it
returns a frozen `Outcome`. `current()` finds the session that a request belongs to, `use_cassette` opens one.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import interception, matching, network, store
from .errors import (
    CassetteWriteError,
    RequestStoppedError,
    StepReplayError,
    UnrecordedRequestError,
    display_path,
)
from .models import Cassette, Interaction, Request, Response
from .redaction import Redactor
from .report.misses import Miss, explain_miss
from .settings import MARKER_SETTINGS, Settings, read_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

ERROR_STATUS: Final = 400
SEARCHED_FILES: Final = 20
"""How many other cassettes a miss opens at most to say where else the request was recorded."""


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


@dataclass(slots=True, eq=False)
class _Exchange:
    """One request on its way: the recorded interaction that answers it, or, once sent, the new one."""

    session: Session
    request: Request
    position: int | None = None
    answer: Interaction | None = None
    recorded: Interaction | None = None
    error_status: int | None = None
    recorded_at: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    started: float = field(default_factory=time.perf_counter)

    @property
    def response(self) -> Response | None:
        """The stored response; None where the request must be sent."""
        return self.answer.response if self.answer else None

    def finish(self, response: Response) -> None:
        """Takes the response of a request that was sent."""
        elapsed = round(time.perf_counter() - self.started, 3)
        if self.session.mode == "live":
            return
        if response.status >= ERROR_STATUS and not self.session.settings.record_errors:
            self.error_status = response.status
            return
        self.recorded = Interaction(
            recorded_at=self.recorded_at,
            elapsed=elapsed,
            request=self.request,
            response=self.session.redactor.redact_response(response),
        )


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
    ) -> None:
        """Opens nothing yet; the cassette is read when it is first needed.

        Args:
            settings: the test's.
            path: the cassette file; it need not exist.
            test: the id of the test, stored in the cassette and named in messages.
            shared: other tests use this cassette too, so what this one did not play is kept.
            root: the folder of the suite's cassettes, searched when a request is not recorded here.
        """
        self.settings = settings
        self.path = path
        self.test = test
        self._shared = shared
        self._root = root
        self._lock = threading.Lock()
        self._loaded: store.ReadCassette | None = None
        self._recorded: tuple[Interaction, ...] = ()
        self._matcher = matching.Matcher(match_on=settings.match_on, ignore_request=settings.ignore_request)
        self.redactor = Redactor(fields=settings.redact_fields)
        self._index = matching.Index(self._matcher, ())
        self._played: dict[int, int] = {}
        self._exchanges: list[_Exchange] = []
        self._missed_keys: dict[object, UnrecordedRequestError] = {}
        self._missed_requests: list[Request] = []
        self._blocked: network.Log | None = None

    @property
    def mode(self) -> str:
        """What this run does with requests: replay, record, rewrite or live."""
        return self.settings.mode

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """The interactions that the cassette would hold if it were written now."""
        with self._lock:
            return self._merged()

    @property
    def played(self) -> tuple[Interaction, ...]:
        """The recorded interactions that answered a request, in the order of the requests."""
        return tuple(exchange.answer for exchange in self._exchanges if exchange.answer)

    @property
    def recorded(self) -> tuple[Interaction, ...]:
        """The interactions recorded since the cassette was opened, in the order of the requests."""
        return tuple(exchange.recorded for exchange in self._exchanges if exchange.recorded)

    @property
    def misses(self) -> tuple[UnrecordedRequestError, ...]:
        """One error for each different request that was not recorded."""
        return tuple(self._missed_keys.values())

    @property
    def intercepted(self) -> int:
        """How many requests came by, whatever became of them."""
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
        """
        if self.mode in {"record", "rewrite"}:
            store.check_writable(self.path)
        if self._loaded is None and self.mode != "live" and store.exists(self.path):
            loaded = store.read_cassette(self.path)
            if loaded.format != "stepreplay" and self.mode in {"record", "rewrite"}:
                raise CassetteWriteError(
                    self.path,
                    "is a vcrpy cassette; it can be replayed, but not recorded into",
                    fix="Delete it to record the test anew, or name another cassette: "
                    '@pytest.mark.stepreplay(cassette="...")',
                )
            self._loaded = loaded
            self._recorded = loaded.cassette.interactions
            if self.mode in {"replay", "record"}:
                self._index = matching.Index(self._matcher, [each.request for each in self._recorded])

    def passes_by(self, host: str) -> bool:
        """Whether requests to this host are neither recorded nor replayed."""
        return host in self.settings.ignore_hosts

    def keep_headers(self) -> tuple[str, ...]:
        """The response headers to store besides the usual ones."""
        return self.settings.keep_headers

    def begin(self, request: Request) -> _Exchange:
        """Returns the exchange for a request: with the stored response, or without one where it must be sent.

        Raises:
            UnrecordedRequestError: in replay, if nothing recorded answers it.
            RequestStoppedError: if the cassette cannot be used.
        """
        request = self.redactor.redact_request(request)
        with self._lock:
            try:
                self.load()
            except StepReplayError as error:
                raise RequestStoppedError(str(error)) from None
            exchange = _Exchange(self, request)
            if self.mode in {"replay", "record"}:
                key = self._matcher.key(request)
                position = None if self._continues_a_miss(request) else self._next_position(key)
                if position is not None:
                    exchange.position = position
                    exchange.answer = self._recorded[position]
                    self._played[position] = self._played.get(position, 0) + 1
                elif self.mode == "replay":
                    raise self._miss(request, key)
                else:
                    self._missed_requests.append(request)
            self._exchanges.append(exchange)
        return exchange

    def close(self, *, passed: bool, interrupted: bool = False) -> Outcome:
        """Writes what was recorded, and returns what happened.

        Args:
            passed: the test did; else nothing is written over an existing cassette.
            interrupted: the run was stopped; nothing is written at all.

        Raises:
            CassetteWriteError: it could not be written; what stood on disk still stands.
        """
        recorded, not_written, written = self.recorded, "", False
        if recorded and self.mode in {"record", "rewrite"}:
            if interrupted:
                not_written = "the run was interrupted"
            elif not passed and self._loaded is not None:
                not_written = "the test failed"
            else:
                store.write_cassette(self.path, Cassette(test=self.test or None, interactions=self._merged()))
                written = True
        played = self.played
        return Outcome(
            path=str(self.path),
            mode=self.mode,
            shared=self._shared,
            passed=passed,
            total=len(self._recorded),
            replayed=tuple(
                exchange.position for exchange in self._exchanges if exchange.position is not None
            ),
            recorded=len(recorded) if written else 0,
            missed=len(self._missed_keys),
            sent=sum(exchange.answer is None for exchange in self._exchanges),
            errors_not_recorded=tuple(
                f"{exchange.error_status} in {self.test or display_path(self.path)}"
                for exchange in self._exchanges
                if exchange.error_status is not None
            ),
            written=written,
            not_written=not_written,
            tokens_saved=sum(_tokens_of(each.response) for each in played),
            seconds_saved=sum(each.elapsed or 0.0 for each in played),
            blocked=tuple(str(attempt) for attempt in self._blocked.attempts) if self._blocked else (),
        )

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Keeps the network away while this session is open in replay."""
        if self.mode != "replay":
            yield
            return
        with network.blocked((*self.settings.allowed_hosts, *self.settings.ignore_hosts)) as self._blocked:
            yield

    def _continues_a_miss(self, request: Request) -> bool:
        return any(matching.continues(earlier, request, self._matcher) for earlier in self._missed_requests)

    def _next_position(self, key: Any) -> int | None:
        positions = self._index.positions(key)
        for position in positions:
            if position not in self._played:
                return position
        return positions[-1] if positions and self.settings.allow_repeats else None

    def _miss(self, request: Request, key: Any) -> UnrecordedRequestError:
        if key not in self._missed_keys:
            same = self._index.positions(key)
            candidates = [each.request for each in self._recorded]
            miss = Miss(
                request=request,
                test=self.test,
                cassette=display_path(self.path),
                exists=self._loaded is not None,
                writable=self._loaded is None or self._loaded.format == "stepreplay",
                recorded=len(self._recorded),
                played=len(self._played),
                times_recorded=len(same),
                nearest=None if same else matching.nearest(request, candidates, self._played, self._matcher),
                elsewhere=None if same else self._recorded_elsewhere(request, key),
            )
            self._missed_keys[key] = UnrecordedRequestError(explain_miss(miss))
        return self._missed_keys[key]

    def _recorded_elsewhere(self, request: Request, key: Any) -> str | None:
        """Returns the first other cassette of the suite that answers the request.

        Only files that hold a telling word of the request are parsed, and not more than `SEARCHED_FILES`.
        """
        if self._root is None:
            return None
        word = matching.telling_word(request).encode()
        others = (path for path in store.iter_cassettes(self._root) if path != self.path)
        for path in islice((path for path in others if word in path.read_bytes()), SEARCHED_FILES):
            try:
                interactions = store.read_cassette(path).cassette.interactions
            except StepReplayError:
                continue
            if any(self._matcher.key(each.request) == key for each in interactions):
                return display_path(path)
        return None

    def _merged(self) -> tuple[Interaction, ...]:
        """Returns the recorded interactions that stay, in their order, each new one behind the one before it.

        What a test's own cassette holds and the test no longer asks for goes once something was missed:
        it is the tail of a conversation that is recorded anew.
        """
        if self.mode == "rewrite":
            return self.recorded
        stale = bool(self._missed_requests) and not self._shared
        merged = [each for i, each in enumerate(self._recorded) if i in self._played or not stale]
        before: Interaction | None = None
        for exchange in self._exchanges:
            if exchange.recorded:
                place = _place_after(merged, before) if before or not self._shared else len(merged)
                merged.insert(place, exchange.recorded)
            before = exchange.answer or exchange.recorded or before
        return tuple(merged)


def _tokens_of(response: Response) -> int:
    """Returns the tokens that a completion cost; in a stream the last chunk that says so is right."""
    completions = [response.json_]
    for event in reversed(response.events or ()):
        if isinstance(event, str) and '"usage"' in event:
            completions = [json.loads(event)]
            break
    usage = completions[0].get("usage") if isinstance(completions[0], dict) else None
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) else 0


def _place_after(interactions: list[Interaction], one: Interaction | None) -> int:
    for index in range(len(interactions) - 1, -1, -1):
        if interactions[index] is one:
            return index + 1
    return 0


@dataclass(frozen=True, slots=True)
class Host:
    """The run around the sessions: what it was set to, and who wants to hear of outcomes."""

    values: Mapping[str, object]
    report: Callable[[Outcome], None]


_host: Host | None = None
_task: ContextVar[Session | None] = ContextVar("stepreplay", default=None)
_running: list[Session] = []
_blocks: list[Session] = []


def set_host(host: Host | None) -> Host | None:
    """Names the run that sessions opened from here on belong to, and returns the one before it."""
    global _host
    before, _host = _host, host
    return before


def current() -> Session | None:
    """Returns the session that a request made here and now belongs to.

    The innermost `use_cassette` of this task, else the running test's (or that of the fixture being set up),
    whichever thread asks. A thread with neither belongs to the `use_cassette` that is open, if just one is.
    """
    session = _task.get()
    if session is not None and session in _blocks:
        return session
    if _running:
        return _running[-1]
    return _blocks[0] if len(_blocks) == 1 else None


@contextmanager
def running(session: Session) -> Iterator[Session]:
    """Makes a session the running test's, for all threads."""
    with interception.installed(current), session.guard():
        _running.append(session)
        try:
            yield session
        finally:
            _running.remove(session)


class use_cassette:  # noqa: N801 - used like a function, as vcr.use_cassette is
    """Opens a cassette for the requests inside: ``with use_cassette("x.yaml", mode="record"): ...``.

    Works with ``with`` and ``async with``, nests, and keeps concurrent tasks apart. Gives the `Session`.

    Args:
        path: the cassette file, relative to the working directory.
        mode: what to do with requests; by default what the pytest run does, outside of pytest ``replay``.
        settings: any setting of the marker, such as ``match_on`` or ``ignore_request``.

    Raises:
        SettingsError: for an unknown setting or a bad value.
        UnrecordedRequestError: at the end, if a client swallowed it.
        CassetteError: if the cassette cannot be read or written.
    """

    def __init__(self, path: str | Path, *, mode: str | None = None, **settings: object) -> None:
        self._path = Path(path)
        given = read_values("use_cassette", {"mode": mode, **settings}, MARKER_SETTINGS)
        self._settings = Settings.merge(_host.values if _host else {}, given)
        self._opened: tuple[Session, ExitStack] | None = None

    def __enter__(self) -> Session:
        if self._opened:
            raise StepReplayError("this use_cassette is open already; make one for each block")
        session = Session(self._settings, self._path, shared=True, root=self._path.parent)
        session.load()
        with ExitStack() as stack:
            stack.enter_context(interception.installed(current))
            if _running and session.mode != "replay":  # the test around it may keep the network away
                stack.enter_context(network.blocked([network.ANY_HOST]))
            stack.callback(_task.set, _task.get())
            _task.set(session)
            stack.callback(_blocks.remove, session)
            _blocks.append(session)
            self._opened = session, stack.pop_all()
        return session

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._opened:
            raise StepReplayError("this use_cassette is not open")
        (session, stack), self._opened = self._opened, None
        stack.close()
        outcome = session.close(passed=error is None, interrupted=isinstance(error, KeyboardInterrupt))
        if _host:
            _host.report(outcome)
        if error is None and session.misses:
            raise session.misses[0]

    async def __aenter__(self) -> Session:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
