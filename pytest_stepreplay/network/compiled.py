"""Calls that Python's audit events do not show, or show in a thread where nobody knows who asked.

An event loop or a resolver in C has sockets of its own. What can be had is the door: the Python method that such a
library is asked through. `find_doors` names them, and each finds the host in its arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Target = tuple[Any, Any]
"""A host and a port, as a caller gave them."""

Argument = tuple[int, str]
"""Where an argument stands: its position, the object itself not counted, and its name."""


@dataclass(frozen=True, slots=True)
class Door:
    """One method that a library is asked through.

    Attributes:
        owner: the class that has it.
        method: its name.
        host: the argument that holds a host, or an address of host and port.
        port: the argument that holds the port, if there is one.
        asks_python: whether what it does comes to Python's own socket module in the end.
    """

    owner: Any
    method: str
    host: Argument
    port: Argument | None
    asks_python: bool

    @property
    def call(self) -> str:
        """How a message names it."""
        return f"{self.owner.__name__}.{self.method}"

    @property
    def is_lookup(self) -> bool:
        """Whether it looks up a host, and does not go there."""
        return not self.method.startswith("create")

    def target(self, args: Sequence[Any], named: Mapping[str, Any]) -> Target:
        """Returns the host and port that it is called with; the host is None where there is none."""
        host = _value(self.host, args, named)
        if isinstance(host, tuple):
            return host[:2] if len(host) > 1 else (None, None)
        return host, _value(self.port, args, named) if self.port else None


def _value(argument: Argument, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
    position, name = argument
    return args[position] if position < len(args) else named.get(name)


_LOOKUPS: Final[dict[str, tuple[Argument, Argument | None]]] = {
    "getaddrinfo": ((0, "host"), (1, "port")),
    "getnameinfo": ((0, "sockaddr"), None),
}
_UVLOOP: Final[dict[str, tuple[Argument, Argument | None]]] = {
    "create_connection": ((1, "host"), (2, "port")),
    "create_datagram_endpoint": ((2, "remote_addr"), None),
}
_PYCARES: Final[dict[str, tuple[Argument, Argument | None]]] = {
    "getnameinfo": ((0, "address"), None),
    "query": ((0, "name"), None),
    "search": ((0, "name"), None),
    "gethostbyname": ((0, "name"), None),
    "gethostbyaddr": ((0, "addr"), None),
}
_DOORS: Final = {
    ("asyncio", "BaseEventLoop"): _LOOKUPS,
    ("uvloop", "Loop"): _LOOKUPS | _UVLOOP,
    ("pycares", "Channel"): _LOOKUPS | _PYCARES,
}
"""By module and class: the methods, and where the host and the port stand."""


LIBRARIES: Final = frozenset(module for module, _ in _DOORS)
"""The modules that have doors."""


def door_owners(modules: Mapping[str, Any]) -> tuple[object, ...]:
    """Returns the classes that have doors, as far as they are imported.

    Args:
        modules: as `sys.modules`.
    """
    return tuple([getattr(modules.get(module), name, None) for module, name in _DOORS])


def find_doors(modules: Mapping[str, Any]) -> Iterator[Door]:
    """Yields the doors of those libraries that are imported.

    Args:
        modules: as `sys.modules`.
    """
    for (module, name), methods in _DOORS.items():
        owner = getattr(modules.get(module), name, None)
        for method, (host, port) in methods.items():
            if hasattr(owner, method):
                yield Door(owner, method, host, port, asks_python=module == "asyncio")
