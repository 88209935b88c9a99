"""`stepreplay demo`: record, replay offline, a changed prompt and a changed answer, run for real in a minute.

It writes a test into a folder of its own and runs pytest on it, with the openai client, against the built-in
upstream or (``--live``) against StepFun. Each step is checked; the first that fails ends the demo.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..commands import stepreplay_command
from ..errors import StepReplayError
from ..upstream.example import CHANGED, PROMPT, changed_answer, example_test
from ..upstream.stand_in import Upstream
from ..value_classes import dataclass
from . import printing
from .command import Command, Option, folder_path
from .terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from ..upstream import Reply

STEPFUN: Final = "https://api.stepfun.com/v1"
KEY: Final = "STEP_API_KEY"
URL: Final = "STEP_BASE_URL"
CASSETTE: Final = "test_chat/test_greeting.yaml"

_SECONDS: Final = 180  # for one pytest run, retries of the client included
_LINES: Final = 60  # of one cassette
_MODULES: Final = {"pytest": "pytest", "stepreplay": "pytest_stepreplay.cli"}
_HINTS: Final = {
    "AuthenticationError": f"; the API refused the key in {KEY}",
    "APIConnectionError": f"; the API could not be reached: check the network and {URL}",
    "NotFoundError": f"; the API does not know the model or the path: check {URL}",
    "RateLimitError": "; the API accepts no more requests from this key for now",
}
# What would make pytest in the demo's folder behave as the user's own project wants it, or send it elsewhere.
_NOT_PASSED_ON: Final = {"COLUMNS", "FORCE_COLOR", "PY_COLORS", "GITHUB_STEP_SUMMARY", "PYTEST_ADDOPTS"} | {
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    KEY,
}


class FailedStepError(Exception):
    """A step of the demo did not do what it should."""


def _run(live: bool, keep: Path | None) -> int:
    live_access = _live_access() if live else None
    if find_spec("openai") is None:
        raise StepReplayError(
            "the demo runs a test that uses the openai client, which is not installed\n"
            'Install it: pip install "pytest-stepreplay[openai]"'
        )
    with ExitStack() as stack:
        folder = (
            _empty_folder(keep)
            if keep
            else Path(stack.enter_context(TemporaryDirectory(prefix="stepreplay-")))
        )
        tour = _Tour(printing.open_console(), folder, live_access)
        try:
            tour.run()
        except FailedStepError as failure:
            tour.console.print(
                safe(f"\nStep {tour.step} did not do what it should: {failure}"), style="bold red"
            )
            return 1
        tour.say_goodbye(keep)
    return 0


DEMO: Final = Command(
    name="demo",
    description="""
    Record, replay offline, change the prompt, and compare answers: for real, in four steps.

    A test is written into a temporary folder and run by pytest with the openai client. The API is a stand-in
    that runs on this machine, so it needs no key, costs nothing and sends nothing out. The exit status is
    0 if each step did what it should, and 1 if one did not.
    """,
    examples=(
        "stepreplay demo",
        "stepreplay demo --keep my-first-cassette",
        "STEP_API_KEY=... stepreplay demo --live",
    ),
    options=(
        Option("--live", f"Call StepFun instead of the built-in upstream; needs {KEY}."),
        Option("--keep DIR", "Leave the files in DIR, a new or empty folder.", {"type": folder_path}),
    ),
    run=_run,
)


@dataclass(frozen=True, slots=True)
class _Access:
    """How the test reaches the API."""

    url: str
    key: str


def _live_access() -> _Access:
    """Returns the access to StepFun that the environment gives.

    Raises:
        StepReplayError: if there is no key, or the host cannot be reached.
    """
    key, url = os.environ.get(KEY, ""), os.environ.get(URL) or STEPFUN
    if not key:
        demo = stepreplay_command("demo")
        raise StepReplayError(
            f"--live calls StepFun, which needs a key, and {KEY} is not set\n"
            f"Set it: export {KEY}=...\nOr run the demo without --live, which needs none: {demo}"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        host = None
    if not host:
        raise StepReplayError(f"{URL} is {url!r}, which is not an http(s) URL\nStepFun's is {STEPFUN}")
    if not _is_behind_proxy(parts.scheme, host):
        try:
            socket.create_connection((host, port), timeout=10).close()
        except OSError as error:
            raise StepReplayError(
                f"{host} cannot be reached: {error}\n"
                f"Check the network and {URL}, or run the demo without --live: {stepreplay_command('demo')}"
            ) from None
    return _Access(url, key)


def _is_behind_proxy(scheme: str, host: str) -> bool:
    return bool({scheme, "all"} & urllib.request.getproxies().keys()) and not urllib.request.proxy_bypass(
        host
    )


def _empty_folder(path: Path) -> Path:
    if path.is_dir() and any(path.iterdir()):
        raise StepReplayError(f"{path} is not empty\nName a new folder: stepreplay demo --keep DIR")
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


class _Tour:
    """The four steps, in one folder."""

    def __init__(self, console: Console, folder: Path, live: _Access | None) -> None:
        self.console = console
        self.step = 0
        self._folder = folder
        self._live = live
        self._url = self._key = ""

    def run(self) -> None:
        """Runs the steps.

        Raises:
            FailedStepError: at the first one that does not do what it should.
        """
        self._write("pytest.ini", "[pytest]\naddopts = -p no:cacheprovider\n")
        self._write("test_chat.py", self._test())
        self.console.print("stepreplay demo", style="bold")
        if self._live:
            self._say(f"The API is {self._live.url}. Two small requests are sent to it, with your {KEY}.")
        else:
            self._say(
                "The API in this demo is a stand-in that runs on this machine and answers by rules.\n"
                "It speaks StepFun's dialect but is not StepFun, and what it says does not come from a model."
            )
        self._show("test_chat.py", self._test())
        self._record()
        self._replay()
        self._change_the_prompt()
        self._compare_answers()

    def say_goodbye(self, kept: Path | None) -> None:
        """Says what to do next."""
        self.console.print("\nDone: each step did what it should.", style="bold green")
        self._say(
            "In your project: mark a test, record it once, and commit the cassettes/ folder.\n"
            "  pytest --stepreplay=record     calls the API, writes what is not recorded yet\n"
            "  pytest                         replays, offline and without a key\n"
            "  stepreplay show CASSETTE       prints a cassette as a conversation"
        )
        if kept:
            self._say(f"The files of this demo are in {kept}")
        if not self._live:
            self._say(f"With StepFun itself: {KEY}=... stepreplay demo --live")

    def _record(self) -> None:
        self._start("Record: the API is called once, and its answer is written to a cassette.")
        with ExitStack() as stack:
            upstream = self._open_api(stack)
            self._print(f"{URL}={self._url}", "dim")
            self._run("pytest -q --stepreplay=record", expected={0})
            if upstream and upstream.count != 1:
                raise FailedStepError(f"the API was called {upstream.count} times, not once")
        cassette = self._folder / "cassettes" / CASSETTE
        if not cassette.is_file():
            raise FailedStepError(f"pytest wrote no {cassette}")
        text = cassette.read_text(encoding="utf-8")
        lines = text.splitlines()
        rest = [f"… {len(lines) - _LINES} more lines"] if len(lines) > _LINES else []
        self._show(f"cassettes/{CASSETTE}", "\n".join(lines[:_LINES] + rest))

    def _replay(self) -> None:
        nowhere = "The network is blocked" if self._live else "The API is stopped"
        self._start(f"Replay: the same test, answered from the cassette. {nowhere}, and there is no key.")
        self._key = ""
        self._run("pytest -q", expected={0})

    def _change_the_prompt(self) -> None:
        changed = "Say hello in French."
        self._start(f'Change the prompt to "{changed}": the recorded answer is not an answer to that.')
        self._write("test_chat.py", self._test(changed))
        output = self._run("pytest -q --tb=short", expected={1})
        if "--stepreplay=record" not in output:  # what a miss says to run
            raise FailedStepError("the test failed, but not because its request is not recorded")
        self._write("test_chat.py", self._test())

    def _test(self, prompt: str = "") -> str:
        return example_test(url=URL, key=KEY, prompt=prompt or PROMPT)

    def _compare_answers(self) -> None:
        if self._live:
            self._start(
                "Compare: the old prompt is sent again, and the new answer is compared with the old one."
            )
        else:
            self._start("Compare: the old prompt, but the stand-in now answers as another model would.")

        with ExitStack() as stack:
            self._open_api(stack, [changed_answer()])
            self._run("pytest -q --stepreplay=record --stepreplay-dir=again", expected={0})
        command = f"stepreplay diff cassettes/{CASSETTE} again/{CASSETTE}"
        output = self._run(command, expected={0, 1} if self._live else {1})
        if not self._live and CHANGED not in output:
            raise FailedStepError(f"the new {CHANGED} is not among the differences")
        self._say("id, created and the like differ on every call, so they do not count.")

    def _open_api(self, stack: ExitStack, script: Iterable[Reply] | None = None) -> Upstream | None:
        """Starts the stand-in for the commands that follow, unless StepFun itself is called."""
        if self._live:
            self._url, self._key = self._live.url, self._live.key
            return None

        upstream = stack.enter_context(Upstream(script))
        self._url, self._key = upstream.url, "any-key-will-do"
        return upstream

    def _run(self, command: str, *, expected: set[int]) -> str:
        """Runs a command in the folder, shows it with its output, and returns the output.

        Raises:
            FailedStepError: for an exit status that is not expected.
        """
        self._print(f"$ {command}", "bold cyan")
        program, *arguments = command.split()
        try:
            done = subprocess.run(  # noqa: S603 - this Python, with commands that stand in this file
                [sys.executable, "-m", _MODULES[program], *arguments],
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise FailedStepError(f"`{command}` did not end within {_SECONDS} seconds") from None
        output = done.stdout.decode("utf-8", "replace").replace("\r\n", "\n")
        if self._live:
            output = output.replace(self._live.key, f"[{KEY}]")
        self._print(output.strip("\n"), "dim")
        if done.returncode not in expected:
            hint = next((hint for sign, hint in _HINTS.items() if self._live and sign in output), "")
            raise FailedStepError(f"`{command}` ended with status {done.returncode}{hint}")
        return output

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        environment |= {"NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1", URL: self._url}
        # Other plugins that are installed here have their own ideas of this folder.
        environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_stepreplay.plugin"}
        if self._key:
            environment[KEY] = self._key
        if self.console.file.isatty():
            environment["COLUMNS"] = str(max(self.console.width - 2, 20))
        if "PYTHONPATH" in environment:  # the command runs in another folder
            paths = environment["PYTHONPATH"].split(os.pathsep)
            environment["PYTHONPATH"] = os.pathsep.join(str(Path(path).resolve()) for path in paths)
        if not self._live:  # a proxy is no way to this machine
            environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        return environment

    def _start(self, title: str) -> None:
        self.step += 1
        self.console.print(f"\n{self.step}/4 {title}", style="bold green", soft_wrap=True)

    def _say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, encoding="utf-8")

    def _show(self, name: str, text: str) -> None:
        self._print(f"{name}:", "bold cyan")
        self._print(text, "dim")

    def _print(self, text: str, style: str) -> None:
        for line in safe(text).splitlines():
            self.console.print(printing.Text(f"  {line}".rstrip(), style), soft_wrap=True)
