"""The operators: how a recorded answer can drift, each named after the drift that it makes.

An operator is a function from an answer to the answers that it could have been. A new one is one function, and one
entry in `OPERATORS`.
"""

from __future__ import annotations

import json
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..models import Response
from ..selectors import Selectors, format_path
from ..settings.levels import Level
from ..wire.json_values import name_type, parsed, structure_in
from . import places
from .taped_answers import TapedAnswer, cut_off, number_of_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..endpoints import altering
    from ..selectors import Path

MOST_PLACES: Final = 10
"""How many places of one answer an operator changes, at most, each for itself."""

REFUSAL: Final = "I'm sorry, but I can't help with that."
OTHER_TEXT: Final = "Something else altogether."
_OTHER_VALUE: Final = "something else"
_SHOWN: Final = 40


class Altered(NamedTuple):
    """An answer that was changed.

    Attributes:
        place: the selector of what was changed.
        told: what is so now, for a person: what follows the word `when`.
        make: returns the changed response.
    """

    place: str
    told: str
    make: Callable[[], Response]


class DriftOperator(NamedTuple):
    """One way in which an answer can drift.

    Attributes:
        name: of the drift.
        level: how much such a drift matters.
        changes: yields the answers that it makes of one.
    """

    name: str
    level: Level
    changes: Callable[[TapedAnswer], Iterator[Altered]]


@cache
def _compiled(selectors: tuple[str, ...]) -> Selectors:
    return Selectors(selectors)


def _with(taped: TapedAnswer, path: Path, told: str, tree: Any) -> Altered:
    return Altered(format_path(path), told, partial(taped.with_tree, tree))


# ---------------------------------------------------------------- calls of tools


class _CallMade(NamedTuple):
    path: Path
    at: altering.CallPlace
    name: str
    given: Any

    @property
    def name_path(self) -> Path:
        return (*self.path, *self.at.name)

    @property
    def given_path(self) -> Path:
        return (*self.path, *self.at.given)

    @property
    def arguments(self) -> dict[str, Any]:
        value = parsed(self.given) if isinstance(self.given, str) else self.given
        return value if isinstance(value, dict) else {}

    def written(self, arguments: dict[str, Any]) -> Any:
        """Returns arguments in the form in which the call has them."""
        return json.dumps(arguments, ensure_ascii=False) if isinstance(self.given, str) else arguments


def _calls_in(taped: TapedAnswer) -> Iterator[_CallMade]:
    for at in taped.altering.calls if taped.altering else ():
        for path, call in places.find_places(taped.tree, _compiled((at.at,))):
            name, given = places.value_at(call, at.name), places.value_at(call, at.given)
            if isinstance(name, str) and isinstance(given, str | dict):
                yield _CallMade(path, at, name, given)


def _another_tool(taped: TapedAnswer) -> Iterator[Altered]:
    for call in islice(_calls_in(taped), MOST_PLACES):
        other = next((name for name in taped.tools_offered() if name != call.name), f"other_{call.name}")
        told = f"the tool is `{other}` instead of `{call.name}`"
        yield _with(taped, call.name_path, told, places.with_value(taped.tree, call.name_path, other))


def _dropped_call(taped: TapedAnswer) -> Iterator[Altered]:
    for call in islice(_calls_in(taped), MOST_PLACES):
        tree = places.without_value(taped.tree, call.path)
        listed = call.path[:-1]
        if len(listed) > 1 and places.value_at(tree, listed) == []:
            tree = places.without_value(tree, listed)  # an answer without calls has no list of them
        yield _with(taped, call.path, f"the call of `{call.name}` is missing", tree)


def _added_call(taped: TapedAnswer) -> Iterator[Altered]:
    for call in islice(_calls_in(taped), 1):
        if not isinstance(call.path[-1], int):
            continue
        again = dict(places.value_at(taped.tree, call.path))
        again |= {key: f"{again[key]}2" for key in {"id", call.at.id} if isinstance(again.get(key), str)}
        tree = places.with_next(taped.tree, call.path, again)
        yield _with(taped, call.path, f"`{call.name}` is called twice", tree)


def _arguments(
    taped: TapedAnswer, change: Callable[[dict[str, Any], str], tuple[dict[str, Any], str]]
) -> Iterator[Altered]:
    found = ((call, key) for call in _calls_in(taped) for key in call.arguments)
    for call, key in islice(found, MOST_PLACES):
        arguments, told = change(call.arguments, key)
        tree = places.with_value(taped.tree, call.given_path, call.written(arguments))
        place = (*call.given_path, key)
        yield _with(taped, place, f"`{call.name}` is given {told}", tree)


