"""What a batch has answered: a file with an answer of some endpoint on each line, and a `custom_id` beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from .chat import CHAT
from .completions import COMPLETIONS
from .embeddings import EMBEDDINGS
from .messages import MESSAGES
from .reading import Remark, Tokens, object_of
from .responses import RESPONSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .endpoint import Endpoint, Paired

_RESULTS: Final = "results_by_custom_id"
_LINE: Final = f"{_RESULTS}.*"

_ANSWERS: Final[tuple[tuple[str, Endpoint], ...]] = (
    *((f"{_LINE}.response.body", each) for each in (CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS)),
    (f"{_LINE}.result.message", MESSAGES),
)
"""Where in a line an answer stands, and of which endpoint it may be."""


def are_lines(values: Sequence[Mapping[str, Any]], _listed: bool) -> bool:
    """Says whether objects are the lines of such a file."""
    return bool(values) and all(
        isinstance(each.get("custom_id"), str) and each.keys() & {"response", "result"} for each in values
    )


def are_results(tree: Mapping[str, Any]) -> bool:
    """Says whether an object is what `fold` makes of the lines."""
    return isinstance(tree.get(_RESULTS), dict)


def fold(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the answers by their `custom_id`: lines come in any order."""
    found: dict[str, Any] = {}
    for line in lines:
        name = str(line.get("custom_id"))
        while name in found:
            name += " again"
        found[name] = {key: value for key, value in line.items() if key != "custom_id"}
    return {_RESULTS: found}


def tokens_in(line: Mapping[str, Any]) -> Tokens | None:
    """Returns what the answer of one line cost, or those of all lines together."""
    if are_results(line):
        told = [each for it in line[_RESULTS].values() if (each := tokens_in(it))]
        input_, output = (sum(getattr(each, name) or 0 for each in told) for name in ("input", "output"))
        return Tokens(input_, output) if told else None
    body = object_of(object_of(line.get("response")).get("body"))
    said = object_of(object_of(line.get("result")).get("message"))
    found = (each.tokens_in(said if each is MESSAGES else body) for _, each in _ANSWERS)
    return next((each for each in found if each), None)


def told_in(tree: Mapping[str, Any]) -> Iterator[Remark]:
    """Yields what the answers say, each labelled with its `custom_id`."""
    for name, line in object_of(tree.get(_RESULTS)).items():
        response, result = (
            object_of(object_of(line).get("response")),
            object_of(object_of(line).get("result")),
        )
        body = object_of(response.get("body"))
        said = object_of(result.get("message"))
        owner = next((each for _, each in _ANSWERS if each.sort_of(said if each is MESSAGES else body)), None)
        if owner is None or owner.reading is None:
            yield Remark(
                "result", str(result.get("type") or response.get("status_code") or "none"), label=name
            )
            continue
        for remark in owner.reading.answer(said if owner is MESSAGES else body):
            yield replace(remark, label=name)


def _places(*kinds: str) -> Iterator[str]:
    """Yields the places that the endpoints name so, where they stand in a line."""
    for place, each in _ANSWERS:
        for kind in kinds:
            yield from (f"{place}.{name}" for name in getattr(each, kind))


LEVELS: Final[dict[str, Level | None]] = {
    _RESULTS: Level.BEHAVIOR,
    f"{_LINE}.*": Level.METADATA,
    f"{_LINE}.response.status_code": Level.BEHAVIOR,
    f"{_LINE}.error": Level.BEHAVIOR,
    f"{_LINE}.result.type": Level.BEHAVIOR,
    **{f"{place}.{name}": level for place, each in _ANSWERS for name, level in each.levels.items()},
}
FLEETING: Final = (
    f"{_LINE}.id",
    f"{_LINE}.response.request_id",
    *_places("volatile", "fleeting"),
    # Nothing in such a file cites the id of a call.
    f"{_LINE}.response.body.choices[*].message.tool_calls[*].id",
    f"{_LINE}.response.body.output[*].call_id",
    f"{_LINE}.result.message.content[*].id",
    f"{_LINE}.result.message.content[*].tool_use_id",
)
JSON_TEXTS: Final = tuple(dict.fromkeys(_places("json_texts")))
CONTENT: Final = tuple(dict.fromkeys(_places("content")))
TOLERANCES: Final[dict[str, str]] = {
    f"{place}.{name}": rule for place, each in _ANSWERS for name, rule in each.tolerances.items()
}
PAIRED: Final[dict[str, Paired]] = {
    f"{place}.{name}": paired for place, each in _ANSWERS for name, paired in each.paired.items()
}
