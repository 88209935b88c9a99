"""Tests that are marked for pytest-recording or pytest-vcr, run on ours: `stepreplay_adopt_vcr_marker = true`.

A pytest plugin of its own, which the main one registers where a project asks for it. It has the markers,
fixtures and options of the other two by their names, and opens a test's cassette from what they say. What it needs
of the run around it is an `AdoptingRun`.
"""

from __future__ import annotations

import inspect
import re
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import pytest

from ..errors import SettingsError
from ..machine import disk
from ..network import guard
from ..session import exchange, sessions
from ..settings import LIVE
from ..store import files
from . import filters as vcr_filters
from . import project_vcr
from .cassette_names import (
    cassette_name_of,
    cassette_path_of,
    existing_cassette,
    folder_beside,
    lenders_of,
)
from .config import (
    RECORD_MODES,
    Adopted,
    mode_of,
    read_allowed_hosts,
    read_record_mode,
    read_vcr_config,
    record_mode_of,
    request_parts_of,
)
from .suites import ADOPT_KEY, RIVALS
from .vcr_cassette import VcrCassette

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..errors import StepReplayError
    from ..settings import Mode, Settings

_WIDE_USE: Final = re.compile(
    r"""@pytest\.fixture\([^)]*scope\s*=\s*["'](?:class|module|package|session)["'][^)]*\)\s*"""
    r"""(?:async\s+)?def\s+\w+\([^)]*\bvcr\b"""
)
_MADE_FOR_PYTEST_VCR: Final[pytest.StashKey[bool]] = pytest.StashKey()
_NAMESAKES: Final[pytest.StashKey[dict[str, set[tuple[Path, str]]]]] = pytest.StashKey()
"""By the name of a cassette in whichever case, the modules and tests that have one of this name."""


class AdoptingRun(Protocol):
    """The pytest run, as far as its adopted tests need it."""

    @property
    def mode_is_given(self) -> bool:
        """Whether the command line says the mode in our words."""

    @property
    def mode(self) -> Mode:
        """The mode that holds where nothing else is said."""

    def settings_of(self, item: pytest.Item, given: Mapping[str, object]) -> Settings:
        """Returns what is set for a test, by the ini file, the command line and the `stepreplay_config` fixture."""

    def id_of(self, item: pytest.Item) -> str:
        """Returns the id of a test."""

    def typed(self, item: pytest.Item) -> str:
        """Returns the id of a test, as a person types it."""

    def adopt(self, item: pytest.Item) -> None:
        """Notes that a test is served by the fixture `stepreplay`, for another plugin's marker."""

    def is_adopted(self, item: pytest.Item) -> bool:
        """Whether that was noted."""

    def refuse(self, item: pytest.Item, error: StepReplayError) -> None:
        """Fails a test, when it is its turn, by what is wrong with its marker."""

    def session_of(self, item: pytest.Item) -> sessions.Session | None:
        """Returns the open session of a test."""

    def own(self, path: Path, test: str, *, beside: bool = False) -> None:
        """Notes whose a cassette is; and, if it lies beside the tests, that its folder holds cassettes."""

    def note(self, note: str) -> None:
        """Notes what the end of the run says of a suite's settings, once."""


RUN: Final[pytest.StashKey[AdoptingRun]] = pytest.StashKey()
"""Set by whoever registers this plugin."""


class Hooks:
    """What a `conftest.py` written for pytest-recording may implement."""

    def pytest_recording_configure(self, config: pytest.Config, vcr: object) -> None:
        """Called for each test, with a `vcr.VCR` to set matchers, serializers and filters on."""


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
        help="regular expressions of hosts that may still be reached, separated by commas",
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
    run, namesakes = config.stash[RUN], config.stash.setdefault(_NAMESAKES, {})
    for item in items:
        names: list[str] | None = getattr(item, "fixturenames", None)
        if names is None:
            continue
        if config.getoption("stepreplay_vcr_block_network") or item.get_closest_marker("block_network"):
            _put_first(names, "block_network")
        markers = list(item.iter_markers("vcr"))
        if (markers or "vcr_cassette" in names) and not item.get_closest_marker("stepreplay"):
            run.adopt(item)
            _put_first(names, "stepreplay")
            # What a test uses that is skipped must not be taken for an orphan.
            folder = folder_beside(item)
            test = run.id_of(item)
            run.own(existing_cassette(folder, cassette_name_of(item), ".yaml", item), test)
            namesakes.setdefault(cassette_name_of(item).casefold(), set()).add((item.path, test))
            try:
                for path in lenders_of(markers, folder):
                    run.own(path, test)
            except SettingsError as error:
                run.refuse(item, error)


def _put_first(names: list[str], name: str) -> None:
    names[:] = [name, *(each for each in names if each != name)]


