"""Keys: none needed in replay, none stored, the right one sent. Network: none in replay but this machine."""

from __future__ import annotations

import os

import pytest

from pytest_stepreplay.settings import PLACEHOLDER_KEY
from pytest_stepreplay.upstream import error
from tests.conftest import KEY

from .suite import GREETING, Suite


def test_a_client_built_at_import_needs_no_key_in_replay(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    suite.run().assert_outcomes(passed=1)
    assert "OPENAI_API_KEY" not in os.environ, "what was not set before is not set after"


def test_an_empty_key_is_a_missing_one(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record()
    suite.monkeypatch.setenv("OPENAI_API_KEY", "")
    suite.start_pytest().assert_outcomes(passed=1)
    assert os.environ["OPENAI_API_KEY"] == ""


def test_more_keys_can_be_named(suite: Suite) -> None:
    suite.pytester.makeini("[pytest]\nstepreplay_api_keys = MY_KEY OTHER_KEY")
    suite.write(
        f"import os\n\ndef test_it():\n    assert os.environ['MY_KEY'] == {PLACEHOLDER_KEY!r}\n    assert 'OPENAI_API_KEY' not in os.environ\n"
    )
    suite.run().assert_outcomes(passed=1)


def test_no_key_is_stored_wherever_it_stands(suite: Suite) -> None:
    suite.write(GREETING)
    suite.change('"Say hello."', f'"My key is {KEY}, and {KEY} again."')
    suite.change(
        "model=", f'extra_query={{"api_key": "{KEY}"}}, extra_body={{"password": "hunter2-{KEY}"}}, model='
    )
    suite.record().assert_outcomes(passed=1)
    stored = suite.cassette().read_text(encoding="utf-8")
    assert KEY not in stored
    assert "hunter2" not in stored
    assert "authorization" not in stored.lower()
    suite.go_offline()
    suite.run().assert_outcomes(passed=1)


STEPFUN = """
    import socket
    import httpx, pytest
    from openai import OpenAI

    PORT = int("{url}".split(":")[2].split("/")[0])
    real = socket.getaddrinfo

    @pytest.fixture(autouse=True)
    def stepfun_is_the_upstream(monkeypatch):
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **named: real("127.0.0.1", *rest, **named))

    @pytest.mark.stepreplay
    def test_greeting():
        client = OpenAI(base_url=f"http://HOST:{{PORT}}/v1")
        client.chat.completions.create(model="step-3.5-flash", messages=[{{"role": "user", "content": "hi"}}])
"""


@pytest.mark.parametrize("host", ["api.stepfun.com", "api.stepfun.ai"])
def test_a_client_without_a_key_is_given_the_one_of_stepfun_for_stepfun(suite: Suite, host: str) -> None:
    suite.write(STEPFUN.replace("HOST", host))
    suite.monkeypatch.setenv("STEP_API_KEY", KEY)
    suite.monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    suite.start_pytest("--stepreplay=record").assert_outcomes(passed=1)
    assert suite.upstream.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_and_never_for_another_host(suite: Suite) -> None:
    suite.write(STEPFUN.replace("HOST", "api.example.com"))
    suite.monkeypatch.setenv("STEP_API_KEY", KEY)
    suite.monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    result = suite.start_pytest("--stepreplay=record")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*a request to api.example.com must be sent, but its API key is not set.*"])
    assert suite.upstream.count == 0
    assert suite.cassettes == []


def test_recording_from_stepfun_without_a_key_says_which_one(suite: Suite) -> None:
    suite.write(STEPFUN.replace("HOST", "api.stepfun.com"))
    result = suite.run("--stepreplay=record")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Set STEP_API_KEY, or run in replay*"])


TRIED = """
    import os
    import httpx, pytest

    @pytest.mark.stepreplay
    def test_tried():
        body = {{"model": "m", "messages": [{{"role": "user", "content": "hi"}}]}}
        headers = {{"authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}}
        for _ in range(3):
            httpx.post("{url}/chat/completions", json=body, headers=headers)
"""


def test_a_refused_key_is_named_and_all_tries_of_a_request_are_told_once(suite: Suite) -> None:
    suite.write(TRIED)
    refused = error(401, "invalid_api_key", "no")
    suite.replies = [refused] * 3
    result = suite.run("--stepreplay=record")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "stepreplay: record, cassettes/, network open, no key in STEP_API_KEY or OPENAI_API_KEY",
            "error response not recorded: 401 in test_chat.py::test_tried, 3 times: the API refused the key",
            "  OPENAI_API_KEY or STEP_API_KEY is not set, and a placeholder was sent: set it",
        ],
        consecutive=False,
    )
    result.stdout.no_fnmatch_line("*record_errors*")

    suite.replies = [refused] * 3
    result = suite.run("--stepreplay=record", key=KEY)
    result.stdout.fnmatch_lines(["*the API refused the key", "  check the API key that your client sends"])
    result.stdout.no_fnmatch_line("*no key in*")

    suite.replies = [error(503, "busy", "later"), refused, error(503, "busy", "later")]
    result = suite.run("--stepreplay=record", key=KEY)
    result.stdout.fnmatch_lines(
        [
            "error response not recorded: 503 in test_chat.py::test_tried, 2 times",
            "error response not recorded: 401 in test_chat.py::test_tried: the API refused the key",
            "  check the API key that your client sends",
            "  to record such answers: @pytest.mark.stepreplay(record_errors=True)",
        ],
        consecutive=True,
    )

    suite.replies = [error(503, "busy", "later"), error(503, "busy", "later")]  # and then an answer
    result = suite.run("--stepreplay=record", key=KEY)
    result.stdout.fnmatch_lines(["recorded 1 in 1 cassette"])
    result.stdout.no_fnmatch_line("*error response*")


