"""Prints the table of docs/peers.md: the same small tests under pytest-recording, cassetter and this plugin.

Run by hand, since the other two are no dependencies of ours: `python -m tests.docs.measure_peers PYTHON`, from the
repository, where PYTHON is an interpreter that has pytest, openai, pytest-recording and cassetter. Every cell
is a record run against the built-in upstream, a change, and a run with the upstream stopped.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_stepreplay.upstream import Upstream

REPOSITORY = Path(__file__).parents[2]
KEY = "sk-step-peers-9c41d07be2f64a18"
MESSAGE = re.compile(r"^E   +(?!\[)(\S.*)$", re.MULTILINE)
SUMMARY = re.compile(r"^(?:ERROR|FAILED) \S+ - (.*)$", re.MULTILINE)

HEAD = """\
import os
import uuid

import pytest
from openai import OpenAI

client = OpenAI(base_url=os.environ["BASE_URL"])


def ask(*messages):
    reply = client.chat.completions.create(model="step-3.5-flash", messages=list(messages))
    return reply.choices[0].message.content


def user(text):
    return {"role": "user", "content": text}


def call(id, city):
    arguments = '{"city": "%s"}' % city
    return {"id": id, "type": "function", "function": {"name": "weather", "arguments": arguments}}


def conversation(one, other, *results):
    calls = {"role": "assistant", "tool_calls": [call(one, "Paris"), call(other, "Oslo")]}
    tools = [{"role": "tool", "tool_call_id": id, "content": text} for id, text in results]
    return [user("How warm is it?"), calls, *tools]


@MARK
def test_it():
"""
GREETING = 'ask(user("Say hello."))'
FRESH = """\
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    ask(*conversation(one, other, (one, "21"), (other, "4")))"""
NOBODY = '__import__("socket").socket(type=2).sendto(b"x", ("192.0.2.1", 9))  # TEST-NET-1: nobody is there'


@dataclass(frozen=True)
class Peer:
    """One plugin, as it is installed or told to match bodies."""

    name: str
    module: str
    mark: str
    record: str
    rewrite: str
    conftest: str = ""


VCR = ("pytest.mark.vcr", "--record-mode=new_episodes", "--record-mode=rewrite")
BODY = '@pytest.fixture(scope="module")\ndef vcr_config():\n    return {{"match_on": {}}}\n'
PEERS = (
    Peer("pytest-recording", "pytest_recording.plugin", *VCR),
    Peer(
        "pytest-recording, bodies matched",
        "pytest_recording.plugin",
        *VCR,
        BODY.format(["method", "scheme", "host", "port", "path", "query", "body"]),
    ),
    Peer("cassetter", "cassetter.pytest_plugin", *VCR),
    Peer(
        "cassetter, bodies matched",
        "cassetter.pytest_plugin",
        *VCR,
        BODY.format(["method", "uri", "json_body"]),
    ),
    Peer(
        "pytest-stepreplay",
        "pytest_stepreplay.plugin",
        "pytest.mark.stepreplay",
        "--stepreplay=record",
        "--stepreplay=rewrite",
    ),
)


@dataclass(frozen=True)
class Seen:
    """What a run of pytest came to."""

    status: int
    output: str

    def __str__(self) -> str:
        if self.status == 0:
            return "passes"
        told = MESSAGE.search(self.output) or SUMMARY.search(self.output)
        return f"fails: {told[1][:90]}" if told else f"fails ({self.status})"


class Project:
    """A folder with one test, for one peer."""

    def __init__(self, python: str, peer: Peer, folder: Path) -> None:
        self._python, self._peer, self._folder = python, peer, folder
        self.url = ""
        (folder / "conftest.py").write_text("import pytest\n\n" + peer.conftest, encoding="utf-8")

    def write(self, body: str) -> None:
        """Writes the test."""
        text = body if body.startswith(" ") else f"    {body}"
        code = HEAD.replace("MARK", self._peer.mark) + text + "\n"
        (self._folder / "test_chat.py").write_text(code, encoding="utf-8")

    def run(self, *options: str, key: str = KEY) -> Seen:
        """Runs pytest; the rest of the environment does not matter to it."""
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": self._peer.module}
        environment |= {"BASE_URL": self.url, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
        if key:
            environment["OPENAI_API_KEY"] = key
        command = [self._python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        return Seen(done.returncode, done.stdout + done.stderr)

    def record(self, body: str) -> Seen:
        """Writes the test and records it from an upstream of its own."""
        self.write(body)
        with Upstream() as upstream:
            self.url = upstream.url
            return self.run(self._peer.record)

    def rewrite(self, body: str) -> Seen:
        """Writes the test and records it anew."""
        self.write(body)
        with Upstream() as upstream:
            self.url = upstream.url
            return self.run(self._peer.rewrite)

    def replay(self, body: str, *options: str, key: str = KEY) -> Seen:
        """Writes the test and runs it with the upstream stopped, in the plugin's default mode."""
        self.write(body)
        return self.run(*options, key=key)

    @property
    def cassette(self) -> Path:
        """The one cassette."""
        (path,) = self._folder.rglob("cassettes/**/*.yaml")
        return path


