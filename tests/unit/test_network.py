"""Nothing leaves this machine while the guard is open, and everything may once it is closed.

The targets are TEST-NET addresses (RFC 5737, RFC 3849) and names under .invalid (RFC 2606), asked for only
where the attempt is refused before a packet is sent.
"""

from __future__ import annotations

import _socket
import asyncio
import http.client
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import requests

from pytest_stepreplay.errors import NetworkBlockedError, SettingsError, StepReplayError
from pytest_stepreplay.network import guard
from pytest_stepreplay.network.guard import Attempt
from pytest_stepreplay.settings.hosts import ANY_HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OUTSIDE = "192.0.2.1"
OUTSIDE6 = "2001:db8::1"
NAME = "api.example.invalid"


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python measures no audit hook, unless the hook says that it may."""
    monkeypatch.setattr(guard._audit, "__cantrace__", True, raising=False)


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    """A listening socket on loopback; the backlog accepts by itself."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    with socket.socket() as one:
        one.settimeout(5)
        yield one


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        yield one


def resolve(monkeypatch: pytest.MonkeyPatch, addresses: dict[str, str]) -> list[str]:
    """Stands in for the system's resolver, behind the audit event; returns the names it was asked for."""
    asked = []

    def getaddrinfo(host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        sys.audit("socket.getaddrinfo", host, port, 0, 0, 0)
        asked.append(host)
        if host.lower() not in addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (addresses[host.lower()], port or 0))]

    monkeypatch.setattr(_socket, "getaddrinfo", getaddrinfo)
    return asked


def audited_connect(self: socket.socket, address: Any) -> None:
    """Stands in for a connect that the guard lets pass, so that no packet is sent."""
    sys.audit("socket.connect", self, address)


def open_with_asyncio(host: str) -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection(host, 80), 5))


def connect(address: Any, method: str = "connect") -> None:
    with socket.socket(socket.AF_INET6 if ":" in str(address[0]) else socket.AF_INET) as one:
        one.settimeout(5)
        getattr(one, method)(address)


def send(*args: Any, method: str = "sendto") -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        getattr(one, method)(*args)


def fetch(host: str) -> None:
    http.client.HTTPSConnection(host, timeout=5).request("GET", "/")


