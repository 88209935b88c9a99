"""Finds the recorded request that is most like one that was not recorded, to say what differs.

Two steps keep it quick in a large cassette: every recorded request is looked at cheaply, then the best few
are compared word by word.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from heapq import nlargest
from typing import TYPE_CHECKING, Any, Final

from ..endpoints import endpoint_of_url
from ..texts.varying import KINDS, Normalizer
from ..value_classes import dataclass, field
from .body_keys import read_other
from .canonical import canonical_text
from .contrast import Rewording, count_common, differences, read_content
from .keys import DEFAULT_MATCHER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ..models import Request
    from .contrast import Difference
    from .keys import Matcher

_COMPARED: Final = 4
"""Requests that are compared word by word."""
_GLANCED: Final = 2000
"""Requests that are looked at."""
_LOOKS: Final = 20_000
"""Messages that are compared at most in the cheap step, in all."""
_TEXT: Final = 8000
"""Characters of a request's text that are read."""
_EDGE: Final = 16
_PROBES: Final = 12
_PROBED: Final = 2_000_000
"""Characters that the probes may search in the cheap step, in all."""
_TELLING: Final = 6
_SAMPLE: Final = 40
_SAMPLED: Final = 2000

_WORD: Final = re.compile(r"[A-Za-z0-9_]+|[^\W\x00-\x7f]{1,2}")
_RARE_WORD: Final = re.compile(r"[A-Za-z0-9]{4,40}|[^\W\x00-\x7f]{2,6}")

_NORMALIZED: Final = re.compile(r"<[a-z-]+(?: \d+)?>")

_BROAD_FIRST: Final = ("date", "hex-id", "timestamp", *KINDS)
"""Kinds in the order in which one tries to do without them."""

# How much each likeness counts.
_SAME_URL: Final = 2.0
_UNPLAYED: Final = 0.3


@dataclass(frozen=True, slots=True)
class Nearest:
    """The recorded request that is most like the one asked about.

    Attributes:
        position: where it stands in the cassette, from 0.
        played: it has answered another request already.
        differences: what differs, the most telling first.
        remedy: the settings under which both would be equal, where only such things differ as a program often does
            not control.
    """

    position: int
    played: bool
    differences: tuple[Difference, ...]
    remedy: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


def nearest(
    request: Request,
    candidates: Sequence[Request],
    played: Collection[int] = (),
    matcher: Matcher | None = None,
    *,
    as_today: Callable[[Request], Request] = lambda request: request,
) -> Nearest | None:
    """Returns the candidate most like the request; None where there is none at all.

    What counts is where the request goes, how long the conversations run alike, and how many words they share
    from there on. Of two that are alike, the one not played yet is nearer, then the first.

    Args:
        request: the one that has no answer.
        candidates: the recorded ones, in order.
        played: positions that have answered already.
        matcher: says what is compared when the differences are listed.
        as_today: returns a recorded request as one of today is seen; asked for the nearest.
    """
    if not candidates:
        return None
    answered = frozenset(played)
    positions = _worth_a_look(len(candidates), answered)
    glances = dict(
        zip(positions, _glance(request, [candidates[i] for i in positions], positions, answered), strict=True)
    )
    best = nlargest(_COMPARED, glances, key=lambda i: (glances[i], -i))
    mine = _Careful(request)
    position = max(
        best, key=lambda i: (mine.likeness(candidates[i]) + (0 if i in answered else _UNPLAYED), -i)
    )
    recorded = as_today(candidates[position])
    found = differences(recorded, request, matcher)
    return Nearest(position, position in answered, found, _find_remedy(recorded, request, found, matcher))


def _worth_a_look(number: int, answered: frozenset[int]) -> Sequence[int]:
    """Returns the positions that are looked at: of very many, those from the first on that was not played."""
    if number <= _GLANCED:
        return range(number)
    start = next((i for i in range(number) if i not in answered), 0)
    return sorted({i % number for i in range(start, start + _GLANCED)})


def _find_remedy(
    recorded: Request, request: Request, found: tuple[Difference, ...], matcher: Matcher | None
) -> dict[str, str | tuple[str, ...]]:
    """Returns the least settings under which the two requests are equal; none where they differ in more."""
    matcher = matcher or DEFAULT_MATCHER
    kinds = _find_kinds(recorded, request, found)
    if kinds is None:
        return {}
    lists = tuple(dict.fromkeys(each.unordered for each in found if each.unordered))
    always: dict[str, str | tuple[str, ...]] = {}
    if lists:
        always["ignore_order"] = (*matcher.ignore_order, *lists)
    if kinds:
        always["normalize"] = (*matcher.normalize, *kinds)
    tries: list[dict[str, str | tuple[str, ...]]] = [
        {},
        {"absent_equals": "null"},
        {"absent_equals": "empty"},
        {"normalize": (*matcher.normalize, *kinds, "timestamp")},
    ]
    for one in tries:
        settings = always | one
        if settings and _are_equal_under(replace(matcher, **settings), recorded, request):  # type: ignore[arg-type] # each by its field's name
            return settings
    return {}


def _find_kinds(recorded: Request, request: Request, found: tuple[Difference, ...]) -> tuple[str, ...] | None:
    """Returns the least kinds of values that make all changed texts equal; None where none do."""
    texts = [(each.text.old, each.text.new) for each in found if isinstance(each.text, Rewording)]
    moved = any(each.selector in {"path", "query"} for each in found)
    if not texts and not moved:
        return ()

    def suffice(kinds: Iterable[str]) -> bool:
        normalizer = _normalizer(tuple(kinds))
        return all(normalizer.start()(old) == normalizer.start()(new) for old, new in texts) and (
            not moved or normalizer.start().in_url(recorded.url) == normalizer.start().in_url(request.url)
        )

    needed = [*KINDS]
    if not suffice(needed):
        return None
    for kind in _BROAD_FIRST:
        if suffice(fewer := [each for each in needed if each != kind]):
            needed = fewer
    return tuple(needed)


