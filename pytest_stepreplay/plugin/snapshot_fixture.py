"""What the `chat_snapshot` fixture gives, what a failing assertion says, and when snapshots are written.

A pytest plugin of its own, which the main one registers where a test uses the fixture.
"""

from __future__ import annotations

import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import pytest

from ..commands import review_command
from ..errors import StepReplayError
from ..redaction import redactor, variables, wall
from ..remote import lock_file
from ..snapshots import comparing, explaining
from ..store import files, paths
from ..texts import plural
from ..value_classes import values_of
from ..verify import drift_policy
from . import coloring, verdicts
from .run import RUN, SESSION, SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from ..settings import Settings
    from ..settings.policy import Policy
    from ..snapshots.comparing import ChatSnapshot

PLUGIN: Final = "stepreplay-snapshots"
PASSED: pytest.StashKey[bool] = pytest.StashKey()
FAILED: pytest.StashKey[bool] = pytest.StashKey()
OUTCOME: pytest.StashKey[dict[str, object]] = pytest.StashKey()
IN_USE: pytest.StashKey[bool] = pytest.StashKey()

_MOST_CI_LINES = 60
_MOST_FACTS = 20
_OURS = (__name__, __package__)


def __dir__() -> list[str]:
    """Returns the hooks alone: pytest asks of each name in a plugin what it is, at a cost."""
    return [name for name in globals() if name.startswith("pytest_")]


def serve_snapshots(config: pytest.Config) -> None:
    """Registers the plugin, unless it is there."""
    if not config.pluginmanager.has_plugin(PLUGIN):
        config.pluginmanager.register(sys.modules[__name__], PLUGIN)


def snapshots_of(request: pytest.FixtureRequest, given: Mapping[str, object]) -> ChatSnapshot:
    """Returns the snapshots of the test that has asked for the fixture.

    Args:
        request: of the fixture.
        given: what the `stepreplay_config` fixture says.
    """
    serve_snapshots(request.config)  # a test may ask for the fixture while it runs
    return request.node.stash.get(SNAPSHOTS, None) or _open(request.node, given)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Gives a test its snapshots where no fixture has a say in them, which costs a tenth of what a fixture does."""
    info, arguments = getattr(item, "_fixtureinfo", None), getattr(item, "funcargs", None)
    if info is None or arguments is None:
        return
    # A conftest, a module or a parameter may have put another in the place of one of these.
    fixtures = [info.name2fixturedefs.get(name, ()) for name in ("chat_snapshot", "stepreplay_config")]
    if all(len(it) == 1 and it[0].func.__module__ in _OURS for it in fixtures):
        arguments["chat_snapshot"] = _open(item, {})
        # pytest would set up what our fixture asks for, as if the test had asked for it.
        unused: dict[str, object] = {"stepreplay_config": {}, "request": getattr(item, "_request", None)}
        arguments.update((name, value) for name, value in unused.items() if name not in info.initialnames)


def _open(item: pytest.Item, given: Mapping[str, object]) -> comparing.ChatSnapshot:
    """Returns the snapshots of a test.

    Args:
        item: the test.
        given: what the `stepreplay_config` fixture says.
    """
    config = item.config
    run = config.stash[RUN]
    try:
        settings = run.settings.of_test(item, given)
        path = run.places.snapshots_of(item, settings)
        root = run.places.root_of(item, settings)
        run.places.check_inside(path, root)
        if settings.store is not None and settings.mode.answers and not files.exists(path):
            lock_file.check_pulled(path, root)
        protection = _Protection(settings, variables.environment_as_it_is())
        snapshots = comparing.ChatSnapshot(
            path,
            test=run.places.id_of(item),
            mode=settings.mode,
            redactor=lambda: protection.redactor,
            wall=lambda: protection.wall,
            policy=lambda: _policy(settings, item),
            check_place=lambda: paths.check_inside(path, root),
            plain=settings.selects_nothing(),
            leave_pending=settings.leaves_pending() and not settings.mode.mutates,
            shown_path=run.places.shown(path),
            typed=run.places.typed(item),
        )
    except StepReplayError as error:
        raise verdicts.setup_failure(item, error) from None
    item.stash[SNAPSHOTS] = snapshots
    item.stash[PASSED] = item.stash[FAILED] = False
    config.stash[IN_USE] = True
    return snapshots


class _Protection:
    """What keeps secrets out of the snapshots of a test; made where something is to be written."""

    def __init__(self, settings: Settings, secrets: Callable[[], frozenset[str]]) -> None:
        self._settings, self._secrets = settings, secrets

    @cached_property
    def redactor(self) -> redactor.Redactor:
        values = self._secrets().union(self._settings.secrets)
        return redactor.Redactor(fields=self._settings.redact_fields, values=values)

    @property
    def wall(self) -> wall.Wall:
        allowed = tuple(selector for selector, _ in self._settings.allow_secret)
        return wall.Wall(self.redactor.known, allowed)


def _policy(settings: Settings, item: pytest.Item) -> Policy:
    """Returns what the settings say, with the contract of the host that the test's cassette was last asked for."""
    session = item.stash.get(SESSION, None)
    asked = (session.recorded or session.played) if session else ()
    return drift_policy.policy_for(settings, asked[-1].request.url if asked else "", fail_on="content")