LOOKUP, CONNECT = "socket.getaddrinfo", "socket.connect"
IN_LOOP = "BaseEventLoop.getaddrinfo"
ATTEMPTS: dict[str, tuple[Callable[[], object], str, str, str]] = {
    "connect to an address": (lambda: connect((OUTSIDE, 80)), OUTSIDE, ":80", CONNECT),
    "connect to a name": (lambda: connect((NAME, 80)), NAME, ":80", CONNECT),
    "connect to a name in bytes": (lambda: connect((NAME.encode(), 80)), NAME, ":80", CONNECT),
    "connect_ex": (lambda: connect((OUTSIDE, 80), "connect_ex"), OUTSIDE, ":80", CONNECT),
    "connect_ex to a name": (lambda: connect((NAME, 80), "connect_ex"), NAME, ":80", CONNECT),
    "IPv6": (lambda: connect((OUTSIDE6, 80)), OUTSIDE6, ":80", CONNECT),
    "IPv6 with a scope": (lambda: connect(("fe80::1%lo", 80, 0, 1)), "fe80::1%lo", ":80", CONNECT),
    "IPv4 in IPv6": (lambda: connect((f"::ffff:{OUTSIDE}", 80)), f"::ffff:{OUTSIDE}", ":80", CONNECT),
    "broadcast": (lambda: send(b"x", ("<broadcast>", 9)), "<broadcast>", ":9", "socket.sendto"),
    "sendto": (lambda: send(b"x", (OUTSIDE, 9)), OUTSIDE, ":9", "socket.sendto"),
    "sendto with flags": (lambda: send(b"x", 0, (NAME, 9)), NAME, ":9", "socket.sendto"),
    "sendmsg": (lambda: send([b"x"], [], 0, (NAME, 9), method="sendmsg"), NAME, ":9", "socket.sendmsg"),
    "getaddrinfo": (lambda: socket.getaddrinfo(NAME, "https"), NAME, ":https", LOOKUP),
    "getaddrinfo in bytes": (lambda: socket.getaddrinfo(NAME.encode(), b"1"), NAME, ":1", LOOKUP),
    "getaddrinfo of an address": (lambda: socket.getaddrinfo(OUTSIDE, None), OUTSIDE, "", LOOKUP),
    "getaddrinfo in capitals": (lambda: socket.getaddrinfo(NAME.upper() + ".", 1), NAME, ":1", LOOKUP),
    "a name of hexadecimal digits": (lambda: socket.getaddrinfo("decade", 1), "decade", ":1", LOOKUP),
    "gethostbyname": (lambda: socket.gethostbyname(NAME), NAME, "", "socket.gethostbyname"),
    "gethostbyname_ex": (lambda: socket.gethostbyname_ex(NAME), NAME, "", "socket.gethostbyname"),
    "gethostbyaddr": (lambda: socket.gethostbyaddr(OUTSIDE), OUTSIDE, "", "socket.gethostbyaddr"),
    "getnameinfo": (lambda: socket.getnameinfo((OUTSIDE, 80), 0), OUTSIDE, ":80", "socket.getnameinfo"),
    "create_connection": (lambda: socket.create_connection((NAME, 80), 5), NAME, ":80", LOOKUP),
    "asyncio by name": (lambda: open_with_asyncio(NAME), NAME, ":80", IN_LOOP),
    "asyncio by address": (lambda: open_with_asyncio(OUTSIDE), OUTSIDE, ":80", CONNECT),
    "http.client": (lambda: fetch(NAME), NAME, ":443", LOOKUP),
    "urllib": (lambda: urllib.request.urlopen(f"http://{NAME}/", timeout=5), NAME, ":80", LOOKUP),
    "requests": (lambda: requests.get(f"http://{OUTSIDE}/", timeout=5), OUTSIDE, ":80", LOOKUP),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_what_would_leave_this_machine_is_refused(name: str) -> None:
    attempt, host, port, call = ATTEMPTS[name]
    with guard.blocked() as log, pytest.raises(NetworkBlockedError) as caught:
        attempt()
    target = f"[{host}]{port}" if ":" in host else host + port
    message = str(caught.value)
    assert message.startswith(f"this test replays a cassette and may not reach {target} ({call}")
    assert f"stepreplay_allowed_hosts = {host}" in message
    assert "--stepreplay=record" in message
    assert [(one.host, one.call) for one in log.attempts] == [(host, call)]


def test_other_threads_are_guarded_too(tcp: socket.socket) -> None:
    caught: list[BaseException] = []

    def attempt() -> None:
        try:
            tcp.connect((OUTSIDE, 80))
        except NetworkBlockedError as error:
            caught.append(error)

    with guard.blocked() as log:
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert len(caught) == len(log.attempts) == 1


def test_clients_that_swallow_the_error_are_found_in_the_log() -> None:
    with guard.blocked() as log:
        for _ in range(3):
            try:
                socket.create_connection((NAME, 443), 5)
            except RuntimeError:
                continue
    [attempt] = log.attempts
    assert attempt == Attempt(NAME, 443, "socket.getaddrinfo", attempt.caller, attempt.line)
    assert attempt.caller.endswith("test_clients_that_swallow_the_error_are_found_in_the_log")
    assert str(attempt).startswith(f"{NAME}:443 (socket.getaddrinfo, called by tests.")


def test_the_caller_is_the_library_and_the_line_is_the_projects(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.chdir(pytestconfig.rootpath)
    with guard.blocked() as log, pytest.raises(NetworkBlockedError) as caught:
        requests.get(f"http://{NAME}/", timeout=5)
    [attempt] = log.attempts
    assert attempt.caller == "urllib3.util.connection.create_connection"
    file, _, number = attempt.line.partition(":")
    assert file == "tests/unit/test_network.py"
    assert "requests.get" in Path(__file__).read_text(encoding="utf-8").splitlines()[int(number) - 1]
    assert f"called by {attempt.caller}, from {attempt.line})" in str(caught.value)


def test_a_coroutine_is_told_its_own_line() -> None:
    """asyncio looks names up in a thread, where nobody knows who asked."""

    async def ask() -> None:
        connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
        async with aiohttp.ClientSession(connector=connector) as session:
            await session.get(f"http://{NAME}/")

    with guard.blocked() as log, pytest.raises(NetworkBlockedError):
        asyncio.run(ask())
    [attempt] = log.attempts
    assert attempt.call == IN_LOOP
    assert attempt.caller.startswith("aiohttp.resolver.")


def test_uvloop_has_no_back_door(server: tuple[str, int]) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def attempts() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, uvloop.Loop)
        for attempt in (
            lambda: loop.getaddrinfo(NAME, 80),
            lambda: loop.getaddrinfo(host=NAME, port=80),
            lambda: loop.getnameinfo((OUTSIDE, 80), 0),
            lambda: loop.create_connection(asyncio.Protocol, NAME, 80),
            lambda: loop.create_connection(asyncio.Protocol, host=OUTSIDE, port=80),
            lambda: loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(OUTSIDE, 9)),
            lambda: asyncio.open_connection(NAME, 80),
        ):
            with pytest.raises(NetworkBlockedError):
                await attempt()
        await open_and_close(server)
        connected = socket.create_connection(server, 5)
        connected.setblocking(False)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=connected)
        transport.close()
        wrong: Any = ("one",)
        with pytest.raises((TypeError, ValueError)):
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=wrong)

    with guard.blocked() as log:
        uvloop.run(attempts())
    assert {one.call for one in log.attempts} == {
        "Loop.getaddrinfo",
        "Loop.getnameinfo",
        "Loop.create_connection",
        "Loop.create_datagram_endpoint",
    }
    assert "getaddrinfo" not in vars(uvloop.Loop)


