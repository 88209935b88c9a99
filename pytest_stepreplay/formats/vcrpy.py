"""Cassettes that vcrpy wrote, YAML or JSON, since 1.0, with what projects' own serializers made of them.

Among these are bodies parsed into trees (`parsed_body`, as pydantic-ai's tests keep them), and the shape that
versions before 6 wrote for httpx. Python objects are read as data; nothing is ever executed.
"""

from __future__ import annotations

import importlib.metadata
import re
import warnings
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ..errors import StepReplayError
from ..wire.bodies import body_bytes
from ..wire.json_values import shown
from .foreign import (
    Foreign,
    ForeignExchange,
    MisfitError,
    Skipped,
    checked_status,
    decoded,
    from_base64,
    gather,
    header_of,
    header_pairs,
    json_bytes,
    member,
)
from .format import WritableFormat

if TYPE_CHECKING:
    from ..models import Cassette, Request, Response
    from .foreign import Hints

VERSION = 1
"""The version that vcrpy has written into its cassettes since 1.0; before, there was none."""

Place = tuple[str | int, ...]

_TAGS = "tag:yaml.org,2002:"
"""What YAML's own tags begin with, in full."""
_ISTR = re.compile(rf"{_TAGS}python/object/(?:apply|new):multidict(?:\.\w+)*\.istr")


def construct_tag(tag: str, value: Any) -> Any:
    """Return what a YAML tag in a vcrpy cassette means: text, bytes or a list.

    Args:
        tag: in full, such as ``tag:yaml.org,2002:binary``.
        value: the text, list or dict behind it.

    Raises:
        ValueError: it is no tag that vcrpy writes, or the value does not suit it.
    """
    name = tag.removeprefix(f"{_TAGS}python/")
    match name, value:
        case "tag:yaml.org,2002:binary", str():
            return from_base64(value)
        case "str" | "unicode", str():
            return value
        case "tuple", list():
            return value
        case "object/new:_io.BytesIO", {"state": [bytes() | str() as content, *_]}:
            return content
        case "object/apply:builtins.iter", {"args": [list() as pieces]}:
            return pieces
    if _ISTR.fullmatch(tag):
        match value:
            case [str() as text] | {"args": [str() as text]}:
                return text
    name = shown(tag.replace(_TAGS, "!!"))
    raise ValueError(f"has the YAML tag {name}, which is not read: a file must not build objects")


class Vcr(WritableFormat):
    """Cassettes of vcrpy; see the module."""

    name = "vcr"
    suffix = ".yaml"

    def is_mine(self, tree: Any) -> bool:
        return (
            isinstance(tree, dict) and "stepreplay" not in tree and isinstance(tree.get("interactions"), list)
        )

    def read(self, tree: Any, hints: Hints) -> Foreign:
        if tree.get("version", VERSION) != VERSION:
            raise MisfitError(["version"], f"only version {VERSION} of vcrpy's cassettes can be read")
        interactions = enumerate(tree["interactions"])
        return gather(self.name, ((("interactions", i), each) for i, each in interactions), read_interaction)

    def render(self, cassette: Cassette) -> str:
        """Return the text that vcrpy's own serializer writes, so that plain vcrpy replays it.

        What vcrpy has no place for is left out: when an interaction was recorded, how long it took, the test's id.

        Raises:
            StepReplayError: vcrpy is not installed, or not one that goes with the HTTP clients that are.
        """
        serialize, serializer = import_vcr("vcr.serialize"), import_vcr("vcr.serializers.yamlserializer")
        requests = [vcr_request(each.request) for each in cassette.interactions]
        responses = [vcr_response(each.response) for each in cassette.interactions]
        text: str = serialize.serialize({"requests": requests, "responses": responses}, serializer)
        return text


def read_interaction(tree: Any, here: Place) -> ForeignExchange | Skipped:
    """Return the exchange that one entry of ``interactions`` stands for.

    Raises:
        MisfitError: vcrpy would not have written it.
    """
    if isinstance(tree, dict) and "request" not in tree:
        return Skipped(here, "it has no 'request', so it is not an HTTP exchange", broken="response" in tree)
    return read_exchange(tree, here)


