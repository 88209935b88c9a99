"""`stepreplay_server`: what another process asks is answered from its own test's cassette, and fails its own test."""

from __future__ import annotations

import pytest

from tests.conftest import KEY

from .suite import Suite

APP = """
    import json, os, sys, urllib.request

    body = {{"model": "m", "messages": [{{"role": "user", "content": sys.argv[1]}}], "stream": True}}
    headers = {{"content-type": "application/json", "authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        print(urllib.request.urlopen(request).read().decode())
    except urllib.error.HTTPError as error:
        print("the app goes on", error.code)
"""
SUITE = """
    import os, pathlib, subprocess, sys
    import pytest

    pytestmark = pytest.mark.stepreplay(upstream=["{url}"])
    APP = str(pathlib.Path(__file__).with_name("app.py"))

    def run(server, text):
        env = {{**os.environ, **server.env}}
        done = subprocess.run([sys.executable, APP, text], env=env, capture_output=True, text=True, check=True)
        return done.stdout

    @pytest.mark.parametrize("number", range(3))
    def test_each(stepreplay_server, stepreplay, number):
        said = run(stepreplay_server, f"Say {{number}}.")
        assert said.count("data: ") > 5 and said.rstrip().endswith("[DONE]")
        assert len(stepreplay.played) + len(stepreplay.recorded) == 1

    def test_other(stepreplay_server):
        assert "[DONE]" in run(stepreplay_server, "Say other.")
        assert "[DONE]" in run(stepreplay_server, "Say more.")
"""


def write(suite: Suite) -> None:
    suite.write(APP, "app.py")
    suite.write(SUITE)


def test_each_test_has_its_own_cassette_under_xdist_and_a_changed_prompt_fails_the_right_one(
    suite: Suite,
) -> None:
    write(suite)
    recorded = suite.run("--stepreplay=record", key=KEY)
    recorded.assert_outcomes(passed=4)
    recorded.stdout.fnmatch_lines(["recorded 5 in 4 cassettes"])
    cassettes = suite.pytester.path / "cassettes/test_chat"
    texts = {path.name: path.read_text(encoding="utf-8") for path in cassettes.iterdir()}
    assert all(KEY not in text and "chunks:" in text for text in texts.values())
    suite.go_offline()
    suite.change("Say {number}.", "Say {number + (number == 1) * 5}.")
    result = suite.run("-n2")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "not recorded: messages[[]0].content differs",
            "  test      test_chat.py::test_each[[]1]",
            "    messages[[]0].content: Say [[]-1-]{+6+}.",
            "replayed 4, missed 1",
            "FAILED test_chat.py::test_each[[]1] - Failed: not recorded: *",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert {path.name: path.read_text(encoding="utf-8") for path in cassettes.iterdir()} == texts
    suite.start()


def test_drift_is_that_of_the_test_and_what_is_not_asked_is_unplayed(suite: Suite) -> None:
    write(suite)
    suite.run("--stepreplay=record", key=KEY).assert_outcomes(passed=4)
    path = suite.pytester.path / "cassettes/test_chat/test_other.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"finish_reason": "stop"', '"finish_reason": "length"'), encoding="utf-8")
    result = suite.run("--stepreplay=verify", "-k", "other or 0", key=KEY)
    result.assert_outcomes(passed=1, failed=1, deselected=2)
    result.stdout.fnmatch_lines(["*choices[[]0].finish_reason*", "FAILED test_chat.py::test_other*"])
    path.write_text(text, encoding="utf-8")
    suite.change('run(stepreplay_server, "Say more.")', '"[DONE]"')
    asks_less = suite.run()
    asks_less.assert_outcomes(passed=4)
    asks_less.stdout.fnmatch_lines(["unplayed: 1 of 2 interactions in cassettes/test_chat/test_other.yaml"])


