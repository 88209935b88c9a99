"""Cassettes that other tools wrote -> ours; for now those of plain vcrpy, YAML or JSON, of every age.

A tree of plain values goes in, as the store parsed it, and a `Cassette` comes out: bodies decompressed, and
of the headers only those that are kept. Python objects are read as data; nothing is ever executed.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from .models import Cassette, Interaction, Request, Response
from .redaction import KEPT_RESPONSE_HEADERS
from .store.bodies import request_from_wire, response_from_wire
from .store.encodings import EncodingError, undo_encoding
from .store.json_text import shown
from .store.yaml_events import TAG_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

VCR_VERSION = 1
"""The version that vcrpy has written into its cassettes since 1.0; before, there was none."""

_ISTR = re.compile(rf"{TAG_PREFIX}python/object/(?:apply|new):multidict(?:\.\w+)*\.istr")


class MisfitError(Exception):
    """A foreign cassette does not fit what its tool writes.

    Attributes:
        location: keys and indexes from the top of the file.
        problem: what is wrong there, without any value.
    """

    def __init__(self, location: Sequence[str | int], problem: str) -> None:
        super().__init__(problem)
        self.location = location
        self.problem = problem


def is_vcr(tree: object) -> bool:
    """Tell whether a file's tree is, by its keys, a cassette of vcrpy."""
    return isinstance(tree, dict) and "stepreplay" not in tree and isinstance(tree.get("interactions"), list)


def construct_tag(tag: str, value: Any) -> Any:
    """Return what a YAML tag in a vcrpy cassette means: text, bytes or a list.

    Args:
        tag: in full, such as ``tag:yaml.org,2002:binary``.
        value: the text, list or dict behind it.

    Raises:
        ValueError: it is no tag that vcrpy writes, or the value does not suit it.
    """
    name = tag.removeprefix(f"{TAG_PREFIX}python/")
    match name, value:
        case "tag:yaml.org,2002:binary", str():
            return _from_base64(value)
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
    raise ValueError(
        f"has the YAML tag {shown(tag.replace(TAG_PREFIX, '!!'))}, which is not read: a file must not build objects"
    )


def read_vcr(tree: dict[str, Any]) -> Cassette:
    """Return the cassette in a file's tree of which `is_vcr` is true.

    Raises:
        MisfitError: it is not what vcrpy writes, or a body cannot be decompressed.
    """
    version = tree.get("version", VCR_VERSION)
    if version != VCR_VERSION:
        raise MisfitError(["version"], f"only version {VCR_VERSION} of vcrpy's cassettes can be read")
    interactions = enumerate(tree["interactions"])
    return Cassette(interactions=tuple(_interaction(each, ["interactions", i]) for i, each in interactions))


def _interaction(tree: Any, here: list[str | int]) -> Interaction:
    request = _request(_member(tree, "request", dict, here), [*here, "request"])
    response = _response(_member(tree, "response", dict, here), [*here, "response"])
    return Interaction(request=request, response=response)


def _request(tree: dict[str, Any], here: list[str | int]) -> Request:
    method, url = _member(tree, "method", str, here), _member(tree, "uri", str, here)
    headers = _headers(tree.get("headers"), [*here, "headers"])
    if "body" not in tree:
        raise MisfitError(here, "there is no 'body', which plain vcrpy always writes")
    content = tree["body"]
    if isinstance(content, dict) and not content.keys() & {"string", "base64_string"}:
        content = json.dumps(content, default=_text)  # a filter of the user's parsed it
    body = _decoded(_bytes(content, [*here, "body"]), headers, [*here, "body"])
    return request_from_wire(method, url, body, headers.get("content-type"))


def _response(tree: dict[str, Any], here: list[str | int]) -> Response:
    headers = _headers(tree.get("headers"), [*here, "headers"])
    if "status_code" in tree:  # as vcrpy before 6 wrote what httpx received
        status, place = _member(tree, "status_code", int, here), "content"
    else:
        status = _member(_member(tree, "status", dict, here), "code", int, [*here, "status"])
        place = "body"
    if place not in tree:
        raise MisfitError(here, f"there is no {place!r}, which plain vcrpy always writes")
    if not 100 <= status <= 999:
        raise MisfitError([*here, "status"], "there is no such HTTP status")
    body = _decoded(_bytes(tree[place], [*here, place]), headers, [*here, place])
    kept = {name: value for name, value in headers.items() if name in KEPT_RESPONSE_HEADERS}
    return response_from_wire(status, kept, body)


def _member(tree: Any, key: str, kind: type, here: list[str | int]) -> Any:
    if not isinstance(tree, dict):
        raise MisfitError(here, "should be a mapping")
    if key not in tree:
        raise MisfitError(here, f"there is no {key!r}")
    value = tree[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        names = {dict: "a mapping", str: "text", int: "a whole number"}
        raise MisfitError([*here, key], f"should be {names[kind]}")
    return value


def _headers(tree: Any, here: list[str | int]) -> dict[str, str]:
    """Return the headers under lower-case names; several of one name are joined, as RFC 9110 allows."""
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise MisfitError(here, "should be a mapping")
    headers: dict[str, str] = {}
    for name, values in tree.items():
        texts = [_text(value) for value in (values if isinstance(values, list) else [values])]
        before = [headers[name.lower()]] if name.lower() in headers else []
        headers[name.lower()] = ", ".join(before + texts)
    return headers


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bytes(body: Any, here: list[str | int]) -> bytes:
    """Return a body in any of the forms that vcrpy and its filters have written."""
    match body:
        case None:
            return b""
        case bytes():
            return body
        case str():
            return body.encode()
        case {"string": content} if len(body) == 1:
            return _bytes(content, [*here, "string"])
        case {"base64_string": str() as encoded} if len(body) == 1:
            try:
                return _from_base64(encoded)
            except ValueError:
                raise MisfitError([*here, "base64_string"], "should be base64") from None
        case list() if all(isinstance(piece, str | bytes) for piece in body):
            return b"".join(piece.encode() if isinstance(piece, str) else piece for piece in body)
    raise MisfitError(here, "is in no form that plain vcrpy writes")


def _from_base64(text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise ValueError("has a binary value that is not base64") from None


def _decoded(body: bytes, headers: dict[str, str], here: list[str | int]) -> bytes:
    try:
        return undo_encoding(body, headers.get("content-encoding", ""))
    except EncodingError as error:
        raise MisfitError(here, str(error)) from None
