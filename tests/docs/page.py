"""A page of the documentation, run: its files are written, its commands executed, its outputs compared.

What to do with a fenced block stands in an HTML comment before it, which readers do not see:

    <!-- file: test_x.py -->              the block is this file
    <!-- run -->                          the block holds commands; <!-- run, status 1 --> if the last one fails,
                                          <!-- run, typing asq --> if it is a review, in a terminal
    <!-- output -->                       the last commands print this; `...` stands for anything
    <!-- excerpt: cassettes/x.yaml -->    the repository's own file holds these lines
    <!-- not run: why -->                 the block is run nowhere, or elsewhere

and between blocks, `<!-- edit test_x.py: old => new -->`, `<!-- quietly: pytest test_x.py; status 1 -->`,
`<!-- the API says: old => new -->` from there on in its answers, and `<!-- the API answers: 429 -->` (200: as ever).
Test files that the page's own commands do not run are recorded and replayed at the end.

A command that starts with `STEP_API_KEY=...` finds the built-in upstream where `https://api.stepfun.com` is in the
page; every other one runs with the upstream stopped and no key.
"""

from __future__ import annotations

import io
import re
import runpy
import shlex
import socket
import sys
import traceback
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_stepreplay.cli import main as stepreplay
from pytest_stepreplay.errors import standing_in
from pytest_stepreplay.upstream import ReceivedRequest, Reply, Upstream, error
from pytest_stepreplay.upstream.replies import unscripted_answer
from tests.conftest import KEY
from tests.few_plugins import few_plugins
from tests.left_open import ClosedClients, close_clients

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY: Final = Path(__file__).parents[2]
HOST: Final = "api.stepfun.com"
NEEDS_NO_MARK: Final = {"mermaid"}
RUN_ELSEWHERE: Final = {"the demo command", "the test command"}
"""`.ci/run` runs these two, in an environment of its own."""

_STEP = re.compile(
    r"^<!-- (?P<mark>.+?) -->\n(?:```(?P<marked>\w*)\n(?P<text>.*?)^```$)?"
    r"|^```(?P<unmarked>\w*)\n.*?^```$",
    re.MULTILINE | re.DOTALL,
)
_STATUS = re.compile(r"[,;] status (\d+)$")
_TYPING = re.compile(r", typing (\w+)$")
_BASE = re.compile(rb"\b[0-9a-f]{64}\b")
_NEW_SCREEN = "\x1b[2J"
_ESCAPE = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")


@dataclass(frozen=True)
class Step:
    """One thing to do: what its mark says, with the block that follows."""

    line: int
    mark: str
    language: str | None
    text: str


def read_steps(path: Path) -> list[Step]:
    """Returns the steps of a Markdown file, in order. A fenced block without a mark has an empty one."""
    page = path.read_text(encoding="utf-8")
    return [
        Step(
            line=page.count("\n", 0, found.start()) + 1,
            mark=found["mark"] or "",
            language=found["marked"] if found["mark"] else found["unmarked"],
            text=found["text"] or "",
        )
        for found in _STEP.finditer(page)
    ]


