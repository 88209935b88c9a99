"""Suites of tests that talk to a chat completions API, written for each tool, and the cost of running them.

Each tool records its cassettes from the same upstream, and replays them with the upstream stopped. The floor is
the same suite, answered by `httpx.MockTransport`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from pytest_stepreplay.upstream import ReceivedRequest, ScriptedAnswer, Upstream, answer

from .environments import CASSETTER, FLOOR, OURS, RECORDING, Environments
from .measuring import BenchmarkError, Cost, run

KEY = "sk-step-benchmark-2f7d"
FILL = "The quick brown fox jumps over the lazy dog while the model counts its tokens. "
MODULES = 10

_ASKING = '''\
"""What the tests of this suite ask with."""

import json
import os

import httpx

FILL = {fill!r}
URL = os.environ["BASE_URL"] + "/chat/completions"


def body_for(prompt, stream):
    text = f"{{prompt}} {{FILL}}"
    usage = {{"prompt_tokens": 9, "completion_tokens": 300, "total_tokens": 309}}
    head = {{"id": "0b6f2d6e-6f0e-4c11-8a47-0d5b8c6a4a01", "created": 1763800000, "model": "step-3.5-flash"}}
    if not stream:
        message = {{"role": "assistant", "content": text}}
        choices = [{{"index": 0, "message": message, "finish_reason": "stop"}}]
        return json.dumps(head | {{"object": "chat.completion", "choices": choices, "usage": usage}})
    chunk = head | {{"object": "chat.completion.chunk", "usage": usage}}
    chunks = [
        chunk | {{"choices": [{{"index": 0, "delta": {{"role": "", "content": word + " "}}, "finish_reason": ""}}]}}
        for word in text.split()
    ]
    return "".join(f"data: {{json.dumps(each)}}\\n\\n" for each in chunks) + "data: [DONE]\\n\\n"


def answer(request):
    asked = json.loads(request.content)
    stream = asked.get("stream")
    kind = "text/event-stream" if stream else "application/json"
    body = body_for(asked["messages"][-1]["content"], stream)
    return httpx.Response(200, headers={{"content-type": kind}}, content=body)


client = httpx.Client(headers={{"authorization": "Bearer {key}"}}{transport})


def user(text):
    return {{"role": "user", "content": text}}


def ask(*messages):
    response = client.post(URL, json={{"model": "step-3.5-flash", "messages": messages}})
    return response.json()["choices"][0]["message"]


def ask_streamed(*messages):
    text = []
    body = {{"model": "step-3.5-flash", "messages": messages, "stream": True}}
    with client.stream("POST", URL, json=body) as response:
        for line in response.iter_lines():
            if line.startswith("data: {{"):
                text.append(json.loads(line[6:])["choices"][0]["delta"].get("content", ""))
    return "".join(text)
'''

_MODULE = "import pytest\n\nfrom asking import FILL, ask, ask_streamed, user\n\n{mark}\n"

_PLAIN = """

def test_{number}():
    for turn in range({requests}):
        prompt = f"Question {number}.{{turn}}"
        assert ask(user(prompt))["content"] == f"{{prompt}} {{FILL}}"
"""

_STREAMED = """

def test_{number}():
    for turn in range({requests}):
        prompt = f"Question {number}.{{turn}}"
        assert ask_streamed(user(prompt)).split() == f"{{prompt}} {{FILL}}".split()
"""

_CONVERSATION = """

def test_{number}():
    messages = []
    for turn in range({requests}):
        prompt = f"Turn {number}.{{turn}}"
        messages.append(user(prompt))
        reply = ask(*messages)
        assert reply["content"] == f"{{prompt}} {{FILL}}"
        messages.append({{"role": "assistant", "content": reply["content"]}})
