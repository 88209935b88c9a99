"""One pytest run: its settings, what it has found out so far, and whose cassette is where."""

from __future__ import annotations

import inspect
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..commands import Start, carried_options
from ..drift import baseline
from ..errors import SettingsError, StepReplayError
from ..machine import disk
from ..redaction import variables
from ..session import host, sessions
from ..settings import MARKER_SETTINGS, PLACEHOLDER_KEY, Settings, read_marker, read_values
from ..value_classes import dataclass, field
from ..vcr import stubbed_clients

if TYPE_CHECKING:
    from ..drift.baseline import Baseline
    from ..models import Response
    from ..server.running import ReplayServer
    from ..session.outcome import Outcome
    from ..session.sessions import Session
    from ..settings import Mode
    from .cassette_places import CassettePlaces, Home

MARKER = "stepreplay"
INTERRUPTIONS = (KeyboardInterrupt, SystemExit, pytest.exit.Exception)
"""What ends the run and not just the test."""
_SETTING = r"""(?m)^\s*["']?([\w.-]+)["']?\s*[=:]\s*["']?(.*?)["']?\s*$"""


@dataclass(eq=False, repr=False)
class Run:
    """One pytest run: what it was set to, and what has happened in it so far."""

    places: CassettePlaces
    command_line: dict[str, object]
    ini_text: str = ""
    baseline: Baseline | None = None
    item: pytest.Item | None = None
    secrets: tuple[str, ...] | None = None
    open: Session | None = None
    server: ReplayServer | None = None
    serving: ExitStack | None = None
    altered: Mapping[int, Response] = field(default_factory=dict)
    publish_mutants: Callable[[list[dict[str, Any]]], tuple[list[str], bool]] | None = None
    pending: deque[Outcome] = field(default_factory=deque)
    owned: dict[Path, str] = field(default_factory=dict)
    shared: set[Path] = field(default_factory=set)
    causes: list[dict[str, Any]] = field(default_factory=list)
    claims: dict[str, Any] = field(default_factory=dict)
    folders: set[Path] = field(default_factory=set)
    notes: dict[str, None] = field(default_factory=dict)
    wide_fixtures: set[object] = field(default_factory=set)
    teardowns: dict[object, tuple[Session, ExitStack]] = field(default_factory=dict)
    torn_down: list[Session] = field(default_factory=list)
    collected: set[Path] = field(default_factory=set)
    unseen: bool = False
    flushes_together: bool = False
    usage_error: str = ""
    complete: bool = True

    def settings(
        self, given: Mapping[str, object], markers: Iterable[pytest.Mark] = (), home: Home | None = None
    ) -> Settings:
        """Returns the settings of a test. The marker wins for what it names, except the mode.

        Args:
            given: what the `stepreplay_config` fixture says.
            markers: of the test, the closest one first.
            home: the project of the test; by default that of the run.
        """
        home = home or self.places.home
        markers = [each for each in markers if each.args or each.kwargs]
        if not given and not markers:  # as for most tests
            return home.settings
        from_markers: dict[str, object] = {}
        for marker in markers:  # the closest one comes first
            from_markers = read_marker(marker.args, marker.kwargs) | from_markers
        mode = {name: value for name, value in self.command_line.items() if name == "mode"}
        return Settings.merge(home.ini, given, self.command_line, from_markers, mode)

    def settings_now(self) -> Settings:
        """Returns the settings of the test that is running, which need not have a cassette of its own."""
        given: dict[str, object] = {}
        request = getattr(self.item, "_request", None)
        if request is not None:
            given = _config_for(request)
        if self.item is None:
            return self.settings(given)
        return self.settings(given, markers_of(self.item), self.places.home_of(self.item.path))

    def test_now(self) -> str:
        """Returns the id of the test that is running; empty between tests."""
        return self.places.id_of(self.item) if self.item else ""

    def outcomes(self) -> list[dict[str, Any]]:
        """Takes the outcomes that no report carries yet, as plain values; threads may be adding to them."""
        taken = []
        while self.pending:
            happened = self.pending.popleft()
            outcome = {each.name: getattr(happened, each.name) for each in fields(happened)}
            outcome["verified"] = [each | {"known": self.knows(each)} for each in outcome["verified"]]
            taken.append(outcome)
        return taken

    def knows(self, result: Mapping[str, Any]) -> bool:
        """Whether the baseline holds this drift."""
        return self.baseline is not None and baseline.is_known(result, self.baseline)

    # What the tests need that are marked for another plugin.

    @property
    def mode_is_given(self) -> bool:
        """Whether the command line says the mode in our words."""
        return "mode" in self.command_line

    @property
    def mode(self) -> Mode:
        """The mode that holds where nothing else is said."""
        return self.settings({}).mode

    def settings_of(self, item: pytest.Item, given: Mapping[str, object]) -> Settings:
        """Returns what is set for a test, without its markers."""
        return with_secrets(self.settings(given, home=self.places.home_of(item.path)), item.config)

    def id_of(self, item: pytest.Item) -> str:
        """Returns the id of a test."""
        return self.places.id_of(item)

    def typed(self, item: pytest.Item) -> str:
        """Returns the id of a test, as a person types it."""
        return self.places.typed(item)

    def adopt(self, item: pytest.Item) -> None:
        """Notes that a test is served by the fixture `stepreplay`, for another plugin's marker."""
        item.stash[ADOPTED] = True

    def is_adopted(self, item: pytest.Item) -> bool:
        """Whether that was noted."""
        return ADOPTED in item.stash

    def refuse(self, item: pytest.Item, error: StepReplayError) -> None:
        """Fails a test, when it is its turn, by what is wrong with its marker."""
        item.stash[WRONG] = error

    def session_of(self, item: pytest.Item) -> Session | None:
        """Returns the open session of a test."""
        return item.stash.get(SESSION, None)

    def own(self, path: Path, test: str, *, beside: bool = False) -> None:
        """Notes whose a cassette is; and, if it lies beside the tests, that its folder holds cassettes."""
        self.owned[path] = test
        if beside:
            self.folders.add(path.parent)

    def note(self, note: str) -> None:
        """Notes what the end of the run says of a suite's settings, once."""
        self.notes[note] = None

    @cached_property
    def folder(self) -> Path:
        """The folder of the cassettes of the project that pytest was started for."""
        return self.places.home.cassettes(self.places.home.settings)


