"""Sends many recorded requests again from one event loop, each once: what `stepreplay verify` asks with.

A request goes in, and what the server says comes out, or why it says nothing, as from `sending.send`. Nothing is
tried again here, not even by the HTTP library: whoever calls counts each try.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Self

import aiohttp
from yarl import URL

from ..machine import clock
from .own_requests import unseen
from .sending import Answered, Unanswered, headers_to_send, trusted

if TYPE_CHECKING:
    from types import TracebackType

    from .sending import Outgoing


class AsyncSender:
    """A client for many hosts; it is open inside an ``async with`` block."""

    def __init__(self, timeout: float) -> None:
        """Sets how long to wait.

        Args:
            timeout: seconds without a byte before a request is given up.
        """
        self._timeout = timeout
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession(
            # On a connection that it keeps, aiohttp sends some requests twice where the server has closed it.
            connector=aiohttp.TCPConnector(
                ssl=trusted(),
                limit=0,
                force_close=True,
                resolver=aiohttp.ThreadedResolver(),  # names are looked up as by the tests' clients: by the system
            ),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self._timeout, sock_read=self._timeout, ceil_threshold=float("inf")
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()

    async def send_once(self, outgoing: Outgoing, number: int = 1) -> Answered | Unanswered:
        """Returns the server's answer to one try.

        Args:
            outgoing: the request, with its key.
            number: which try it is, from 1.
        """
        if self._client is None:
            raise RuntimeError("the sender is open only inside its `async with` block")
        began = clock.seconds()
        try:
            with unseen():
                async with self._client.request(
                    outgoing.method,
                    URL(outgoing.url, encoded=True),
                    data=outgoing.body or None,
                    headers=headers_to_send(outgoing),
                    allow_redirects=False,  # each hop of a redirect is a request of its own in the cassette
                ) as response:
                    body = await response.read()
                    told = response.status, tuple(response.headers.items()), body
                    return Answered(*told, number, clock.seconds() - began)
        except aiohttp.ClientConnectorError as error:
            return Unanswered(f"no answer ({_why_unconnected(error.os_error)})", arrived=False)
        except aiohttp.ClientHttpProxyError as error:
            return Unanswered(f"no answer (the proxy answered {error.status})", arrived=False)
        except aiohttp.ConnectionTimeoutError:
            return Unanswered(f"no answer (no connection within {self._timeout:g} s)", arrived=False)
        except TimeoutError:
            return Unanswered(f"no answer within {self._timeout:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Unanswered(f"no answer ({error or type(error).__name__})")


def _why_unconnected(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):  # its number is none of the system's
        return f"certificate verify failed: {error.verify_message}"
    # asyncio says it in words of its own, with the address in them.
    return (
        (os.strerror(error.errno) if error.errno and error.errno > 0 else "") or error.strerror or str(error)
    )