class Reader:
    """A user who does what a page says, in an empty folder."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester = pytester
        self._monkeypatch = monkeypatch
        self._folder = pytester.path
        self._output = ""
        self._not_yet_run: set[str] = set()
        self._said: list[tuple[str, str]] = []
        self._answers = 200
        monkeypatch.setenv("COLUMNS", "80")
        # What runs here belongs to no run outside.
        monkeypatch.setattr("pytest_stepreplay.session.host._host", None)

    def follow(self, page: Path) -> None:
        """Does all that the page says.

        Raises:
            AssertionError: something is not as the page says; the message names the line.
        """
        for step in read_steps(page):
            try:
                with standing_in(self._folder):
                    self._do(step)
            except AssertionError as error:
                raise AssertionError(f"{page.name}, line {step.line}: {error}") from None
        if self._not_yet_run:
            names = " ".join(sorted(self._not_yet_run))
            self._run(f"STEP_API_KEY=... pytest --stepreplay=record {names}")
            self._run(f"pytest {names}")

    def _do(self, step: Step) -> None:
        mark, keys = step.mark, None
        if typing := _TYPING.search(mark):
            mark, keys = mark[: typing.start()], typing[1]
        kind, _, argument = mark.partition(": ")
        status = _STATUS.search(mark)
        expected = int(status[1]) if status else 0
        match _STATUS.sub("", kind).split():
            case ["file"]:
                self._write(argument, step.text)
            case ["run"]:
                *before, last = [line for line in step.text.splitlines() if _command_in(line)]
                outputs = [self._run(line) for line in before]
                with _typing(keys):
                    outputs.append(self._run(last, expected))
                self._output = "\n".join(output.rstrip("\n") for output in outputs)
            case ["the", "API", "says"]:
                old, new = argument.split(" => ")
                self._said.append((old, new))
            case ["the", "API", "answers"]:
                self._said, self._answers = [], int(argument)
            case ["quietly"]:
                self._output = self._run(_STATUS.sub("", argument), expected)
            case ["edit", name]:
                old, new = argument.split(" => ")
                text = (self._folder / name).read_text(encoding="utf-8")
                assert old in text, f"{name} does not hold {old!r}"
                self._write(name, text.replace(old, new))
            case ["output"]:
                assert _holds(self._output, step.text), f"this is not in the output:\n\n{self._output}"
            case ["excerpt"]:
                text = (REPOSITORY / argument).read_text(encoding="utf-8")
                assert step.text in text, f"these lines are not in {argument}"
            case ["not", "run"] if argument:
                pass
            case _:
                known = step.mark in RUN_ELSEWHERE or (step.language in NEEDS_NO_MARK and not step.mark)
                assert known, f"a block with the mark {step.mark!r}, which says nothing"

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if path.match("test_*.py"):
            self._not_yet_run.add(name)

    def _run(self, line: str, expected: int = 0) -> str:
        """Runs a command and returns what it printed."""
        command = _command_in(line)
        online = command.startswith("STEP_API_KEY=... ")
        program, *arguments = shlex.split(command.removeprefix("STEP_API_KEY=... "))
        for name in ("STEP_API_KEY", "OPENAI_API_KEY"):
            self._monkeypatch.delenv(name, raising=False)
        if online:
            self._monkeypatch.setenv("STEP_API_KEY", KEY)
            with self._api() as url:
                status, output = self._execute(program, arguments)
            output = output.replace(url, f"https://{HOST}")
        else:
            status, output = self._execute(program, arguments)
        assert status == expected, f"`{command}` ended with status {status}:\n\n{output}"
        return output

    def _execute(self, program: str, arguments: list[str]) -> tuple[int, str]:
        if program == "pytest":
            named = {argument.partition("::")[0] for argument in arguments if argument.startswith("test_")}
            self._not_yet_run -= named or set(self._not_yet_run)
            with few_plugins(*(["xdist"] if "-n" in arguments else [])) as few:
                given = (*few, "-p", "no:cacheprovider", *arguments)
                result = self._pytester.runpytest_inprocess(*given, plugins=[ClosedClients()])
            return int(result.ret), f"{result.stdout.str()}\n{result.stderr.str()}"
        printed = _Printed()
        with redirect_stdout(printed), redirect_stderr(printed):
            status = stepreplay(arguments) if program == "stepreplay" else _run_python(program, arguments)
        return status, _ESCAPE.sub("", printed.getvalue().replace(_NEW_SCREEN, "\n"))

    def _reply_to(self, received: ReceivedRequest) -> Reply:
        """Returns what the upstream says by its own rules, in the words of the page."""
        if self._answers != 200:
            return error(self._answers, "rate_limited", "Slow down.", headers={"retry-after": "0"})
        if not self._said:
            return None
        answer = unscripted_answer(received.json)
        calls = tuple((self._in_words(name), self._in_words(given)) for name, given in answer.tool_calls)
        return replace(answer, content=self._in_words(answer.content), tool_calls=calls)

    def _in_words(self, text: str) -> str:
        for old, new in self._said:
            text = text.replace(old, new)
        return text

    @contextmanager
    def _api(self) -> Iterator[str]:
        """Lets the upstream, which speaks plain HTTP, stand where StepFun is in every file of the page."""
        real = socket.getaddrinfo

        def look_up(host: Any, *rest: Any, **named: Any) -> Any:
            return real("127.0.0.1" if host in (HOST, HOST.encode()) else host, *rest, **named)

        with Upstream(self._reply_to) as upstream, pytest.MonkeyPatch.context() as patch:
            url = upstream.url.replace("127.0.0.1", HOST).removesuffix("/v1")
            patch.setattr(socket, "getaddrinfo", look_up)
            self._replace(f"https://{HOST}", url)
            try:
                yield url
            finally:
                self._replace(url, f"https://{HOST}")
            for request in upstream.requests:
                assert request.headers["authorization"] == f"Bearer {KEY}"

    def _replace(self, old: str, new: str) -> None:
        """Replaces an address, and in pending files also the digest of the file that they were made from."""
        digests: dict[bytes, bytes] = {}
        for pattern in ("*.py", "*.ini", "*.yaml", "*.yaml.new"):
            for path in self._folder.rglob(pattern):
                before = path.read_bytes()
                after = before.replace(old.encode(), new.encode())
                if pattern == "*.yaml.new":
                    after = _BASE.sub(lambda base: digests.get(base[0], base[0]), after)
                digests[sha256(before).hexdigest().encode()] = sha256(after).hexdigest().encode()
                if after != before:
                    path.write_bytes(after)


class _Printed(io.StringIO):
    """What a command prints; a terminal where keys are typed."""

    is_terminal = False

    def isatty(self) -> bool:
        return self.is_terminal


@contextmanager
def _typing(keys: str | None) -> Iterator[None]:
    """Lets `stepreplay review` read these keys, as from a terminal of eighty columns."""
    if keys is None:
        yield
        return

    typed = iter(keys)

    class Typed:
        def read(self, idle: object = None) -> str:
            return next(typed)

    @contextmanager
    def reading_keys() -> Iterator[Typed]:
        yield Typed()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_stepreplay.cli.review.reading_keys", reading_keys)
        patch.setattr(_Printed, "is_terminal", True)
        patch.setattr(sys, "stdin", _Printed())
        yield


def _command_in(line: str) -> str:
    """Returns the command of a line, without its comment."""
    return re.sub(r"(?:^|\s+)#.*", "", line).strip()


def _run_python(program: str, arguments: list[str]) -> int:
    assert program == "python", f"{program} is not run by these tests"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        try:
            if arguments[0] == "-c":
                exec(arguments[1], {})
            else:
                close_clients(runpy.run_path(arguments[0], run_name="__main__"))
        except BaseException as error:  # noqa: BLE001 - as Python itself ends a script
            traceback.print_exception(error)
            return 1
    return 0


def _holds(output: str, expected: str) -> bool:
    """Whether the output holds the expected lines, one behind the other."""
    lines = [re.sub(r"^E {7}(Failed: )?", "", line).rstrip() for line in output.splitlines()]
    pattern = "\n".join(re.escape(line.rstrip()) for line in expected.splitlines())
    pattern = re.sub(r"^\\\.\\\.\\\.$", r"[\\s\\S]*?", pattern, flags=re.MULTILINE).replace(r"\.\.\.", ".*")
    return re.search(f"^{pattern}$", "\n".join(lines), re.MULTILINE) is not None
