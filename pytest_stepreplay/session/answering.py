"""What may answer the requests of one session: its own cassette, and those that lend to it.

A redacted request goes in, and the position of the interaction that answers it comes out; or, where there is none, a
text that says what is nearest, and where else the request was recorded. What was played is counted here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ..commands import pytest_command, stepreplay_command
from ..errors import CassetteReadError, CassetteWriteError, Explanation, display_path
from ..housekeeping import relinking
from ..matching import keys, nearness
from ..redaction import shapes
from ..remote import states
from ..report import misses
from ..settings import Writes
from ..store import body_files, cassettes, files
from . import elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from ..models import Interaction, Request
    from ..redaction.redactor import Redactor
    from ..settings import Mode, Settings
    from .exchange import Filters

MANY: Final = 100
"""How many interactions make a cassette one that is indexed when it is opened; until then it is often not needed."""


def read_own(
    path: Path, settings: Settings, parse: Callable[[str], Any] | None = None
) -> cassettes.ReadCassette:
    """Returns the cassette of a session, as it is read in its mode.

    Raises:
        CassetteReadError: it cannot be read.
        CassetteWriteError: it is another tool's, and would be recorded into.
    """
    loaded = cassettes.read_cassette(path, keep_headers=_kept_in(settings), parse=parse)
    if loaded.format != "stepreplay" and settings.mode.adds:
        raise CassetteWriteError(
            path,
            f"is a cassette of another tool ({loaded.format}); it can be replayed, but not recorded into",
            fix=f"Convert it with: {stepreplay_command('convert', display_path(path))}\nor delete it to record the "
            'test anew, or name another cassette: @pytest.mark.stepreplay(cassette="...")',
        )
    return loaded


def _check_files(interactions: Iterable[Interaction], path: Path) -> None:
    """Does nothing where each answer can be given: most cassettes have no file beside them."""
    beside = [each for each in interactions if each.response.file is not None]
    if beside:
        body_files.check_files(beside, path)


def _kept_in(settings: Settings) -> Collection[str] | None:
    """Returns which response headers of another tool's cassette are kept: all, where nothing of it is written."""
    return None if settings.mode.writes == Writes.NOTHING else settings.keep_headers


