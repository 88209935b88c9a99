"""The pytest side: hooks and fixtures, nothing else.

A marked test asks for the `stepreplay` fixture before all others; that opens the test's cassette. What
happened is attached to the test's report, so that the summary is right under xdist too.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from .errors import SettingsError, StepReplayError, TestOutcomeError
from .settings import FIELDS, MARKER_SETTINGS, PLACEHOLDER_KEY, Settings, read_marker, read_values

if TYPE_CHECKING:
    from .errors import UnrecordedRequestError
    from .session import Outcome, Session

MARKER = "stepreplay"
PACKAGE = Path(__file__).parent
PYTEST = Path(pytest.__file__).parent
NOTHING_INTERCEPTED = (
    "stepreplay intercepted no request of this test, so its cassette tests nothing.\n"
    "It intercepts httpx, httpx2, aiohttp, requests and urllib3. Remove the marker if the test needs none."
)


@dataclass(slots=True)
class Run:
    """One pytest run: what it was set to, and what has happened in it so far."""

    rootpath: Path
    ini: dict[str, object]
    command_line: dict[str, object]
    hosting: bool = False
    pending: list[Outcome] = field(default_factory=list)
    owned: set[Path] = field(default_factory=set)
    wide_fixtures: set[object] = field(default_factory=set)
    teardowns: dict[object, ExitStack] = field(default_factory=dict)
    complete: bool = True

    def settings(self, given: Mapping[str, object], markers: Iterable[pytest.Mark] = ()) -> Settings:
        """Returns the settings of a test. The marker wins for what it names, except the mode."""
        from_markers: dict[str, object] = {}
        for marker in markers:  # the closest one comes first
            from_markers = read_marker(marker.args, marker.kwargs) | from_markers
        mode = {name: value for name, value in self.command_line.items() if name == "mode"}
        return Settings.merge(self.ini, given, self.command_line, from_markers, mode)

    def cassettes(self, settings: Settings) -> Path:
        """Returns the folder of the cassettes."""
        return self.rootpath / settings.dir


RUN = pytest.StashKey[Run]()
SESSION = pytest.StashKey["Session"]()
FAILED = pytest.StashKey[bool]()
SHOWN = pytest.StashKey[set[int]]()
ENVIRONMENT = pytest.StashKey[dict[str, str | None]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("stepreplay", "record, replay and verify chat completions")
    for name, setting in FIELDS.items():
        parser.addini(f"stepreplay_{name}", setting.help, type=setting.ini_type, default=None)
        if setting.option:
            group.addoption(
                setting.option,
                dest=f"stepreplay_{name}",
                metavar=name.upper(),
                default=None,
                help=setting.help,
            )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    _hold_placeholders(early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "stepreplay(cassette=None, mode=None, match_on=None, ignore_request=None, allow_repeats=False, ...): "
        "replay this test's chat completions from a cassette, or record them.",
    )
    try:
        names = {name: f"stepreplay_{name}" for name in FIELDS}
        ini = read_values("ini file", {name: _ini(config, key) for name, key in names.items()})
        options = {name: config.getoption(key, None) for name, key in names.items()}
        command_line = read_values("command line", options)
    except SettingsError as error:
        raise pytest.UsageError(f"stepreplay: {error}") from None
    _hold_placeholders(config)
    config.stash[RUN] = Run(config.rootpath, ini, command_line)
    config.pluginmanager.register(Summary(config), "stepreplay-summary")


def pytest_unconfigure(config: pytest.Config) -> None:
    for name, value in config.stash.get(ENVIRONMENT, {}).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def pytest_report_header(config: pytest.Config) -> str:
    settings = config.stash[RUN].settings({})
    network = "blocked" if settings.mode == "replay" else "open"
    return f"stepreplay: {settings.mode}, {settings.dir.rstrip('/')}/, network {network}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Checks the markers, and makes `stepreplay` the first fixture of each test that uses a cassette."""
    run = config.stash[RUN]
    owners: dict[str, str] = {}
    for item in items:
        markers = list(item.iter_markers(MARKER))
        names = getattr(item, "fixturenames", None)
        if names is None or not (markers or "stepreplay" in names):
            continue
        item.fixturenames = ["stepreplay", *(name for name in names if name != "stepreplay")]  # type: ignore[attr-defined]
        try:
            settings = run.settings({}, markers)
            path = _cassette_of(run, settings, item)
        except SettingsError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from None
        owner = owners.setdefault(str(path).casefold(), item.nodeid)
        if owner != item.nodeid and settings.cassette is None:
            raise pytest.UsageError(
                f"{item.nodeid} and {owner} would share {path} on file systems that ignore case. "
                'Rename one, or name its cassette: @pytest.mark.stepreplay(cassette="...")'
            )
        run.owned.add(path)
        run.wide_fixtures.update(_wide_fixtures_of(item))


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        items[0].config.stash[RUN].complete = False


