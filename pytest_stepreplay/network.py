"""The guard that keeps a replaying test on this machine, whatever library it uses.

While `blocked` is open, every connection, datagram and name lookup that Python sees here is checked. One that
would leave this machine raises `NetworkBlockedError` before a packet is sent, and is logged. Out of
sight are connections made before, other processes, and extensions that call the system themselves.
"""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final

from .errors import NetworkBlockedError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

ANY_HOST: Final = "*"
"""Allows every host: what a nested guard takes to open the network again."""

_KEPT_ATTEMPTS: Final = 1000
_INTERNET: Final = frozenset({socket.AF_INET, socket.AF_INET6})
_THIS_MACHINE: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One refused attempt to leave this machine.

    Attributes:
        host: the name or address asked for.
        port: the port or the name of the service, where one was given.
        call: what was called, such as ``socket.getaddrinfo``.
        caller: the function that called it, the innermost outside of the standard library.
    """

    host: str
    port: int | str | None
    call: str
    caller: str

    def __str__(self) -> str:
        host = self.host if self.host.isprintable() else ascii(self.host)
        target = f"[{host}]" if ":" in host else host
        where = f", called by {self.caller}" if self.caller else ""
        return f"{target}{'' if self.port in (None, '') else f':{self.port}'} ({self.call}{where})"


class Log:
    """What one guard refused, in order; each attempt once."""

    def __init__(self) -> None:
        self._attempts: dict[Attempt, None] = {}

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The refused attempts so far."""
        return tuple(self._attempts)

    def _add(self, attempt: Attempt) -> None:
        if len(self._attempts) < _KEPT_ATTEMPTS:
            self._attempts[attempt] = None


class _Guard:
    """One open `blocked`: which names it lets through, and the addresses they were found to have."""

    def __init__(self, allowed_hosts: Iterable[str]) -> None:
        self.log = Log()
        self._names: set[str] = set()
        self._endings: list[str] = []
        self._addresses: set[str] = set()
        self._everything = False
        for host in allowed_hosts:
            self._allow(host)

    def _allow(self, host: str) -> None:
        name = _plain_name(host)
        address = _read_address(name)
        if name == ANY_HOST:
            self._everything = True
        elif address is not None:
            self._addresses.add(str(address))
        elif not name or set(name) & set("/:@ ") or "*" in name.removeprefix("*."):
            raise SettingsError(
                f"allowed hosts: {host!r} is not the name or address of a host; "
                "write it without scheme, port and path: api.example.com, *.example.com or 192.0.2.1"
            )
        elif name.startswith("*."):
            self._endings.append(name[1:])
        else:
            self._names.add(name)

    def lets_through(self, host: str) -> bool:
        """Whether a host, by name or address, may be reached."""
        if self._everything:
            return True
        address = _read_address(host)
        if address is not None:
            return str(address) in self._addresses
        return host in self._names or host.endswith(tuple(self._endings))

    def learn(self, host: str) -> None:
        """Looks up an allowed name and remembers its addresses: a connection is asked for by address."""
        if self._everything or _read_address(host) is not None:
            return
        try:
            found = socket.getaddrinfo(host, None)
        except OSError:  # the caller's own lookup will say so
            return
        self._addresses.update(str(_read_address(str(entry[4][0]))) for entry in found)


_guards: list[_Guard] = []
_lock: Final = threading.RLock()
_thread: Final = threading.local()
_hooked = False


@contextmanager
def blocked(allowed_hosts: Iterable[str] = ()) -> Iterator[Log]:
    """Keeps every thread of the process from reaching another machine, until the block ends.

    Loopback and local sockets stay open. Of several such blocks the innermost, opened last, decides.

    Args:
        allowed_hosts: names or addresses that may be reached; ``*.example.com`` is every name below it.

    Yields:
        The log of what was refused; attempts in blocks inside this one are in it too.

    Raises:
        SettingsError: for what is not the name of a host.
    """
    guard = _Guard([allowed_hosts] if isinstance(allowed_hosts, str) else allowed_hosts)
    with _lock:
        _hook()
        if not _guards:
            _check_names_first()
        _guards.append(guard)
    try:
        yield guard.log
    finally:
        with _lock:
            _guards.remove(guard)
            if not _guards:
                _stop_checking_names()


def _hook() -> None:
    """Adds the audit hook, once: Python has no way to remove one."""
    global _hooked  # noqa: PLW0603 - a process has one hook
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _guards:
        return
    find_target = _TARGETS.get(event)
    if find_target is not None:
        target = find_target(args)
        if target is not None:
            _check(event, *target)


