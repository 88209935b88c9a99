"""The section at the end of a run: what the reports of all processes carry, added up and said once."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from ..drift import baseline
from ..errors import StepReplayError
from ..housekeeping import CACHE_KEY, last_run, publishing
from ..machine import disk
from ..report import causes, totals
from ..session import routing
from ..settings import MODES, REWRITE, prices
from ..store import paths
from ..vcr import suites
from . import coloring, mutating, repeats, snapshot_fixture
from .run import RUN, SUITE_FACTS, start_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from ..housekeeping.last_run import LastRun
    from ..report.suite_runs import SuiteRun
    from .suite_facts import SuiteFacts

NARROWING = {
    "collectonly": "--collect-only",
    "lf": "--last-failed",
    "keyword": "-k",
    "markexpr": "-m",
    "ignore": "--ignore",
    "ignore_glob": "--ignore-glob",
    "continue_on_collection_errors": "--continue-on-collection-errors",
}
"""Options of pytest with which a run does not see every test."""

_OURS: Final = rb"\A(?:\xef\xbb\xbf|#[^\n]*\n|\s)*['\"]?stepreplay['\"]?\s*:"
_TEST: Final = rb"(?m)^['\"]?test['\"]?\s*:\s*[^\s~]"

UNKNOWN_WORKER: Final[dict[str, Any]] = {
    "tests": [],
    "owned": {},
    "folders": [],
    "roots": {},
    "collected": [],
    "unseen": True,
    "partial": "an xdist worker crashed",
    "outcomes": [],
}


class Summary:
    """Adds up what the reports of all processes carry, and says it once at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._run = config.stash[RUN]
        self._outcomes: list[dict[str, Any]] = []
        self._workers: list[dict[str, Any]] = []
        self._causes: list[dict[str, Any]] = []
        self._notes: dict[str, None] = {}
        self._mutated: list[dict[str, Any]] = []
        self._lines: list[str] = []
        self._problems: list[str] = []
        self._stopped = self._unseen = self._deselected = False
        self._failed = False
        self._skipped: list[str] = []

    def __dir__(self) -> list[str]:
        """Returns the hooks alone: pytest asks of each name in a plugin what it is, at a cost."""
        return [name for name in vars(Summary) if name.startswith("pytest_")]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Notes that the tests of some module are not known, as where it skips itself."""
        if not report.passed:
            self._unseen = True
        if report.skipped:
            self._skipped.append(report.nodeid)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Notes that some tests are not to be run."""
        self._deselected = self._deselected or bool(items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes what a report carries; under xdist this runs where the summary is printed."""
        self._outcomes += getattr(report, "stepreplay", ())
        self._causes += getattr(report, "stepreplay_causes", ())
        self._notes.update(dict.fromkeys(getattr(report, "stepreplay_notes", ())))
        if hasattr(report, "stepreplay_snapshots"):
            snapshot_fixture.serve_snapshots(
                self._config
            )  # its summary is printed here, where no test is collected
        if hasattr(report, "stepreplay_mutants"):
            self._mutated.append(report.stepreplay_mutants)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tells an xdist worker how the run was started, for the commands that its messages suggest."""
        start = start_of(self._config, self._run.places.folder)
        node.workerinput["stepreplay_start"] = [*start.options], [*start.arguments]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Takes what an xdist worker knows of the run as a whole."""
        output = {} if error else getattr(node, "workeroutput", {})
        worker: dict[str, Any] = output.get("stepreplay", UNKNOWN_WORKER)
        self._workers.append(worker)
        self._outcomes += worker["outcomes"]
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
        if self._causes and reporter is not None:
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
                self._problems.append(f"ERROR: {error}")

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        if "pytest_stepreplay.session.routing" in sys.modules:
            routing.leave()
        absolute = self._absolute_paths()
        here = self._known_here(absolute, self._why_partial(session, exitstatus))
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["stepreplay"] = here
            return
        self._outcomes += here["outcomes"]
        known = _WholeRun([here, *self._workers])
        for each in self._workers:
            self._run.places.roots.update((Path(name), Path(root)) for name, root in each["roots"].items())
        self._complete_outcomes(absolute)
        facts, notes = self._facts(), [f"vcr marker: {note}" for note in self._notes]
        if not self._outcomes and facts is None:
            self._lines = notes
            self._forget()
            return
        known.roots.setdefault(os.path.abspath(self._run.places.folder), str(self._run.places.home.root))  # noqa: PTH100 - as above
        strays = {
            path: known_by
            for path, known_by in (self._unowned(known) if not known.partial or facts is not None else ())
            if (facts is not None or known.covers(known_by)) and _was_a_test_s(Path(path))
        }
        suite = None
        if facts is not None:
            facts.know(known.tests)
            suite = facts.sum_up(
                self._outcomes,
                causes=self._causes,
                owned=known.owned,
                strays=strays,
                modules=known.modules,
                narrowed=known.partial,
                broken=self._why_broken(exitstatus),
                unseen=known.unseen,
                settings=self._run.settings.of_run,
            )
        if not self._outcomes:
            self._lines = notes
            self._forget()
            self._publish_suite(suite)
            return
        unused = {} if known.partial else {path: by for path, by in strays.items() if known.covers(by)}
        self._remember_run(known, unused, exitstatus)
        self._sum_up(known, unused)
        self._lines += self._problems + notes
        self._publish(suite)
        if self._failed and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _known_here(self, absolute: Mapping[str, str], partial: str) -> dict[str, Any]:
        """Returns what this process knows of the run as a whole, as plain values."""
        owners, facts = self._run.owners, self._facts()
        return {
            "tests": [*facts.tests] if facts is not None else [],
            "owned": {absolute[str(path)]: test for path, test in owners.tests.items()},
            "folders": sorted(map(str, owners.folders)),
            "roots": {os.path.abspath(path): str(root) for path, root in self._run.places.roots.items()},  # noqa: PTH100 - it would follow links
            "collected": sorted(map(str, owners.modules)),
            "unseen": self._unseen,
            "partial": partial,
            "outcomes": self._run.unreported.take_outcomes(),
        }

    def _complete_outcomes(self, absolute: Mapping[str, str]) -> None:
        """Gives each outcome the absolute path of its cassette, and says of each drift whether it is known."""
        known = self._run.baseline
        for each in self._outcomes:
            path = each["path"]
            each["path"] = path and (absolute.get(path) or os.path.abspath(path))  # noqa: PTH100 - as above
            if known is not None:
                each["verified"] = [it | {"known": baseline.is_known(it, known)} for it in each["verified"]]

    def _remember_run(self, known: _WholeRun, unused: Mapping[str, str], exitstatus: int) -> None:
        if _cache_of(self._config) is None:
            return
        inside = tuple(f"{root}{os.sep}" for root in known.roots)
        run = last_run.sum_up(
            self._outcomes,
            owned=known.owned,
            on_disk=unused,
            folders={*known.roots, *known.folders},
            unfit=self._why_unfit(known.partial, exitstatus),
            complete=not known.partial,
            elsewhere={
                path: test for path, test in known.owned.items() if test and not path.startswith(inside)
            },
        )
        self._remember(run)

    def _sum_up(self, known: _WholeRun, unused: Mapping[str, str]) -> None:
        settings = self._run.settings.of_run
        sums = totals.add_up(self._outcomes, on_disk=unused, owned=known.owned, complete=not known.partial)
        self._failed = settings.unused == "error" and sums.unused > 0
        self._lines = totals.render_totals(
            sums,
            self._config.rootpath,
            unused=settings.unused,
            costs=prices.Prices(settings.prices) if settings.prices else None,
            details=self._config.get_verbosity() > 0,
        )
        if self._causes:
            self._lines += causes.render_causes(self._causes)
        if settings.adopt_vcr_marker and sums.missed and "body" in settings.match_on:
            self._lines += suites.ADVICE_ON_MISSES

    def _publish(self, suite: SuiteRun | None) -> None:
        """Writes the files that were asked for, and says what was verified, rewritten or mutated."""
        verified = [each for outcome in self._outcomes for each in outcome["verified"]]
        if verified:
            settings = self._run.settings.with_secrets(self._run.settings.of_run)
            if all(MODES[each["mode"]].rewrites for each in self._outcomes if each["verified"]):
                settings = replace(settings, mode=REWRITE)
            places, facts = self._run.places, self._facts()
            around = publishing.Surroundings(
                start=self._config.invocation_params.dir,
                root=self._config.rootpath,
                folders={places.folder, *places.roots},
                typed_id=places.typed_id,
            )
            shard = facts.shard if facts is not None else ""
            self._lines += ["", *publishing.publish(verified, settings, around, shard=shard, suite=suite)]
        else:
            self._publish_suite(suite)
        if self._mutated and (runs := self._config.pluginmanager.get_plugin(mutating.PLUGIN)):
            lines, failing = runs.publish(self._mutated)
            self._lines += ["", *lines]
            self._failed = self._failed or failing

    def _absolute_paths(self) -> dict[str, str]:
        """Returns the absolute path of each cassette that a test owns, by the path as it is known; links stay."""
        folder = str(self._run.places.folder)
        absolute = os.path.abspath(folder)  # noqa: PTH100 - it would follow links
        inside = folder + os.sep  # nothing in there leads up again, so that most need no look of their own
        return {
            path: absolute + path[len(folder) :] if path.startswith(inside) else os.path.abspath(path)  # noqa: PTH100
            for path in map(str, self._run.owners.tests)
        }

    def _unowned(self, known: _WholeRun) -> Iterator[tuple[str, str]]:
        """Yields the files that no collected test owns, each with what must be known to say that none uses it.

        That is its test module, if it is there: what that needs may not be installed, and then it is not collected.
        """
        for folder in known.folders:
            for name in paths.unsorted_names(Path(folder)):
                if name not in known.owned:
                    yield name, totals.EVERYTHING
        home = self._run.places.home.root
        for folder, root in known.roots.items():
            if Path(root) != home and not self._is_named(Path(root)):
                continue  # not all of its tests were asked for
            known_by: dict[str, str] = {}
            for name in paths.unsorted_names(Path(folder)):
                if name not in known.owned:
                    place = os.path.dirname(name)  # noqa: PTH120 - there are many
                    if place not in known_by:
                        known_by[place] = _known_by(Path(place), Path(folder), Path(root))
                    yield name, known_by[place]

    def _facts(self) -> SuiteFacts | None:
        """Returns what has noted the tests for a report; None where none is asked for."""
        facts: SuiteFacts | None = self._config.pluginmanager.get_plugin(SUITE_FACTS)
        return facts

    def _publish_suite(self, suite: SuiteRun | None) -> None:
        """Writes the report of a run that has verified nothing, if the command line asks for it.

        One that the ini file asks for is of drift; the next run of the tests must not take its place.
        """
        facts = self._facts()
        if suite is not None and facts is not None and self._run.settings.is_typed("report"):
            settings = self._run.settings.with_secrets(self._run.settings.of_run)
            self._lines += publishing.publish_suite(suite, settings, self._config.rootpath, shard=facts.shard)

    def _why_broken(self, exitstatus: int) -> str:
        """Returns why the run did not see every test although it was to; nothing if it did."""
        if any(worker is UNKNOWN_WORKER for worker in self._workers):
            return str(UNKNOWN_WORKER["partial"])
        ended = exitstatus in {0, 1, pytest.ExitCode.NO_TESTS_COLLECTED}
        return "" if ended else f"pytest ended with exit status {int(exitstatus)}"

    def _is_named(self, root: Path) -> bool:
        """Whether the run was told to run a folder, or one above it."""
        config = self._config
        named = ((config.invocation_params.dir / arg).resolve() for arg in config.args)
        return any(root.resolve().is_relative_to(each) for each in named)

    def _why_partial(self, session: pytest.Session, exitstatus: int) -> str:
        """Returns why this run did not see every test; nothing if it did."""
        config = session.config
        whole = self._is_named(config.rootpath) or config.args_source is pytest.Config.ArgsSource.TESTPATHS
        options = [name for name in NARROWING if config.getoption(name, None)]
        if exitstatus not in {0, 1}:
            return f"pytest ended with exit status {int(exitstatus)}"
        if not whole:
            return f"it was told to run {' '.join(config.args)}"
        if options:
            return f"it was narrowed by {NARROWING[options[0]]}"
        if self._deselected:
            return "some tests were deselected"
        if session.shouldstop or session.shouldfail:
            return "it stopped early"
        return "" if session.testscollected > 0 else "it found no test"

    def _why_unfit(self, partial: str, exitstatus: int) -> list[str]:
        """Returns why this run does not tell what is still needed."""
        if not partial and self._skipped:
            partial = f"{self._skipped[0]} was skipped as a whole"
        unfit = [f"it was not complete: {partial}"] if partial else []
        return unfit + ([f"it failed, with exit status {int(exitstatus)}"] if exitstatus else [])

    def _remember(self, run: LastRun) -> None:
        """Leaves what the run knows of the cassettes in pytest's cache, for `stepreplay prune` and `relink`."""
        cache = _cache_of(self._config)
        if cache is not None:
            cache.set(CACHE_KEY, last_run.render_last_run(run))

    def _forget(self) -> None:
        """Makes an older run's knowledge unfit, once a run has used no cassette at all."""
        cache = _cache_of(self._config)
        if cache is None or self._config.getoption("collectonly", False) or not cache.get(CACHE_KEY, None):
            return

        self._remember(last_run.LastRun(("it used no cassette",), complete=False, folders=(), owned=()))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the section, if something happened."""
        if self._lines:
            terminalreporter.write_sep("=", "stepreplay", red=self._failed, bold=self._failed)
            for line in self._lines:
                coloring.write_line(terminalreporter, line)


class _WholeRun:
    """What all processes of a run know of it together.

    Attributes:
        owned: the test of each cassette, by its absolute path.
        folders: those that hold cassettes beside tests.
        roots: the folders of all projects' cassettes, with the projects' own.
        tests: those that were collected.
        modules: the modules that were.
        unseen: some modules were not.
        partial: why not every test was seen; empty if each was.
    """

    def __init__(self, processes: Iterable[Mapping[str, Any]]) -> None:
        """Takes it from each process, as `Summary` has a worker give it out."""
        self.owned: dict[str, str] = {}
        self.folders: set[str] = set()
        self.roots: dict[str, str] = {}
        self.tests: list[str] = []
        self.modules: set[str] = set()
        self.unseen, self.partial = False, ""
        for each in processes:
            self.owned |= each["owned"]
            self.folders.update(each["folders"])
            self.roots |= each["roots"]
            self.tests += each["tests"]
            self.modules.update(each["collected"])
            self.unseen = self.unseen or each["unseen"]
            self.partial = self.partial or each["partial"]

    def covers(self, known_by: str) -> bool:
        """Whether what `_known_by` says of a cassette is known."""
        return not self.unseen if known_by == totals.EVERYTHING else not known_by or known_by in self.modules


def _known_by(place: Path, folder: Path, root: Path) -> str:
    """Returns the test module whose tests must be known to say that no test uses the cassettes in a folder.

    `totals.EVERYTHING` for those of all modules, nothing for none.
    """
    place = root / place.relative_to(folder)
    module = place.parent / f"{place.name}.py"
    if module.name == "conftest.py":
        return ""
    return str(module) if module.is_file() else totals.EVERYTHING


def _was_a_test_s(path: Path) -> bool:
    """Whether a file is a cassette that a test may have recorded, by its first lines; other data may lie beside.

    Ours names its test, unless a script has written it. Those of other tools do not say.
    """
    try:
        start = disk.read(path, 4096)
    except OSError:
        return False
    return re.search(_TEST, start) is not None if re.match(_OURS, start) else b"interactions" in start


def _cache_of(config: pytest.Config) -> pytest.Cache | None:
    return getattr(config, "cache", None)
