"""The pytest side: hooks and fixtures, nothing else.

The cassette of a marked test is open from before its fixtures are set up until they are torn down. What
happened is attached to the test's report, so that the summary is right under xdist too.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..commands import started
from ..errors import SettingsError, StepReplayError, standing_in
from ..housekeeping import publishing
from ..network import guard
from ..session import outcome, routing
from ..settings import FIELDS, PLACEHOLDER_KEY, read_marker, read_values
from ..store import paths
from ..vcr import marker
from . import mutating, serving, snapshot_fixture, suite_facts
from .cassette_places import CassettePlaces
from .opening import (
    NEEDS_NO_FIXTURE,
    decide,
    decide_late,
    open_adopted,
    open_cassette,
    refuse_unpulled,
    serve_fixtures,
    stop_serving,
)
from .run import (
    ADOPTED,
    ADOPTER,
    ENVIRONMENT,
    FAILED,
    FIRST_TRY,
    INTERRUPTIONS,
    RUN,
    SESSION,
    SUITE_FACTS,
    WRONG,
    Run,
    be_host,
    fixture_session,
    hold_placeholders,
    read_ini,
    read_ini_text,
    start_of,
)
from .summary import Summary
from .verdicts import cause_in_fixture, close_fixture, failure, judge, verdict_of_fixture

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from ..server.of_test import ServerOfTest
    from ..session.faulting import RequestFaults
    from ..session.outcome import Outcome
    from ..session.sessions import Session


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("stepreplay", "record and replay chat completions")
    for name, setting in FIELDS.items():
        parser.addini(f"stepreplay_{name}", setting.help, type=setting.ini_type, default=None)
        if setting.option:
            group.addoption(
                setting.option,
                dest=f"stepreplay_{name}",
                metavar=setting.metavar,
                default=None,
                help=setting.help,
            )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser) -> None:
    hold_placeholders(early_config)
    try:
        adopts = read_ini(early_config, "stepreplay_adopt_vcr_marker")
    except SettingsError as error:
        raise pytest.UsageError(f"stepreplay: {error}") from None
    if adopts:
        marker.prepare(early_config, parser)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    stack = ExitStack()
    stack.enter_context(standing_in(config.invocation_params.dir))
    config.add_cleanup(stack.close)
    config.addinivalue_line(
        "markers",
        "stepreplay(cassette=None, mode=None, match_on=None, ignore_request=None, allow_repeats=False, ...): "
        "replay this test's chat completions from a cassette, or record them.",
    )
    try:
        names = {name: f"stepreplay_{name}" for name in FIELDS}
        ini = read_values("ini file", {name: read_ini(config, key) for name, key in names.items()})
        options = {name: config.getoption(key, None) for name, key in names.items()}
        command_line = read_values("command line", options)
        run = Run(CassettePlaces(config, ini, command_line), command_line, read_ini_text(config))
        start = start_of(config, run)
        stack.enter_context(started(lambda: start))
        settings = run.settings({})
        if settings.report:
            publishing.check_report_file(settings, "command line" if "report" in command_line else "ini file")
        if settings.history and (settings.mode.compares or "history" in command_line):
            publishing.check_history(settings, config.rootpath, asked="history" in command_line)
        if settings.baseline and not settings.mode.mutates:
            run.baseline = publishing.read_known(settings, config.rootpath)
    except SettingsError as error:
        raise pytest.UsageError(f"stepreplay: {error}") from None
    hold_placeholders(config)
    config.stash[RUN] = run
    be_host(config)
    config.pluginmanager.register(Summary(config), "stepreplay-summary")
    if settings.report and not settings.mode.mutates:
        config.pluginmanager.register(suite_facts.SuiteFacts(config), SUITE_FACTS)
    config.pluginmanager.register(snapshot_fixture, "stepreplay-snapshots")
    if settings.mode.mutates:
        try:
            mutating.register_runs(config)
        except SettingsError as error:
            raise pytest.UsageError(f"stepreplay: {error}") from None
    if settings.adopt_vcr_marker:
        config.stash[marker.RUN] = run
        config.pluginmanager.register(marker, ADOPTER)


def pytest_unconfigure(config: pytest.Config) -> None:
    for name, value in config.stash.get(ENVIRONMENT, {}).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def pytest_report_header(config: pytest.Config) -> str:
    settings = config.stash[RUN].settings({})
    blocked = {"marked": "blocked", "always": "blocked for every test", "never": "open"}
    network = blocked[settings.block_network] if settings.mode.guards else "open"
    adopts = ", vcr markers adopted" if settings.adopt_vcr_marker else ""
    keys = ""
    if not settings.mode.guards and all(
        os.environ.get(name) == PLACEHOLDER_KEY for name in settings.api_keys
    ):
        keys = f", no key in {' or '.join(settings.api_keys)}" if settings.api_keys else ""
    again = "; each test that passes runs again for each mutant" if settings.mode.mutates else ""
    return f"stepreplay: {settings.mode}, {settings.dir.rstrip('/')}/, network {network}{adopts}{keys}{again}"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Keeps pytest from asking of each cassette whether it is a test."""
    if collection_path != config.stash[RUN].folder:
        return None

    return True if paths.holds_cassettes_alone(collection_path) else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    """Finds out who uses which cassette, of the deselected tests too, once every hook has set its markers."""
    collected = [*items]
    result = yield
    try:
        decide(config, [*dict.fromkeys([*collected, *items])])
        refuse_unpulled(config, items)
    except pytest.UsageError as error:
        if not hasattr(config, "workerinput"):
            raise
        run = config.stash[RUN]
        run.usage_error = str(error)  # pytest-xdist would show a traceback; the run itself will say it
        items.clear()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Notes all tests of a module, also those that are not asked for: together they decide how files are named."""
    report = yield
    collector.config.stash[RUN].places.note(report.result)
    return report


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        items[0].config.stash[RUN].complete = False


@pytest.fixture(scope="session")
def stepreplay_config() -> dict[str, object]:
    """Override this in a `conftest.py`: project settings in Python, as a dict of the marker's arguments."""
    return {}


