"""What a process costs, and series of such costs, taken in turn so that the machine's moods fall on all alike.

A command goes in, a `Cost` comes out; `take_turns` repeats runs of several tools, A B C A B C ..., into `Series`.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

CPU, WALL, PEAK = "CPU, ms", "wall, ms", "peak memory, MB"
LAUNCHER = Path(__file__).with_name("launcher.py")
LIMIT = 900  # seconds, against a tool that hangs

Values: TypeAlias = Mapping[str, float]
"""What one run came to, by measure; a measure's name ends with its unit."""


class BenchmarkError(Exception):
    """A tool did not do the work, so its numbers would mean nothing."""


@dataclass(frozen=True)
class Cost:
    """What one process came to.

    Attributes:
        cpu: seconds of user and system time.
        wall: seconds.
        peak: the most memory that was resident at once, in bytes.
        output: what it printed.
    """

    cpu: float
    wall: float
    peak: int
    output: str

    def values(self) -> Values:
        """Returns the measures of a whole process."""
        return {CPU: self.cpu * 1e3, WALL: self.wall * 1e3, PEAK: self.peak / 1e6}


@dataclass(frozen=True)
class Series:
    """One measure of one tool, with a value for each round."""

    measure: str
    tool: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.values)

    def ratios_to(self, base: Series) -> tuple[float, ...]:
        """Returns the ratio of each round to the base's value in the same round."""
        return tuple(mine / its for mine, its in zip(self.values, base.values, strict=True))


def run(
    command: Sequence[object],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    status: int = 0,
) -> Cost:
    """Runs a command to its end and returns what it cost.

    Args:
        command: the first item is the path of the program.
        folder: the working directory.
        environment: variables to add; keys, proxies and pytest's options of the caller are left out.
        status: the exit status that it is to have.

    Raises:
        BenchmarkError: it has another one.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith(("_API_KEY", "_PROXY")) and not name.startswith(("PYTEST", "PYTHON"))
    }
    kept |= {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", **(environment or {})}
    arguments = [str(each) for each in command]
    with TemporaryDirectory() as scratch:
        result = Path(scratch, "cost.json")
        launched = subprocess.Popen(
            [sys.executable, "-I", "-S", LAUNCHER, result, *arguments],
            cwd=folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = launched.communicate(timeout=LIMIT)
        except BaseException as error:
            os.killpg(launched.pid, signal.SIGKILL)  # the launcher, and with it what it launched
            launched.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise BenchmarkError(f"{' '.join(arguments)} took more than {LIMIT} s") from None
            raise
        if launched.returncode:
            how = f"the launcher ended with {launched.returncode}"
            raise BenchmarkError(f"{arguments[0]} cannot be started, {how}:\n{output[-2000:]}")
        cost = json.loads(result.read_text(encoding="utf-8"))
    if cost["status"] != status:
        raise BenchmarkError(
            f"{' '.join(arguments)}\n  in {folder} ended with {cost['status']}:\n{output[-3000:]}"
        )
    return Cost(cost["cpu"], cost["wall"], cost["peak"], output)


def take_turns(rounds: int, runs: Mapping[str, Callable[[], Values]]) -> list[Series]:
    """Runs each tool once in each round, and returns a series for each measure of each tool.

    Args:
        rounds: how often.
        runs: by tool; each returns the same measures every time.
    """
    taken: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for tool, measure in runs.items():
            for name, value in measure().items():
                taken.setdefault((name, tool), []).append(value)
    return [Series(measure, tool, tuple(values)) for (measure, tool), values in taken.items()]