def test_a_resolver_in_c_has_no_back_door(monkeypatch: pytest.MonkeyPatch) -> None:
    aiodns = pytest.importorskip("aiodns")
    asked = resolve(monkeypatch, {"db.example.invalid": "127.0.0.1"})

    async def attempts() -> None:
        resolver = aiodns.DNSResolver(nameservers=["127.0.0.1"], timeout=0.01, tries=1)
        tries: list[Callable[[], Any]] = [
            lambda: resolver.query_dns(NAME, "A"),
            lambda: resolver.getaddrinfo(NAME),
            lambda: resolver.gethostbyaddr(OUTSIDE),
            lambda: resolver.getnameinfo((OUTSIDE, 80)),
        ]
        for attempt in tries:
            with pytest.raises(NetworkBlockedError):
                await attempt()
        with pytest.raises(aiodns.error.DNSError):
            await resolver.query_dns("db.example.invalid", "A")
        await resolver.close()

    with guard.blocked(["db.example.invalid"]) as log:
        asyncio.run(attempts())
    assert [(one.host, one.call) for one in log.attempts] == [
        (NAME, "Channel.query"),
        (NAME, "Channel.getaddrinfo"),
        (OUTSIDE, "Channel.gethostbyaddr"),
        (OUTSIDE, "Channel.getnameinfo"),
    ]
    assert asked == [], "an event loop waits for no look-up of ours"


def test_a_library_that_is_first_imported_under_the_guard_has_no_back_door() -> None:
    code = """
import sys
from pytest_stepreplay import NetworkBlockedError
from pytest_stepreplay.network.guard import blocked
with blocked() as log:
    assert not {"asyncio", "pycares", "uvloop"} & sys.modules.keys(), "nobody pays for what he does not use"
    import asyncio.queues
    async def ask():
        await asyncio.get_running_loop().getaddrinfo("api.example.invalid", 80)
    for runner in ("asyncio", "uvloop"):
        try:
            __import__(runner).run(ask())
        except NetworkBlockedError:
            continue
    try:
        import uvloop.nothing
    except ModuleNotFoundError:
        pass
print(*(attempt.call for attempt in log.attempts))
"""
    pytest.importorskip("uvloop")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["BaseEventLoop.getaddrinfo", "Loop.getaddrinfo"]