def _find_lookup(args: tuple[Any, ...]) -> tuple[Any, Any] | None:
    return args[0], args[1] if len(args) > 1 else None


def _find_address(args: tuple[Any, ...]) -> tuple[Any, Any] | None:
    """Returns host and port of the events of a socket; None where it stays on this machine by its kind."""
    connection, address = args[0], args[1]
    if connection.family not in _INTERNET or not isinstance(address, tuple) or len(address) < 2:
        return None
    return address[0], address[1]


# Source: the audit events table of the Python documentation. connect_ex raises socket.connect, and
# gethostbyname_ex raises socket.gethostbyname; asyncio, ssl and http.client go through these.
_TARGETS: Final[dict[str, Callable[[tuple[Any, ...]], tuple[Any, Any] | None]]] = {
    "socket.connect": _find_address,
    "socket.sendto": _find_address,
    "socket.sendmsg": _find_address,
    "socket.getaddrinfo": _find_lookup,
    "socket.gethostbyname": _find_lookup,
    "socket.gethostbyaddr": _find_lookup,
    "socket.getnameinfo": lambda args: (args[0][0], args[0][1]),
}


def _check(call: str, host: Any, port: Any) -> None:
    """Lets the call pass, or logs it and raises."""
    if getattr(_thread, "learning", False):
        return
    name = _read_name(host)
    if name is None or _is_this_machine(name, is_lookup=call.startswith("socket.get")):
        return
    with _lock:
        if not _guards:
            return
        innermost, logs = _guards[-1], [guard.log for guard in _guards]
    if innermost.lets_through(name):
        _thread.learning = True
        try:
            innermost.learn(name)
        finally:
            _thread.learning = False
        return
    attempt = Attempt(name, _read_name(port) if isinstance(port, bytes) else port, call, _find_caller())
    for log in logs:
        log._add(attempt)
    raise NetworkBlockedError(_explain(attempt))


def _explain(attempt: Attempt) -> str:
    return (
        f"this test replays a cassette and may not reach {attempt}.\n"
        "  Fix: record the request, so that the cassette answers it: pytest --stepreplay=record\n"
        f"       or allow the host: stepreplay_allowed_hosts = {attempt.host}"
    )


def _read_name(host: Any) -> str | None:
    """Returns a host as plain lower-case text; None for no host, or for what no socket takes as one."""
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("utf-8", "backslashreplace")
    return _plain_name(host) if isinstance(host, str) else None


def _plain_name(host: str) -> str:
    name = host.strip().lower().rstrip(".")
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if name.isascii():
        return name
    try:  # allowed names and those asked for must be spelt alike
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def _read_address(host: str) -> IPv4Address | IPv6Address | None:
    """Returns the address that a text spells; None for a name."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        if not host or set(host) - set("0123456789abcdefx."):
            return None
        try:  # other spellings that the system takes: 127.1, 0x7f000001
            return IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_this_machine(host: str, *, is_lookup: bool) -> bool:
    if host == "" or host in _THIS_MACHINE or host.endswith(".localhost"):
        return True
    address = _read_address(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    # Servers look up the machine's own name when they start; its address is checked when it is used.
    return is_lookup and host == _plain_name(socket.gethostname())


def _find_caller() -> str:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module != __name__ and module.partition(".")[0] not in sys.stdlib_module_names:
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return ""


# A socket looks up a name that it is given in C, before its audit event. While a guard is open, these methods
# of Python's own socket class check the name first; they stand on that class, over those of its C base.
_SOCKET: Final = socket.socket
_ADDRESS_AT: Final = {"connect": (0, 1), "connect_ex": (0, 1), "sendto": (-1, 2), "sendmsg": (3, 4)}
_checks: Final[dict[str, Callable[..., Any]]] = {}


def _check_names_first() -> None:
    for method, (at, fewest) in _ADDRESS_AT.items():
        if method not in vars(_SOCKET) and hasattr(_SOCKET, method):
            _checks[method] = _checking(method, at, fewest)
            setattr(_SOCKET, method, _checks[method])


def _stop_checking_names() -> None:
    for method, check in _checks.items():
        if vars(_SOCKET).get(method) is check:  # and not another library's by now
            delattr(_SOCKET, method)
    _checks.clear()


def _checking(method: str, at: int, fewest: int) -> Callable[..., Any]:
    original = getattr(_SOCKET, method)

    @wraps(original)
    def checked(self: socket.socket, *args: Any) -> Any:
        target = _find_address((self, args[at])) if len(args) >= fewest else None
        if target is not None:
            _check(f"socket.{'connect' if method == 'connect_ex' else method}", *target)
        return original(self, *args)

    return checked