RUN = pytest.StashKey[Run]()
SESSION = pytest.StashKey["Session"]()
FAILED = pytest.StashKey[str]()
"""Why the test did not pass; empty while it may."""
FIRST_TRY = pytest.StashKey[Path]()
"""The cassette that a failed try of this test was the first to write."""
WRONG = pytest.StashKey[StepReplayError]()
"""What is wrong with its marker, or with the settings of its project."""
ADOPTED = pytest.StashKey[bool]()
"""The test is marked for another plugin, and run on ours."""
ADOPTER = "stepreplay-vcr-marker"
"""The plugin that adopts the markers of others, by its name; it is registered where a project asks for it."""
SUITE_FACTS = "stepreplay-suite-facts"
"""The plugin that notes the tests for a report, by its name; it is registered where a report is asked for."""
ENVIRONMENT = pytest.StashKey[dict[str, str | None]]()


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
    for name in Settings().api_keys if names is None else names:
        if not os.environ.get(name):
            before[name] = os.environ.get(name)
            os.environ[name] = PLACEHOLDER_KEY


def with_secrets(settings: Settings, config: pytest.Config) -> Settings:
    """Returns the settings with the values of pytest's options and ini keys whose names say that they are secret."""
    run = config.stash[RUN]
    if run.secrets is None:
        options = {name: value for name, value in vars(config.option).items() if isinstance(value, str)}
        lines = {found[1]: found[2] for found in re.finditer(_SETTING, run.ini_text)}
        run.secrets = tuple(variables.secret_values(options) | variables.secret_values(lines))
    return replace(settings, secrets=run.secrets) if run.secrets else settings


def read_ini_text(config: pytest.Config) -> str:
    """Returns the text of pytest's settings file; what is secret for another tool is secret here.

    It is read at the start, since the first cassette may be opened in an event loop.
    """
    try:
        return disk.read(config.inipath).decode().removeprefix("\ufeff") if config.inipath else ""
    except (OSError, ValueError):
        return ""


def start_of(config: pytest.Config, run: Run) -> Start:
    """Returns how the run was started; a worker of xdist is told by the process that started it."""
    options = carried_options(map(str, config.invocation_params.args))
    arguments = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
    told = getattr(config, "workerinput", {}).get("stepreplay_start")
    if told is not None:
        options, arguments = told
    folder = config.invocation_params.dir
    return Start(folder, config.rootpath, run.folder, tuple(options), tuple(arguments))


def be_host(config: pytest.Config) -> None:
    """Lets `use_cassette` inside tests follow the run's settings and count in its summary."""
    run = config.stash[RUN]
    own = host.Host(lambda: with_secrets(run.settings_now(), config), run.pending.append, run.test_now)
    stack = ExitStack()
    stack.callback(host.set_host, host.set_host(own))
    config.add_cleanup(stack.close)


def markers_of(item: pytest.Item) -> list[pytest.Mark]:
    """Returns the markers of a test, the closest one first: a parameter's, the function's, the class's, ..."""
    markers = list(item.iter_markers(MARKER))
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


def wide_fixtures_of(item: pytest.Item) -> Iterator[object]:
    """Yields the definitions of the fixtures that a test uses and that outlive it."""
    info = getattr(item, "_fixtureinfo", None)
    for definitions in info.name2fixturedefs.values() if info else ():
        yield from (each for each in definitions if each.scope != "function")


def _config_for(request: pytest.FixtureRequest) -> dict[str, object]:
    try:
        return check_config(request.getfixturevalue("stepreplay_config"))
    except (pytest.fail.Exception, pytest.FixtureLookupError):
        # One with a narrower scope cannot speak for a wider fixture, and one that failed cannot for a teardown.
        return {}


def fixture_session(
    request: pytest.FixtureRequest, fixturedef: pytest.FixtureDef[Any], setup: sessions.Session | None = None
) -> sessions.Session:
    """Returns the session of a fixture that outlives a test, for its setup or its teardown.

    Args:
        request: of the fixture.
        fixturedef: the fixture.
        setup: the session of its setup, for its teardown.
    """
    run = request.config.stash[RUN]
    home = run.places.home_of_fixture(request, fixturedef)
    settings = with_secrets(run.settings(_config_for(request), home=home), request.config)
    path, test = run.places.of_fixture(request, fixturedef, settings)
    run.owned[path] = test
    stubbed_clients.serve_stubbed_clients()
    session = sessions.Session(
        settings,
        path,
        test=test,
        shared=True,
        root=home.cassettes(settings),
        asks_alone=_is_set_up_once(request, fixturedef),
        setup=setup,
    )
    with suppress(StepReplayError):  # it is said to whoever asks; most fixtures ask nothing
        session.load()  # now, since a coroutine may ask
    return session


def _is_set_up_once(request: pytest.FixtureRequest, fixturedef: pytest.FixtureDef[Any]) -> bool:
    """Whether a fixture is set up once in each process of a run, so that nobody else asks what its cassette holds."""
    if fixturedef.scope == "module":
        return bool(Path(inspect.getfile(fixturedef.func)) == request.node.path)
    return fixturedef.scope == "session"