def open_adopted_session(request: pytest.FixtureRequest, given: Mapping[str, object]) -> sessions.Session:
    """Returns the open session of a test that is marked for another plugin.

    Args:
        request: of the test's `stepreplay` fixture.
        given: what the `stepreplay_config` fixture says.

    Raises:
        SettingsError: the `vcr_config` or the marker is not valid.
        CassetteError: the cassette cannot be used.
    """
    item, run = request.node, request.config.stash[RUN]
    markers = list(item.iter_markers("vcr"))
    config = _merged_config(request, markers)
    vcr = _project_vcr(request)
    if vcr is not None:
        config = project_vcr.told(vcr, str(vcr.cassette_library_dir)) | config
    adopted = read_vcr_config(config)
    for note in adopted.notes:
        run.note(f"vcr_config, {note}")
    folder = Path(
        disk.absolute(request.config.invocation_params.dir / request.getfixturevalue("vcr_cassette_dir"))
    )
    name = str(request.getfixturevalue("vcr_cassette_name"))
    path = cassette_path_of(item, adopted.places, folder, name)
    settings = replace(run.settings_of(item, given), **adopted.settings)
    settings, filters = _with_filters(settings, adopted, config, vcr)
    settings = replace(
        settings,
        mode=_mode_of(request, adopted, run, path),
        ignore_hosts=settings.ignore_hosts + adopted.ignored_hosts,
        allowed_hosts=settings.allowed_hosts + _allowed_hosts(request, markers),
    )
    session = sessions.Session(
        settings,
        path,
        test=run.id_of(item),
        typed=run.typed(item),
        shared=name != cassette_name_of(item) or _has_namesakes(item, path),
        root=folder,
        lenders=tuple(lenders_of(markers, folder)),
        filters=filters,
    )
    session.load()
    run.own(path, run.id_of(item), beside=True)
    return session


def _has_namesakes(item: pytest.Item, path: Path) -> bool:
    """Whether another test has the same file: by the names of the other plugins, and in a folder of many modules."""
    found = item.config.stash[_NAMESAKES].get(cassette_name_of(item).casefold(), set())
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
    return given or record_mode_of(request.config.stash[RUN].mode)


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
        return cassette_name_of(request.node)
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


def _scope_of_vcr(
    fixture_name: str,  # noqa: ARG001 - pytest gives it by this name
    config: pytest.Config,
) -> Literal["module", "function"]:
    return "module" if _is_made_for_pytest_vcr(config) else "function"


@pytest.fixture(scope=_scope_of_vcr)
def vcr(request: pytest.FixtureRequest) -> Any:
    """The test's cassette, or None without the marker; in a suite made for pytest-vcr, the module's `vcr.VCR`."""
    if not _is_made_for_pytest_vcr(request.config):
        return _cassette_of(request)

    folder, given = str(request.getfixturevalue("vcr_cassette_dir")), _merged_config(request, [])
    if folder == str(folder_beside(request.node)):  # it is pytest-recording's
        folder = str(Path(folder).parent)
    asked = request.config.getoption("stepreplay_record_mode") or given.get("record_mode")
    asked = asked or request.getfixturevalue("record_mode")
    given["record_mode"] = "all" if asked == "rewrite" else asked  # vcrpy itself has no `rewrite`
    return project_vcr.make_vcr(folder, ".yaml", given)


@pytest.fixture
def vcr_cassette(request: pytest.FixtureRequest) -> VcrCassette | None:
    """The test's cassette; pytest-vcr's name for it."""
    return _cassette_of(request)


def _cassette_of(request: pytest.FixtureRequest) -> VcrCassette | None:
    session = request.config.stash[RUN].session_of(request.node)
    return None if session is None else VcrCassette(session)


