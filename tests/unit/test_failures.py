"""Why a server said nothing, in words that are the same for every client."""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
import httpx
import pytest
import urllib3

from pytest_stepreplay.interception.failures import why_unanswered

URL = "https://api.stepfun.com/v1/chat/completions"


def raised(outer: Exception, inner: BaseException) -> Exception:
    """Returns an error that came of another one."""
    outer.__cause__ = inner
    return outer


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
UNTRUSTED = ssl.SSLCertVerificationError(1, "certificate verify failed")
UNTRUSTED.verify_message = "self-signed certificate"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (raised(httpx.ConnectError("[Errno 111]"), REFUSED), "connection refused"),
        (
            raised(httpx.ConnectError("All connection attempts failed"), ExceptionGroup("", [REFUSED])),
            "connection refused",
        ),
        (
            urllib3.exceptions.MaxRetryError(urllib3.HTTPSConnectionPool("h"), "/", REFUSED),
            "connection refused",
        ),
        (httpx.ConnectTimeout("timed out"), "no answer in time"),
        (raised(aiohttp.ServerTimeoutError(), TimeoutError()), "no answer in time"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no such host"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "the host's name could not be looked up"),
        (
            raised(httpx.ConnectError("ssl"), UNTRUSTED),
            "the certificate is not trusted (self-signed certificate)",
        ),
        (OSError(errno.ENETUNREACH, "x"), "network unreachable"),
        (OSError(errno.EMFILE, "x"), "too many open files"),
        (ConnectionResetError(errno.ECONNRESET, "x"), "connection reset"),
        (httpx.RemoteProtocolError("Server disconnected"), "the connection was closed without an answer"),
        (aiohttp.ServerDisconnectedError(), "the connection was closed without an answer"),
        (ValueError("two\nlines"), "ValueError: two"),
        (ValueError(), "ValueError"),
    ],
)
def test_it_is_said_in_a_few_words(error: Exception, why: str) -> None:
    assert why_unanswered(error, URL) == f"{why}, api.stepfun.com:443"


def test_a_host_is_named_as_it_was_asked() -> None:
    assert why_unanswered(REFUSED, "http://[::1]:80/v1") == "connection refused, [::1]:80"
    assert (
        why_unanswered(REFUSED, "http://localhost:8080/v1?key=secret") == "connection refused, localhost:8080"
    )


def test_errors_that_came_of_each_other_end() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one
    assert why_unanswered(one, URL).startswith("ValueError: one, ")
