"""One attack on one cassette tool; `attack_peers` runs it as a script, with the interpreter that has the tool.

Arguments: the tool, the attack, the cassette, and what else the attack takes. It prints one line, what happened.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

THREADS, EACH, TESTS, SIZE = 16, 50, 25, 300_000
"""Threads and their requests; the tests of a process; the characters of an answer that takes time to be written."""

MEMORY = 4 << 30
"""Bytes of address space that reading a hostile file may take."""

RECORD, REPLAY = {"record_mode": "new_episodes"}, {"record_mode": "none"}
MATCH_BODIES = {
    "vcrpy": ["method", "scheme", "host", "port", "path", "query", "body"],
    "cassetter": ["method", "uri", "json_body"],
}


def opened(
    tool: str, path: Path, *, record: bool = False, bodies: bool = False
) -> AbstractContextManager[Any]:
    """Returns the tool's own block, with the defaults; `bodies` tells the others to compare bodies."""
    if tool == "pytest-stepreplay":
        from pytest_stepreplay import use_cassette

        return use_cassette(path, mode="record" if record else "replay")
    options: dict[str, Any] = (RECORD if record else REPLAY) | (
        {"match_on": MATCH_BODIES[tool]} if bodies else {}
    )
    if tool == "vcrpy":
        import vcr  # type: ignore[import-untyped,unused-ignore]

        return vcr.use_cassette(str(path), **options)  # type: ignore[no-any-return,unused-ignore]
    from cassetter import use_cassette as cassetter  # type: ignore[import-not-found,unused-ignore]

    return cassetter(str(path), **options)  # type: ignore[no-any-return,unused-ignore]


class Client:
    """Asks for a completion, by httpx or by requests, and returns the body of the answer as text."""

    def __init__(self, url: str, library: str = "httpx") -> None:
        import httpx
        import requests

        self._url, self._session = url, httpx.Client() if library == "httpx" else requests.Session()

    def ask(self, text: str, *, query: str = "", headers: dict[str, str] | None = None, **fields: Any) -> str:
        body = {"model": "step-3.5-flash", "messages": [{"role": "user", "content": text}], **fields}
        headers = {"Authorization": "Bearer sk-any", **(headers or {})}
        reply = self._session.post(f"{self._url}/chat/completions{query}", json=body, headers=headers)
        reply.raise_for_status()
        return reply.text


def told(error: BaseException) -> str:
    """Returns the name of an error; of a group or a wrapper, that of the first one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__


def leak(tool: str, path: Path, url: str, place: str, key: str) -> str:
    """Record one request whose key stands in a place, and replay it."""
    requests: dict[str, dict[str, Any]] = {
        "authorization": {"headers": {"Authorization": f"Bearer {key}"}},
        "api-key": {"headers": {"api-key": key}},
        "query": {"query": f"?api_key={key}"},
        "field": {"tools": [], "api_key": key},
        "answer": {},
        "stream": {"stream": True},
    }
    client = Client(url)
    with opened(tool, path, record=True):
        client.ask("Say hello.", **requests[place])
    with opened(tool, path):
        client.ask("Say hello.", **requests[place])
    return "replays"


def threads(tool: str, path: Path, url: str, library: str, record: str) -> str:
    """Ask from many threads at once; count the answers that are the request's own, and the errors."""
    client = Client(url, library)

    def ask(number: int) -> list[str]:
        found = []
        for each in range(EACH):
            try:
                own = f"thread {number}, request {each}."
                found.append("own" if own in client.ask(f"Say {own}") else "of another")
            except BaseException as error:  # noqa: BLE001 - ours is none that clients could swallow
                found.append(told(error))
        return found

    ended, found = "", []
    try:
        with opened(tool, path, record=bool(record), bodies=True), ThreadPoolExecutor(THREADS) as pool:
            found = [each for some in pool.map(ask, range(THREADS)) for each in some]
    except BaseException as error:  # noqa: BLE001
        ended = told(error)
    return json.dumps({"answers": found, "ended": ended})


