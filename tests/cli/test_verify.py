"""`stepreplay verify` with real cassettes against a real server: what it prints, writes, leaves and returns."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import fakeredis
import pytest
import trustme
from moto.server import ThreadedMotoServer

from pytest_stepreplay.cli import verifying
from pytest_stepreplay.models import Interaction, Response
from pytest_stepreplay.upstream import ReceivedRequest, Reply, Upstream, raw
from pytest_stepreplay.upstream.replies import json_reply
from pytest_stepreplay.verify.budget import Limits
from pytest_stepreplay.verify.pacing import ClockPacer
from pytest_stepreplay.verify.whole_folder import Tally
from tests.cli.conftest import Project, chat, completion, user
from tests.conftest import KEY

JOURNALS = ".pytest_cache/d/stepreplay"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_API_KEY", KEY)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the clock of a run jump to the end of each pause."""
    real_now, passed = ClockPacer.now, 0.0

    async def wait(pacer: ClockPacer, duration: float | None) -> None:
        nonlocal passed
        passed += duration or 0.0
        await asyncio.sleep(0)

    monkeypatch.setattr(ClockPacer, "now", lambda pacer: real_now(pacer) + passed)
    monkeypatch.setattr(ClockPacer, "wait", wait)


def asked(upstream: Upstream, text: str, answer: Any = None, **more: Any) -> Interaction:
    return chat(user(text), answer=answer, url=f"{upstream.url}/chat/completions", **more)


def same(received: ReceivedRequest) -> Reply:
    return json_reply(completion())


def test_it_asks_without_the_tests_and_leaves_what_drifted(project: Project) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    with Upstream(same) as upstream:
        project.write("cassettes/same.yaml", asked(upstream, "One."), test="test_x.py::test_same")
        path = project.write(
            "cassettes/drifted.yaml",
            asked(upstream, "Two.", completion(None, "tool_calls", tool_calls=[call])),
            asked(upstream, "Three.", completion("Bye.")),
        )
        before = path.read_bytes()
        found = project.run("verify", "--report", "drift.json", "--concurrency", "1")
        assert found.status == 1
        assert (
            "verified 3 interactions in 2 cassettes: 1 unchanged, 2 drifted\n1 interaction fails" in found.out
        )
        assert found.out.endswith("report written to drift.json\nsent 3 calls, 255 tokens\n")
        assert [each.headers["authorization"] for each in upstream.requests] == [f"Bearer {KEY}"] * 3
        assert path.read_bytes() == before
        assert project.run("pending").status == 1
        report = json.loads((project.path / "drift.json").read_text(encoding="utf-8"))
        assert report["counts"] == {"same": 1, "drifted": 2, "unverified": 0, "known": 0, "failed": 1}
        assert report["interactions"][2]["test"] == "test_x.py::test_same"
        assert not list((project.path / JOURNALS).iterdir())
        # One test, for a program; what is not said to fail does not.
        found = project.run("verify", "test_x.py::test_same", "--json")
        assert (found.status, found.err, upstream.count) == (0, "", 4)
        assert {name: found.json[name] for name in ("calls", "tokens", "left", "problems")} == {
            "calls": 1,
            "tokens": 85,
            "left": 0,
            "problems": [],
        }
        assert project.run("verify", "--fail-on", "never").status == 0
        # The project's settings hold, and so do its baseline and what CI is not to have.
        (project.path / "pytest.ini").write_text(
            "[pytest]\nstepreplay_ignore = choices[*].message\n  choices[*].finish_reason\n"
            "stepreplay_prices =\n  step-*: $1 $2\n"
        )
        found = project.run("verify")
        assert found.status == 0
        assert "3 unchanged" in found.out
        assert "sent 3 calls, 255 tokens, $0.00026" in found.out
        assert project.run("pending").status == 0


