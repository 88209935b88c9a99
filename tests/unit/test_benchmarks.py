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

from pytest_stepreplay.upstream import Upstream
from tests.benchmarks import counts, measuring
from tests.benchmarks.__main__ import main
from tests.benchmarks.counts import Counted
from tests.benchmarks.environments import FLOOR, OURS, REPOSITORY
from tests.benchmarks.measuring import BenchmarkError, Series, run, take_turns
from tests.benchmarks.suites import script
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


def counted(calls: int, fsyncs: int) -> Counted:
    """Returns what a work came to in which the store does ten calls, and the session the rest."""
    return Counted({"calls": calls, "fsyncs": fsyncs}, {"session": calls - 10, "store": 10}, {})


def test_a_count_that_grew_says_in_which_work_and_room_and_how_to_renew_the_table(tmp_path: Path) -> None:
    table = tmp_path / "counts.json"
    counts.renew({"replay": counted(1000, 2)}, table)
    assert counts.check({"replay": counted(1050, 3)}, table) == (
        [
            "GREW:",
            "replay: calls: 1,000 -> 1,050 (+5.0%)",
            "  calls of session: 990 -> 1,040 (+5.1%)",
            "replay: fsyncs: 2 -> 3 (+50.0%)",
            "If that is what it has to cost, say why in the commit that renews the table:",
            "  python -m tests.benchmarks --check --renew",
        ],
        False,
    )


def test_a_count_within_its_tolerance_is_good_and_one_that_fell_is_told(tmp_path: Path) -> None:
    table = tmp_path / "counts.json"
    counts.renew({"replay": counted(1000, 2), "idle": counted(100, 0)}, table)
    assert counts.check({"replay": counted(1015, 2)}, table) == (["1 works counted"], True)
    lines, good = counts.check({"replay": counted(900, 2)}, table)
    assert good
    assert lines[:2] == ["fell:", "replay: calls: 1,000 -> 900 (-10.0%)"]
    assert lines[-1] == "  python -m tests.benchmarks --check --renew"


def test_a_renewed_table_keeps_the_works_that_were_not_counted(tmp_path: Path) -> None:
    table = tmp_path / "counts.json"
    counts.renew({"replay": counted(1000, 2), "idle": counted(100, 0)}, table)
    counts.renew({"replay": counted(2000, 2)}, table)
    assert counts.check({"idle": counted(100, 0), "replay": counted(2000, 2)}, table)[1]


def test_a_table_that_is_missing_or_lacks_a_work_is_an_error_that_says_so(tmp_path: Path) -> None:
    table = tmp_path / "counts.json"
    with pytest.raises(BenchmarkError, match="make it anew with --check --renew"):
        counts.check({"idle": counted(1, 0)}, table)
    counts.renew({"idle": counted(1, 0)}, table)
    with pytest.raises(BenchmarkError, match=r"counts\.json has no replay; add it with --check --renew"):
        counts.check({"replay": counted(1, 0)}, table)


def test_what_is_counted_is_that_of_our_code_and_the_same_every_time(tmp_path: Path) -> None:
    once, again = (counts.count(["recording"]) for _ in range(2))
    counts.renew(once, tmp_path / "counts.json")
    assert counts.check(again, tmp_path / "counts.json") == (["1 works counted"], True)
    one = once["recording"]
    assert one.counts["files replaced"] == 6  # a cassette for each of six tests
    assert one.counts["fsyncs"] == 12  # each with its folder
    assert one.counts["locks"] >= 6
    assert one.functions["store/files.py:put"] == 6
    assert sum(one.rooms.values()) == one.counts["calls"]


def test_renewing_needs_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--renew"])
    assert "--renew needs --check" in capsys.readouterr().err
    assert main(["--check", "--only", "speed"]) == 1
    assert "there is no work 'speed'; there are idle, replay" in capsys.readouterr().err


@pytest.mark.parametrize("work", ["conversation", "streams"])
def test_what_grows_is_measured_for_each_unit(work: str, tmp_path: Path) -> None:
    with Upstream(script("")) as upstream:
        for mode in ("record", "replay"):
            command = [sys.executable, "-m", "tests.benchmarks.inside.growing", work, mode, OURS]
            command += [str(tmp_path / "cassette.yaml"), "3", upstream.url]
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, encoding="utf-8", check=False)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout).keys() == {"CPU, ms", "memory, KB"}
        assert upstream.count == 3 + 2  # recorded, and once in small before that; nothing in replay