"""

TESTS = {"plain": _PLAIN, "streamed": _STREAMED, "conversation": _CONVERSATION}


@dataclass(frozen=True)
class Suite:
    """So many tests of one kind.

    Attributes:
        kind: one of `TESTS`.
        tests: how many.
        requests: of each test.
        fill: about how many characters an answer has.
    """

    kind: str
    tests: int
    requests: int
    fill: int

    @property
    def text(self) -> str:
        """What stands in every answer behind its prompt."""
        return (FILL * (self.fill // len(FILL) + 1))[: self.fill].strip()


@dataclass(frozen=True)
class Tool:
    """How a tool is told to record and to replay.

    Attributes:
        name: as tables show it.
        environment: the one it is installed in.
        mark: that of a test with a cassette.
        record: options.
        replay: options.
        config: what `vcr_config` returns.
    """

    name: str
    environment: str
    mark: str = ""
    record: tuple[str, ...] = ()
    replay: tuple[str, ...] = ()
    config: Mapping[str, object] | None = None


_BODIES = ["method", "scheme", "host", "port", "path", "query", "body"]
_VCR = ("vcr", ("--record-mode=new_episodes",), ("--record-mode=none",))
FLOOR_TOOL = Tool(FLOOR, FLOOR, replay=("-p", "no:stepreplay"), record=("-p", "no:stepreplay"))
OUR_TOOL = Tool(OURS, OURS, "stepreplay", ("--stepreplay=record",))
TOOLS = (
    FLOOR_TOOL,
    OUR_TOOL,
    Tool(CASSETTER, CASSETTER, *_VCR, {"match_on": ["method", "uri", "json_body"]}),
    Tool(RECORDING, RECORDING, *_VCR, {"match_on": _BODIES}),
)
"""Told to compare bodies, as this plugin does: else a changed prompt gets an old answer."""
AS_INSTALLED = (
    Tool(f"{CASSETTER}, as installed", CASSETTER, *_VCR),
    Tool(f"{RECORDING}, as installed", RECORDING, *_VCR),
)
"""Without any setting, the two compare method and URL alone, which costs them less."""


def script(text: str) -> Callable[[ReceivedRequest], ScriptedAnswer]:
    """Returns a script for an `Upstream`: the prompt and the text, whatever is asked."""

    def reply(received: ReceivedRequest) -> ScriptedAnswer:
        return answer(f"{received.json['messages'][-1]['content']} {text}")

    return reply


class Project:
    """A folder with a suite, written for one tool."""

    def __init__(
        self,
        folder: Path,
        suite: Suite,
        tool: Tool,
        environments: Environments,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._suite, self._tool = suite, tool
        self._command = environments.pytest(tool.environment)
        self._environment = variables or environments.variables
        self._url = "http://127.0.0.1:9/v1"
        self._write(mocked=tool.name == FLOOR)

    def record(self, upstream: Upstream) -> Cost:
        """Records the suite anew, and returns what that cost; without a tool, it is only run."""
        # Moved away, for ext4 makes new files slowly for minutes after many were removed.
        kept = Path(mkdtemp(dir=self.folder.parent))
        for number, each in enumerate([*self.folder.glob("cassettes"), *self.folder.glob("*/cassettes")]):
            each.rename(kept / str(number))
        self._url = upstream.url
        return self._pytest(*self._tool.record)

    def replay(self, *options: str) -> Cost:
        """Runs the suite with what was recorded, and with these options of pytest, and returns what that cost."""
        return self._pytest(*self._tool.replay, *options)

    def collect(self) -> Cost:
        """Collects the suite without running it, and returns what that cost."""
        return self._pytest("--collect-only", *self._tool.replay)

    def miss(self) -> Cost:
        """Runs the suite with other questions than were recorded, all of whose tests fail, and returns what that cost."""
        self.watch("\n\nimport asking\n\nuser = asking.user\nasking.user = lambda text: user(text[::-1])\n")
        return self._pytest(*self._tool.replay, ended="failed")

    def watch(self, code: str) -> None:
        """Adds code to the suite's conftest."""
        with (self.folder / "conftest.py").open("a", encoding="utf-8") as conftest:
            conftest.write(code)

    def talk_for_real(self) -> None:
        """Takes the mocked answers out, so that the floor of a recording is the same talk without a tool."""
        self._write(mocked=False)

    def _write(self, *, mocked: bool) -> None:
        tool, suite = self._tool, self._suite
        self.folder.mkdir(parents=True, exist_ok=True)
        transport = ", transport=httpx.MockTransport(answer)" if mocked else ""
        asking = _ASKING.format(fill=suite.text, key=KEY, transport=transport)
        conftest = "import pytest\n"
        if tool.config is not None:
            conftest += (
                f'\n\n@pytest.fixture(scope="session")\ndef vcr_config():\n    return {tool.config!r}\n'
            )
        files = {"asking.py": asking, "conftest.py": conftest, "pytest.ini": "[pytest]\n"}
        mark = f"pytestmark = pytest.mark.{tool.mark}" if tool.mark else ""
        for module in range(min(MODULES, suite.tests)):
            numbers = range(module, suite.tests, MODULES)
            tests = [TESTS[suite.kind].format(number=number, requests=suite.requests) for number in numbers]
            files[f"test_{module}.py"] = _MODULE.format(mark=mark) + "".join(tests)
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8")

    def _pytest(self, *options: str, ended: str = "passed") -> Cost:
        command = [*self._command, *options]
        cost = run(command, folder=self.folder, environment={"BASE_URL": self._url, **self._environment})
        done = re.search(rf"^(\d+) (?:{ended}|tests? collected)", cost.output, re.MULTILINE)
        if not done or int(done[1]) != self._suite.tests:
            raise BenchmarkError(f"{self._tool.name}: not all tests {ended}:\n{cost.output[-3000:]}")
        return cost
