"""Which open cassette a request belongs to: the innermost `use_cassette` of its task, or the running test's."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import interception, network
from ..errors import StepReplayError
from ..settings import MARKER_SETTINGS, Settings, read_values
from .cassette import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from .cassette import Outcome


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
            if session.mode != "replay":  # the test around it may keep the network away
                stack.enter_context(network.opened())
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
