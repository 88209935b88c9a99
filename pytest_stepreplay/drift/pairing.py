"""What counts as the same: two answers become two views in which only what differs is left different.

Volatile values are masked, ignored places left out, numbers within their tolerance and texts that their rule
accepts made equal, JSON in strings opened, and list items brought side by side. Equal parts of the views are
one object, so equal answers give one view.
"""

from __future__ import annotations

from collections import defaultdict
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ..errors import SettingsError
from .alignment import align, match
from .answers import BrokenJson, canonical, name_type, parsed
from .changes import ABSENT, Change, Level
from .policy import TextRule, Tolerance
from .selectors import Selector, Selectors, format_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .alignment import Aligned
    from .policy import Policy
    from .selectors import Path, State

MAX_DEPTH: Final = 48
"""What is nested deeper is compared as one text: both this walk and DeepDiff's take stack for every level."""


class Role(Enum):
    """What a place is to a comparison, besides a value."""

    IGNORED = "left out"
    VOLATILE = "only the type counts"
    COMES_AND_GOES = "volatile, and may be missing"
    ARGUMENTS = "JSON in a string; broken JSON is worth telling"
    CONTENT = "a text, or JSON where both sides hold an object or array"
    EMPTY_IS_NULL = '"" is no value'
    EMPTY_IS_ABSENT = "[] is no value"
    CHOICES = "items belong together by their index"
    CALLS = "items belong together by the function's name"


_Action = Role | Tolerance | TextRule

_CALLS = {
    Role.ARGUMENTS: ("**.tool_calls[*].function.arguments", "**.function_call.arguments"),
    Role.CALLS: ("**.tool_calls",),
}

# In a chat completion and in an error object. Everything that is known to differ between identical calls.
_ENVELOPE = {
    Role.VOLATILE: ("id", "created", "choices[*].message.audio.id", "choices[*].message.audio.expires_at"),
    Role.COMES_AND_GOES: (
        *("system_fingerprint", "service_tier", "request_id", "x_request_id", '["x-request-id"]', "trace_id"),
        *(
            "x_trace_id",
            "trace-id",
            "requestId",
            "x_groq.id",
            "x_groq.seed",
            "error.request_id",
            "error.trace_id",
        ),
        *(
            "usage.cached_tokens",
            "usage.*.cached_tokens",
            "usage.prompt_cache_hit_tokens",
            "usage.*.cache_write_tokens",
        ),
        *(
            "usage.prompt_cache_miss_tokens",
            "usage.cache_read_input_tokens",
            "usage.cache_creation_input_tokens",
        ),
        *("usage.queue_time", "usage.prompt_time", "usage.completion_time", "usage.total_time", "time_info"),
    ),
    Role.CONTENT: ("choices[*].message.content",),
    Role.EMPTY_IS_NULL: ("choices[*].finish_reason",),
    Role.EMPTY_IS_ABSENT: ("choices[*].message.tool_calls", "choices[*].message.annotations"),
    Role.CHOICES: ("choices",),
    **_CALLS,
}


@cache
def _known_roles(envelope: bool) -> tuple[tuple[Selector, Role], ...]:
    table = _ENVELOPE if envelope else _CALLS
    return tuple((Selector.parse(text), role) for role, texts in table.items() for text in texts)


class Mask(str):
    """Stands for a volatile value: the name of its type."""

    __slots__ = ()


class Folded(str):
    """Stands for what is nested deeper than `MAX_DEPTH`: its canonical JSON."""

    __slots__ = ()


class AlignedList(list[Any]):
    """A list whose items stand beside those of another list; `ABSENT` where one has no partner.

    Attributes:
        shown: for each place, the position in the new list, or in the old one for an item that went.
    """

    __slots__ = ("shown",)

    def __init__(self, items: list[Any], shown: list[int]) -> None:
        super().__init__(items)
        self.shown = shown


