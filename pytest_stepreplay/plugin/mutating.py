"""The mode mutate: each test that passes runs again, each time with one recorded answer changed.

A pytest plugin of its own, which the main one registers in that mode alone. It takes over the protocol of tests with
a cassette: the test runs as ever and is reported as ever, and what it does with changed answers is reported by nobody
but the summary. Fixtures of the test are set up anew for each run; wider ones stay.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest
from _pytest.runner import runtestprotocol

from ..errors import display_path
from ..housekeeping import publishing
from ..machine import clock
from ..mutation import mutants
from ..settings import readers
from ..value_classes import dataclass
from .opening import ALTERED
from .run import DECIDED, INTERRUPTIONS, RUN, SESSION

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from ..models import Interaction, Response
    from ..mutation.mutants import Mutant
    from ..session.sessions import Session
    from ..settings import Settings

    When = Literal["setup", "call", "teardown"]

PLUGIN: Final = "stepreplay-mutating"
_HELD: Final[pytest.StashKey[list[pytest.TestReport]]] = pytest.StashKey()
"""The report on a test's teardown, which is given out once the mutants are done."""

_BRITTLE: Final = (
    "fails when only what differs on every call does: ids, times, and where a stream is cut into chunks"
)
_FLAKY: Final = "failed when it ran again with nothing changed, so it was not mutated"
_FLAKY_LATER: Final = "failed at last with nothing changed, so what it noticed before says nothing"
_STEPS: Final = 10


def register_runs(config: pytest.Config) -> None:
    """Registers what the mode needs.

    Raises:
        SettingsError: the baseline of known survivors cannot be read.
    """
    around = MutatedRuns(config)
    config.pluginmanager.register(around, PLUGIN)
    config.pluginmanager.register(TestRuns(around), f"{PLUGIN}-runs")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config), f"{PLUGIN}-progress")


@dataclass(frozen=True)
class Seen:
    """What one run of a test was answered with.

    Attributes:
        played: what answered it, in the order of its requests.
        missed: it asked what was not recorded.
        left_out: why it is not to be mutated; empty where it is.
        path: its cassette, as a person would type it.
    """

    played: tuple[tuple[int, Interaction], ...]
    missed: bool
    left_out: str
    path: str


