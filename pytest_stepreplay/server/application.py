"""From a request on the wire to the cassette that it is for, or to the contract for harnesses of other languages.

A request's path may begin with a token, which says which cassette is meant; what is below ``/__stepreplay__/`` asks
the server itself. Nothing else is answered than what is an upstream's: this is no proxy for other hosts.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from traceback import format_exception_only
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ..errors import StepReplayError
from ..interception.own_requests import unseen
from ..machine import clock
from . import exchanging
from .origins import answer_preflight, is_preflight, let_read, note_origin
from .refusals import refuse
from .served import LoggedRequest
from .upstreams import find_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from .served import Served

CONTROL: Final = "/__stepreplay__/"
TOKEN_HEADER: Final = "x-stepreplay-token"  # noqa: S105 - the name of a header


class Application:
    """Answers each request that reaches a server.

    Attributes:
        served: the cassettes, by their token; the one under ``""`` needs none.
        names: the host names that a request may be sent to; None for any.
    """

    def __init__(self, log: Callable[[LoggedRequest], None] | None = None) -> None:
        self.served: dict[str, Served] = {}
        self.names: frozenset[str] | None = None
        self._log = log
        self._asker = exchanging.Responder()

    async def close(self) -> None:
        """Lets go of the connections to the upstreams."""
        await self._asker.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Returns the answer to one request."""
        started = clock.seconds()
        target = request.raw_path
        served, target = self._find(request, target)
        how, number = "refused", None
        counts = served if not target.startswith(CONTROL) else None
        if counts is not None:
            counts.begin()
        try:
            with unseen():  # what the server itself sends belongs to no cassette
                answer, how, number = await self._answer(request, served, target)
        except asyncio.CancelledError:
            how = "left by the client" if request.transport is None else "cut off"
            self._tell(request, target, status=0, how=how, number=None, started=started)
            raise
        except StepReplayError as error:
            answer = refuse(request, 400, str(error), "stepreplay_refused")
        except Exception as error:  # noqa: BLE001 - a server goes on, and says what was wrong
            told = f"this is a bug of pytest-stepreplay: {format_exception_only(error)[-1].strip()}"
            answer = refuse(request, 500, told, "stepreplay_bug")
            answer.force_close()  # a part of another one may be out already
        finally:
            if counts is not None:
                counts.end(how)
        if not answer.prepared:
            let_read(answer)
        self._tell(request, target, status=answer.status, how=how, number=number, started=started)
        return answer

    def _tell(
        self,
        request: web.BaseRequest,
        target: str,
        *,
        status: int,
        how: str,
        number: int | None,
        started: float,
    ) -> None:
        if self._log is not None:
            path, seconds = target.partition("?")[0], clock.seconds() - started
            self._log(LoggedRequest(request.method, path, status, how, number, seconds))

    def _find(self, request: web.BaseRequest, target: str) -> tuple[Served | None, str]:
        """Returns the cassette that a request is for, and the rest of its path with its query."""
        if "" in self.served:
            return self.served[""], target
        token, _, rest = target.removeprefix("/").partition("/")
        found = self.served.get(token)
        if found is not None:
            return found, f"/{rest}"
        return self.served.get(request.headers.get(TOKEN_HEADER, "")), target

    async def _answer(
        self, request: web.BaseRequest, served: Served | None, target: str
    ) -> tuple[web.StreamResponse, str, int | None]:
        is_page = note_origin(request, served.origins if served is not None else ())
        refused = self._refusal(request, served)
        if refused is not None or served is None:
            return refused or _wrong_token(request), "refused", None
        if is_page and is_preflight(request):
            return answer_preflight(request), "preflight", None
        path = target.partition("?")[0]
        if path.startswith(CONTROL):
            return await _control(request, served, path.removeprefix(CONTROL)), "control", None
        url = find_url(served.upstreams, target)
        if url is None:
            bases = " or ".join(f"{each.prefix}{each.path}/" for each in served.upstreams)
            told = f"{path} is no path of an upstream: this server answers below {bases or 'no path'}"
            return refuse(request, 404, told, "stepreplay_no_upstream"), "refused", None
        session = served.session
        if session is None:
            return refuse(request, 400, served.waiting, "stepreplay_no_cassette", url=url), "refused", None
        return await self._asker.answer(request, served, session, url)

    def _refusal(self, request: web.BaseRequest, served: Served | None) -> web.Response | None:
        """Returns the answer to what nobody may ask; None where it may be asked."""
        if not request.raw_path.startswith("/") or request.method == "CONNECT":
            told = "this server is no proxy: it answers for the upstreams that it was started with, and no other host"
            return refuse(request, 400, told, "stepreplay_no_proxy")
        name = _name_of(request.headers.get("host", ""))
        if self.names is not None and name not in self.names:
            told = f"the request is sent to {name!r:.100}; this server listens on this machine alone"
            return refuse(request, 421, told, "stepreplay_host")
        if served is None:
            return _wrong_token(request)
        if request.headers.get("upgrade"):
            told = "WebSockets and other upgrades of the connection are not recorded"
            return refuse(request, 501, told, "stepreplay_upgrade")
        return None


def _wrong_token(request: web.BaseRequest) -> web.Response:
    told = "the token is wrong: the base URL begins with it, as in http://HOST:PORT/TOKEN/v1"
    return refuse(request, 401, told, "stepreplay_token")


def _name_of(host: str) -> str:
    """Returns the name in a Host header, without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


# ---------------------------------------------------------------- the contract for harnesses


async def _control(request: web.BaseRequest, served: Served, what: str) -> web.Response:
    match request.method, what:
        case "GET", "status":
            return _json(served.status())
        case "POST", "cassette":
            if served.switch is None:
                told = "this cassette belongs to the running test, which opens and closes it"
                return refuse(request, 409, told, "stepreplay_owned")
            return _json(await served.switch(await _order_of(request)))
        case _, "status" | "cassette":
            allowed = "GET" if what == "status" else "POST"
            answer = refuse(request, 405, f"use {allowed} for {CONTROL}{what}", "stepreplay_method")
            answer.headers["Allow"] = allowed
            return answer
    told = f"there is no {CONTROL}{what:.60}; there are GET {CONTROL}status and POST {CONTROL}cassette"
    return refuse(request, 404, told, "stepreplay_no_control")


async def _order_of(request: web.BaseRequest) -> dict[str, Any]:
    """Returns the JSON object that a harness has sent.

    Raises:
        StepReplayError: it is none. A web page of another origin cannot send this type unasked.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise StepReplayError("send JSON, with content-type: application/json")
    try:
        order = json.loads(await exchanging.take_body(request))
    except (ValueError, exchanging.BodyTooLargeError):
        order = None
    if not isinstance(order, dict):
        raise StepReplayError('send a JSON object, such as {"cassette": "login.yaml", "mode": "replay"}')
    return order


def _json(value: Any) -> web.Response:
    content = json.dumps(value, ensure_ascii=False).encode()
    return web.Response(body=content, status=HTTPStatus.OK, headers={"content-type": "application/json"})
