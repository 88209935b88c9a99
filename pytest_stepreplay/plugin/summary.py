"""The section at the end of a run: what the reports of all processes carry, added up and said once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import StepReplayError
from ..housekeeping import CACHE_KEY
from ..session import routing
from . import coloring, ending, repeats, snapshot_fixture
from .run import RUN, SUITE_FACTS, Reported, start_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


class Summary:
    """Adds up what the reports of all processes carry, and says it once at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._run = config.stash[RUN]
        self._reported = Reported()
        self._lines: list[str] = []
        self._stopped = self._failed = False

    def __dir__(self) -> list[str]:
        """Returns the hooks alone: pytest asks of each name in a plugin what it is, at a cost."""
        return [name for name in vars(Summary) if name.startswith("pytest_")]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Notes that the tests of some module are not known, as where it skips itself."""
        if not report.passed:
            self._reported.unseen = True
        if report.skipped:
            self._reported.skipped.append(report.nodeid)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Notes that some tests are not to be run."""
        self._reported.deselected = self._reported.deselected or bool(items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes what a report carries; under xdist this runs where the summary is printed."""
        self._reported.outcomes += getattr(report, "stepreplay", ())
        self._reported.causes += getattr(report, "stepreplay_causes", ())
        self._reported.notes.update(dict.fromkeys(getattr(report, "stepreplay_notes", ())))
        if hasattr(report, "stepreplay_snapshots"):
            snapshot_fixture.serve_snapshots(
                self._config
            )  # its summary is printed here, where no test is collected
        if hasattr(report, "stepreplay_mutants"):
            self._reported.mutated.append(report.stepreplay_mutants)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tells an xdist worker how the run was started, for the commands that its messages suggest."""
        start = start_of(self._config, self._run.places.folder)
        node.workerinput["stepreplay_start"] = [*start.options], [*start.arguments]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Takes what an xdist worker knows of the run as a whole."""
        output = {} if error else getattr(node, "workeroutput", {})
        worker: dict[str, Any] = output.get("stepreplay") or ending.UNKNOWN_WORKER
        self._reported.workers.append(worker)
        self._reported.outcomes += worker["outcomes"]
        if "stepreplay_usage_error" in output:
            raise pytest.UsageError(output["stepreplay_usage_error"])

    def pytest_keyboard_interrupt(self) -> None:
        """Notes that the run is stopped, by a person or by `pytest.exit`."""
        self._stopped = True

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, object, object]:
        """Decides what a complete run did not use, while the exit status can still be changed.

        What an interrupted run has not torn down yet is torn down inside: its last test and wider fixtures.
        """
        passed = False
        try:
            result = yield
            passed = True
        finally:
            self._close_rest(
                passed=passed, stopped=self._stopped or exitstatus == pytest.ExitCode.INTERNAL_ERROR
            )
            self._finish(session, exitstatus)
            self._shorten_repeats()
            self._color_failures()
        return result

    def _shorten_repeats(self) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if self._reported.causes and reporter is not None:
            repeats.shorten_repeats(reporter)

    def _color_failures(self) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if (
            reporter is not None
            and reporter.hasmarkup
            and ("failed" in reporter.stats or "error" in reporter.stats)
        ):
            coloring.color_failures(reporter)

    def _close_rest(self, *, passed: bool, stopped: bool) -> None:
        test, unreported = self._run.test, self._run.unreported
        test.stop()
        if test.session is not None:
            unreported.add(test.session.close(passed=False, interrupted=True))
        while test.torn_down:
            fixture = test.torn_down.pop(0)
            try:
                unreported.add(fixture.close(passed=passed, interrupted=stopped, why="its teardown failed"))
            except StepReplayError as error:
                self._reported.problems.append(f"ERROR: {error}")

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        if "pytest_stepreplay.session.routing" in sys.modules:
            routing.leave()
        unreported = self._run.unreported.take_outcomes()
        cache: pytest.Cache | None = getattr(self._config, "cache", None)
        if (
            unreported
            or self._reported.outcomes
            or self._reported.notes
            or hasattr(self._config, "workeroutput")
            or self._config.pluginmanager.has_plugin(SUITE_FACTS)
            or (cache is not None and cache.get(CACHE_KEY, None))  # what an earlier run knew
        ):
            end = ending.Ending(self._config, self._reported, unreported)
            end.finish(session, exitstatus)
            self._lines, self._failed = end.lines, end.failed

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the section, if something happened."""
        if self._lines:
            terminalreporter.write_sep("=", "stepreplay", red=self._failed, bold=self._failed)
            for line in self._lines:
                coloring.write_line(terminalreporter, line)
