"""`stepreplay verify --samples`: a server that samples, by a seed, is told from one that has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pytest_stepreplay.models import Interaction, Response
from pytest_stepreplay.store.cassettes import read_cassette
from pytest_stepreplay.upstream import ReceivedRequest, Reply, Upstream, error
from pytest_stepreplay.upstream.replies import json_reply
from pytest_stepreplay.verify import judging
from tests.cli.conftest import Project, chat, completion, user
from tests.conftest import KEY
from tests.docs import measure_samples as measured

CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_API_KEY", KEY)
    monkeypatch.delenv("CI", raising=False)


def does(usual: bool, text: str = "It is sunny.") -> dict[str, Any]:
    return completion(None, "tool_calls", tool_calls=[CALL]) if usual else completion(text)


def recorded(upstream: Upstream, text: str, usual: list[bool]) -> Interaction:
    """Returns a request with as many recorded answers."""
    answers = [
        Response(status=200, headers={"content-type": "application/json"}, json=does(each)) for each in usual
    ]
    asked = chat(user(text), response=answers[0], url=f"{upstream.url}/chat/completions")
    return replace(asked, samples=tuple(answers[1:]))


class Sampler:
    """Answers the how-manieth time a question comes as the seed says; the question ends with the share."""

    def __init__(self) -> None:
        self.times = Counter[str]()
        self.broken: Callable[[], bool] = lambda: False

    def __call__(self, received: ReceivedRequest) -> Reply:
        text = received.json["messages"][-1]["content"]
        if self.broken():
            return error(400, "request_params_invalid", "no more")
        self.times[text] += 1
        _, number, share = text.split()
        usual = measured.draws(f"new {number}", self.times[text], float(share))[-1]
        return json_reply(does(usual))


@pytest.fixture
def sampler() -> Sampler:
    return Sampler()


def baseline(number: int) -> list[bool]:
    return measured.draws(f"recorded {number}", 60, 0.9)


def test_each_is_decided_as_the_table_says_and_no_sample_is_sent_twice(
    project: Project, sampler: Sampler
) -> None:
    shares = {0: 0.9, 1: 0.9, 2: 0.6, 4: 0.6}
    expected = {number: measured.run(number, 60, 60, 0.9, share) for number, share in shares.items()}
    assert [each.verdict for each in expected.values()] == ["not changed"] * 2 + ["changed"] * 2
    with Upstream(sampler) as upstream:
        interactions = [recorded(upstream, f"q {it} {share}", baseline(it)) for it, share in shares.items()]
        path = project.write("cassettes/a.yaml", *interactions)
        # A budget that ends in the middle leaves the rest for the next run, and says what is known.
        found = project.run("verify", "--samples", "60", "--max-calls", "37", "--json")
        assert (found.status, upstream.count) == (1, 37)
        assert {each["samples"]["verdict"] for each in found.json["interactions"]} == {"not decided"}
        assert found.json["left"] == 4
        assert "To go on: stepreplay verify --samples 60" in found.err
        assert "--max-calls 37 is reached" in found.json["interactions"][0]["reason"]
        found = project.run("verify", "--samples", "60", "--report", "r.md")
        assert found.status == 1
        assert sampler.times == {f"q {it} {shares[it]}": each.asked for it, each in expected.items()}
        assert upstream.count < 4 * 60
        assert "verified 4 interactions in 1 cassette: 2 unchanged, 2 drifted" in found.out
        assert "sampled 4 interactions: 2 changed, 2 not changed, 0 not decided (error rate 5%)" in found.out
        assert f"changed: asked {expected[2].asked} of 60, p " in found.out
        assert f"sent {upstream.count} calls, {85 * upstream.count:,} tokens" in found.out
        report = (project.path / "r.md").read_text(encoding="utf-8")
        assert "| changed: asked" in report
        # What is accepted is the new answer with the new samples, which are the baseline from then on.
        assert project.run("accept", "--all").status == 0
        after = read_cassette(path).cassette.interactions
        assert after[:2] == tuple(interactions[:2])
        assert len(after[2].answers) == expected[2].asked
        # Without samples, it is asked once, and compared with the answer that is replayed.
        before = upstream.count
        project.run("verify", "--fresh")
        assert upstream.count == before + 4


def test_answers_are_kept_as_the_baseline_of_later_runs(project: Project, sampler: Sampler) -> None:
    with Upstream(sampler) as upstream:
        path = project.write("cassettes/a.yaml", recorded(upstream, "q 5 0.8", [True]))
        found = project.run("verify", "--samples", "20", "--keep-samples")
        assert (found.status, upstream.count) == (0, 20)
        assert "samples kept in 1 cassette\nsent 20 calls" in found.out
        (kept,) = read_cassette(path).cassette.interactions
        assert len(kept.samples) == 20
        assert project.run("lint").status == 0
        assert "20 samples" in project.run("show", path).out
        found = project.run("verify", "--samples", "20", "--json")
        (result,) = found.json["interactions"]
        assert (result["status"], sum(it["recorded"] for it in result["samples"]["classes"])) == ("same", 21)
        # What has changed is not kept, but left for a person.
        project.write("cassettes/a.yaml", recorded(upstream, "q 6 0.0", [True] * 20))
        found = project.run("verify", "--samples", "20", "--keep-samples")
        assert found.status == 1
        assert "1 changed" in found.out
        assert len(read_cassette(path).cassette.interactions[0].samples) == 19
        assert project.run("pending").status == 1


def test_half_a_baseline_is_not_kept(project: Project, sampler: Sampler) -> None:
    with Upstream(sampler) as upstream:
        path = project.write("cassettes/a.yaml", recorded(upstream, "q 9 1.0", [True]))
        words = ("verify", "--samples", "20", "--keep-samples")
        found = project.run(*words, "--max-calls", "17")
        assert (found.status, upstream.count) == (1, 17)
        assert "incomplete after 17 of 20 answers: --max-calls 17 is reached" in " ".join(found.out.split())
        assert "To go on: stepreplay verify --samples 20 --keep-samples" in found.err
        assert read_cassette(path).cassette.interactions[0].samples == ()
        assert project.run(*words).status == 0
        assert upstream.count == 20
        assert len(read_cassette(path).cassette.interactions[0].samples) == 20


def test_what_was_never_recorded_is_not_decided_where_little_is_known(
    project: Project, sampler: Sampler
) -> None:
    with Upstream(sampler) as upstream:
        project.write("cassettes/a.yaml", recorded(upstream, "q 7 0.0", [True]))
        found = project.run("verify", "--samples", "5")
    assert found.status == 1
    assert "not decided after 5 of 5 answers: 5 do what none of 1 recorded answer does" in " ".join(
        found.out.split()
    )


def test_a_server_that_fails_in_the_middle_leaves_it_open(project: Project, sampler: Sampler) -> None:
    with Upstream(sampler) as upstream:
        sampler.broken = lambda: upstream.count > 6
        project.write("cassettes/a.yaml", recorded(upstream, "q 8 0.9", baseline(8)))
        found = project.run("verify", "--samples", "60", "--concurrency", "1", "--json")
    (result,) = found.json["interactions"]
    assert (found.status, result["status"]) == (1, "unverified")
    assert result["reason"].startswith("not decided after ")
    assert "400" in result["reason"]


def test_what_cannot_be_done_is_one_message_and_sends_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("cassettes/a.yaml", chat())
    wrong = {
        ("--samples", "0"): "argument --samples: '0' is not a whole number of 1 or more",
        ("--samples", "many"): "argument --samples: 'many' is not a whole number of 1 or more",
        ("--samples", "201"): "samples: 201 is not a whole number from 1 to 200",
        ("--samples", "5", "--error-rate", "0"): "error_rate: '0' is not an error rate",
        ("--samples", "5", "--error-rate", "60%"): "error_rate: '60%' is not an error rate",
        ("--keep-samples",): "--keep-samples needs --samples N",
    }
    for words, told in wrong.items():
        found = project.run("verify", *words)
        assert (found.status, found.out) == (2, "")
        assert told in found.err
    monkeypatch.setattr(judging, "find_spec", lambda name: None)
    found = project.run("verify", "--samples", "5")
    assert (found.status, found.err) == (
        2,
        "stepreplay: samples needs scipy, which is not installed.\n"
        "Install it with: pip install 'pytest-stepreplay[samples]'\n",
    )
