"""`samples=` of the marker: in `verify`, a request is asked several times before a test fails by what it answers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pytest_stepreplay.upstream import ReceivedRequest, Reply, answer
from pytest_stepreplay.verify import judging
from tests.conftest import KEY

from .suite import QUICK, Suite

SAMPLED = QUICK.replace(
    "@pytest.mark.stepreplay", "@pytest.mark.stepreplay(samples=40, error_rate='1%')"
).replace('assert ask("Say hello.")', 'ask("Say hello.")')


def verify(suite: Suite, *options: str) -> tuple[pytest.RunResult, Any]:
    result = suite.run("--stepreplay=verify", "--stepreplay-report=r.json", *options, key=KEY)
    report = json.loads((suite.pytester.path / "r.json").read_text(encoding="utf-8"))
    return result, report["interactions"][0]


def test_a_test_fails_by_what_its_model_does_now_and_not_by_chance(suite: Suite) -> None:
    suite.write(SAMPLED)
    suite.record().assert_outcomes(passed=1)
    asked = 0

    def rarely(received: ReceivedRequest) -> Reply:
        nonlocal asked
        asked += 1
        return answer(tool_calls=[("search", {})]) if asked == 3 else None

    suite.say = rarely
    result, found = verify(suite)
    result.assert_outcomes(passed=1)
    assert (found["samples"]["verdict"], found["samples"]["asked"]) == ("not changed", asked)
    assert asked < 40
    result.stdout.fnmatch_lines(
        [
            "sampled 1 interaction: 0 changed, 1 not changed, 0 not decided (error rate 1%)",
            f"    not changed: asked {asked} of 40, p = 1",
        ]
    )
    spent = re.search(r"^spent ([\d,]+) tokens", str(result.stdout), re.MULTILINE)
    assert spent
    assert int(spent[1].replace(",", "")) > 15 * asked
    # One recorded answer is little: that it never comes again is not sure after 40 others at this rate.
    suite.say = lambda _: answer(tool_calls=[("search", {})])
    result, found = verify(suite)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*not decided after 40 of 40 answers: 40 do what none of 1 recorded answer does;*"]
    )
    suite.change("error_rate='1%'", "error_rate=0.1")
    result, found = verify(suite)
    result.assert_outcomes(failed=1)
    assert (found["samples"]["verdict"], found["samples"]["of"]) == ("changed", 40)
    result.stdout.fnmatch_lines(["*drift     behavior: the model does something different"])
    assert len(list(suite.pytester.path.rglob("*.new"))) == 1


def test_bad_values_and_a_missing_library_are_told(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.write(SAMPLED)
    suite.record()
    asked = suite.upstream.count
    result = suite.run("--stepreplay=verify", "--stepreplay-samples=0", key=KEY)
    assert "samples: '0' is not a whole number from 1 to 200" in str(result.stderr)
    monkeypatch.setattr(judging, "find_spec", lambda name: None)
    result = suite.run("--stepreplay=verify", key=KEY)
    result.stdout.fnmatch_lines(["*Install it with: pip install 'pytest-stepreplay?samples?'*"])
    result.assert_outcomes(errors=1)
    suite.run().assert_outcomes(passed=1)
    assert suite.upstream.count == asked
