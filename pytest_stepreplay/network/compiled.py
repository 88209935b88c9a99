"""Calls that Python's audit events do not show, or show in a thread where nobody knows who asked.

An event loop or a resolver in C has sockets of its own. What can be had is the door: the Python method that such a
library is asked through. `find_doors` names them, and each finds the host in its arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.hosts import read_address
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

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


# ---------------------------------------------------------------- what a look-up finds


def hear_answer(
    look_up: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any], hear: Callable[[object], None]
) -> Any:
    """Returns what a look-up returns, and hears its answer, whether it is awaited or given to a callback."""

    def heard(callback: Callable[..., Any]) -> Callable[..., Any]:
        def call(*answer: Any, **named_answer: Any) -> Any:
            hear(answer)
            return callback(*answer, **named_answer)

        return call

    # A resolver that is given a callback is given one, wherever its signature has it.
    args = [heard(each) if callable(each) and i else each for i, each in enumerate(args)]
    named = {
        name: heard(each) if name == "callback" and callable(each) else each for name, each in named.items()
    }
    result = look_up(*args, **named)
    return _hearing(result, hear) if hasattr(result, "__await__") else result


async def _hearing(result: Any, hear: Callable[[object], None]) -> Any:
    answer = await result
    hear(answer)
    return answer


def addresses_in(answer: object, depth: int = 6) -> set[str]:
    """Returns all addresses in what a look-up has found, whatever its form."""
    if isinstance(answer, str | bytes):
        text = answer.decode("ascii", "replace") if isinstance(answer, bytes) else answer
        address = read_address(text)
        return set() if address is None else {str(address)}
    if not depth or answer is None or isinstance(answer, int | float):
        return set()
    if isinstance(answer, list | tuple | set | frozenset):
        parts = list(answer)
    else:
        slots = getattr(type(answer), "__slots__", ())
        names = [*((slots,) if isinstance(slots, str) else slots), *getattr(answer, "__dict__", ())]
        parts = [getattr(answer, name, None) for name in names]
    return {each for part in parts for each in addresses_in(part, depth - 1)}
