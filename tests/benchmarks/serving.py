"""Servers that replay, in processes of their own, and what they add to a request that many connections send.

Requests go out at a steady rate, as those of applications do, each connection's turn coming once it has its answer; then as
fast as they are answered, which says how much a server can do, and whether its memory grows.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from .environments import MITMPROXY, OURS, REPOSITORY, Environments
from .inside.bare_server import CONTENT
from .measuring import BenchmarkError, Values

ALONE: Final = "the upstream alone"
AIMOCK: Final = "aimock"
AT_ONCE: Final = 200
"""Connections of those that ask as fast as they are answered."""
_PROMPT: Final = "Say hello."
_BODY: Final = json.dumps({"model": "m", "messages": [{"role": "user", "content": _PROMPT}]}).encode()
_PATIENCE: Final = 60.0


class _Connection:
    """One connection that is kept alive."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self._host, self._port = parts.hostname or "", parts.port
        head = f"POST {parts.path}/chat/completions HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer k\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n"
        self._request = head.encode() + _BODY

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def ask(self) -> float:
        """Returns the seconds until the answer was whole."""
        started = time.perf_counter()
        self._writer.write(self._request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head[:20]:
            raise BenchmarkError(f"a server answered {head.decode('latin-1')}")
        if b"transfer-encoding: chunked" in head:
            while size := int(await self._reader.readline(), 16):
                await self._reader.readexactly(size + 2)
            await self._reader.readline()
        else:
            await self._reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        return time.perf_counter() - started

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def ask_steadily(base: str, connections: int, rate: int, requests: int) -> Values:
    """Returns the median and the 99th percentile of requests that go out at a steady rate, over all connections."""
    found: list[float] = []

    async def keep_asking(number: int) -> None:
        connection = _Connection(base)
        await connection.open()
        begun = time.perf_counter() + number / rate
        for turn in range(requests // connections):
            await asyncio.sleep(begun + turn * connections / rate - time.perf_counter())
            found.append(await connection.ask())
        await connection.close()

    async def ask_all() -> None:
        await asyncio.gather(*(keep_asking(number) for number in range(connections)))

    asyncio.run(ask_all())
    found.sort()
    named = f"{connections} connections" if connections > 1 else "1 connection"
    return {
        f"{named}: median, ms": found[len(found) // 2] * 1e3,
        f"{named}: 99th percentile, ms": found[len(found) * 99 // 100] * 1e3,
    }


def ask_fast(base: str, requests: int) -> float:
    """Returns how many requests are answered in a second, over many connections that each ask again at once."""

    async def keep_asking() -> None:
        connection = _Connection(base)
        await connection.open()
        for _ in range(requests // AT_ONCE or 1):
            await connection.ask()
        await connection.close()

    async def ask_all() -> None:
        await asyncio.gather(*(keep_asking() for _ in range(AT_ONCE)))

    started = time.perf_counter()
    asyncio.run(ask_all())
    return (requests // AT_ONCE or 1) * AT_ONCE / (time.perf_counter() - started)


def resident(process: int) -> float:
    """Returns the resident memory of a process in megabytes; where there is no ``/proc``, 0."""
    status = Path(f"/proc/{process}/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1e3


@contextmanager
def _running(command: Sequence[object], folder: Path, *, port: int = 0) -> Iterator[tuple[str, int]]:
    """Gives the first line that a server prints, or an empty one once its port answers, and the server's process."""
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL if port else subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    with process:
        try:
            line = "" if process.stdout is None else process.stdout.readline().strip()
            if not line and not port:
                raise BenchmarkError(f"{' '.join(map(str, command))} does not serve")
            if port:
                _wait_for(port, process)
            yield line, process.pid
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[str]) -> None:
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise BenchmarkError(f"{process.args!r} does not serve")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def upstream_alone(folder: Path) -> Iterator[tuple[str, int]]:
    """Serves the answer that the others have recorded; gives the base URL, and the number of the process."""
    with _running([sys.executable, "-m", "tests.benchmarks.inside.bare_server"], folder) as (port, process):
        yield f"http://127.0.0.1:{port}/v1", process


@contextmanager
def _ours(python: Path, folder: Path, upstream: str) -> Iterator[tuple[str, int]]:
    serve = [python, "-m", "pytest_stepreplay.cli", "serve", folder / "x.yaml"]
    with _running([*serve, "--mode", "record", "--upstream", upstream], folder) as (base, _):
        ask_fast(base, 1)
    with _running([*serve, "--allow-repeats"], folder) as (base, process):
        yield base, process


@contextmanager
def _mitmproxy(python: Path, folder: Path, upstream: str) -> Iterator[tuple[str, int]]:
    port, flows = _free_port(), folder / "flows"
    command = [python.with_name("mitmdump"), "-q", "-p", port, "--mode", f"reverse:{upstream[:-3]}"]
    base = f"http://127.0.0.1:{port}/v1"
    with _running([*command, "-w", flows], folder, port=port):
        ask_fast(base, 1)
    replay = [
        "--server-replay",
        flows,
        "--set",
        "server_replay_reuse=true",
        "--set",
        "server_replay_extra=404",
    ]
    with _running([*command, *replay, "--set", "connection_strategy=lazy"], folder, port=port) as (
        _,
        process,
    ):
        yield base, process


@contextmanager
def _aimock(program: Path, folder: Path) -> Iterator[tuple[str, int]]:
    port, fixtures = _free_port(), folder / "fixtures.json"
    fixture = {"match": {"userMessage": _PROMPT}, "response": {"content": CONTENT}}
    fixtures.write_text(json.dumps({"fixtures": [fixture]}), encoding="utf-8")
    command = ["node", program, "-p", port, "-f", fixtures, "--log-level", "silent"]
    with _running(command, folder, port=port) as (_, process):
        yield f"http://127.0.0.1:{port}/v1", process


def _installed_aimock(environments: Environments) -> Path | None:
    """Returns aimock's server, which is installed if npm is there."""
    npm = shutil.which("npm")
    if environments.here or npm is None:
        return None
    folder = environments.folder.resolve() / AIMOCK
    program = folder / "node_modules/@copilotkit/aimock/dist/cli.js"
    if not program.exists():
        environments.say(f"installing {AIMOCK} into {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--silent", "--prefix", str(folder), "@copilotkit/aimock"]
        if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
            raise BenchmarkError(f"{' '.join(command)} failed")
    return program


@contextmanager
def servers(environments: Environments, folder: Path) -> Iterator[Mapping[str, tuple[str, int]]]:
    """Gives the base URL and the process of each server that can be measured, the upstream alone first."""
    with ExitStack() as stack:
        upstream = stack.enter_context(upstream_alone(folder))
        found = {ALONE: upstream}
        found[OURS] = stack.enter_context(_ours(environments.python(OURS), folder, upstream[0]))
        if environments.has(MITMPROXY):
            python = environments.python(MITMPROXY)
            found[MITMPROXY] = stack.enter_context(_mitmproxy(python, folder, upstream[0]))
        aimock = _installed_aimock(environments)
        if aimock is not None:
            found[AIMOCK] = stack.enter_context(_aimock(aimock, folder))
        yield found


def measured(base: str, *, connections: Sequence[int], rate: int, requests: int) -> Callable[[], Values]:
    """Returns what measures one server: what a request takes at a steady rate, and how many it answers at most."""

    def measure() -> Values:
        values: dict[str, float] = {}
        for each in connections:
            values |= ask_steadily(base, each, rate, max(requests, each))
        return values | {f"{AT_ONCE} connections: most in a second": ask_fast(base, requests)}

    return measure