@pytest.fixture(scope="session")
def stepreplay_config() -> dict[str, object]:
    """Override this in a `conftest.py`: project settings in Python, as a dict of the marker's arguments."""
    return {}


@pytest.fixture
def stepreplay(request: pytest.FixtureRequest, stepreplay_config: Mapping[str, object]) -> Iterator[Session]:
    """The test's open cassette: its interactions, mode, what was played and recorded."""
    from .session import Session, running  # noqa: PLC0415 - only a run that uses a cassette pays for it

    item, run = request.node, request.config.stash[RUN]
    try:
        settings = run.settings(_checked(stepreplay_config), item.iter_markers(MARKER))
        path = _cassette_of(run, settings, item)
        shared = settings.cassette is not None
        session = Session(settings, path, test=item.nodeid, shared=shared, root=run.cassettes(settings))
        session.load()
    except StepReplayError as error:
        raise _failure(error) from None
    run.owned.add(path)
    item.stash[SESSION] = session
    item.stash[SHOWN] = set()
    item.stash[FAILED] = False
    _be_host(request.config)
    with running(session):
        yield session


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Gives a fixture that outlives a test a cassette of its own, whichever test happens to come first."""
    run = request.config.stash[RUN]
    if fixturedef not in run.wide_fixtures or fixturedef.argname == "stepreplay_config":
        return (yield)
    from .session import running  # noqa: PLC0415 - only a run that uses a cassette pays for it

    session = _fixture_session(request, fixturedef)
    with running(session):
        result = yield
    run.pending.append(session.close(passed=True))
    if session.misses:
        raise session.misses[0]
    fixturedef.addfinalizer(lambda: _open_for_teardown(request, fixturedef))
    return result


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    teardown = request.config.stash[RUN].teardowns.pop(fixturedef, None)
    if teardown is not None:
        teardown.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Closes the test's cassette once all its fixtures are torn down, since only then it has passed."""
    session = item.stash.get(SESSION, None)
    if session is None:
        return (yield)
    run = item.config.stash[RUN]
    try:
        yield
    except BaseException:
        run.pending.append(session.close(passed=False))
        raise
    try:
        run.pending.append(session.close(passed=not item.stash[FAILED]))
    except StepReplayError as error:
        raise _failure(error) from None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Makes a miss fail the test whatever became of it in the client, and shows it once."""
    session = item.stash.get(SESSION, None)
    sections = _judge(item, call, session) if session else None
    report = yield
    if sections is not None:
        report.outcome = "failed"
        report.sections += sections
        report.__dict__.pop("wasxfail", None)
    if session and (report.failed or hasattr(report, "wasxfail")):
        item.stash[FAILED] = True
    if session and call.when == "teardown":
        del item.stash[SESSION]
    run = item.config.stash[RUN]
    if run.pending:
        report.stepreplay = [asdict(outcome) for outcome in run.pending]  # type: ignore[attr-defined]
        run.pending.clear()
    return report


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
        from .report.totals import add_up, render_totals  # noqa: PLC0415
        from .store.paths import iter_cassettes  # noqa: PLC0415 - only a run that used a cassette pays for it

        settings = self._run.settings({})
        on_disk = map(str, iter_cassettes(self._run.cassettes(settings))) if complete else ()
        totals = add_up(self._outcomes, on_disk=on_disk, owned=owned, complete=complete)
        self._failed = settings.unused == "error" and bool(totals.unplayed or totals.orphans)
        self._lines = render_totals(totals, self._run.rootpath, unused=settings.unused)
        if self._failed and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the section, if something happened."""
        if self._lines:
            terminalreporter.write_sep("=", "stepreplay", red=self._failed, bold=self._failed)
            for line in self._lines:
                terminalreporter.write_line(line)


