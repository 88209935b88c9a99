"""Whom a thread works for: the test, or the `use_cassette` block, that started it or gave a pool its task.

Python passes nothing on to a thread before 3.14, and to a pool's thread never. While `inheriting` is open, the two
places where work is handed to a thread note who handed it over; `owner` returns it in that thread.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


Holder = TypeVar("Holder")
"""A session, of which nothing is known here."""


@dataclass(frozen=True, slots=True)
class Owner(Generic[Holder]):
    """Whom a thread works for.

    Attributes:
        test: the session of the test.
        block: the innermost `use_cassette` at that place.
    """

    test: Holder | None
    block: Holder | None


_ATTRIBUTE: Final = "_stepreplay_owner"
_lock: Final = threading.Lock()
_users = 0
_filling: Any = threading.local()
_tasks: Final[dict[object, int]] = {}
"""How many tasks of pools each test has not seen the end of."""


def owner() -> Owner[Any] | None:
    """Returns whom the running thread works for; None where nobody knows, as in the main thread."""
    return _owner_of(threading.current_thread())


def work_for(test: object) -> bool:
    """Whether a thread, or a task in a pool, still works for a test."""
    if _tasks.get(test):
        return True
    owners = (_owner_of(thread) for thread in threading.enumerate())
    return any(each is not None and each.test is test for each in owners)


def is_at_work(thread: threading.Thread, session: object) -> bool:
    """Whether another thread than this one is working for a session."""
    if thread is threading.current_thread() or not thread.is_alive():
        return False
    found = _owner_of(thread)
    return found is not None and session in {found.test, found.block}


def start_for_nobody(thread: threading.Thread) -> None:
    """Starts a thread of our own, which works for none of the tests."""
    _real_start(thread)


@contextmanager
def inheriting(find_owner: Callable[[], Owner[Any] | None]) -> Iterator[None]:
    """Notes for whom threads and the tasks of pools are started, while at least one user is inside.

    Args:
        find_owner: returns whom the work that is handed over here and now is for.
    """
    global _users  # noqa: PLW0603 - patching is process-wide, and so is its count
    with _lock:
        if _users == 0:
            _patch(find_owner)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _put(_real_start, _real_submit)


def _owner_of(thread: threading.Thread) -> Owner[Any] | None:
    found: Owner[Any] | None = thread.__dict__.get(_ATTRIBUTE)
    return found


_real_start: Final = threading.Thread.start
_real_submit: Final[Callable[..., Future[Any]]] = ThreadPoolExecutor.submit


def _patch(find_owner: Callable[[], Owner[Any] | None]) -> None:
    @wraps(_real_start)
    def start(thread: threading.Thread) -> None:
        # A pool's thread outlives the task that it was started for, and works for whoever gives it the next one.
        if not getattr(_filling, "a_pool", False):
            thread.__dict__[_ATTRIBUTE] = find_owner()
        _real_start(thread)

    @wraps(_real_submit)
    def submit(pool: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        found = find_owner()
        _filling.a_pool = True
        try:
            future = _real_submit(pool, partial(_work, found, fn), *args, **named)
        finally:
            _filling.a_pool = False
        if found is not None and found.test is not None:
            _count(found.test, 1)
            future.add_done_callback(lambda _: _count(found.test, -1))
        return future

    _put(start, submit)


def _put(start: object, submit: object) -> None:
    for owner, name, function in (threading.Thread, "start", start), (ThreadPoolExecutor, "submit", submit):
        setattr(owner, name, function)


def _work(found: Owner[Any] | None, fn: Callable[..., Any], *args: Any, **named: Any) -> Any:
    state = threading.current_thread().__dict__
    before = state.get(_ATTRIBUTE)
    state[_ATTRIBUTE] = found
    try:
        return fn(*args, **named)
    finally:
        state[_ATTRIBUTE] = before


def _count(test: object, change: int) -> None:
    with _lock:
        if test is not None:
            _tasks[test] = _tasks.get(test, 0) + change
            if not _tasks[test]:
                del _tasks[test]