def _changed_argument(taped: TapedAnswer) -> Iterator[Altered]:
    def change(given: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
        other = _other_value(given[key])
        return given | {key: other}, f"{key}={_shown(other)} instead of {_shown(given[key])}"

    return _arguments(taped, change)


def _missing_argument(taped: TapedAnswer) -> Iterator[Altered]:
    return _arguments(
        taped, lambda given, key: ({name: it for name, it in given.items() if name != key}, f"no {key}")
    )


def _retyped_argument(taped: TapedAnswer) -> Iterator[Altered]:
    def change(given: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
        other = _of_another_type(given[key])
        return given | {key: other}, f"{key} as {name_type(other)} instead of {name_type(given[key])}"

    return _arguments(taped, change)


def _cut_arguments(taped: TapedAnswer) -> Iterator[Altered]:
    for call in islice(_calls_in(taped), MOST_PLACES):
        text = _text_of_arguments(taped, call)
        if text:
            tree = places.with_value(taped.tree, call.given_path, text[: -(-len(text) // 2)])
            yield _with(taped, call.given_path, f"the arguments of `{call.name}` are cut off", tree)


def _text_of_arguments(taped: TapedAnswer, call: _CallMade) -> str:
    """Returns what a tool is given, where that comes as a text that can break off."""
    if isinstance(call.given, str):
        return call.given if call.arguments or call.given.strip()[:1] == "{" else ""
    as_text = taped.is_streamed and bool(
        [*places.find_places(taped.tree, _compiled(taped.endpoint.json_texts))]
    )
    return json.dumps(call.given, ensure_ascii=False) if as_text and call.given else ""


# ---------------------------------------------------------------- how an answer ends


def _other_reason(taped: TapedAnswer) -> Iterator[Altered]:
    for end in taped.altering.ends if taped.altering else ():
        for path, reason in places.find_places(taped.tree, _compiled((end.at,))):
            other = next((each for each in end.reasons if each != reason), None)
            if other is None or not isinstance(reason, str):
                continue
            tree = places.with_value(taped.tree, path, other)
            if other == end.reasons[0]:
                tree = tree | end.beside
            yield _with(taped, path, f"the answer ends with `{other}` instead of `{reason}`", tree)


def _refusal(taped: TapedAnswer) -> Iterator[Altered]:
    if taped.altering and taped.altering.refused:
        yield _with(taped, (), "the model refuses", taped.altering.refused(taped.tree, REFUSAL))


def _dropped_alternative(taped: TapedAnswer) -> Iterator[Altered]:
    listed = taped.altering.alternatives if taped.altering else ""
    found = taped.tree.get(listed) if listed else None
    if isinstance(found, list) and len(found) > 1:
        tree = taped.tree | {listed: found[:-1]}
        told = f"there are {len(found) - 1} answers to choose from instead of {len(found)}"
        yield _with(taped, (listed, len(found) - 1), told, tree)


def _missing_usage(taped: TapedAnswer) -> Iterator[Altered]:
    key = taped.altering.usage if taped.altering else ""
    if taped.tree.get(key):
        told = "the answer does not say how many tokens it cost"
        yield _with(taped, (key,), told, {name: it for name, it in taped.tree.items() if name != key})


def error_answer(taped: TapedAnswer, status: int, message: str, code: str) -> Response:
    """Returns an error in place of an answer, in the form of its API."""
    return Response(
        status=status,
        headers={"content-type": "application/json"},
        json=taped.endpoint.refusal(message, code),
    )


def _error(taped: TapedAnswer) -> Iterator[Altered]:
    make = partial(error_answer, taped, 400, "The request was refused.", "request_params_invalid")
    yield Altered("$", "the API answers with an error, status 400", make)


def _cut_stream(taped: TapedAnswer) -> Iterator[Altered]:
    number = number_of_chunks(taped.response) if taped.is_streamed else 0
    for after in sorted({1, number // 2, number - 1} - {0}) if number > 1 else ():
        told = f"the stream breaks off after chunk {after} of {number}"
        yield Altered(f"chunk {after}", told, partial(cut_off, taped.response, after))


# ---------------------------------------------------------------- texts, and JSON in them


def written_texts(taped: TapedAnswer) -> Iterator[tuple[Path, str]]:
    """Yields the texts that the model wrote, those that are not empty."""
    if taped.endpoint.content:
        for path, text in places.find_places(taped.tree, _compiled(taped.endpoint.content)):
            if isinstance(text, str) and text.strip():
                yield path, text


def _empty_text(taped: TapedAnswer) -> Iterator[Altered]:
    for path, _ in islice(written_texts(taped), MOST_PLACES):
        yield _with(taped, path, "the text is empty", places.with_value(taped.tree, path, ""))


def _other_text(taped: TapedAnswer) -> Iterator[Altered]:
    for path, text in islice(written_texts(taped), MOST_PLACES):
        if structure_in(text) is None and text != OTHER_TEXT:
            told = f"the text is {_shown(OTHER_TEXT)} instead of {_shown(text)}"
            yield _with(taped, path, told, places.with_value(taped.tree, path, OTHER_TEXT))


def _json_places(taped: TapedAnswer) -> Iterator[tuple[Path, Any, Path, Any]]:
    """Yields each place of each JSON text: where the text stands, its value, the place in it, what stands there."""
    for path, text in written_texts(taped):
        value = structure_in(text)
        if value is not None:
            for inside, held in places.find_places(value, _compiled(("**",))):
                yield path, value, inside, held


def _other_json_value(taped: TapedAnswer) -> Iterator[Altered]:
    leaves = (each for each in _json_places(taped) if not isinstance(each[3], dict | list))
    for path, value, inside, held in islice(leaves, MOST_PLACES):
        other = _other_value(held)
        told = f"`{format_path(inside)}` in the JSON is {_shown(other)} instead of {_shown(held)}"
        tree = places.with_value(taped.tree, path, _as_text(places.with_value(value, inside, other)))
        yield Altered(_inside(path, inside), told, partial(taped.with_tree, tree))


def _other_json_key(taped: TapedAnswer) -> Iterator[Altered]:
    keys = (each for each in _json_places(taped) if isinstance(each[2][-1], str))
    for path, value, inside, held in islice(keys, MOST_PLACES):
        renamed = (*inside[:-1], f"other_{inside[-1]}")
        told = f"the JSON has `{renamed[-1]}` instead of `{format_path(inside)}`"
        changed = places.with_value(places.without_value(value, inside), renamed, held)
        tree = places.with_value(taped.tree, path, _as_text(changed))
        yield Altered(_inside(path, inside), told, partial(taped.with_tree, tree))


def _broken_json(taped: TapedAnswer) -> Iterator[Altered]:
    for path, text in written_texts(taped):
        if structure_in(text) is not None:
            tree = places.with_value(taped.tree, path, half(text))
            yield _with(taped, path, "the JSON breaks off in the middle", tree)


def half(text: str) -> str:
    """Returns the first half of a JSON text, which is no JSON any more."""
    text = text.strip()
    return text[: len(text) // 2 or 1]


def _inside(path: Path, inside: Path) -> str:
    return f"{format_path(path)} {format_path(inside)}"


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


# ---------------------------------------------------------------- other values


def _other_value(value: Any) -> Any:
    """Returns another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [] if value else [_OTHER_VALUE]
    if isinstance(value, dict):
        return {} if value else {"other": _OTHER_VALUE}
    return _OTHER_VALUE if value != _OTHER_VALUE else OTHER_TEXT


def _of_another_type(value: Any) -> Any:
    """Returns a value of another type that says nearly the same."""
    if isinstance(value, str):
        return [value]
    if value is None:
        return 0
    return str(value) if isinstance(value, bool | int | float) else _as_text(value)


def _shown(value: Any) -> str:
    text = _as_text(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


OPERATORS: Final[tuple[DriftOperator, ...]] = (
    DriftOperator("another_tool", Level.BEHAVIOR, _another_tool),
    DriftOperator("dropped_call", Level.BEHAVIOR, _dropped_call),
    DriftOperator("added_call", Level.BEHAVIOR, _added_call),
    DriftOperator("changed_argument", Level.BEHAVIOR, _changed_argument),
    DriftOperator("missing_argument", Level.BEHAVIOR, _missing_argument),
    DriftOperator("retyped_argument", Level.BEHAVIOR, _retyped_argument),
    DriftOperator("cut_arguments", Level.BEHAVIOR, _cut_arguments),
    DriftOperator("refusal", Level.BEHAVIOR, _refusal),
    DriftOperator("error", Level.BEHAVIOR, _error),
    DriftOperator("cut_stream", Level.BEHAVIOR, _cut_stream),
    DriftOperator("other_reason", Level.BEHAVIOR, _other_reason),
    DriftOperator("dropped_alternative", Level.BEHAVIOR, _dropped_alternative),
    DriftOperator("broken_json", Level.BEHAVIOR, _broken_json),
    DriftOperator("other_json_key", Level.BEHAVIOR, _other_json_key),
    DriftOperator("other_json_value", Level.CONTENT, _other_json_value),
    DriftOperator("empty_text", Level.CONTENT, _empty_text),
    DriftOperator("other_text", Level.CONTENT, _other_text),
    DriftOperator("missing_usage", Level.METADATA, _missing_usage),
)
"""Every operator, in the order in which they are tried on an answer."""


def changes_by(name: str, taped: TapedAnswer) -> Altered | None:
    """Returns the first change that an operator makes of an answer; None where it does not apply."""
    operator = next(each for each in OPERATORS if each.name == name)
    return next(operator.changes(taped), None)
