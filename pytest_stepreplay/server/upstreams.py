"""The APIs that a server stands for: the path of a request becomes the URL to ask, of a named upstream or of none.

A path below an upstream mirrors its own: what is asked at ``/v1/models`` is ``/v1/models`` there. Further upstreams
have a name, which stands before that: ``/anthropic/v1/messages``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from ..endpoints import base_of_url
from ..errors import SettingsError, StepReplayError
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..models import Interaction

_NAMED: Final = re.compile(r"/?([A-Za-z][\w.-]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class NamedUpstream:
    """An API that a server stands for.

    Attributes:
        name: what its paths here begin with; empty for the one without a name.
        origin: scheme, host and port.
        path: of its base URL, without a slash at its end.
    """

    name: str
    origin: str
    path: str

    @property
    def prefix(self) -> str:
        """What its paths here begin with."""
        return f"/{self.name}" if self.name else ""

    @property
    def url(self) -> str:
        """Its base URL."""
        return self.origin + self.path

    def url_of(self, target: str) -> str | None:
        """Returns the URL that a path with its query stands for; None where it is not this upstream's."""
        if not target.startswith(f"{self.prefix}/"):
            return None
        own = target[len(self.prefix) :]
        inside = own.partition("?")[0]
        if inside != self.path and not inside.startswith(f"{self.path}/"):
            return None
        return self.origin + own


def read_upstreams(words: Iterable[str]) -> tuple[NamedUpstream, ...]:
    """Returns the upstreams that words such as ``https://api.stepfun.com/v1`` and ``NAME=URL`` name.

    Raises:
        SettingsError: one is no URL, or two have one name.
    """
    found: dict[str, NamedUpstream] = {}
    for word in words:
        named = _NAMED.fullmatch(word)
        name, url = (named[1], named[2]) if named else ("", word)
        upstream = _read(name, url.strip())
        if name in found:
            which = f"two upstreams are named {name}" if name else "two upstreams have no name"
            raise SettingsError(f"{which}: {found[name].url} and {upstream.url}. Write NAME=URL")
        found[name] = upstream
    main = found.get("")
    first = main.path.split("/")[1] if main is not None and main.path else ""
    if first and first in found:
        raise SettingsError(f"the name {first} is also where the path of {main.url if main else ''} begins")
    return tuple(found.values())


def _read(name: str, url: str) -> NamedUpstream:
    wrong = f"upstream {url!r:.200} is not a base URL such as https://api.stepfun.com/v1"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SettingsError(wrong) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", url):
        raise SettingsError(wrong)
    if parts.username is not None or parts.query or parts.fragment:
        raise SettingsError(
            f"the upstream at {parts.hostname} is given with more than a base URL; clients send their own keys"
        )
    return NamedUpstream(name, f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/"))


def recorded_upstreams(interactions: Iterable[Interaction]) -> tuple[NamedUpstream, ...]:
    """Returns the upstream that all of a cassette was recorded from; none where it is empty.

    Raises:
        StepReplayError: there are several.
    """
    found = {base_of_url(each.request.url): None for each in interactions}
    if len(found) > 1:
        named = " and ".join(f"{origin}{path}" for origin, path in found)
        raise StepReplayError(f"the recordings are of {named}: name the upstreams, as in NAME=URL")
    return tuple(NamedUpstream("", origin, path) for origin, path in found)


def find_url(upstreams: Sequence[NamedUpstream], target: str) -> str | None:
    """Returns the URL to ask for a path with its query; None where it is no upstream's.

    A path with ``.`` or ``..`` in it is nobody's: it could lead out of an upstream.
    """
    path = target.partition("?")[0]
    if ("." in path or "%" in path) and any(
        unquote(part) in {".", ".."} for part in re.split(r"[/\\]", unquote(path))
    ):
        return None
    by_name = sorted(upstreams, key=lambda each: not each.name)
    return next((url for each in by_name if (url := each.url_of(target))), None)
