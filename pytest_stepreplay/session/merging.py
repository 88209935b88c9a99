"""What a cassette holds once a session has ended: what it knew, what it recorded, and what others have written.

Between the opening of a cassette and its saving, other processes may have written it. What the session knew,
what it did, and what the file holds now go in; the interactions to write come out. None is lost:

- What others have added since stays, where it is.
- What others have removed since, the session does not bring back.
- A session removes and replaces only what it knew. In a test's own cassette, which nobody shares, that goes
  for the same request too: of two runs that record one test at once, the later one counts.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from ..models import Interaction

    Key = Callable[[Interaction], str]


def merge_recorded(
    known: Sequence[Interaction],
    now: Sequence[Interaction],
    done: Sequence[tuple[int | None, Interaction | None]],
    *,
    stale: Collection[int],
    shared: bool,
    key: Key,
) -> tuple[Interaction, ...]:
    """Return the interactions after `record`: each new one stands behind the one before it.

    Args:
        known: what the cassette held when it was opened.
        now: what it holds now.
        done: for each request in order, the position in `known` of what answered it, or what was recorded.
        stale: the positions in `known` of what goes.
        shared: other tests use the cassette too.
        key: returns what is equal for equal requests.
    """
    places = places_of(known, now)
    superseded = _superseded(now, places, [new for _, new in done if new], shared=shared, key=key)
    gone = superseded | {places[position] for position in stale}
    merged = [each for i, each in enumerate(now) if i not in gone]
    before: Interaction | None = None
    for position, new in done:
        if new is not None:
            start = len(merged) if shared else 0
            merged.insert(start if before is None else _place_after(merged, before), new)
            before = new
        elif position is not None:
            place = places[position]
            before = known[position] if place is None else now[place]
    return tuple(merged)


def merge_rewritten(
    known: Sequence[Interaction],
    now: Sequence[Interaction],
    rewritten: Sequence[Interaction],
    pairs: Sequence[int | None],
    *,
    shared: bool,
    key: Key,
) -> tuple[Interaction, ...]:
    """Return the interactions after `rewrite`; in a shared cassette each stands where the old one stood.

    Args:
        known: what the cassette held when it was opened.
        now: what it holds now.
        rewritten: what was recorded anew.
        pairs: for each of them, the position in `known` of what it replaces.
        shared: other tests use the cassette too.
        key: returns what is equal for equal requests.
    """
    places = places_of(known, now)
    others = [i for i in range(len(now)) if i not in set(places)]
    if not shared:
        superseded = _superseded(now, places, rewritten, shared=False, key=key)
        return (*rewritten, *(now[i] for i in others if i not in superseded))
    # What somebody else has rewritten meanwhile is still the same interaction.
    anew: dict[str, deque[int]] = {}
    for i in others:
        anew.setdefault(key(now[i]), deque()).append(i)
    merged, added = list(now), []
    for new, old in zip(rewritten, pairs, strict=True):
        place = None if old is None else places[old]
        if old is not None and place is None and anew.get(key(new)):
            place = anew[key(new)].popleft()
        if place is None:
            added.append(new)
        else:
            merged[place] = new
    return (*merged, *added)


def places_of(known: Sequence[Interaction], now: Sequence[Interaction]) -> list[int | None]:
    """Return for each interaction that was known where it stands now, if it still does."""
    if list(known) == list(now):
        return list(range(len(now)))
    left: dict[str, deque[int]] = {}
    for i, each in enumerate(now):
        left.setdefault(repr(each), deque()).append(i)
    found = (left.get(repr(each)) for each in known)
    return [places.popleft() if places else None for places in found]


def _superseded(
    now: Sequence[Interaction],
    places: Iterable[int | None],
    ours: Iterable[Interaction],
    *,
    shared: bool,
    key: Key,
) -> set[int | None]:
    """Return where others have added what this session has recorded too, if it may stand for theirs."""
    if shared:
        return set()
    taken, superseded = set(places) - {None}, set[int | None]()
    left = Counter(key(each) for each in ours) if len(taken) < len(now) else Counter[str]()
    for i, each in enumerate(now):
        if i not in taken and left[key(each)] > 0:
            left[key(each)] -= 1
            superseded.add(i)
    return superseded


def _place_after(interactions: Sequence[Interaction], one: Interaction) -> int:
    places = (i for i in range(len(interactions), 0, -1) if interactions[i - 1] is one)
    return next(places, len(interactions))
