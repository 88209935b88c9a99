"""What makes two requests the same: a request goes in, its key comes out.

Equal keys mean equal requests, up to what JSON leaves open (the order of keys, ``1`` and ``1.0``) and what
differs from run to run without meaning anything (the ids of tool calls, the port of a local server).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from ipaddress import ip_address
from json.encoder import encode_basestring_ascii
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from ..errors import SettingsError
from ..settings import MATCHERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..drift.selectors import Selectors
    from ..models import Request

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True)
class Matcher:
    """Knows which parts of a request must be equal.

    Attributes:
        match_on: some of `MATCHERS`.
        ignore_request: selectors of the places in a JSON body that may differ.
    """

    match_on: tuple[str, ...] = MATCHERS
    ignore_request: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks the names and the selectors.

        Raises:
            SettingsError: a name is unknown, or there is none.
            SelectorError: a selector cannot be parsed.
        """
        names = [self.match_on] if isinstance(self.match_on, str) else self.match_on
        unknown = [name for name in names if name not in MATCHERS]
        if unknown or not names or isinstance(self.match_on, str):
            problem = f"{unknown[0]!r} is not known" if unknown else "it must be a list with a name in it"
            raise SettingsError(f"match_on: {problem}. Valid names: {', '.join(MATCHERS)}")
        _ = self._selectors

    def key(self, request: Request) -> str:
        """Returns the request's key: a digest, equal for requests that match."""
        parts = self.comparable(request)
        body = canonical_text(parts.pop("body", None))
        return blake2b(f"{parts!a} {body}".encode("ascii"), digest_size=16).hexdigest()

    def comparable(self, request: Request) -> dict[str, Any]:
        """Returns the parts that are compared, by name, in the form they are compared in.

        The body is None, or a pair of its kind (``"json"``, ...) and its content.
        """
        url = _read_url(request.url)
        parts: dict[str, Any] = {"method": request.method.upper(), **url._asdict()}
        if "body" in self.match_on:
            parts["body"] = self._body(request)
        return {name: parts[name] for name in MATCHERS if name in self.match_on}

    def messages(self, request: Request) -> list[Any] | None:
        """Returns the messages of a chat request as they are compared; None for any other request."""
        body = self._body(request) if request.body_kind == "json" else None
        messages = body[1].get("messages") if body and isinstance(body[1], dict) else None
        return messages if isinstance(messages, list) else None

    def conversation(self, request: Request) -> list[str]:
        """Returns a digest of the conversation up to each of its messages; none for any other request.

        A request carries another one on if the last digest of that one stands among its own, before the last.
        """
        digest, digests = blake2b(digest_size=16), []
        for message in self.messages(request) or ():
            digest.update(canonical_text(message).encode("ascii") + b"\n")
            digests.append(digest.hexdigest())
        return digests

    def _body(self, request: Request) -> list[Any] | None:
        kind = request.body_kind
        if kind is None:
            return None
        if kind == "events":
            return [
                kind,
                [event if isinstance(event, str) else [event.frame] for event in request.events or ()],
            ]
        if kind != "json":
            return [kind, getattr(request, kind)]
        tree = request.json
        if self._selectors is not None:
            from ..drift.selectors import remove  # noqa: PLC0415 - only a run that ignores something needs it

            tree = remove(tree, self._selectors)
        if isinstance(tree, dict):
            tree = _with_renamed_calls(tree)
            if tree.get("stream") is False:  # the documented default
                tree = {name: value for name, value in tree.items() if name != "stream"}
        return [kind, tree]

    @cached_property
    def _selectors(self) -> Selectors | None:
        if not self.ignore_request:
            return None
        from ..drift.selectors import Selectors  # noqa: PLC0415 - only a run that ignores something needs it

        return Selectors(self.ignore_request)


DEFAULT_MATCHER: Final = Matcher()


class Index:
    """Finds the recorded requests of a key. It is built once, in one pass, and holds nothing that changes."""

    __slots__ = ("_positions",)

    def __init__(self, matcher: Matcher, requests: Iterable[Request]) -> None:
        """Computes the key of each request.

        Args:
            matcher: makes the keys.
            requests: the recorded ones, in order.
        """
        self._positions: dict[str, list[int]] = {}
        for position, request in enumerate(requests):
            self._positions.setdefault(matcher.key(request), []).append(position)

    def positions(self, key: str) -> Sequence[int]:
        """Returns where requests with this key were recorded, in order."""
        return self._positions.get(key, ())


