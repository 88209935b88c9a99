"""Tests that are marked for pytest-recording or pytest-vcr, run on ours: `stepreplay_adopt_vcr_marker = true`.

A pytest plugin of its own, which the main one registers where a project asks for it. It has the markers,
fixtures and options of the other two by their names, and opens a test's cassette from what they say.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from ..errors import SettingsError
from ..machine import disk
from ..settings import LIVE, RECORD, REPLAY, REWRITE
from .run import ADOPT_KEY, ADOPTED, RUN, Run, with_secrets
from .vcr_config import MODES, RECORD_MODES, read_allowed_hosts, read_record_mode, read_vcr_config
from .vcr_places import existing_path, folder_beside, lenders_of, name_of, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..session import Filters, Session
    from ..settings import Mode
from .vcr_config import Adopted

RIVALS: Final = {
    "recording": "pytest-recording",
    "vcr": "pytest-vcr",
    "cassetter": "cassetter",
}
"""Plugins that would answer the same markers, by the names of their entry points."""


class Hooks:
    """What a `conftest.py` written for pytest-recording may implement."""

    def pytest_recording_configure(self, config: pytest.Config, vcr: object) -> None:
        """It is never called; a note says so."""


def prepare(config: pytest.Config, parser: pytest.Parser) -> None:
    """Adds the options of the other plugins, before the command line is read.

    Raises:
        UsageError: one of the other plugins is there, and would answer the same markers.
    """
    for name, package in RIVALS.items():
        if config.pluginmanager.hasplugin(name):
            raise pytest.UsageError(
                f"{ADOPT_KEY} is set, and {package} is installed: both would answer @pytest.mark.vcr.\n"
                f"Uninstall {package}, or keep it out of this run: pytest -p no:{name} "
                f"(as a line of the ini file: addopts = -p no:{name})"
            )
    group = parser.getgroup("stepreplay")
    group.addoption(
        "--record-mode",
        "--vcr-record",
        "--vcr-record-mode",
        dest="stepreplay_record_mode",
        choices=RECORD_MODES,
        help="as in pytest-recording and pytest-vcr; --stepreplay=MODE wins",
    )
    group.addoption(
        "--disable-recording",
        "--disable-vcr",
        dest="stepreplay_disable",
        action="store_true",
        help="send every request, and record nothing: --stepreplay=live",
    )
    group.addoption(
        "--block-network",
        dest="stepreplay_vcr_block_network",
        action="store_true",
        help="keep every test on this machine, as pytest-recording does",
    )
    group.addoption(
        "--allowed-hosts",
        dest="stepreplay_vcr_allowed_hosts",
        help="regular expressions of hosts that may be reached nevertheless, separated by commas",
    )
    config.pluginmanager.add_hookspecs(Hooks)


def pytest_configure(config: pytest.Config) -> None:
    """Registers the markers."""
    for line in (
        "vcr(*cassettes, **vcr_config): replay this test's requests from a cassette; adopted by stepreplay.",
        "default_cassette(name): the name of the test's cassette.",
        "block_network(allowed_hosts=None): keep the test on this machine.",
    ):
        config.addinivalue_line("markers", line)


def adopt(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Makes our fixtures the first ones of each test that is marked for another plugin.

    Called once all hooks have set their markers, and for a test whose marker comes later still.
    """
    run = config.stash[RUN]
    for item in items:
        names: list[str] | None = getattr(item, "fixturenames", None)
        if names is None:
            continue
        if config.getoption("stepreplay_vcr_block_network") or item.get_closest_marker("block_network"):
            _put_first(names, "block_network")
        markers = list(item.iter_markers("vcr"))
        if (markers or "vcr_cassette" in names) and not item.get_closest_marker("stepreplay"):
            item.stash[ADOPTED] = True
            _put_first(names, "stepreplay")
            # What a test uses that is skipped must not be taken for an orphan.
            folder = folder_beside(item)
            test = run.places.id_of(item)
            run.owned[existing_path(folder, name_of(item), ".yaml", item)] = test
            run.namesakes.setdefault(name_of(item).casefold(), set()).add((item.path, test))
            try:
                run.owned.update((path, test) for path in lenders_of(markers, folder))
            except SettingsError as error:
                from .opening import WRONG  # noqa: PLC0415 - it imports this module

                item.stash[WRONG] = error
    if config.hook.pytest_recording_configure.get_hookimpls():
        run.notes["pytest_recording_configure is not called: there is no VCR here to configure"] = None


