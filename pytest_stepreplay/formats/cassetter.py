"""Cassettes that cassetter wrote, YAML or TOML: each body says its type, and binary ones are hexadecimal.

Calls over gRPC and websockets stand in lists of their own; they are no HTTP exchanges, so they are counted and
left out. The file's order is kept: identical requests stand in the order in which they were recorded.
"""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from typing import TYPE_CHECKING, Any

from .foreign import (
    Foreign,
    ForeignExchange,
    MisfitError,
    Skipped,
    checked_status,
    decoded,
    gather,
    header_of,
    header_pairs,
    json_bytes,
    member,
    utc_seconds,
)
from .format import Format
from .vcrpy import read_interaction

if TYPE_CHECKING:
    from .foreign import Hints

_VERSION = 1
_TOML = re.compile(r"\A(?:#.*\n|\s)*(?:version\s*=|\[\[interactions\]\]|interactions\s*=)")
_OTHER_LISTS = {"grpc_interactions": "a call over gRPC", "ws_interactions": "a conversation over a websocket"}

Place = tuple[str | int, ...]


class Cassetter(Format):
    """Cassettes of cassetter; see the module."""

    name = "cassetter"

    def parse(self, text: str) -> Any:
        if not _TOML.match(text):
            return None
        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise MisfitError([], f"is not valid TOML ({error})") from None

    def is_mine(self, tree: Any) -> bool:
        if not isinstance(tree, dict) or "stepreplay" in tree:
            return False
        interactions = tree.get("interactions", [])
        if not isinstance(interactions, list):
            return False
        has_others = any(isinstance(tree.get(key), list) for key in _OTHER_LISTS)
        return has_others or any(_is_cassetters(each) for each in interactions)

    def read(self, tree: Any, hints: Hints) -> Foreign:
        if tree.get("version", _VERSION) != _VERSION:
            raise MisfitError(["version"], f"only version {_VERSION} of cassetter's cassettes can be read")
        interactions = enumerate(tree.get("interactions", []))
        found = gather(self.name, ((("interactions", i), each) for i, each in interactions), _read)
        others = chain.from_iterable(
            (
                Skipped((key, i), f"it is {what}, not an HTTP exchange", broken=False)
                for i in range(len(tree[key]))
            )
            for key, what in _OTHER_LISTS.items()
            if isinstance(tree.get(key), list)
        )
        return Foreign(self.name, found.exchanges, (*found.skipped, *others))


def _is_cassetters(interaction: Any) -> bool:
    response = interaction.get("response") if isinstance(interaction, dict) else None
    return isinstance(response, dict) and isinstance(response.get("status"), int)


def _read(tree: Any, here: Place) -> ForeignExchange | Skipped:
    if not _is_cassetters(tree):  # it reads those of vcrpy, and may have been given one to add to
        return read_interaction(tree, here)
    asked, asked_at = member(tree, "request", dict, here), (*here, "request")
    given, given_at = tree["response"], (*here, "response")
    asked_headers = header_pairs(asked.get("headers"), (*asked_at, "headers"))
    headers = header_pairs(given.get("headers"), (*given_at, "headers"))
    return ForeignExchange(
        method=member(asked, "method", str, asked_at),
        url=member(asked, "uri", str, asked_at),
        request_type=header_of(asked_headers, "content-type"),
        request_body=decoded(_body(asked, asked_at), asked_headers, (*asked_at, "body")),
        status=checked_status(given.get("status"), (*given_at, "status")),
        headers=headers,
        body=decoded(_body(given, given_at), headers, (*given_at, "body")),
        recorded_at=utc_seconds(tree.get("recorded_at")),
    )


def _body(tree: dict[str, Any], here: Place) -> bytes:
    if "body_type" in tree:  # TOML, where JSON is text
        kind, content, is_text = tree["body_type"], tree.get("body_content"), True
    else:
        body = tree.get("body") or {"type": "none"}
        kind, content, is_text = member(body, "type", str, (*here, "body")), body.get("content"), False
    match kind, content:
        case "none", _:
            return b""
        case "text", str():
            return content.encode()
        case "binary", str():
            try:
                return bytes.fromhex(content)
            except ValueError:
                raise MisfitError((*here, "body"), "should be hexadecimal") from None
        case "json", str() if is_text:
            return content.encode()
        case "json", _ if not is_text:
            return json_bytes(content)
    raise MisfitError((*here, "body"), "is not in a form that cassetter writes")
