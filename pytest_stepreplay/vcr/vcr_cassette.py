"""A test's open cassette with the attributes of vcrpy's, for suites that use what the `vcr` fixture gives them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

from ..formats.vcrpy import import_vcr
from . import filters
from .config import record_mode_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..session.sessions import Session


class VcrCassette:
    """A session, with what tests ask vcrpy's cassette for."""

    inject = False
    rewound = True

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rewound_at = 0

    @property
    def path(self) -> str:
        """Where the cassette lies, whether it is there or not."""
        return str(self._session.path)

    _path = path

    @property
    def record_mode(self) -> Any:
        """The record mode, as vcrpy's enumeration."""
        name = record_mode_of(self._session.settings.mode, of_vcrpy=True)
        return import_vcr("vcr.record_mode").RecordMode(name)

    @property
    def write_protected(self) -> bool:
        """Whether nothing is recorded."""
        return not self._session.settings.mode.records

    @property
    def allow_playback_repeats(self) -> bool:
        """Whether a recorded response may answer more than once."""
        return self._session.settings.allow_repeats

    @property
    def dirty(self) -> bool:
        """Whether something was recorded that is still to be written."""
        return bool(self._session.recorded)

    @property
    def play_counts(self) -> Counter[int]:
        """How often each interaction has answered, by its position; those that have not are left out."""
        played = Counter(id(each) for each in self._session.played[self._rewound_at :])
        counts = {n: played[id(each)] for n, each in enumerate(self._session.interactions)}
        return Counter({n: count for n, count in counts.items() if count})

    @property
    def play_count(self) -> int:
        """How many requests were answered from the cassette."""
        return len(self._session.played) - self._rewound_at

    @property
    def all_played(self) -> bool:
        """Whether each recorded interaction has been played."""
        return len(self.play_counts) == len(self)

    @property
    def requests(self) -> list[Any]:
        """The recorded requests, as vcrpy's."""
        return [filters.to_vcr_request(each.request) for each in self._session.interactions]

    @property
    def responses(self) -> list[dict[str, Any]]:
        """The recorded responses, as vcrpy's."""
        return [filters.to_vcr_response(each.response) for each in self._session.interactions]

    @property
    def data(self) -> list[tuple[Any, dict[str, Any]]]:
        """Each recorded request with its response."""
        return [*zip(self.requests, self.responses, strict=True)]

    def rewind(self) -> None:
        """Makes every played interaction available again."""
        self._session.rewind()
        self._rewound_at = len(self._session.played)

    def __len__(self) -> int:
        return len(self._session.interactions)

    def __iter__(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        return iter(self.data)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"the test's cassette is one of stepreplay's, which has no {name!r}; it has all_played, data, dirty, "
            "path, play_count, play_counts, record_mode, requests, responses and rewind(), and the fixture "
            "stepreplay has more"
        )
