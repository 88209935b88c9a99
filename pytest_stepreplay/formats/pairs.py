"""Pairs of a request and its response, one on each line: logs, OpenAI's batch files, and single ones as JSON.

Proxies, gateways and projects write such pairs under many names, as whole HTTP messages or as the two JSON bodies
alone. What a line does not say is taken from `Hints`, or the line is left out with the reason; nothing is guessed
that a replayed test could mistake for the truth. `Pairs.render` writes the shape that most tools understand.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..endpoints import GENERIC, endpoint_of_answer, endpoint_of_request, is_body
from ..wire.bodies import body_bytes
from ..wire.events import json_chunks_of
from ..wire.json_values import parse_json, parsed_or_none
from .foreign import (
    Foreign,
    ForeignExchange,
    MisfitError,
    Skipped,
    checked_status,
    decoded,
    duration,
    from_base64,
    gather,
    header_of,
    header_pairs,
    is_url,
    json_bytes,
    utc_seconds,
)
from .format import WritableFormat
from .vcrpy import read_interaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..endpoints import Endpoint
    from ..models import Cassette, Interaction, Request, Response
    from .foreign import Hints

REQUEST_ALONE: Final = "it is a request of a batch, without its response"
"""Why a line of OpenAI's batch input is no exchange."""

_REQUEST: Final = ("request", "req", "request_body")
_RESPONSE: Final = ("response", "resp", "response_body")
_URL: Final = ("url", "uri", "request_url", "request_uri", "path", "request_path", "endpoint")
_BASE: Final = ("upstream", "base_url", "api_base")
_STATUS: Final = ("status", "status_code", "response_status")
_FINE: Final = frozenset({"success", "succeeded", "ok", "completed"})
_MOMENT: Final = (
    "recorded_at",
    "ts_start",
    "timestamp",
    "ts",
    "time",
    "created_at",
    "startTime",
    "started_at",
)
_SECONDS: Final = ("elapsed", "duration", "duration_s", "latency", "latency_s")
_MILLISECONDS: Final = ("duration_ms", "latency_ms", "elapsed_ms")
_PLACES: Final = ("body", "json", "content", "body_base64", "body_b64", "events")
_PARTS: Final = frozenset(("method", "url", "uri", "path", "headers", "status", "status_code", *_PLACES))
"""Keys of an HTTP message. A JSON body of an API that has one of them has another one too, by which it is told."""

Place = tuple[str | int, ...]


class Lines(list[Any]):
    """The values of a JSON Lines file, so that the index is that of the line; None for an empty one."""


class BrokenLine(str):
    """A line that is not a JSON object: the reason."""

    __slots__ = ()


def parse_lines(text: str) -> Lines | None:
    """Return the values of a JSON Lines file; None where the text is none: there must be two lines with objects.

    A broken line, such as the last one of a log that is still being written, is a `BrokenLine`.
    """
    if not text.lstrip().startswith("{"):
        return None
    lines = text.split("\n")
    objects = sum(line.lstrip().startswith("{") for line in lines)
    if objects < 2 or not all(line.strip()[:1] in ("", "{") for line in lines[:100]):
        return None
    return Lines(_parse_line(line) for line in lines)


def _parse_line(line: str) -> Any:
    if not line.strip():
        return None
    try:
        tree = parse_json(line)
    except json.JSONDecodeError as error:
        return BrokenLine(f"is not valid JSON ({error.msg})")
    except ValueError as error:
        return BrokenLine(str(error))
    return tree if isinstance(tree, dict) else BrokenLine("is not a JSON object")


class Pairs(WritableFormat):
    """Pairs of a request and its response; see the module."""

    name = "jsonl"
    suffix = ".jsonl"

    def parse(self, text: str) -> Any:
        return parse_lines(text)

    def is_mine(self, tree: Any) -> bool:
        rows = tree if isinstance(tree, list) else [tree]
        return any(_is_pair(row) or _is_batch_input(row) for row in rows)

    def read(self, tree: Any, hints: Hints) -> Foreign:
        if isinstance(tree, dict):
            return gather("pair", [((), tree)], lambda row, here: _read(row, here, hints))
        if not isinstance(tree, Lines):
            rows = (((i,), row) for i, row in enumerate(tree))
            return gather("pairs", rows, lambda row, here: _read(row, here, hints))
        exchanges: list[ForeignExchange] = []
        skipped: list[Skipped] = []
        for number, row in enumerate(tree, 1):
            if row is not None:
                found = gather(self.name, [((), row)], lambda row, here: _read(row, here, hints))
                exchanges += found.exchanges
                skipped += (
                    Skipped(each.location, each.reason, each.broken, number) for each in found.skipped
                )
        return Foreign(self.name, tuple(exchanges), tuple(skipped))

    def render(self, cassette: Cassette) -> str:
        rows = (json.dumps(_row(each), ensure_ascii=False) for each in cassette.interactions)
        return "".join(f"{row}\n" for row in rows)


