"""The guard itself: it sees every call that could leave this machine, and refuses it or lets it pass.

Python's audit events report what the `socket` module does, in whatever thread and for whatever library. What they
report too late, or not at all, is checked by a wrapper that stands there only while a guard is open.
"""

from __future__ import annotations

import _socket
import socket
import sys
import sysconfig
import threading
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..commands import pytest_command
from ..errors import NetworkBlockedError, display_path
from ..settings.hosts import ANY_HOST, Hosts, is_this_machine, read_address, read_name
from ..value_classes import dataclass
from .compiled import LIBRARIES, Door, Target, addresses_in, door_owners, find_doors, hear_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import CodeType, FrameType

REPLAYS: Final = "this test replays a cassette"
"""Why a guard stands there, unless it is told another reason."""

_KEPT_ATTEMPTS: Final = 1000
_INTERNET: Final = frozenset({socket.AF_INET, socket.AF_INET6})
_PACKAGE: Final = str(Path(__file__).parents[1])


@dataclass(frozen=True, slots=True)
class Attempt:
    """One refused attempt to leave this machine.

    Attributes:
        host: the name or address asked for.
        port: the port or the name of the service, where one was given.
        call: what was called, such as ``socket.getaddrinfo``.
        caller: the function that called it, the innermost outside of the standard library.
        line: the project's own line that led there, as ``file:line``; empty where none did in this thread.
    """

    host: str
    port: int | str | None
    call: str
    caller: str
    line: str = ""

    def __str__(self) -> str:
        host = self.host if self.host.isprintable() else ascii(self.host)
        target = f"[{host}]" if ":" in host else host
        port = "" if self.port in (None, "") else f":{self.port}"
        caller = f", called by {self.caller}" if self.caller else ""
        line = f", from {self.line}" if self.line else ""
        return f"{target}{port} ({self.call}{caller}{line})"


