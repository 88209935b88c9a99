"""Beside mocks: whoever mocks a request answers it, in every mode; what goes past the mock is the cassette's."""

from __future__ import annotations

import pytest

from .suite import Suite

MODULE = """
    import asyncio, inspect, json, os, unittest.mock
    import aiohttp, httpx, httpx2, pytest, requests, responses, respx
    import requests_mock as requests_mocks
    from aioresponses import aioresponses
    from responses import matchers

    URL = "{url}/chat/completions"
    HEADERS = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
    MOCKS = "MOCKS" in os.environ
    AIOHTTP_NEEDS_A_WRITER = "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters
    ANSWER = {{"choices": [{{"message": {{"content": "mocked"}}}}]}}
    mocked = pytest.mark.skipif(not MOCKS, reason="nothing is mocked now")

    def body(text):
        return {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": text}}]}}

    MOCKED, SENT = body("Ask the mock."), body("Ask the API.")
    AWAY = URL.replace("127.0.0.1", "localhost")

    def said(answer):
        return answer["choices"][0]["message"]["content"]

    def check(first, second):
        assert (said(first) == "mocked") == MOCKS
        assert said(second) != "mocked"

    def both(client, url=URL):
        with client:
            check(*(client.post(where, json=each, headers=HEADERS).json() for where, each in ((url, MOCKED), (URL, SENT))))

    def both_async(client, url=URL):
        async def ask():
            async with client:
                check(*[(await client.post(where, json=each, headers=HEADERS)).json() for where, each in ((url, MOCKED), (URL, SENT))])
        asyncio.run(ask())

    def routed(router):
        route = router.post(URL, json=MOCKED).mock(return_value=httpx.Response(200, json=ANSWER))
        router.route().pass_through()
        return route

    pytestmark = pytest.mark.stepreplay

    @pytest.mark.parametrize("ask", [both, both_async])
    @pytest.mark.parametrize("using", ["httpcore", "httpx"])
    def test_respx(ask, using):
        client = httpx.Client() if ask is both else httpx.AsyncClient()
        if not MOCKS:
            return ask(client)
        with respx.mock(using=using, assert_all_called=False) as router:
            route = routed(router)
            ask(client)
            assert route.called and route.call_count == 1

    def test_respx_fixture(request):
        route = routed(request.getfixturevalue("respx_mock")) if MOCKS else None
        both(httpx.Client())
        assert route is None or route.called

    @pytest.mark.httpx_mock(should_mock=lambda request: b"mock" in request.content)
    @pytest.mark.parametrize("ask", [both, both_async])
    def test_pytest_httpx(request, ask):
        if MOCKS:
            request.getfixturevalue("httpx_mock").add_response(url=URL, json=ANSWER)
        ask(httpx.Client() if ask is both else httpx.AsyncClient())

    def test_responses():
        with responses.RequestsMock() as mock:
            mock.add_passthru(URL)
            if MOCKS:
                mock.post(URL, json=ANSWER, match=[matchers.json_params_matcher(MOCKED)])
            both(requests.Session())

    def test_requests_mock():
        with requests_mocks.Mocker(real_http=True) as mock:
            if MOCKS:
                route = mock.post(URL, json=ANSWER, additional_matcher=lambda request: request.json() == MOCKED)
            both(requests.Session())
            assert not MOCKS or route.call_count == 1

    class Answer(aiohttp.ClientResponse):
        def __init__(self, *args, **kwargs):  # aioresponses does not know yet that the newest aiohttp asks for it
            if AIOHTTP_NEEDS_A_WRITER:
                kwargs["stream_writer"] = unittest.mock.Mock()
            super().__init__(*args, **kwargs)

    def test_aioresponses():
        async def ask():
            async with aiohttp.ClientSession(headers=HEADERS) as session:
                answers = []
                for each in MOCKED, SENT:
                    async with session.post(URL, json=each) as answer:
                        answers.append(await answer.json())
                check(*answers)
        with aioresponses(passthrough_unmatched=True) as mock:
            if MOCKS:
                mock.post(URL, payload=ANSWER, response_class=Answer)
            asyncio.run(ask())

    @pytest.mark.parametrize("module", [httpx, httpx2])
    def test_mock_transport(module):
        transport = module.MockTransport(lambda request: module.Response(200, json=ANSWER))
        mounts = {{"all://localhost": transport}} if MOCKS else None
        both(module.Client(mounts=mounts), AWAY)
        both_async(module.AsyncClient(mounts=mounts), AWAY)

    async def asgi(scope, receive, send):
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": json.dumps(ANSWER).encode()}})

    def wsgi(environ, start_response):
        start_response("200 OK", [])
        return [json.dumps(ANSWER).encode()]

    @pytest.mark.parametrize("module", [httpx, httpx2])
    def test_an_app(module):
        both(module.Client(mounts={{"all://localhost": module.WSGITransport(wsgi)}} if MOCKS else None), AWAY)
        both_async(module.AsyncClient(mounts={{"all://localhost": module.ASGITransport(asgi)}} if MOCKS else None), AWAY)
"""
TESTS = 14
"""How many tests the module has."""


