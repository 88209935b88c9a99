"""`stepreplay verify --shard` and `stepreplay merge`: parts of a run, and the one report that they come to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_stepreplay.report.merged_runs import Shard, read_shard
from pytest_stepreplay.report.token_costs import LedgerRow
from pytest_stepreplay.report.verified_runs import Spent
from pytest_stepreplay.upstream import ReceivedRequest, Reply, Upstream
from pytest_stepreplay.upstream.replies import json_reply
from tests.cli.conftest import Project, chat, completion, user
from tests.conftest import KEY


def same(received: ReceivedRequest) -> Reply:
    return json_reply(completion())


def without_seconds(report: dict[str, Any]) -> dict[str, Any]:
    """Returns a report without what differs from run to run."""
    return report | {"interactions": [each | {"seconds": None} for each in report["interactions"]]}


def test_three_shards_come_to_the_report_of_one_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEP_API_KEY", KEY)
    monkeypatch.setenv("CI", "true")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    with Upstream(same) as upstream:
        url = f"{upstream.url}/chat/completions"
        for n in range(4):
            answers = (completion("Bye."), completion(), completion(None, "tool_calls"))
            project.write(
                f"cassettes/{n}.yaml", *(chat(user(f"{n}"), answer=each, url=url) for each in answers)
            )
        assert project.run("verify", "--report", "whole.json").status == 1
        assert upstream.count == 12
        for n in (1, 2, 3):
            project.run("verify", "--shard", f"{n}/3", "--report", f"{n}.json")
        assert upstream.count == 24
        assert project.run("verify", "--shard", "4/3").err.splitlines()[1] == (
            "stepreplay: argument --shard: '4/3' is not a shard such as 2/3"
        )
    files = ["3.json", "1.json", "2.json"]
    found = project.run("merge", *files, "--json", "--report", "merged.html")
    assert found.status == 1
    whole = json.loads((project.path / "whole.json").read_text(encoding="utf-8"))
    assert without_seconds(found.json) == without_seconds(whole)
    assert "<!doctype html>" in (project.path / "merged.html").read_text(encoding="utf-8")
    found = project.run("merge", *files, "--report", "merged.html", "--history", "whole.json")
    assert "since whole.json: in 2 of 2 runs" in (project.path / "merged.html").read_text(encoding="utf-8")
    assert "add --report FILE.html" in project.run("merge", *files, "--history", "whole.json").err
    told = project.run("merge", *files)
    assert "verified 12 interactions in 4 cassettes: 4 unchanged, 8 drifted" in told.out
    assert project.run("merge", "whole.json").out == told.out
    found = project.run("merge", "1.json", "3.json")
    assert (found.status, found.err) == (1, "missing: shard 2/3\n")
    wrong = {
        (
            "1.json",
            "2.json",
            "3.json",
            "1.json",
        ): "shard 1/3 is in 1.json and in 1.json; give each report once",
        ("1.json", "whole.json"): "the reports are not of one run: 1.json is 1/3, whole.json is no shard",
        ("whole.json", "whole.json"): "0.yaml#1 is in whole.json and in whole.json; give each report once",
    }
    for words, message in wrong.items():
        found = project.run("merge", *words)
        assert (found.status, found.out) == (2, "")
        assert message in found.err


def test_what_is_no_report_is_told_without_a_traceback(project: Project) -> None:
    good: dict[str, Any] = {"stepreplay_report": 1, "mode": "verify", "interactions": []}
    one = {"test": "t", "path": "p", "interaction": 1, "status": "drifted", "reason": "", "known": False}
    change = {"selector": "a", "level": "content", "kind": "text", "summary": "a"}
    drift = {"level": "content", "passes": True, "fail_on": "behavior"}
    wrong: tuple[Any, ...] = (
        [],
        {"stepreplay_report": 2},
        {"stepreplay_report": 1},
        good | {"mode": "nothing"},
        good | {"shard": "3/1x"},
        good | {"interactions": [1]},
        good | {"interactions": [one | {"drift": None}]},
        good | {"interactions": [one | {"drift": drift | {"changes": []}}]},
        good | {"interactions": [one | {"drift": drift | {"changes": [change]}}]},
    )
    for tree in wrong:
        (project.path / "x.json").write_text(json.dumps(tree))
        found = project.run("merge", "x.json")
        assert (found.status, found.out) == (2, ""), tree
        assert found.err.startswith("stepreplay: ")
    (project.path / "x.json").write_bytes(b"\xff")
    assert "x.json is no report in JSON" in project.run("merge", "x.json").err
    (project.path / "x.json").write_text(json.dumps(good))
    assert (project.run("merge", "x.json").out, project.run("merge", "x.json").status) == (
        "nothing was verified\n",
        0,
    )


def test_what_was_spent_is_told_also_for_answers_that_nothing_is_compared_with() -> None:
    row = LedgerRow("spent", "chat", "step-3.5-flash", 1, 83, 2, 0, 85)
    prices = (("step-*", "$1000 $1000"),)
    assert Spent(1, 85, 0, (row,), prices).line == "sent 1 call, 85 tokens, $0.085"
    assert Spent(10, 850, 0, (row,), prices).line == "sent 10 calls, 850 tokens"


def test_each_request_is_in_one_shard() -> None:
    digests = [f"{n * 7919:032x}" for n in range(200)]
    for digest in digests:
        assert sum(Shard(number, 3).holds(digest) for number in (1, 2, 3)) == 1
    assert read_shard("2/3") == Shard(2, 3)
    for text in ("0/3", "4/3", "1", "a/b", ""):
        with pytest.raises(ValueError, match="is not a shard"):
            read_shard(text)
