"""Where else in a suite a request was recorded that its own test's cassette does not answer.

The key of a request goes in, and the path of a cassette comes out. However many cassettes there are, and however
large, one search reads and parses little; what it has parsed, it knows to the end of the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import StepReplayError
from ..machine import disk
from ..store import cassettes
from ..store.nearby import Neighborhood
from . import host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..matching.keys import Matcher
    from ..models import Request

_OPENED: Final = 100
_READ: Final = 4 << 20
"""Files that one search opens, and bytes that it reads."""
_PARSED: Final = {True: 64 << 10, False: 16 << 10}
"""Bytes that one search parses of our own cassettes, and of other tools', which take longer."""
_PARSED_IN_ALL: Final = 2 << 20
"""Bytes that all searches of a run parse."""
_OURS: Final = b"stepreplay:"


class Search:
    """The cassettes under one folder.

    Attributes:
        near: which of them are near a place.
    """

    def __init__(self, root: Path) -> None:
        self.near = Neighborhood(root)
        self._left = _PARSED_IN_ALL
        self._contents: dict[str, bytes] = {}
        self._room = _READ
        self._keys: dict[tuple[Matcher, bool], dict[str, frozenset[str]]] = {}

    def find(
        self,
        key: str,
        words: Sequence[str],
        matcher: Matcher,
        redact: Callable[[Request], Request] | None,
        *,
        besides: Path,
    ) -> Path | None:
        """Returns a cassette that holds a request of this key, those of the same name, and in the same folder, first.

        Args:
            key: of the request.
            words: what every file that holds the request spells.
            matcher: makes the keys.
            redact: returns a recorded request as one of today is seen; None where that makes no difference.
            besides: the cassette that is known not to have it.
        """
        spelled = [word.encode() for word in words]
        unopened, unread, unparsed = _OPENED, _READ, dict(_PARSED)
        known = self._keys.setdefault((matcher, redact is not None), {})
        for name in self.near.nearest_first(besides):
            if name in known:
                if key in known[name]:
                    return Path(name)
                continue
            if not unopened:
                break
            unopened -= 1
            content = self._read(name, unread)
            if content is None:
                continue
            unread -= len(content)
            is_ours = _OURS in content[:256]
            if len(content) > min(unparsed[is_ours], self._left) or any(
                word not in content for word in spelled
            ):
                continue
            unparsed[is_ours] -= len(content)
            self._left -= len(content)
            known[name] = _keys_of(Path(name), matcher, redact)
            if key in known[name]:
                return Path(name)
        own = str(besides)
        return next((Path(name) for name, keys in known.items() if key in keys and name != own), None)

    def _read(self, name: str, most: int) -> bytes | None:
        """Returns what a file holds, or held when it was first read; None where it is larger, or cannot be read."""
        content = self._contents.get(name)
        if content is None:
            try:
                content = disk.read(name, most + 1)
            except OSError:
                return None
            if len(content) <= min(most, self._room):
                self._contents[name] = content
                self._room -= len(content)
        return content if len(content) <= most else None


def _keys_of(path: Path, matcher: Matcher, redact: Callable[[Request], Request] | None) -> frozenset[str]:
    try:
        interactions = cassettes.read_cassette(path).cassette.interactions
    except (OSError, StepReplayError):
        return frozenset()
    requests = (each.request for each in interactions)
    return frozenset(matcher.key(redact(each) if redact else each) for each in requests)


_searches: Final[dict[Path, Search]] = {}


def search_for(root: Path) -> Search:
    """Returns the search under a folder; in a run always the same one."""
    return _searches.setdefault(root, Search(root)) if host.host() else Search(root)


def forget() -> None:
    """Forgets what was found: the run has ended."""
    _searches.clear()