class Answers:
    """The interactions that may answer one session's requests.

    Attributes:
        loaded: the session's own cassette, as it was opened; None as long as there is none.
        own: its interactions. Those of the lenders follow, in the positions too.
        played: how often each position has answered.
        missed_some: something was asked that is recorded anew.
    """

    def __init__(
        self,
        settings: Settings,
        path: Path,
        *,
        test: str,
        typed: str,
        served: str,
        shared: bool,
        root: Path | None,
        lenders: tuple[Path, ...],
        filters: Filters | None,
        redactor: Redactor,
    ) -> None:
        """Holds nothing yet; the arguments are the session's."""
        self.loaded: cassettes.ReadCassette | None = None
        self.own: tuple[Interaction, ...] = ()
        self._settings = settings
        self.played: dict[int, int] = {}
        self.missed_some = False
        self._again = set[int]()
        self._is_in_store = settings.store is not None
        self._allow_repeats = settings.allow_repeats
        self._path = path
        self._test = test
        self._typed = typed
        self._served = served
        self._shared = shared
        self._root = root
        self._lenders = lenders
        self._filters = filters
        self._same = filters.same if filters else None
        self._parse = filters.parse if filters else None
        self._keep_headers = _kept_in(settings)
        self._redactor = redactor
        self._lent: list[tuple[Path, int]] = []
        self._all: tuple[Interaction, ...] = ()
        self._next = 0
        self._index: keys.Index | None = None
        self._index_of_today: keys.Index | None = None
        self._seen_today: list[Request] = []
        self._missed_conversations: set[str] = set()
        self._last_key: tuple[Request | None, str] = None, ""
        self._last_seen: tuple[Request | None, bool] = None, False

    @cached_property
    def matcher(self) -> keys.Matcher:
        """What makes two requests equal; most tests ask just what they asked before, and need none."""
        return keys.Matcher.of(self._settings)

    def key(self, request: Request) -> str:
        """Returns the key of a request; that of a request which nothing answers is asked for again and again."""
        last = self._last_key
        if last[0] is not request:
            last = self._last_key = request, self.matcher.key(request)
        return last[1]

    def hold(self, loaded: cassettes.ReadCassette, mode: Mode) -> None:
        """Takes the session's own cassette.

        Raises:
            CassetteReadError: a file beside it, which an answer is to come from, is not there or was changed.
        """
        self.loaded = loaded
        self.own = self._all = loaded.cassette.interactions
        self._index = self._index_of_today = None
        self._seen_today = []
        if mode.answers:
            _check_files(self.own, self._path)
            if len(self.own) > MANY:
                self._make_index()

    @property
    def every(self) -> tuple[Interaction, ...]:
        """All interactions that may answer."""
        return self._all

    def is_ownerless(self) -> bool:
        """Whether the session's own cassette is one that no test has recorded."""
        loaded = self.loaded
        return loaded is not None and loaded.format == "stepreplay" and loaded.cassette.test is None

    def borrow(self, mode: Mode) -> None:
        """Takes, once, what other cassettes hold as further answers.

        Raises:
            CassetteReadError: one of them is not there, or cannot be read.
        """
        if not self._lenders or not mode.answers:
            return
        lenders, self._lenders = self._lenders, ()
        for path in lenders:
            if not files.exists(path) and mode.adds:
                continue
            if not files.exists(path):
                raise CassetteReadError(
                    path,
                    "does not exist",
                    fix="The test's marker names it: restore it, or remove it from the marker",
                )
            loaded = cassettes.read_cassette(path, keep_headers=self._keep_headers, parse=self._parse)
            interactions = loaded.cassette.interactions
            _check_files(interactions, path)
            self._lent.append((path, len(interactions)))
            self._all += interactions
        self._index = self._index_of_today = None
        self._seen_today = []

    def next_same(self, request: Request) -> int | None:
        """Returns the position of the next recorded request where it is this one as it stands; None where it is not.

        Most tests ask what they asked when they were recorded, in that order.
        """
        position = self._upcoming()
        if position is not None and keys.is_plainly_same(request, self._all[position].request):
            return position
        return None

    def next_sent_so(self, method: str, url: str, body: bytes) -> Request | None:
        """Returns the next recorded request where a client sends it to the letter; None where it does not."""
        position = self._upcoming()
        if position is None or not keys.is_sent_so(self._all[position].request, method, url, body):
            return None
        request = self._all[position].request
        return request if request.url == url else replace(request, url=url)  # another port of this machine

    def _upcoming(self) -> int | None:
        while self._next in self.played:
            self._next += 1
        return self._next if self._next < len(self._all) else None

    def find(self, request: Request) -> int | None:
        """Returns the position of what answers the request; None where nothing does.

        What goes on with a conversation that was missed is not answered: it is recorded anew to its end.
        """
        if not self._all:
            return None
        if self._missed_conversations:
            conversation = self.matcher.conversation(request)
            if not self._missed_conversations.isdisjoint(conversation[:-1]):
                return None
        found = self.next_same(request)
        if found is not None:
            return found
        index = self._index or self._make_index()
        key = self.key(request)
        if self._same is None:
            for position in index.positions(key):
                if position not in self.played:
                    return position
        positions = self._positions(request, key)
        for position in positions:
            if position not in self.played:
                return position
        again = next((each for each in positions if each in self._again), None)
        if again is not None:
            self._again.discard(again)
            return again
        return positions[-1] if positions and self._allow_repeats else None

    def play(self, position: int) -> Interaction:
        """Returns what stands at a position, and counts that it has answered."""
        self.played[position] = self.played.get(position, 0) + 1
        return self._all[position]

    def give_again(self, position: int) -> None:
        """Lets what has answered answer once more: a fault has spoiled it."""
        self._again.add(position)

    def at(self, position: int) -> Interaction:
        """Returns what stands at a position."""
        return self._all[position]

    def rewind(self) -> None:
        """Makes every played interaction available again."""
        self.played.clear()
        self._next = 0

    def note_miss(self, request: Request) -> None:
        """Notes that a request is recorded anew, and so is the rest of its conversation."""
        self.missed_some = True
        if self._all:
            self._missed_conversations.update(self.matcher.conversation(request)[-1:])

    def borrowed(self, positions: Iterable[int]) -> Iterator[tuple[str, int, tuple[int, ...]]]:
        """Yields each lender with how many interactions it holds, and those of the positions that are its own."""
        start, positions = len(self.own), tuple(positions)
        for path, total in self._lent:
            inside = (each - start for each in positions)
            yield str(path), total, tuple(each for each in inside if 0 <= each < total)
            start += total

    def explain_miss(self, request: Request) -> Explanation:
        """Returns what there is to say of a request that nothing answers."""
        key = self.key(request)
        same = self._positions(request, key)
        nearest = None if same else self._nearest(request)
        miss = misses.Miss(
            request=request,
            test=self._test,
            typed=self._typed,
            served=self._served,
            cassette=display_path(self._path),
            exists=self.loaded is not None,
            moved=self._moved(),
            writable=self.loaded is None or self.loaded.format == "stepreplay",
            recorded=len(self._all),
            played=len(self.played),
            times_recorded=len(same),
            nearest=nearest,
            stale=(self._all[nearest.position].stale or "") if nearest else "",
            elsewhere=None if same else self._elsewhere(request, key),
            normalized=self.matcher.normalized(request),
            is_behind=self._is_behind(),
        )
        return misses.explain_miss(miss)

    def explain_overread(self, position: int, length: int) -> Explanation:
        """Returns what there is to say of a stream that is read on after all the bytes that were recorded."""
        return Explanation(
            f"{display_path(self._path)}, interaction {position + 1}: the client that recorded "
            f"this stream left it after {length:,} bytes, and now more is being read.\n"
            "The rest was not recorded. Read only that far, or record it again with: "
            f"{pytest_command('--stepreplay=rewrite', tests=[self._typed] if self._typed else ())}"
        )

    def _is_behind(self) -> bool:
        """Whether others have recorded the cassette again, and what is here is still the one before."""
        if not self._is_in_store or self._root is None or self.loaded is None:
            return False
        try:
            return states.state_of(self._path, self._root).standing in states.TO_PULL
        except CassetteReadError:
            return False

    def _make_index(self) -> keys.Index:
        self._index = keys.Index(self.matcher, (each.request for each in self._all))
        return self._index

    def _positions(self, request: Request, key: str) -> Sequence[int]:
        """Returns where requests of this key were recorded, as they are seen today.

        What was redacted when it was recorded hardly ever looks different today, so this is rarely needed.
        """
        positions = self._all_positions(request, key)
        if self._same is None:
            return positions
        seen = self._requests()
        return [each for each in positions if self._same(request, seen[each])]

    def _all_positions(self, request: Request, key: str) -> Sequence[int]:
        if not self._is_seen_anew(request):
            return (self._index or self._make_index()).positions(key)
        if self._index_of_today is None:
            seen = self._requests()
            if all(now is each.request for now, each in zip(seen, self._all, strict=True)):
                self._index_of_today = self._index or self._make_index()
            else:
                self._index_of_today = keys.Index(self.matcher, seen)
        return self._index_of_today.positions(key)

    def _is_seen_anew(self, request: Request) -> bool:
        """Whether a recorded request that is not redacted, or not filtered, may be this one.

        Where nothing of a request is redacted today, nothing is in those that are equal to it.
        """
        if self._filters is not None:
            return True
        last = self._last_seen
        if last[0] is not request:
            try:
                last = self._last_seen = request, shapes.PLACEHOLDER in repr(request)
            except RecursionError:  # a body of hostile depth
                last = self._last_seen = request, True
        return last[1]

    def _nearest(self, request: Request) -> nearness.Nearest | None:
        if self._is_seen_anew(request):
            return nearness.nearest(request, self._requests(), self.played, self.matcher)
        recorded = [each.request for each in self._all]
        redact = self._redactor.redact_request
        return nearness.nearest(request, recorded, self.played, self.matcher, as_today=redact)

    def _elsewhere(self, request: Request, key: str) -> str | None:
        """Returns another cassette of the suite that answers the request, as far as the search goes."""
        if self._root is None:
            return None

        redact = self._redactor.redact_request if self._is_seen_anew(request) else None
        words = nearness.telling_words(request, self.matcher)
        matcher = self.matcher
        if "body" not in matcher.match_on:  # whatever was asked of this URL would be the same request
            matcher = replace(matcher, match_on=(*matcher.match_on, "body"))
            key = matcher.key(request)
        path = elsewhere.search_for(self._root).find(key, words, matcher, redact, besides=self._path)
        return display_path(path) if path else None

    def _requests(self) -> list[Request]:
        """Returns the recorded requests as a request of today is seen: redacted, by the rules of today."""
        if len(self._seen_today) != len(self._all):
            change = self._filters.request if self._filters else lambda request: request
            filtered = (change(each.request) or each.request for each in self._all)
            self._seen_today = [self._redactor.redact_request(each) for each in filtered]
        return self._seen_today

    def _moved(self) -> str | None:
        """Returns the cassette of a test of this name that is gone, where this one's is not there."""
        if self.loaded is not None or self._root is None or not self._test or self._shared:
            return None

        near = elsewhere.search_for(self._root).near
        path = relinking.moved_cassette(self._root, near.same_named(self._path))
        return display_path(path) if path else None
