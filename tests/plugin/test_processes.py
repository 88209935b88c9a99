"""Many processes and one cassette: nothing is lost, nothing stands twice, nothing of it stays behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from pytest_stepreplay import use_cassette
from pytest_stepreplay.store.cassettes import read_cassette
from pytest_stepreplay.upstream import Upstream, error
from tests.conftest import KEY

from .suite import PLAIN, Suite

SHARED = (
    PLAIN.split("    @pytest.mark")[0]
    + """
    @pytest.mark.parametrize("number", range(TESTS))
    @pytest.mark.stepreplay(cassette="shared")
    def test_shared(number):
        assert ask(f"Say {{number}}.")
"""
)

FORKS = """
    import multiprocessing, os
    import httpx, pytest

    def ask(text):
        body = {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": text}}]}}
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        reply = httpx.post("{url}/chat/completions", json=body, headers=headers)
        return reply.raise_for_status().json()["choices"][0]["message"]["content"]

    def in_fork(function, *args):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                function(*args)
                status = 0
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    pytestmark = [
        pytest.mark.stepreplay,
        pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    ]
"""

RECORDER = """
import sys
import httpx
from pytest_stepreplay import use_cassette
path, url, name = sys.argv[1:]
client = httpx.Client(headers={"Authorization": "Bearer sk-test"})
for number in range(10):
    with use_cassette(path, mode="record"):
        body = {"model": "m", "messages": [{"role": "user", "content": f"{name} {number}"}]}
        client.post(f"{url}/chat/completions", json=body).raise_for_status()
"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def prompts(path: Path) -> list[str]:
    interactions = read_cassette(path).cassette.interactions
    return [each.request.json["messages"][-1]["content"] for each in interactions]


def ask(url: str, text: str) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    reply = httpx.post(f"{url}/chat/completions", json=body, headers={"Authorization": "Bearer sk-test"})
    content: Any = reply.raise_for_status().json()["choices"][0]["message"]["content"]
    return str(content)


def start_pytest(suite: Suite, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *args]
    environment = {**os.environ, "STEP_API_KEY": KEY}
    return subprocess.Popen(
        command,
        cwd=suite.pytester.path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def hidden_files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def test_four_processes_record_into_one_cassette(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "shared.yaml"
    names = ["one", "two", "three", "four"]
    command = [sys.executable, "-c", RECORDER, str(path), upstream.url]
    recorders = [subprocess.Popen([*command, name]) for name in names]
    assert [recorder.wait() for recorder in recorders] == [0, 0, 0, 0]
    recorded = prompts(path)
    assert sorted(recorded) == sorted(f"{name} {number}" for name in names for number in range(10))
    for name in names:  # and each one's stand in the order in which they came
        assert [each for each in recorded if each.startswith(name)] == [f"{name} {i}" for i in range(10)]
    assert list(tmp_path.iterdir()) == [path]


def test_workers_of_xdist_record_into_one_cassette(suite: Suite) -> None:
    suite.write(SHARED.replace("TESTS", "20"))
    with suite.few_plugins("xdist") as few:
        run = start_pytest(suite, *few, "--stepreplay=record", "-n2")
    out, _ = run.communicate()
    assert run.returncode == 0, out
    assert "recorded 20 in 1 cassette" in out
    assert sorted(prompts(suite.cassette("shared.yaml"))) == sorted(f"Say {i}." for i in range(20))
    assert hidden_files(suite.cassette("")) == []
    suite.go_offline()
    suite.run("--stepreplay-unused=error").assert_outcomes(passed=20)


def test_two_runs_at_once_record_the_same_suite(suite: Suite) -> None:
    suite.write(
        SHARED.replace("TESTS", "8")
        + """
    @pytest.mark.parametrize("number", range(8))
    @pytest.mark.stepreplay
    def test_own(number):
        assert ask(f"Say {{number}}.")
        assert ask(f"Say {{number}} again.")
"""
    )
    with suite.few_plugins() as few:
        runs = [start_pytest(suite, *few, "--stepreplay=record") for _ in range(2)]
    for run in runs:
        out, _ = run.communicate()
        assert run.returncode == 0, out
    for number in range(8):  # a test's own cassette holds each request once, whoever recorded it
        own = suite.cassette(f"test_chat/test_own[{number}].yaml")
        assert prompts(own) == [f"Say {number}.", f"Say {number} again."]
    assert {*prompts(suite.cassette("shared.yaml"))} == {f"Say {i}." for i in range(8)}
    assert hidden_files(suite.cassette("")) == []
    suite.go_offline()
    suite.run().assert_outcomes(passed=16)


def test_blocks_in_each_other_record_into_one_file(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with use_cassette(path, mode="record"):
        ask(upstream.url, "outer, before")
        with use_cassette(path, mode="record"):
            ask(upstream.url, "inner")
        ask(upstream.url, "outer, after")
    assert sorted(prompts(path)) == ["inner", "outer, after", "outer, before"]
    with use_cassette(path, mode="replay"):
        for text in ("outer, before", "inner", "outer, after"):
            assert ask(upstream.url, text)
    assert upstream.count == 3


def test_threads_record_into_one_file(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"

    def record(name: str) -> None:
        for number in range(5):
            with use_cassette(path, mode="record"):
                ask(upstream.url, f"{name} {number}")

    threads = [threading.Thread(target=record, args=[name]) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(prompts(path)) == [f"{name} {number}" for name in "abcd" for number in range(5)]
    assert list(tmp_path.iterdir()) == [path]


@needs_fork
def test_what_a_forked_child_records_is_replayed(suite: Suite) -> None:
    suite.write(
        FORKS
        + """
    def test_fork():
        assert ask("the parent")
        assert in_fork(ask, "the child") == 0
        assert ask("the parent again")

    def test_only_in_children():
        assert in_fork(ask, "one") == in_fork(ask, "other") == 0

    def test_pool(tmp_path):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert len(pool.map(ask, ["a", "b", "c", "d"])) == 4
"""
    )
    suite.record().assert_outcomes(passed=3)
    recorded = prompts(suite.cassette("test_chat/test_fork.yaml"))
    assert sorted(recorded) == ["the child", "the parent", "the parent again"]
    assert sorted(prompts(suite.cassette("test_chat/test_pool.yaml"))) == ["a", "b", "c", "d"]
    suite.go_offline()
    result = suite.run("--stepreplay-unused=error")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["replayed 9"])


@needs_fork
def test_a_miss_in_a_forked_child_fails_the_test(suite: Suite) -> None:
    suite.write(
        FORKS
        + """
    def test_fork():
        in_fork(ask, "Say hello.")
"""
    )
    suite.record().assert_outcomes(passed=1)
    suite.change("Say hello.", "Say something else.")
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*not recorded: messages*differs*", "missed 1"])
    assert suite.upstream.count == 1


@needs_fork
def test_a_failing_test_keeps_the_cassette_from_what_its_child_recorded(suite: Suite) -> None:
    suite.write(
        FORKS
        + """
    def test_fork():
        assert in_fork(ask, "one") == 0
"""
    )
    suite.record().assert_outcomes(passed=1)
    before = suite.cassette("test_chat/test_fork.yaml").read_bytes()
    suite.change('"one") == 0', '"other") == 7')
    result = suite.record()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["not written, the test failed: cassettes/test_chat/test_fork.yaml"])
    assert suite.cassette("test_chat/test_fork.yaml").read_bytes() == before


@needs_fork
@pytest.mark.parametrize("mode", ["live", "record"])
def test_what_a_child_sends_without_recording_counts(suite: Suite, mode: str) -> None:
    suite.say = lambda _: error(503, "server_error", "overloaded")
    suite.write(
        FORKS
        + """
    def test_fork():
        assert in_fork(ask, "one") == 1
"""
    )
    result = suite.run(f"--stepreplay={mode}", key=KEY)
    result.assert_outcomes(passed=1)
    said = "sent 1" if mode == "live" else "error response not recorded: 503 in test_chat.py::test_fork"
    result.stdout.fnmatch_lines([said])
    assert suite.cassettes == []


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_goes_on_with_the_block_writes_nothing(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with use_cassette(path, mode="record"):
        child = os.fork()
        ask(upstream.url, "the child" if child == 0 else "the parent")
        ended = os.waitpid(child, 0)[1] if child else 0  # the parent has written nothing by then
    if child == 0:
        os._exit(7 if path.exists() else 0)
    assert os.waitstatus_to_exitcode(ended) == 0
    assert "the parent" in prompts(path)


def test_a_spawned_process_records_with_a_block_of_its_own(suite: Suite) -> None:
    suite.pytester.makepyfile(
        child="""
        import os, sys, httpx
        from pytest_stepreplay import use_cassette
        path, mode, url = sys.argv[1:]
        with use_cassette(path, mode=mode):
            body = {"model": "m", "messages": [{"role": "user", "content": "the child"}]}
            headers = {"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}
            httpx.post(url + "/chat/completions", json=body, headers=headers).raise_for_status()
        """
    )
    suite.write(
        PLAIN
        + """
    def spawn(stepreplay):
        import subprocess, sys
        return subprocess.call([sys.executable, "child.py", stepreplay.path, stepreplay.mode, "{url}"])

    @pytest.mark.stepreplay
    def test_spawn(stepreplay):
        assert ask("the parent")
        assert spawn(stepreplay) == 0
"""
    )
    suite.record().assert_outcomes(passed=2)
    assert sorted(prompts(suite.cassette("test_chat/test_spawn.yaml"))) == ["the child", "the parent"]
    suite.go_offline()
    suite.run().assert_outcomes(passed=2)


def test_a_lock_that_is_not_released_fails_the_test_that_recorded(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.write(PLAIN)
    suite.pytester.makeconftest("import pytest_stepreplay.store.locks as locks\nlocks.TIMEOUT = 0.05")
    code = (
        "import sys; from pathlib import Path; from pytest_stepreplay.store.locks import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    path = suite.cassette()
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with suite.few_plugins() as few:
            run = start_pytest(suite, *few, "--stepreplay=record")
        out, _ = run.communicate()
        holder.kill()
    assert run.returncode == 1
    assert re.search(
        rf"test_greeting.yaml: was not written: for 0\.05 seconds process {holder.pid} on .* has been writing it",
        out,
    )
    assert "Traceback" not in out
    assert not path.exists()
