"""Suites that keep a `vcr.VCR` of their own, and suites whose clients vcrpy's stubs serve."""

from __future__ import annotations

from tests.conftest import KEY

from .suite import Suite

OWN = """
    import httpx, pytest, vcr
    from pytest_stepreplay.vcr import register

    my_vcr = vcr.VCR(cassette_library_dir="cassettes", match_on=["method", "stepreplay"])
    register(my_vcr)

    def ask(text, number):
        body = {{"model": "step-3.5-flash", "number": number, "prompt": text, "nickname": "the secret one"}}
        return httpx.post("{url}/chat/completions", json=body).status_code

    @my_vcr.use_cassette("own.yaml")
    def test_own():
        assert ask("Say hello.", NUMBER)

    @pytest.mark.stepreplay
    def test_ours():
        assert ask("Say hello.", 1)
"""


def test_what_the_project_has_set_holds_for_its_own_vcr(suite: Suite) -> None:
    suite.pytester.makeini(
        "[pytest]\nstepreplay_redact_fields = nickname\nstepreplay_ignore_request = number\nstepreplay_record_errors = true"
    )
    suite.write(OWN.replace("NUMBER", "1"))
    result = suite.record()
    result.assert_outcomes(passed=2)
    text = suite.cassette("own.yaml").read_text()
    assert text.startswith("stepreplay: 1\ntest: test_chat.py::test_own\n")
    assert "the secret one" not in text
    assert KEY not in text
    assert suite.upstream.count == 2

    suite.change('Say hello.", 1)', 'Say hello.", 2)')
    suite.go_offline()
    result = suite.run("--stepreplay-unused=error")
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*no test uses*own.yaml*")
    result.stdout.fnmatch_lines("replayed 1")


URLLIB = """
    import json, pytest, urllib.request

    def ask(text):
        body = {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": text}}]}}
        headers = {{"authorization": "Bearer sk-any", "content-type": "application/json"}}
        request = urllib.request.Request("{url}/chat/completions", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)["choices"][0]["message"]["content"]

    @pytest.mark.stepreplay
    def test_greeting():
        assert ask("Say hello.")

    def test_unmarked():
        assert ask("Say hello.")
"""


def test_urllib_is_recorded_where_a_test_is_marked(suite: Suite) -> None:
    suite.write(URLLIB)
    result = suite.record()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines("recorded 1 in 1 cassette")
    assert suite.upstream.count == 2
    suite.run().assert_outcomes(passed=2)
    assert suite.upstream.count == 3, "the unmarked one goes out"
    suite.go_offline()
    result = suite.run("-k", "greeting")
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines("replayed 1")
    suite.change("Say hello.", "Say goodbye.")
    result = suite.run("-k", "greeting")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines("*messages[[]0].content*")
