"""What answers the requests of fixtures, in a run whose tests have cassettes.

A pytest plugin of its own, which the main one registers once a test has a cassette. A test's cassette answers its own
fixtures. One that outlives tests has a cassette of its own, so that it does not matter which test sets it up.
"""

from __future__ import annotations

import inspect
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from ..errors import StepReplayError
from ..session import routing, sessions
from ..vcr import stubbed_clients
from .run import INTERRUPTIONS, RUN, check_config, config_for
from .verdicts import cause_in_fixture, failure, verdict_of_fixture

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..session.sessions import Session
    from .run import Run

PLUGIN: Final = "stepreplay-fixtures"


def answer_fixtures(config: pytest.Config) -> None:
    """Registers the plugin, unless it is there."""
    if not config.pluginmanager.has_plugin(PLUGIN):
        config.pluginmanager.register(FixtureCassettes(config.stash[RUN]), PLUGIN)


class FixtureCassettes:
    """Gives each fixture its cassette."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._torn_down: dict[object, tuple[Session, ExitStack]] = {}
        """The cassettes that are open again, by the definitions of the fixtures whose teardown they answer."""

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Gives a fixture that outlives a test a cassette of its own, whichever test happens to come first."""
        __tracebackhide__ = True  # what a fixture raises comes through here
        run = self._run
        if fixturedef.scope == "function":
            run.test.serve_fixtures(request.node)
            return (yield)
        asked_for = fixturedef in run.owners.fixtures or run.test.session is not None
        # Where the run is only planned, no fixture is run, and `stepreplay_config` cannot be asked.
        planned = asked_for and request.config.getoption("setupplan", False)
        if not asked_for or planned or fixturedef.argname == "stepreplay_config":
            return (yield)

        try:
            session = self._session_of(request, fixturedef)
        except StepReplayError as error:
            wrong = failure(error)
            _remember_failure(fixturedef, request, wrong)
            raise wrong from None
        try:
            with routing.running(session, of_fixture=True):
                result = yield
        except BaseException as error:
            run.unreported.add(session.close(passed=False, interrupted=isinstance(error, INTERRUPTIONS)))
            session.explain()
            cause = cause_in_fixture(request.config, session, error)
            if cause is None:
                raise
            _remember_failure(fixturedef, request, cause)
            raise cause from None
        try:
            run.unreported.add(session.close(passed=True))
        except StepReplayError as error:
            raise failure(error) from None
        verdict = verdict_of_fixture(run, session)
        if verdict is not None:
            _remember_failure(fixturedef, request, verdict)
            raise verdict
        fixturedef.addfinalizer(lambda: self._open_for_teardown(request, fixturedef, session))
        return result

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """Takes away the cassette that has answered a fixture's teardown."""
        teardown = self._torn_down.pop(fixturedef, None)
        if teardown is not None:
            session, stack = teardown
            stack.close()
            self._run.test.torn_down.append(session)

    def _open_for_teardown(
        self, request: pytest.FixtureRequest, fixturedef: pytest.FixtureDef[Any], setup: Session
    ) -> None:
        session = self._session_of(request, fixturedef, setup)
        stack = ExitStack()
        stack.enter_context(routing.running(session, of_fixture=True))
        self._torn_down[fixturedef] = session, stack

    def _session_of(
        self,
        request: pytest.FixtureRequest,
        fixturedef: pytest.FixtureDef[Any],
        setup: sessions.Session | None = None,
    ) -> sessions.Session:
        """Returns the session of a fixture that outlives a test, for its setup or its teardown.

        Args:
            request: of the fixture.
            fixturedef: the fixture.
            setup: the session of its setup, for its teardown.
        """
        run = self._run
        home = run.places.home_of_fixture(request, fixturedef)
        settings = run.settings.with_secrets(run.settings.merged(home, check_config(config_for(request))))
        path, test = run.places.of_fixture(request, fixturedef, settings)
        run.owners.own(path, test)
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


def _remember_failure(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest, error: BaseException
) -> None:
    """Fails the further tests of a fixture by an error, whatever it has ended with itself."""
    key = fixturedef.cached_result[1] if fixturedef.cached_result else fixturedef.cache_key(request)  # type: ignore[arg-type]  # a SubRequest
    failed: Any = (error, None) if pytest.version_tuple >= (8, 3) else error
    fixturedef.cached_result = (None, key, failed)