def test_a_guard_for_some_threads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {NAME: OUTSIDE, "db.example.invalid": OUTSIDE})
    caught: list[str] = []

    def attempt() -> None:
        for host in (NAME, "db.example.invalid"):
            try:
                socket.getaddrinfo(host, 80)
            except NetworkBlockedError as error:
                caught.append(str(error))

    thread = threading.Thread(target=attempt)
    guarded = guard.blocked(
        ["db.example.invalid"], why="it is late", applies=lambda: threading.current_thread() is thread
    )
    with guarded as late:
        assert socket.getaddrinfo(NAME, 80)
        with guard.opened():
            thread.start()
            thread.join()
    assert [one.host for one in late.attempts] == [NAME]
    [message] = caught
    assert message.startswith(f"it is late and may not reach {NAME}:80 (socket.getaddrinfo, called by ")
    assert message.endswith(f"\n  Fix: allow the host: stepreplay_allowed_hosts = {NAME}")
    with guard.opened():
        assert socket.getaddrinfo(NAME, 80), "without a guard it does nothing"


def test_the_log_does_not_grow_for_ever(udp: socket.socket) -> None:
    with guard.blocked() as log:
        for port in range(1, 1200):
            with pytest.raises(NetworkBlockedError):
                udp.sendto(b"x", (OUTSIDE, port))
    assert len(log.attempts) == 1000


def test_loopback_stays_open(server: tuple[str, int], tcp: socket.socket, udp: socket.socket) -> None:
    with guard.blocked() as log:
        tcp.connect(server)
        with socket.create_connection(("localhost", server[1]), 5):
            pass
        with socket.create_connection(("127.1", server[1]), 5):
            pass
        udp.sendto(b"x", ("127.0.0.1", 9))
        assert socket.getaddrinfo(None, 80)
        assert socket.gethostbyname("")
        assert socket.getaddrinfo("::1", 80)
        assert socket.getaddrinfo("0.0.0.0", 80)
        assert socket.gethostbyname("localhost")
        assert socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)
        asyncio.run(asyncio.wait_for(open_and_close(server), 5))
    assert log.attempts == ()


async def open_and_close(server: tuple[str, int]) -> None:
    _, writer = await asyncio.open_connection(*server)
    writer.close()
    await writer.wait_closed()


def test_local_sockets_stay_open() -> None:
    with guard.blocked():
        one, other = socket.socketpair()
        with one, other:
            one.send(b"x")
            assert other.recv(1) == b"x"
            if hasattr(one, "sendmsg"):
                one.sendmsg([b"y"])
                one.sendmsg([b"z"], (), 0)
                assert other.recv(2) == b"yz"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no such sockets")