def _is_pair(row: Any) -> bool:
    if not isinstance(row, dict) or not any(key in row for key in _RESPONSE):
        return False
    return any(key in row for key in (*_REQUEST, "custom_id"))


def _is_batch_input(row: Any) -> bool:
    return isinstance(row, dict) and "custom_id" in row and isinstance(row.get("body"), dict)


def batch_requests(tree: Any) -> dict[str, Any]:
    """Return the lines of a file that are OpenAI batch requests, by their ``custom_id``; None where two differ."""
    found: dict[str, Any] = {}
    for row in tree if isinstance(tree, list) else [tree]:
        if _is_batch_input(row) and isinstance(row["custom_id"], str):
            key = row["custom_id"]
            found[key] = row if found.get(key, row) == row else None
    return found


def _read(row: Any, here: Place, hints: Hints) -> ForeignExchange | Skipped:
    if isinstance(row, BrokenLine):
        return Skipped(here, row)
    if _is_batch_input(row) and not any(key in row for key in _RESPONSE):
        return Skipped(here, REQUEST_ALONE, broken=False)
    if not _is_pair(row):
        return Skipped(here, "there is no pair of a 'request' and a 'response'")
    asked_key = next((key for key in _REQUEST if key in row), None)
    given_key = next(key for key in _RESPONSE if key in row)
    if asked_key is None:  # a batch's output names its request
        asked = _batch_request(row, here, hints)
        asked_at = here
    else:
        asked, asked_at = row[asked_key], (*here, asked_key)
    given, given_at = row[given_key], (*here, given_key)
    if given is None or row.get("status") == -1:
        return Skipped(given_at, "there is no response: the request failed", broken=False)
    if row.get("truncated_req") or row.get("truncated_resp"):
        raise MisfitError(here, "it is marked as cut off")
    is_datadogs = isinstance(given, dict) and isinstance(given.get("status"), dict)
    if is_datadogs and isinstance(given.get("body"), dict):
        return read_interaction(row, here)  # one of vcrpy's, by itself
    asked_parts, given_parts = _parts(asked), _parts(given)
    asked_headers = header_pairs(asked_parts.get("headers"), (*asked_at, "headers"))
    headers = header_pairs(given_parts.get("headers"), (*given_at, "headers"))
    request_body = _body(asked_parts, asked_at, packed=is_datadogs)
    body = _body(given_parts, given_at, packed=is_datadogs)
    if given_parts.get("headers") is None and body:  # none were logged, but a client needs to know
        kind = (
            "text/event-stream" if _is_stream(given_parts) else "application/json" if _is_json(body) else ""
        )
        headers = (*headers, ("content-type", kind)) if kind else headers
    method = _first(asked_parts, ("method",)) or row.get("method") or "POST"
    if not isinstance(method, str):
        raise MisfitError((*asked_at, "method"), "should be text")
    moment = _first(row, _MOMENT)
    return ForeignExchange(
        method=method.upper(),
        url=_url(row, asked_parts, (request_body, body), here, hints),
        request_type=header_of(asked_headers, "content-type"),
        request_body=decoded(request_body, asked_headers, asked_at),
        status=_status(row, given_parts, given_at),
        headers=headers,
        body=decoded(body, headers, given_at),
        recorded_at=utc_seconds(moment),
        elapsed=_elapsed(row),
    )


def _batch_request(row: dict[str, Any], here: Place, hints: Hints) -> Any:
    known = hints.batch or {}
    key = row["custom_id"]
    if not isinstance(key, str) or key not in known:
        raise MisfitError(
            here, "there is no 'request': convert the batch's input file together with this one"
        )
    if known[key] is None:
        raise MisfitError(here, "several requests have this 'custom_id': convert each batch by itself")
    return known[key]


def _parts(message: Any) -> dict[str, Any]:
    """Return an HTTP message as a mapping of its parts; a body that stands alone becomes one."""
    if isinstance(message, dict) and message.keys() & _PARTS and not is_body(message):
        return message
    return {"body": message}