class Pairing:
    """One comparison's walk over both trees.

    Attributes:
        notes: what the walk learned about places that stay different.
        levels: places whose level it settled.
        broken: places where one text is JSON and the other is not, so that comparing words says nothing.
        changes: lists whose items changed their order.
    """

    def __init__(self, policy: Policy, *, envelope: bool) -> None:
        self.notes: dict[Path, str] = {}
        self.levels: dict[Path, Level] = {}
        self.broken: set[Path] = set()
        self.changes: list[Change] = []
        self._envelope = envelope
        actions: list[tuple[Any, Any]] = [
            *_known_roles(envelope),
            *((selector, Role.IGNORED) for selector in policy.ignore),
            *policy.tolerances.items(),
            *policy.text.items(),
        ]
        self._actions: list[_Action] = [action for _, action in actions]
        self._selectors = Selectors(selector for selector, _ in actions)

    def views(self, old: Any, new: Any) -> tuple[Any, Any]:
        """Returns what to compare of both trees; one and the same object where nothing differs.

        Raises:
            SettingsError: if a callable of the policy's fails.
        """
        for tree in (old, new):
            choices = tree.get("choices") if self._envelope else None
            for context in choices if isinstance(choices, list) else (tree,):
                _name_calls(context)
        return self._pair(old, new, self._selectors.start, (), self._envelope)

    def _pair(self, old: Any, new: Any, state: State, path: Path, lax: bool) -> tuple[Any, Any]:
        """Returns the views of one place.

        Args:
            old: a value, or `ABSENT`.
            new: the same.
            state: of the selectors, at this place.
            path: of this place.
            lax: whether null and an absent key say the same, as they do in the documented objects.
        """
        roles = [self._actions[i] for i in state.hits]
        if Role.IGNORED in roles:
            return ABSENT, ABSENT
        if Role.EMPTY_IS_NULL in roles:
            old, new = (None if it == "" else it for it in (old, new))
        if Role.EMPTY_IS_ABSENT in roles:
            old, new = ([] if it is ABSENT or it is None else it for it in (old, new))
        if lax and old in _NOTHING and new in _NOTHING:
            return ABSENT, ABSENT
        if Role.COMES_AND_GOES in roles and (old in _NOTHING or new in _NOTHING):
            return ABSENT, ABSENT
        if old is ABSENT or new is ABSENT:
            view = self._view(new if old is ABSENT else old, state, path, lax)
            return (ABSENT, view) if old is ABSENT else (view, ABSENT)
        if Role.VOLATILE in roles or Role.COMES_AND_GOES in roles:
            return _unified(Mask(name_type(old)), Mask(name_type(new)))
        return self._pair_values(old, new, state, path, lax, roles)

    def _pair_values(
        self, old: Any, new: Any, state: State, path: Path, lax: bool, roles: Sequence[_Action]
    ) -> tuple[Any, Any]:
        if isinstance(old, str) and isinstance(new, str):
            rules = [role for role in roles if isinstance(role, TextRule)]
            if rules:
                return self._pair_by_rule(old, new, state, path, rules[-1])
            if Role.CONTENT in roles or (not path and not self._envelope):
                return self._pair_content(old, new, state, path)
        if Role.ARGUMENTS in roles:
            return self._pair_arguments(old, new, state, path)
        if len(path) >= MAX_DEPTH:
            self.notes[path] = f"nested deeper than {MAX_DEPTH} levels, compared as text"
            return _unified(_folded(old), _folded(new))
        if isinstance(old, dict) and isinstance(new, dict):
            return self._pair_objects(old, new, state, path, lax)
        if isinstance(old, list) and isinstance(new, list):
            aligned = self._aligned(old, new, path, roles)
            return self._pair_lists(old, new, aligned, state, path, lax)
        tolerances = [role for role in roles if isinstance(role, Tolerance)]
        if tolerances and _is_number(old) and _is_number(new):
            if tolerances[-1].allows(old, new):
                return old, old
            self.notes[path] = f"more than {tolerances[-1]} apart"
        if isinstance(old, dict | list) or isinstance(new, dict | list):
            return self._view(old, state, path, lax), self._view(new, state, path, lax)
        return _unified(old, new)

    def _view(self, value: Any, state: State, path: Path, lax: bool) -> Any:
        """Returns the view of a value that has no counterpart: masked as if it had one."""
        return self._pair(value, value, state, path, lax)[0]

    def _pair_objects(
        self, old: Mapping[str, Any], new: Mapping[str, Any], state: State, path: Path, lax: bool
    ) -> tuple[Any, Any]:
        old_view: dict[str, Any] = {}
        new_view: dict[str, Any] = {}
        same = True
        for key in (*old, *(key for key in new if key not in old)):
            one, other = self._pair(
                old.get(key, ABSENT), new.get(key, ABSENT), state.step(key), (*path, key), lax
            )
            same = same and one is other
            if one is not ABSENT:
                old_view[key] = one
            if other is not ABSENT:
                new_view[key] = other
        return (old_view, old_view) if same else (old_view, new_view)

    def _pair_lists(
        self, old: list[Any], new: list[Any], aligned: Aligned, state: State, path: Path, lax: bool
    ) -> tuple[Any, Any]:
        old_view: list[Any] = []
        new_view: list[Any] = []
        shown: list[int] = []
        same = True
        for i, j in aligned:
            place = i if j is None else j
            if place is None:
                continue
            before = ABSENT if i is None else old[i]
            after = ABSENT if j is None else new[j]
            # A null in a list is an item; only its own keys may be null or absent.
            one, other = self._pair(
                before, after, state.step(place), (*path, place), lax and before is not None
            )
            if one is ABSENT and other is ABSENT:
                continue
            same = same and one is other
            old_view.append(one)
            new_view.append(other)
            shown.append(place)
        view = AlignedList(old_view, shown)
        return (view, view) if same else (view, AlignedList(new_view, shown))

    def _aligned(self, old: list[Any], new: list[Any], path: Path, roles: Sequence[_Action]) -> Aligned:
        if Role.CHOICES in roles:
            return match(old, new, [_index_of])
        if Role.CALLS not in roles:
            return align(old, new, canonical)
        aligned = match(old, new, [_call_of, _function_of])
        moved = [i for i, j in aligned if i is not None and j is not None]
        if moved != sorted(moved):
            names = [list(map(_function_of, calls)) for calls in (old, new)]
            self.changes.append(Change(format_path(path), Level.BEHAVIOR, "order", names[0], names[1]))
        return aligned

    def _pair_arguments(self, old: Any, new: Any, state: State, path: Path) -> tuple[Any, Any]:
        one, other = (parsed(it) if isinstance(it, str) else it for it in (old, new))
        if not isinstance(one, BrokenJson) and not isinstance(other, BrokenJson):
            return self._pair_opened(one, other, state, path)
        if old != new:
            self.levels[path] = Level.BEHAVIOR
            if isinstance(other, BrokenJson):
                self.notes[path] = f"broken JSON: {other.problem}"
            else:
                self.notes[path] = "was broken JSON"
            if not (isinstance(one, BrokenJson) and isinstance(other, BrokenJson)):
                self.broken.add(path)
        return _unified(old, new)

    def _pair_content(self, old: str, new: str, state: State, path: Path) -> tuple[Any, Any]:
        one, other = _structure(old), _structure(new)
        if one is not None and other is not None:
            return self._pair_opened(one, other, state, path)
        if one is not None or other is not None:
            self.levels[path] = Level.BEHAVIOR
            self.notes[path] = "was JSON" if one is not None else "is now JSON"
        return _unified(old, new)

    def _pair_opened(self, old: Any, new: Any, state: State, path: Path) -> tuple[Any, Any]:
        """Returns the views of JSON that stood in a string; there null is a value like any other."""
        if isinstance(old, dict) and isinstance(new, dict):
            return self._pair_objects(old, new, state, path, lax=False)
        if isinstance(old, list) and isinstance(new, list):
            return self._pair_lists(old, new, align(old, new, canonical), state, path, lax=False)
        return _unified(old, new)

    def _pair_by_rule(self, old: str, new: str, state: State, path: Path, rule: TextRule) -> tuple[Any, Any]:
        if old == new:
            return old, old
        if rule.accepts is None:
            return self._pair_arguments(old, new, state, path)
        try:
            accepted = bool(rule.accepts(old, new))
        except Exception as error:  # noqa: BLE001 - a callable of the user's own may raise anything
            raise SettingsError(
                f"the text rule {rule.name} for {format_path(path)} failed with {type(error).__name__}"
            ) from error
        if accepted:
            return old, old
        self.notes[path] = rule.problem(old, new)
        return old, new