def _ini(config: pytest.Config, key: str) -> object:
    try:
        return config.getini(key)
    except (TypeError, ValueError, pytest.UsageError) as error:
        raise SettingsError(f"ini file, {key}: {error}") from None


def _hold_placeholders(config: pytest.Config) -> None:
    """Fills missing API keys, so that clients can be built, at import of a test module already."""
    if ENVIRONMENT in config.stash:
        return
    before = config.stash.setdefault(ENVIRONMENT, {})
    names = config.getini("stepreplay_api_keys")
    for name in Settings().api_keys if names is None else names:
        if not os.environ.get(name):
            before[name] = os.environ.get(name)
            os.environ[name] = PLACEHOLDER_KEY


def _be_host(config: pytest.Config) -> None:
    """Lets `use_cassette` inside tests follow the run's settings and count in its summary."""
    from .session import Host, set_host  # noqa: PLC0415 - only a run that uses a cassette pays for it

    run = config.stash[RUN]
    if not run.hosting:
        run.hosting = True
        set_host(Host({**run.ini, **run.command_line}, run.pending.append))
        config.add_cleanup(lambda: set_host(None))


def _checked(given: Mapping[str, object]) -> dict[str, object]:
    source = "the stepreplay_config fixture"
    if not isinstance(given, Mapping):
        raise SettingsError(f"{source} must return a dict, not {type(given).__name__}")
    return read_values(source, given, (*MARKER_SETTINGS, "api_keys"))


def _cassette_of(run: Run, settings: Settings, item: pytest.Item) -> Path:
    from .store.paths import cassette_path, named_path  # noqa: PLC0415

    root = run.cassettes(settings)
    if settings.cassette is not None:
        return named_path(root, settings.cassette)
    name, bracket, parameters = item.nodeid.partition("::")[2].partition("[")
    name = name.replace("::", ".") + bracket + parameters
    return cassette_path(root, _module_of(run, item.path), name)


def _module_of(run: Run, path: Path) -> PurePath:
    return PurePath(os.path.relpath(path, run.rootpath))


def _wide_fixtures_of(item: pytest.Item) -> Iterator[object]:
    """Yields the definitions of the fixtures that a test uses and that outlive it."""
    info = getattr(item, "_fixtureinfo", None)
    for definitions in info.name2fixturedefs.values() if info else ():
        yield from (each for each in definitions if each.scope != "function")


def _config_for(request: pytest.FixtureRequest) -> dict[str, object]:
    try:
        return _checked(request.getfixturevalue("stepreplay_config"))
    except (
        pytest.fail.Exception
    ):  # a stepreplay_config with a narrower scope cannot speak for a wider fixture
        return {}


def _fixture_session(request: pytest.FixtureRequest, fixturedef: pytest.FixtureDef[Any]) -> Session:
    from .session import Session  # noqa: PLC0415 - only a run that uses a cassette pays for it
    from .store.paths import cassette_path  # noqa: PLC0415

    run = request.config.stash[RUN]
    settings = run.settings(_config_for(request))
    file = Path(inspect.getfile(fixturedef.func))
    if not file.is_relative_to(run.rootpath) or file.is_relative_to(PYTEST):  # setup_class and its like
        file = request.node.path
    index = f"[{getattr(request, 'param_index', 0)}]" if hasattr(request, "param") else ""
    name = fixturedef.argname.lstrip("_") + index
    root = run.cassettes(settings)
    module = _module_of(run, file)
    path = cassette_path(root, module, f"{name}.fixture")
    run.owned.add(path)
    _be_host(request.config)
    return Session(settings, path, test=f"{module.as_posix()}::{name} (fixture)", shared=True, root=root)


