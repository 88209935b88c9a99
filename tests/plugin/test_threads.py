"""Threads, pools and tasks: each request belongs to one cassette, also when its test has ended."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from pytest_stepreplay.upstream import Raw, ReceivedRequest, Reply

from .suite import QUICK, Suite

LATE = (
    QUICK.replace(
        "import httpx, pytest",
        "import httpx, pytest, threading, socket\n    import concurrent.futures as futures",
    )
    + """
    go, done = threading.Event(), threading.Event()
    pool = futures.ThreadPoolExecutor(1)
    heard = []

    def late():
        go.wait(30)
        try:
            heard.append(ask("late"))
        except BaseException as error:
            heard.append(error)
        done.set()

    @pytest.mark.stepreplay
    def test_one():
        assert ask("one")
        START

    @pytest.mark.stepreplay
    def test_two():
        assert ask("two")
        go.set()
        assert done.wait(30)
        assert ask("three")
        assert "test_chat.py::test_one has ended, but a thread that it started tries to send POST " in str(heard[0])
"""
)
STARTS = {
    "a thread": "threading.Thread(target=late).start()",
    "a pool": "pool.submit(late)",
    "a pool that has more to do": "pool.submit(go.wait, 30); pool.submit(late)",
    "a thread of a thread": "threading.Thread(target=lambda: threading.Thread(target=late).start()).start()",
    "a thread of a pool": "pool.submit(threading.Thread(target=late).start).result()",
}


@pytest.mark.parametrize("how", STARTS)
def test_what_a_thread_asks_after_its_test_gets_into_no_other_cassette(suite: Suite, how: str) -> None:
    suite.write(LATE.replace("START", STARTS[how]))
    result = suite.record()
    result.assert_outcomes(passed=3)
    refused = (
        "refused: POST http*/chat/completions, asked by a thread of test_chat.py::test_one after it had ended"
    )
    result.stdout.fnmatch_lines([refused])
    assert "late" not in suite.cassette("test_chat/test_two.yaml").read_text(encoding="utf-8")
    assert suite.upstream.count == 4, "it was not sent"
    suite.go_offline()
    result = suite.run()
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["replayed 4", refused])


BROKEN = {
    "a working directory that cannot be asked for": "os.getcwd",
    "a bug in the message": "pytest_stepreplay.session.history.too_late",
    "a bug in what is done with a request": "pytest_stepreplay.matching.keys.Matcher.key",
    "a bug in redaction": "pytest_stepreplay.redaction.redactor.Redactor.redact_request",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_late_request_is_told_where_its_explanation_raises(suite: Suite, how: str) -> None:
    suite.write(
        LATE.replace("START", STARTS["a thread"]).replace("import concurrent", "import os, concurrent")
    )
    suite.record().assert_outcomes(passed=3)
    suite.change("def test_two():", "def test_two(monkeypatch):")
    suite.change(
        "    go.set()\n    assert done.wait(30)\n",
        "\n".join(
            [
                "    def fail(*args, **named):",
                "        raise RuntimeError('it may not be done here')",
                "    with monkeypatch.context() as patch:",
                f"        patch.setattr({BROKEN[how]!r}, fail)",
                "        go.set()",
                "        assert done.wait(30)",
                "",
            ]
        ),
    )
    suite.change('assert "test_chat.py', 'assert isinstance(heard[0], BaseException) or "')
    suite.go_offline()
    result = suite.run()
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["refused: *, asked by a thread of test_chat.py::test_one after it had ended"]
    )


def test_a_late_request_passes_where_nothing_is_recorded(suite: Suite) -> None:
    suite.write(LATE.replace("START", STARTS["a thread"]))
    suite.change('assert "test_chat.py', 'assert isinstance(heard[0], str) or "')
    suite.run("--stepreplay=live", key="sk-any").assert_outcomes(passed=3)
    assert suite.upstream.count == 5


def test_a_late_request_in_an_unmarked_test_and_under_xdist(suite: Suite) -> None:
    suite.write(LATE.replace("START", STARTS["a thread"]))
    suite.change("@pytest.mark.stepreplay\ndef test_two", "def test_two")
    suite.change('assert ask("two")', "pass")
    suite.change('assert ask("three")', "pass")
    suite.record().assert_outcomes(passed=3)
    for options in [(), ("-n1",)]:
        result = suite.run(*options)
        result.assert_outcomes(passed=3)
        result.stdout.fnmatch_lines(["replayed 2", "refused: POST *"])
    assert suite.upstream.count == 2


SOCKETS = """
    import socket, threading
    import httpx, pytest

    go, done, heard = threading.Event(), threading.Event(), []

    def late():
        go.wait(30)
        try:
            socket.getaddrinfo("api.example.invalid", 443)
        except RuntimeError as error:
            heard.append(str(error))
        done.set()

    @pytest.mark.stepreplay
    def test_one():
        threading.Thread(target=late).start()
        assert httpx.get("{url}/models", headers={{"Authorization": "Bearer sk-any"}}).status_code == 200

    def test_unmarked():
        go.set()
        assert done.wait(30)
        assert heard[0].startswith("this thread was started by test_chat.py::test_one, which replayed a cassette and has ended, and may not reach api.example.invalid:443 ")
