"""Whose cassette is where: a test, or a fixture that outlives tests, goes in, and the path of its file comes out.

A test is its file and its name, whatever pytest calls it. Its cassette is where the ini file of its own project puts
it, wherever pytest is started.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final
from unicodedata import normalize

import pytest

from .. import projects
from ..errors import display_path
from ..machine import disk
from ..settings import MARKER_SETTINGS, Settings
from ..store import paths
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..store.paths import ModuleCassettes

PYTEST: Final = Path(pytest.__file__).parent


@dataclass(frozen=True, slots=True, eq=False)
class Home:
    """The project that a test belongs to.

    Attributes:
        root: its folder.
        ini: what its ini file sets.
        settings: of a test that sets nothing itself.
    """

    root: Path
    ini: Mapping[str, object]
    settings: Settings

    def cassettes(self, settings: Settings) -> Path:
        """Returns the folder of the cassettes."""
        return self.root / settings.dir


class CassettePlaces:
    """Where the cassettes of a run are.

    Attributes:
        home: the project that pytest was started for.
        folder: that of its cassettes.
        roots: the folders of the cassettes of all projects that were asked for, with the projects' own.
    """

    def __init__(
        self, config: pytest.Config, ini: Mapping[str, object], command_line: Mapping[str, object]
    ) -> None:
        """Looks at nothing yet.

        Args:
            config: pytest's.
            ini: what the ini file of the run sets.
            command_line: what the command line sets.
        """
        self._command_line = command_line
        self._start = config.invocation_params.dir
        self.home = Home(config.rootpath, ini, Settings.merge(ini, command_line))
        self.folder = self.home.cassettes(self.home.settings)
        self.roots: dict[Path, Path] = {}
        # Who names an ini file, or a folder for the cassettes, means all tests of the run.
        named = getattr(config.option, "inifilename", None) or "dir" in command_line
        self._homes: dict[Path, Home] | None = None if named else {config.rootpath: self.home}
        self._ini_folder = config.inipath.parent if config.inipath else None
        # By texts, since to hash and to compare paths costs more than all else that is asked of a test's place.
        self._home_of_file: dict[str, Home] = {}
        self._inside = os.path.join(config.rootpath, "")  # noqa: PTH118
        self._folders: dict[tuple[Home, str], Path] = {}
        self._found: dict[Path, list[Sequence[object]]] = {}
        self._modules: dict[tuple[Path, Path], ModuleCassettes] = {}
        self._paths: dict[tuple[Path, str, str], Path] = {}
        self._shown_folders: dict[str, str] = {}
        self._checked: set[tuple[str, Path]] = set()

    def home_of(self, file: Path) -> Home:
        """Returns the project that a file belongs to.

        Raises:
            StepReplayError: its ini file is broken, or sets what is not valid.
        """
        if self._homes is None:
            return self.home
        home = self._home_of_file.get(str(file))
        if home is None:
            folder = file.parent
            home = self._homes.get(folder)
            if home is None:
                home = self._homes[folder] = self._find_home(folder, self._homes)
            self._home_of_file[str(file)] = home
        return home

    def _find_home(self, folder: Path, homes: dict[Path, Home]) -> Home:
        inside = folder.is_relative_to(self.home.root)
        project = projects.find_project(folder, below=self._ini_folder)
        # What says nothing about pytest marks a project only where there is no other.
        if not project.is_found or (inside and project.path is None):
            return self.home
        known = homes.get(project.root)
        if known is not None:
            return known
        of_run = {name: value for name, value in self.home.ini.items() if inside or name not in _OF_TESTS}
        ini = {**of_run, **project.settings(*_OF_TESTS)}
        home = homes[project.root] = Home(project.root, ini, Settings.merge(ini, self._command_line))
        return home

    def note(self, result: Sequence[object]) -> None:
        """Takes what a collector has found, also what is not run: a test's file is named with a look at all of it."""
        first = next((each for each in result if isinstance(each, pytest.Item)), None)
        if first is not None:
            self._found.setdefault(first.path, []).append(result)

    def of_test(self, item: pytest.Item, settings: Settings) -> Path:
        """Returns the path of a test's cassette.

        Raises:
            SettingsError: the name that it was given is not valid.
            StepReplayError: the ini file of its project is broken.
        """
        if settings.cassette is not None:
            home = self.home_of(item.path)
            return paths.named_path(self._root(home, settings), settings.cassette)
        name = name_of(item)
        path = self._paths.get((item.path, name, settings.dir))
        if path is None:
            path = self._paths[item.path, name, settings.dir] = self._find(
                self.home_of(item.path), item.path, name, settings
            )
        return path

    def snapshots_of(self, item: pytest.Item, settings: Settings) -> Path:
        """Returns the path of a test's snapshots: they are its own, also where it shares a cassette by name."""
        home = self.home_of(item.path)
        return self._find(home, item.path, name_of(item), settings, paths.SNAPSHOTS_SUFFIX)

    def of_fixture(
        self, request: pytest.FixtureRequest, fixturedef: pytest.FixtureDef[Any], settings: Settings
    ) -> tuple[Path, str]:
        """Returns the path of the cassette of a fixture that outlives tests, and the fixture's id."""
        home, file = self._place_of_fixture(request, fixturedef)
        index = f"[{getattr(request, 'param_index', 0)}]" if hasattr(request, "param") else ""
        classes = fixturedef.baseid.partition("::")[2].split("::")
        name = ".".join([*filter(None, classes), fixturedef.argname.lstrip("_")]) + index
        path = self._find(home, file, f"{name}.fixture", settings)
        return path, f"{self._module(home, file).as_posix()}::{name} (fixture)"

    def home_of_fixture(self, request: pytest.FixtureRequest, fixturedef: pytest.FixtureDef[Any]) -> Home:
        """Returns the project that a fixture belongs to."""
        return self._place_of_fixture(request, fixturedef)[0]

    def _place_of_fixture(
        self, request: pytest.FixtureRequest, fixturedef: pytest.FixtureDef[Any]
    ) -> tuple[Home, Path]:
        file = Path(inspect.getfile(fixturedef.func))
        if not file.is_relative_to(PYTEST):  # as setup_class and its like are
            home = self.home_of(file)
            if file.is_relative_to(home.root) or file.name == "conftest.py" or file in self._found:
                return home, file
        beside: Path = request.node.path
        return (self.home if isinstance(request.node, pytest.Session) else self.home_of(beside)), beside

    def id_of(self, item: pytest.Item) -> str:
        """Returns what a test is called in its cassette: its file, relative to its project, and its name."""
        home = self.home_of(item.path)
        if home is self.home and str(item.path).startswith(self._inside):
            return item.nodeid
        return f"{self._module(home, item.path).as_posix()}::{item.nodeid.partition('::')[2]}"

    def typed(self, item: pytest.Item) -> str:
        """Returns what a person types to run a test, in the folder where this run was started."""
        return f"{self.shown(item.path)}::{item.nodeid.partition('::')[2]}"

    def shown(self, file: str | os.PathLike[str]) -> str:
        """Returns the path of a file as a person types it, in the folder where this run was started."""
        folder, sep, name = os.fspath(file).rpartition(os.sep)
        lead = self._shown_folders.get(folder)
        if lead is None:
            lead = os.path.relpath(folder + sep, self._start).replace(os.sep, "/")
            lead = self._shown_folders[folder] = "" if lead == "." else f"{lead}/"
        return f"{lead}{name}"

    def typed_id(self, test: str, cassette: Path) -> str:
        """Returns what a person types here for the id of a test that stands in a cassette of the same project."""
        file, colons, name = test.partition("::")
        roots = (root for cassettes, root in self.roots.items() if cassette.is_relative_to(cassettes))
        path = os.path.relpath(next(roots, self.home.root) / file, self._start).replace(os.sep, "/")
        return f"{path}{colons}{name}"

    def root_of(self, item: pytest.Item, settings: Settings) -> Path:
        """Returns the folder of the cassettes of a test's project."""
        return self._root(self.home_of(item.path), settings)

    def check_inside(self, path: Path, root: Path) -> None:
        """Does what `paths.check_inside` does, for a file to read; its folders are looked at once in a run.

        Raises:
            CassetteError: a symbolic link leads out.
        """
        folder = os.path.dirname(path), root  # noqa: PTH120
        if folder not in self._checked or disk.is_link(path):
            paths.check_inside(path, root)
            self._checked.add(folder)

    def _find(self, home: Home, file: Path, name: str, settings: Settings, suffix: str = ".yaml") -> Path:
        module = self._module_cassettes(home, file, settings)
        if home is not self.home and not module.has(name):
            # An earlier release looked where pytest was started.
            earlier = self._module_cassettes(self.home, file, self.home.settings)
            if earlier.has(name):
                return earlier.path_of(name, suffix)
        return module.path_of(name, suffix)

    def _module_cassettes(self, home: Home, file: Path, settings: Settings) -> paths.ModuleCassettes:
        root = self._root(home, settings)
        module = self._modules.get((file, root))
        if module is None:
            found = (each for result in self._found.get(file, ()) for each in result)
            names = {name_of(each) for each in found if isinstance(each, pytest.Item)}
            module = paths.ModuleCassettes(root, _module_below(root, home, file), names)
            self._modules[file, root] = module
        return module

    def _root(self, home: Home, settings: Settings) -> Path:
        root = self._folders.get((home, settings.dir))
        if root is None:
            root = self._folders[home, settings.dir] = home.cassettes(settings)
            self.roots[root] = home.root
        return root

    @staticmethod
    def _module(home: Home, file: Path) -> PurePath:
        return PurePath(os.path.relpath(file, home.root))