def read_exchange(tree: Any, here: Place) -> ForeignExchange:
    """Return the exchange that a request and a response of vcrpy's stand for.

    Raises:
        MisfitError: vcrpy would not have written it.
    """
    asked, asked_at = member(tree, "request", dict, here), (*here, "request")
    given, given_at = member(tree, "response", dict, here), (*here, "response")
    method, url = member(asked, "method", str, asked_at), member(asked, "uri", str, asked_at)
    asked_headers = header_pairs(asked.get("headers"), (*asked_at, "headers"))
    request_body = _request_body(asked, asked_at)
    headers = header_pairs(given.get("headers"), (*given_at, "headers"))
    if "status_code" in given:  # as vcrpy before 6 wrote what httpx received
        status, place = member(given, "status_code", int, given_at), "content"
    else:
        status = member(member(given, "status", dict, given_at), "code", int, (*given_at, "status"))
        place = "body"
    body, body_at = _body(given, place, given_at)
    return ForeignExchange(
        method=method,
        url=url,
        request_type=header_of(asked_headers, "content-type"),
        request_body=decoded(request_body, asked_headers, (*asked_at, "body")),
        status=checked_status(status, (*given_at, "status")),
        headers=headers,
        body=decoded(body, headers, body_at),
    )


def _request_body(tree: dict[str, Any], here: Place) -> bytes:
    content = tree.get("body")
    if isinstance(content, dict) and not content.keys() & {"string", "base64_string"}:
        return json_bytes(content)  # a filter of the user's parsed it
    return _body(tree, "body", here)[0]


def _body(tree: dict[str, Any], key: str, here: Place) -> tuple[bytes, Place]:
    """Return a body, and where it stands."""
    if tree.get("parsed_body") is not None:
        return json_bytes(tree["parsed_body"]), (*here, "parsed_body")
    if key not in tree:
        if "parsed_body" in tree:  # JSON's null
            return b"null", (*here, "parsed_body")
        raise MisfitError(here, f"there is no {key!r}, which plain vcrpy always writes")
    return _bytes(tree[key], (*here, key)), (*here, key)


def _bytes(body: Any, here: Place) -> bytes:
    """Return a body in any of the forms that vcrpy and its filters have written."""
    match body:
        case None:
            return b""
        case bytes():
            return body
        case str():
            return body.encode()
        case {"string": content} if len(body) == 1:
            return _bytes(content, (*here, "string"))
        case {"base64_string": str() as encoded} if len(body) == 1:
            try:
                return from_base64(encoded)
            except ValueError:
                raise MisfitError((*here, "base64_string"), "should be base64") from None
        case list() if all(isinstance(piece, str | bytes) for piece in body):
            return b"".join(piece.encode() if isinstance(piece, str) else piece for piece in body)
    raise MisfitError(here, "is not in a form that plain vcrpy writes")


# ---------------------------------------------------------------- and back


def vcr_request(request: Request) -> Any:
    """Return the request as vcrpy would have loaded it."""
    # vcrpy's matcher of bodies compares JSON as JSON where this header says that it is some.
    headers = {"content-type": "application/json"} if request.body_kind == "json" else {}
    # No body is empty here, as vcrpy records it of httpx; of requests, it records null.
    return import_vcr("vcr.request").Request(request.method, request.url, body_bytes(request), headers)


def vcr_response(response: Response) -> dict[str, Any]:
    """Return the response as vcrpy would have loaded it."""
    phrases = {each.value: each.phrase for each in HTTPStatus}
    return {
        "status": {"code": response.status, "message": phrases.get(response.status, "")},
        "headers": {name: [value] for name, value in response.headers.items()},
        "body": {"string": body_bytes(response)},
    }


def import_vcr(name: str) -> Any:
    """Returns a module of vcrpy, which imports every HTTP client there is.

    Raises:
        StepReplayError: vcrpy is not installed, or not one that goes with the clients that are.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the clients are not ours
        try:
            return importlib.import_module(name)
        except (AttributeError, ImportError) as error:  # it patches what a newer client no longer has
            if isinstance(error, ModuleNotFoundError) and error.name in {"vcr", name}:
                raise StepReplayError("vcrpy is not installed; install it: pip install vcrpy") from None
            raise StepReplayError(
                f"vcrpy {importlib.metadata.version('vcrpy')} does not work with the HTTP clients that are installed "
                f"here ({error}); install another: pip install -U vcrpy"
            ) from None