_NOTHING = (ABSENT, None)


def _unified(old: Any, new: Any) -> tuple[Any, Any]:
    """Returns one object for both where they are JSON-equal. In Python True is 1, and NaN is not NaN."""
    if isinstance(old, bool) is isinstance(new, bool) and (old == new or (old != old and new != new)):  # noqa: PLR0124
        return old, old
    return old, new


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _folded(value: Any) -> Any:
    return Folded(canonical(value)) if isinstance(value, dict | list) else value


def _structure(text: str) -> Any:
    """Returns the object or array in a text, or None."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    value = parsed(text)
    return None if isinstance(value, BrokenJson) else value


def _index_of(choice: Any) -> Any:
    index = choice.get("index") if isinstance(choice, dict) else None
    return index if isinstance(index, int) else None


def _function_of(call: Any) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else "a call without a name"


def _call_of(call: Any) -> tuple[str, str]:
    function = call.get("function") if isinstance(call, dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else call
    value = parsed(arguments) if isinstance(arguments, str) else arguments
    return _function_of(call), str(arguments) if isinstance(value, BrokenJson) else canonical(value)


def _name_calls(tree: Any) -> None:
    """Replaces the ids of tool calls by what they mean, in place.

    The id of a call only has to be its own; a ``tool_call_id`` has to cite the call it answers, which is
    named by its function and how many calls of that function came before.
    """
    calls: list[tuple[dict[str, Any], Any]] = []
    citations: list[dict[str, Any]] = []
    for value in _objects(tree):
        found = value.get("tool_calls")
        if isinstance(found, list):
            calls += [
                (call, call["id"]) for call in found if isinstance(call, dict) and call.get("id") is not None
            ]
        if isinstance(value.get("tool_call_id"), str):
            citations.append(value)
    names: dict[str, str] = {}
    counts = defaultdict[str, int](int)
    for call, given in calls:
        known = names.get(canonical(given))
        if known is None:
            function = _function_of(call)
            counts[function] += 1
            names[canonical(given)] = f"{function} #{counts[function]}"
        call["id"] = Mask(name_type(given) if known is None else f"the id of the call {known}")
    for value in citations:
        value["tool_call_id"] = Mask(f"the id of {names.get(canonical(value['tool_call_id']), 'no call')}")


def _objects(tree: Any) -> Iterator[dict[str, Any]]:
    """Yields every object of a tree, in the order of the document."""
    pending = [tree]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            pending.extend(reversed(value.values()))
        elif isinstance(value, list):
            pending.extend(reversed(value))
