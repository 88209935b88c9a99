"""What is said at the end of a run that has used a cassette, or is to be reported; other runs import none of this.

What all processes have reported goes in, and lines for the summary come out, once the files of the run are written.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from ..drift import baseline
from ..housekeeping import CACHE_KEY, last_run, publishing
from ..machine import disk
from ..report import causes, totals
from ..settings import MODES, REWRITE, prices
from ..store import paths
from ..vcr import suites
from . import mutating
from .run import RUN, SUITE_FACTS, Reported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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


class Ending:
    """Adds up what was reported.

    Attributes:
        lines: of the summary.
        failed: the run fails by it.
    """

    def __init__(self, config: pytest.Config, reported: Reported, unreported: list[dict[str, Any]]) -> None:
        """Does nothing yet.

        Args:
            config: of the run.
            reported: by all processes.
            unreported: outcomes of this process that no report carries.
        """
        self._config, self._reported, self._unreported = config, reported, unreported
        self._run = config.stash[RUN]
        self.lines: list[str] = []
        self.failed = False

    def finish(self, session: pytest.Session, exitstatus: int) -> None:
        """Sums up the run, or leaves what this process knows for the one that does."""
        absolute = self._absolute_paths()
        here = self._known_here(absolute, self._why_partial(session, exitstatus))
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["stepreplay"] = here
            return
        self._reported.outcomes += here["outcomes"]
        known = _WholeRun([here, *self._reported.workers])
        for each in self._reported.workers:
            self._run.places.roots.update((Path(name), Path(root)) for name, root in each["roots"].items())
        self._complete_outcomes(absolute)
        facts, notes = self._facts(), [f"vcr marker: {note}" for note in self._reported.notes]
        if not self._reported.outcomes and facts is None:
            self.lines = notes
            forget_last_run(self._config)
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
                self._reported.outcomes,
                causes=self._reported.causes,
                owned=known.owned,
                strays=strays,
                modules=known.modules,
                narrowed=known.partial,
                broken=self._why_broken(exitstatus),
                unseen=known.unseen,
                settings=self._run.settings.of_run,
            )
        if not self._reported.outcomes:
            self.lines = notes
            forget_last_run(self._config)
            self._publish_suite(suite)
            return
        unused = {} if known.partial else {path: by for path, by in strays.items() if known.covers(by)}
        self._remember_run(known, unused, exitstatus)
        self._sum_up(known, unused)
        self.lines += self._reported.problems + notes
        self._publish(suite)
        if self.failed and session.exitstatus == 0:
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
            "unseen": self._reported.unseen,
            "partial": partial,
            "outcomes": self._unreported,
        }

    def _complete_outcomes(self, absolute: Mapping[str, str]) -> None:
        """Gives each outcome the absolute path of its cassette, and says of each drift whether it is known."""
        known = self._run.baseline
        for each in self._reported.outcomes:
            path = each["path"]
            each["path"] = path and (absolute.get(path) or os.path.abspath(path))  # noqa: PTH100 - as above
            if known is not None:
                each["verified"] = [it | {"known": baseline.is_known(it, known)} for it in each["verified"]]

    def _remember_run(self, known: _WholeRun, unused: Mapping[str, str], exitstatus: int) -> None:
        if _cache_of(self._config) is None:
            return
        inside = tuple(f"{root}{os.sep}" for root in known.roots)
        run = last_run.sum_up(
            self._reported.outcomes,
            owned=known.owned,
            on_disk=unused,
            folders={*known.roots, *known.folders},
            unfit=self._why_unfit(known.partial, exitstatus),
            complete=not known.partial,
            elsewhere={
                path: test for path, test in known.owned.items() if test and not path.startswith(inside)
            },
        )
        _remember(self._config, run)

    def _sum_up(self, known: _WholeRun, unused: Mapping[str, str]) -> None:
        settings = self._run.settings.of_run
        sums = totals.add_up(
            self._reported.outcomes, on_disk=unused, owned=known.owned, complete=not known.partial
        )
        self.failed = settings.unused == "error" and sums.unused > 0
        self.lines = totals.render_totals(
            sums,
            self._config.rootpath,
            unused=settings.unused,
            costs=prices.Prices(settings.prices) if settings.prices else None,
            details=self._config.get_verbosity() > 0,
        )
        if self._reported.causes:
            self.lines += causes.render_causes(self._reported.causes)
        if settings.adopt_vcr_marker and sums.missed and "body" in settings.match_on:
            self.lines += suites.ADVICE_ON_MISSES

    def _publish(self, suite: SuiteRun | None) -> None:
        """Writes the files that were asked for, and says what was verified, rewritten or mutated."""
        verified = [each for outcome in self._reported.outcomes for each in outcome["verified"]]
        if verified:
            settings = self._run.settings.with_secrets(self._run.settings.of_run)
            if all(MODES[each["mode"]].rewrites for each in self._reported.outcomes if each["verified"]):
                settings = replace(settings, mode=REWRITE)
            places, facts = self._run.places, self._facts()
            around = publishing.Surroundings(
                start=self._config.invocation_params.dir,
                root=self._config.rootpath,
                folders={places.folder, *places.roots},
                typed_id=places.typed_id,
            )
            shard = facts.shard if facts is not None else ""
            self.lines += ["", *publishing.publish(verified, settings, around, shard=shard, suite=suite)]
        else:
            self._publish_suite(suite)
        if self._reported.mutated and (runs := self._config.pluginmanager.get_plugin(mutating.PLUGIN)):
            lines, failing = runs.publish(self._reported.mutated)
            self.lines += ["", *lines]
            self.failed = self.failed or failing

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
            self.lines += publishing.publish_suite(suite, settings, self._config.rootpath, shard=facts.shard)

    def _why_broken(self, exitstatus: int) -> str:
        """Returns why the run did not see every test although it was to; nothing if it did."""
        if any(worker is UNKNOWN_WORKER for worker in self._reported.workers):
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
        if self._reported.deselected:
            return "some tests were deselected"
        if session.shouldstop or session.shouldfail:
            return "it stopped early"
        return "" if session.testscollected > 0 else "it found no test"

    def _why_unfit(self, partial: str, exitstatus: int) -> list[str]:
        """Returns why this run does not tell what is still needed."""
        if not partial and self._reported.skipped:
            partial = f"{self._reported.skipped[0]} was skipped as a whole"
        unfit = [f"it was not complete: {partial}"] if partial else []
        return unfit + ([f"it failed, with exit status {int(exitstatus)}"] if exitstatus else [])


def forget_last_run(config: pytest.Config) -> None:
    """Makes an older run's knowledge unfit, once a run has used no cassette at all."""
    cache = _cache_of(config)
    if cache is None or config.getoption("collectonly", False) or not cache.get(CACHE_KEY, None):
        return

    _remember(config, last_run.LastRun(("it used no cassette",), complete=False, folders=(), owned=()))


def _remember(config: pytest.Config, run: LastRun) -> None:
    """Leaves what the run knows of the cassettes in pytest's cache, for `stepreplay prune` and `relink`."""
    cache = _cache_of(config)
    if cache is not None:
        cache.set(CACHE_KEY, last_run.render_last_run(run))


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