def _first(tree: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((tree[key] for key in keys if tree.get(key) is not None), None)


def _body(parts: dict[str, Any], here: Place, *, packed: bool) -> bytes:
    """Return the body of a message.

    Args:
        parts: of the message.
        here: where it stands.
        packed: whether text may be marked as base64, as Datadog's test agent does it.
    """
    encoded = _first(parts, ("body_base64", "body_b64"))
    if packed and isinstance(parts.get("body"), str) and parts["body"].startswith("base64:"):
        encoded = parts["body"].removeprefix("base64:")
    if encoded is not None:
        try:
            return from_base64(encoded if isinstance(encoded, str) else "?")
        except ValueError:
            raise MisfitError((*here, "body"), "should be base64") from None
    if isinstance(parts.get("events"), list):
        return "".join(_frames(parts["events"], (*here, "events"))).encode()
    body = _first(parts, ("body", "json", "content"))
    if owner := _streamed_by(body):
        last = [owner.last_event] if owner.last_event else []
        return "".join(_frames([*body, *last], (*here, "body"))).encode()
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return json_bytes(body)


def _streamed_by(body: Any) -> Endpoint | None:
    """Returns whose stream a body is, where a client put its chunks into a list; None where it is none."""
    if not isinstance(body, list) or not body or not all(isinstance(each, dict) for each in body):
        return None
    owner = endpoint_of_answer(body)
    return owner if owner.fold and all(owner.are_chunks([each], False) for each in body) else None


def _frames(events: list[Any], here: Place) -> Iterator[str]:
    """Yield the server-sent events of a stream, of which a log kept the data, with or without their names."""
    for i, event in enumerate(events):
        owner = endpoint_of_answer([event])
        name, data = event.get(owner.event_key, "") if owner.event_key else "", event
        if isinstance(event, dict) and "data" in event and not is_body(event):
            name, data = event.get("event") or "", event["data"]
        if not isinstance(name, str) or (isinstance(data, str) and "\n" in data):
            raise MisfitError((*here, i), "is not a server-sent event")
        text = data if isinstance(data, str) else json_bytes(data).decode()
        yield (f"event: {name}\n" if name else "") + f"data: {text}\n\n"


def _is_stream(parts: dict[str, Any]) -> bool:
    body = _first(parts, ("body", "json", "content"))
    return (
        isinstance(parts.get("events"), list)
        or _streamed_by(body) is not None
        or str(body).startswith(("data:", "event:"))
    )


def _is_json(body: bytes) -> bool:
    return body[:1] in (b"{", b"[")


def _endpoint_of(request: bytes, answer: bytes) -> Endpoint:
    """Returns the endpoint that answers so; where that is not told, the one that is asked so."""
    text = answer.decode("utf-8", "replace")
    found = endpoint_of_answer(
        json_chunks_of(text) if text.startswith(("data:", "event:")) else parsed_or_none(answer)
    )
    return endpoint_of_request(parsed_or_none(request)) if found is GENERIC else found


def _url(
    row: dict[str, Any], parts: dict[str, Any], bodies: tuple[bytes, bytes], here: Place, hints: Hints
) -> str:
    url = _first(parts, _URL) or _first(row, _URL) or ""
    if not isinstance(url, str):
        raise MisfitError(here, "the URL should be text")
    if url.lower().startswith(("http://", "https://")):
        return url
    base = _first(row, _BASE) or hints.base_url
    if not isinstance(base, str) or not is_url(base) or not base:
        what = "only the path of the URL" if url else "no URL"
        raise MisfitError(
            here, f"it gives {what}; say where it was sent, as in --base-url https://api.stepfun.com/v1"
        )
    if not url:
        endpoint = _endpoint_of(*bodies)
        if not endpoint.paths:
            raise MisfitError(here, "it has no URL, and its body does not show which endpoint it is for")
        return f"{base.rstrip('/')}{endpoint.paths[0]}"
    base, path = base.rstrip("/"), "/" + url.lstrip("/")
    prefix = urlsplit(base).path
    # The path of a log is often the whole one, and a base URL ends with the same version.
    return base.removesuffix(prefix) + path if prefix and path.startswith(f"{prefix}/") else base + path


def _status(row: dict[str, Any], parts: dict[str, Any], here: Place) -> int:
    status = _first(parts, _STATUS)
    if isinstance(status, dict):
        status = status.get("code")
    if status is None:
        status = _first(row, _STATUS)
        status = None if isinstance(status, str) and status.lower() in _FINE else status
    if status is None:
        body = parts.get("body")
        if isinstance(body, dict) and "error" in body and endpoint_of_answer(body) is GENERIC:
            raise MisfitError(here, "it is an error without a status")
        return 200
    if isinstance(status, str) and status.isdecimal() and len(status) == 3:
        status = int(status)
    return checked_status(status, (*here, "status"))


def _elapsed(row: dict[str, Any]) -> float | None:
    found = duration(_first(row, _SECONDS))
    return found if found is not None else duration(_first(row, _MILLISECONDS), per_second=1000)


# ---------------------------------------------------------------- and back


def _row(interaction: Interaction) -> dict[str, Any]:
    request, response = interaction.request, interaction.response
    known = {"recorded_at": interaction.recorded_at, "elapsed": interaction.elapsed}
    asked: dict[str, Any] = {"method": request.method, "url": request.url}
    if request.body_kind == "json":
        asked["headers"] = {"content-type": "application/json"}
    given = {"status": response.status, "headers": response.headers}
    return {
        **{key: value for key, value in known.items() if value is not None},
        "request": {**asked, **_written(request)},
        "response": {**given, **_written(response)},
    }


def _written(message: Request | Response) -> dict[str, Any]:
    body = body_bytes(message)
    if not body:
        return {}
    if (
        message.body_kind == "json"
        and isinstance(message.json, dict | list)
        and not _streamed_by(message.json)
    ):
        return {"body": message.json}
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": b64encode(body).decode()}
