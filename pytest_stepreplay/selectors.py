"""Selectors name places in a JSON tree: ``items[*].message.text``, ``usage.*``, ``**.created``.

Text goes in, a `Selector` comes out that knows which paths it matches. `Selectors` runs many of them in one
walk over a tree, at a cost that grows with the tree alone; `without` and `Selectors.matched` are such walks.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NoReturn

from .errors import SelectorError
from .value_classes import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Path = tuple[str | int, ...]
"""The steps from the root of a tree to a place in it: keys of objects and indexes of lists."""

ROOT: Final = "$"
"""The selector of the whole value; ``$.`` may also lead any selector, as in JSONPath."""


class _Wild(Enum):
    KEY = "any key of an object"
    INDEX = "any index of a list"
    STEP = "one step of either kind"
    STEPS = "any number of steps, none included"

    __hash__ = object.__hash__  # each step of a walk looks one up, and Enum's own hash is slow


_Segment = str | int | _Wild
_Segments = tuple[_Segment, ...]

_NAME = re.compile(r"[\w-]+")
_INDEX = re.compile(r"\d{1,18}(?=\])", re.ASCII)
_JSON = json.JSONDecoder()
_SHOWN = 72


@dataclass(frozen=True)
class Selector:
    """One parsed selector.

    ====================  ==============================================================
    ``name``              a key; ``["a.b"]`` where it holds more than letters, digits, _ and -
    ``[0]``, ``[*]``      an item of a list, every item
    ``.*``                every key of an object
    ``**``                any number of steps; at the end, everything below
    ``$``                 the whole value
    ====================  ==============================================================

    Attributes:
        text: as it was written.
        segments: the steps it stands for.
    """

    text: str = field(compare=False)
    segments: _Segments

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Returns the selector that `text` stands for.

        Raises:
            SelectorError: if it is none; the message points at the character and says what was expected
                there.
        """
        if not isinstance(text, str):
            raise SelectorError(f"a selector is a text such as usage.*, not {text!r:.60}")
        segments: list[_Segment] = []
        for segment in _read_segments(text):
            # Two ** in a row say no more than one.
            if segment is not _Wild.STEPS or segments[-1:] != [_Wild.STEPS]:
                segments.append(segment)
        if segments[-1:] == [_Wild.STEPS]:
            segments.append(_Wild.STEP)
        return cls(text, tuple(segments))

    def matches(self, path: Path) -> bool:
        """Whether this selector names the place at `path`."""
        state = Selectors([self]).start
        for step in path:
            state = state.step(step)
        return bool(state.hits)

    def __str__(self) -> str:
        return self.text


def _read_segments(text: str) -> Iterator[_Segment]:
    position = 0
    if text.startswith(ROOT):
        position = 1
        if len(text) > 1 and text[1] not in ".[":
            _refuse(text, 1, "expected . or [ after $")
    elif not text.startswith("["):
        segment, position = _read_name(text, 0)
        yield segment
    while position < len(text):
        if text[position] == ".":
            segment, position = _read_name(text, position + 1)
        elif text[position] == "[":
            segment, position = _read_bracket(text, position + 1)
        else:
            _refuse(text, position, "expected . or [ or the end")
        yield segment


def _read_name(text: str, position: int) -> tuple[_Segment, int]:
    if text.startswith("**", position):
        return _Wild.STEPS, position + 2
    if text.startswith("*", position):
        return _Wild.KEY, position + 1
    name = _NAME.match(text, position)
    if name is None:
        hint = "" if text[position : position + 1] in ("", ".", "[") else '; other keys are quoted: ["a b"]'
        _refuse(text, position, f"expected a key, * or **{hint}")
    return name[0], name.end()


def _read_bracket(text: str, position: int) -> tuple[_Segment, int]:
    segment: _Segment
    if text.startswith("*", position):
        segment, end = _Wild.INDEX, position + 1
    elif text.startswith('"', position):
        try:
            segment, end = _JSON.raw_decode(text, position)
        except ValueError:
            _refuse(text, position, "expected a key in double quotes, written as JSON writes it")
    elif index := _INDEX.match(text, position):
        segment, end = int(index[0]), index.end()
    else:
        _refuse(text, position, 'expected an index, * or a key in double quotes: [0], [*], ["a.b"]')
    if not text.startswith("]", end):
        _refuse(text, end, "expected ]")
    return segment, end + 1


