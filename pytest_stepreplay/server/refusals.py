"""Answers that say why a request was not answered, in the API's own form, so that its clients understand them.

They come with a status, and a header, upon which no client tries again: another try would change nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ..endpoints import endpoint_of_url
from ..errors import UnrecordedRequestError, display_path
from ..texts.escaping import escape_for_terminal

if TYPE_CHECKING:
    from ..errors import TestOutcomeError
    from ..session.sessions import Session

NO_RETRY: Final = {"x-should-retry": "false"}
"""What the clients of OpenAI and Anthropic look at before they try again."""


def refuse(
    request: web.BaseRequest,
    status: int,
    message: str,
    code: str,
    *,
    url: str = "",
    retry: bool = False,
    more: dict[str, Any] | None = None,
) -> web.Response:
    """Returns an answer that refuses a request.

    Args:
        request: what was asked.
        status: of the answer.
        message: what a person is told.
        code: the same for a program, as ``stepreplay_miss``.
        url: what the request stands for; it decides the form.
        retry: the client may try again.
        more: what else a program is told, under ``stepreplay``.
    """
    headers = {"x-stepreplay": code} | ({} if retry else NO_RETRY)
    text = escape_for_terminal(message, lines=True)
    accepted = request.headers.get("accept", "")
    if "text/plain" in accepted and "json" not in accepted:
        return web.Response(text=f"{text}\n", status=status, headers=headers)
    body = endpoint_of_url(url).refusal(text, code)
    if more:
        body["stepreplay"] = more
    content = json.dumps(body, ensure_ascii=False).encode()
    return web.Response(body=content, status=status, headers=headers | {"content-type": "application/json"})


def refuse_unanswered(
    request: web.BaseRequest, session: Session, error: TestOutcomeError, url: str
) -> web.Response:
    """Returns the answer to a request that the session does not answer; it says why."""
    is_miss = isinstance(error, UnrecordedRequestError)
    explanation = error.explanation
    more = {
        "explanation": explanation.text,
        "cause": explanation.cause,
        "cassette": display_path(session.path),
        "test": session.test or None,
        "request": {"method": request.method, "url": session.redactor.redact_url(url)},
    }
    status = endpoint_of_url(url).miss_status if is_miss else 400
    code = "stepreplay_miss" if is_miss else "stepreplay_stopped"
    return refuse(request, status, explanation.text, code, url=url, more=more)
