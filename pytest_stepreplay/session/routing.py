"""Which open cassette a request belongs to: the innermost `use_cassette` of its task, or its test's.

A thread belongs to the test that started it, also after the test has ended: what it then asks is refused, reported
and never recorded into another test's cassette.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _pytest.outcomes import Exit  # pytest.exit.Exception, without importing the rest of pytest

from ..errors import StepReplayError
from ..interception import installing
from ..machine import disk
from ..network import guard
from ..settings import MARKER_SETTINGS, Settings, read_values
from . import elsewhere, threads
from .event_loops import in_thread
from .host import host
from .sessions import Session
from .threads import Owner

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from .exchange import Exchange

INTERRUPTIONS = (KeyboardInterrupt, SystemExit, Exit)
"""What ends the run and not just the test."""

_task: ContextVar[Session | None] = ContextVar("stepreplay", default=None)
_running: list[Session] = []
_fixtures: set[Session] = set()
"""Those of the running ones that are a fixture's: the threads that it starts work for every test that uses it."""
_blocks: list[Session] = []
_installed: list[ExitStack] = []
"""What is installed from the first test with a cassette to the end of the run."""
_staying: dict[Session, ExitStack] = {}
"""What stays installed after a test for those of its threads that have not ended."""
_home = threading.main_thread()
"""The thread that tests run in. Other threads know whom they work for, or work for whichever test is running."""


def current() -> Session | None:
    """Returns the session that a request made here and now belongs to.

    The innermost `use_cassette` of this task or thread, else the session of the test that started this thread,
    else the running test's (or that of the fixture being set up). A thread with none of these belongs to the
    `use_cassette` that is open, if just one is. A session that is closed refuses the request.
    """
    found = _find_owner()
    session = found.block or found.test if found else None
    if session is not None:
        return None if session.closed and session.settings.mode.passes_by else session
    if _running:
        return _running[-1]
    blocks = tuple(_blocks)
    return blocks[0] if len(blocks) == 1 else None


def _find_owner() -> Owner[Session] | None:
    """Returns whom this task or thread works for; None where it works for whichever test is running."""
    handed = threads.owner()
    block = _task.get() or (handed.block if handed else None)
    test = handed.test if handed else None
    if block is not None and block.closed:
        test = test or block.around
        # After its block, a request is the test's around it again; without one it is nobody's, but it must not
        # get into another block's cassette.
        block = block if test is None and not _running and _blocks else None
    if threading.current_thread() is _home and _running and _running[-1] not in _fixtures:
        test = _running[-1]
    return Owner(test, block) if test or block else None


@contextmanager
def running(session: Session, *, of_fixture: bool = False) -> Iterator[Session]:
    """Makes a session the running test's, for all threads.

    Args:
        session: the test's, or a fixture's.
        of_fixture: the threads that are started inside work for whichever test is running, as the fixture does.
    """
    global _home  # noqa: PLW0603 - a process runs one test at a time
    _home = threading.current_thread()
    if not _installed:
        _installed.append(_install())
    else:
        installing.repair()
    with session.guard():
        if of_fixture:
            _fixtures.add(session)
        _running.append(session)
        try:
            yield session
        finally:
            _running.remove(session)
            _fixtures.discard(session)
            _stay_for_threads_of(session)


def _install() -> ExitStack:
    """Installs, for the whole run, what each test would have to install anew."""
    with ExitStack() as stack:
        stack.enter_context(installing.installed(current))
        stack.enter_context(threads.inheriting(_find_owner))
        stack.enter_context(guard.watching())
        return stack.pop_all()


def _stay_for_threads_of(session: Session) -> None:
    """Goes on intercepting and guarding the threads of a test that has ended, until they end or the run does."""
    for each in [each for each in _staying if not threads.work_for(each)]:
        _leave(each)
    if threads.work_for(session):
        stack = _staying[session] = ExitStack()
        stack.enter_context(installing.installed(current))
        stack.enter_context(threads.inheriting(_find_owner))
        stack.enter_context(session.guard_late(lambda: _works_for(session)))


def _works_for(session: Session) -> bool:
    handed = threads.owner()
    return handed is not None and handed.test is session


def leave() -> None:
    """Takes out what was installed, also for threads that have outlived their tests: the run has ended."""
    elsewhere.forget()
    for session in [*_staying]:
        _leave(session)
    while _installed and not _running:  # a run inside of a test leaves the test's own alone
        _installed.pop().close()


def _leave(session: Session) -> None:
    _staying.pop(session).close()
    session.report_late()


class use_cassette:  # noqa: N801 - used like a function, as vcr.use_cassette is
    """Opens a cassette for the requests inside: ``with use_cassette("x.yaml", mode="record"): ...``.

    Works with ``with`` and ``async with``, nests, and keeps concurrent tasks apart. Gives the `Session`. What is not
    given is as it is set for the test around it; outside of pytest it is the default.

    Args:
        path: the cassette file, relative to the working directory of when it is opened.
        mode: what to do with requests; by default what the pytest run does, outside of pytest ``replay``.
        settings: any setting of the marker, such as ``match_on`` or ``ignore_request``.

    Raises:
        SettingsError: for an unknown setting or a bad value.
        UnrecordedRequestError: at the end, if a client swallowed it.
        CassetteError: if the cassette cannot be read or written.
    """

    def __init__(self, path: str | Path, *, mode: str | None = None, **settings: object) -> None:
        self._path = path
        self._given: dict[str, Any] = read_values("use_cassette", {"mode": mode, **settings}, MARKER_SETTINGS)
        self._opened: tuple[Session, ExitStack] | None = None

    def __enter__(self) -> Session:
        session = self._make_session()
        session.load()
        return self._open(session)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        session = self._close()
        _settle(session, session.end(), error)

    async def __aenter__(self) -> Session:
        session = await in_thread(self._make_session)  # it may have to look for the project's settings
        await in_thread(session.load)
        return self._open(session)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        session = self._close()
        await in_thread(partial(_settle, session, session.end(), error))

    def _make_session(self) -> Session:
        if self._opened:
            raise StepReplayError("this use_cassette is open already; make one for each block")
        path = Path(disk.absolute(self._path))  # inside, a test may go into another folder
        run = host()
        around = _running[-1] if _running else None
        base = around.settings if around else run.settings() if run else Settings()
        settings = replace(base, cassette=None, **self._given)
        return Session(
            settings,
            path,
            shared=True,
            root=path.parent,
            around=around,
            owner=run.test() if run else "",
        )

    def _open(self, session: Session) -> Session:
        with ExitStack() as stack:
            stack.enter_context(installing.installed(current))
            stack.enter_context(threads.inheriting(_find_owner))
            if host() or not session.settings.mode.guards:  # a guard around it may keep the network away
                stack.enter_context(session.guard())
            stack.callback(_task.set, _task.get())
            _task.set(session)
            stack.callback(_blocks.remove, session)
            _blocks.append(session)
            self._opened = session, stack.pop_all()
        return session

    def _close(self) -> Session:
        if not self._opened:
            raise StepReplayError("this use_cassette is not open")
        (session, stack), self._opened = self._opened, None
        stack.close()
        return session


def _settle(session: Session, under_way: Sequence[Exchange], error: BaseException | None) -> None:
    """Does what is left to do for a block that ended with an error, or without one."""
    outcome = session.settle(under_way, passed=error is None, interrupted=isinstance(error, INTERRUPTIONS))
    run = host()
    if run:
        run.report(outcome)
    session.explain()
    if error is None and session.failures:
        raise session.failures[0]
