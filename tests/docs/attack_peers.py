"""Prints the second table of docs/peers.md: the same attacks on this plugin, on vcrpy and on cassetter.

Run by hand, from the repository: `python -m tests.docs.attack_peers [--environments DIR] [--only ATTACK]`. It makes a
virtual environment for each tool and needs pip for that, Linux or macOS, and some minutes. What a cell says is what happened.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_stepreplay.upstream import ReceivedRequest, Reply, Upstream, answer, raw
from tests.benchmarks.environments import CASSETTER, OURS, RECORDING, Environments

from . import attacked

REPOSITORY = Path(__file__).parents[2]
KEY = "sk-step-attack-9c41d07be2f64a18b35"
PROCESSES, KILLS, CUTS = 4, 50, 50
REQUESTS = attacked.THREADS * attacked.EACH
OLD = "version: 1\ninteractions:\n- request:\n    method: POST\n    uri: {url}/chat/completions\n    headers: {{}}\n    body: {body}\n"
OLD += (
    "  response:\n    status: {{code: 200, message: OK}}\n    headers: {{}}\n    body: {{string: {string}}}\n"
)
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))


@dataclass(frozen=True)
class Tool:
    """What is attacked: how it is called inside `attacked`, its environment, and its pytest plugin."""

    name: str
    environment: str
    module: str
    mark: str
    named: str
    record: str


TOOLS = (
    Tool(
        OURS,
        OURS,
        "pytest_stepreplay.plugin",
        "pytest.mark.stepreplay",
        "pytest.mark.stepreplay(cassette={!r})",
        "--stepreplay=record",
    ),
    Tool(
        "vcrpy",
        RECORDING,
        "pytest_recording.plugin",
        "pytest.mark.vcr",
        "pytest.mark.vcr\n@pytest.mark.default_cassette({!r})",
        "--record-mode=new_episodes",
    ),
    Tool(
        "cassetter",
        CASSETTER,
        "cassetter.pytest_plugin",
        "pytest.mark.vcr",
        "pytest.mark.vcr({!r})",
        "--record-mode=new_episodes",
    ),
)


class Target:
    """One tool under one attack, in a folder of its own."""

    def __init__(self, tool: Tool, python: Path, folder: Path) -> None:
        self.tool, self.folder, self.python = tool, folder, str(python)
        self.path = folder / "cassettes" / "x.yaml"
        self.path.parent.mkdir()

    def start(self, attack: str, *arguments: object) -> subprocess.Popen[str]:
        """Starts `attacked` with the tool's interpreter."""
        command = [self.python, str(Path(attacked.__file__)), self.tool.name, attack, str(self.path)]
        return subprocess.Popen(
            [*command, *map(str, arguments)],
            encoding="utf-8",
            cwd=self.folder,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def attack(self, attack: str, *arguments: object) -> str:
        """Returns the line that the attack prints, or how it ended without one."""
        process = self.start(attack, *arguments)
        try:
            out, errors = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return "not finished after 300 s, killed"
        if process.returncode < 0:
            return f"died of {signal.Signals(-process.returncode).name}"
        last = (out.splitlines() or errors.splitlines() or [""])[-1]
        return last if process.returncode == 0 else f"fails: {last[:100]}"

    def pytest(self, code: str, *options: str, **environment: str) -> tuple[bool, str]:
        """Runs a test under the tool's plugin; returns whether it passed, and the output."""
        (self.folder / "test_it.py").write_text(code, encoding="utf-8")
        given = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": self.tool.module, **environment}
        command = [self.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=_environment() | given,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        return done.returncode == 0, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return kept | {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", "STEP_API_KEY": KEY}


def _speak(received: ReceivedRequest) -> Reply:
    """Returns an answer that quotes the prompt, whatever else stands in the request."""
    return answer(f"You said: {received.json['messages'][-1]['content']}")


def _leak(place: str, reply: Callable[[ReceivedRequest], Reply] = _speak) -> Callable[[Target], str]:
    def measure(target: Target) -> str:
        with Upstream(reply) as upstream:
            seen = target.attack("leak", upstream.url, place, KEY)
        if not target.path.exists():
            return f"nothing written; {seen}"
        return f"{'stored' if _holds(target.path.read_text(encoding='utf-8')) else 'not stored'}; {seen}"

    return measure


def _holds(text: str) -> bool:
    """Whether a reader of the file can put the key together: in one piece, in its two halves, or in base64."""
    half = len(KEY) // 2
    text = re.sub(r"\\?\s+", "", text)
    shifted = [base64.b64encode(b"x" * shift + KEY.encode()).decode()[4:-4] for shift in range(3)]
    return (KEY[:half] in text and KEY[half:] in text) or any(part in text for part in shifted)


def _answer_with_key(_: ReceivedRequest) -> Reply:
    return answer(f"Your key is {KEY}, keep it.")


def _stream_with_key(_: ReceivedRequest) -> Reply:
    half = len(KEY) // 2
    deltas = ["Your key is ", KEY[:half], KEY[half:], ", keep it."]
    chunks = [
        {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": {"content": delta}, "finish_reason": None}],
        }
        for delta in deltas
    ]
    frames = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    return raw(200, {"Content-Type": "text/event-stream"}, [*frames, b"data: [DONE]\n\n"])


def _threads(library: str) -> Callable[[Target], str]:
    def measure(target: Target) -> str:
        with Upstream(_speak) as upstream:
            recorded = json.loads(target.attack("threads", upstream.url, library, "yes"))
            sent = upstream.count
            replayed = json.loads(target.attack("threads", upstream.url, library, ""))
            reached = upstream.count - sent
        found = Counter(replayed["answers"])
        rest = [f"{count} {what}" for what, count in found.items() if what != "own"]
        own = f"{Counter(recorded['answers'])['own']} recorded, {found['own']} replayed"
        return "; ".join([own, *rest, *([f"{reached} reached the server in replay"] if reached else [])])

    return measure


def _processes(target: Target) -> str:
    with Upstream(_speak) as upstream:
        started = [target.start("process", upstream.url, name) for name in range(PROCESSES)]
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        failed = sum(int(process.communicate(timeout=300)[0] or attacked.TESTS) for process in started)
    text = re.sub(r"\\?\s+", " ", target.path.read_text(encoding="utf-8"))
    kept = {*re.findall(r"Say process \d, test \d+\.", text)}
    return f"{len(kept)} kept" + (f"; {failed} tests failed" if failed else "")


def _kills(target: Target) -> str:
    with Upstream(_long) as upstream:
        seed = target.start("saves", upstream.url)
        assert seed.stdout is not None
        lines = [seed.stdout.readline() for _ in range(6)]
        seed.kill()
        seed.communicate()
        seconds = float(lines[5])
        target.path.unlink(missing_ok=True)
        target.attack("first", upstream.url, "Say first.")
        good = target.path.read_bytes()
        left = [_kill_one(target, upstream.url, good, at, seconds * (at + 1) / KILLS) for at in range(KILLS)]
        files = [target.folder / f"left-{at}.yaml" for at in range(KILLS)]
        for path, content in zip(files, left, strict=True):
            path.write_bytes(content)
        broken = json.loads(target.attack("readable", upstream.url, *files))[1:]
    rubbish = len([path for path in target.path.parent.iterdir() if path != target.path])
    unreadable = sum(1 for each in broken if each)
    return f"{unreadable} unreadable" + (f"; {rubbish} files left beside it" if rubbish else "")


def _long(received: ReceivedRequest) -> Reply:
    text = received.json["messages"][-1]["content"]
    return answer("x y " * (attacked.SIZE // 4) if text != "Say first." else "first")


def _kill_one(target: Target, url: str, good: bytes, at: int, wait: float) -> bytes:
    """Kills a process while it saves, and returns the file: half of the times after a while, half as the folder changes."""
    target.path.write_bytes(good)
    process = target.start("saves", url)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()
    process.stdout.readline()  # its second save begins
    if at % 2:
        end = time.perf_counter() + wait
        while time.perf_counter() < end:
            pass
    else:
        for _ in range(1 + at // 2 % 4):  # the first, second, third or fourth thing that is seen to change
            before = _seen(target.path.parent)
            while _seen(target.path.parent) == before and process.poll() is None:
                pass
    process.kill()
    process.communicate()
    return target.path.read_bytes() if target.path.exists() else b""


def _seen(folder: Path) -> list[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        found = []
        for entry in entries:
            try:
                state = Path(entry.path).stat()
            except FileNotFoundError:
                continue
            found.append((entry.name, state.st_ino, state.st_size))
    return sorted(found)


def _cuts(target: Target) -> str:
    with Upstream(_speak) as upstream:
        target.attack("first", upstream.url, "Say first.", "Say second.", "Say third.")
        outcomes = Counter(json.loads(target.attack("cuts", upstream.url, CUTS)))
    return "; ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())


def _hostile(make: Callable[[str], str]) -> Callable[[Target], str]:
    def measure(target: Target) -> str:
        with Upstream(_speak) as upstream:
            target.path.write_text(make(upstream.url), encoding="utf-8")
            return target.attack("hostile", upstream.url)

    return measure


def _outside_name(target: Target) -> str:
    code = "import os, httpx, pytest\n\n@MARK\ndef test_it():\n    body = {'model': 'm', 'messages': [{'role': 'user', 'content': 'x'}]}\n"
    code += "    httpx.post(os.environ['URL'] + '/chat/completions', json=body, headers={'Authorization': 'Bearer x'})\n"
    folder = target.folder / "a" / "b"
    folder.mkdir(parents=True)
    project = Target(target.tool, Path(target.python), folder)
    (folder / "cassettes" / "test_it").mkdir()  # as if another test had recorded before
    name = "../../../../outside" + ("" if target.tool.name == OURS else ".yaml")
    with Upstream(_speak) as upstream:
        passed, _ = project.pytest(
            code.replace("MARK", target.tool.named.format(name)), target.tool.record, URL=upstream.url
        )
    inside = {*project.folder.rglob("*")}
    outside = [path for path in target.folder.rglob("outside*") if path not in inside]
    return f"{'passes' if passed else 'refused'}; {'written outside of the project' if outside else 'nothing written'}"


def _thread_outside(attempt: str) -> Callable[[Target], str]:
    def measure(target: Target) -> str:
        code = f"""import os, socket, threading
import httpx, pytest

@{target.tool.mark}
def test_it():
    body = {{"model": "m", "messages": [{{"role": "user", "content": "x"}}]}}
    httpx.post(os.environ["URL"] + "/chat/completions", json=body, headers={{"Authorization": "Bearer x"}})
    said = []
    def attempt():
        try:
            {attempt}
            said.append("gone out")
        except socket.gaierror:
            said.append("gone out")  # the resolver was asked
        except BaseException as error:
            said.append("refused")
    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    print("said", *said)
"""
        with Upstream(_speak) as upstream:
            target.pytest(code, target.tool.record, URL=upstream.url)
            passed, out = target.pytest(code, "-s", URL=upstream.url)
        (said,) = re.findall(r"said (.+)", out) or ["not even tried"]
        return f"{said}; the test {'passes' if passed else 'fails'}"

    return measure


def _prompt(bodies: str) -> Callable[[Target], str]:
    def measure(target: Target) -> str:
        with Upstream(_speak) as upstream:
            return target.attack("prompt", upstream.url, bodies)

    return measure


def _python_tag(url: str) -> str:
    return OLD.format(url=url, body="!!python/object/apply:os.system ['touch owned']", string="'{}'")


def _alias_bomb(url: str) -> str:
    return BOMB + OLD.format(url=url, body="*a9", string="*a9")


ATTACKS: dict[str, Callable[[Target], str]] = {
    "a key in the Authorization header": _leak("authorization"),
    "a key in an api-key header": _leak("api-key"),
    "a key in the query": _leak("query"),
    "a key in a field of the request": _leak("field"),
    "a key in the answer": _leak("answer", _answer_with_key),
    "a key split over two chunks of a stream": _leak("stream", _stream_with_key),
    f"{REQUESTS} requests in {attacked.THREADS} threads, httpx": _threads("httpx"),
    f"{REQUESTS} requests in {attacked.THREADS} threads, requests": _threads("requests"),
    f"{PROCESSES * attacked.TESTS} tests in {PROCESSES} processes, one cassette": _processes,
    f"killed while saving, {KILLS} times": _kills,
    f"a cassette cut off at {CUTS} places, recorded into": _cuts,
    "a cassette with a Python tag": _hostile(_python_tag),
    "a cassette with an alias bomb": _hostile(_alias_bomb),
    "a cassette's name with `..`": _outside_name,
    "in replay, a thread sends a packet to another host": _thread_outside(
        "socket.socket(type=2).sendto(b'x', ('192.0.2.1', 9))"
    ),
    "in replay, a thread looks a name up": _thread_outside("socket.getaddrinfo('api.example.invalid', 443)"),
    "the prompt changed": _prompt(""),
    "the prompt changed, bodies compared": _prompt("yes"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row for each attack, and the versions."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs.attack_peers")
    parser.add_argument("--environments", type=Path, metavar="DIR", help="keep the tools' environments there")
    parser.add_argument("--only", default="", metavar="ATTACK", help="a part of its name")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = given.environments or Path(stack.enter_context(TemporaryDirectory()))
        environments = Environments(folder, say=lambda text: print(text, file=sys.stderr))
        pythons = [environments.python(tool.environment) for tool in TOOLS]
        print(f"| attack | {' | '.join(tool.name for tool in TOOLS)} |\n|---|---|---|---|")
        for name, measure in ATTACKS.items():
            if given.only in name:
                cells = [
                    _measured(measure, tool, python) for tool, python in zip(TOOLS, pythons, strict=True)
                ]
                print(f"| {name} | {' | '.join(cells)} |", flush=True)
        found = {
            key: version for tool in TOOLS for key, version in environments.versions(tool.environment).items()
        }
    names = (OURS, "vcrpy", RECORDING, CASSETTER, "httpx", "requests", "pytest")
    print("\nMeasured with " + ", ".join(f"{name} {found[name]}" for name in names if name in found))


def _measured(measure: Callable[[Target], str], tool: Tool, python: Path) -> str:
    with TemporaryDirectory() as folder:
        return measure(Target(tool, python, Path(folder).resolve()))


if __name__ == "__main__":
    main()
