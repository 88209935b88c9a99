"""A user's test suite in a folder of its own, run by a pytest of its own against a real upstream."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from pytest_stepreplay.upstream import ReceivedRequest, Reply, Upstream
from tests.conftest import KEY
from tests.few_plugins import few_plugins
from tests.left_open import ClosedClients

GREETING = """
    import pytest
    from openai import OpenAI

    client = OpenAI(base_url="{url}")

    def ask(text, **options):
        messages = [{{"role": "user", "content": text}}]
        reply = client.chat.completions.create(model="step-3.5-flash", messages=messages, **options)
        return reply.choices[0].message.content

    @pytest.mark.stepreplay
    def test_greeting():
        assert ask("Say hello.")
"""

PLAIN = """
    import os
    import httpx, pytest

    def ask(text):
        body = {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": text}}]}}
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        reply = httpx.post("{url}/chat/completions", json=body, headers=headers)
        return reply.raise_for_status().json()["choices"][0]["message"]["content"]

    @pytest.mark.stepreplay
    def test_greeting():
        assert ask("Say hello.")
"""
"""As `GREETING`, with a client that a process of its own imports quickly."""


QUICK = PLAIN.replace("headers=headers)", "headers=headers, verify=False)")
"""As `PLAIN`, for many requests: no certificates are loaded for each."""


def _save(path: Path, text: str) -> None:
    """Writes a module so that its compiled form, which goes by size and whole seconds, is out of date."""
    before = path.stat().st_mtime if path.exists() else None
    path.write_text(text, encoding="utf-8")
    if before is not None:
        os.utime(path, (before + 1, before + 1))


@dataclass
class Suite:
    """One test module, its folder and the upstream it asks."""

    pytester: pytest.Pytester
    monkeypatch: pytest.MonkeyPatch
    replies: list[Reply] = field(default_factory=list)
    """What the upstream says next; after that it answers by its own rules."""
    say: Callable[[ReceivedRequest], Reply] | None = None
    """What the upstream says to a request, where the order of requests is not certain."""
    needs: tuple[str, ...] = ()
    """Plugins that the tests need beside ours. No other is loaded."""

    def __post_init__(self) -> None:
        self.upstream = Upstream(self._reply_to)

    def _reply_to(self, received: ReceivedRequest) -> Reply:
        if self.say is not None:
            return self.say(received)
        return self.replies.pop(0) if self.replies else None

    def start(self) -> Self:
        """Starts the upstream."""
        self.upstream.__enter__()
        self.url = self.upstream.url
        return self

    def go_offline(self) -> None:
        """Stops the upstream."""
        self.upstream.__exit__(None, None, None)

    def write(self, code: str, name: str = "test_chat.py") -> None:
        """Writes a module; `{url}` in it becomes the upstream's."""
        path = self.pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(path, textwrap.dedent(code).format(url=self.url))

    def change(self, old: str, new: str, name: str = "test_chat.py") -> None:
        """Edits the module as a person would."""
        path = self.pytester.path / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        _save(path, text.replace(old, new))

    def run(self, *args: str, key: str | None = None) -> pytest.RunResult:
        """Runs the suite; without a key, as offline CI does."""
        for name in ("STEP_API_KEY", "OPENAI_API_KEY"):
            self.monkeypatch.delenv(name, raising=False)
            if key:
                self.monkeypatch.setenv(name, key)
        return self.start_pytest(*args)

    def start_pytest(self, *args: str) -> pytest.RunResult:
        """Runs the suite with the environment as it is, its tests in the order in which they are written."""
        others = ("xdist",) if any(arg.startswith("-n") for arg in args) else ()
        with self.few_plugins(*others) as few:
            given = (*few, "-p", "no:cacheprovider", *args)
            return self.pytester.runpytest_inprocess(*given, plugins=[ClosedClients()])

    def run_process(self, *args: str) -> pytest.RunResult:
        """Runs the suite in a process of its own, with the environment as it is."""
        with self.few_plugins() as few:
            return self.pytester.runpytest_subprocess(*few, *args)

    def few_plugins(self, *others: str) -> AbstractContextManager[list[str]]:
        """Lets the runs that start here load no plugin but ours, those that the tests need, and the named."""
        return few_plugins(*others, *self.needs)

    def record(self, *args: str) -> pytest.RunResult:
        """Runs the suite in `record`, with a key."""
        return self.run("--stepreplay=record", *args, key=KEY)

    @property
    def cassettes(self) -> list[str]:
        """The names of all files under cassettes/."""
        root = self.pytester.path / "cassettes"
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    def cassette(self, name: str = "test_chat/test_greeting.yaml") -> Path:
        """The path of one of them."""
        return self.pytester.path / "cassettes" / name