def test_without_an_upstream_replay_knows_what_was_recorded_and_record_asks_for_it(suite: Suite) -> None:
    write(suite)
    suite.run("--stepreplay=record", key=KEY).assert_outcomes(passed=4)
    suite.change('(upstream=["', '(keep_headers=["')
    suite.run("-k", "other").assert_outcomes(passed=1, deselected=3)
    result = suite.run("--stepreplay=record", "-k", "other", key=KEY)
    result.assert_outcomes(errors=1, deselected=3)
    result.stdout.fnmatch_lines(["*stepreplay_server stands for an API, but it is not set for which one.*"])


def test_the_test_itself_and_other_clients_may_ask_it_and_it_says_what_it_did(suite: Suite) -> None:
    """What the test's own process asks of the server is answered once, by the server."""
    suite.write(
        """
        import httpx, pytest

        @pytest.mark.parametrize("client", ["httpx", "requests", "urllib"])
        @pytest.mark.stepreplay(upstream=["{url}", "two={url}"])
        def test_own(stepreplay_server, stepreplay, client):
            body = {{"model": "m", "messages": [{{"role": "user", "content": "Say hello."}}]}}
            url = stepreplay_server.base_url + "/chat/completions"
            headers = {{"authorization": "Bearer " + stepreplay_server.env.get("STEP_API_KEY", "{key}")}}
            if client == "httpx":
                answer = httpx.post(url, json=body, headers=headers).json()
            elif client == "requests":
                import requests
                answer = requests.post(url, json=body, headers=headers).json()
            else:
                import json, urllib.request
                headers["content-type"] = "application/json"
                request = urllib.request.Request(url, json.dumps(body).encode(), headers)
                answer = json.load(urllib.request.urlopen(request))
            assert answer["choices"]
            assert len(stepreplay.played) + len(stepreplay.recorded) == 1
            assert stepreplay_server.url_of("two").endswith("/two/v1")
            assert stepreplay_server.env["ANTHROPIC_BASE_URL"] + "/v1" == stepreplay_server.base_url
            assert stepreplay_server.status()["test"] == "test_chat.py::test_own[" + client + "]"
        """.replace("{key}", KEY)
    )
    suite.run("--stepreplay=record", key=KEY).assert_outcomes(passed=3)
    suite.go_offline()
    suite.run().assert_outcomes(passed=3)
    suite.start()


def test_what_a_process_asks_after_its_test_is_refused_and_told(suite: Suite) -> None:
    suite.write(
        """
        import httpx, pytest

        bases = []

        @pytest.mark.stepreplay(upstream=["{url}"])
        def test_first(stepreplay_server):
            bases.append(stepreplay_server.base_url)
            headers = {{"authorization": "Bearer """
        + KEY
        + """"}}
            body = {{"model": "m", "messages": [{{"role": "user", "content": "Say hello."}}]}}
            assert httpx.post(bases[0] + "/chat/completions", json=body, headers=headers).is_success

        def test_second():
            late = httpx.post(bases[0] + "/chat/completions", json={{}})
            assert late.status_code == 400
            assert "test_first has ended, but another process sends POST" in late.json()["error"]["message"]
        """
    )
    result = suite.run("--stepreplay=record", key=KEY)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["refused: POST *, asked by another process, for test_chat.py::test_first, *"]
    )


@pytest.mark.parametrize("cors", ["", "http://localhost:5173"])
def test_web_pages_may_ask_where_the_ini_file_says_so(cors: str, suite: Suite) -> None:
    suite.write(
        """
        import httpx, pytest

        @pytest.mark.stepreplay(upstream=["{url}"])
        def test_page(stepreplay_server):
            origin = {{"origin": "http://localhost:5173", "authorization": "Bearer k"}}
            answer = httpx.get(stepreplay_server.base_url + "/models", headers=origin)
            assert answer.headers.get("access-control-allow-origin", "") == "CORS"
        """.replace("CORS", cors)
    )
    suite.pytester.makeini(f"[pytest]\nstepreplay_cors = {cors}\n")
    suite.run("--stepreplay=record", key=KEY).assert_outcomes(passed=1)
