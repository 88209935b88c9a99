"""Puts our functions into the HTTP clients, each client as soon as it is imported, and takes them out again.

A run pays only for the clients that it uses: none is imported from here. Others patch the same places, before us and
after us: what stands there when we come is called by ours, and what was put over ours is left there when we go.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from . import mocks
from .clients import CLIENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from .clients import Client
    from .player import Player, Route

_REPLACED: Final = "stepreplay_replaced"
"""The attribute of our functions that holds what they stand in place of."""


class Patches:
    """What is patched in the clients that are imported; the rest follows as soon as it is."""

    def __init__(self, route: Route, clients: Mapping[str, Client] = CLIENTS) -> None:
        self._route, self._clients = route, clients
        self._lock = threading.RLock()
        self._places: dict[str, list[_Place]] = {}
        self._installed = False

    def install(self) -> None:
        """Patches the clients that are imported, and each other one when it will be.

        Raises:
            StepReplayError: one of them cannot be patched; then none is.
        """
        self._installed = True
        _hook.serve(self)
        try:
            for name in self._clients:
                if name in sys.modules:
                    self.patch(import_module(name))  # waits if another thread is just importing it
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Puts back what stood there before. What hangs under somebody else's patch stays, and lets all pass."""
        with self._lock:
            self._installed = False
            _hook.leave(self)
            for places in self._places.values():
                for place in reversed(places):
                    place.restore()
            self._places.clear()

    def repair(self) -> None:
        """Patches those places anew where a mock that was there before us has put back what it had found."""
        for name, places in tuple(self._places.items()):
            for place in places:
                if not place.is_ours and mocks.is_own(place.now, sys.modules[name]):
                    place.patch()

    def patch(self, module: ModuleType) -> None:
        """Patches one client, once."""
        with self._lock:
            client = self._clients.get(module.__name__)
            if not self._installed or client is None or module.__name__ in self._places:
                return
            places = self._places[module.__name__] = []
            for patch in client.patching.patches(module, self._find_player):
                places.append(_Place(*patch))
                places[-1].patch()

    def _find_player(self) -> Player | None:
        return self._route() if self._installed else None


class _Hook(MetaPathFinder):
    """Waits for clients to be imported, for all that want to patch them: one hook, however often it stands there.

    Whoever takes `sys.meta_path` back to an earlier state, as pytest's `pytester` does, can bring a hook back that
    had been taken out. Several that ask each other would ask for ever.
    """

    def __init__(self) -> None:
        self._waiting: list[Patches] = []
        self._looking = threading.local()

    def serve(self, patches: Patches) -> None:
        """Has each client patched from here on that is imported."""
        self._waiting.append(patches)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def leave(self, patches: Patches) -> None:
        """Has no more clients patched for these."""
        self._waiting.remove(patches)
        while not self._waiting and self in sys.meta_path:
            sys.meta_path.remove(self)

    def patch(self, module: ModuleType) -> None:
        """Has a client patched that was just loaded."""
        for patches in tuple(self._waiting):
            patches.patch(module)

    def find_spec(self, name: str, *_where: object) -> ModuleSpec | None:
        """Lets the others find a client, and has it patched once it is loaded."""
        if name not in CLIENTS or not self._waiting or getattr(self._looking, "now", False):
            return None
        self._looking.now = True
        try:
            spec = find_spec(name)
        finally:
            self._looking.now = False
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader)
        return spec


_hook: Final = _Hook()


class _Place:
    """A method of a client's class that is ours for a while."""

    def __init__(self, owner: type, name: str, wrap: Callable[[Any], Any]) -> None:
        self._owner = owner
        self._name = name
        self._wrap = wrap
        self._ours: Any = None

    @property
    def now(self) -> Any:
        """What stands there."""
        return vars(self._owner).get(self._name)

    @property
    def is_ours(self) -> bool:
        """Whether it is our function, and not somebody else's that may call ours."""
        return vars(self._owner).get(self._name) is self._ours

    def patch(self) -> None:
        """Puts ours there."""
        if hasattr(self.now, _REPLACED):  # ours of an earlier time, which a mock had hidden when we went
            setattr(self._owner, self._name, getattr(self.now, _REPLACED))
        replaced = self.now
        self._ours = self._wrap(getattr(self._owner, self._name))
        setattr(self._ours, _REPLACED, replaced)
        setattr(self._owner, self._name, self._ours)

    def restore(self) -> None:
        """Puts back what stood there."""
        if self.is_ours:
            setattr(self._owner, self._name, getattr(self._ours, _REPLACED))


class _PatchingLoader(Loader):
    """Stands in for a loader while it loads, and not longer."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _hook.patch(module)
