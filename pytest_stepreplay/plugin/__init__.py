"""The pytest side: hooks and fixtures, nothing else.

A marked test asks for the `stepreplay` fixture before all others; that opens the test's cassette. What
happened is attached to the test's report, so that the summary is right under xdist too.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import SettingsError, StepReplayError
from ..settings import FIELDS, read_values
from . import snapshots, vcr_marker
from .run import (
    ENVIRONMENT,
    INTERRUPTIONS,
    RUN,
    Run,
    be_host,
    cassette_of,
    check_config,
    fixture_session,
    hold_placeholders,
    markers_of,
    read_ini,
    wide_fixtures_of,
    with_secrets,
)
from .summary import Summary
from .verdicts import SHOWN, close_fixture, failure, judge, verdict_of_fixture
from .verification import read_known

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from ..session import Outcome, Session

SESSION = pytest.StashKey["Session"]()
FAILED = pytest.StashKey[str]()
"""Why the test did not pass; empty while it may."""
FIRST_TRY = pytest.StashKey[Path]()
"""The cassette that a failed try of this test was the first to write."""


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
    vcr_marker.prepare(early_config, parser)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
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
        run = Run(config.rootpath, ini, command_line)
        run.baseline = read_known(run.settings({}), config.rootpath)
    except SettingsError as error:
        raise pytest.UsageError(f"stepreplay: {error}") from None
    hold_placeholders(config)
    config.stash[RUN] = run
    be_host(config)
    config.pluginmanager.register(Summary(config), "stepreplay-summary")
    config.pluginmanager.register(snapshots, "stepreplay-snapshots")
    if run.settings({}).adopt_vcr_marker:
        config.pluginmanager.register(vcr_marker, "stepreplay-vcr-marker")


def pytest_unconfigure(config: pytest.Config) -> None:
    for name, value in config.stash.get(ENVIRONMENT, {}).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def pytest_report_header(config: pytest.Config) -> str:
    settings = config.stash[RUN].settings({})
    blocked = {"marked": "blocked", "always": "blocked for every test", "never": "open"}
    network = blocked[settings.block_network] if settings.mode == "replay" else "open"
    adopts = ", vcr markers adopted" if settings.adopt_vcr_marker else ""
    return f"stepreplay: {settings.mode}, {settings.dir.rstrip('/')}/, network {network}{adopts}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Checks the markers, and makes `stepreplay` the first fixture of each test that uses a cassette."""
    run = config.stash[RUN]
    try:
        _use_cassettes(run, items)
    except pytest.UsageError as error:
        if not hasattr(config, "workerinput"):
            raise
        run.usage_error = str(error)  # pytest-xdist would show a traceback; the run itself will say it
        items.clear()