class Log:
    """What one guard refused, in order; each attempt once."""

    def __init__(self) -> None:
        self._attempts: dict[Attempt, None] = {}

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The refused attempts so far."""
        with _lock:
            return tuple(self._attempts)

    def _add(self, attempt: Attempt) -> None:
        if len(self._attempts) < _KEPT_ATTEMPTS:
            self._attempts[attempt] = None


class _NetworkGuard:
    """One open `blocked`: which hosts it lets through, and the addresses that they were found to have."""

    def __init__(self, allowed: Hosts, why: str, applies: Callable[[], bool] | None) -> None:
        self.log = Log()
        self.why = why
        self.applies = applies
        self._allowed = allowed
        self._addresses: set[str] = set()
        self._to_look_up = set(allowed.names)

    def lets_through(self, host: str) -> bool:
        """Whether a host, by name or address, may be reached."""
        if self._allowed.include(host):
            return True
        address = read_address(host)
        if address is None:
            return False
        if str(address) in self._addresses or self._has_had(str(address)):
            return True
        if not _is_in_event_loop():  # there, a look-up would keep all other tasks waiting
            # The name may have been looked up before this was watched, as connection pools do.
            while self._to_look_up:
                self.look_up(self._to_look_up.pop())
        return str(address) in self._addresses

    def _has_had(self, address: str) -> bool:
        """Whether an allowed name was found to have an address, before the guard was there too."""
        with _lock:
            names = [name for name, addresses in _answers.items() if address in addresses]
        return any(map(self._allowed.include, names))

    def look_up(self, host: str) -> None:
        """Remembers the addresses of an allowed name: a connection is asked for by address."""
        if self._allowed.everything or read_address(host) is not None:
            return
        try:
            self.learn(socket.getaddrinfo(host, None))
        except OSError:  # the caller's own lookup will say so
            return

    def learn(self, answer: object) -> None:
        """Remembers the addresses in the answer to a look-up of an allowed name."""
        self._addresses.update(addresses_in(answer))


_guards: list[_NetworkGuard] = []
_answers: Final[dict[str, set[str]]] = {}
"""The addresses that names were found to have while something watched."""
_lock: Final = threading.RLock()
_thread: Any = threading.local()
_watchers = 0
_hooked = False


@contextmanager
def blocked(
    allowed_hosts: Iterable[str] = (), *, why: str = REPLAYS, applies: Callable[[], bool] | None = None
) -> Iterator[Log]:
    """Keeps every thread of the process from reaching another machine, until the block ends.

    Loopback and local sockets stay open. Of several such blocks the innermost, opened last, decides.

    Args:
        allowed_hosts: names or addresses that may be reached; ``*.example.com`` is every name below it.
        why: how the error message begins.
        applies: asked in the thread that tries; only threads for which it is true are guarded, and before any other
            guard.

    Yields:
        The log of what was refused; attempts in blocks inside this one are in it too.

    Raises:
        SettingsError: for what is not the name of a host.
    """
    allowed = Hosts.read([allowed_hosts] if isinstance(allowed_hosts, str) else allowed_hosts)
    guard = _NetworkGuard(allowed, why, applies)
    with watching():
        with _lock:
            _guards.append(guard)
        try:
            yield guard.log
        finally:
            with _lock:
                _guards.remove(guard)


@contextmanager
def watching() -> Iterator[None]:
    """Keeps what a guard needs in place, so that one guard after the other need not put it there anew.

    Nothing is refused where no guard is open.
    """
    global _watchers  # noqa: PLW0603 - a process has one watch
    with _lock:
        if not _watchers:
            _hook()
            _watch()
        else:
            _watch_new_doors()
        _watchers += 1
    try:
        yield
    finally:
        with _lock:
            _watchers -= 1
            if not _watchers:
                _unwatch()


@contextmanager
def opened() -> Iterator[None]:
    """Opens the network again inside a guard that is open; does nothing where none is."""
    if not _guards:
        yield
        return
    with blocked([ANY_HOST]):
        yield


def _hook() -> None:
    """Adds the audit hook, once: Python has no way to remove one."""
    global _hooked  # noqa: PLW0603 - a process has one hook
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True


def _audit(event: str, args: tuple[Any, ...]) -> None:
    __tracebackhide__ = True
    if not _guards:
        return
    if event == "import" and args[0].partition(".")[0] in LIBRARIES:
        _import_and_watch(args[0].partition(".")[0])
        return
    find_target = _TARGETS.get(event)
    if find_target is not None:
        target = find_target(args)
        if target is not None:
            is_lookup = event.startswith("socket.get")
            _check(event, *target, is_lookup=is_lookup, learns=is_lookup)


def _find_lookup(args: tuple[Any, ...]) -> Target:
    return args[0], args[1] if len(args) > 1 else None


def _find_address(args: tuple[Any, ...]) -> Target | None:
    """Returns host and port of the events of a socket; None where it stays on this machine by its kind."""
    connection, address = args[0], args[1]
    if connection.family not in _INTERNET or not isinstance(address, tuple) or len(address) < 2:
        return None
    return address[0], address[1]


# Source: the audit events table of the Python documentation. connect_ex raises socket.connect, and
# gethostbyname_ex raises socket.gethostbyname; asyncio, ssl and http.client go through these.
_TARGETS: Final[dict[str, Callable[[tuple[Any, ...]], Target | None]]] = {
    "socket.connect": _find_address,
    "socket.sendto": _find_address,
    "socket.sendmsg": _find_address,
    "socket.getaddrinfo": _find_lookup,
    "socket.gethostbyname": _find_lookup,
    "socket.gethostbyaddr": _find_lookup,
    "socket.getnameinfo": lambda args: (args[0][0], args[0][1]),
}


def _check(call: str, host: Any, port: Any, *, is_lookup: bool, learns: bool = False) -> None:
    """Lets the call pass, or logs it and raises.

    Args:
        call: what was called, for the message.
        host: what it was called with; anything.
        port: as well.
        is_lookup: whether the host is only looked up.
        learns: whether the addresses of an allowed name must be looked up here, since nobody sees the answer.
    """
    __tracebackhide__ = True  # where it was called is the news
    if getattr(_thread, "looks_up", False):
        return
    name = read_name(host)
    if name is None or is_this_machine(name, is_lookup=is_lookup):
        return
    with _lock:
        special = [guard for guard in _guards if guard.applies is not None]
        general = [guard for guard in _guards if guard.applies is None]
    deciding = [guard for guard in special if guard.applies and guard.applies()][-1:] or general
    if not deciding:
        return
    innermost = deciding[-1]
    _thread.looks_up = True
    try:
        passes = innermost.lets_through(name)
        if passes and learns and not getattr(_thread, "answers", False) and not _is_in_event_loop():
            innermost.look_up(name)
    except Exception:  # noqa: BLE001 - what cannot be decided is refused, and noted as what else is
        passes = False
    finally:
        _thread.looks_up = False
    if passes:
        _thread.allowed_by = innermost
        return
    service = read_name(port) if isinstance(port, bytes) else port
    try:
        caller, line = _find_caller()
    except Exception:  # noqa: BLE001 - whoever asked: that it was tried must be noted
        caller = line = ""
    attempt = Attempt(name, service, call, caller, line)
    with _lock:
        for guard in deciding:
            guard.log._add(attempt)
    raise NetworkBlockedError(_explain(innermost, attempt))


def _is_in_event_loop() -> bool:
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is not None and getattr(asyncio, "_get_running_loop", lambda: None)() is not None:
        return True
    trio: Any = sys.modules.get("trio")
    try:
        return trio is not None and trio.lowlevel.current_task() is not None
    except (AttributeError, RuntimeError):  # half imported, or not running
        return False


def _explain(guard: _NetworkGuard, attempt: Attempt) -> str:
    record = f"record the request, so that the cassette answers it: {pytest_command('--stepreplay=record')}"
    allow = f"allow the host: stepreplay_allowed_hosts = {attempt.host}"
    fixes = f"{record}\n       or {allow}" if guard.why == REPLAYS else allow
    return f"{guard.why} and may not reach {attempt}.\n  Fix: {fixes}"


def _find_caller() -> tuple[str, str]:
    """Returns the innermost function outside of the standard library, and the project's own line."""
    caller = line = ""
    installed = {*sysconfig.get_paths().values()}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not line:
        module = str(frame.f_globals.get("__name__", ""))
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            if not caller and module.partition(".")[0] not in sys.stdlib_module_names:
                caller = f"{module}.{frame.f_code.co_qualname}"
            if _is_own(frame.f_code, installed):
                line = f"{display_path(Path(frame.f_code.co_filename))}:{frame.f_lineno}"
        frame = frame.f_back
    return caller, line


