"""What differs between a recorded request and another one, in the order a reader cares about.

Two requests go in, `Difference` values come out: the conversation first, then the model, the tools, the
sampling parameters, then where the request went, then anything else. Requests that match have none.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from .. import selectors
from ..endpoints import endpoint_of_url
from ..settings import MATCHERS
from ..texts import alignment, plural, words
from ..value_classes import dataclass
from .canonical import canonical_text
from .keys import DEFAULT_MATCHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..endpoints import Endpoint
    from ..models import Request
    from .keys import Matcher

_Path = tuple[str | int, ...]

MAX_DIFFERENCES: Final = 100
CONTRASTED_DEPTH: Final = 32

_SHOWN: Final = 60
_EDITS: Final = 80
"""Words that may come and go before a text is compared by its sentences; no line has room for more."""
_ALIKE: Final = (24, 8)
"""Messages of one role that begin with the same characters, so many, are taken for one that was changed."""
_WORDS_SHOWN: Final = 240
_SORTED: Final = 1000
"""Items of a list that are looked at in any order."""
_COMPARED: Final = 8_000
"""Characters of a text, from a little before its first change, that are compared word by word."""


@dataclass(frozen=True)
class Rewording:
    """A text that has changed. It is compared word by word when it is shown: most differences are only counted."""

    old: str
    new: str

    def __str__(self) -> str:
        return self._told

    @cached_property
    def _told(self) -> str:
        return _describe_texts(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where a request is not as recorded.

    Attributes:
        selector: the place; in the request, or in the recorded one for what is missing.
        text: what differs there, on one line that is safe to print.
        in_body: the place is in the JSON body, so that `ignore_request` can name it.
        unordered: a selector of the list whose items are the same in another order; empty for any other difference.
    """

    selector: str
    text: str | Rewording
    in_body: bool = False
    unordered: str = ""

    def __str__(self) -> str:
        return f"{self.selector}: {self.text}"


def differences(
    recorded: Request, request: Request, matcher: Matcher | None = None
) -> tuple[Difference, ...]:
    """Returns what differs, the most telling first; nothing for requests that match.

    Args:
        recorded: the request in the cassette.
        request: the one that was made.
        matcher: says what is compared, as for the key.
    """
    matcher = matcher or DEFAULT_MATCHER
    old, new = matcher.comparable(recorded), matcher.comparable(request)
    bodies = _Bodies(endpoint_of_url(request.url))
    telling: list[Difference] = []
    others: list[Difference] = []
    for found in islice(bodies.compare(old.get("body"), new.get("body")), MAX_DIFFERENCES):
        (telling if bodies.is_telling(found) else others).append(found)
    return (*telling, *_compare_urls(old, new), *others)


def _compare_urls(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Difference]:
    for name in MATCHERS[:-1]:
        if name not in old or old[name] == new[name]:
            continue
        before, after = old[name], new[name]
        if name == "query":
            yield from _compare_queries(before, after)
        else:
            yield Difference(name, _arrow(before, after, plain=True))


def _compare_queries(old: list[tuple[str, str]], new: list[tuple[str, str]]) -> Iterator[Difference]:
    for here, there, what in ((old, new, "is missing"), (new, old, "was not recorded")):
        for name, value in sorted((Counter(here) - Counter(there)).elements()):
            yield Difference("query", f"{_visible(_shorten(f'{name}={value}'))} {what}")


