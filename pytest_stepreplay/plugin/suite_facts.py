"""What a report says of the whole suite: which tests there are, how they ended, and what nothing here has used.

It is a plugin of pytest, which is registered where a report is asked for. The facts of all processes go in, and a
`SuiteRun` comes out, which adds up with those of other machines.
"""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..machine import disk
from ..report import suite_runs
from ..report.suite_runs import NOT_RUN
from ..report.totals import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pytest

    from ..report.suite_runs import SuiteRun
    from ..settings import Settings

SPLITTERS: Final = (
    ("group", "splits", 0),  # pytest-split
    ("shard_id", "num_shards", 1),  # pytest-shard
    ("test-group", "test-group-count", 0),  # pytest-test-groups
)
"""Options of plugins that divide a suite: which part this is, how many there are, what to add to count from 1."""


class SuiteFacts:
    """Notes the tests of a run, in each process, and how they end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.tests: dict[str, str] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Notes which tests are to be run."""
        self.know(item.nodeid for item in session.items)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Notes which are not: those of other parts, say."""
        self.know(item.nodeid for item in items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes how a test ends: as the worst of its phases, and of its last try."""
        before = self.tests.get(report.nodeid, NOT_RUN)
        if report.when == "setup" or before != "failed":
            self.tests[report.nodeid] = (
                before if report.when == "teardown" and report.passed else report.outcome
            )

    def know(self, tests: Iterable[str]) -> None:
        """Notes that there are tests."""
        for test in tests:
            self.tests.setdefault(test, NOT_RUN)

    @property
    def shard(self) -> str:
        """Which part of the suite this is, where a plugin that divides it says so; else nothing."""
        for part, parts, add in SPLITTERS:
            number, total = (self._config.getoption(name, None) for name in (part, parts))
            if isinstance(number, int) and isinstance(total, int) and 1 <= number + add <= total:
                return f"{number + add}/{total}"
        return ""

    def sum_up(
        self,
        outcomes: Iterable[Mapping[str, Any]],
        *,
        causes: Sequence[Mapping[str, Any]],
        owned: Iterable[str],
        strays: Mapping[str, str],
        modules: Iterable[str],
        narrowed: str,
        broken: str,
        unseen: bool,
        settings: Settings,
    ) -> SuiteRun:
        """Returns what the run has done.

        Args:
            outcomes: `session.outcome.Outcome` as mappings, of all processes.
            causes: of failures, as in `report.causes`.
            owned: the cassettes of all tests that were collected.
            strays: the others on the disk, as in `SuiteRun`.
            modules: those that were collected.
            narrowed: as in `SuiteRun`.
            broken: as in `SuiteRun`.
            unseen: as in `SuiteRun`.
            settings: of the run.
        """
        collected = {self._named(each) for each in modules}
        told = [
            each
            | {
                "path": self._named(each["path"]),
                "borrowed": [(self._named(path), *more) for path, *more in each["borrowed"]],
            }
            for each in suite_runs.plain_outcomes(outcomes)
        ]
        return suite_runs.ordered(
            suite_runs.SuiteRun(
                tests=self.tests,
                outcomes=told,
                causes=causes,
                owned=[self._named(each) for each in owned],
                strays={
                    self._named(path): module if module in {"", EVERYTHING} else self._named(module)
                    for path, module in strays.items()
                },
                modules=[*collected],
                uncollected=sorted({*map(self._named, self._test_modules())} - collected),
                narrowed=narrowed,
                broken=broken,
                unseen=unseen,
                unused=settings.unused,
                prices=settings.prices,
            )
        )

    def _named(self, path: str) -> str:
        """Returns a path as it is on every machine: from the rootdir, if it is inside."""
        if not path:
            return ""
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links stay
        root = self._config.rootpath
        return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)

    def _test_modules(self) -> Iterator[str]:
        """Yields the files of the suite that are named as test modules, whoever collects them."""
        root = self._config.rootpath
        patterns: list[str] = self._config.getini("python_files")
        passed_over: list[str] = self._config.getini("norecursedirs")
        folders = [str(root / each) for each in self._config.getini("testpaths")] or [str(root)]
        while folders:
            try:
                entries = disk.entries_in(folders.pop())
            except OSError:
                continue
            if any(each.name in {"pyvenv.cfg", "conda-meta"} for each in entries):
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not any(fnmatch(entry.name, pattern) for pattern in passed_over):
                        folders.append(entry.path)
                elif entry.name.endswith(".py") and any(fnmatch(entry.name, pattern) for pattern in patterns):
                    yield entry.path
