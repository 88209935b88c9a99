"""A test that leaves a socket open fails, and not the one that runs when the garbage collector finds the socket.

With ``filterwarnings = ["error"]`` the warning of an unclosed socket fails whichever test is running at that moment. So
what a test has left open is collected at its end. That takes a tenth of a second, and nearly no test needs it.
"""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from inspect import iscoroutinefunction
from threading import get_ident
from typing import Any, Final
from weakref import ref

import pytest

_CLIENTS: Final = frozenset({"openai", "anthropic", "httpx", "requests"})
_opened: Final[list[ref[Any]]] = []
"""The sockets that were opened since the last test has ended."""


def _note(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.__new__":
        with suppress(TypeError):  # gevent's own kind cannot be referred to in this way
            _opened.append(ref(args[0]))


sys.addaudithook(_note)


def _collected(since: int = 0) -> list[str]:
    """Collects the open sockets that nobody could close any more, without a warning, and returns what they are."""
    here, found = get_ident(), list[str]()

    def watch(each: Any) -> ref[Any]:
        what = repr(each)
        # A thread that still ends may let go of a socket of its own just now; that is no garbage.
        return ref(each, lambda _: found.append(what) if get_ident() == here else None)

    def watch_all() -> list[ref[Any]]:  # holds no socket once it has returned
        known = (each() for each in _opened[since:])
        return [watch(each) for each in known if each is not None and each.fileno() >= 0]

    if _watched := watch_all():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
    return found


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Looks for sockets once the last fixture of a test is torn down."""
    try:
        yield
        if found := _collected():
            pytest.fail(f"left open, close it or its client: {', '.join(found)}", pytrace=False)
    finally:
        _opened.clear()


def close_clients(names: Mapping[str, Any]) -> None:
    """Closes the clients that a module or a script names."""
    for value in [*names.values()]:
        close = getattr(value, "close", None)
        is_client = type(value).__module__.partition(".")[0] in _CLIENTS
        if is_client and callable(close) and not iscoroutinefunction(close):
            close()


class ClosedClients:
    """A plugin that closes the clients of test modules after a run in this process, as the end of its own would."""

    def __init__(self) -> None:
        self._modules: set[Any] = set()
        self._since = len(_opened)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Notes the modules."""
        self._modules = {item.module for item in items if isinstance(item, pytest.Function)}

    def pytest_unconfigure(self) -> None:
        """Closes the clients that the modules name, and collects those that tests have made for themselves."""
        for module in self._modules:
            close_clients(vars(module))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect(1)
        _collected(self._since)