PLACED = """
    import os
    import httpx, pytest

    @pytest.mark.stepreplay
    def test_it():
        try:
            KEY = os.environ["STEP_API_KEY"]
            httpx.get("http://HOST:1/v1/models", PLACE)
        except BaseException:
            pass  # as clients do
"""


@pytest.mark.parametrize(
    ("host", "place", "names"),
    [
        ("api.anthropic.com", 'headers={{"x-api-key": KEY}}', "ANTHROPIC_API_KEY"),
        ("api.example.com", 'headers={{"api-key": KEY}}', "OPENAI_API_KEY or STEP_API_KEY"),
        ("api.example.com", 'params={{"key": KEY}}', "OPENAI_API_KEY or STEP_API_KEY"),
    ],
)
def test_no_placeholder_leaves_the_machine_wherever_it_stands(
    suite: Suite, host: str, place: str, names: str
) -> None:
    suite.write(PLACED.replace("HOST", host).replace("PLACE", place))
    result = suite.run("--stepreplay=record")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            f"*a request to {host} must be sent, but its API key is not set.",
            f"*Set {names}, or run in replay, which needs no key.",
        ]
    )


REACHING = {
    "a socket": "socket.create_connection(('192.0.2.1', 80), timeout=5)",
    "a name": "socket.getaddrinfo('example.invalid', 80)",
    "ftplib": "ftplib.FTP('192.0.2.1', timeout=5)",
    "smtplib": "smtplib.SMTP('192.0.2.1', timeout=5)",
    "asyncio": "asyncio.run(asyncio.open_connection('192.0.2.1', 80))",
    "a datagram": "with socket.socket(type=socket.SOCK_DGRAM) as s: s.sendto(b'x', ('192.0.2.1', 9))",
}


@pytest.mark.parametrize("how", REACHING)
def test_no_other_host_is_reachable_in_replay(suite: Suite, how: str) -> None:
    suite.write(
        f"""
        import asyncio, ftplib, smtplib, socket
        import pytest

        @pytest.mark.stepreplay
        def test_it():
            {REACHING[how]}
        """
    )
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*NetworkBlockedError: *", "blocked: *"])


def test_this_machine_is_reachable_in_replay(suite: Suite) -> None:
    suite.write(
        """
        import pytest, socket

        @pytest.mark.stepreplay
        def test_it():
            with socket.create_server(("127.0.0.1", 0)) as server:
                socket.create_connection(server.getsockname()).close()
            pytest.skip("reached")
        """
    )
    suite.run().assert_outcomes(skipped=1)


def test_in_record_nothing_is_blocked(suite: Suite) -> None:
    suite.write(
        """
        import pytest, socket

        @pytest.mark.stepreplay
        def test_it():
            with pytest.raises(OSError):
                socket.getaddrinfo("", None, family=12345)
            pytest.skip("tried")
        """
    )
    suite.run("--stepreplay=record").assert_outcomes(skipped=1)
