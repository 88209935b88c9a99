"""Which tests the guard keeps on this machine, what else it lets through, and what it says."""

from __future__ import annotations

import pytest

from .suite import PLAIN, Suite

REACHING = """
    import socket, threading
    import pytest

    def reach():
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                udp.sendto(b"x", ("192.0.2.1", 9))
            except OSError:  # a machine without a route
                pass

    def test_unmarked():
        reach()

    @pytest.mark.stepreplay
    def test_marked():
        reach()
"""


@pytest.mark.parametrize(
    ("value", "failed", "header"),
    [
        ("marked", 1, "blocked"),
        ("always", 2, "blocked for every test"),
        ("never", 1, "open"),  # the marked test fails all the same: nothing was intercepted
    ],
)
def test_which_tests_are_kept_from_the_network(suite: Suite, value: str, failed: int, header: str) -> None:
    suite.write(REACHING)
    suite.pytester.makeini(f"[pytest]\nstepreplay_block_network = {value}")
    result = suite.run()
    result.assert_outcomes(failed=failed, passed=2 - failed)
    result.stdout.fnmatch_lines([f"stepreplay: replay, cassettes/, network {header}"])
    assert ("NetworkBlockedError" in result.stdout.str()) == (value != "never")


def test_the_message_names_the_call_the_line_and_what_to_write(suite: Suite) -> None:
    suite.write(REACHING)
    result = suite.run("--stepreplay-block-network=always")
    result.stdout.fnmatch_lines(
        [
            "E *NetworkBlockedError: stepreplay_block_network = always: this test has no cassette and may not reach "
            "192.0.2.1:9 (socket.sendto, called by test_chat.reach, from test_chat.py:8).",
            "E *Fix: allow the host: stepreplay_allowed_hosts = 192.0.2.1",
            "E *NetworkBlockedError: this test replays a cassette and may not reach "
            "192.0.2.1:9 (socket.sendto, called by test_chat.reach, from test_chat.py:8).",
            "E *Fix: record the request, so that the cassette answers it: pytest --stepreplay=record",
            "E *or allow the host: stepreplay_allowed_hosts = 192.0.2.1",
            "blocked: 192.0.2.1:9 (socket.sendto, called by test_chat.reach, from test_chat.py:8)",
        ]
    )


BROKEN = {
    "a working directory that cannot be asked for": "os.getcwd",
    "a bug in the message": "pytest_stepreplay.network.guard._explain",
    "a bug in who is said to have called": "pytest_stepreplay.network.guard._find_caller",
    "a bug in what lets an allowed host through": "pytest_stepreplay.network.guard._NetworkGuard.lets_through",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_blocked_attempt_is_told_where_its_explanation_raises(suite: Suite, how: str) -> None:
    suite.write(
        PLAIN
        + f"""
    def fail(*args, **named):
        raise RuntimeError("it may not be done here")

    @pytest.mark.stepreplay
    def test_swallowed(monkeypatch):
        import socket
        ask("Say bye.")
        with monkeypatch.context() as patch, socket.socket(type=socket.SOCK_DGRAM) as udp:
            patch.setattr("{BROKEN[how]}", fail)
            try:
                udp.sendto(b"x", ("192.0.2.1", 9))
                heard = None
            except BaseException as error:
                heard = error
        assert isinstance(heard, Exception), "it was not sent"
    """
    )
    suite.change("assert isinstance(heard", "assert True or isinstance(heard")
    suite.record().assert_outcomes(passed=2)
    suite.change("assert True or ", "assert ")
    suite.go_offline()
    result = suite.run()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["blocked: 192.0.2.1:9 (socket.sendto*"])


@pytest.mark.parametrize("mode", ["record", "live"])
def test_always_means_in_replay(suite: Suite, mode: str) -> None:
    suite.write(REACHING.replace("@pytest.mark.stepreplay", f"@pytest.mark.stepreplay(mode='{mode}')"))
    suite.run("--stepreplay-block-network=always", f"--stepreplay={mode}").assert_outcomes(passed=1, failed=1)
    result = suite.run("--stepreplay-block-network=always", "-k", "test_marked")
    assert "NetworkBlockedError" not in result.stdout.str(), "the marker opens the network for its test"


@pytest.mark.parametrize("allowed", ["192.0.2.1", "*"])
def test_an_allowed_host_is_reached_by_every_test(suite: Suite, allowed: str) -> None:
    suite.write(REACHING.replace("@pytest.mark.stepreplay", ""))
    suite.pytester.makeini(
        f"[pytest]\nstepreplay_block_network = always\nstepreplay_allowed_hosts = {allowed}"
    )
    suite.run().assert_outcomes(passed=2)


def test_an_ignored_host_passes_by_as_it_is_allowed(suite: Suite) -> None:
    """What may be reached and what is not recorded are named in one way."""
    suite.write(PLAIN)
    suite.change(
        "@pytest.mark.stepreplay", "@pytest.mark.stepreplay(ignore_hosts=['*.localhost', 'LOCALHOST'])"
    )
    suite.change('assert ask("Say hello.")', 'ask("Say hello.")\n    pytest.skip("asked")')
    suite.change("127.0.0.1", "LocalHost")
    for _ in range(2):
        suite.run().assert_outcomes(skipped=1)
    assert suite.upstream.count == 2


def test_a_block_keeps_the_network_away_as_a_test_does(suite: Suite) -> None:
    suite.write(
        REACHING.replace(
            "@pytest.mark.stepreplay\n    def test_marked():\n        reach()",
            "def test_block():\n"
            "        from pytest_stepreplay import use_cassette\n"
            "        with use_cassette('x.yaml'):\n"
            "            with pytest.raises(RuntimeError, match='may not reach'): reach()\n"
            "        with use_cassette('x.yaml', mode='live'):\n"
            "            reach()\n"
            "        reach()",
        )
    )
    suite.run().assert_outcomes(passed=2)
    suite.run("--stepreplay-block-network=always", "-k", "test_block").assert_outcomes(failed=1)


def test_a_child_process_is_out_of_sight(suite: Suite) -> None:
    """Documented: the guard stands in this process alone."""
    suite.write(
        """
        import subprocess, sys
        import pytest

        @pytest.mark.stepreplay
        def test_it():
            code = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect_ex(('192.0.2.1', 9))"
            subprocess.run([sys.executable, "-c", code], check=True)
            pytest.skip("reached")
        """
    )
    suite.run().assert_outcomes(skipped=1)


def test_a_coroutine_is_named_by_its_line(suite: Suite) -> None:
    suite.write(
        """
        import asyncio
        import pytest

        async def ask():
            await asyncio.get_running_loop().getaddrinfo("api.example.invalid", 443)

        @pytest.mark.stepreplay
        def test_it():
            asyncio.run(ask())
        """
    )
    suite.run().stdout.fnmatch_lines(
        [
            "blocked: api.example.invalid:443 (BaseEventLoop.getaddrinfo, called by test_chat.ask, from test_chat.py:6)"
        ]
    )
