"""Recorded requests, as they are sent again: a cassette's interactions become requests with the key of their host.

A cassette holds neither keys nor the headers of requests, so both are made anew. Where that cannot be done, because
what was sent is not there, the reason comes out instead: nothing is sent broken.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ..endpoints import endpoint_of_url
from ..errors import CassetteReadError, SettingsError
from ..interception import exchanges
from ..interception.sending import Outgoing
from ..redaction.shapes import PLACEHOLDER
from ..report import ledger
from ..settings import PLACEHOLDER_KEY
from ..settings.hosts import is_this_machine, plain_name
from ..store import cassettes
from ..store.files import read_bytes
from ..value_classes import dataclass
from ..wire.bodies import body_bytes
from ..wire.multipart import BOUNDARY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ..endpoints import Endpoint
    from ..models import Interaction, Response
    from ..settings import Settings

_FORM: Final = re.compile(rb"[\w.~%+*-]+=[\w.~%+*-]*(?:&[\w.~%+*-]+=[\w.~%+*-]*)*")
_BYTES_OF_TOKEN: Final = 3
"""Text has more bytes for each token than this, in most languages; what is not told is not guessed too low."""
_TIMES: Final = "-"
_SPARE: Final = 2
"""An answer without a limit may be this many times as long as the recorded one."""


@dataclass(frozen=True, slots=True, eq=False)
class AskedCassette:
    """A cassette whose requests are sent again.

    Attributes:
        path: the file.
        name: as a person types it.
        digest: of what the file held when it was read.
        test: the id of its test; empty where it does not say.
        interactions: all of them.
        is_ours: it is in our own format, and may be written.
    """

    path: Path
    name: str
    digest: str
    test: str
    interactions: tuple[Interaction, ...]
    is_ours: bool = True

    def written(self, content: bytes, interactions: tuple[Interaction, ...]) -> AskedCassette:
        """Returns the cassette as the file holds it once that was written."""
        return replace(self, digest=_digest_of(content), interactions=interactions)

    def is_as_it_was(self) -> bool:
        """Whether the file still holds what was read."""
        try:
            return _digest_of(read_bytes(self.path)) == self.digest
        except CassetteReadError:
            return False


@dataclass(frozen=True, slots=True, eq=False)
class RecordedRequest:
    """One recorded request.

    Attributes:
        cassette: where it stands.
        position: in the cassette, from 0.
        key: the same in each run, as long as the request is the same.
        most_tokens: that an answer may cost, as far as that can be said.
    """

    cassette: AskedCassette
    position: int
    key: str
    most_tokens: int

    @property
    def interaction(self) -> Interaction:
        """The request with its stored answer."""
        return self.cassette.interactions[self.position]

    def again(self, number: int) -> RecordedRequest:
        """Returns the request as it is sent the how-manieth time."""
        return self if number == 1 else replace(self, key=f"{self.key}{_TIMES}{number}")


def key_of_first(key: str) -> str:
    """Returns the key of a request that is sent the first time, by that of any time."""
    return key.partition(_TIMES)[0]


def read_asked(path: Path, name: str, settings: Settings) -> AskedCassette:
    """Returns a cassette whose requests are to be sent again.

    Raises:
        CassetteReadError: it cannot be read.
    """
    content = read_bytes(path)
    read = cassettes.parse_cassette(content, path, keep_headers=settings.keep_headers)
    found, is_ours = read.cassette, read.format == "stepreplay"
    return AskedCassette(path, name, _digest_of(content), found.test or "", found.interactions, is_ours)


def requests_of(asked: Iterable[AskedCassette]) -> Iterator[RecordedRequest]:
    """Yields the requests of cassettes, in their order."""
    for cassette in asked:
        times = Counter[str]()
        for position, each in enumerate(cassette.interactions):
            sent = _digest_of(f"{each.request.method} {_place_of(each)} {_shown_body(each)}".encode())
            times[sent] += 1
            key = _digest_of(f"{cassette.name} {sent} {times[sent]}".encode())[:32]
            yield RecordedRequest(cassette, position, key, _most_tokens(each))


def read_rebased(words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Returns the base URLs that words such as ``http://127.0.0.1:8000=http://127.0.0.1:9000`` replace.

    Raises:
        SettingsError: a word is none.
    """
    found = []
    for word in words:
        old, _, new = word.partition("=")
        if not all(each.startswith(("http://", "https://")) and urlsplit(each).netloc for each in (old, new)):
            raise SettingsError(f"--base-url {word!r:.200} is not FROM=TO, each with http:// or https://")
        found.append((old.rstrip("/"), new.rstrip("/")))
    return tuple(found)


