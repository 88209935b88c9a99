"""Which tests have a cassette, and the test's own: opened before its fixtures, and kept open until they are gone.

Collected items go in, and each learns whether it has a cassette; `open_cassette` gives the test's session.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from ..commands import project_command
from ..errors import StepReplayError, display_path
from ..remote import lock_file
from ..session import sessions
from ..settings import Writes, faults
from ..store import files, paths
from ..vcr import marker, stubbed_clients
from . import fixture_cassettes, verdicts
from .cassette_places import fault_of
from .run import (
    ADOPTED,
    ADOPTER,
    DECIDED,
    FAILED,
    FIRST_TRY,
    MARKER,
    NEEDS_NO_FIXTURE,
    RUN,
    SESSION,
    WRONG,
    Run,
    check_config,
    markers_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..models import Response
    from ..session.sessions import Session

ALTERED: Final[pytest.StashKey[Mapping[int, Response]]] = pytest.StashKey()
"""The answers that a mutant of the test gets in the place of those at their positions."""
_FLUSHED_TOGETHER: Final[pytest.StashKey[bool]] = pytest.StashKey()


def decide(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Finds out who uses which cassette, by the markers that the tests have now.

    Raises:
        UsageError: two tests would share a cassette by accident, or an adopted marker is wrong.
    """
    adopter = config.pluginmanager.get_plugin(ADOPTER)
    if adopter is not None:
        adopter.adopt(config, items)
    if assign_cassettes(config.stash[RUN], items):
        fixture_cassettes.answer_fixtures(config)


def decide_late(item: pytest.Item) -> None:
    """Does the same for a test whose marker was added after it was decided for all."""
    item.stash[DECIDED] = True
    try:
        decide(item.config, [item])
    except pytest.UsageError as error:
        raise verdicts.failure(error) from None


def assign_cassettes(run: Run, items: Iterable[pytest.Item]) -> bool:
    """Notes whose cassette is where, and what is wrong with the markers: the tests that have these fail by it.

    Returns:
        Whether there are tests with a cassette.

    Raises:
        UsageError: two tests would share a cassette by accident.
    """
    found = False
    for item in items:
        if ADOPTED in item.stash:
            found = item.stash[DECIDED] = True
            continue
        names: list[str] | None = getattr(item, "fixturenames", None)  # a test that is no function has none
        markers = markers_of(item) if MARKER in item.keywords else []
        if not markers and "stepreplay" not in (names or ()):
            continue
        found = item.stash[DECIDED] = True
        if names is not None and _config_is_overridden(item):
            names[:] = ["stepreplay", *(name for name in names if name != "stepreplay")]
        else:
            item.stash[NEEDS_NO_FIXTURE] = True
        try:
            settings = run.settings.merged(run.places.home_of(item.path), {}, markers)
            path = run.places.of_test(item, settings)
        except StepReplayError as error:
            item.stash[WRONG] = error
            continue
        run.owners.claim(item, path, is_named=settings.cassette is not None)
    return found


def refuse_unpulled(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Does nothing where cassettes are in git, or one of them is here: what others lack, their tests say.

    Args:
        config: of the run.
        items: the tests that are going to be run.

    Raises:
        UsageError: the tests have cassettes, and none of them has been pulled.
    """
    run = config.stash[RUN]
    settings, folder = run.settings.of_run, run.places.folder
    if settings.store is None or not settings.mode.answers or config.getoption("collectonly", False):
        return
    wanted = run.owners.claimed_by(items)
    if any(map(files.exists, wanted)):
        return
    try:
        absent = sum(lock_file.is_listed(path, folder) for path in wanted)
    except StepReplayError as error:
        raise pytest.UsageError(str(error)) from None
    if absent:
        of_them = "the cassette" if absent == 1 else f"{absent:,} cassettes"
        raise pytest.UsageError(
            f"{of_them} of these tests {'is' if absent == 1 else 'are'} listed in "
            f"{display_path(folder / paths.LOCK)}, and not here yet.\n"
            f"Bring {'it' if absent == 1 else 'them'} with: {project_command('pull')}"
        )


def _config_is_overridden(item: pytest.Item) -> bool:
    """Whether the project has a `stepreplay_config` fixture of its own for this test, or gives it as a parameter."""
    if "stepreplay_config" in getattr(getattr(item, "callspec", None), "params", ()):
        return True
    try:
        found = item.session._fixturemanager.getfixturedefs("stepreplay_config", item)
    except AttributeError:  # it is pytest's own; without it, what costs more is always right
        return True
    return found is None or len(found) > 1


def open_cassette(item: pytest.Item, given: Mapping[str, object]) -> sessions.Session:
    """Returns the session of a test, open for its requests until its fixtures are torn down.

    Args:
        item: the test.
        given: what the `stepreplay_config` fixture says.
    """
    run = item.config.stash[RUN]
    try:
        settings = run.settings.of_test(item, given)
        fault = fault_of(item)
        if fault:
            settings = replace(settings, fault=faults.read_faults(fault))
        path = run.places.of_test(item, settings)
        shared = settings.cassette is not None or path in run.owners.shared
        if item.stash.get(FIRST_TRY, None) == path:  # what a failed try recorded would fail each further one
            files.remove_cassette(path)
        root = run.places.root_of(item, settings)
        session = sessions.Session(
            settings,
            path,
            test=run.places.id_of(item),
            typed=run.places.typed(item),
            shared=shared,
            root=root,
        )
        session.load()
    except StepReplayError as error:
        raise verdicts.setup_failure(item, error) from None
    run.owners.own(path, session.test)
    if fault and (why := session.why_no_fault()):
        raise pytest.skip.Exception(f"the fault {fault} does not apply: {why}", _use_item_location=True)
    return _begin(item, session)


def open_adopted(request: pytest.FixtureRequest, given: Mapping[str, object]) -> Session:
    """Returns the session of a test that is marked for another plugin, open for its requests."""
    try:
        session = marker.open_adopted_session(request, check_config(given))
    except StepReplayError as error:
        raise verdicts.failure(error) from None
    return _begin(request.node, session)


def _begin(item: pytest.Item, session: Session) -> Session:
    """Makes a session that of the running test, and returns it."""
    stubbed_clients.serve_stubbed_clients()
    run = item.config.stash[RUN]
    item.stash[SESSION] = session
    item.stash[FAILED] = ""
    mode = session.settings.mode
    if mode.writes != Writes.NOTHING and _FLUSHED_TOGETHER not in item.config.stash:
        item.config.stash[_FLUSHED_TOGETHER] = True
        together = ExitStack()
        together.enter_context(files.flushed_together())
        item.config.add_cleanup(together.close)
    if mode.mutates and ALTERED in item.stash:
        session.alter(item.stash[ALTERED])
    run.test.serve(session)
    return session