@pytest.fixture
def block_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keeps a test on this machine; one that records may reach what it records."""
    if request.config.stash[RUN].is_adopted(request.node):  # its cassette sees to it
        yield
        return
    try:
        hosts = _allowed_hosts(request, [])
    except SettingsError as error:
        pytest.fail(str(error), pytrace=False)
    with guard.blocked(hosts):
        yield


# ---------------------------------------------------------------- what they mean for a cassette


def _merged_config(request: pytest.FixtureRequest, markers: Sequence[pytest.Mark]) -> dict[str, Any]:
    given = request.getfixturevalue("vcr_config")
    if not isinstance(given, dict):
        raise SettingsError(f"the vcr_config fixture must return a dict, not {type(given).__name__}")
    merged: dict[str, Any] = dict(given)
    for marker in reversed(markers):
        merged.update(marker.kwargs)
    return merged


def _mode_of(request: pytest.FixtureRequest, adopted: Adopted, run: AdoptingRun, path: Path) -> Mode:
    """Returns our mode: by --stepreplay, else by --record-mode, the vcr_config, the fixture or the ini file."""
    if run.mode_is_given:
        return run.mode
    if request.getfixturevalue("disable_recording"):
        return LIVE
    name = request.config.getoption("stepreplay_record_mode") or adopted.record_mode
    if name is None:
        name = read_record_mode(request.getfixturevalue("record_mode"), "the record_mode fixture")
        if name in {None, record_mode_of(run.mode)}:
            return run.mode
    return mode_of(name, exists=files.exists(path))


def _allowed_hosts(request: pytest.FixtureRequest, markers: Sequence[pytest.Mark]) -> tuple[str, ...]:
    """Returns the hosts that pytest-recording's settings let through, the closest setting alone."""
    marker = request.node.get_closest_marker("block_network")
    if marker is not None and (marker.args or marker.kwargs.keys() - {"allowed_hosts"}):
        raise SettingsError("@pytest.mark.block_network takes only allowed_hosts=[...]")
    given = (
        (marker.kwargs.get("allowed_hosts") if marker else None)
        or request.config.getoption("stepreplay_vcr_allowed_hosts")
        or _merged_config(request, markers).get("allowed_hosts")
    )
    hosts, unclear = read_allowed_hosts(given)
    for each in unclear:
        request.config.stash[RUN].note(f"allowed_hosts, {each!r} is not a host name; it stays blocked")
    return hosts


def _is_made_for_pytest_vcr(config: pytest.Config) -> bool:
    """Whether a suite was made for pytest-vcr, whose `vcr` is another object than pytest-recording's.

    A fixture that outlives a test can ask for pytest-vcr's alone. Else it is the plugin that is kept out of this run,
    or that is installed, if just one of them is.
    """
    known = config.stash.get(_MADE_FOR_PYTEST_VCR, None)
    if known is None:
        known = config.stash[_MADE_FOR_PYTEST_VCR] = _find_out(config.pluginmanager)
    return known


def _find_out(plugins: pytest.PytestPluginManager) -> bool:
    for plugin in plugins.get_plugins():
        if str(getattr(plugin, "__file__", "")).endswith("conftest.py"):
            with suppress(OSError, TypeError):
                if _WIDE_USE.search(inspect.getsource(plugin)):
                    return True
    blocked = plugins.is_blocked("vcr"), plugins.is_blocked("recording")
    installed = find_spec("pytest_vcr") is not None, find_spec("pytest_recording") is not None
    return next((pytest_vcr for pytest_vcr, other in (blocked, installed) if pytest_vcr is not other), False)


def _project_vcr(request: pytest.FixtureRequest) -> Any:
    """Returns the `vcr.VCR` that the project's hooks and fixtures have configured; None where none does."""
    item = request.node
    if _is_made_for_pytest_vcr(request.config):
        used = False
        for name, definitions in item._fixtureinfo.name2fixturedefs.items():
            if any("vcr" in each.argnames for each in definitions):
                used = True
                if definitions[-1].scope != "function":
                    request.getfixturevalue(name)  # it may register what reading the cassette needs
        vcr = request.getfixturevalue("vcr") if used else None
        return vcr if hasattr(vcr, "get_merged_config") else None
    hook = request.config.hook.pytest_recording_configure
    if not hook.get_hookimpls():
        return None

    vcr = project_vcr.make_vcr(str(request.getfixturevalue("vcr_cassette_dir")), ".yaml", {})
    hook(config=request.config, vcr=vcr)
    return vcr


def _with_filters(
    settings: Settings, adopted: Adopted, config: Mapping[str, Any], vcr: Any
) -> tuple[Settings, exchange.Filters | None]:
    """Returns the settings without the parts of a request that matchers of the project compare, and its filters."""
    if not adopted.filters and not adopted.matchers and vcr is None:
        return settings, None

    filters = exchange.Filters()
    if adopted.filters:
        filters = exchange.Filters(
            vcr_filters.request_filter(adopted.filters), vcr_filters.response_filter(adopted.filters)
        )
    if vcr is None and not adopted.matchers:
        return settings, filters
    vcr = vcr or project_vcr.make_vcr("", ".yaml", {})
    given = config.get("match_on") or ()
    names = [*adopted.matchers, *((given,) if isinstance(given, str) else given or settings.match_on)]
    own = project_vcr.own_matchers(vcr, [name for name in names if name != "headers"])
    if own:
        filters = replace(filters, same=project_vcr.same_by(own))
        ours = () if given and "match_on" not in adopted.settings else settings.match_on
        theirs = {part for name in own for part in request_parts_of(name)}
        settings = replace(
            settings, match_on=tuple(part for part in ours if part not in theirs) or ("scheme",)
        )
    parse = project_vcr.own_deserializer(vcr, str(adopted.places.get("serializer", "yaml")))
    filters = replace(filters, parse=parse)
    return settings, filters if adopted.filters or own or parse else None