class _Bodies:
    """Two bodies of one endpoint's requests, side by side."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._listed = endpoint.conversation.listed if endpoint.conversation else ""
        self._fields = endpoint.conversation.fields if endpoint.conversation else ()
        self._by_place: dict[_Path, Callable[[_Path, Any, Any], Iterator[Difference]]] = {
            **{(name,): self._compare_tools for name in endpoint.tools},
            **({(self._listed,): self._compare_messages} if self._listed else {}),
        }

    def is_telling(self, difference: Difference) -> bool:
        """Whether a difference is in what is asked for."""
        return difference.selector.partition("[")[0].partition(".")[0] in self._endpoint.telling

    def compare(self, old: list[Any] | None, new: list[Any] | None) -> Iterator[Difference]:
        if old is None or new is None:
            if old is not new:
                yield Difference("body", "is missing" if new is None else "was recorded as empty")
            return
        (old_kind, before), (new_kind, after) = old, new
        if old_kind != new_kind:
            yield Difference("body", f"recorded as {old_kind}, now {new_kind}: {_arrow(before, after)}")
        elif old_kind == "json" and isinstance(before, dict) and isinstance(after, dict):
            yield from self._compare_fields((), before, after, self._endpoint.telling)
        else:
            for found in self._compare((), before, after):
                # Only a list or a bare value comes here, so a place is the whole body or begins with an index.
                yield Difference(f"body{found.selector.removeprefix('$')}", found.text)

    def _compare_fields(
        self, path: _Path, old: dict[Any, Any], new: dict[Any, Any], first: tuple[str, ...] = ()
    ) -> Iterator[Difference]:
        """Yields what differs between two objects, field by field, those named in `first` before the others."""
        names = [name for name in first if name in old or name in new]
        names += [name for name in (*new, *(name for name in old if name not in new)) if name not in first]
        for name in names:
            place = (*path, str(name))
            if name not in new:
                yield _difference(place, f"is missing, recorded as {_show(old[name])}")
            elif name not in old:
                yield _difference(place, f"was not recorded, now {_show(new[name])}")
            else:
                compare = self._by_place.get(place, self._compare)
                yield from compare(place, old[name], new[name])

    def _compare(self, path: _Path, old: Any, new: Any) -> Iterator[Difference]:
        """Yields what differs between two JSON values."""
        if old is new:
            return
        if isinstance(old, str) and isinstance(new, str):
            if old != new:
                yield _difference(path, Rewording(old, new))
        elif len(path) < CONTRASTED_DEPTH and isinstance(old, dict) and isinstance(new, dict):
            yield from self._compare_fields(
                path, old, new, self._fields if path[:1] == (self._listed,) else ()
            )
        elif len(path) < CONTRASTED_DEPTH and isinstance(old, list) and isinstance(new, list):
            if _in_other_order(old, new):
                yield _reordered(path, _show(new))
                return
            for i, (before, after) in enumerate(zip(old, new, strict=False)):
                yield from self._compare((*path, i), before, after)
            for i in range(len(new), len(old)):
                yield _difference((*path, i), f"is missing, recorded as {_show(old[i])}")
            for i in range(len(old), len(new)):
                yield _difference((*path, i), f"was not recorded, now {_show(new[i])}")
        elif canonical_text(old) != canonical_text(new):
            yield _difference(path, _arrow(old, new))

    def _compare_messages(self, path: _Path, old: Any, new: Any) -> Iterator[Difference]:
        """Yields what differs between two conversations: messages more, less, moved or changed."""
        if not isinstance(old, list) or not isinstance(new, list):
            yield from self._compare(path, old, new)
            return
        pairs = list(_pair_messages(old, new))
        moved = _find_moved(old, new, pairs)
        for i, j in pairs:
            if i is not None and j is not None:
                yield from self._compare((*path, j), old[i], new[j])
            elif j is not None:
                what = f"moved, recorded as {self._listed}[{moved[j]}]" if j in moved else "a new message"
                yield _difference((*path, j), f"{what} ({self._introduce(new[j])})")
            elif i is not None and i not in moved.values():
                yield _difference((*path, i), f"was recorded, and is missing now ({self._introduce(old[i])})")

    def _compare_tools(self, path: _Path, old: Any, new: Any) -> Iterator[Difference]:
        """Yields what differs between two lists of tools, told apart by their names."""
        before, after = self._name_tools(path, old), self._name_tools(path, new)
        if before is None or after is None:
            yield from self._compare(path, old, new)
            return
        for name in before:
            if name not in after:
                yield _difference(path, f"{_visible(_shorten(name))} was removed")
        for name in after:
            if name not in before:
                yield _difference(path, f"{_visible(_shorten(name))} was added")
        common = [name for name in after if name in before]
        if common != [name for name in before if name in after]:
            yield _reordered(path, _visible(_shorten(", ".join(common))))
        for i, name in enumerate(after):
            if name in before:
                yield from self._compare((*path, i), before[name], after[name])

    def _name_tools(self, path: _Path, tools: Any) -> dict[str, Any] | None:
        """Returns the tools at a place by name; None where they have no names of their own."""
        if not isinstance(tools, list):
            return None
        named: dict[str, Any] = {}
        for tool in tools:
            name = self._endpoint.tools[str(path[0])](tool)
            if name is None or name in named:
                return None
            named[name] = tool
        return named

    def _introduce(self, message: Any) -> str:
        """Returns who speaks, and how it begins."""
        if not isinstance(message, dict):
            return _show(message)
        content = read_content(message)
        reading = self._endpoint.reading
        remarks = (reading.request({self._listed: [message]}) or ()) if reading and not content else ()
        said = next((each for each in remarks if each.role), None)
        if said is None:
            return f"{_show_name(_read_role(message))}, {_show(content or message.get('content'))}"
        if said.calls:
            return f"{_show_name(said.role)}, {plural(len(said.calls), 'tool call')}"
        return f"{_show_name(said.role)}, {_show(said.text or message.get('content'))}"


def _pair_messages(old: list[Any], new: list[Any]) -> Iterator[tuple[int | None, int | None]]:
    """Yields every position of both sides, with its counterpart on the other where it has one."""
    before, after = ([_PairedTurn(i, message) for i, message in enumerate(side)] for side in (old, new))
    yield from _pair_turns(before, after, 0)


class _PairedTurn:
    """A message and what it may be paired by, from the strictest to the loosest."""

    __slots__ = ("keys", "position")

    def __init__(self, position: int, message: Any) -> None:
        role = _read_role(message)
        self.position = position
        content = read_content(message)
        self.keys = (canonical_text(message), *(f"{role} {content[:length]}" for length in _ALIKE), role)


def _pair_turns(
    old: list[_PairedTurn], new: list[_PairedTurn], level: int
) -> Iterator[tuple[int | None, int | None]]:
    if not old or not new or level == len(old[0].keys):
        yield from ((turn.position, None) for turn in old)
        yield from ((None, turn.position) for turn in new)
        return
    anchors = (
        alignment.common_items([turn.keys[level] for turn in old], [turn.keys[level] for turn in new]) or []
    )
    at_old = at_new = 0
    for i, j in [*anchors, (len(old), len(new))]:
        yield from _pair_turns(old[at_old:i], new[at_new:j], level + 1)
        if i < len(old):
            yield old[i].position, new[j].position
        at_old, at_new = i + 1, j + 1


def _find_moved(old: list[Any], new: list[Any], pairs: list[tuple[int | None, int | None]]) -> dict[int, int]:
    """Returns which message of `new` without a counterpart stood where in `old`."""
    origins: dict[str, list[int]] = {}
    for i, j in pairs:
        if i is not None and j is None:
            origins.setdefault(canonical_text(old[i]), []).append(i)
    moved = {}
    for i, j in pairs:
        if i is None and j is not None and (same := origins.get(canonical_text(new[j]))):
            moved[j] = same.pop(0)
    return moved


def _read_role(message: Any) -> str:
    role = message.get("role", message.get("type")) if isinstance(message, dict) else None
    return role if isinstance(role, str) else ""


def read_content(message: Any) -> str:
    """Returns the text of a message, whatever its form: a string, a list of parts, or neither."""
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(content, list):
        texts = (part.get("text") if isinstance(part, dict) else part for part in content)
        content = " ".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _show_name(text: str) -> str:
    return _visible(_shorten(text)) or "no role"


def _difference(path: _Path, text: str | Rewording) -> Difference:
    return Difference(selectors.format_path(path), text, in_body=True)


def _in_other_order(old: list[Any], new: list[Any]) -> bool:
    if not 1 < len(old) == len(new) <= _SORTED:
        return False
    before, after = list(map(canonical_text, old)), list(map(canonical_text, new))
    return before != after and sorted(before) == sorted(after)


def _reordered(path: _Path, shown: str) -> Difference:
    everywhere = re.sub(r"\[\d+\]", "[*]", selectors.format_path(path))
    return Difference(
        selectors.format_path(path), f"in another order, now {shown}", in_body=True, unordered=everywhere
    )


def _describe_texts(old: str, new: str) -> str:
    if _is_data(old) or _is_data(new) or not (_has_words(old) or _has_words(new)):
        return _arrow(old, new)
    # What both begin with costs nothing to compare at once, and much word by word.
    start = max(0, count_common(old, new) - _WORDS_SHOWN) if max(len(old), len(new)) > _COMPARED else 0
    old_part, new_part = old[start : start + _COMPARED], new[start : start + _COMPARED]
    return ("…" if start else "") + _visible(
        words.diff_words(old_part, new_part, width=_WORDS_SHOWN, max_edits=_EDITS)
    )


def _has_words(text: str) -> bool:
    return len(text) > _SHOWN or any(char.isspace() or not char.isascii() for char in text)


def count_common(old: str, new: str) -> int:
    """Returns how many characters both texts begin with, found by halving."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _arrow(old: Any, new: Any, *, plain: bool = False) -> str:
    before, after = (_visible(_shorten(f"{value}")) if plain else _show(value) for value in (old, new))
    if before != after:
        return f"{before} -> {after}"
    if isinstance(old, str) and isinstance(new, str):
        return f"{before}, which differs from character {count_common(old, new) + 1} on"
    return f"{before}, which differs further inside"


