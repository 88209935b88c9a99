"""`stepreplay demo`: the four steps for real, and each way in which one can fail."""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from pytest_stepreplay.cli import demo, main
from pytest_stepreplay.upstream import ReceivedRequest, Reply, Upstream, error
from tests.conftest import KEY

from .conftest import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Project


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.getproxies", dict)


def in_order(text: str, *parts: str) -> bool:
    """Tells whether the parts stand in the text in this order; which one does not, the assertion shows."""
    at = 0
    for part in parts:
        assert part in text[at:], part
        at = text.index(part, at) + len(part)
    return True


def test_it_records_replays_misses_and_compares(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--nonsense")
    monkeypatch.setenv("STEP_API_KEY", KEY)
    (project.path / "pytest.ini").write_text("[pytest]\naddopts = --nonsense\n", encoding="utf-8")
    result = project.run("demo", "--keep", "kept")
    assert (result.status, result.err) == (0, ""), result.out
    assert in_order(
        result.out,
        "is not StepFun, and what it says does not come from a model.",
        "  @pytest.mark.stepreplay\n  def test_greeting():",
        "1/4 Record",
        "  $ pytest -q --stepreplay=record",
        "  1 passed",
        "  cassettes/test_chat/test_greeting.yaml:\n  stepreplay: 1\n",
        'content: Hello! You wrote "Say hello.", and I am a stand-in, not a model.',
        "2/4 Replay",
        "  $ pytest -q\n",
        "  1 passed",
        '3/4 Change the prompt to "Say hello in French."',
        "  $ pytest -q --tb=short\n",
        "messages[0].content: Say hello{+ in French+}.",
        "  1 failed",
        "4/4 Compare",
        "  $ pytest -q --stepreplay=record --stepreplay-dir=again\n",
        "  $ stepreplay diff cassettes/test_chat/test_greeting.yaml again/test_chat/test_greeting.yaml\n",
        "choices[0].finish_reason: stop -> length",
        "choices[0].message.content: [-Hello-]{+Hi there+}!",
        "Done: each step did what it should.",
        "The files of this demo are in kept",
        "stepreplay demo --live",
    )
    kept = {path.relative_to(project.path).as_posix() for path in (project.path / "kept").rglob("*.*")}
    assert kept == {
        "kept/pytest.ini",
        "kept/test_chat.py",
        "kept/cassettes/test_chat/test_greeting.yaml",
        "kept/again/test_chat/test_greeting.yaml",
    }
    assert KEY not in result.out
    again = project.run("demo", "--keep", "kept")
    assert (again.status, again.err) == (
        2,
        "stepreplay: kept is not empty\nName a new folder: stepreplay demo --keep DIR\n",
    )


def test_live_says_why_the_api_refused_and_hides_the_key(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(received: ReceivedRequest) -> Reply:
        return error(
            401, "invalid_api_key", f"Incorrect API key provided: {received.headers['authorization']}"
        )

    with Upstream(refuse) as upstream:
        monkeypatch.setenv("STEP_BASE_URL", upstream.url)
        monkeypatch.setenv("STEP_API_KEY", KEY)
        result = project.run("demo", "--live")
    assert result.status == 1
    assert result.out.endswith(
        "Step 1 did not do what it should: `pytest -q --stepreplay=record` ended with status 1; "
        "the API refused the key in STEP_API_KEY\n"
    )
    assert "Incorrect API key provided: Bearer [STEP_API_KEY]" in result.out
    assert KEY not in result.out


def test_live_without_a_key_says_how_to_set_it(project: Project) -> None:
    result = project.run("demo", "--live")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "stepreplay: --live calls StepFun, which needs a key, and STEP_API_KEY is not set\n"
        "Set it: export STEP_API_KEY=...\n"
        "Or run the demo without --live, which needs none: stepreplay demo\n"
    )


def test_live_without_a_way_to_the_host_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nobody listens
        monkeypatch.setenv("STEP_BASE_URL", f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
        monkeypatch.setenv("STEP_API_KEY", KEY)
        result = project.run("demo", "--live")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("stepreplay: 127.0.0.1 cannot be reached: ")
    assert result.err.endswith("run the demo without --live: stepreplay demo\n")


@pytest.mark.parametrize(
    "url", ["api.stepfun.com/v1", "ftp://x/", "http://[", "http://x:port/", "https:///v1"]
)
def test_live_with_a_bad_url_says_what_a_good_one_is(
    project: Project, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("STEP_BASE_URL", url)
    monkeypatch.setenv("STEP_API_KEY", KEY)
    result = project.run("demo", "--live")
    assert result.status == 2
    assert result.err == (
        f"stepreplay: STEP_BASE_URL is '{url}', which is not an http(s) URL\n"
        "StepFun's is https://api.stepfun.com/v1\n"
    )


def test_without_the_openai_client_it_says_what_to_install(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    result = project.run("demo")
    assert (result.status, result.out) == (2, "")
    assert result.err.endswith('Install it: pip install "pytest-stepreplay[openai]"\n')


class Commands:
    """Stands for the processes that the demo runs, so that each can fail: a test module is not run."""

    def __init__(self) -> None:
        self.outputs: list[tuple[int, str]] = [
            (0, ""),
            (0, ""),
            (1, "--stepreplay=record"),
            (0, ""),
            (1, "finish_reason"),
        ]
        self.environments: list[dict[str, str]] = []
        self.cassette = "x\n"
        self.calls = 1

    def run(self, command: list[str], *, cwd: Path, env: dict[str, str], **options: Any) -> Any:
        self.environments.append(env)
        status, output = self.outputs.pop(0)
        if len(self.environments) == 1:
            for _ in range(self.calls):
                socket.create_connection(("127.0.0.1", _port_of(env["STEP_BASE_URL"]))).close()
            if self.cassette:
                path = cwd / "cassettes" / demo.CASSETTE
                path.parent.mkdir(parents=True)
                path.write_text(self.cassette, encoding="utf-8")
        if status < 0:
            raise subprocess.TimeoutExpired(command, 1)
        return subprocess.CompletedProcess(command, status, output.encode())


def _port_of(url: str) -> int:
    return int(url.removeprefix("http://127.0.0.1:").removesuffix("/v1"))


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    commands = Commands()
    monkeypatch.setattr("pytest_stepreplay.cli.demo.subprocess.run", commands.run)
    monkeypatch.setattr(Upstream, "count", property(lambda upstream: commands.calls))
    yield commands


@pytest.mark.parametrize(
    ("at", "output", "failure"),
    [
        (0, (1, ""), "Step 1 did not do what it should: `pytest -q --stepreplay=record` ended with status 1"),
        (
            0,
            (-1, ""),
            "Step 1 did not do what it should: `pytest -q --stepreplay=record` did not end within 180",
        ),
        (1, (1, ""), "Step 2 did not do what it should: `pytest -q` ended with status 1"),
        (2, (0, ""), "Step 3 did not do what it should: `pytest -q --tb=short` ended with status 0"),
        (2, (1, "E  NameError"), "Step 3 did not do what it should: the test failed, but not because"),
        (
            3,
            (2, ""),
            "Step 4 did not do what it should: `pytest -q --stepreplay=record --stepreplay-dir=again`",
        ),
        (4, (0, ""), "Step 4 did not do what it should: `stepreplay diff"),
        (4, (1, "content"), "Step 4 did not do what it should: the new finish_reason is not among"),
    ],
)
def test_the_first_step_that_fails_ends_it_with_status_1(
    project: Project, commands: Commands, at: int, output: tuple[int, str], failure: str
) -> None:
    commands.outputs[at] = output
    result = project.run("demo")
    assert result.status == 1
    assert f"\n{failure}" in result.out
    assert "Done" not in result.out


def test_recording_must_call_the_api_once_and_write_a_cassette(project: Project, commands: Commands) -> None:
    commands.calls = 2
    assert "the API was called 2 times, not once" in project.run("demo").out
    other = Commands()
    commands.__dict__.update(other.__dict__, cassette="")
    assert "pytest wrote no " in project.run("demo").out


def test_the_commands_get_a_clean_environment(
    project: Project, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "STEP_API_KEY": KEY,
        "OPENAI_API_KEY": KEY,
        "PYTEST_ADDOPTS": "-x",
        "FORCE_COLOR": "1",
        "PYTHONPATH": "src",
        "HTTP_PROXY": "http://proxy",
    }.items():
        monkeypatch.setenv(name, value)
    commands.cassette = "line\n" * 100
    result = project.run("demo")
    assert result.status == 0
    assert "… 40 more lines" in result.out
    record, replay, *_ = commands.environments
    assert KEY not in {*record.values(), *replay.values()}
    assert "STEP_API_KEY" in record
    assert not {"STEP_API_KEY", "OPENAI_API_KEY", "PYTEST_ADDOPTS", "FORCE_COLOR"} & replay.keys()
    assert record["PYTHONPATH"] == str(project.path / "src")
    assert record["NO_PROXY"] == "127.0.0.1"
    assert replay["STEP_BASE_URL"] == record["STEP_BASE_URL"]


def test_live_calls_the_named_host_with_the_key(
    project: Project, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands.outputs = [
        (0, f"1 passed with {KEY}"),
        (0, ""),
        (1, "--stepreplay=record"),
        (0, ""),
        (0, "no drift"),
    ]
    with Upstream() as listening:
        url = listening.url
        monkeypatch.setenv("STEP_BASE_URL", url)
        monkeypatch.setenv("STEP_API_KEY", KEY)
        result = project.run("demo", "--live")
    assert (result.status, result.err) == (0, "")
    assert f"The API is {url}. Two small requests are sent to it" in result.out
    assert "The network is blocked, and there is no key." in result.out
    assert "1 passed with [STEP_API_KEY]" in result.out
    assert "stepreplay demo --live" not in result.out
    assert KEY not in result.out
    assert [env.get("STEP_API_KEY") for env in commands.environments] == [KEY, None, None, KEY, KEY]
    assert {env["STEP_BASE_URL"] for env in commands.environments} == {url}
    assert not list(project.path.iterdir())


def test_in_a_terminal_the_commands_get_its_width(
    project: Project, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"COLUMNS": "70", "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", Terminal())
    assert main(["demo"]) == 0
    assert {env["COLUMNS"] for env in commands.environments} == {"68"}


def test_a_proxy_is_left_to_find_the_host(
    project: Project, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy"})
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda host: False)
    monkeypatch.setenv("STEP_BASE_URL", "https://unreachable.invalid/v1")
    monkeypatch.setenv("STEP_API_KEY", KEY)
    commands.outputs[0] = (1, "openai.APIConnectionError: Connection error.")
    commands.calls = 0
    result = project.run("demo", "--live")
    assert result.status == 1
    assert "the API could not be reached: check the network and STEP_BASE_URL" in result.out
