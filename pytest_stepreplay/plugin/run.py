"""One pytest run: what is set for its tests, which of them is running, and what no report has carried yet."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from ..commands import Start, carried_options
from ..errors import SettingsError, StepReplayError
from ..machine import disk
from ..redaction import variables
from ..session import host, routing
from ..settings import API_KEYS, MARKER_SETTINGS, PLACEHOLDER_KEY, Settings, read_marker, read_values
from ..value_classes import dataclass, values_of

if TYPE_CHECKING:
    from pathlib import Path

    from ..drift.baseline import Baseline
    from ..session.outcome import Outcome
    from ..session.sessions import Session
    from ..snapshots.comparing import ChatSnapshot
    from .cassette_places import CassetteOwners, CassettePlaces, Home

MARKER = "stepreplay"
INTERRUPTIONS = (KeyboardInterrupt, SystemExit, pytest.exit.Exception)
"""What ends the run and not just the test."""
_SETTING = r"""(?m)^\s*["']?([\w.-]+)["']?\s*[=:]\s*["']?(.*?)["']?\s*$"""


class RunSettings:
    """What is set for a run and its tests.

    Attributes:
        of_run: what holds where a test, its project or a fixture says nothing else.
    """

    def __init__(
        self, config: pytest.Config, places: CassettePlaces, command_line: Mapping[str, object]
    ) -> None:
        self._option, self._places, self._command_line = config.option, places, command_line
        # Read at the start, since the first cassette may be opened in an event loop.
        self._ini_text = _read_ini_text(config)
        self.of_run = places.home.settings

    def is_typed(self, name: str) -> bool:
        """Whether the command line sets it."""
        return name in self._command_line

    def of_test(self, item: pytest.Item, given: Mapping[str, object]) -> Settings:
        """Returns the settings of a test.

        Args:
            item: the test.
            given: what the `stepreplay_config` fixture says.

        Raises:
            SettingsError: that, or a marker, is wrong.
            StepReplayError: the ini file of its project is broken.
        """
        merged = self.merged(self._places.home_of(item.path), check_config(given), markers_of(item))
        return replace(merged, secrets=self._secrets) if self._secrets else merged

    def merged(
        self, home: Home, given: Mapping[str, object], markers: Iterable[pytest.Mark] = ()
    ) -> Settings:
        """Returns what is set in all places together. The marker wins for what it names, except the mode.

        Args:
            home: the project of the test.
            given: what the `stepreplay_config` fixture says.
            markers: of the test, the closest one first.
        """
        markers = [each for each in markers if each.args or each.kwargs]
        if not given and not markers:  # as for most tests
            return home.settings
        from_markers: dict[str, object] = {}
        for marker in markers:
            from_markers = read_marker(marker.args, marker.kwargs) | from_markers
        mode = {name: value for name, value in self._command_line.items() if name == "mode"}
        return Settings.merge(home.ini, given, self._command_line, from_markers, mode)

    def with_secrets(self, settings: Settings) -> Settings:
        """Returns settings with what is secret for other tools: it is secret here."""
        return replace(settings, secrets=self._secrets) if self._secrets else settings

    @cached_property
    def _secrets(self) -> tuple[str, ...]:
        """The values of pytest's options and ini keys whose names say that they are secret."""
        options = {name: value for name, value in vars(self._option).items() if isinstance(value, str)}
        lines = {found[1]: found[2] for found in re.finditer(_SETTING, self._ini_text)}
        return tuple(variables.secret_values(options) | variables.secret_values(lines))


class RunningTest:
    """The test that is running, with the cassettes that are open for it.

    Attributes:
        item: the test; None between tests.
        session: its cassette, from before its fixtures are set up until they are torn down; None where it has none.
        torn_down: the cassettes of wider fixtures that ended in this phase of the test, to be closed when it is known
            how the phase has ended.
    """

    def __init__(self) -> None:
        self.item: pytest.Item | None = None
        self.session: Session | None = None
        self.torn_down: list[Session] = []
        self._serving: ExitStack | None = None

    def serve(self, session: Session) -> None:
        """Has the test's requests answered by its cassette, until `serve_fixtures` or `stop` says how long."""
        serving = ExitStack()
        serving.enter_context(routing.running(session))
        self.session, self._serving = session, serving

    def serve_fixtures(self, item: pytest.Item) -> None:
        """Lets the test's cassette serve the test's own fixtures until all of them are torn down, and not longer.

        Called before the first of them is set up: what was added last is torn down first.
        """
        if self._serving is not None:
            item.addfinalizer(self._serving.close)
            self._serving = None

    def stop(self) -> None:
        """Ends what `serve_fixtures` would have ended, where the test had no fixture."""
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.close()


class Unreported:
    """What has happened since the last report. The next one carries it to the process that sums up."""

    def __init__(self) -> None:
        self._outcomes: deque[Outcome] = deque()
        self._causes: list[dict[str, Any]] = []
        self._notes: list[str] = []
        self.add = self._outcomes.append
        """Takes what became of a cassette; called in any thread."""
        self.note = self._notes.append
        """Takes what the end of the run says of a suite's settings, once."""

    def add_cause(self, cause: str, test: str, *, records: bool) -> None:
        """Takes why a test fails, which other tests may have in common with it.

        Args:
            cause: as in `report.causes`.
            test: what a person types to run it.
            records: to record anew would help.
        """
        self._causes.append({"cause": cause, "records": records, "test": test})

    def attach(self, report: pytest.TestReport) -> None:
        """Has a report carry all of it."""
        told: dict[str, list[Any]] = {}
        if self._outcomes:
            told["stepreplay"] = self.take_outcomes()
        if self._causes:
            told["stepreplay_causes"], self._causes = self._causes, []
        if self._notes:
            told["stepreplay_notes"] = [*self._notes]
            self._notes.clear()
        vars(report).update(told)

    def take_outcomes(self) -> list[dict[str, Any]]:
        """Takes away the outcomes that no report carries yet, as plain values."""
        taken = []
        while self._outcomes:
            taken.append(values_of(self._outcomes.popleft()))
        return taken


class Reported:
    """What the processes of a run have reported.

    Attributes:
        outcomes: what became of each cassette.
        workers: what each worker of xdist knows of the run as a whole.
        causes: why tests have failed.
        notes: on a suite's settings, in the order in which they came.
        mutated: what became of mutants.
        problems: what went wrong while the last cassettes were closed.
        skipped: the modules that skip themselves.
        unseen: the tests of some module are not known.
        deselected: some tests are not to be run.
    """

    def __init__(self) -> None:
        self.outcomes: list[dict[str, Any]] = []
        self.workers: list[dict[str, Any]] = []
        self.causes: list[dict[str, Any]] = []
        self.notes: dict[str, None] = {}
        self.mutated: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.skipped: list[str] = []
        self.unseen = self.deselected = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Run:
    """One pytest run, of which each part keeps what it is about."""

    settings: RunSettings
    places: CassettePlaces
    owners: CassetteOwners
    test: RunningTest
    unreported: Unreported
    baseline: Baseline | None


RUN: pytest.StashKey[Run] = pytest.StashKey()
SESSION: pytest.StashKey[Session] = pytest.StashKey()
SNAPSHOTS: pytest.StashKey[ChatSnapshot] = pytest.StashKey()
"""Those of the test, once it has some."""
FAILED: pytest.StashKey[str] = pytest.StashKey()
"""Why the test did not pass; empty while it may."""
FIRST_TRY: pytest.StashKey[Path] = pytest.StashKey()
"""The cassette that a failed try of this test was the first to write."""
DECIDED: pytest.StashKey[bool] = pytest.StashKey()
"""It is known which cassette the test has; or it had no marker when that was decided."""
NEEDS_NO_FIXTURE: pytest.StashKey[bool] = pytest.StashKey()
"""Its cassette can be opened before any fixture, since none has a say in its settings."""
WRONG: pytest.StashKey[StepReplayError] = pytest.StashKey()
"""What is wrong with its marker, or with the settings of its project."""
ADOPTED: pytest.StashKey[bool] = pytest.StashKey()
"""The test is marked for another plugin, and run on ours."""
ADOPTER = "stepreplay-vcr-marker"
"""The plugin that adopts the markers of others, by its name; it is registered where a project asks for it."""
SUITE_FACTS = "stepreplay-suite-facts"
"""The plugin that notes the tests for a report, by its name; it is registered where a report is asked for."""
ENVIRONMENT: pytest.StashKey[dict[str, str | None]] = pytest.StashKey()


def read_ini(config: pytest.Config, key: str) -> object:
    """Returns an ini value; None where it is not set."""
    try:
        return config.getini(key)
    except (TypeError, ValueError, pytest.UsageError) as error:
        raise SettingsError(f"ini file, {key}: {error}") from None


def hold_placeholders(config: pytest.Config) -> None:
    """Fills missing API keys, so that clients can be built, at import of a test module already."""
    if ENVIRONMENT in config.stash:
        return
    before = config.stash.setdefault(ENVIRONMENT, {})
    names = config.getini("stepreplay_api_keys")
    for name in API_KEYS if names is None else names:
        if not os.environ.get(name):
            before[name] = os.environ.get(name)
            os.environ[name] = PLACEHOLDER_KEY


def _read_ini_text(config: pytest.Config) -> str:
    """Returns the text of pytest's settings file."""
    try:
        return disk.read(config.inipath).decode().removeprefix("\ufeff") if config.inipath else ""
    except (OSError, ValueError):
        return ""


def start_of(config: pytest.Config, cassettes: Path) -> Start:
    """Returns how the run was started; a worker of xdist is told by the process that started it.

    Args:
        config: of the run.
        cassettes: the folder of its cassettes.
    """
    options = carried_options(map(str, config.invocation_params.args))
    arguments = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
    told = getattr(config, "workerinput", {}).get("stepreplay_start")
    if told is not None:
        options, arguments = told
    folder = config.invocation_params.dir
    return Start(folder, config.rootpath, cassettes, tuple(options), tuple(arguments))


def be_host(config: pytest.Config) -> None:
    """Lets `use_cassette` inside tests follow the run's settings and count in its summary."""
    run = config.stash[RUN]

    def settings() -> Settings:
        item = run.test.item
        if item is None:
            return run.settings.with_secrets(run.settings.of_run)
        request = getattr(item, "_request", None)
        return run.settings.of_test(item, config_for(request) if request else {})

    def test() -> str:
        return run.places.id_of(run.test.item) if run.test.item else ""

    own = host.Host(settings, run.unreported.add, test)
    stack = ExitStack()
    stack.callback(host.set_host, host.set_host(own))
    config.add_cleanup(stack.close)


def markers_of(item: pytest.Item) -> list[pytest.Mark]:
    """Returns the markers of a test, the closest one first: a parameter's, the function's, the class's, ..."""
    markers = list(item.iter_markers(MARKER))
    if len(markers) < 2:
        return markers
    of_parameter = getattr(getattr(item, "callspec", None), "marks", ())
    return sorted(markers, key=lambda marker: not any(marker is each for each in of_parameter))


def marker_of(item: pytest.Item) -> str | None:
    """Returns the marker that gives the test a cassette, ours or one that is adopted; None where it has none."""
    names = ("stepreplay", "vcr") if item.config.pluginmanager.has_plugin(ADOPTER) else ("stepreplay",)
    # To be among the keywords costs a fraction of a search for the marker, and most tests of a suite have none.
    found = (name for name in names if name in item.keywords)
    return next((name for name in found if item.get_closest_marker(name)), None)


def check_config(given: Mapping[str, object]) -> dict[str, object]:
    """Returns the checked values of the `stepreplay_config` fixture."""
    source = "the stepreplay_config fixture"
    if not isinstance(given, Mapping):
        raise SettingsError(f"{source} must return a dict, not {type(given).__name__}")
    return read_values(source, given, MARKER_SETTINGS)


def config_for(request: pytest.FixtureRequest) -> Mapping[str, object]:
    """Returns what the `stepreplay_config` fixture says, as far as it speaks for whoever asks."""
    try:
        given: Mapping[str, object] = request.getfixturevalue("stepreplay_config")
    except (pytest.fail.Exception, pytest.FixtureLookupError):
        # One with a narrower scope cannot speak for a wider fixture, and one that failed cannot for a teardown.
        return {}
    return given