def _show(value: Any, depth: int = 2) -> str:
    """Returns a JSON value on one line, shortened; its cost does not grow with the value."""
    if isinstance(value, str):
        return f'"{_visible(_shorten(value))}"'
    if isinstance(value, dict | list):
        brackets = "{}" if isinstance(value, dict) else "[]"
        items = ["…"] if value else []
        if depth:
            pairs = islice(value.items() if isinstance(value, dict) else ((None, item) for item in value), 3)
            items = [
                ("" if key is None else f"{_show(str(key))}: ") + _show(item, depth - 1)
                for key, item in pairs
            ]
            items += ["…"] if len(value) > len(items) else []
        return _shorten(f"{brackets[0]}{', '.join(items)}{brackets[1]}", _WORDS_SHOWN)
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"a number of {value.bit_length()} bits"
    return json.dumps(value, default=str)


def _is_data(text: str) -> bool:
    return text.startswith("data:") and ";base64," in text[:200]


def _shorten(text: str, room: int = _SHOWN) -> str:
    if len(text) <= room:
        return text
    kept = text[: text.index(",") + 9] if _is_data(text) else text[: room - 1]
    return f"{kept}… ({len(text):,} characters)"


def _visible(text: str) -> str:
    """Returns the text with what a terminal would obey, or not show, written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )
