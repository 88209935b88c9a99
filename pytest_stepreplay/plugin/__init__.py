"""The pytest side: hooks and fixtures, nothing else.

The cassette of a marked test is open from before its fixtures are set up until they are torn down. What
happened is attached to the test's report, so that the summary is right under xdist too.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..commands import started
from ..errors import SettingsError, StepReplayError, standing_in
from ..housekeeping import publishing
from ..interception import installing
from ..machine import disk
from ..network import guard
from ..session import outcome
from ..settings import FIELDS, PLACEHOLDER_KEY, read_marker, read_values
from ..store import paths
from ..vcr import marker
from . import (
    adopted_tests,
    fixture_cassettes,
    mutating,
    opening,
    serving,
    snapshot_fixture,
    suite_facts,
    verdicts,
)
from .cassette_places import CassetteOwners, CassettePlaces
from .run import (
    ADOPTED,
    ADOPTER,
    DECIDED,
    ENVIRONMENT,
    FAILED,
    FIRST_TRY,
    INTERRUPTIONS,
    MARKER,
    NEEDS_NO_FIXTURE,
    RUN,
    SESSION,
    SNAPSHOTS,
    SUITE_FACTS,
    WRONG,
    Run,
    RunningTest,
    RunSettings,
    Unreported,
    be_host,
    hold_placeholders,
    marker_of,
    read_ini,
    start_of,
)
from .summary import Summary

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from ..server.of_test import ServerOfTest
    from ..session.faulting import RequestFaults
    from ..session.outcome import Outcome
    from ..session.sessions import Session
    from ..snapshots.comparing import ChatSnapshot


def __dir__() -> list[str]:
    """Returns the hooks and fixtures alone: pytest asks of each name in a plugin what it is, at a cost."""
    return [name for name in globals() if name.startswith(("pytest_", "stepreplay", "chat_"))]


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
        ini = read_values("ini file", {name: read_ini(config, f"stepreplay_{name}") for name in FIELDS})
        options = {
            name: config.getoption(f"stepreplay_{name}", None)
            for name, known in FIELDS.items()
            if known.option
        }
        command_line = read_values("command line", options)
        places = CassettePlaces(config, ini, command_line)
        settings = places.home.settings
        start = start_of(config, places.folder)
        stack.enter_context(started(lambda: start))
        if settings.report:
            publishing.check_report_file(settings, "command line" if "report" in command_line else "ini file")
        if settings.history and (settings.mode.compares or "history" in command_line):
            publishing.check_history(settings, config.rootpath, asked="history" in command_line)
        known = None
        if settings.baseline and not settings.mode.mutates:
            known = publishing.read_known(settings, config.rootpath)
    except SettingsError as error:
        raise pytest.UsageError(f"stepreplay: {error}") from None
    hold_placeholders(config)
    config.stash[RUN] = Run(
        settings=RunSettings(config, places, command_line),
        places=places,
        owners=CassetteOwners(places),
        test=RunningTest(),
        unreported=Unreported(),
        baseline=known,
    )
    be_host(config)
    config.pluginmanager.register(Summary(config), "stepreplay-summary")
    if settings.report and not settings.mode.mutates:
        config.pluginmanager.register(suite_facts.SuiteFacts(config), SUITE_FACTS)
    if settings.mode.mutates:
        try:
            mutating.register_runs(config)
        except SettingsError as error:
            raise pytest.UsageError(f"stepreplay: {error}") from None
    if settings.adopt_vcr_marker:
        config.stash[marker.RUN] = adopted_tests.AdoptedTests(config.stash[RUN])
        config.pluginmanager.register(marker, ADOPTER)


def pytest_unconfigure(config: pytest.Config) -> None:
    for name, value in config.stash.get(ENVIRONMENT, {}).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def pytest_report_header(config: pytest.Config) -> str:
    settings = config.stash[RUN].settings.of_run
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
    if collection_path != config.stash[RUN].places.folder or not _is_to_collect(collection_path, config):
        return None

    return True if paths.holds_cassettes_alone(collection_path) else None


def _is_to_collect(folder: Path, config: pytest.Config) -> bool:
    """Whether something in a folder was asked for. Where it was not, it does not matter what is in there."""
    if config.getoption("pyargs", False):  # which names modules, wherever these are
        return True
    named = (os.path.abspath(config.invocation_params.dir / arg.partition("::")[0]) for arg in config.args)  # noqa: PTH100
    return any(folder.is_relative_to(each) or Path(each).is_relative_to(folder) for each in named)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    """Finds out who uses which cassette, of the deselected tests too, once every hook has set its markers."""
    collected = [*items]
    result = yield
    found = [*dict.fromkeys([*collected, *items])]
    config.stash[RUN].owners.know(found)
    try:
        if config.pluginmanager.has_plugin(ADOPTER) or any(map(_has_cassette, found)):
            opening.decide(config, found)
            opening.refuse_unpulled(config, items)
    except pytest.UsageError as error:
        if not hasattr(config, "workerinput"):
            raise
        # pytest-xdist would show a traceback; the run itself will say it.
        config.workeroutput["stepreplay_usage_error"] = str(error)  # type: ignore[attr-defined]  # a worker has it
        items.clear()
    if any("chat_snapshot" in getattr(item, "fixturenames", ()) for item in items):
        snapshot_fixture.serve_snapshots(config)
    return result


def _has_cassette(item: pytest.Item) -> bool:
    names: list[str] | None = getattr(item, "fixturenames", None)  # a test that is no function has none
    return MARKER in item.keywords or MARKER in (names or ())


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Spares modules that make clients the certificates, where the cassettes will answer."""
    run = session.config.stash[RUN]
    settings = run.settings.of_run
    if not settings.mode.replays or settings.ignore_hosts or not disk.is_folder(run.places.folder):
        return (yield)

    with installing.collecting():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Notes all tests of a module, also those that are not asked for: together they decide how files are named."""
    report = yield
    collector.config.stash[RUN].places.note(report.result)
    return report


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
            session = opening.open_adopted(request, stepreplay_config)
        else:
            session = opening.open_cassette(item, stepreplay_config)
        fixture_cassettes.answer_fixtures(request.config)
        request.config.stash[RUN].test.serve_fixtures(item)
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


@pytest.fixture
def chat_snapshot(request: pytest.FixtureRequest, stepreplay_config: Mapping[str, object]) -> ChatSnapshot:
    """The test's stored values, to compare with ==; call it to name one, or to say what counts as a difference."""
    return snapshot_fixture.snapshots_of(request, stepreplay_config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test once with each fault of its marker's `faults`."""
    if "stepreplay" not in metafunc.definition.keywords:  # many times cheaper than to search for the marker
        return
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
    if DECIDED not in item.stash and marker_of(item) is not None:
        opening.decide_late(item)
    if WRONG in item.stash:
        raise verdicts.failure(item.stash[WRONG])
    if NEEDS_NO_FIXTURE in item.stash:
        opening.open_cassette(item, {})


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Keeps the network from every test, if that is set."""
    run = item.config.stash[RUN]
    run.test.item = item
    settings = run.settings.of_run
    try:
        if settings.block_network != "always" or not settings.mode.guards:
            return (yield)

        hosts = (*settings.allowed_hosts, *settings.ignore_hosts)
        with guard.blocked(hosts, why="stepreplay_block_network = always: this test has no cassette") as log:
            result = yield
        if log.attempts:
            run.unreported.add(outcome.Outcome(path="", mode="", blocked=tuple(map(str, log.attempts))))
        return result
    finally:
        run.test.item = None


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
    run.test.stop()
    try:
        yield
    except BaseException as error:
        interrupted = isinstance(error, INTERRUPTIONS)
        _keep(item, session.close(passed=False, interrupted=interrupted, why=why or "its teardown failed"))
        raise
    finally:
        run.test.session = None
    try:
        _keep(item, session.close(passed=not why, why=why))
    except StepReplayError as error:
        raise verdicts.failure(error) from None


def _keep(item: pytest.Item, outcome: Outcome) -> None:
    item.config.stash[RUN].unreported.add(outcome)
    if outcome.written and not outcome.passed and not outcome.shared:
        item.stash[FIRST_TRY] = Path(outcome.path)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Makes a miss fail the test whatever became of it in the client, and shows it once."""
    session = item.stash.get(SESSION, None)
    run = item.config.stash[RUN]
    sections = None
    lacks_cassette = session is None and call.when == "call" and marker_of(item) is not None
    if session is not None or call.excinfo is not None or lacks_cassette:
        sections = verdicts.judge(item, call, session)
    while run.test.torn_down:
        failed = verdicts.close_fixture(item, call, run.test.torn_down.pop(0))
        sections = sections if failed is None else [*(sections or ()), *failed]
    report = yield
    if sections is not None:
        report.outcome = "failed"
        report.sections += sections
        report.__dict__.pop("wasxfail", None)
    if session and not report.passed:
        item.stash[FAILED] = _why_not_passed(report)
    if session and call.when == "teardown":
        session.forget()
        del item.stash[SESSION]
    run.unreported.attach(report)
    if SNAPSHOTS in item.stash:
        snapshot_fixture.take_report(item, call, report)
    return report


def _why_not_passed(report: pytest.TestReport) -> str:
    if report.failed:
        return "the test failed"
    return "the test failed, as expected" if hasattr(report, "wasxfail") else "the test was skipped"