class CassetteOwners:
    """Whose each cassette is that the collected tests use.

    Attributes:
        tests: the id of the test or fixture, by the path of its cassette.
        shared: the cassettes that several tests have, since one of them has named it.
        modules: those that were collected.
        folders: those beside the tests that hold cassettes.
        fixtures: the definitions of the fixtures that tests with a cassette use, and that outlive them.
    """

    def __init__(self, places: CassettePlaces) -> None:
        self._places = places
        self._claims: dict[str, _Claim] = {}
        self.tests: dict[Path, str] = {}
        self.shared: set[Path] = set()
        self.modules: set[Path] = set()
        self.folders: set[Path] = set()
        self.fixtures: set[pytest.FixtureDef[object]] = set()

    def know(self, items: Iterable[pytest.Item]) -> None:
        """Notes which modules the tests are in, be it with a cassette or without."""
        module = None
        for item in items:
            if item.path is not module:  # as many tests follow one another that share it
                module = item.path
                self.modules.add(module)

    def own(self, path: Path, test: str) -> None:
        """Notes whose a cassette is."""
        self.tests[path] = test

    def claim(self, item: pytest.Item, path: Path, *, is_named: bool) -> None:
        """Notes that a test, and the wider fixtures that it uses, have cassettes.

        Args:
            item: the test.
            path: its cassette.
            is_named: the test says so, so that others may have the same.

        Raises:
            UsageError: another test has it, too, and nobody has said that they share it.
        """
        claim = _Claim(item, path, is_named)
        first = self._claims.setdefault(normalize("NFC", str(path).casefold()), claim)
        if first is not claim and not _is_same_test(first.item, item):
            self._share(first, claim)
        self.own(path, self._places.id_of(item))
        info = getattr(item, "_fixtureinfo", None)
        for definitions in info.name2fixturedefs.values() if info else ():
            self.fixtures.update(each for each in definitions if each.scope != "function")

    def _share(self, first: _Claim, second: _Claim) -> None:
        if first.path == second.path and (first.is_named or second.is_named):
            self.shared.add(first.path)
            return
        one, other = (self._places.typed(each.item) for each in (first, second))
        where = display_path(second.path) + (
            "" if first.path == second.path else " on file systems that ignore case"
        )
        raise pytest.UsageError(
            f"{other} and {one} would share {where}. "
            'Rename one, or name its cassette: @pytest.mark.stepreplay(cassette="...")'
        )

    def claimed_by(self, items: Iterable[pytest.Item]) -> list[Path]:
        """Returns the cassettes of tests."""
        chosen = set(items)
        return [claim.path for claim in self._claims.values() if claim.item in chosen]


