"""The benchmark's own parts: costs of processes, turns, ratios, tables, and a run of the smallest size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("os.wait4 and the module resource are not for Windows", allow_module_level=True)

import fcntl

from tests.benchmarks import measuring
from tests.benchmarks.__main__ import main
from tests.benchmarks.environments import FLOOR, OURS, REPOSITORY
from tests.benchmarks.measuring import BenchmarkError, Series, run, take_turns
from tests.benchmarks.tables import render_table
from tests.benchmarks.works import WORKS


def test_a_cost_is_the_childs_own(tmp_path: Path) -> None:
    held = bytearray(b"x") * (200 * 10**6)  # this process is large, and the child must not inherit that
    busy = "import time\nwhile time.process_time() < 0.2: pass\nprint('done')"
    cost = run([sys.executable, "-c", busy], folder=tmp_path)
    assert cost.output == "done\n"
    assert cost.cpu >= 0.2
    assert cost.peak < len(held)


def test_a_command_that_fails_says_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="ended with 3:\nno cassette"):
        run([sys.executable, "-c", "print('no cassette'); raise SystemExit(3)"], folder=tmp_path)


def test_a_program_that_is_not_there_is_no_cost(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="cannot be started"):
        run([tmp_path / "none"], folder=tmp_path)


def test_a_tool_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "LIMIT", 1)
    hang = """
import fcntl, pathlib, time
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
while time.process_time() < 20:
    pass
pathlib.Path("survived").touch()
"""
    with pytest.raises(BenchmarkError, match="took more than 1 s"):
        run([sys.executable, "-c", hang], folder=tmp_path)
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held until the process has ended
    assert not (tmp_path / "survived").exists()


def test_keys_of_the_caller_do_not_reach_a_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_API_KEY", "sk-step-2f7d41c09a")
    show = "import os; print('STEP_API_KEY' in os.environ)"
    assert run([sys.executable, "-c", show], folder=tmp_path).output == "False\n"


def test_tools_take_turns() -> None:
    order: list[str] = []

    def measure(tool: str, value: float) -> dict[str, float]:
        order.append(tool)
        return {"ms": value * len(order)}

    series = take_turns(2, {"a": lambda: measure("a", 1), "b": lambda: measure("b", 10)})
    assert order == ["a", "b", "a", "b"]
    assert series == [Series("ms", "a", (1, 3)), Series("ms", "b", (20, 40))]


def test_a_table_holds_each_round_against_the_base_of_the_same_round() -> None:
    series = [
        Series("ms", FLOOR, (10.0, 20.0, 30.0)),
        Series("ms", OURS, (15.0, 60.0, 60.0)),
        Series("MB", OURS, (3.0,)),
    ]
    assert render_table(series, FLOOR).splitlines()[2:] == [
        "| ms | floor | 20.0 | 10.0 to 30.0 |  | 1 |",
        "| ms | pytest-stepreplay | 60.0 | 15.0 to 60.0 | 30.0 | 2.00 (1.50 to 3.00) |",
        "| MB | pytest-stepreplay | 3.00 | 3.00 to 3.00 |  |  |",
    ]


def test_a_name_that_means_no_work_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "speed"]) == 1
    assert capsys.readouterr().err == f"benchmark: there is no work 'speed'; there are {', '.join(WORKS)}\n"


def test_works_run_at_the_smallest_size(tmp_path: Path) -> None:
    works = ["suite-plain", "cassette", "comparing", "streams", "server"]
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--here", "--size=tiny", f"--json={report}"]
    command += [f"--only={work}" for work in works]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    reports = json.loads(report.read_text(encoding="utf-8"))
    for work in works:
        assert f"## {WORKS[work].title} ({work})" in done.stdout
        measured = reports[work]
        assert {each["tool"] for each in measured} >= {OURS}, work
        assert all(value >= 0 for each in measured for value in each["values"]), work
