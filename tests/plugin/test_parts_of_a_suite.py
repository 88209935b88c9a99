"""A suite that is divided among machines: the reports of the parts come to the report of one run over all of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pytest_stepreplay.cli import main
from tests.conftest import KEY

from .suite import PLAIN, QUICK, Suite

TESTS = """
    import pytest
    from ask import ask

    pytestmark = pytest.mark.stepreplay

    def test_one():
        assert ask("{module}, one.")

    def test_two():
        assert ask("{module}, two.")
        assert ask("{module}, two again.")

    @pytest.mark.stepreplay(cassette="shared")
    def test_shared():
        assert ask("{module} shares.")

    def test_without_a_request_of_its_own(stepreplay):
        pass
"""
MODULES = ("test_a.py", "test_b.py", "deep/test_c.py")


class Machine:
    """Runs the command where a suite is."""

    def __init__(self, suite: Suite, capsys: pytest.CaptureFixture[str]) -> None:
        self.suite = suite
        self.capsys = capsys

    def merge(self, *args: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        status = main(["merge", *args])
        return (status, *self.capsys.readouterr())

    def run(self, name: str, *args: str) -> dict[str, Any]:
        """Runs a part of the suite, and returns its report."""
        self.suite.run(f"--stepreplay-report={name}", "--stepreplay-unused=error", *args)
        found: dict[str, Any] = json.loads((self.suite.pytester.path / name).read_text(encoding="utf-8"))
        return found


@pytest.fixture
def machine(suite: Suite, capsys: pytest.CaptureFixture[str]) -> Machine:
    """Three modules, recorded: one test has lost a request since, one is gone, and a whole module is."""
    suite.pytester.makeini("[pytest]\npythonpath = .\nstepreplay_prices =\n    step-*: $1 $2\n")
    ask, _, _ = QUICK.partition("@pytest.mark")
    suite.write(ask, "ask.py")
    for name in (*MODULES, "test_gone.py"):
        suite.write(TESTS.replace("{module}", name), name)
    suite.record("-p", "no:randomly")
    (suite.pytester.path / "test_gone.py").unlink()
    suite.change('assert ask("test_a.py, two again.")', "pass", "test_a.py")
    suite.change("def test_one", "def test_renamed", "test_b.py")
    suite.go_offline()
    return Machine(suite, capsys)


def test_three_parts_by_hand_come_to_the_report_of_one_run(machine: Machine) -> None:
    whole = machine.run("whole.json")
    for number, module in enumerate(MODULES):
        part = machine.run(f"{number}.json", module)
        assert not part["suite"]["complete"]
        assert part["suite"]["orphans"] == []
    assert whole["suite"]["unplayed"] == [
        {"path": "cassettes/shared.yaml", "unplayed": 1, "total": 4},
        {"path": "cassettes/test_a/test_two.yaml", "unplayed": 1, "total": 2},
    ]
    assert whole["suite"]["orphans"] == [
        "cassettes/test_b/test_one.yaml",
        "cassettes/test_gone/test_one.yaml",
        "cassettes/test_gone/test_two.yaml",
    ]
    assert whole["suite"]["tests"] == {"passed": 8, "failed": 4, "skipped": 0, "not run": 0}
    assert (whole["suite"]["replayed"], whole["suite"]["missed"]) == (10, 1)
    assert whole["suite"]["census"] == {
        "cassettes": 6,
        "interactions": 12,
        "endpoints": {"chat": 10},
        "models": {"step-3.5-flash": 10},
    }
    (row,) = whole["suite"]["ledger"]
    assert (row["use"], row["requests"], row["cost"][0]) == ("saved", 10, "$")
    status, out, err = machine.merge("2.json", "0.json", "1.json", "--json")
    assert (status, err, json.loads(out)) == (1, "", whole)
    status, out, err = machine.merge("0.json", "1.json", "2.json")
    assert (status, err) == (1, "")
    assert out.splitlines()[0] == "12 tests: 8 passed, 4 failed"
    for line in (
        "unplayed: 1 of 2 interactions in cassettes/test_a/test_two.yaml",
        "no test uses cassettes/test_gone/test_one.yaml",
        "ERROR: 5 cassettes not used as recorded (--stepreplay-unused=error)",
    ):
        assert line in out.splitlines()
    assert machine.merge("whole.json")[1] == out
    # One that is missing: what it would have used is not called unused.
    status, out, err = machine.merge("0.json", "2.json")
    assert "no test uses" not in out
    assert "shared.yaml" not in out
    assert err == (
        "what no test uses is not known: 1 test module was collected in no report, such as test_b.py\n"
    )


def test_parts_that_pytest_split_makes_come_to_the_report_of_one_run(machine: Machine) -> None:
    machine.suite.needs = ("pytest-split",)
    whole = machine.run("whole.json", "-W", "ignore")
    parts = [
        machine.run(
            f"{n}.json", "--splits", "3", "--group", str(n), "-W", "ignore", *(["-n", "2"] * (n == 2))
        )
        for n in (1, 2, 3)
    ]
    assert [part["shard"] for part in parts] == ["1/3", "2/3", "3/3"]
    assert [part["suite"]["tests"]["not run"] for part in parts] == [8, 8, 8]
    status, out, err = machine.merge("1.json", "2.json", "3.json", "--json", "--report", "merged.md")
    assert (status, err) == (1, "")
    assert json.loads(out) == whole
    page = (machine.suite.pytester.path / "merged.md").read_text(encoding="utf-8")
    assert page.startswith("## stepreplay: replay\n\n- 12 tests: 8 passed, 4 failed\n")
    status, out, err = machine.merge("1.json", "3.json")
    assert (status, err.splitlines()[1]) == (1, "missing: shard 2/3")


def test_what_does_not_add_up_is_one_message(machine: Machine) -> None:
    path = machine.suite.pytester.path
    whole = machine.run("whole.json")
    machine.run("a.json", "test_a.py")

    def changed(**values: Any) -> str:
        tree = json.loads((path / "a.json").read_text(encoding="utf-8"))
        parts = tree["suite"]["parts"] | values.pop("parts", {})
        suite = tree["suite"] | {"parts": parts}
        (path / "changed.json").write_text(json.dumps(tree | {"suite": suite} | values))
        return "changed.json"

    said = {
        ("a.json", "a.json"): "test_a.py::test_",
        ("whole.json", "a.json"): "has run in whole.json and in a.json; give each report once",
        (
            "whole.json",
            changed(mode="record"),
        ): "the reports are not of one run: mode is replay in whole.json",
    }
    for files, message in said.items():
        status, out, err = machine.merge(*files)
        assert (status, out) == (2, ""), files
        assert message in err
    machine.run("b.json", "test_b.py")
    for values, message in (
        ({"parts": {"unused": "warn"}}, "unused is set in another way in changed.json than in b.json"),
        ({"suite": None}, "b.json is of pytest, changed.json of stepreplay verify"),
        ({"parts": {"tests": 3}}, "changed.json is broken: it is not as a report is written"),
        ({"parts": {"outcomes": [{"path": 1}]}}, "changed.json is broken"),
        ({"parts": {"more": 1}}, "changed.json is broken"),
    ):
        status, out, err = machine.merge("b.json", changed(**values))
        assert (status, out) == (2, ""), values
        assert message in err
        assert len(err.splitlines()) == 1
    # Another cassette of the same name: another commit.
    shared = path / "cassettes/shared.yaml"
    text = shared.read_text(encoding="utf-8")
    shared.write_text(text[: text.rindex("- recorded_at")], encoding="utf-8")
    machine.run("b.json", "test_b.py")
    status, _, err = machine.merge("a.json", "b.json")
    assert (status, "cassettes/shared.yaml has 4 interactions in a.json and 3 in b.json" in err) == (2, True)
    assert whole["commit"] == ""


def test_reports_of_two_commits_do_not_add_up(machine: Machine) -> None:
    def git(*words: str) -> None:
        given = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(
            ["git", *given, *words], cwd=machine.suite.pytester.path, check=True, capture_output=True
        )

    git("init", "-q")
    reports = []
    for module in MODULES[:2]:
        git("commit", "-q", "--allow-empty", "-m", module)
        reports.append(machine.run(f"{module}.json", module))
    first, second = (each["commit"] for each in reports)
    status, out, err = machine.merge("test_a.py.json", "test_b.py.json")
    assert (status, out) == (2, "")
    assert f"the commit is {second[:12]} in test_b.py.json and {first[:12]} in test_a.py.json" in err


def test_a_part_without_cassettes_or_that_was_ended_is_told(machine: Machine) -> None:
    machine.suite.write("def test_plain():\n    pass\n", "test_plain.py")
    plain = machine.run("plain.json", "test_plain.py")
    assert plain["suite"]["tests"]["passed"] == 1
    assert plain["suite"]["census"]["cassettes"] == 0
    machine.suite.write("def test_worse(:\n", "test_worse.py")
    machine.run("worse.json", "test_worse.py")
    status, _, err = machine.merge("plain.json", "worse.json")
    assert status == 1
    assert "what no test uses is not known: worse.json: pytest ended with exit status 2" in err


def test_a_report_in_the_ini_file_is_of_drift_alone(suite: Suite) -> None:
    suite.pytester.makeini("[pytest]\nstepreplay_report = drift.json\n")
    suite.write(PLAIN)
    suite.record()
    report = Path(suite.pytester.path / "drift.json")
    assert not report.exists()
    suite.run("--stepreplay=verify", key=KEY)
    tree = json.loads(report.read_text(encoding="utf-8"))
    assert (tree["counts"]["same"], tree["suite"]["tests"]["passed"]) == (1, 1)
    suite.run()
    assert json.loads(report.read_text(encoding="utf-8")) == tree