@pytest.mark.usefixtures("no_pauses")
def test_what_cannot_be_done_is_one_message_and_sends_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Upstream(same) as upstream:
        project.write("cassettes/a.yaml", asked(upstream, "One."), asked(upstream, "Two."))
        wrong = {
            ("--max-calls", "0"): "argument --max-calls: '0' is not a whole number of 1 or more",
            ("--timeout", "0"): "argument --timeout: '0' is not a number of seconds above 0",
            ("--report", "drift.xls"): "drift.xls' must end in .json",
            ("--base-url", "here"): "--base-url 'here' is not FROM=TO",
            ("nowhere",): "'nowhere' does not exist",
            ("--history", "a.json"): "only a report for a browser shows it; write one to a FILE.html",
            ("--report", "a.html", "--history", "a.json"): "history: a.json: No such file or directory",
            (
                "--report",
                "a.html",
                "--history",
                "cassettes/*",
            ): "history: cassettes/a.yaml is no report in JSON",
        }
        for words, told in wrong.items():
            found = project.run("verify", *words)
            assert (found.status, found.out) == (2, "")
            assert told in found.err
        journal = project.path / JOURNALS
        journal.mkdir(parents=True)
        journal.chmod(0o500)
        if os.geteuid():
            assert "cannot be written" in project.run("verify").err
        journal.chmod(0o700)
        with monkeypatch.context() as patched:
            patched.setattr(verifying, "find_spec", lambda name: None)
            found = project.run("verify")
            assert (found.status, found.err) == (
                2,
                "stepreplay: stepreplay verify needs aiohttp, which is not installed.\n"
                "Install it with: pip install 'pytest-stepreplay[watch]'\n",
            )
        assert upstream.count == 0
        # A cassette that is broken hides nothing of the others; a budget that is spent leaves the rest for later.
        (project.path / "cassettes/b.yaml").write_text("")
        found = project.run("verify", "--max-calls", "1")
        assert (found.status, upstream.count) == (1, 1)
        assert "b.yaml: is empty" in found.err
        assert "1 request left; --fresh begins anew. To go on: stepreplay verify" in found.err
        assert "not asked: --max-calls 1 is reached" in found.out
        assert project.run("verify", "--max-calls", "1").status == 1
        assert upstream.count == 1
        found = project.run("verify", "--max-calls", "2")
        assert "going on with a run that has sent 1 call" in found.err
        assert ("2 unchanged" in found.out, upstream.count) == (True, 2)
    (project.path / "cassettes/b.yaml").unlink()
    found = project.run("verify", "--json")
    assert found.status == 1
    assert {each["reason"] for each in found.json["interactions"]} == {
        "not asked: no answer (Connection refused), after 3 tries"
    }
    assert (found.json["calls"], found.json["left"]) == (0, 2)