def test_a_unix_socket_that_is_called_like_a_host(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as one:
        listening.bind(NAME)
        listening.listen()
        with guard.blocked():
            one.connect(NAME)


def test_servers_may_look_up_their_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolve(monkeypatch, {NAME: OUTSIDE})
    monkeypatch.setattr(socket, "gethostname", NAME.title)
    with guard.blocked():
        assert socket.getaddrinfo(NAME, 80)
        with pytest.raises(NetworkBlockedError):
            connect((OUTSIDE, 80))
        with pytest.raises(NetworkBlockedError):
            connect((NAME, 80))
    assert asked == [NAME]


def test_mistakes_of_the_caller_stay_what_they_are(tcp: socket.socket) -> None:
    with guard.blocked() as log:
        for wrong in [(5, 80), (None, 80), ("127.0.0.1",), "127.0.0.1", None]:
            with pytest.raises((TypeError, AttributeError)):
                tcp.connect(wrong)  # type: ignore[arg-type] # that is what is tested
        with pytest.raises(TypeError):
            socket.getaddrinfo(5, 80)  # type: ignore[arg-type] # that is what is tested
        with pytest.raises(TypeError):
            tcp.connect()  # type: ignore[call-arg] # that is what is tested
    assert log.attempts == ()


def test_allowed_by_name_the_addresses_of_that_name_may_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolve(monkeypatch, {"db.example.invalid": OUTSIDE, "a.b.example.invalid": "192.0.2.2"})
    monkeypatch.setattr(socket.socket, "connect", audited_connect)
    with guard.blocked(["DB.example.invalid", "*.b.example.invalid", "192.0.2.77", "[2001:db8::7]"]) as log:
        connect((OUTSIDE, 80))  # its name may have been looked up before
        socket.getaddrinfo("db.example.invalid", 80)
        connect((OUTSIDE, 80))
        socket.getaddrinfo("A.b.example.invalid", 80)
        connect(("192.0.2.2", 80))
        connect(("192.0.2.77", 80))
        connect(("2001:db8::7", 80))
        connect(("::ffff:192.0.2.77", 80))
        for name in [
            "b.example.invalid",
            "xb.example.invalid",
            "example.invalid",
            "db.example.invalid.other.invalid",
        ]:
            with pytest.raises(NetworkBlockedError):
                socket.getaddrinfo(name, 80)
        with pytest.raises(NetworkBlockedError):
            connect(("192.0.2.3", 80))
    assert len(log.attempts) == 5
    assert asked == ["db.example.invalid", "db.example.invalid", "A.b.example.invalid"]


def test_the_addresses_that_a_caller_is_given_may_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that has other addresses each time it is asked for would be refused at random otherwise."""
    addresses = {NAME: OUTSIDE}
    resolve(monkeypatch, addresses)
    monkeypatch.setattr(socket.socket, "connect", audited_connect)
    with guard.blocked([NAME]):
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
            addresses[NAME] = address
            socket.create_connection((NAME, 80), 5).close()
        connect(("192.0.2.1", 80))
        with pytest.raises(NetworkBlockedError):
            connect(("192.0.2.4", 80))


def test_an_allowed_name_that_nobody_knows_is_the_callers_error(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {})
    with guard.blocked([NAME]) as log, pytest.raises(socket.gaierror):
        socket.getaddrinfo(NAME, 80)
    assert log.attempts == ()


def test_a_lookup_whose_answer_nobody_sees_is_made_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolve(monkeypatch, {NAME: OUTSIDE})
    monkeypatch.setattr(socket.socket, "connect", audited_connect)
    with guard.blocked([NAME, "unknown.example.invalid"]):
        sys.audit("socket.gethostbyname", NAME)
        connect((OUTSIDE, 80))
        sys.audit("socket.gethostbyname", "unknown.example.invalid")
    assert asked == [NAME, "unknown.example.invalid"]
    with guard.blocked([ANY_HOST]):
        sys.audit("socket.gethostbyname", NAME)
    assert len(asked) == 2, "where all is open, nothing has to be known"


def test_international_names(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {"xn--bcher-kva.invalid": OUTSIDE, "bücher.invalid": OUTSIDE})
    with guard.blocked("bücher.invalid") as log:
        assert socket.getaddrinfo("xn--bcher-kva.invalid", 80)
        assert socket.getaddrinfo("BÜCHER.invalid".lower(), 80)
        with pytest.raises(NetworkBlockedError):
            socket.getaddrinfo("bü\u202ecker..invalid", 80)
    assert "\u202e" not in str(log.attempts[0])


@pytest.mark.parametrize(
    "host",
    ["https://api.example.com", "api.example.com/v1", "api.example.com:443", "", "*.*.com", "a*.com", "a b"],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="is not the name or address of a host"), guard.blocked([host]):
        pass


def test_the_innermost_decides_and_all_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {NAME: OUTSIDE})
    with guard.blocked() as outer:
        with guard.blocked([ANY_HOST]) as inner:
            assert socket.getaddrinfo(NAME, 80)
        with guard.blocked() as strict, pytest.raises(NetworkBlockedError):
            socket.getaddrinfo(NAME, 80)
        with pytest.raises(NetworkBlockedError):
            socket.getaddrinfo(NAME, 81)
    assert inner.attempts == ()
    assert [one.port for one in strict.attempts] == [80]
    assert [one.port for one in outer.attempts] == [80, 81]


def test_afterwards_nothing_is_blocked(server: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: vars(socket.socket).get(name) for name in ("connect", "connect_ex", "sendto", "sendmsg")}
    for _ in range(3):
        with guard.blocked(), guard.blocked():
            pass
        with pytest.raises(ZeroDivisionError), guard.blocked():
            raise ZeroDivisionError
    assert {name: vars(socket.socket).get(name) for name in before} == before
    with socket.create_connection(server, 5):
        pass
    resolve(monkeypatch, {NAME: OUTSIDE})
    assert socket.getaddrinfo(NAME, 80)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect((OUTSIDE, 9))  # gives a datagram socket its peer; sends nothing
        assert one.getpeername() == (OUTSIDE, 9)


def test_another_librarys_method_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        with guard.blocked():
            patch.setattr(socket.socket, "connect", audited_connect)
        assert vars(socket.socket)["connect"] is audited_connect
        with guard.blocked(), pytest.raises(NetworkBlockedError):
            connect((OUTSIDE, 80))
        assert vars(socket.socket)["connect"] is audited_connect
    # What the other library put back is our check, which does no harm by itself.
    with guard.blocked(), pytest.raises(NetworkBlockedError):
        connect((NAME, 80))
    del socket.socket.connect


def test_an_attempt_while_the_last_guard_closes_passes() -> None:
    # The hook looks at the guards twice: before the check, and under the lock.
    with guard.blocked():
        pass
    guard._check("socket.connect", OUTSIDE, 80, is_lookup=False)


def test_the_error_is_one_of_ours_and_a_runtime_error() -> None:
    assert issubclass(NetworkBlockedError, StepReplayError)
    assert issubclass(NetworkBlockedError, RuntimeError)


def test_importing_adds_no_hook() -> None:
    code = (
        "import sys; sys.addaudithook = lambda hook: print('hooked'); "
        "from pytest_stepreplay.network import guard as n; n.blocked; print('imported')\n"
        "with n.blocked(): print('open')\n"
        "with n.blocked(): print('open')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["imported", "hooked", "open", "open"]


class _Names(threading.Thread):
    """A server of names on this machine, which knows one address for each of them."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._address = socket.inet_aton(address)

    def run(self) -> None:
        while True:
            question, client = self._socket.recvfrom(512)
            if not question:
                break
            end = question.index(b"\0", 12) + 5
            record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + self._address
            if (
                question[end - 4 : end - 2] != b"\0\x01"
            ):  # it is asked for something else than an IPv4 address
                record = b""
            head = question[:2] + b"\x81\x80\0\x01\0" + bytes([bool(record)]) + b"\0\0\0\0"
            self._socket.sendto(head + question[12:end] + record, client)
        self._socket.close()

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"", ("127.0.0.1", self.port))
        self.join()


