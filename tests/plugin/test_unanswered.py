"""A server that says nothing, and what is shown of it: one line, and the client's own traceback only behind -vv."""

from __future__ import annotations

import pytest

from .suite import Suite

DEAD = """
    import asyncio
    import aiohttp, httpx, httpx2, openai, pytest, requests, urllib3

    URL = "{url}"
    CHAT = URL + "/chat/completions"
    ASKED = {{"model": "m", "messages": []}}
    pytestmark = pytest.mark.stepreplay

    def with_openai():
        openai.OpenAI(base_url=URL, api_key="k", max_retries=1).chat.completions.create(**ASKED)

    async def with_openai_async():
        async with openai.AsyncOpenAI(base_url=URL, api_key="k", max_retries=0) as client:
            await client.chat.completions.create(**ASKED)

    async def with_httpx_async():
        async with httpx.AsyncClient() as client:
            await client.post(CHAT, json=ASKED)

    async def with_aiohttp():
        async with aiohttp.ClientSession() as client:
            await client.post(CHAT, json=ASKED)

    ASK = {{
        "openai": with_openai,
        "openai-async": lambda: asyncio.run(with_openai_async()),
        "httpx": lambda: httpx.post(CHAT, json=ASKED),
        "httpx-async": lambda: asyncio.run(with_httpx_async()),
        "httpx2": lambda: httpx2.post(CHAT, json=ASKED),
        "aiohttp": lambda: asyncio.run(with_aiohttp()),
        "requests": lambda: requests.post(CHAT, json=ASKED),
        "urllib3": lambda: urllib3.request("POST", CHAT, json=ASKED),
    }}

    @pytest.mark.parametrize("client", ASK)
    def test_it(client):
        ASK[client]()

    def test_expecting_it():
        with pytest.raises(httpx.ConnectError):
            ASK["httpx"]()

    @pytest.mark.xfail(raises=httpx.ConnectError, strict=True)
    def test_failing_as_expected():
        ASK["httpx"]()
"""


@pytest.mark.parametrize("mode", ["record", "rewrite", "live"])
def test_a_dead_server_is_one_line(suite: Suite, mode: str) -> None:
    suite.write(DEAD)
    suite.go_offline()
    where = suite.url.removeprefix("http://").removesuffix("/v1")
    line = f"{'no answer' if mode == 'live' else 'nothing recorded'}: connection refused, {where}"
    result = suite.run(f"--stepreplay={mode}", key="sk-step-any")
    result.assert_outcomes(failed=8, passed=1, xfailed=1)
    assert result.outlines.count(line) == 8
    assert "site-packages" not in result.stdout.str()
    told = f"no answer: connection refused, {where}, in test_chat.py::test_it?openai? and 9 more"
    result.stdout.fnmatch_lines([told])
    assert suite.cassettes == []


def test_the_clients_traceback_stands_behind_vv(suite: Suite) -> None:
    suite.write(DEAD)
    suite.go_offline()
    result = suite.run("--stepreplay=record", "-vv", "-k", "test_it and requests", key="sk-step-any")
    result.assert_outcomes(failed=1, deselected=9)
    result.stdout.fnmatch_lines(
        ["*site-packages/urllib3/*", "E *requests.exceptions.ConnectionError: *", "*- stepreplay -*"]
    )
    result.stdout.fnmatch_lines(["nothing recorded: connection refused, 127.0.0.1:*"])


def test_what_a_try_could_not_send_and_the_next_one_could_is_not_told(suite: Suite) -> None:
    suite.write(
        """
        import httpx, pytest, socket

        @pytest.mark.stepreplay
        def test_it(monkeypatch):
            body = {{"model": "m", "messages": [{{"role": "user", "content": "Hi."}}]}}
            headers = {{"authorization": "Bearer k"}}
            with monkeypatch.context() as patch:
                patch.setattr(socket, "create_connection", refuse)
                with pytest.raises(httpx.ConnectError):
                    httpx.post("{url}/chat/completions", json=body, headers=headers)
            httpx.post("{url}/chat/completions", json=body, headers=headers)

        def refuse(*args, **named):
            raise ConnectionRefusedError(111, "Connection refused")
        """
    )
    result = suite.record()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["recorded 1 in 1 cassette"])
    result.stdout.no_fnmatch_line("*no answer*")


