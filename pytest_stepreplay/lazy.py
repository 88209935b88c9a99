"""What an import costs: names of a package that are imported when they are first used, and modules read as they are.

So a run pays only for what it uses, and every caller asks the same door.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import PathFinder
from importlib.util import spec_from_loader
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from importlib.machinery import ModuleSpec


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


class _Finder:
    """Finds the modules of one package, before anyone else is asked."""

    def __init__(self, package: str) -> None:
        self._inside = f"{package}."

    def find_spec(self, name: str, path: Sequence[str] | None = None, *_more: object) -> ModuleSpec | None:
        if not name.startswith(self._inside):
            return None
        parent, _dot, child = name.rpartition(".")
        module = (
            vars(sys.modules[parent]).get(child)
            if name not in sys.modules and parent in sys.modules
            else None
        )
        if isinstance(module, ModuleType) and module.__name__ == name and module.__spec__ is not None:
            again = _Again(module, module.__spec__)
            return spec_from_loader(name, again, is_package=hasattr(module, "__path__"))
        return PathFinder.find_spec(name, path)


class _Again(Loader):
    """Gives a module that is loaded already."""

    def __init__(self, module: ModuleType, spec: ModuleSpec) -> None:
        self._module, self._spec = module, spec

    def create_module(self, _: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


def import_plainly(package: str) -> None:
    """Has each module of a package read by Python itself, and run once.

    pytest would rewrite the asserts of a plugin's modules, whether they have some or not, and read the result many
    times slower than Python reads its own. And a fake file system makes Python forget what was imported while it
    stood: the class of an error, imported again, would not be the one that is caught.
    """
    sys.meta_path.insert(0, _Finder(package))


def import_vcr(name: str) -> Any:
    """Returns a module of vcrpy, which imports every HTTP client there is.

    Raises:
        StepReplayError: vcrpy is not installed, or not one that goes with the clients that are.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the clients are not ours
        try:
            return import_module(name)
        except (AttributeError, ImportError) as error:  # it patches what a newer client no longer has
            from importlib.metadata import version  # noqa: PLC0415 - only for the message

            from .errors import StepReplayError  # noqa: PLC0415 - as above

            if isinstance(error, ModuleNotFoundError) and error.name in {"vcr", name}:
                raise StepReplayError("vcrpy is not installed; install it: pip install vcrpy") from None
            raise StepReplayError(
                f"vcrpy {version('vcrpy')} does not work with the HTTP clients that are installed here ({error}); "
                "install another: pip install -U vcrpy"
            ) from None
