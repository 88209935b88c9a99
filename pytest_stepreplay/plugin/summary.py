"""The section at the end of a run: what the reports of all processes carry, added up and said once."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from .run import RUN
from .verification import publish

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
        self._failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes what a report carries; under xdist this runs where the summary is printed."""
        self._outcomes += getattr(report, "stepreplay", ())

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Takes what an xdist worker knows of the run as a whole."""
        unknown = {"owned": [], "complete": False}
        self._workers.append(
            unknown if error else getattr(node, "workeroutput", {}).get("stepreplay", unknown)
        )

    def pytest_keyboard_interrupt(self) -> None:
        """Takes what becomes of the test that was running."""
        if self._run.open is not None:
            self._outcomes.append(asdict(self._run.open.close(passed=False, interrupted=True)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Decides what a complete run did not use, while the exit status can still be changed."""
        complete = self._run.complete and exitstatus in {0, 1} and _runs_everything(session)
        owned = sorted(str(path) for path in self._run.owned)
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["stepreplay"] = {"owned": owned, "complete": complete}
            return
        for worker in self._workers:
            owned += worker["owned"]
            complete = complete and worker["complete"]
        if not self._outcomes:
            return
        from ..report.totals import add_up, render_totals  # noqa: PLC0415
        from ..store.paths import iter_cassettes  # noqa: PLC0415 - only a run that used a cassette pays for it

        settings = self._run.settings({})
        on_disk = map(str, iter_cassettes(self._run.cassettes(settings))) if complete else ()
        totals = add_up(self._outcomes, on_disk=on_disk, owned=owned, complete=complete)
        self._failed = settings.unused == "error" and totals.unused > 0
        self._lines = render_totals(totals, self._run.rootpath, unused=settings.unused)
        verified = [each for outcome in self._outcomes for each in outcome["verified"]]
        if verified:
            self._lines += ["", *publish(verified, settings, self._config)]
        if self._failed and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the section, if something happened."""
        if self._lines:
            terminalreporter.write_sep("=", "stepreplay", red=self._failed, bold=self._failed)
            for line in self._lines:
                terminalreporter.write_line(line)


def _runs_everything(session: pytest.Session) -> bool:
    """Whether nothing narrowed this run, so that what it did not use is not used at all."""
    config = session.config
    named = {(config.invocation_params.dir / arg).resolve() for arg in config.args}
    whole = config.rootpath in named or config.args_source is pytest.Config.ArgsSource.TESTPATHS
    narrowed = any(config.getoption(name, None) for name in NARROWING)
    stopped = session.shouldstop or session.shouldfail
    return whole and not narrowed and not stopped and session.testscollected > 0