class MutatedRuns:
    """Runs the mutants of a test behind the test itself."""

    def __init__(self, config: pytest.Config) -> None:
        self._config, self._run = config, config.stash[RUN]
        settings = self._run.settings.of_run
        self._known = publishing.read_known_survivors(settings, config.rootpath)
        self._most, self._lowest = readers.read_mutants(settings.mutants or "metadata")
        self._seen: Seen | None = None
        self._passed = False
        self.mutates = False
        """A mutant is running, of which nobody but this is told."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Tries the mutants once the test has passed, then tears down what the next test does not need."""
        if self.mutates:
            return (yield)
        self._seen = None
        result = yield
        held = item.stash.get(_HELD, None)
        if held is None:
            return result
        try:
            if held[-1].passed and self._passed and self._seen is not None:
                held[-1].stepreplay_mutants = self._mutate(item, self._seen)
        finally:
            _finish(item, nextitem, held[-1])
            del item.stash[_HELD]
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Notes what the test was answered with, before its session is forgotten."""
        session = item.stash.get(SESSION, None)
        try:
            return (yield)
        finally:
            self._seen = None if session is None else _seen(session)

    def note(self, reports: list[pytest.TestReport]) -> None:
        """Takes how the test itself went."""
        self._passed = all(each.passed and not hasattr(each, "wasxfail") for each in reports)

    def _mutate(self, item: pytest.Item, seen: Seen) -> dict[str, Any]:
        """Returns how a test does with changed answers."""
        result: dict[str, Any] = {
            "test": self._run.places.id_of(item),
            "path": seen.path,
            "answers": len(dict(seen.played)),
            "status": "mutated",
            "reason": "",
            "mutants": [],
        }
        chosen = mutants.mutants_of(seen.played, most=self._most, lowest=self._lowest)
        if seen.left_out:
            return result | {"status": "unmutated", "reason": seen.left_out}
        if not chosen:
            return result | {"status": "unmutated", "reason": _why_none(seen, self._lowest)}
        with self._quietly(item):
            if not self._stays_green(item, {}):
                return result | {"status": "flaky", "reason": _FLAKY}
            if not self._stays_green(item, mutants.controls_of(seen.played)) and not self._misses():
                return result | {"status": "brittle", "reason": _BRITTLE}
            for each in chosen:
                result["mutants"].append(_told(each) | {"result": self._try(item, each)})
            if any(each["result"] == "killed" for each in result["mutants"]) and not self._stays_green(
                item, {}
            ):
                return result | {"status": "flaky", "reason": _FLAKY_LATER, "mutants": []}
        return result

    def _try(self, item: pytest.Item, mutant: Mutant) -> str:
        """Returns what became of a mutant."""
        green = self._stays_green(item, {mutant.position: mutant.make()})
        if self._seen is None or mutant.position not in dict(self._seen.played):
            return "unreached"
        if green:
            return "survived"
        return "conversation" if self._misses() else "killed"

    def _misses(self) -> bool:
        return self._seen is not None and self._seen.missed

    def _stays_green(self, item: pytest.Item, altered: Mapping[int, Response]) -> bool:
        """Whether a test does not fail with these answers in the place of the recorded ones."""
        item.stash[ALTERED], self._seen = altered, None
        try:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=item.parent)
        finally:
            del item.stash[ALTERED]
        return self._passed

    @contextmanager
    def _quietly(self, item: pytest.Item) -> Iterator[None]:
        """Keeps what a mutant leaves out of the report on the test. No traceback is written: nobody reads it."""
        kept = {name: [*getattr(item, name)] for name in ("_report_sections", "user_properties")}
        option = item.config.option
        style = getattr(option, "tbstyle", "auto")
        self.mutates, option.tbstyle = True, "line"
        try:
            yield
        finally:
            self.mutates, option.tbstyle = False, style
            for name, value in kept.items():
                getattr(item, name)[:] = value

    def run_quietly(self, item: pytest.Item) -> None:
        """Runs a test without reporting it to anybody; `_passed` says whether it stayed green."""
        _make_anew(item)
        self._passed, here = True, item.ihook
        phases: dict[When, Any] = {
            "setup": partial(here.pytest_runtest_setup, item=item),
            "call": partial(here.pytest_runtest_call, item=item),
            "teardown": partial(here.pytest_runtest_teardown, item=item, nextitem=item.parent),
        }
        went_on = True
        with warnings.catch_warnings(record=True):
            for when, phase in phases.items():
                if when == "call" and not went_on:
                    continue
                call = pytest.CallInfo.from_call(phase, when=when, reraise=INTERRUPTIONS)
                report = here.pytest_runtest_makereport(item=item, call=call)
                went_on = report.passed
                self._passed = self._passed and not report.failed
        _let_go(item)

    def publish(self, results: list[dict[str, Any]]) -> tuple[list[str], bool]:
        """Writes the report on all tests; returns the lines for the terminal, and whether the run fails."""
        return publishing.publish_mutants(
            results,
            settings=self._run.settings.with_secrets(self._run.settings.of_run),
            root=self._config.rootpath,
            known=self._known,
            details=self._config.get_verbosity() > 0,
        )


class TestRuns:
    """Runs a test with a cassette: as ever, or as a mutant, of which nobody is told."""

    __test__ = False

    def __init__(self, around: MutatedRuns) -> None:
        self._around = around

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Runs the test, but leaves what is wider than it set up."""
        if self._around.mutates:
            self._around.run_quietly(item)
            return True
        if DECIDED not in item.stash or item.config.getoption("setuponly", False):
            return None
        hooks = item.ihook
        hooks.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = runtestprotocol(item, log=False, nextitem=item.parent)  # type: ignore[arg-type]  # any node will do
        for report in reports[:-1]:
            hooks.pytest_runtest_logreport(report=report)
        self._around.note(reports)
        item.stash[_HELD] = reports
        return True


