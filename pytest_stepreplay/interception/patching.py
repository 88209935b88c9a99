"""Puts our functions into the HTTP clients, each client as soon as it is imported, and takes them out again.

A run pays only for the clients that it uses: none is imported from here.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from . import Route

CLIENTS: Final = {
    "httpx": "httpx_client",
    "httpx2": "httpx_client",
    "aiohttp": "aiohttp_client",
    "urllib3": "urllib3_client",
}
"""The libraries that are patched, and the module here that knows how."""


class Patches(MetaPathFinder):
    """What is patched, and the import hook that waits for the rest."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._lock = threading.RLock()
        self._replaced: dict[str, list[tuple[Any, str, Any]]] = {}
        self._looking = threading.local()
        self._installed = False

    def install(self) -> None:
        """Patches the clients that are imported, and each other one when it will be.

        Raises:
            StepReplayError: one of them cannot be patched; then none is.
        """
        self._installed = True
        sys.meta_path.insert(0, self)
        try:
            for name in CLIENTS:
                if name in sys.modules:
                    self.patch(import_module(name))  # waits if another thread is just importing it
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Puts back what stood there before."""
        with self._lock:
            self._installed = False
            sys.meta_path.remove(self)
            for replaced in self._replaced.values():
                for owner, name, original in reversed(replaced):
                    setattr(owner, name, original)
            self._replaced.clear()

    def patch(self, module: ModuleType) -> None:
        """Patches one client, once."""
        with self._lock:
            if not self._installed or module.__name__ in self._replaced:
                return
            replaced = self._replaced[module.__name__] = []
            client = import_module(f"{__package__}.{CLIENTS[module.__name__]}")
            for owner, name, wrap in client.patches(module, self._route):
                original = getattr(owner, name)
                setattr(owner, name, wrap(original))
                replaced.append((owner, name, original))

    def find_spec(self, name: str, *_where: object) -> ModuleSpec | None:
        """Lets the others find a client, and has it patched once it is loaded."""
        if name not in CLIENTS or getattr(self._looking, "now", False):
            return None
        self._looking.now = True
        try:
            spec = find_spec(name)
        finally:
            self._looking.now = False
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader, self)
        return spec


class _PatchingLoader(Loader):
    """Stands in for a loader while it loads, and not longer."""

    def __init__(self, loader: Loader, patches: Patches) -> None:
        self._loader = loader
        self._patches = patches

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._patches.patch(module)