def _changed_prompt(project: Project) -> str:
    project.record(GREETING)
    return str(project.replay('ask(user("Say goodbye."))'))


def _fresh_ids(project: Project) -> str:
    project.record(FRESH)
    return str(project.replay(FRESH))


def _swapped_results(project: Project) -> str:
    project.record('ask(*conversation("a", "b", ("a", "21"), ("b", "4")))')
    return str(project.replay('ask(*conversation("a", "b", ("b", "21"), ("a", "4")))'))


def _once_more(project: Project) -> str:
    project.record(GREETING)
    return str(project.replay(f"    {GREETING}\n    {GREETING}"))


def _swallowed(project: Project) -> str:
    project.record(GREETING)
    swallow = "    try:\n        client.models.list()\n    except Exception:\n        pass"
    return str(project.replay(f"    {GREETING}\n{swallow}"))


def _without_key(project: Project) -> str:
    project.record(GREETING)
    return str(project.replay(GREETING, key=""))


def _moved_port(project: Project) -> str:
    project.record(GREETING)
    project.url = project.url.replace(re.findall(r":(\d+)", project.url)[0], "9")
    return str(project.replay(GREETING))


def _stored_key(project: Project) -> str:
    project.record(f'    print("{KEY}")\n    {GREETING}')
    text = project.cassette.read_text(encoding="utf-8")
    return "in the cassette" if KEY in text else "not in the cassette"


def _key_in_prompt(project: Project) -> str:
    project.record(f'ask(user("My key is {KEY}."))')
    text = project.cassette.read_text(encoding="utf-8")
    return "in the cassette" if KEY in text else "not in the cassette"


def _half_a_file(project: Project) -> str:
    project.record(GREETING)
    content = project.cassette.read_bytes()
    project.cassette.write_bytes(content[: len(content) // 2])
    return str(project.replay(GREETING))


def _half_a_file_recorded(project: Project) -> str:
    project.record(GREETING)
    content = project.cassette.read_bytes()
    return _recorded_into(project, content[: len(content) // 2])


def _empty_file_recorded(project: Project) -> str:
    project.record(GREETING)
    return _recorded_into(project, b"")


def _conflict_recorded(project: Project) -> str:
    project.record(GREETING)
    content = project.cassette.read_bytes()
    return _recorded_into(project, b"<<<<<<< ours\n" + content + b"=======\n" + content + b">>>>>>> theirs\n")


def _recorded_into(project: Project, content: bytes) -> str:
    project.cassette.write_bytes(content)
    seen = project.record(GREETING)
    return f"{seen}; the file is {'left as it is' if project.cassette.read_bytes() == content else 'overwritten'}"


def _failing_rewrite(project: Project) -> str:
    project.record(GREETING)
    before = project.cassette.read_bytes()
    project.rewrite(f"    {GREETING}\n    assert False")
    paths = [*project._folder.rglob("cassettes/**/*.yaml")]
    return "kept" if paths and paths[0].read_bytes() == before else "replaced" if paths else "deleted"


def _other_network(project: Project) -> str:
    project.record(GREETING)
    seen = project.replay(f"    {GREETING}\n    {NOBODY}")
    return str(seen)


def _no_request(project: Project) -> str:
    return str(project.replay("pass"))


def _unplayed(project: Project) -> str:
    project.record(f'    {GREETING}\n    ask(user("Say more."))')
    seen = project.replay(GREETING)
    told = re.search(r"^.*(?:unplayed|unused|not played).*$", seen.output, re.MULTILINE | re.IGNORECASE)
    return f"{seen}; {'says: ' + told[0].strip()[:90] if told else 'says nothing'}"


SCENARIOS: dict[str, Callable[[Project], str]] = {
    "the prompt changed": _changed_prompt,
    "fresh tool-call ids": _fresh_ids,
    "two tool results swapped": _swapped_results,
    "asked once more than recorded": _once_more,
    "a miss that the code swallows": _swallowed,
    "no API key in replay": _without_key,
    "a local server on another port": _moved_port,
    "the API key": _stored_key,
    "the API key, quoted in a prompt": _key_in_prompt,
    "half of a cassette, replayed": _half_a_file,
    "half of a cassette, recorded into": _half_a_file_recorded,
    "an empty cassette, recorded into": _empty_file_recorded,
    "a merge conflict, recorded into": _conflict_recorded,
    "the good cassette, when the test fails in rewrite": _failing_rewrite,
    "a packet to another host in replay": _other_network,
    "a marked test without a request": _no_request,
    "an interaction that nothing plays": _unplayed,
}


def main(python: str) -> None:
    """Prints the table, a line for each scenario and plugin."""
    for scenario, measure in SCENARIOS.items():
        print(f"\n{scenario}")
        for peer in PEERS:
            with TemporaryDirectory() as folder:
                print(f"  {peer.name}: {measure(Project(python, peer, Path(folder)))}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