def test_a_run_in_ci_tells_its_progress_in_lines_and_leaves_nothing_pending(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(verifying, "BETWEEN_LINES", 0.0)
    with Upstream(same) as upstream:
        project.write("cassettes/a.yaml", asked(upstream, "One.", completion("Bye.")))
        found = project.run("verify")
    assert "1 of 1: " in found.err
    assert "no pending files were written here" in found.out
    assert not list(project.path.rglob("*.new"))


def test_the_time_left_keeps_to_the_limits_and_a_narrow_terminal_shows_what_matters_most() -> None:
    tally = Tally(total=100, done=40, calls=40, tokens=3_400, asked=40)
    assert (
        verifying.told_of(tally, 2.0, Limits(), 60) == "1,200 a minute, 40 calls, 3,400 tokens, 0:00:03 left"
    )
    paced = Limits(calls_a_minute=40)
    assert verifying.told_of(tally, 2.0, paced, 60) == "40 a minute, 40 calls, 3,400 tokens, 0:01:30 left"
    tokens = Limits(calls_a_minute=40, tokens_a_minute=850)
    assert verifying.told_of(tally, 2.0, tokens, 60) == "10 a minute, 40 calls, 3,400 tokens, 0:06:00 left"
    assert verifying.told_of(tally, 2.0, paced, 40) == "40 calls, 3,400 tokens, 0:01:30 left"
    assert verifying.told_of(tally, 2.0, paced, 8) == "0:01:30 left"
    assert verifying.told_of(tally, 0.5, paced, 60) == "40 calls, 3,400 tokens"


def test_the_command_to_go_on_keeps_the_rate(project: Project) -> None:
    with Upstream(same) as upstream:
        project.write(
            "cassettes/a.yaml",
            *(chat(user(each), url="http://127.0.0.1:1/v1/chat/completions") for each in "ab"),
        )
        base = f"http://127.0.0.1:1={upstream.url.removesuffix('/v1')}"
        found = project.run("verify", "--max-calls", "1", "--rpm", "60", "--tpm", "5000", "--base-url", base)
        assert found.err.endswith(f"To go on: stepreplay verify --rpm 60 --tpm 5000 --base-url {base}\n")


def test_text_of_a_model_moves_no_cursor_and_commands_no_ci(project: Project) -> None:
    hostile = "\x1b]0;owned\x07\n::error::owned\n##[command]"
    with Upstream(lambda _: json_reply(completion(hostile))) as upstream:
        project.write("cassettes/a.yaml", asked(upstream, "One."))
        for words in ((), ("--json", "--fresh")):
            out = project.run("verify", *words).out
            assert "\x1b" not in out
            assert "\n::" not in out
            assert "##[" not in out


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no SIGINT for one process")
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_prints_what_is_known_and_another_run_goes_on(project: Project) -> None:
    second, over = threading.Event(), threading.Event()

    def slow(received: ReceivedRequest) -> Reply:
        if received.json["messages"][-1]["content"] == "Two.":
            second.set()
            over.wait(60)
        return same(received)

    with Upstream(slow) as upstream:
        project.write("cassettes/a.yaml", *(asked(upstream, each) for each in ("One.", "Two.", "Three.")))
        command = [sys.executable, "-m", "pytest_stepreplay.cli", "verify", "--concurrency", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert second.wait(60)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "verified 1 interaction in 1 cassette: 1 unchanged, 0 drifted\nsent 2 calls, 85 tokens" in out
        assert "2 requests left; --fresh begins anew. To go on: stepreplay verify" in err
        over.set()
        found = project.run("verify")
        assert "verified 2 of 3 interactions in 1 cassette: 2 unchanged" in found.out
        assert "it was under way when the run before was ended" in found.out
        assert found.status == 1
        assert [each.json["messages"][-1]["content"] for each in upstream.requests] == [
            "One.",
            "Two.",
            "Three.",
        ]
        assert project.run("verify").status == 0  # all is asked anew


def test_an_answer_that_breaks_off_is_not_asked_for_again(project: Project) -> None:
    with Upstream(
        lambda _: raw(headers={"Content-Type": "application/json", "Content-Length": "100"}, body=b"{")
    ) as upstream:
        project.write("cassettes/a.yaml", asked(upstream, "One."))
        found = project.run("verify")
        assert (found.status, upstream.count) == (1, 1)
        assert "no answer (" in found.out


@pytest.mark.usefixtures("no_pauses")
def test_a_server_whose_certificate_is_not_trusted_is_asked_nothing(project: Project) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)
        port = listening.getsockname()[1]

        def serve() -> None:
            for _ in range(3):
                connection, _ = listening.accept()
                with connection, suppress(OSError):
                    context.wrap_socket(connection, server_side=True)

        server = threading.Thread(target=serve)
        server.start()
        project.write("cassettes/a.yaml", chat(url=f"https://localhost:{port}/v1/chat/completions"))
        found = project.run("verify", "--json")
        server.join(60)
    assert (found.status, found.json["calls"]) == (1, 0)
    assert "certificate verify failed" in found.json["interactions"][0]["reason"]


def test_the_port_of_a_server_may_be_another_one(project: Project) -> None:
    with Upstream(same) as upstream:
        project.write("cassettes/a.yaml", chat(url="http://127.0.0.1:1/v1/chat/completions"))
        base = upstream.url.removesuffix("/v1")
        assert project.run("verify", "--base-url", f"http://127.0.0.1:1={base}").status == 0
        assert upstream.requests[0].path == "/v1/chat/completions"


def test_a_stream_is_folded_before_it_is_compared(project: Project) -> None:
    with Upstream() as upstream:
        request = asked(
            upstream, "Say hello.", stream=True, response=Response(status=200, text="not a stream")
        )
        path = project.write("cassettes/a.yaml", request)
        assert project.run("verify").status == 1
        project.run("accept", "--all")
        assert "events:" in path.read_text(encoding="utf-8")
        found = project.run("verify")
        assert (found.status, upstream.count) == (0, 2)
        assert "1 unchanged" in found.out


def test_a_page_shows_earlier_reports_tokens_and_seconds(project: Project) -> None:
    with Upstream(same) as upstream:
        project.write("cassettes/a.yaml", asked(upstream, "One.", completion("Bye.")))
        nightly = ("nightly/1.json", "nightly/2.json")
        (project.path / "nightly").mkdir()
        for name in nightly:
            assert project.run("verify", "--report", name).status == 0
        (one,) = json.loads((project.path / "nightly/1.json").read_text(encoding="utf-8"))["interactions"]
        assert (one["tokens"], one["seconds"][1] > 0) == ([2, 2], True)
        for history in (nightly, ["nightly/*.json"]):
            found = project.run("verify", "--report", "drift.html", "--history", *history)
            assert found.out.count("report written to drift.html") == 1
            assert "since nightly/1.json: in 3 of 3 runs" in (project.path / "drift.html").read_text("utf-8")


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with fakeredis.TcpFakeServer(("127.0.0.1", 0), server_type="redis") as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        serving.start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()
        serving.join(60)


def test_machines_share_a_budget_in_redis(project: Project, redis_url: str) -> None:
    command = [sys.executable, "-m", "pytest_stepreplay.cli", "verify", "--budget", f"{redis_url}/nightly"]
    with Upstream(same) as upstream:
        for name in "abcd":
            project.write(
                f"cassettes/{name}.yaml", *(asked(upstream, f"{name} {number}") for number in range(8))
            )
        shards = [
            subprocess.Popen(
                [*command, "--max-calls", "9", "--shard", f"{number}/3"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in (1, 2, 3)
        ]
        told = [each.communicate(timeout=120) for each in shards]
        assert upstream.count == 9, told
        assert {each.returncode for each in shards} == {1}
        assert all("not asked: --max-calls 9 is reached" in out for out, _ in told)
        # Who goes on shares it still, and so does who begins anew; another name is another budget.
        project.run("verify", "--budget", f"{redis_url}/nightly", "--max-calls", "10", "--fresh")
        assert upstream.count == 10
        project.run("verify", "--budget", f"{redis_url}/other", "--max-calls", "2", "--fresh")
        assert upstream.count == 12
        for words, message in (
            (
                ("--budget", f"{redis_url}/nightly"),
                "--budget shares a limit: add --rpm, --tpm, --max-calls or",
            ),
            (("--budget", "redis://:hush@127.0.0.1:1/0/n", "--rpm", "1"), "127.0.0.1:1/0/n cannot be used: "),
        ):
            found = project.run("verify", *words)
            assert (found.status, found.out) == (2, "")
            assert message in found.err
            assert "hush" not in found.err
        assert upstream.count == 12


def test_machines_share_a_budget_in_a_bucket(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        request = urllib.request.Request(f"http://{host}:{port}/bucket", method="PUT")
        urllib.request.urlopen(request, timeout=60).close()
        with Upstream(same) as upstream:
            project.write("cassettes/a.yaml", *(asked(upstream, f"{number}") for number in range(6)))
            for number in (1, 2):
                budget = ("--budget", "s3://bucket/budgets/nightly", "--max-calls", "4")
                found = project.run("verify", *budget, "--shard", f"{number}/2")
            assert upstream.count == 4
            assert "not asked: --max-calls 4 is reached" in found.out
            found = project.run("verify", "--budget", "s3://nowhere/x", "--max-calls", "4")
            assert found.status == 2
            assert "--budget: s3://nowhere/x cannot be used: " in found.err
    finally:
        server.stop()