@dataclass(frozen=True, slots=True, eq=False)
class _Claim:
    """A test's claim to a file."""

    item: pytest.Item
    path: Path
    is_named: bool


def _is_same_test(one: pytest.Item, other: pytest.Item) -> bool:
    return one.path == other.path and name_of(one) == name_of(other)


def _module_below(root: Path, home: Home, file: Path) -> PurePath:
    """Return the module as the folder of the cassettes has it: relative to the project.

    One outside of the project may hold the cassettes of others too, in which a module is called the same. So
    there it is relative to what the folder and the module have in common.
    """
    folder = Path(os.path.normpath(root))
    if not folder.is_relative_to(home.root) and file.is_relative_to(folder.parent):
        return PurePath(file.relative_to(folder.parent))
    return PurePath(os.path.relpath(file, home.root))


_OF_TESTS: Final = ("dir", "store", *MARKER_SETTINGS)
"""The settings that are a test's own; all others are the run's."""


def name_of(item: pytest.Item) -> str:
    """Returns the name of a test in its module: ``TestClass.test_name[parameter]``."""
    name, bracket, parameters = item.nodeid.partition("::")[2].partition("[")
    fault = fault_of(item)
    if fault:  # each run of a test with another fault is answered from one tape
        others = [each for each in parameters.removesuffix("]").split("-") if each != fault]
        bracket, parameters = ("[", "-".join(others) + "]") if others else ("", "")
    return name.replace("::", ".") + bracket + parameters


def fault_of(item: pytest.Item) -> str:
    """Returns the fault that a test is run with for its marker's `faults`; empty for none."""
    return str(getattr(getattr(item, "callspec", None), "params", {}).get("stepreplay_fault", ""))