def _is_own(code: CodeType, installed: Iterable[str]) -> bool:
    """Whether code is the project's, and not an installed library's or Python's own."""
    file = code.co_filename
    if file.startswith("<") or "site-packages" in file or "dist-packages" in file:
        return False
    return not any(file.startswith(folder) for folder in installed)


# What the audit events report too late or not at all. A socket looks up a name that it is given in C, before its
# event; asyncio looks names up in a thread that does not know who asked; libraries in C have sockets of their own.
_ADDRESS_AT: Final = {"connect": (0, 1), "connect_ex": (0, 1), "sendto": (-1, 2), "sendmsg": (3, 4)}
_SOCKET: Final = socket.socket
_standing: Final[list[tuple[Any, str, Any, Any]]] = []
_watched_doors: tuple[object, ...] = ()
_NOTHING: Final = object()


def _watch() -> None:
    for method, (at, fewest) in _ADDRESS_AT.items():
        if method not in vars(_SOCKET) and hasattr(_SOCKET, method):
            _stand(_SOCKET, method, _checking_address(method, at, fewest))
    _stand(_socket, "getaddrinfo", _learning(_socket.getaddrinfo))
    _watch_doors()


def _watch_new_doors() -> None:
    """A library that was imported while no guard was open has doors too."""
    if _watched_doors != door_owners(sys.modules):
        _watch_doors()


def _watch_doors() -> None:
    global _watched_doors  # noqa: PLW0603 - a process has one watch
    _watched_doors = door_owners(sys.modules)
    standing = {(id(owner), name) for owner, name, _, _ in _standing}
    for door in find_doors(sys.modules):
        if (id(door.owner), door.method) not in standing:
            _stand(door.owner, door.method, _checking_door(door))


def _import_and_watch(library: str) -> None:
    """A library that is imported while a guard is open is watched from its first use."""
    if getattr(_thread, "imports", False):
        return
    _thread.imports = True
    try:
        import_module(library)  # what goes wrong in there is the caller's error, as it would be without us
    finally:
        _thread.imports = False
    with _lock:
        if _guards:
            _watch_doors()


def _unwatch() -> None:
    _answers.clear()
    while _standing:
        owner, name, check, before = _standing.pop()
        if vars(owner).get(name) is not check:  # another library's by now
            continue
        if before is _NOTHING:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


def _stand(owner: Any, name: str, check: Any) -> None:
    _standing.append((owner, name, check, vars(owner).get(name, _NOTHING)))
    setattr(owner, name, check)


def _checking_address(method: str, at: int, fewest: int) -> Callable[..., Any]:
    original = getattr(_SOCKET, method)
    call = f"socket.{'connect' if method == 'connect_ex' else method}"

    @wraps(original)
    def checked(self: socket.socket, *args: Any) -> Any:
        __tracebackhide__ = True
        target = _find_address((self, args[at])) if len(args) >= fewest else None
        if target is not None:
            _check(call, *target, is_lookup=False)
        return original(self, *args)

    return checked


def _checking_door(door: Door) -> Callable[..., Any]:
    original = getattr(door.owner, door.method)
    learns = door.is_lookup and not door.asks_python

    @wraps(original)
    def checked(self: object, *args: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        _thread.allowed_by = None
        _check(door.call, *door.target(args, named), is_lookup=door.is_lookup)
        allowed_by = _thread.allowed_by
        if not learns or allowed_by is None:
            return original(self, *args, **named)
        return hear_answer(original, (self, *args), named, allowed_by.learn)

    return checked


def _learning(original: Callable[..., Any]) -> Callable[..., Any]:
    """A name may have other addresses each time it is asked for; those that the caller is given are allowed."""

    @wraps(original)
    def getaddrinfo(*args: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        if getattr(_thread, "looks_up", False):
            return original(*args, **named)
        _thread.answers, _thread.allowed_by = True, None
        try:
            found = original(*args, **named)
            allowed_by = _thread.allowed_by
        finally:
            _thread.answers = False
        if allowed_by is not None:
            allowed_by.learn(found)
        host = read_name(args[0] if args else named.get("host"))
        if host is not None and read_address(host) is None:
            with _lock:
                _answers.setdefault(host, set()).update(addresses_in(found))
        return found

    return getaddrinfo