FIXTURES = """
    import socket
    import httpx, pytest

    def ask(text):
        httpx.post("{url}/chat/completions", json={{"ask": text}}, headers={{"authorization": "Bearer k"}})

    @pytest.fixture(scope="session")
    def wrapped():
        try:
            ask("a story")
        except BaseException as error:
            raise RuntimeError("no story") from error

    @pytest.fixture(scope="module")
    def grouped():
        try:
            ask("two stories")
        except BaseException as error:
            raise BaseExceptionGroup("some stories are missing", [error])

    @pytest.fixture(scope="session")
    def blocked():
        socket.create_connection(("status.example.com", 443))

    @pytest.fixture(scope="session")
    def dead():
        httpx.post("{url}/chat/completions", json={{}})

    @pytest.mark.stepreplay
    @pytest.mark.parametrize("number", [1, 2])
    @pytest.mark.parametrize("name", ["wrapped", "grouped", "blocked"])
    def test_it(name, number, request):
        request.getfixturevalue(name)

    @pytest.mark.stepreplay
    def test_blocked_in_the_test():
        try:
            socket.create_connection(("status.example.com", 443))
        except RuntimeError as error:
            raise ValueError("the client's own") from error
"""


def test_no_frame_of_ours_is_shown_whatever_a_fixture_makes_of_a_miss(suite: Suite) -> None:
    suite.write(FIXTURES)
    result = suite.run()
    result.assert_outcomes(failed=7)
    text = result.stdout.str()
    assert "interception" not in text
    assert "guard.py" not in text
    assert "site-packages" not in text
    assert text.count("E       Failed: not recorded: there is no cassette yet\n") == 4
    assert text.count("may not reach status.example.com:443") >= 3
    assert "no story" not in text


def test_no_frame_of_ours_is_shown_of_a_mistake_in_settings(suite: Suite) -> None:
    suite.write("""
        import pytest

        @pytest.fixture(scope="session")
        def stepreplay_config():
            return {{"modee": "live"}}

        @pytest.fixture(scope="session")
        def wide():
            pass

        def test_unmarked(wide):
            pass

        @pytest.mark.stepreplay
        def test_marked(wide):
            pass
    """)
    result = suite.run()
    result.assert_outcomes(errors=2)
    told = "the stepreplay_config fixture has no argument 'modee' (did you mean mode?)*"
    result.stdout.fnmatch_lines(
        ["*ERROR at setup of test_unmarked*", told, "*ERROR at setup of test_marked*", told]
    )
    result.stdout.no_fnmatch_line("*run.py*")

    suite.write("""
        from pytest_stepreplay import use_cassette

        def test_in_code():
            with use_cassette("x.yaml", modee="live"):
                pass
    """)
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *Failed: use_cassette has no argument 'modee' (did you mean mode?)*"])
    result.stdout.no_fnmatch_line("*routing.py*")


def test_a_dead_server_in_a_fixture_is_one_line_for_each_of_its_tests(suite: Suite) -> None:
    suite.write(FIXTURES.replace('"wrapped", "grouped", "blocked"', '"dead"'))
    suite.go_offline()
    result = suite.run("--stepreplay=record", "-k", "test_it", key="sk-step-any")
    result.assert_outcomes(failed=2, deselected=1)
    assert (
        sum(line.startswith("nothing recorded: connection refused, 127.0.0.1:") for line in result.outlines)
        == 2
    )
    assert "site-packages" not in result.stdout.str()
