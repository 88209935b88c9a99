"""Sends a request again, apart from the client that made it: `verify` compares the answer with the stored one.

The client has its answer from the cassette already, so nothing here can reach it: not the new answer, not an error,
not a wait. A request and its headers go in as the client made them; the response, or why there is none, comes out.
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import TYPE_CHECKING, Final

try:
    import certifi  # HTTP clients bring it
except ModuleNotFoundError:
    certifi = None  # type: ignore[assignment]  # then there are the system's own

from ..machine import clock
from ..value_classes import dataclass
from .own_requests import unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TRIES: Final = 3
"""How often a request is sent at most, while the server answers 429 or 5xx or not at all."""
LONGEST_WAIT: Final = 20.0
"""Seconds. A server that asks for more is not waited for."""
TIMEOUT: Final = 60.0
"""Seconds without a byte before a try is given up."""

RETRIED: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses by which a server says that it has not done what was asked, and may do it later."""
_OF_THE_CONNECTION: Final = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "accept-encoding",
        "expect",
        "te",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as a client made it, its key included. Never stored, never shown."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Outgoing {self.method}>"


@dataclass(frozen=True, slots=True)
class Answered:
    """What the server said; the content encoding is not undone.

    Attributes:
        tries: how often it was asked.
        seconds: from the last request to the end of the response, as far as that is known.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    tries: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why there is nothing to compare with.

    Attributes:
        reason: in words.
        arrived: the request may have come to the server.
    """

    reason: str
    arrived: bool = True


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Each hop of a redirect is a request of its own in the cassette."""

    def redirect_request(self, *_args: object, **_named: object) -> None:
        return None


def send(outgoing: Outgoing) -> Answered | Unanswered:
    """Returns the server's answer, trying again while it is too busy."""
    reason = ""
    for number in range(1, TRIES + 1):
        wait = float(number)
        try:
            answered = _send_once(outgoing, number)
        except (OSError, HTTPException, ValueError) as error:
            reason = _why(error)
        else:
            if answered.status not in RETRIED:
                return answered
            if number == TRIES:
                return answered
            asked = asked_wait(answered.headers, clock.now().timestamp())
            wait = wait if asked is None else asked
            if wait > LONGEST_WAIT:
                return answered
        if number < TRIES:
            clock.sleep(wait)
    return Unanswered(f"{reason}, after {TRIES} tries")


def headers_to_send(outgoing: Outgoing) -> dict[str, str]:
    """Returns the headers of a request without those of the client's own connection."""
    headers = {
        name: value for name, value in outgoing.headers.items() if name.lower() not in _OF_THE_CONNECTION
    }
    headers["Accept-Encoding"] = "gzip, deflate"
    return headers


def _send_once(outgoing: Outgoing, number: int) -> Answered:
    headers = headers_to_send(outgoing)
    request = urllib.request.Request(  # noqa: S310 - the URL is the one that the client asked
        outgoing.url, data=outgoing.body or None, headers=headers, method=outgoing.method
    )
    began = clock.seconds()
    try:
        with unseen(), _opener().open(request, timeout=TIMEOUT) as response:
            told = response.status, tuple(response.headers.items()), response.read()
            return Answered(*told, number, clock.seconds() - began)
    except urllib.error.HTTPError as error:
        with error:
            return Answered(error.code, tuple(error.headers.items()), error.read(), number)


def trusted() -> ssl.SSLContext:
    """Returns which certificates are trusted: the system's, and those of `certifi`."""
    context = ssl.create_default_context()
    if certifi is not None:
        context.load_verify_locations(certifi.where())
    return context


def _opener() -> urllib.request.OpenerDirector:
    context = trusted()
    return urllib.request.build_opener(_NoRedirects, urllib.request.HTTPSHandler(context=context))


def asked_wait(headers: Iterable[tuple[str, str]], now: float) -> float | None:
    """Returns the seconds that the server asks to wait (RFC 9110, section 10.2.3), if it says so.

    Args:
        headers: of its answer.
        now: the time, in seconds since 1970, where the server names the time to come back.
    """
    for name, value in headers:
        if name.lower() == "retry-after":
            with suppress(ValueError):
                return max(0.0, float(value))
            with suppress(ValueError, TypeError, OverflowError):
                return max(0.0, parsedate_to_datetime(value).timestamp() - now)
            return None
    return None


def _why(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {TIMEOUT:.0f} s"
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return f"no answer ({text})"