@pytest.fixture
def stepreplay(request: pytest.FixtureRequest, stepreplay_config: Mapping[str, object]) -> Session:
    """The test's open cassette: its interactions, mode, what was played and recorded."""
    item: pytest.Item = request.node
    session = item.stash.get(SESSION, None)
    if session is None:
        if ADOPTED in item.stash:
            session = open_adopted(request, stepreplay_config)
        else:
            session = open_cassette(item, stepreplay_config)
        serve_fixtures(item)
    return session


@pytest.fixture
def stepreplay_server(request: pytest.FixtureRequest, stepreplay: Session) -> ServerOfTest:
    """The test's cassette for other processes: `base_url`, and `env` with what common clients read."""
    return serving.serve(request.config, stepreplay)


@pytest.fixture
def stepreplay_faults(stepreplay: Session) -> RequestFaults:
    """What goes wrong with the test's requests: call it with faults for the next ones, one for each in turn."""
    return stepreplay.faults


@pytest.fixture
def stepreplay_fault(request: pytest.FixtureRequest) -> str:
    """The fault that this run of the test is for; empty where its marker has no `faults`."""
    return str(getattr(request, "param", ""))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test once with each fault of its marker's `faults`."""
    marker = metafunc.definition.get_closest_marker("stepreplay")
    if marker is None or "faults" not in marker.kwargs:
        return
    try:
        faults = read_marker((), {"faults": marker.kwargs["faults"]})["faults"]
    except SettingsError as error:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: {error}") from None
    if "stepreplay_fault" not in metafunc.fixturenames:
        metafunc.fixturenames.append("stepreplay_fault")
    metafunc.parametrize("stepreplay_fault", [str(each) for each in faults], indirect=True)  # type: ignore[attr-defined]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Opens the cassette of a marked test. A hook costs a tenth of what the fixture would."""
    decide_late(item)
    if WRONG in item.stash:
        raise failure(item.stash[WRONG])
    if NEEDS_NO_FIXTURE in item.stash:
        open_cassette(item, {})


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Gives a fixture that outlives a test a cassette of its own, whichever test happens to come first."""
    __tracebackhide__ = True  # what a fixture raises comes through here
    run = request.config.stash[RUN]
    if run.serving is not None and fixturedef.scope == "function":
        serve_fixtures(request.node)
    asked_for = fixturedef in run.wide_fixtures or (run.open is not None and fixturedef.scope != "function")
    # Where the run is only planned, no fixture is run, and `stepreplay_config` cannot be asked.
    planned = asked_for and request.config.getoption("setupplan", False)
    if not asked_for or planned or fixturedef.argname == "stepreplay_config":
        return (yield)

    try:
        session = fixture_session(request, fixturedef)
    except StepReplayError as error:
        wrong = failure(error)
        _remember_failure(fixturedef, request, wrong)
        raise wrong from None
    try:
        with routing.running(session, of_fixture=True):
            result = yield
    except BaseException as error:
        run.pending.append(session.close(passed=False, interrupted=isinstance(error, INTERRUPTIONS)))
        session.explain()
        cause = cause_in_fixture(request.config, session, error)
        if cause is None:
            raise
        _remember_failure(fixturedef, request, cause)
        raise cause from None
    try:
        run.pending.append(session.close(passed=True))
    except StepReplayError as error:
        raise failure(error) from None
    verdict = verdict_of_fixture(run, session)
    if verdict is not None:
        _remember_failure(fixturedef, request, verdict)
        raise verdict
    fixturedef.addfinalizer(lambda: _open_for_teardown(request, fixturedef, session))
    return result


def _remember_failure(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest, error: BaseException
) -> None:
    """Fails the further tests of a fixture by an error, whatever it has ended with itself."""
    key = fixturedef.cached_result[1] if fixturedef.cached_result else fixturedef.cache_key(request)  # type: ignore[arg-type]  # a SubRequest
    failed: Any = (error, None) if pytest.version_tuple >= (8, 3) else error
    fixturedef.cached_result = (None, key, failed)


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    run = request.config.stash[RUN]
    teardown = run.teardowns.pop(fixturedef, None)
    if teardown is not None:
        session, stack = teardown
        stack.close()
        run.torn_down.append(session)  # closed when it is known how this phase of the test ended


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Keeps the network from every test, if that is set."""
    run = item.config.stash[RUN]
    run.item = item
    settings = run.settings({})
    try:
        if settings.block_network != "always" or not settings.mode.guards:
            return (yield)

        hosts = (*settings.allowed_hosts, *settings.ignore_hosts)
        with guard.blocked(hosts, why="stepreplay_block_network = always: this test has no cassette") as log:
            result = yield
        if log.attempts:
            run.pending.append(outcome.Outcome(path="", mode="", blocked=tuple(map(str, log.attempts))))
        return result
    finally:
        run.item = None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Closes the test's cassette once all its fixtures are torn down, since only then it has passed."""
    __tracebackhide__ = True  # what a teardown raises comes through here
    session = item.stash.get(SESSION, None)
    if session is None:
        return (yield)
    run = item.config.stash[RUN]
    why = item.stash[FAILED]
    if item.config.getoption("setuponly", False):  # --setup-plan too
        why = why or "only fixtures were set up"
    stop_serving(run)
    try:
        yield
    except BaseException as error:
        run.open = None
        interrupted = isinstance(error, INTERRUPTIONS)
        _keep(item, session.close(passed=False, interrupted=interrupted, why=why or "its teardown failed"))
        raise
    run.open = None
    try:
        _keep(item, session.close(passed=not why, why=why))
    except StepReplayError as error:
        raise failure(error) from None


