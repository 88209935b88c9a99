"""Hosts by name and address: which ones a setting names, and which ones are this machine.

Text as people and programs write it comes in; it is compared in one spelling. Nothing is looked up here.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final

from ..errors import SettingsError
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

ANY_HOST: Final = "*"
"""Names every host."""

_THIS_MACHINE: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})


@dataclass(frozen=True, slots=True)
class Hosts:
    """Some hosts, as a setting names them.

    Attributes:
        names: whole names, in lower case.
        endings: ``.example.com`` for every name below ``example.com``.
        addresses: in their usual spelling.
        everything: whether ``*`` is among them.
    """

    names: frozenset[str] = frozenset()
    endings: tuple[str, ...] = ()
    addresses: frozenset[str] = frozenset()
    everything: bool = False

    @classmethod
    def read(cls, texts: Iterable[str]) -> Hosts:
        """Returns the hosts that are named.

        Args:
            texts: names, addresses, ``*.example.com`` for every name below it, or ``*`` for all.

        Raises:
            SettingsError: for what is not the name of a host.
        """
        texts = tuple(texts)
        if not texts:
            return _NO_HOSTS
        names, endings, addresses = set[str](), list[str](), set[str]()
        everything = False
        for text in texts:
            name = plain_name(text)
            address = read_address(name)
            if name == ANY_HOST:
                everything = True
            elif address is not None:
                addresses.add(str(address))
            elif not name or set(name) & set("/:@ ") or "*" in name.removeprefix("*."):
                raise SettingsError(
                    f"{text!r} is not the name or address of a host; "
                    "write it without scheme, port and path: api.example.com, *.example.com or 192.0.2.1"
                )
            elif name.startswith("*."):
                endings.append(name[1:])
            else:
                names.add(name)
        return cls(frozenset(names), tuple(endings), frozenset(addresses), everything)

    def include(self, host: str) -> bool:
        """Whether a host, by the name or address it is asked for, is one of these."""
        if self.everything:
            return True
        if self is _NO_HOSTS:
            return False
        name = plain_name(host)
        address = read_address(name)
        if address is not None:
            return str(address) in self.addresses
        return name in self.names or name.endswith(self.endings)


_NO_HOSTS: Final = Hosts()


def read_name(host: Any) -> str | None:
    """Returns a host as plain lower-case text; None for no host, or for what no socket takes as one."""
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("utf-8", "backslashreplace")
    return plain_name(host) if isinstance(host, str) else None


def plain_name(host: str) -> str:
    """Returns a name or address in the one spelling in which hosts are compared."""
    name = host.strip().lower().rstrip(".")
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if name.isascii():
        return name
    try:  # allowed names and those asked for must be spelt alike
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def read_address(host: str) -> IPv4Address | IPv6Address | None:
    """Returns the address that a text spells; None for a name."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        if not host or set(host) - set("0123456789abcdefx."):
            return None
        try:  # other spellings that the system takes: 127.1, 0x7f000001
            return IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    return getattr(address, "ipv4_mapped", None) or address


def is_this_machine(host: str, *, is_lookup: bool) -> bool:
    """Whether a host is loopback, or, where it is only looked up, this machine by its own name."""
    if host == "" or host in _THIS_MACHINE or host.endswith(".localhost"):
        return True
    address = read_address(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    # Servers look up the machine's own name when they start; its address is checked when it is used.
    return is_lookup and host == plain_name(socket.gethostname())
