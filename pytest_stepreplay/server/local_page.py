"""A page for the person at this machine, and what it may have done: served on loopback, to nobody else.

Whoever asks must know a random token, as the URL has it, and must ask under the server's own name. An order must come
from the page itself: it bears the token in a header, which no other page can send, and the page's own origin. Nothing
here lets a page of another origin read an answer.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ..session.event_loops import in_thread
from .application import TOKEN_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOST: Final = "127.0.0.1"
_LARGEST_ORDER: Final = 1_000_000
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",  # besides the policy that stands in the page
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class OrderError(Exception):
    """An order is none that the page gives; the message says why."""


class LocalPage:
    """The page, from when it is served until it is ended."""

    def __init__(
        self, page: Callable[[], str], orders: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]
    ) -> None:
        """Serves nothing yet.

        Args:
            page: returns the HTML, as things stand.
            orders: by its name, what carries out an order of the page, one after the other. What it returns is the
                page's answer; with ``refused`` in it, the status is 409, with ``ended``, nothing more is served.
        """
        self._page = page
        self._orders = orders
        self._token = secrets.token_urlsafe(24)
        self._names: frozenset[str] = frozenset()
        self._one_by_one = asyncio.Lock()
        self._ended = asyncio.Event()

    async def serve(self, opened: Callable[[str], None]) -> None:
        """Serves the page until it is ended.

        Args:
            opened: is given its URL.
        """
        runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, 0).start()
            port = runner.addresses[0][1]
            self._names = frozenset({f"{HOST}:{port}", f"localhost:{port}"})
            opened(f"http://{HOST}:{port}/{self._token}/")
            await self._ended.wait()
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        status, content, kind = await self._answer(request)
        answer = web.Response(
            status=status, text=content, content_type=kind, charset="utf-8", headers=_HEADERS
        )
        if self._ended.is_set():
            answer.force_close()
        return answer

    async def _answer(self, request: web.BaseRequest) -> tuple[int, str, str]:
        host = request.headers.get("host", "").lower()
        if host not in self._names:  # a page of another name may have had that name point here
            return _told(421, "this page is for this machine alone, under the address that was printed")
        token, _, what = request.raw_path.partition("?")[0].removeprefix("/").partition("/")
        if not self._is_token(token):
            return _told(404, "there is nothing here. Open the whole URL that stepreplay has printed")
        if what == "" and request.method in ("GET", "HEAD"):
            return 200, await in_thread(self._page), "text/html"
        if what not in self._orders:
            return _told(404, "there is nothing here")
        if request.method != "POST":
            return _told(405, "this is done with POST")
        if not self._is_of_page(request, host):
            return _told(403, "this order does not come from the page itself")
        try:
            order = json.loads(await _body_of(request))
        except ValueError:
            order = None
        if not isinstance(order, dict):
            return _told(400, "an order is a JSON object")
        async with self._one_by_one:
            try:
                told = await in_thread(lambda: self._orders[what](order))
            except OrderError as error:
                return _told(400, str(error))
        if told.get("ended"):
            self._ended.set()
        return 409 if told.get("refused") else 200, json.dumps(told), "application/json"

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode(errors="surrogateescape"), self._token.encode())

    def _is_of_page(self, request: web.BaseRequest, host: str) -> bool:
        """Whether an order comes from the page itself (OWASP, "Cross-Site Request Forgery Prevention")."""
        token = request.headers.get(TOKEN_HEADER, "")
        return (
            self._is_token(token)
            and request.headers.get("origin") == f"http://{host}"
            and request.headers.get("sec-fetch-site", "same-origin") == "same-origin"
            and request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
        )


def _told(status: int, text: str) -> tuple[int, str, str]:
    return status, f"{text}\n", "text/plain"


async def _body_of(request: web.BaseRequest) -> bytes:
    body = b""
    async for part in request.content.iter_any():
        body += part
        if len(body) > _LARGEST_ORDER:
            raise ValueError("no order is so long")
    return body