def _keep(item: pytest.Item, outcome: Outcome) -> None:
    item.config.stash[RUN].pending.append(outcome)
    if outcome.written and not outcome.passed and not outcome.shared:
        item.stash[FIRST_TRY] = Path(outcome.path)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Makes a miss fail the test whatever became of it in the client, and shows it once."""
    session = item.stash.get(SESSION, None)
    run = item.config.stash[RUN]
    sections = judge(item, call, session)
    while run.torn_down:
        failed = close_fixture(item, call, run.torn_down.pop(0))
        sections = sections if failed is None else [*(sections or ()), *failed]
    report = yield
    if run.causes:
        causes, run.causes = run.causes, []
        report.stepreplay_causes = causes  # type: ignore[attr-defined]
    if sections is not None:
        report.outcome = "failed"
        report.sections += sections
        report.__dict__.pop("wasxfail", None)
    if session and not report.passed:
        item.stash[FAILED] = _why_not_passed(report)
    if session and call.when == "teardown":
        session.forget()
        del item.stash[SESSION]
    outcomes = run.outcomes()
    if outcomes:
        report.stepreplay = outcomes  # type: ignore[attr-defined]
    return report


def _why_not_passed(report: pytest.TestReport) -> str:
    if report.failed:
        return "the test failed"
    return "the test failed, as expected" if hasattr(report, "wasxfail") else "the test was skipped"


def _open_for_teardown(
    request: pytest.FixtureRequest, fixturedef: pytest.FixtureDef[Any], setup: Session
) -> None:
    """Opens a fixture's cassette again; `pytest_fixture_post_finalizer` closes it."""
    session = fixture_session(request, fixturedef, setup)
    stack = ExitStack()
    stack.enter_context(routing.running(session, of_fixture=True))
    request.config.stash[RUN].teardowns[fixturedef] = session, stack