def _refuse(text: str, position: int, expected: str) -> NoReturn:
    message = f"selector {text[:200]!r}, column {position + 1}: {expected}"
    if text.isprintable() and text:
        start = max(0, position - _SHOWN // 2)
        lead = "…" if start else ""
        message += f"\n  {lead}{text[start : start + _SHOWN]}\n  {' ' * (len(lead) + position - start)}^"
    raise SelectorError(message)


def format_path(path: Path) -> str:
    """Returns the selector of exactly one place; `Selector.parse` reads it back."""
    text = "".join(map(_format_step, path))
    return text.removeprefix(".") or ROOT


def _format_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _NAME.fullmatch(step) else f"[{json.dumps(step, ensure_ascii=False)}]"


class State:
    """Where a walk stands: how far each selector has come on the way to one place.

    Attributes:
        hits: the positions, in the `Selectors`, of those that name this place.
        alive: whether any selector can name a place below this one.
    """

    __slots__ = ("_next", "_owner", "_places", "alive", "hits")

    def __init__(self, owner: Selectors, places: frozenset[tuple[int, int]]) -> None:
        self._owner = owner
        self._places = places
        self._next: dict[str | int | _Wild, State] = {}
        self.hits = tuple(sorted(i for i, place in places if place == len(owner.selectors[i].segments)))
        self.alive = len(places) > len(self.hits)

    def step(self, step: str | int) -> State:
        """Returns where the walk stands one step further down."""
        symbol: str | int | _Wild = step
        if step not in self._owner.literals:
            # All keys that no selector spells out lead to the same place, and so do all such indexes.
            symbol = _Wild.INDEX if isinstance(step, int) else _Wild.KEY
        following = self._next.get(symbol)
        if following is None:
            following = self._owner._state(self._after(step))
            self._next[symbol] = following
        return following

    def _after(self, step: str | int) -> Iterator[tuple[int, int]]:
        taken = {_Wild.STEP, _Wild.INDEX if isinstance(step, int) else _Wild.KEY}
        for i, place in self._places:
            segments = self._owner.selectors[i].segments
            if place < len(segments):
                segment = segments[place]
                if segment is _Wild.STEPS:
                    yield i, place
                elif segment in taken or segment == step:
                    yield i, place + 1


class Selectors:
    """Several selectors, run together as one automaton whose states are built when a walk first needs them.

    A step then costs one look-up, however many selectors there are and however many ``**`` they hold.
    """

    _KEPT_STATES = 4096

    def __init__(self, selectors: Iterable[Selector | str]) -> None:
        """Takes the selectors.

        Args:
            selectors: parsed ones, or texts to parse.

        Raises:
            SelectorError: for a text that is not a selector.
        """
        self.selectors = tuple(it if isinstance(it, Selector) else Selector.parse(it) for it in selectors)
        self.literals = {
            segment for it in self.selectors for segment in it.segments if not isinstance(segment, _Wild)
        }
        self._states: dict[frozenset[tuple[int, int]], State] = {}
        self.start = self._state((i, 0) for i in range(len(self.selectors)))

    def _state(self, places: Iterable[tuple[int, int]]) -> State:
        """Returns the state of these places, and of those that a ** reaches without a step."""
        reached = set(places)
        for i, place in tuple(reached):
            segments = self.selectors[i].segments
            if place < len(segments) and segments[place] is _Wild.STEPS:
                reached.add((i, place + 1))
        key = frozenset(reached)
        state = self._states.get(key)
        if state is None:
            if len(self._states) >= self._KEPT_STATES:
                # A hostile tree must not grow this for ever; `start` keeps its first steps.
                self._states.clear()
                self.start._next.clear()
            state = self._states[key] = State(self, key)
        return state

    def matched(self, tree: object, *, inside_texts: bool = False) -> frozenset[str]:
        """Returns the texts of those selectors that name at least one place in `tree`.

        Args:
            tree: a JSON value.
            inside_texts: also look into strings that hold a JSON object or array.
        """
        found: set[int] = set()
        pending: list[tuple[Any, State]] = [(tree, self.start)]
        while pending and len(found) < len(self.selectors):
            value, state = pending.pop()
            found.update(state.hits)
            if state.alive:
                if inside_texts and isinstance(value, str):
                    value = _opened(value)
                pending.extend((child, state.step(step)) for step, child in _children(value))
        return frozenset(self.selectors[i].text for i in found)


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield key if isinstance(key, str) else str(key), child
    elif isinstance(value, list | tuple):
        yield from enumerate(value)


def _opened(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def without(tree: Any, selectors: Selectors | Iterable[Selector | str]) -> Any:
    """Returns `tree` without the places that the selectors name; the rest is not changed.

    Lists close the gaps. What no selector reaches into is shared with `tree`, not copied.

    Args:
        tree: a JSON value, of any depth.
        selectors: what to leave out; make a `Selectors` once where many trees follow.

    Raises:
        SelectorError: for a text that is not a selector.
    """
    chosen = selectors if isinstance(selectors, Selectors) else Selectors(selectors)
    result: list[Any] = []
    pending: list[tuple[Any, State, Any, Any]] = [(tree, chosen.start, result, None)]
    while pending:
        value, state, parent, key = pending.pop()
        if state.hits:
            continue
        kept = value
        if state.alive and isinstance(value, dict | list | tuple):
            kept = {} if isinstance(value, dict) else []
            steps = [(child, state.step(step)) for step, child in _children(value)]
            keys = list(value) if isinstance(value, dict) else [None] * len(steps)
            pending.extend(
                (child, below, kept, name)
                for (child, below), name in zip(reversed(steps), reversed(keys), strict=True)
            )
        if isinstance(parent, dict):
            parent[key] = kept
        else:
            parent.append(kept)
    return result[0] if result else None