@pytest.fixture
def mocked(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A recorded suite of tests with two requests or four each, of which the mocks now answer the first."""
    suite.write(MODULE)
    suite.needs = ("pytest_httpx", "respx")
    suite.record().assert_outcomes(passed=TESTS)
    assert len(suite.cassettes) == TESTS
    monkeypatch.setenv("MOCKS", "1")
    return suite


def test_whoever_mocks_a_request_answers_it_in_every_mode(mocked: Suite) -> None:
    cassettes = [mocked.cassette(name) for name in mocked.cassettes]
    before = [path.read_text(encoding="utf-8") for path in cassettes]
    assert all(text.count("Ask the mock.") == text.count("Ask the API.") for text in before)
    for mode in ("replay", "record", "verify", "live", "rewrite"):
        result = mocked.run(f"--stepreplay={mode}", key="sk-step-any")
        result.assert_outcomes(passed=TESTS)
        if mode != "rewrite":
            assert [path.read_text(encoding="utf-8") for path in cassettes] == before, mode
    for path in cassettes:  # what a mock answers is not recorded
        text = path.read_text(encoding="utf-8")
        assert "Ask the API." in text
        assert "Ask the mock." not in text
        assert "content: mocked" not in text


ALONE = """
    import asyncio, inspect, unittest.mock
    import aiohttp, httpx, httpx2, pytest, requests, responses, respx
    import requests_mock as requests_mocks
    from aioresponses import aioresponses

    URL = "https://api.stepfun.com/v1/chat/completions"
    pytestmark = pytest.mark.stepreplay

    def test_respx(respx_mock):
        respx_mock.post(URL).respond(json=1)
        assert httpx.post(URL).json() == 1

    def test_pytest_httpx(httpx_mock):
        httpx_mock.add_response(json=1)
        assert httpx.post(URL).json() == 1

    @responses.activate
    def test_responses():
        responses.post(URL, json=1)
        assert requests.post(URL).json() == 1

    def test_requests_mock(requests_mock):
        requests_mock.post(URL, json=1)
        assert requests.post(URL).json() == 1

    def test_aioresponses():
        async def ask():
            async with aiohttp.ClientSession() as session:
                await session.post(URL)
        with aioresponses() as mock, pytest.raises(TimeoutError):
            mock.post(URL, exception=TimeoutError())
            asyncio.run(ask())

    @pytest.mark.parametrize("module", [httpx, httpx2])
    def test_mock_transport(module):
        transport = module.MockTransport(lambda request: module.Response(200, json=1))
        with module.Client(transport=transport) as client:
            assert client.post(URL).json() == 1

    def test_nothing_known():
        with unittest.mock.patch("requests.post"):
            requests.post(URL)
"""


@pytest.mark.parametrize("mode", ["replay", "record"])
def test_a_test_that_a_mock_alone_serves_passes_and_has_no_cassette(suite: Suite, mode: str) -> None:
    suite.write(ALONE)
    suite.needs = ("pytest_httpx", "respx", "requests_mock")
    result = suite.run(f"--stepreplay={mode}")
    result.assert_outcomes(passed=7, failed=1)
    result.stdout.fnmatch_lines(
        [
            "stepreplay intercepted no request of this test, so its cassette tests nothing.",
            "It intercepts httpx, *, httplib2 and tornado, and recognizes what httpx.MockTransport, * and aioresponses answer. *",
            "FAILED test_chat.py::test_nothing_known - *",
        ]
    )
    assert suite.cassettes == []
