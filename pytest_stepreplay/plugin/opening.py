"""Which cassette is whose, and the test's own: opened before the test's fixtures, and kept open until they are gone.

Collected items go in, and each learns its settings and its path; `open_cassette` gives the test's session. Fixtures
that outlive a test have cassettes of their own, so the test's is closed before theirs are torn down.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple
from unicodedata import normalize

import pytest

from ..commands import project_command
from ..errors import StepReplayError, display_path
from ..remote import lock_file
from ..session import routing, sessions
from ..settings import Writes
from ..settings.faults import read_faults
from ..store import files, paths
from ..vcr import marker, stubbed_clients
from .cassette_places import fault_of, name_of
from .run import (
    ADOPTED,
    ADOPTER,
    FAILED,
    FIRST_TRY,
    RUN,
    SESSION,
    WRONG,
    Run,
    check_config,
    marker_of,
    markers_of,
    wide_fixtures_of,
    with_secrets,
)
from .verdicts import SHOWN, failure, setup_failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ..session.sessions import Session

NEEDS_NO_FIXTURE: Final = pytest.StashKey[bool]()
"""Its cassette can be opened before any fixture, since none has a say in its settings."""
DECIDED: Final = pytest.StashKey[bool]()
"""It is known which cassette the test has; or it had no marker when that was decided."""


def decide(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Finds out who uses which cassette, by the markers that the tests have now.

    Raises:
        UsageError: two tests would share a cassette by accident, or an adopted marker is wrong.
    """
    adopter = config.pluginmanager.get_plugin(ADOPTER)
    if adopter is not None:
        adopter.adopt(config, items)
    assign_cassettes(config.stash[RUN], items)


def decide_late(item: pytest.Item) -> None:
    """Does the same for a test whose marker was added after it was decided for all."""
    if DECIDED in item.stash or marker_of(item) is None:
        return
    item.stash[DECIDED] = True
    try:
        decide(item.config, [item])
    except pytest.UsageError as error:
        raise failure(error) from None


def assign_cassettes(run: Run, items: Iterable[pytest.Item]) -> None:
    """Notes whose cassette is where, and what is wrong with the markers: the tests that have these fail by it.

    Raises:
        UsageError: two tests would share a cassette by accident.
    """
    claims: dict[str, _Claim] = run.claims
    for item in items:
        run.collected.add(item.path)
        if ADOPTED in item.stash:
            item.stash[DECIDED] = True
            continue
        names: list[str] | None = getattr(item, "fixturenames", None)  # a test that is no function has none
        markers = markers_of(item)
        if not markers and "stepreplay" not in (names or ()):
            continue
        item.stash[DECIDED] = True
        if names is not None and _config_is_overridden(item):
            names[:] = ["stepreplay", *(name for name in names if name != "stepreplay")]
        else:
            item.stash[NEEDS_NO_FIXTURE] = True
        try:
            settings = run.settings({}, markers, run.places.home_of(item.path))
            path = run.places.of_test(item, settings)
        except StepReplayError as error:
            item.stash[WRONG] = error
            continue
        claim = _Claim(item, path, is_named=settings.cassette is not None)
        first = claims.setdefault(normalize("NFC", str(path).casefold()), claim)
        if first is not claim and not _is_same_test(first.item, item):
            _check_sharing(run, first, claim)
        run.owned[path] = run.places.id_of(item)
        run.wide_fixtures.update(wide_fixtures_of(item))


def refuse_unpulled(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Does nothing where cassettes are in git, or one of them is here: what others lack, their tests say.

    Args:
        config: of the run.
        items: the tests that are going to be run.

    Raises:
        UsageError: the tests have cassettes, and none of them has been pulled.
    """
    run = config.stash[RUN]
    settings = run.settings({})
    if settings.store is None or not settings.mode.answers or config.getoption("collectonly", False):
        return
    chosen, claims = set(items), run.claims.values()
    wanted = [claim.path for claim in claims if claim.item in chosen]
    if any(map(files.exists, wanted)):
        return
    try:
        absent = sum(lock_file.is_listed(path, run.folder) for path in wanted)
    except StepReplayError as error:
        raise pytest.UsageError(str(error)) from None
    if absent:
        of_them = "the cassette" if absent == 1 else f"{absent:,} cassettes"
        raise pytest.UsageError(
            f"{of_them} of these tests {'is' if absent == 1 else 'are'} listed in "
            f"{display_path(run.folder / paths.LOCK)}, and not here yet.\n"
            f"Bring {'it' if absent == 1 else 'them'} with: {project_command('pull')}"
        )


class _Claim(NamedTuple):
    """A test's claim to a file."""

    item: pytest.Item
    path: Path
    is_named: bool


def _is_same_test(one: pytest.Item, other: pytest.Item) -> bool:
    return one.path == other.path and name_of(one) == name_of(other)


def _check_sharing(run: Run, first: _Claim, second: _Claim) -> None:
    """Notes that two tests share a file, which one of them has named.

    Raises:
        UsageError: nobody has said that they do.
    """
    if first.path == second.path and (first.is_named or second.is_named):
        run.shared.add(first.path)
        return
    one, other = (run.places.typed(each.item) for each in (first, second))
    where = display_path(second.path) + (
        "" if first.path == second.path else " on file systems that ignore case"
    )
    raise pytest.UsageError(
        f"{other} and {one} would share {where}. "
        'Rename one, or name its cassette: @pytest.mark.stepreplay(cassette="...")'
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
        home = run.places.home_of(item.path)
        settings = with_secrets(run.settings(check_config(given), markers_of(item), home), item.config)
        fault = fault_of(item)
        if fault:
            settings = replace(settings, fault=read_faults(fault))
        path = run.places.of_test(item, settings)
        shared = settings.cassette is not None or path in run.shared
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
        raise setup_failure(item, error) from None
    run.owned[path] = run.places.id_of(item)
    if fault and (why := session.why_no_fault()):
        raise pytest.skip.Exception(f"the fault {fault} does not apply: {why}", _use_item_location=True)
    return begin_session(item, session)


def open_adopted(request: pytest.FixtureRequest, given: Mapping[str, object]) -> Session:
    """Returns the session of a test that is marked for another plugin, open for its requests."""
    try:
        session = marker.open_adopted_session(request, check_config(given))
    except StepReplayError as error:
        raise failure(error) from None
    return begin_session(request.node, session)


def begin_session(item: pytest.Item, session: Session) -> Session:
    """Makes a session that of the running test, and returns it."""
    stubbed_clients.serve_stubbed_clients()
    run = item.config.stash[RUN]
    item.stash[SESSION] = session
    item.stash[SHOWN] = set()
    item.stash[FAILED] = ""
    run.open = session
    if session.settings.mode.writes is not Writes.NOTHING and not run.flushes_together:
        run.flushes_together = True
        together = ExitStack()
        together.enter_context(files.flushed_together())
        item.config.add_cleanup(together.close)
    if run.altered:
        session.alter(run.altered)
    with ExitStack() as stack:
        stack.enter_context(routing.running(session))
        run.serving = stack.pop_all()
    return session


def serve_fixtures(item: pytest.Item) -> None:
    """Lets the test's cassette serve the test's own fixtures until all of them are torn down, and not longer.

    Called before the first of them is set up: what was added last is torn down first.
    """
    run = item.config.stash[RUN]
    if run.serving is not None:
        item.addfinalizer(run.serving.close)
        run.serving = None


def stop_serving(run: Run) -> None:
    """Ends what `serve_fixtures` would have ended, where the test had no fixture."""
    serving, run.serving = run.serving, None
    if serving is not None:
        serving.close()
