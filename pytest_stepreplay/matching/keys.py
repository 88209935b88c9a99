"""What makes two requests the same: a request goes in, its key comes out.

Equal keys mean equal requests, up to what JSON leaves open (the order of keys, ``1`` and ``1.0``) and what
differs from run to run without meaning anything (the ids of tool calls, the port of a local server).
"""

from __future__ import annotations

import marshal
from dataclasses import replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

from .. import selectors
from ..endpoints import endpoint_of, endpoint_of_url
from ..errors import SettingsError
from ..settings import ABSENT_EQUALS, MATCHERS
from ..texts import varying
from ..value_classes import dataclass
from ..wire.bodies import compact_json
from . import body_keys, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..models import Request
    from ..selectors import Selectors
    from ..texts.varying import Normalizing

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_PLAIN_MARSHAL: Final = 2
"""The last form of marshal in which it does not matter which parts of a tree are the same object."""


class _MatchSettings(Protocol):
    """What decides which requests are equal: `Settings`, or what was kept of them."""

    @property
    def match_on(self) -> tuple[str, ...]: ...
    @property
    def ignore_request(self) -> tuple[str, ...]: ...
    @property
    def ignore_order(self) -> tuple[str, ...]: ...
    @property
    def absent_equals(self) -> str: ...
    @property
    def normalize(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Matcher:
    """Knows which parts of a request must be equal.

    Attributes:
        match_on: some of `MATCHERS`.
        ignore_request: selectors of the places in a JSON body that may differ.
        ignore_order: selectors of the lists in a JSON body whose items may come in any order.
        absent_equals: what of a JSON body is the same as its absence, one of `ABSENT_EQUALS`.
        normalize: values that differ from run to run, by the names of their kinds and by patterns.
    """

    match_on: tuple[str, ...] = MATCHERS
    ignore_request: tuple[str, ...] = ()
    ignore_order: tuple[str, ...] = ()
    absent_equals: str = "default"
    normalize: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks the names and the selectors.

        Raises:
            SettingsError: a name or a pattern is none, or there is no name.
            SelectorError: a selector cannot be parsed.
        """
        names = [self.match_on] if isinstance(self.match_on, str) else self.match_on
        unknown = [name for name in names if name not in MATCHERS]
        if unknown or not names or isinstance(self.match_on, str):
            problem = f"{unknown[0]!r} is not known" if unknown else "it must be a list with a name in it"
            raise SettingsError(f"match_on: {problem}. Valid names: {', '.join(MATCHERS)}")
        if self.absent_equals not in ABSENT_EQUALS:
            raise SettingsError(
                f"absent_equals: {self.absent_equals!r} is not one of {', '.join(ABSENT_EQUALS)}"
            )
        _ = self._ignored, self._unordered
        if self.normalize:
            _ = self._normalizer

    @classmethod
    def of(cls, settings: _MatchSettings) -> Matcher:
        """Returns the matcher that settings ask for."""
        return cls(**{name: getattr(settings, name) for name in cls.__match_args__})

    def key(self, request: Request) -> str:
        """Returns the request's key: a digest, equal for requests that match."""
        parts = self.comparable(request)
        body = canonical.canonical_text(parts.pop("body", None))
        return blake2b(f"{parts!a} {body}".encode("ascii"), digest_size=16).hexdigest()

    def loose_key(self, request: Request) -> str:
        """Returns a key that is equal for requests which match but for what earlier answers have given them.

        Those are ids of what the server keeps, and texts that only it can read. Of two runs they tell which requests
        belong together; in one run they are a difference.
        """
        url = _read_url(request.url)
        endpoint = endpoint_of(url.path)
        if isinstance(request.json, dict):
            request = replace(request, json=endpoint.with_renamed_ids(request.json, loosely=True))
        return self.key(replace(request, url=request.url.replace(url.path, endpoint.loose_path(url.path), 1)))

    def comparable(self, request: Request) -> dict[str, Any]:
        """Returns the parts that are compared, by name, in the form they are compared in.

        The body is None, or a pair of its kind (``"json"``, ...) and its content.
        """
        url = _read_url(request.url)
        parts: dict[str, Any] = {"method": request.method.upper(), **url._asdict()}
        normalizing = self._start_normalizing()
        if "body" in self.match_on:
            parts["body"] = self._body(request, normalizing)
        if normalizing:
            parts["path"] = normalizing.in_url(url.path)
            parts["query"] = [(name, normalizing.in_url(value)) for name, value in url.query]
        return {name: parts[name] for name in MATCHERS if name in self.match_on}

    def messages(self, request: Request) -> list[Any] | None:
        """Returns the messages of a chat request as they are compared; None for any other request."""
        body = self._body(request, self._start_normalizing()) if request.body_kind == "json" else None
        return endpoint_of_url(request.url).messages_of(body[1]) if body else None

    def conversation(self, request: Request) -> list[str]:
        """Returns a digest of the conversation up to each of its messages; none for any other request.

        A request carries another one on if the last digest of that one stands among its own, before the last.
        """
        digest, digests = blake2b(digest_size=16), []
        for message in self.messages(request) or ():
            digest.update(canonical.canonical_text(message).encode("ascii") + b"\n")
            digests.append(digest.hexdigest())
        return digests

    def normalized(self, request: Request) -> str:
        """Returns what of the request is normalized, such as ``2 dates, 1 UUID``; nothing where nothing is."""
        normalizing = self._start_normalizing()
        if normalizing and "body" in self.match_on:
            self._body(request, normalizing)
        return normalizing.describe() if normalizing else ""

    def _body(self, request: Request, normalizing: Normalizing | None) -> list[Any] | None:
        kind = request.body_kind
        if kind is None:
            return None
        if kind == "events":
            return [
                kind,
                [event if isinstance(event, str) else [event.frame] for event in request.events or ()],
            ]
        if kind != "json":
            body = body_keys.read_other(request)
            return (
                body_keys.with_normalized(body, normalizing)
                if normalizing and kind in ("text", "parts")
                else body
            )
        tree = request.json
        if self._ignored is not None:
            tree = selectors.without(tree, self._ignored)
        url = _read_url(request.url)
        endpoint = endpoint_of(url.path)
        if self.absent_equals != "nothing":
            tree = endpoint.without_defaults(tree, url.host)
        if self.absent_equals in body_keys.EMPTY:
            tree = body_keys.without_empty(tree, body_keys.EMPTY[self.absent_equals])
        if normalizing:
            tree = body_keys.with_normalized(tree, normalizing)
        if self._unordered is not None:
            tree = body_keys.with_order(tree, self._unordered, endpoint.calls)
        if isinstance(tree, dict):
            tree = endpoint.with_renamed_ids(tree)
        return [kind, tree]

    @cached_property
    def _ignored(self) -> Selectors | None:
        return _read_selectors(self.ignore_request)

    def _start_normalizing(self) -> Normalizing | None:
        return self._normalizer.start() if self.normalize else None

    @cached_property
    def _normalizer(self) -> varying.Normalizer:
        return varying.Normalizer(self.normalize)

    @cached_property
    def _unordered(self) -> Selectors | None:
        return _read_selectors(self.ignore_order)


def _read_selectors(texts: tuple[str, ...]) -> selectors.Selectors | None:
    if not texts:
        return None

    return selectors.Selectors(texts)


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


def is_sent_so(request: Request, method: str, url: str, body: bytes) -> bool:
    """Whether what a client sends is a recorded request to the letter, so that its body need not be read.

    It says no of any body that is not JSON as most clients write it.
    """
    try:
        return (
            isinstance(request.json, dict | list)
            and request.method == method
            and _is_same_url(request.url, url)
            and compact_json(request.json) == body
            and b"NaN" not in body  # which is no JSON
            and b"Infinity" not in body
        )
    except UnicodeEncodeError:
        return False


def is_plainly_same(one: Request, other: Request) -> bool:
    """Whether two requests are the same as they stand, whatever is matched on.

    Many times cheaper than a key. It says no where only the order of keys or the ids of tool calls differ.
    """
    return (
        one.method == other.method
        and _is_same_url(one.url, other.url)
        and (one.json is other.json or (one.json == other.json and _is_written_alike(one.json, other.json)))
        and one.text == other.text
        and one.events == other.events
        and one.base64 == other.base64
        and one.parts == other.parts
        and one.file == other.file
    )


def _is_same_url(one: str, other: str) -> bool:
    return one == other or _read_url(one) == _read_url(other)


def _is_written_alike(one: Any, other: Any) -> bool:
    """Whether two trees that are equal are so to JSON, too: to Python, 1 is True."""
    if one.__class__ is other.__class__ is dict:
        if [*one] != [*other]:
            return False
        one, other = _apart(one, other)
    try:
        return marshal.dumps(one, _PLAIN_MARSHAL) == marshal.dumps(other, _PLAIN_MARSHAL)
    except ValueError:  # what another tool's cassette holds beside JSON
        return repr(one) == repr(other)


def _apart(one: dict[str, Any], other: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Returns what of two equal bodies is not the same object, as messages are that two turns share."""
    mine, its = list[Any](), list[Any]()
    for left, right in zip(one.values(), other.values(), strict=True):
        if left is right:
            continue
        if left.__class__ is right.__class__ is list and left and left[0] is right[0]:
            pairs = [pair for pair in zip(left, right, strict=True) if pair[0] is not pair[1]]
            mine += [pair[0] for pair in pairs]
            its += [pair[1] for pair in pairs]
        else:
            mine.append(left)
            its.append(right)
    return mine, its


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