def is_plainly_same(one: Request, other: Request) -> bool:
    """Whether two requests are the same as they stand, whatever is matched on.

    Many times cheaper than a key. It says no where only the order of keys or the ids of tool calls differ.
    """
    return (
        one.method == other.method
        and (one.url == other.url or _read_url(one.url) == _read_url(other.url))
        and one.json == other.json
        and one.text == other.text
        and one.events == other.events
        and one.base64 == other.base64
        and repr(one.json) == repr(other.json)  # to Python, 1 is True
    )


class _Url(NamedTuple):
    scheme: str
    host: str
    port: int | None
    path: str
    query: list[tuple[str, str]]


@lru_cache(maxsize=1024)
def _read_url(url: str) -> _Url:
    """Returns the parts of a URL; one that cannot be parsed is all path."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return _Url("", "", None, url, [])
    if is_loopback(host):
        port = None
    elif port is None:
        port = _DEFAULT_PORTS.get(parts.scheme)
    return _Url(parts.scheme, host, port, parts.path or "/", sorted(query))


def is_loopback(host: str) -> bool:
    """Whether a host's name or address stands for this machine, where servers change their ports."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _with_renamed_calls(body: dict[str, Any]) -> dict[str, Any]:
    """Returns the body with tool calls numbered in the order in which the messages first name them.

    Only ``tool_calls[].id`` and the ``tool_call_id`` that cites it are renamed. Nothing is changed in place.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not any(map(_call_ids, messages)):
        return body
    names: dict[str, str] = {}
    renamed = []
    for message in messages:
        ids = _call_ids(message)
        if ids:
            for one in ids:
                names.setdefault(one, f"call-{len(names) + 1}")
            message = dict(message)  # noqa: PLW2901 - the copy takes its place
            if isinstance(message.get("tool_calls"), list):
                message["tool_calls"] = [
                    {**call, "id": names[call["id"]]} if _has_id(call) else call
                    for call in message["tool_calls"]
                ]
            if isinstance(message.get("tool_call_id"), str):
                message["tool_call_id"] = names[message["tool_call_id"]]
        renamed.append(message)
    return {**body, "messages": renamed}


def _call_ids(message: Any) -> list[str]:
    """Returns the ids of tool calls that a message makes or cites, in order."""
    if not isinstance(message, dict):
        return []
    calls = message.get("tool_calls")
    ids = [call["id"] for call in calls if _has_id(call)] if isinstance(calls, list) else []
    cited = message.get("tool_call_id")
    return [*ids, cited] if isinstance(cited, str) else ids


def _has_id(call: Any) -> bool:
    return isinstance(call, dict) and isinstance(call.get("id"), str)


def canonical_text(tree: Any) -> str:
    """Returns a text that is equal for equal JSON values: ``1`` is ``1.0``, but neither ``true`` nor ``"1"``."""
    try:
        text = _compact(tree)
    except (RecursionError, ValueError, TypeError):
        return _walked(tree)
    # What may be a float that is a whole number: its text must be that of the number.
    return _walked(tree) if (".0" in text or "e+" in text) and _WHOLE_FLOAT.search(text) else text


_compact: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_WHOLE_FLOAT: Final = re.compile(r"(?:\A|[\[:,])-?[0-9]+(?:\.0|(?:\.[0-9]+)?e\+[0-9]+)(?:[\]},]|\Z)")


def _walked(tree: Any) -> str:
    """Returns the same text, made without recursion: neither a deep body nor a deep stack changes a key."""
    parts: list[str] = []
    write = parts.append
    stack: list[Iterator[tuple[str, Any]]] = [iter([("", tree)])]
    ends = [""]
    while stack:
        for before, node in stack[-1]:
            write(before)
            if isinstance(node, str):
                write(encode_basestring_ascii(node))
            elif isinstance(node, dict):
                pairs = sorted(((str(key), value) for key, value in node.items()), key=itemgetter(0))
                names = (f"{encode_basestring_ascii(name)}:" for name, _ in pairs)
                members = zip(names, (value for _, value in pairs), strict=True)
                stack.append(_separated(members))
                ends.append("}")
                write("{")
                break
            elif isinstance(node, list | tuple):
                stack.append(_separated(("", each) for each in node))
                ends.append("]")
                write("[")
                break
            elif isinstance(node, float) and node.is_integer():
                write(_whole(int(node)))
            elif isinstance(node, int) and not isinstance(node, bool):
                write(_whole(node))
            elif node is None or isinstance(node, bool | float):
                write(json.dumps(node))
            else:
                write(encode_basestring_ascii(f"{type(node).__name__} {node}"))
        else:
            stack.pop()
            write(ends.pop())
    return "".join(parts)


def _separated(members: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yields the members with a comma before the name of all but the first."""
    comma = ""
    for name, value in members:
        yield comma + name, value
        comma = ","


def _whole(number: int) -> str:
    try:
        return repr(number)
    except ValueError:  # more than 4,300 digits
        return hex(number)
