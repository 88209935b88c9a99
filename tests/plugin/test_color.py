"""Word diffs are coloured where pytest colours its own output, and only there."""

from __future__ import annotations

import pytest

from pytest_stepreplay.upstream import answer
from tests.conftest import KEY

from .suite import Suite

RED, GREEN, END = "\x1b[31m", "\x1b[32m", "\x1b[0m"

MISSED_AND_DRIFTED = """
    import os
    import httpx, pytest

    def ask(text):
        body = {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": text}}]}}
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        reply = httpx.post("{url}/chat/completions", json=body, headers=headers)
        return reply.json()["choices"][0]["message"]["content"]

    @pytest.mark.stepreplay
    def test_greeting():
        assert ask("Please say hello to all of them.")

    def test_snapshot(chat_snapshot):
        assert "I will look that up for you." == chat_snapshot
"""
MISS = ("[-hello-]", "{+goodbye+}")
DRIFT = ("[-sunny-]", "{+cloudy+}")
SNAPSHOT = ("[-that-]", "{+it+}")


def shown(result: pytest.RunResult, words: tuple[str, str]) -> tuple[int, int]:
    """Returns how often a word diff stands in its colours, and how often without."""
    text = result.stdout.str().replace("\x1b[1m", "")
    return text.count(f"{RED}{words[0]}{END}{GREEN}{words[1]}{END}"), text.count("".join(words))


@pytest.mark.parametrize("xdist", [(), ("-n", "1")])
def test_words_that_went_are_red_and_those_that_came_green(suite: Suite, xdist: tuple[str, ...]) -> None:
    suite.replies = [
        answer("It will be sunny in all of Paris today."),
        answer("It will be cloudy in all of Paris today."),
    ]
    suite.write(MISSED_AND_DRIFTED)
    suite.record()
    verified = suite.run(
        "--stepreplay=verify", "--stepreplay-fail-on=content", "--color=yes", "-rN", *xdist, key=KEY
    )
    assert shown(verified, DRIFT) == (3, 0), "in the failure, in its section and in the summary"

    suite.change("hello", "goodbye")
    suite.change("look that up", "look it up")
    result = suite.run("--color=yes", "-rN", *xdist)
    assert (shown(result, MISS), shown(result, SNAPSHOT)) == ((1, 0), (1, 0))
    plain = suite.run("--color=no", "-rN", *xdist)
    assert "\x1b" not in plain.stdout.str()
    assert (shown(plain, MISS), shown(plain, SNAPSHOT)) == ((0, 1), (0, 1))


def test_what_others_read_of_a_failure_has_no_color(suite: Suite) -> None:
    suite.write(MISSED_AND_DRIFTED)
    suite.record()
    suite.change("hello", "goodbye")
    suite.run("--color=yes", "--junitxml=report.xml")
    report = (suite.pytester.path / "report.xml").read_text(encoding="utf-8")
    assert "".join(MISS) in report
    assert "#x1B" not in report
    assert "\x1b" not in report