def _use_cassettes(run: Run, items: list[pytest.Item]) -> None:
    owners: dict[str, str] = {}
    for item in items:
        run.collected.add(item.path)
        markers = markers_of(item)
        names = getattr(item, "fixturenames", None)
        if names is None or not (markers or "stepreplay" in names) or vcr_marker.ADOPTED in item.stash:
            continue
        item.fixturenames = ["stepreplay", *(name for name in names if name != "stepreplay")]  # type: ignore[attr-defined]
        try:
            settings = run.settings({}, markers)
            path = cassette_of(run, settings, item)
        except SettingsError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from None
        owner = owners.setdefault(str(path).casefold(), item.nodeid)
        if owner != item.nodeid and settings.cassette is None:
            raise pytest.UsageError(
                f"{item.nodeid} and {owner} would share {path} on file systems that ignore case. "
                'Rename one, or name its cassette: @pytest.mark.stepreplay(cassette="...")'
            )
        run.owned[path] = item.nodeid
        run.wide_fixtures.update(wide_fixtures_of(item))


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
    from ..session import Session, running  # noqa: PLC0415 - only a run that uses a cassette pays for it

    item, run = request.node, request.config.stash[RUN]
    try:
        given = check_config(stepreplay_config)
        if vcr_marker.ADOPTED in item.stash:
            session = vcr_marker.open_adopted(request, given)
        else:
            settings = with_secrets(run.settings(given, markers_of(item)), request.config)
            path, shared = cassette_of(run, settings, item), settings.cassette is not None
            if (
                item.stash.get(FIRST_TRY, None) == path
            ):  # what a failed try recorded would fail each further one
                path.unlink(missing_ok=True)
            session = Session(settings, path, test=item.nodeid, shared=shared, root=run.cassettes(settings))
            session.load()
            run.owned[path] = item.nodeid
    except StepReplayError as error:
        raise failure(error) from None
    item.stash[SESSION] = session
    item.stash[SHOWN] = set()
    item.stash[FAILED] = ""
    run.open = session
    with running(session):
        yield session


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Gives a fixture that outlives a test a cassette of its own, whichever test happens to come first."""
    run = request.config.stash[RUN]
    asked_for = fixturedef in run.wide_fixtures or (run.open is not None and fixturedef.scope != "function")
    if not asked_for or fixturedef.argname == "stepreplay_config":
        return (yield)
    from ..session import running  # noqa: PLC0415 - only a run that uses a cassette pays for it

    session = fixture_session(request, fixturedef)
    try:
        with running(session, of_fixture=True):
            result = yield
    except BaseException as error:
        run.pending.append(session.close(passed=False, interrupted=isinstance(error, INTERRUPTIONS)))
        raise
    try:
        run.pending.append(session.close(passed=True))
    except StepReplayError as error:
        raise failure(error) from None
    verdict = verdict_of_fixture(run, session)
    if verdict is not None:
        # The fixture went on; for its tests it has failed, as pytest remembers it.
        remembered = fixturedef.cached_result
        fixturedef.cached_result = (None, remembered and remembered[1], (verdict, None))
        raise verdict
    fixturedef.addfinalizer(lambda: _open_for_teardown(request, fixturedef))
    return result


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
        if settings.block_network != "always" or settings.mode != "replay":
            return (yield)
        from ..network import blocked  # noqa: PLC0415 - only a run that asks for it pays for it

        hosts = (*settings.allowed_hosts, *settings.ignore_hosts)
        with blocked(hosts, why="stepreplay_block_network = always: this test has no cassette") as log:
            result = yield
        if log.attempts:
            from ..session import Outcome  # noqa: PLC0415 - as above

            run.pending.append(Outcome(path="", mode="", blocked=tuple(map(str, log.attempts))))
        return result
    finally:
        run.item = None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Closes the test's cassette once all its fixtures are torn down, since only then it has passed."""
    session = item.stash.get(SESSION, None)
    if session is None:
        return (yield)
    run = item.config.stash[RUN]
    why = item.stash[FAILED]
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
    if sections is not None:
        report.outcome = "failed"
        report.sections += sections
        report.__dict__.pop("wasxfail", None)
    if session and not report.passed:
        item.stash[FAILED] = _why_not_passed(report)
    if session and call.when == "teardown":
        del item.stash[SESSION]
    outcomes = run.outcomes()
    if outcomes:
        report.stepreplay = outcomes  # type: ignore[attr-defined]
    return report


def _why_not_passed(report: pytest.TestReport) -> str:
    if report.failed:
        return "the test failed"
    return "the test failed, as expected" if hasattr(report, "wasxfail") else "the test was skipped"


def _open_for_teardown(request: pytest.FixtureRequest, fixturedef: pytest.FixtureDef[Any]) -> None:
    """Opens a fixture's cassette again; `pytest_fixture_post_finalizer` closes it."""
    from ..session import running  # noqa: PLC0415 - only a run that uses a cassette pays for it

    session = fixture_session(request, fixturedef)
    stack = ExitStack()
    stack.enter_context(running(session, of_fixture=True))
    request.config.stash[RUN].teardowns[fixturedef] = session, stack
