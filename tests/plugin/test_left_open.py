"""What our own suite is guarded by: a socket that is left open fails the test that has left it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.few_plugins import few_plugins

TESTS = """
    import socket

    import pytest

    def in_a_circle(*sockets):
        held = [*sockets]
        held.append(held)

    @pytest.fixture(scope="module")
    def shared():
        with socket.socket() as one:
            yield one

    def test_first(shared):
        with socket.socket() as one:
            in_a_circle(one)

    def test_leaves_two():
        in_a_circle(*socket.socketpair())

    def test_next(shared):
        assert shared.fileno() >= 0
"""


def test_it_fails_the_test_that_leaves_it(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
    pytester.makepyfile(TESTS)
    with few_plugins() as few:
        result = pytester.runpytest_subprocess(*few, "-p", "tests.left_open", "-W", "error")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_leaves_two*",
            "left open, close it or its client: <socket.socket fd=*>, <socket.socket fd=*>",
        ]
    )