@pytest.hookimpl(tryfirst=True)
def pytest_assertrepr_compare(
    config: pytest.Config, op: str, left: object, right: object
) -> list[str] | None:
    """Says what differs, the leading fact first."""
    if op not in {"==", "!="} or not config.stash.get(IN_USE, False):
        return None

    for side, value in ((right, left), (left, right)):
        if isinstance(side, comparing.ChatSnapshot | comparing.Snapshot):
            owner = side if isinstance(side, comparing.ChatSnapshot) else side.owner
            name = None if isinstance(side, comparing.ChatSnapshot) else side.name
            comparison = owner.comparison_of(value, name, holds=op == "!=")
            return (
                explaining.explain(owner, comparison, most_lines=_most_lines(config)) if comparison else None
            )
    return None


def _most_lines(config: pytest.Config) -> int | None:
    """Returns how long an explanation may be; None for as long as it is."""
    if config.get_verbosity(pytest.Config.VERBOSITY_ASSERTIONS) >= 2:
        return None
    # In CI pytest cuts nothing, since nobody can ask for more there.
    return (
        _MOST_CI_LINES if any(os.environ.get(name) for name in ("CI", "BUILD_NUMBER")) else explaining.SHORT
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Writes the snapshots once all fixtures and the cassette are done, since only then the test has passed."""
    __tracebackhide__ = True  # what a teardown raises comes through here
    snapshots = item.stash.get(SNAPSHOTS, None)
    if snapshots is None:
        return (yield)
    try:
        result = yield
    except BaseException:
        item.stash[OUTCOME] = values_of(snapshots.close(passed=False, failed=item.stash[FAILED]))
        raise
    try:
        outcome = snapshots.close(passed=item.stash[PASSED], failed=item.stash[FAILED])
        item.stash[OUTCOME] = values_of(outcome)
    except StepReplayError as error:
        raise verdicts.failure(error) from None
    return result


def take_report(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Notes how the test ended, and shows what differs where no assertion has shown it."""
    snapshots = item.stash[SNAPSHOTS]
    if report.failed:
        item.stash[FAILED] = True
        report.sections += _untold(item.config, snapshots)
    if call.when == "call":
        item.stash[PASSED] = report.passed
    if call.when == "teardown":
        del item.stash[SNAPSHOTS]
        outcome = item.stash.get(OUTCOME, None)
        if outcome is not None:
            report.stepreplay_snapshots = outcome  # type: ignore[attr-defined]  # reports carry what they get
            del item.stash[OUTCOME]


def _untold(config: pytest.Config, snapshots: ChatSnapshot) -> list[tuple[str, str]]:
    most_lines = _most_lines(config)
    return [
        (
            f"stepreplay: snapshot {each.name} differs",
            "\n".join(explaining.explain(snapshots, each, most_lines=most_lines)),
        )
        for each in snapshots.untold()
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which snapshots were written, and which wait for a person."""
    reports = [each for found in terminalreporter.stats.values() for each in found]
    outcomes = [each.stepreplay_snapshots for each in reports if hasattr(each, "stepreplay_snapshots")]
    lines = _summary(terminalreporter.config, outcomes)
    if lines:
        terminalreporter.write_sep("=", "stepreplay snapshots")
        for line in lines:
            coloring.write_line(terminalreporter, line)


def _summary(config: pytest.Config, outcomes: list[dict[str, Any]]) -> list[str]:
    lines, places = [], config.stash[RUN].places
    written = [each for each in outcomes if each["added"] or each["changed"] or each["removed"]]
    if written:
        numbers = {sort: sum(len(each[sort]) for each in written) for sort in ("added", "changed", "removed")}
        told = ", ".join(f"{number} {sort}" for sort, number in numbers.items() if number)
        lines.append(f"{told} in {plural(len(written), 'file')}")
    facts = [
        f"  {places.shown(each['path'])} {found['snapshot']}: {found['line']}"
        for each in written
        for found in each["drifts"]
        if found["snapshot"] in each["changed"]
    ]
    lines += facts[:_MOST_FACTS]
    if len(facts) > _MOST_FACTS:
        lines.append(f"  … and {len(facts) - _MOST_FACTS} more")
    pending = {each["pending"] for each in outcomes if each["pending"]}
    if pending:
        lines.append(f"pending in {plural(len(pending), 'file')}; decide with: {review_command()}")
    return lines
