"""`stepreplay history`: since when something drifts, over the reports of several runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.conftest import Project


def report(folder: Path, name: str, **levels: str | None) -> None:
    """Writes a report in which the interaction of each cassette has drifted at a level; None for not at all."""
    interactions: list[dict[str, Any]] = []
    for path, level in levels.items():
        base = {"test": f"t::{path}", "path": path, "interaction": 1, "reason": "", "known": False}
        if level in (None, "unverified"):
            interactions.append({**base, "status": level or "same", "drift": None})
            continue
        change = {
            "selector": "a.b",
            "level": level,
            "kind": "changed",
            "summary": "1 -> 2",
            "old": 1,
            "new": 2,
        }
        drift = {"level": level, "fail_on": "behavior", "passes": False, "changes": [change]}
        interactions.append({**base, "status": "drifted", "drift": drift})
    tree = {"stepreplay_report": 1, "mode": "verify", "interactions": interactions}
    (folder / name).write_text(json.dumps(tree))


def test_a_drift_is_told_with_its_first_and_last_report(project: Project) -> None:
    report(project.path, "1.json", calm=None, flicker="content", gone="behavior", new=None)
    report(project.path, "2.json", calm=None, flicker=None, gone=None, new="unverified")
    report(project.path, "3.json", calm=None, flicker="content", gone=None, new="contract")
    names = ["1.json", "2.json", "3.json"]
    found = project.run("history", *names)
    assert (found.status, found.out) == (
        1,
        "contract: new#1 a.b\n  since 3.json: in 1 of 2 reports\n"
        "content: flicker#1 a.b\n  since 1.json: in 2 of 3 reports, came back 1 time\n"
        "behavior: gone#1 a.b\n  gone; from 1.json to 1.json: in 1 of 3 reports\n",
    )
    listed = project.run("history", *names, "--json").json
    assert listed["reports"] == names
    assert [(each["path"], each["flickers"], each["is_there"]) for each in listed["drift"]] == [
        ("new", 0, True),
        ("flicker", 1, True),
        ("gone", 0, False),
    ]
    assert project.run("history", "2.json").out == "nothing has drifted in 1 report\n"
    assert project.run("history", "2.json").status == 0
    (project.path / "2.json").write_text("{}")
    assert "2.json is no report in JSON" in project.run("history", *names).err
