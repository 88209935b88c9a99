"""Modules of the interpreter, as they were before anyone changed them.

A name goes in; out comes a module of its own, made anew from what the interpreter has built in. Nobody else has
it, so whoever replaces functions by their module and name, or wherever they are found, does not find these.
"""

from __future__ import annotations

from importlib import import_module
from importlib.machinery import BuiltinImporter
from importlib.util import module_from_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def own_copy(name: str) -> ModuleType:
    """Returns a new copy of a built-in module; the shared one where an interpreter has it otherwise."""
    spec = BuiltinImporter.find_spec(name)
    if spec is None or spec.loader is None:
        return import_module(name)
    copy = module_from_spec(spec)
    spec.loader.exec_module(copy)
    copy.__name__ = f"{__package__}.{name}"  # some look for modules by this
    return copy