def _put_first(names: list[str], name: str) -> None:
    names[:] = [name, *(each for each in names if each != name)]


def open_adopted(request: pytest.FixtureRequest, given: Mapping[str, object]) -> Session:
    """Returns the open session of a test that is marked for another plugin.

    Args:
        request: of the test's `stepreplay` fixture.
        given: what the `stepreplay_config` fixture says.

    Raises:
        SettingsError: the `vcr_config` or the marker is not valid.
        CassetteError: the cassette cannot be used.
    """
    from ..session import Session  # noqa: PLC0415 - only a run that uses a cassette pays for it

    item, run = request.node, request.config.stash[RUN]
    markers = list(item.iter_markers("vcr"))
    adopted = read_vcr_config(_merged_config(request, markers))
    run.notes.update((f"vcr_config, {note}", None) for note in adopted.notes)
    folder = Path(
        disk.absolute(request.config.invocation_params.dir / request.getfixturevalue("vcr_cassette_dir"))
    )
    name = str(request.getfixturevalue("vcr_cassette_name"))
    path = path_of(item, adopted.places, folder, name)
    settings = with_secrets(run.settings(given, home=run.places.home_of(item.path)), request.config)
    settings = replace(
        settings,
        **adopted.settings,
        mode=_mode_of(request, adopted, run, path),
        ignore_hosts=settings.ignore_hosts + adopted.ignored_hosts,
        allowed_hosts=settings.allowed_hosts + _allowed_hosts(request, markers),
    )
    run.folders.add(path.parent)
    session = Session(
        settings,
        path,
        test=run.places.id_of(item),
        typed=run.places.typed(item),
        shared=name != name_of(item) or _has_namesakes(run, item, path),
        root=folder,
        lenders=tuple(lenders_of(markers, folder)),
        filters=_filters_of(adopted),
    )
    session.load()
    run.owned[path] = run.places.id_of(item)
    return session


def _has_namesakes(run: Run, item: pytest.Item, path: Path) -> bool:
    """Whether another test has the same file: by the names of the other plugins, and in a folder of many modules."""
    found = run.namesakes.get(name_of(item).casefold(), set())
    if path.parent == folder_beside(item):
        found = {each for each in found if each[0] == item.path}
    return len(found) > 1


# ---------------------------------------------------------------- the fixtures of the other plugins


@pytest.fixture(scope="session")
def vcr_config() -> dict[str, object]:
    """Override this, with any scope, as for pytest-recording and pytest-vcr."""
    return {}


@pytest.fixture(scope="session")
def record_mode(request: pytest.FixtureRequest) -> str:
    """The record mode of the run, by its name in vcrpy."""
    given: str | None = request.config.getoption("stepreplay_record_mode")
    return given or _default_record_mode(request.config.stash[RUN])


@pytest.fixture(scope="session")
def disable_recording(request: pytest.FixtureRequest) -> bool:
    """Whether every request is sent, and nothing recorded."""
    return bool(request.config.getoption("stepreplay_disable"))


@pytest.fixture(scope="module")
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    """The folder of the module's cassettes: that of pytest-recording, beside the module."""
    return str(folder_beside(request.node))


@pytest.fixture
def default_cassette_name(request: pytest.FixtureRequest) -> str:
    """The name of the test's cassette, as pytest-recording makes it."""
    marker = request.node.get_closest_marker("default_cassette")
    if marker is None:
        return name_of(request.node)
    if len(marker.args) != 1 or not isinstance(marker.args[0], str):
        pytest.fail("@pytest.mark.default_cassette takes the name of a cassette", pytrace=False)
    return marker.args[0]


@pytest.fixture
def vcr_cassette_name(default_cassette_name: str) -> str:
    """The name of the test's cassette; pytest-vcr's name for it."""
    return default_cassette_name


@pytest.fixture
def vcr_markers(request: pytest.FixtureRequest) -> list[pytest.Mark]:
    """The markers of the test, the closest one first."""
    return list(request.node.iter_markers("vcr"))


@pytest.fixture
def vcr(request: pytest.FixtureRequest) -> VcrCassette | None:
    """The test's cassette, with what tests ask vcrpy's for; None in a test without the marker."""
    from .opening import SESSION  # noqa: PLC0415 - it imports this module

    session = request.node.stash.get(SESSION, None)
    return None if session is None else VcrCassette(session)


