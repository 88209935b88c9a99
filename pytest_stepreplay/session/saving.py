"""What a session leaves on disk: the cassette with what it recorded, or what drifted beside it.

`Work` is what one session did. What it makes of the cassette comes out, or goes into the file under its lock,
merged with what others have written there meanwhile. It may go there several times; `Saved` is how far it has.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING

from ..drift import keeping
from ..housekeeping import ages
from ..models import Cassette, Interaction
from ..settings import RECORD
from ..store import body_files, cassettes, files, locks
from ..store import pending as pending_files
from ..value_classes import dataclass
from ..verify import judging
from .answering import read_own
from .merging import merge_recorded, merge_rewritten, places_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from ..matching import keys
    from ..settings import Settings
    from ..verify.judging import Verdict
    from .answering import Answers
    from .history import History


@dataclass(frozen=True, slots=True)
class Saved:
    """What a session knows of its cassette's file: what it read there, or has written last.

    Attributes:
        cassette: what the file held then.
        known: for each interaction that the cassette held when it was opened, where it stands in that.
        recorded: for each that was recorded and saved, by its identity, where it stands; None where it was removed.
        content: the bytes of the file, if the session has written it.
    """

    cassette: Cassette
    known: tuple[int | None, ...]
    recorded: dict[int, int | None]
    content: bytes | None = None

    @classmethod
    def as_opened(cls, known: tuple[Interaction, ...]) -> Saved:
        """Returns what is known of a file into which nothing was written yet."""
        return cls(Cassette(interactions=known), tuple(range(len(known))), {})


@dataclass(frozen=True, slots=True)
class Work:
    """What one session has done with its cassette so far.

    Attributes:
        settings: the session's.
        path: the cassette.
        test: the id of the test.
        shared: other tests use the cassette too.
        matcher: what makes two requests equal.
        known: what the cassette held when it was opened.
        done: for each request in order, the position in `known` of what answered it, or what was recorded.
        stale: the positions in `known` of what the test no longer asks for.
        saved: how far it was saved already.
    """

    settings: Settings
    path: Path
    test: str
    shared: bool
    matcher: keys.Matcher
    known: tuple[Interaction, ...]
    done: tuple[tuple[int | None, Interaction | None], ...]
    stale: Collection[int]
    saved: Saved

    @property
    def is_saved(self) -> bool:
        """Whether all that was recorded was saved."""
        return all(id(new) in self.saved.recorded for new in self.recorded)

    @property
    def recorded(self) -> tuple[Interaction, ...]:
        """What was recorded, in the order of the requests."""
        return tuple(new for _, new in self.done if new)

    def merged(self, now: tuple[Interaction, ...]) -> tuple[Interaction, ...]:
        """Returns the interactions to write.

        Args:
            now: what the file holds, others having written it perhaps.
        """
        return self._merged(now, self._as_written())

    def _as_written(self) -> Sequence[Interaction]:
        """Returns what was recorded, as it is to stand in the file."""
        if not self.settings.mode.rewrites:
            return self.recorded
        whole = [None if i is None or self._is_lost(self.known[i]) else i for i in self.pairs()]
        rewritten = keeping.keep_volatile(self.known, self.recorded, whole, self.settings.volatile)
        return ages.with_new_dates(rewritten, self.recorded, self.settings)

    def _merged(
        self, now: tuple[Interaction, ...], written: Sequence[Interaction]
    ) -> tuple[Interaction, ...]:
        base, saved = self.saved.cassette.interactions, self.saved
        if self.settings.mode.rewrites:
            places = [
                saved.recorded.get(id(new), None if old is None else saved.known[old])
                for new, old in zip(self.recorded, self.pairs(), strict=True)
            ]
            return merge_rewritten(base, now, written, places, shared=self.shared, key=self._key)
        stale = {place for each in self.stale if (place := saved.known[each]) is not None}
        done = [self._placed(position, new) for position, new in self.done]
        return merge_recorded(base, now, done, stale=stale, shared=self.shared, key=self._key)

    def _placed(self, position: int | None, new: Interaction | None) -> tuple[int | None, Interaction | None]:
        """Returns what was recorded and is not saved yet; of what is saved, or was played, where it stands."""
        if new is None:
            return (None if position is None else self.saved.known[position]), None
        if id(new) in self.saved.recorded:
            return self.saved.recorded[id(new)], None
        return None, new

    def pairs(self) -> list[int | None]:
        """Returns, for each interaction recorded anew, the position of the one that it replaces."""
        left: dict[str, deque[int]] = {}
        for position, each in enumerate(self.known):
            left.setdefault(self.matcher.loose_key(each.request), deque()).append(position)
        pairs: list[int | None] = []
        for each in self.recorded:
            positions = left.get(self.matcher.loose_key(each.request))
            pairs.append(positions.popleft() if positions else None)
        return pairs

    def verdicts(self) -> tuple[Verdict, ...]:
        """Returns how each interaction recorded anew differs from the one that it replaces."""
        return tuple(
            judging.compare_interactions(self.settings, self.known[old], new, old)
            for new, old in zip(self.recorded, self.pairs(), strict=True)
            if old is not None
        )

    def save(self) -> None:
        """Writes the cassette: what it holds now, whoever has written it meanwhile, and what is new."""
        with locks.locked(self.path):
            self._write()

    def save_so_far(self) -> Saved:
        """Does the same while the session goes on; returns how far the work is saved, for the next time."""
        with locks.locked(self.path):
            base, now, written, cassette, content = self._write()
        index = {id(each): place for place, each in enumerate(cassette.interactions)}
        places = places_of(base, now)

        def moved(place: int | None) -> int | None:
            before = None if place is None else places[place]
            return None if before is None else index.get(id(now[before]))

        recorded = {
            id(new): index.get(id(stands)) if id(stands) in index else moved(self.saved.recorded.get(id(new)))
            for new, stands in zip(self.recorded, written, strict=True)
        }
        return Saved(cassette, tuple(map(moved, self.saved.known)), recorded, content)

    def _write(
        self,
    ) -> tuple[Sequence[Interaction], Sequence[Interaction], Sequence[Interaction], Cassette, bytes]:
        """Writes the cassette.

        Returns:
            what the session knew of the file, what that held, what was recorded as it stands there now, and the
            cassette with its bytes.
        """
        found = self._read()
        work = self if found is None else replace(self, saved=self._as_read())
        now = self.saved.cassette if found is None else found
        exists = found is not None or self.saved.content is not None
        test = now.test if self.shared and exists else self.test
        written = work._as_written()
        cassette = Cassette(test=test or None, interactions=work._merged(now.interactions, written))
        has_pending = files.exists(pending_files.pending_path(self.path))
        content = cassettes.write_cassette(self.path, cassette, last=not has_pending)
        if has_pending:
            pending_files.write_pending(self.path, cassette)  # nothing waits any more, and so its file goes
        return work.saved.cassette.interactions, now.interactions, written, cassette, content

    def _read(self) -> Cassette | None:
        """Returns what the file holds; None where there is none, or nobody has written it since this session has."""
        if not files.exists(self.path) or (
            self.saved.content is not None and files.holds(self.path, self.saved.content)
        ):
            return None
        return read_own(self.path, self.settings).cassette

    def _as_read(self) -> Saved:
        """Returns what was saved before, as it is read from the file, so that it can be found there."""
        if self.saved.content is None:
            return self.saved
        return replace(self.saved, cassette=cassettes.parse_cassette(self.saved.content, self.path).cassette)

    def _is_lost(self, interaction: Interaction) -> bool:
        """Whether a part of it stands in a file beside the cassette, and that is gone or was changed."""
        files = (*interaction.request.files, *interaction.response.files)
        return bool(files) and any(body_files.problems_with(interaction, self.path))

    def _key(self, interaction: Interaction) -> str:
        return self.matcher.key(interaction.request)


def work_of(
    answers: Answers,
    history: History,
    settings: Settings,
    path: Path,
    test: str,
    *,
    shared: bool,
    saved: Saved | None = None,
) -> Work:
    """Returns what a session has done so far.

    What a test's own cassette holds and the test no longer asks for is stale once something was missed: it is the
    tail of a conversation that is recorded anew.

    Args:
        answers: what the session could answer with, and what was played of it.
        history: what came by.
        settings: the session's.
        path: the cassette.
        test: the id of the test.
        shared: other tests use the cassette too.
        saved: how far it was saved already; None for nothing.
    """
    own = range(len(answers.own))
    return Work(
        settings=settings,
        path=path,
        test=test,
        shared=shared,
        matcher=answers.matcher,
        known=answers.own,
        done=tuple(
            (each.position if each.position in own else None, each.recorded) for each in history.exchanges
        ),
        stale=set(own) - answers.played.keys() if answers.missed_some and not shared else frozenset(),
        saved=saved or Saved.as_opened(answers.own),
    )


def drop_unasked(work: Work, asked: Iterable[Interaction]) -> None:
    """Removes from a cassette what was known when a session opened it, and what nobody has asked for since.

    Args:
        work: what that session did.
        asked: what answered a request since, or was recorded for one.
    """
    left = Counter(work.matcher.key(each.request) for each in asked)
    stale = set[int]()
    for position, each in enumerate(work.known):
        key = work.matcher.key(each.request)
        if left[key] > 0:
            left[key] -= 1
        else:
            stale.add(position)
    if stale:
        replace(work, settings=replace(work.settings, mode=RECORD), done=(), stale=stale).save()