class Sendable:
    """Makes recorded requests ones that can be sent."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], rebased: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Knows the keys.

        Args:
            settings: name the environment variables with the keys of hosts.
            environment: holds the keys.
            rebased: base URLs to send to in place of others.
        """
        self._variables = exchanges.KEY_OF_HOST | {
            plain_name(host): name for host, name in settings.host_keys
        }
        self._api_keys = settings.api_keys
        self._environment = environment
        self._rebased = tuple(rebased)

    def outgoing_of(self, recorded: RecordedRequest) -> Outgoing | str:
        """Returns the request to send, or why it cannot be sent."""
        request = recorded.interaction.request
        endpoint = endpoint_of_url(request.url)
        url = _without_key(self._rebase(request.url), endpoint)
        try:
            body = body_bytes(request)
        except CassetteReadError as error:
            return str(error)
        for held, text in (("URL", url), ("body", body.decode("utf-8", "replace"))):
            if PLACEHOLDER in text:
                return f"its {held} held a secret, which is not stored: only its test can send it"
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            return "its URL has no scheme or no host"
        key = self._key_for(plain_name(parts.hostname))
        if key is None:
            return self._missing(parts.hostname)
        headers = {"content-type": _content_type(recorded.interaction, body)} if body else {}
        if key:
            headers |= {name: text.format(key=key) for name, text in endpoint.key_headers.items()}
        return Outgoing(request.method, url, headers, body)

    def lacks_key(self, recorded: RecordedRequest) -> bool:
        """Whether it is the key alone that is missing, which another run may have."""
        host = urlsplit(self._rebase(recorded.interaction.request.url)).hostname or ""
        return bool(host) and self._key_for(plain_name(host)) is None

    def _rebase(self, url: str) -> str:
        for old, new in self._rebased:
            if url == old or url.startswith((f"{old}/", f"{old}?")):
                return new + url[len(old) :]
        return url

    def _key_for(self, host: str) -> str | None:
        """Returns the key of a host; an empty one where it needs none; None where it is not set."""
        name = self._variables.get(host)
        if name == "none":
            return ""
        if name is None and is_this_machine(host, is_lookup=False):
            # A server on this machine gets what clients send there: the key that they are built with, if any.
            return next(filter(None, map(self._value_of, self._api_keys)), "")
        return self._value_of(name or "") or None

    def _value_of(self, name: str) -> str:
        key = self._environment.get(name, "")
        return "" if key == PLACEHOLDER_KEY else key

    def _missing(self, host: str) -> str:
        name = self._variables.get(plain_name(host))
        if name:
            return f"the API key of {host} is not set: set {name}"
        return (
            f"which variable holds the API key of {host} is not known: "
            f"add the line '{host}: VARIABLE' to stepreplay_host_keys, or '{host}: none'"
        )


def _without_key(url: str, endpoint: Endpoint) -> str:
    """Returns a URL without the key in its query, where the endpoint also takes it in a header."""
    parts = urlsplit(url)
    name = endpoint.key_parameter
    if not name or name not in dict(parse_qsl(parts.query, keep_blank_values=True)):
        return url
    kept = [each for each in parts.query.split("&") if each.partition("=")[0] != name]
    return urlunsplit(parts._replace(query="&".join(kept)))


def _content_type(interaction: Interaction, body: bytes) -> str:
    """Returns the type that a client gives such a body; cassettes do not hold it."""
    if interaction.request.body_kind == "json":
        return "application/json"
    if body.startswith(f"--{BOUNDARY}".encode()):
        return f"multipart/form-data; boundary={BOUNDARY}"
    if interaction.request.text is None:
        return "application/octet-stream"
    return "application/x-www-form-urlencoded" if _FORM.fullmatch(body) else "text/plain; charset=utf-8"


def _most_tokens(interaction: Interaction) -> int:
    """Returns the most tokens that an answer may cost: what its request allows, or else twice the recorded one."""
    request, response = interaction.request, interaction.response
    endpoint = endpoint_of_url(request.url)
    told = ledger.tokens_of(response, endpoint)
    asked = told.input if told.input is not None else len(_shown_body(interaction)) // _BYTES_OF_TOKEN
    most = endpoint.most_output(request.json) if isinstance(request.json, dict) else None
    if most is None:
        most = _SPARE * (told.output if told.output is not None else _size_of(response) // _BYTES_OF_TOKEN)
    return asked + most


def tokens_spent(stored: Interaction, new: Response | None, size: int) -> int:
    """Returns what an answer has cost: what it says, or else as its size lets one think.

    Args:
        stored: the recorded request with its stored answer.
        new: today's answer; None where it cannot be read.
        size: of today's answer, in bytes.
    """
    told = ledger.tokens_of(new, endpoint_of_url(stored.request.url)).sum if new is not None else 0
    return told or (len(_shown_body(stored)) + size) // _BYTES_OF_TOKEN


def _size_of(response: Response) -> int:
    try:
        return len(body_bytes(response))
    except CassetteReadError:
        return 0


def _shown_body(interaction: Interaction) -> str:
    request = interaction.request
    if request.body_kind == "json":
        return json.dumps(request.json, sort_keys=True)
    return f"{request.text}{request.base64}{request.parts}{request.file}"


def _place_of(interaction: Interaction) -> str:
    """Returns what is asked, without the port: servers under test move."""
    try:
        parts = urlsplit(interaction.request.url)
    except ValueError:
        return interaction.request.url
    return urlunsplit(parts._replace(netloc=parts.hostname or ""))


def _digest_of(content: bytes) -> str:
    return sha256(content).hexdigest()
