"""The section at the end of a run: what the reports of all processes carry, added up and said once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import StepReplayError
from .run import RUN
from .verification import publish

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

NARROWING = (
    "collectonly",
    "lf",
    "keyword",
    "markexpr",
    "ignore",
    "ignore_glob",
    "continue_on_collection_errors",
)
"""Options of pytest with which a run does not see every test."""


class Summary:
    """Adds up what the reports of all processes carry, and says it once at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._run = config.stash[RUN]
        self._outcomes: list[dict[str, Any]] = []
        self._workers: list[dict[str, Any]] = []
        self._lines: list[str] = []
        self._problems: list[str] = []
        self._stopped = False
        self._failed = False

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Notes that the tests of some module are not known, as where it skips itself."""
        if not report.passed:
            self._run.unseen = True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes what a report carries; under xdist this runs where the summary is printed."""
        self._outcomes += getattr(report, "stepreplay", ())

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Takes what an xdist worker knows of the run as a whole."""
        unknown: dict[str, Any] = {
            "owned": [],
            "collected": [],
            "unseen": True,
            "complete": False,
            "outcomes": [],
            "usage_error": "",
        }
        worker: dict[str, Any] = (
            unknown if error else getattr(node, "workeroutput", {}).get("stepreplay", unknown)
        )
        self._workers.append(worker)
        self._outcomes += worker["outcomes"]
        if worker["usage_error"]:
            raise pytest.UsageError(worker["usage_error"])

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
        return result

    def _close_rest(self, *, passed: bool, stopped: bool) -> None:
        test, self._run.open = self._run.open, None
        if test is not None:
            self._run.pending.append(test.close(passed=False, interrupted=True))
        while self._run.torn_down:
            fixture = self._run.torn_down.pop(0)
            try:
                self._run.pending.append(
                    fixture.close(passed=passed, interrupted=stopped, why="its teardown failed")
                )
            except StepReplayError as error:
                self._problems.append(f"ERROR: {error}")

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        if "pytest_stepreplay.session.routing" in sys.modules:
            from ..session import leave  # noqa: PLC0415 - it is imported already

            leave()
        complete = self._run.complete and exitstatus in {0, 1} and _runs_everything(session)
        owned = sorted(str(path) for path in self._run.owned)
        collected = sorted(str(path) for path in self._run.collected)
        unseen = self._run.unseen
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["stepreplay"] = {
                "owned": owned,
                "collected": collected,
                "unseen": unseen,
                "complete": complete,
                "outcomes": self._run.outcomes(),
                "usage_error": self._run.usage_error,
            }
            return
        self._outcomes += self._run.outcomes()
        for worker in self._workers:
            owned += worker["owned"]
            collected += worker["collected"]
            unseen = unseen or worker["unseen"]
            complete = complete and worker["complete"]
        if not self._outcomes:
            return
        from ..report.totals import add_up, render_totals  # noqa: PLC0415
        from ..store.paths import iter_cassettes  # noqa: PLC0415 - only a run that used a cassette pays for it

        settings = self._run.settings({})
        root = self._run.cassettes(settings)
        found = iter_cassettes(root) if complete else ()
        on_disk = [
            str(path) for path in found if self._is_judged(path, root, collected, everything=not unseen)
        ]
        totals = add_up(self._outcomes, on_disk=on_disk, owned=owned, complete=complete)
        self._failed = settings.unused == "error" and totals.unused > 0
        self._lines = render_totals(totals, self._run.rootpath, unused=settings.unused) + self._problems
        verified = [each for outcome in self._outcomes for each in outcome["verified"]]
        if verified:
            self._lines += ["", *publish(verified, settings, self._config)]
        if self._failed and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _is_judged(self, path: Path, root: Path, collected: list[str], *, everything: bool) -> bool:
        """Whether it is known that no test uses a cassette, once none has.

        It is not where its test module is there but was not collected: what it needs is not installed here, say.
        """
        folder = self._run.rootpath / path.parent.relative_to(root)
        module = folder.parent / f"{folder.name}.py"
        if module.name != "conftest.py" and module.is_file():
            return str(module) in collected and _looks_like_a_cassette(path)
        return (everything or module.name == "conftest.py") and _looks_like_a_cassette(path)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the section, if something happened."""
        if self._lines:
            terminalreporter.write_sep("=", "stepreplay", red=self._failed, bold=self._failed)
            for line in self._lines:
                terminalreporter.write_line(line)


def _looks_like_a_cassette(path: Path) -> bool:
    """Whether a file is ours or vcrpy's by its first lines; other data may lie beside."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return True
    return any(word in start for word in (b"stepreplay", b"interactions"))


def _runs_everything(session: pytest.Session) -> bool:
    """Whether nothing narrowed this run, so that what it did not use is not used at all."""
    config = session.config
    named = {(config.invocation_params.dir / arg).resolve() for arg in config.args}
    whole = config.rootpath in named or config.args_source is pytest.Config.ArgsSource.TESTPATHS
    narrowed = any(config.getoption(name, None) for name in NARROWING)
    stopped = session.shouldstop or session.shouldfail
    return whole and not narrowed and not stopped and session.testscollected > 0
