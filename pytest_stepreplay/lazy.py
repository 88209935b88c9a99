"""Imports that cost nothing until they are used: a module of ours runs when something of it is first asked for.

``from ..drift import comparison`` at the top of a module gives `comparison` without running it; the first
``comparison.compare`` runs it. ``from ..drift.comparison import compare`` runs it at once, as everywhere in Python.
So imports stand at the top, where readers, type checkers and import-linter see them, and a run pays for what it uses.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import TYPE_CHECKING, Any, AnyStr, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from importlib.machinery import ModuleSpec


def install(package: str) -> None:
    """Has the modules of a package read by Python itself, each when it is first used, and run once.

    pytest would rewrite the asserts of a plugin's modules, whether they have some or not, and read the result many
    times slower than Python reads its own. And a fake file system makes Python forget what was imported while it
    stood: the class of an error, imported again, would not be the one that is caught.
    """
    sys.modules[package].__class__ = _Package
    sys.meta_path.insert(0, _Finder(package))


class _Package(ModuleType):
    """A package of ours: a module that is imported from it by name is there, but has not run yet."""

    def __getattr__(self, name: str) -> Any:
        return _module_of(self, name)


class _Unused(ModuleType):
    """A module that runs when something of it is first used. It stands in no list of Python's before."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("__", "_pytest", "_mock")):  # what tools ask of everything that they come by
            raise _no_attribute(self, name)
        module = import_module(self.__name__)  # waits where another thread is running it
        if module is self and isinstance(self, _Unused):  # it asks for its own, while it is running
            return _module_of(self, name)
        return getattr(module, name)

    def __dir__(self) -> Iterable[str]:
        return dir(import_module(self.__name__))


def _module_of(package: ModuleType, name: str) -> ModuleType:
    full_name = f"{package.__name__}.{name}"
    path = vars(package).get("__path__")
    if (
        path is None
        or name.startswith("__")
        or not (_file_of(name, path) or PathFinder.find_spec(full_name, path))
    ):
        raise _no_attribute(package, name)
    module: ModuleType = vars(package).setdefault(name, sys.modules.get(full_name) or _Unused(full_name))
    return module


class _Folders(dict[str, frozenset[str]]):
    """The names in each folder that is asked for. Python itself would ask the disk anew for each module."""

    look: Any = staticmethod(os.listdir)  # it would be replaced if a name of the module held it

    def __missing__(self, folder: str) -> frozenset[str]:
        try:
            names = frozenset(self.look(folder))
        except OSError:  # no folder, as in a zip file
            names = frozenset()
        self[folder] = names
        return names


_INIT: Final = "__init__.py"
_names_in: Final = _Folders()


def _file_of(name: str, path: Sequence[str] | None) -> str:
    """Returns the file of a module that plainly stands in its package's folder; empty where Python has to look."""
    folder = path[0] if path else ""
    is_module, may_be_package = f"{name}.py" in _names_in[folder], name in _names_in[folder]
    if is_module and not may_be_package:
        return f"{folder}{os.sep}{name}.py"
    if may_be_package and not is_module and _INIT in _names_in[f"{folder}{os.sep}{name}"]:
        return f"{folder}{os.sep}{name}{os.sep}{_INIT}"
    return ""


def _no_attribute(module: ModuleType, name: str) -> AttributeError:
    return AttributeError(f"module {module.__name__!r} has no attribute {name!r}", name=name, obj=module)


class _Finder:
    """Finds the modules of one package, before anyone else is asked."""

    def __init__(self, package: str) -> None:
        self._inside = f"{package}."

    def find_spec(self, name: str, path: Sequence[str] | None = None, *_more: object) -> ModuleSpec | None:
        if not name.startswith(self._inside):
            return None
        parent, _dot, child = name.rpartition(".")
        spec = _find(name, child, path)
        if spec is None or spec.loader is None:
            return spec
        held = vars(sys.modules[parent]).get(child) if parent in sys.modules else None
        if isinstance(held, ModuleType) and held.__name__ == name:
            spec.loader = _Loader(spec.loader, held)
        elif spec.submodule_search_locations is not None:
            spec.loader = _PackageLoader(spec.loader)
        return spec


def _find(name: str, child: str, path: Sequence[str] | None) -> ModuleSpec | None:
    file = _file_of(child, path)
    if not file:
        return PathFinder.find_spec(name, path)
    inside = [file.removesuffix(os.sep + _INIT)] if file.endswith(_INIT) else None
    loader = SourceFileLoader(name, file)
    return spec_from_file_location(name, file, loader=loader, submodule_search_locations=inside)


class _PackageLoader(Loader):
    """Runs a package that nobody holds yet."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = _Package
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)


class _Loader(Loader):
    """Runs a module that others hold already; one that has run stays as it is."""

    def __init__(self, loader: Loader, module: ModuleType) -> None:
        self._loader, self._module = loader, module

    def create_module(self, _: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        has_run = not isinstance(module, _Unused)
        if has_run:
            return
        before = dict(vars(module))
        try:
            self._loader.exec_module(module)
        except BaseException:
            vars(module).clear()
            vars(module).update(before)
            raise
        module.__class__ = _Package if hasattr(module, "__path__") else ModuleType


def late_pattern(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Returns what `re.compile` does, compiled when it is first used: most runs need a few of all that there are."""
    return cast("re.Pattern[AnyStr]", _LatePattern(pattern, flags))


class _LatePattern:
    """A regular expression that is compiled when something of it is first asked for."""

    def __init__(self, pattern: Any, flags: int) -> None:
        self._given = pattern, flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name, name=name, obj=self)
        value = getattr(re.compile(*self._given), name)
        setattr(self, name, value)
        return value


def importer(package: str, names: Mapping[str, Iterable[str]]) -> Callable[[str], Any]:
    """Returns the ``__getattr__`` of a package.

    Args:
        package: its name.
        names: by module of the package, what is to be had from there.
    """
    module_of = {name: module for module, names in names.items() for name in names}

    def import_name(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{module_of[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return import_name