class Progress:
    """Says now and then how far the run is, and how long the rest will take."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._session: pytest.Session | None = None
        self._start = 0.0
        self._tests = self._mutants = self._told = 0

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Takes the session, which knows how many tests there are."""
        self._session, self._start = session, clock.seconds()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tells how far the run is, at each tenth of its tests."""
        if report.when != "teardown" or self._session is None:
            return
        total = self._session.testscollected
        self._tests += 1
        self._mutants += len(getattr(report, "stepreplay_mutants", {"mutants": ()})["mutants"])
        step = self._tests * _STEPS // total if total else 0
        if total < _STEPS or step == self._told or self._tests >= total:
            return
        self._told = step
        left = (clock.seconds() - self._start) / self._tests * (total - self._tests)
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and self._config.get_verbosity() >= 0:
            reporter.ensure_newline()
            bar = f"[{'#' * step}{'.' * (_STEPS - step)}]"
            told = (
                f"{self._tests:,} of {total:,} tests, {self._mutants:,} mutants, about {_duration(left)} left"
            )
            reporter.write_line(f"stepreplay: {bar} {told}")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _seen(session: Session) -> Seen:
    return Seen(
        session.answered_by,
        bool(session.failures),
        _why_left_out(session.settings),
        display_path(session.path),
    )


def _why_left_out(settings: Settings) -> str:
    if not settings.mutate:
        return "says mutate=False"
    return "has faults of its own" if settings.fault else ""


def _why_none(seen: Seen, lowest: object) -> str:
    if not seen.played:
        return "was not answered from a cassette of its own"
    return f"has no answer that can be changed at the level {lowest} or above"


def _told(mutant: Mutant) -> dict[str, Any]:
    return {
        "operator": mutant.operator,
        "level": str(mutant.level),
        "answer": mutant.answer,
        "place": mutant.place,
        "told": mutant.told,
    }


def _make_anew(item: pytest.Item) -> None:
    """Makes a test ready to run again, as pytest makes it for its first run."""
    if hasattr(item, "_request") and not item._request:
        item._initrequest()  # type: ignore[attr-defined]  # a function has it
    instance = item.__dict__.get("_instance")
    if instance is not None and getattr(item.__dict__.get("_obj"), "__self__", None) is instance:
        del item.__dict__["_instance"], item.__dict__["_obj"]  # each run has an instance of its own


def _let_go(item: pytest.Item) -> None:
    """Leaves a test as pytest leaves it once it has run."""
    if hasattr(item, "_request"):
        item._request = False
        item.funcargs = None  # type: ignore[attr-defined]  # a function has them


def _finish(item: pytest.Item, nextitem: pytest.Item | None, held: pytest.TestReport) -> None:
    """Tears down what the next test does not need, and gives out the report on the teardown."""
    if item.session.shouldfail or item.session.shouldstop:
        nextitem = None
    tear_down = partial(item.session._setupstate.teardown_exact, nextitem)
    call = pytest.CallInfo.from_call(tear_down, when="teardown", reraise=INTERRUPTIONS)
    _make_anew(item)  # whoever looks at a report may look at the test
    report = item.ihook.pytest_runtest_makereport(item=item, call=call)
    _let_go(item)
    for name in ("stepreplay", "stepreplay_causes", "stepreplay_notes"):
        both = [*getattr(held, name, ()), *getattr(report, name, ())]
        if both:
            setattr(held, name, both)
    if report.failed and not held.failed:
        held.outcome, held.longrepr = report.outcome, report.longrepr
        held.sections = report.sections
    item.ihook.pytest_runtest_logreport(report=held)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