"""


def test_a_thread_that_outlives_a_replaying_test_stays_off_the_network(suite: Suite) -> None:
    suite.write(SOCKETS.replace("threading.Thread(target=late).start()", "pass"))
    suite.record("-k", "test_one").assert_outcomes(passed=1)
    suite.write(SOCKETS)
    result = suite.run()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["blocked: api.example.invalid:443 (socket.getaddrinfo, *"])


def test_afterwards_nothing_stays_patched(suite: Suite) -> None:
    before = (threading.Thread.start, ThreadPoolExecutor.submit, httpx.HTTPTransport.handle_request)
    suite.write(LATE.replace("START", STARTS["a pool that has more to do"]))
    suite.record().assert_outcomes(passed=3)
    suite.run().assert_outcomes(passed=3)
    assert before == (threading.Thread.start, ThreadPoolExecutor.submit, httpx.HTTPTransport.handle_request)
    assert "connect" not in vars(socket.socket)


UNDER_WAY = (
    QUICK.replace("import httpx, pytest", "import httpx, pytest, threading")
    + """
    answered = []

    def slow():
        answered.append(ask("slow"))

    @pytest.mark.stepreplay
    def test_slow():
        global thread
        thread = threading.Thread(target=slow)
        thread.start()
        assert ask("quick")
        httpx.get("{url}/wait-until-the-slow-one-has-arrived")

    @pytest.mark.stepreplay
    def test_then():
        httpx.get("{url}/let-the-slow-one-go")
        thread.join(30)
        assert answered
"""
)


def test_an_answer_that_comes_after_the_test_is_not_recorded_and_it_is_said(suite: Suite) -> None:
    arrived, go = threading.Event(), threading.Event()

    def say(received: ReceivedRequest) -> Reply:
        if received.method == "GET":
            if "until" in received.path:
                assert arrived.wait(30)
            else:
                go.set()
            return Raw(200, (), b"")
        if "slow" in str(received.json):
            arrived.set()
            assert go.wait(30)
        return None

    suite.say = say
    suite.write(UNDER_WAY)
    result = suite.record()
    result.assert_outcomes(passed=3)
    lines = [line for line in result.outlines if line.startswith("not recorded: ")]
    assert lines == [
        f"not recorded: the answer to POST {suite.url}/chat/completions had not arrived when test_chat.py::test_slow ended"
    ]
    for name in ("test_slow", "test_then"):
        assert "content: slow" not in suite.cassette(f"test_chat/{name}.yaml").read_text(encoding="utf-8")


WIDE = (
    QUICK.replace("import httpx, pytest", "import httpx, pytest, queue, threading")
    + """
    def serve(questions, answers):
        while (question := questions.get()) is not None:
            thread = threading.Thread(target=lambda: answers.put(ask(question)))
            thread.start()
            thread.join()

    @pytest.fixture(scope="session")
    def service():
        questions, answers = queue.Queue(), queue.Queue()
        thread = threading.Thread(target=serve, args=(questions, answers))
        thread.start()
        def call(text):
            questions.put(text)
            return answers.get(timeout=30)
        yield call
        questions.put(None)
        thread.join()

    @pytest.mark.stepreplay
    @pytest.mark.parametrize("text", ["one", "two"])
    def test_service(service, text):
        assert text in service(text)
"""
)


def test_a_wide_fixtures_threads_work_for_whichever_test_runs(suite: Suite) -> None:
    suite.write(WIDE)
    suite.record().assert_outcomes(passed=3)
    assert suite.cassettes == [
        "test_chat/test_greeting.yaml",
        "test_chat/test_service[one].yaml",
        "test_chat/test_service[two].yaml",
    ]
    suite.go_offline()
    suite.run().assert_outcomes(passed=3)


POOLS = (
    QUICK.replace(
        "import httpx, pytest",
        "import asyncio, httpx, pytest\n    from concurrent.futures import ThreadPoolExecutor\n    from multiprocessing.pool import ThreadPool",
    )
    + """
    shared = ThreadPoolExecutor(4)
    texts = [f"number {{n % 3}}" for n in range(12)]

    @pytest.mark.stepreplay
    def test_one():
        assert len(list(shared.map(ask, texts))) == 12

    @pytest.mark.stepreplay
    def test_two():
        assert len(list(shared.map(ask, texts))) == 12

    @pytest.mark.stepreplay
    def test_own():
        with ThreadPoolExecutor(4) as pool, ThreadPool(2) as other:
            assert len(list(pool.map(ask, texts))) == 12
            assert len(other.map(ask, texts)) == 12

    @pytest.mark.stepreplay
    def test_to_thread():
        async def main():
            await asyncio.gather(*(asyncio.to_thread(ask, text) for text in texts))
        asyncio.run(main())
"""
)


def test_a_pool_uses_the_cassette_of_the_test_that_gives_it_work(suite: Suite) -> None:
    suite.write(POOLS)
    suite.record().assert_outcomes(passed=5)
    assert suite.upstream.count == 1 + 12 + 12 + 24 + 12
    suite.go_offline()
    result = suite.run()
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["replayed 61"])