def _open_for_teardown(request: pytest.FixtureRequest, fixturedef: pytest.FixtureDef[Any]) -> None:
    """Opens a fixture's cassette again; `pytest_fixture_post_finalizer` closes it."""
    from .session import running  # noqa: PLC0415 - only a run that uses a cassette pays for it

    run = request.config.stash[RUN]
    session = _fixture_session(request, fixturedef)
    stack = run.teardowns[fixturedef] = ExitStack()
    stack.callback(lambda: run.pending.append(session.close(passed=True)))
    stack.enter_context(running(session))


def _runs_everything(session: pytest.Session) -> bool:
    """Whether nothing narrowed this run, so that what it did not use is not used at all."""
    config = session.config
    named = {(config.invocation_params.dir / arg).resolve() for arg in config.args}
    whole = config.rootpath in named or config.args_source is pytest.Config.ArgsSource.TESTPATHS
    narrowed = any(
        config.getoption(name, None) for name in ("collectonly", "lf", "keyword", "markexpr", "ignore")
    )
    stopped = session.shouldstop or session.shouldfail
    return whole and not narrowed and not stopped and session.testscollected > 0


def _judge(item: pytest.Item, call: pytest.CallInfo[None], session: Session) -> list[tuple[str, str]] | None:
    """Returns None where the test's own verdict stands, else sections to add to the failed report."""
    shown = item.stash[SHOWN]
    misses = [miss for miss in session.misses if id(miss) not in shown]
    if misses:
        shown.update(id(miss) for miss in misses)
        return _show_misses(item, call, misses)
    if call.when == "call" and call.excinfo is None and not session.intercepted:
        _replace(call, _failure(StepReplayError(NOTHING_INTERCEPTED)))
        return []
    return None


def _show_misses(
    item: pytest.Item, call: pytest.CallInfo[None], misses: list[UnrecordedRequestError]
) -> list[tuple[str, str]]:
    first, sections = misses[0], []
    if call.excinfo is not None and not _is_miss(call.excinfo.value):
        ended_with = call.excinfo.exconly().partition("\n")[0]
        sections.append(("stepreplay: the client went on, and the test then ended with", ended_with))
    sections += [("stepreplay: one more request without an answer", str(miss)) for miss in misses[1:]]
    _replace(call, _failure(first, _own_frames(item, first.__traceback__)))
    return sections


def _is_miss(error: BaseException) -> bool:
    """Whether an error is a miss, or a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_miss(each) for each in error.exceptions)
    return isinstance(error, TestOutcomeError)


def _failure(error: BaseException, traceback: TracebackType | None = None) -> BaseException:
    """Returns the error as pytest shows a failure: its message, and the frames where there are any."""
    return pytest.fail.Exception(str(error), pytrace=traceback is not None).with_traceback(traceback)


def _replace(call: pytest.CallInfo[None], error: BaseException) -> None:
    try:
        raise error  # noqa: TRY301 - it is raised for its traceback alone
    except BaseException:  # noqa: BLE001 - to give it a traceback, without which pytest cannot show it
        call.excinfo = pytest.ExceptionInfo.from_current()


def _own_frames(item: pytest.Item, traceback: TracebackType | None) -> TracebackType | None:
    """Returns the traceback without the frames of client libraries and of this package."""
    if traceback is None or item.config.getoption("fulltrace", False):
        return traceback
    rest = _own_frames(item, traceback.tb_next)
    if not _is_own(item, Path(traceback.tb_frame.f_code.co_filename)):
        return rest
    return TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)


def _is_own(item: pytest.Item, path: Path) -> bool:
    """Whether a frame is the project's own code, and not a client library's or ours."""
    inside = path.is_relative_to(item.config.rootpath) and not path.is_relative_to(PACKAGE)
    return inside and "site-packages" not in path.parts