@lru_cache(maxsize=64)
def _normalizer(kinds: tuple[str, ...]) -> Normalizer:
    """Returns what replaces values of some kinds; each miss tries the same ones."""
    return Normalizer(kinds)


def _are_equal_under(matcher: Matcher, one: Request, other: Request) -> bool:
    return matcher.key(one) == matcher.key(other)


def telling_words(request: Request, matcher: Matcher = DEFAULT_MATCHER) -> list[str]:
    """Returns words of the request that few others hold, as any file that holds the request must spell them."""
    words: list[str] = []
    for turn in reversed(_read_turns(request)):
        text = _read_text(turn)[:_TEXT]
        if matcher.normalize:
            text = _NORMALIZED.sub(" ", Normalizer(matcher.normalize).start()(text))
        found = set(_RARE_WORD.findall(text))
        words += sorted(found, key=lambda word: (word.isascii(), len(word), word), reverse=True)
        if len(words) >= _TELLING:
            break
    return words[:_TELLING]


def _glance(
    request: Request, candidates: Sequence[Request], positions: Sequence[int], played: frozenset[int]
) -> list[float]:
    """Returns how alike each candidate looks, in a few microseconds each."""
    turns = _read_turns(request)
    most = max(4, _LOOKS // len(candidates))
    texts: dict[int, _Text] = {}
    glances = []
    for position, candidate in zip(positions, candidates, strict=True):
        theirs = _read_turns(candidate)
        shared = _count_shared(turns, theirs, most)
        score = shared / max(len(turns), len(theirs), 1)
        at = min(shared, len(turns) - 1, len(theirs) - 1)
        if at >= 0:
            if at not in texts:
                texts[at] = _Text(_read_text(turns[at]), candidates, at)
            score += texts[at].likeness(_read_text(theirs[at]))
        if candidate.url == request.url:
            score += _SAME_URL
        if position not in played:
            score += _UNPLAYED
        glances.append(score)
    return glances


class _Text:
    """What one turn says, ready to be compared cheaply with that turn of every candidate."""

    def __init__(self, text: str, candidates: Sequence[Request], at: int) -> None:
        self._text = text
        self._backwards = text[::-1]
        step = max(1, len(candidates) // _SAMPLE)
        sample = (_read_turns(candidate) for candidate in candidates[::step][:_SAMPLE])
        others = [_read_text(turns[at]) for turns in sample if at < len(turns)]
        usual = sum(map(len, others)) // max(1, len(others)) + 1
        affordable = _PROBED // (usual * len(candidates))
        self._probes = _choose_probes(text, others)[: max(1, min(_PROBES, affordable))]

    def likeness(self, other: str) -> float:
        """Returns how much both have in common at their ends, and in rare words."""
        text = self._text
        common = 0
        if text[:_EDGE] == other[:_EDGE]:
            common = count_common(text, other)
        if text[-_EDGE:] == other[-_EDGE:]:
            common += count_common(self._backwards, other[::-1])
        likeness = min(1.0, common / (max(len(text), len(other)) or 1))
        if self._probes:
            likeness += sum([probe in other for probe in self._probes]) / len(self._probes)
        return likeness


def _choose_probes(text: str, others: list[str]) -> list[str]:
    """Returns the words of a text, first those that fewest of a sample of the candidates hold."""
    words = dict.fromkeys(_RARE_WORD.findall(text[:_TEXT]))
    common = Counter(word for other in others for word in set(_RARE_WORD.findall(other[:_SAMPLED])))
    return sorted(words, key=lambda word: (common[word], -len(word)))


class _Careful:
    """One request, ready to be compared with several others."""

    def __init__(self, request: Request) -> None:
        self._url = request.url
        self._turns = [canonical_text(turn) for turn in _read_turns(request)]
        self._texts = [_read_text(turn) for turn in _read_turns(request)]

    def likeness(self, other: Request) -> float:
        turns = _read_turns(other)
        shared = _count_shared(self._turns, [canonical_text(turn) for turn in turns], len(turns))
        mine = _count_words(self._texts[shared:])
        theirs = _count_words([_read_text(turn) for turn in turns[shared:]])
        words = 2 * (mine & theirs).total() / max(1, mine.total() + theirs.total())
        prefix = shared / max(len(turns), len(self._turns), 1)
        return prefix + (1 - prefix) * words + (_SAME_URL if other.url == self._url else 0)


def _count_words(texts: list[str]) -> Counter[str]:
    return Counter(_WORD.findall(" ".join(texts)[:_TEXT]))


def _count_shared(first: list[Any], second: list[Any], most: int) -> int:
    """Returns how many turns both begin with, looking at `most` of them."""
    shared = 0
    try:
        for a, b in zip(first[:most], second[:most], strict=False):
            if a != b:
                break
            shared += 1
    except RecursionError:  # messages of a hostile depth: they are not alike
        pass
    return shared


def _read_turns(request: Request) -> list[Any]:
    """Returns the messages of a chat request; the body of any other one, as if it were one message."""
    body = request.json
    if isinstance(body, dict):
        messages = endpoint_of_url(request.url).messages_of(body)
        return [body] if messages is None else messages
    kind = request.body_kind
    return [] if kind is None else [body if kind == "json" else read_other(request)[1]]


def _read_text(turn: Any) -> str:
    """Returns what a message says; of any other value, the texts at its top."""
    content = read_content(turn)
    if not content and isinstance(turn, dict):
        return " ".join(value for value in turn.values() if isinstance(value, str))
    return content
