"""A project's own `vcr.VCR` on our cassettes: with real clients, a real server, and saves that are killed."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from pytest_stepreplay import CassetteReadError, CassetteWriteError, use_cassette
from pytest_stepreplay.formats.vcrpy import import_vcr
from pytest_stepreplay.store.cassettes import read_cassette
from pytest_stepreplay.upstream import Upstream
from pytest_stepreplay.vcr import register
from tests.conftest import KEY


@pytest.fixture(autouse=True)
def outside_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run is the host of what is opened here."""
    monkeypatch.setattr("pytest_stepreplay.session.host._host", None)


def make(**options: Any) -> Any:
    vcr = import_vcr("vcr").VCR(**options)
    register(vcr)
    return vcr


def ask(url: str, text: str = "Say hello.", call: str = "call_1") -> str:
    messages = [
        {"role": "user", "content": text},
        {
            "role": "assistant",
            "tool_calls": [{"id": call, "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": call, "content": "1"},
    ]
    reply = requests.post(
        f"{url}/chat/completions",
        json={"model": "step-3.5-flash", "messages": messages},
        headers={"authorization": f"Bearer {KEY}"},
        timeout=10,
    )
    reply.raise_for_status()
    return str(reply.json()["id"])


def test_records_redacted_and_replays(upstream: Upstream, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("STEP_API_KEY", KEY)
    path = tmp_path / "deep" / "x.yaml"
    with make().use_cassette(path):
        first = ask(upstream.url, f"My key is {KEY}.")
    text = path.read_text()
    assert text.startswith("stepreplay: 1\n")
    assert KEY not in text
    assert "My key is" in text
    interaction = read_cassette(path).cassette.interactions[0]
    assert interaction.recorded_at

    # Another key and another id of the tool call: vcrpy's own matchers would miss, or not look at the body at all.
    monkeypatch.setenv("STEP_API_KEY", "sk-step-another-0123456789abcdef")
    with make(record_mode="none").use_cassette(path) as cassette:
        assert ask(upstream.url, "My key is sk-step-another-0123456789abcdef.", call="call_2") == first
        assert cassette.play_count == 1
    with use_cassette(path):
        assert ask(upstream.url, f"My key is {KEY}.", call="call_3") == first
    assert upstream.count == 1
    assert path.read_text() == text, "what was only replayed is not written"


def test_a_changed_body_is_a_miss_that_says_what_differs(upstream: Upstream, tmp_path: Path) -> None:
    with make().use_cassette(tmp_path / "x.yaml"):
        ask(upstream.url)
    miss = import_vcr("vcr.errors").CannotOverwriteExistingCassetteException
    with make().use_cassette(tmp_path / "x.yaml"), pytest.raises(miss) as caught:
        ask(upstream.url, "Say goodbye.")
    assert "messages[0].content" in str(caught.value)
    assert upstream.count == 1


def test_record_modes_are_those_of_vcrpy(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with make().use_cassette(path):
        ask(upstream.url, "one")
        ask(upstream.url, "two")
    one, two = read_cassette(path).cassette.interactions
    with make(record_mode="new_episodes").use_cassette(path):
        ask(upstream.url, "one")
        ask(upstream.url, "three")
    assert read_cassette(path).cassette.interactions[:2] == (one, two), "what is kept stays as it stood"
    assert len(read_cassette(path).cassette.interactions) == 3
    with make(record_mode="all").use_cassette(path) as cassette:
        ask(upstream.url, "two")
    texts = [
        each.request.json["messages"][0]["content"] for each in read_cassette(path).cassette.interactions
    ]
    # vcrpy kept what it had loaded, in its older versions, and replaces it in its newer ones.
    assert texts in (["one", "three", "two"], ["one", "two", "three", "two"]), len(cassette)
    assert upstream.count == 4


def test_two_at_once_lose_nothing_of_each_other(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with make().use_cassette(path):
        ask(upstream.url, "one")
        code = (
            "import sys, vcr; from pytest_stepreplay.vcr import register; "
            "from tests.unit.test_vcr_registration import ask; my = vcr.VCR(); register(my)\n"
            "with my.use_cassette(sys.argv[2]): ask(sys.argv[1], 'two')"
        )
        subprocess.run([sys.executable, "-W", "ignore", "-c", code, upstream.url, str(path)], check=True)
    texts = [
        each.request.json["messages"][0]["content"] for each in read_cassette(path).cassette.interactions
    ]
    assert sorted(texts) == ["one", "two"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a child is forked, and killed")
def test_a_save_that_is_killed_loses_nothing(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with make().use_cassette(path):
        ask(upstream.url, "one")
    old = path.read_bytes()
    code = (
        "import os, signal, sys, vcr; from pytest_stepreplay.machine import disk; "
        "from pytest_stepreplay.vcr import register; from tests.unit.test_vcr_registration import ask\n"
        "disk.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "my = vcr.VCR(record_mode='new_episodes'); register(my)\n"
        "with my.use_cassette(sys.argv[2]): ask(sys.argv[1], 'two')"
    )
    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, upstream.url, str(path)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == old
    with make(record_mode="new_episodes").use_cassette(path):
        ask(upstream.url, "two")
    assert [each.name for each in tmp_path.iterdir()] == ["x.yaml"], "what the killed one has left is gone"
    assert len(read_cassette(path).cassette.interactions) == 2


def test_a_leak_is_refused(upstream: Upstream, tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "x.yaml"
    with make().use_cassette(path):
        ask(upstream.url, "one")
    old, connection = path.read_bytes(), http.client.HTTPConnection
    monkeypatch.setattr(
        "pytest_stepreplay.redaction.redactor.Redactor.redact_request", lambda self, request: request
    )
    with (
        pytest.raises(CassetteWriteError, match="looks like a secret") as caught,
        make(record_mode="new_episodes").use_cassette(path),
    ):
        ask(upstream.url, "sk-proj-Zx81kQvT3mPn5Rw7Yb2Lc9Dh4Gj6Sf0A")
    assert "Zx81kQvT3mPn5Rw7" not in str(caught.value)
    assert http.client.HTTPConnection is connection, "vcrpy alone leaves its patches when a save fails"
    assert path.read_bytes() == old


def test_what_cannot_be_read_is_left_alone(upstream: Upstream, tmp_path: Path) -> None:
    broken, foreign = tmp_path / "broken.yaml", tmp_path / "foreign.yaml"
    broken.write_text("stepreplay: 1\ninteractions: [\n")
    with pytest.raises(CassetteReadError), make().use_cassette(broken):
        pass
    with import_vcr("vcr").VCR().use_cassette(foreign):
        first = ask(upstream.url)
    old = foreign.read_bytes()
    with make(record_mode="none").use_cassette(foreign):
        assert ask(upstream.url) == first
    with (
        pytest.raises(CassetteWriteError, match="stepreplay convert"),
        make(record_mode="new_episodes").use_cassette(foreign),
    ):
        ask(upstream.url, "new")
    assert foreign.read_bytes() == old


def test_a_match_on_of_its_own_stays(tmp_path: Path) -> None:
    assert make(match_on=["method", "uri"]).match_on == ["method", "uri"]
    assert make().match_on == ("method", "stepreplay")