@pytest.mark.parametrize("method", ["getaddrinfo", "query_dns"])
def test_what_a_resolver_in_c_finds_may_be_reached(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    aiodns = pytest.importorskip("aiodns")
    asked = resolve(monkeypatch, {})
    monkeypatch.setattr(socket.socket, "connect", audited_connect)
    names = _Names(OUTSIDE)
    names.start()

    async def ask() -> None:
        resolver = aiodns.DNSResolver(nameservers=["127.0.0.1"], udp_port=names.port, timeout=5)
        more: dict[str, tuple[Any, ...]] = {"query_dns": ("A",)}
        await getattr(resolver, method)("db.example.com", *more.get(method, ()))
        connect((OUTSIDE, 80))
        with pytest.raises(NetworkBlockedError):
            connect(("192.0.2.3", 80))
        await resolver.close()

    with guard.blocked(["db.example.com"]):
        asyncio.run(ask())
    names.stop()
    assert asked == []


def test_in_an_event_loop_nothing_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolve(monkeypatch, {"db.example.invalid": OUTSIDE})
    monkeypatch.setattr(socket.socket, "connect", audited_connect)

    async def reach() -> None:
        connect((OUTSIDE, 80))

    with guard.watching():
        with guard.blocked(["db.example.invalid"]) as log, pytest.raises(NetworkBlockedError):
            asyncio.run(reach())
        assert asked == []
        assert len(log.attempts) == 1
        socket.getaddrinfo("db.example.invalid", 80)  # by a pool, say, before the test
        with guard.blocked(["*.example.invalid"]):
            asyncio.run(reach())
    assert asked == ["db.example.invalid"]
