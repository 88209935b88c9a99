"""Why a server did not answer: the error of any client goes in, and a few words come out, the same for all of them.

Clients wrap the socket's error, each in its own way and several times over, so what was wrong stands innermost.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_PORTS: Final = {"http": 80, "https": 443}
_WORDS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ECONNABORTED: "connection reset",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ETIMEDOUT: "no answer in time",
}
_SAID: Final = (
    ("Timeout", "no answer in time"),
    ("RemoteProtocolError", "the connection was closed without an answer"),
    ("RemoteDisconnected", "the connection was closed without an answer"),
    ("ServerDisconnectedError", "the connection was closed without an answer"),
)
"""Part of the name of a client's own error, and what it means."""


def all_behind(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and all that it came of, from the outside in; members of groups too."""
    seen, waiting = set[int](), [error]
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        waiting += [inner for inner in (each.__cause__, each.__context__) if inner is not None]
        # urllib3 keeps the error before the last try in an attribute, and aiohttp the socket's.
        kept = (getattr(each, name, None) for name in ("reason", "os_error"))
        waiting += [inner for inner in kept if isinstance(inner, BaseException)]


def why_unanswered(error: BaseException, url: str) -> str:
    """Returns why there is no answer, and whose: ``connection refused, 127.0.0.1:9``."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    errors = [*all_behind(error)]
    found = next((words for each in reversed(errors) if (words := _words(each))), "")
    if not found:
        found = next((words for each in errors for part, words in _SAID if part in type(each).__name__), "")
    if not found:
        found = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(": ")
    return f"{found}, {host}:{parts.port or _PORTS.get(parts.scheme, '')}"


def _words(error: BaseException) -> str:
    """Returns what an error of the socket's means; nothing for another one."""
    if isinstance(error, socket.gaierror):
        return (
            "no such host" if error.errno == socket.EAI_NONAME else "the host's name could not be looked up"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"no TLS ({error.reason or error})"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno is not None:
        return _WORDS.get(error.errno) or os.strerror(error.errno).lower()
    return ""
