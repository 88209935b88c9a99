"""Clients of a module are made while tests are collected, and read certificates only if they send something."""

from __future__ import annotations

from pathlib import Path

import pytest

from .suite import Suite

MODULE = """
    import httpx, httpx2, pytest

    clients = [httpx.Client(), httpx2.Client()]
    asynchronous = [httpx.AsyncClient(), httpx2.AsyncClient()]
    body = {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": "Say hello."}}]}}

    @pytest.fixture(autouse=True, scope="module")
    def closed():
        yield
        for client in clients:
            client.close()

    @pytest.mark.stepreplay(allow_repeats=True)
    @pytest.mark.parametrize("client", clients, ids=["httpx", "httpx2"])
    def test_ask(client):
        headers = {{"Authorization": "Bearer sk-test"}}
        assert client.post("{url}/chat/completions", json=body, headers=headers).status_code == 200

    def test_secure(request):
        for client in clients:
            assert client._transport._pool._ssl_context.get_ca_certs()

    def test_of_a_client_that_is_made_here():
        assert len(httpx.Client()._transport._pool._ssl_context.get_ca_certs()) == 1
"""


@pytest.fixture
def recorded(suite: Suite) -> Suite:
    suite.write(MODULE)
    suite.record("-k", "ask").assert_outcomes(passed=2)
    suite.go_offline()
    return suite


@pytest.mark.parametrize("run", [Suite.start_pytest, Suite.run_process])
def test_a_replay_reads_none(
    recorded: Suite, run: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(run)
    run(recorded).assert_outcomes(passed=4)  # who looks at a context sees the one with certificates
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate", encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(broken))
    result = run(recorded)
    result.assert_outcomes(passed=2, failed=2)  # those that look, and no other
    result.stdout.fnmatch_lines(["*SSLError*"])


@pytest.mark.parametrize(
    "given", [("--stepreplay=record",), ("--stepreplay=live",), ("--stepreplay-dir=elsewhere",)], ids=str
)
def test_where_something_may_be_sent_or_no_cassette_is_there_they_are_read_at_once(
    recorded: Suite, given: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate", encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(broken))
    result = recorded.start_pytest(*given)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*SSLError*"])
