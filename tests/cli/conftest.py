"""A project folder to run the `stepreplay` command in, and what it printed."""

from __future__ import annotations

import io
import json
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import tests.imported  # noqa: F401
from pytest_stepreplay.cli import main
from pytest_stepreplay.models import Cassette, Interaction, Request, Response
from pytest_stepreplay.store.cassettes import write_cassette

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "https://api.stepfun.com/v1/chat/completions"


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as a program reads it."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Project:
    """The working directory of the command."""

    path: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *args: str | Path) -> Result:
        """Runs `stepreplay` with the arguments."""
        self.capsys.readouterr()
        status = main([str(arg) for arg in args])
        return Result(status, *self.capsys.readouterr())

    def write(self, name: str, *interactions: Interaction, test: str | None = None) -> Path:
        """Writes a cassette."""
        path = self.path / name
        write_cassette(path, Cassette(test=test, interactions=interactions))
        return path


class Terminal(io.StringIO):
    """A stdout that a person looks at."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    """An empty folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return Project(tmp_path, capsys)


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def completion(
    content: str | None = "Hello!", /, finish_reason: str | None = "stop", **message: Any
) -> dict[str, Any]:
    """Returns a chat completion as StepFun serves it."""
    return {
        "id": "b7b56af0-52a6-483f-a589-948182676a1b",
        "object": "chat.completion",
        "created": 1709893411,
        "model": "step-3.5-flash",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "finish_reason": finish_reason,
            }
        ],
        "usage": {"prompt_tokens": 83, "completion_tokens": 2, "total_tokens": 85},
    }


def chat(
    *messages: dict[str, Any],
    answer: Any = None,
    url: str = URL,
    recorded_at: str | None = "2026-11-22T17:00:00Z",
    response: Response | None = None,
    **parameters: Any,
) -> Interaction:
    """Returns an interaction of the chat completions API."""
    body = {"model": "step-3.5-flash", "messages": list(messages or [user("Say hello.")]), **parameters}
    if response is None:
        response = Response(status=200, json=completion() if answer is None else answer)
    return Interaction(
        recorded_at=recorded_at,
        elapsed=0.412,
        request=Request(method="POST", url=url, json=body),
        response=response,
    )


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Has Ctrl-C interrupt this process and those that it starts: a run in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