@pytest.fixture
def vcr_cassette(vcr: VcrCassette | None) -> VcrCassette | None:
    """The test's cassette; pytest-vcr's name for it."""
    return vcr


@pytest.fixture
def block_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keeps a test on this machine; one that records may reach what it records."""
    from .. import network  # noqa: PLC0415 - only a run that blocks pays for it

    if request.node.stash.get(ADOPTED, False):  # its cassette sees to it
        yield
        return
    try:
        hosts = _allowed_hosts(request, [])
    except SettingsError as error:
        pytest.fail(str(error), pytrace=False)
    with network.blocked(hosts):
        yield


class VcrCassette:
    """A session, with what tests ask vcrpy's cassette for."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def play_count(self) -> int:
        """How many requests were answered from the cassette."""
        return len(self._session.played)

    @property
    def all_played(self) -> bool:
        """Whether each recorded interaction has been played."""
        return {id(each) for each in self._session.interactions} <= {
            id(each) for each in self._session.played
        }

    @property
    def requests(self) -> list[Any]:
        """The recorded requests, as vcrpy's."""
        from ..interception.vcr_filters import to_vcr_request  # noqa: PLC0415 - it imports vcrpy

        return [to_vcr_request(each.request) for each in self._session.interactions]

    @property
    def responses(self) -> list[dict[str, Any]]:
        """The recorded responses, as vcrpy's."""
        from ..interception.vcr_filters import to_vcr_response  # noqa: PLC0415 - as above

        return [to_vcr_response(each.response) for each in self._session.interactions]

    def __len__(self) -> int:
        return len(self._session.interactions)


# ---------------------------------------------------------------- what they mean for a cassette


def _merged_config(request: pytest.FixtureRequest, markers: Sequence[pytest.Mark]) -> dict[str, Any]:
    given = request.getfixturevalue("vcr_config")
    if not isinstance(given, dict):
        raise SettingsError(f"the vcr_config fixture must return a dict, not {type(given).__name__}")
    merged: dict[str, Any] = dict(given)
    for marker in reversed(markers):
        merged.update(marker.kwargs)
    return merged


def _mode_of(request: pytest.FixtureRequest, adopted: Adopted, run: Run, path: Path) -> Mode:
    """Returns our mode: by --stepreplay, else by --record-mode, the vcr_config, the fixture or the ini file."""
    from ..store import exists  # noqa: PLC0415 - only a run that uses a cassette pays for it

    if "mode" in run.command_line:
        return run.settings({}).mode
    if request.getfixturevalue("disable_recording"):
        return LIVE
    option = request.config.getoption("stepreplay_record_mode")
    name = option or adopted.record_mode
    if name is None:
        name = read_record_mode(request.getfixturevalue("record_mode"), "the record_mode fixture")
        if name in {None, _default_record_mode(run)}:
            return run.settings({}).mode
    if name == "once":
        return REPLAY if exists(path) else RECORD
    return MODES[name]


def _default_record_mode(run: Run) -> str:
    names = {RECORD: "new_episodes", REWRITE: "rewrite", LIVE: "all"}
    return names.get(run.settings({}).mode, "none")


def _allowed_hosts(request: pytest.FixtureRequest, markers: Sequence[pytest.Mark]) -> tuple[str, ...]:
    """Returns the hosts that pytest-recording's settings let through, the closest setting alone."""
    marker = request.node.get_closest_marker("block_network")
    if marker is not None and (marker.args or marker.kwargs.keys() - {"allowed_hosts"}):
        raise SettingsError("@pytest.mark.block_network takes nothing but allowed_hosts=[...]")
    given = (
        (marker.kwargs.get("allowed_hosts") if marker else None)
        or request.config.getoption("stepreplay_vcr_allowed_hosts")
        or _merged_config(request, markers).get("allowed_hosts")
    )
    hosts, unclear = read_allowed_hosts(given)
    notes = request.config.stash[RUN].notes
    notes.update(
        (f"allowed_hosts, {each!r} is no name of a host; it stays blocked", None) for each in unclear
    )
    return hosts


def _filters_of(adopted: Adopted) -> Filters | None:
    if not adopted.filters:
        return None
    from ..interception.vcr_filters import request_filter, response_filter  # noqa: PLC0415 - imports vcrpy
    from ..session import Filters  # noqa: PLC0415 - as above

    return Filters(request_filter(adopted.filters), response_filter(adopted.filters))