def process(tool: str, path: Path, url: str, name: str) -> str:
    """Record as one of several processes does: test after test into one shared cassette."""
    client = Client(url)
    print("ready", flush=True)
    sys.stdin.readline()
    failed = 0
    for number in range(TESTS):
        try:
            with opened(tool, path, record=True, bodies=True):
                client.ask(f"Say process {name}, test {number}.")
        except Exception:  # noqa: BLE001 - counted
            failed += 1
    return str(failed)


def first(tool: str, path: Path, url: str, *texts: str) -> str:
    """Record what later attacks begin with."""
    client = Client(url)
    with opened(tool, path, record=True, bodies=True):
        for text in texts:
            client.ask(text)
    return ""


def saves(tool: str, path: Path, url: str) -> str:
    """Record for ever, one long answer after another; say when each save begins and how long it took."""
    client = Client(url)
    for number in range(1_000_000):
        with opened(tool, path, record=True, bodies=True):
            client.ask(f"Say {number}.")
            print("saving", flush=True)
            start = time.perf_counter()
        print(time.perf_counter() - start, flush=True)
    return ""


def readable(tool: str, path: Path, url: str, *others: str) -> str:
    """Replay the first request of each file; say which of them can be read."""
    client, found = Client(url), []
    for each in (str(path), *others):
        try:
            with opened(tool, Path(each), bodies=True):
                client.ask("Say first.")
            found.append("")
        except BaseException as error:  # noqa: BLE001
            found.append(told(error))
    return json.dumps(found)


def cuts(tool: str, path: Path, url: str, count: str) -> str:
    """Record into a file that was cut off, at many places; say what became of each."""
    client, found = Client(url), []
    whole = path.read_bytes()
    for cut in range(int(count)):
        content = whole[: len(whole) * (cut + 1) // (int(count) + 1)]
        path.write_bytes(content)
        try:
            with opened(tool, path, record=True, bodies=True):
                client.ask("Say one thing more.")
            refused = False
        except Exception:  # noqa: BLE001
            refused = True
        kept = path.read_bytes() == content
        found.append(f"{'refused' if refused else 'taken'}, {'left alone' if kept else 'overwritten'}")
    return json.dumps(found)


def hostile(tool: str, path: Path, url: str) -> str:
    """Replay a file that somebody else wrote, within a limit of memory."""
    import resource

    client = Client(url)
    with opened(tool, path.with_name("warm.yaml"), record=True):
        client.ask("Say hello.")  # everything is imported
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.chdir(path.parent)
    start = time.perf_counter()
    try:
        with opened(tool, path):
            client.ask("Say hello.")
        outcome = "read, and the request answered"
    except BaseException as error:  # noqa: BLE001
        outcome = f"fails: {told(error)}"
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    ran = "; the command ran" if Path("owned").exists() else ""
    return f"{outcome}{ran}" + (f" ({seconds:.0f} s, {peak} MiB)" if seconds > 2 or peak > 500 else "")


def prompt(tool: str, path: Path, url: str, bodies: str) -> str:
    """Record one prompt and replay another."""
    client = Client(url)
    with opened(tool, path, record=True, bodies=bool(bodies)):
        client.ask("Say hello.")
    try:
        with opened(tool, path, bodies=bool(bodies)):
            client.ask("Say goodbye.")
    except BaseException as error:  # noqa: BLE001
        return f"fails: {told(error)}"
    return "passes, with the old answer"


ATTACKS = {
    each.__name__: each for each in (leak, threads, process, first, saves, readable, cuts, hostile, prompt)
}

if __name__ == "__main__":
    socket.setdefaulttimeout(30)
    name, attack, cassette, *rest = sys.argv[1:]
    print(ATTACKS[attack](name, Path(cassette), *rest), flush=True)
