"""HTTP archives (HAR 1.2), as browsers and proxies save them <-> exchanges and interactions.

Source: the HAR 1.2 specification of the Web Performance Working Group. A body in an archive is already decoded,
whatever the headers say. Entries without an answer, or whose answer was not saved, are left out with the reason.
"""

from __future__ import annotations

import json
from base64 import b64encode
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from ..wire.bodies import body_bytes
from .foreign import (
    Foreign,
    ForeignExchange,
    MisfitError,
    Skipped,
    checked_status,
    duration,
    from_base64,
    gather,
    header_of,
    header_pairs,
    member,
    utc_seconds,
)
from .format import WritableFormat

if TYPE_CHECKING:
    from ..models import Cassette, Interaction, Request, Response
    from .foreign import Headers, Hints

_NEVER = "1970-01-01T00:00:00Z"
"""What stands for a moment that nobody knows: the specification demands one."""

Place = tuple[str | int, ...]


class HttpArchive(WritableFormat):
    """HTTP archives; see the module."""

    name = "har"
    suffix = ".har"

    def is_mine(self, tree: Any) -> bool:
        log = tree.get("log") if isinstance(tree, dict) else None
        return isinstance(log, dict) and isinstance(log.get("entries"), list)

    def read(self, tree: Any, hints: Hints) -> Foreign:
        entries = enumerate(tree["log"]["entries"])
        return gather(self.name, ((("log", "entries", i), each) for i, each in entries), _read)

    def render(self, cassette: Cassette) -> str:
        log = {
            "version": "1.2",
            "creator": {"name": "pytest-stepreplay", "version": version("pytest-stepreplay")},
            "entries": [_entry(each) for each in cassette.interactions],
        }
        return json.dumps({"log": log}, ensure_ascii=False, indent=2) + "\n"


def _read(tree: Any, here: Place) -> ForeignExchange | Skipped:
    asked, asked_at = member(tree, "request", dict, here), (*here, "request")
    given, given_at = member(tree, "response", dict, here), (*here, "response")
    method, url = member(asked, "method", str, asked_at), member(asked, "url", str, asked_at)
    if "_webSocketMessages" in tree or url.startswith(("ws:", "wss:")) or given.get("status") == 101:
        return Skipped(here, "it is a conversation over a websocket, not an HTTP exchange", broken=False)
    if given.get("status") in (0, -1):
        return Skipped(here, "it was never answered", broken=False)
    asked_headers = header_pairs(asked.get("headers"), (*asked_at, "headers"))
    headers = header_pairs(given.get("headers"), (*given_at, "headers"))
    content = given.get("content") or {}
    body = _content(content, (*given_at, "content"))
    kind = content.get("mimeType")
    if header_of(headers, "content-type") is None and isinstance(kind, str) and "/" in kind and body:
        headers = (*headers, ("content-type", kind))
    recorded_at = utc_seconds(tree.get("startedDateTime"))
    return ForeignExchange(
        method=method,
        url=url,
        request_type=header_of(asked_headers, "content-type"),
        request_body=_posted(asked, asked_headers, asked_at),
        status=checked_status(given.get("status"), (*given_at, "status")),
        headers=headers,
        body=body,
        recorded_at=None if recorded_at == _NEVER else recorded_at,
        elapsed=duration(tree.get("time"), per_second=1000) or None,
    )


def _posted(request: dict[str, Any], headers: Headers, here: Place) -> bytes:
    posted = request.get("postData")
    if posted is None:
        return b""
    text = posted.get("text") if isinstance(posted, dict) else 0
    params = posted.get("params") if isinstance(posted, dict) else None
    if not text and isinstance(params, list) and params:
        pairs = [(str(each.get("name")), each.get("value", "")) for each in params if isinstance(each, dict)]
        return urlencode(pairs).encode()
    if text is None:
        return b""
    if not isinstance(text, str):
        raise MisfitError((*here, "postData"), "should be text")
    if posted.get("_encoding") == "base64":
        return _unpacked(text, (*here, "postData", "text"))
    body = text.encode()
    size = header_of(headers, "content-length") or str(request.get("bodySize"))
    if size == str(len(body)):
        return body
    try:  # the format has no place for bytes, so tools write each as a character
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        return body
    return raw if size == str(len(raw)) else body


def _content(content: Any, here: Place) -> bytes:
    if not isinstance(content, dict):
        raise MisfitError(here, "should be a mapping")
    text = content.get("text")
    if text is None:
        size = content.get("size", 0)
        if isinstance(size, int) and size > 0:
            raise MisfitError(here, "the body was not saved with the archive")
        return b""
    if not isinstance(text, str):
        raise MisfitError((*here, "text"), "should be text")
    return _unpacked(text, (*here, "text")) if content.get("encoding") == "base64" else text.encode()


def _unpacked(text: str, here: Place) -> bytes:
    try:
        return from_base64(text)
    except ValueError:
        raise MisfitError(here, "should be base64") from None


# ---------------------------------------------------------------- and back


def _entry(interaction: Interaction) -> dict[str, Any]:
    milliseconds = round((interaction.elapsed or 0) * 1000, 3)
    return {
        "startedDateTime": utc_seconds(interaction.recorded_at) or _NEVER,
        "time": milliseconds,
        "request": _har_request(interaction.request),
        "response": _har_response(interaction.response),
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds, "receive": 0},
    }


def _har_request(request: Request) -> dict[str, Any]:
    body = body_bytes(request)
    is_json = request.body_kind == "json"
    query = parse_qsl(request.url.partition("#")[0].partition("?")[2], keep_blank_values=True)
    entry: dict[str, Any] = {
        "method": request.method,
        "url": request.url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": [{"name": "content-type", "value": "application/json"}] if is_json else [],
        "queryString": [{"name": name, "value": value} for name, value in query],
        "headersSize": -1,
        "bodySize": len(body),
    }
    if body:
        kind = "application/json" if is_json else "application/octet-stream"
        entry["postData"] = {"mimeType": kind, **_packed(body, "_encoding")}
    return entry


def _har_response(response: Response) -> dict[str, Any]:
    body = body_bytes(response)
    known = {each.value: each.phrase for each in HTTPStatus}
    return {
        "status": response.status,
        "statusText": known.get(response.status, ""),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": [{"name": name, "value": value} for name, value in response.headers.items()],
        "content": {
            "size": len(body),
            "mimeType": response.headers.get("content-type", ""),
            **_packed(body, "encoding"),
        },
        "redirectURL": response.headers.get("location", ""),
        "headersSize": -1,
        "bodySize": len(body),
    }


def _packed(body: bytes, key: str) -> dict[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"text": b64encode(body).decode(), key: "base64"}
