"""What is read of a tree that is not plainly right, and the first problem of one that is wrong: pydantic says."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from ..commands import mend_or_record
from ..errors import CassetteReadError
from ..models import FieldError
from .codec import line_at, written_location

if TYPE_CHECKING:
    from pathlib import Path

    from ..wire.json_values import Tree

_MOST_KEYS = 1000
_PROBLEMS = {
    "missing": "is missing",
    "unexpected_keyword_argument": "the cassette format has no such key",
    **dict.fromkeys(("string_type", "string_sub_type"), "should be text"),
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "should be a whole number"
    ),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "should be a number"),
    **dict.fromkeys(("list_type", "tuple_type"), "should be a list"),
    **dict.fromkeys(
        ("dict_type", "mapping_type", "dataclass_type", "dataclass_exact_type"), "should be a mapping"
    ),
}
"""What is wrong, by pydantic's name for it, whose own words change from version to version."""

_Model = TypeVar("_Model")

_adapter_of: Any = cache(TypeAdapter)  # to make one takes longer than to read an interaction with it


def validated(kind: type[_Model], tree: Tree, here: tuple[str | int, ...], text: str, path: Path) -> _Model:
    """Return the tree as a value of this kind.

    Raises:
        CassetteReadError: it is none; the message says what is wrong first, and where.
    """
    location, problem = _oversize(tree)
    more = ""
    if not problem:
        try:
            return cast("_Model", _adapter_of(kind).validate_python(tree))
        except ValidationError as error:
            location, problem = _first_problem(error, tree)
            others = error.error_count() - 1
            more = f" (and {others} more)" if others else ""
    place: list[str | int] = [*here, *location]
    where = f"{written_location(place)}: " if place else ""
    raise CassetteReadError(
        path, f"{where}{problem}{more}", line=line_at(text, place), fix=mend_or_record(path)
    )


def _oversize(tree: Tree) -> tuple[list[str | int], str]:
    """Return where a part has more that is wrong than memory can tell of, and what it is; else no problem."""
    places: list[list[str | int]] = [[], ["request"], ["response"], ["response", "headers"]]
    samples = tree.get("samples") if isinstance(tree, dict) else None
    if isinstance(samples, list):
        places += [["samples", i, *more] for i in range(len(samples)) for more in ([], ["headers"])]
    for location in places:
        part = tree
        for step in location:
            if isinstance(part, list) and isinstance(step, int):
                part = part[step]
            else:
                part = part.get(step) if isinstance(part, dict) else None
        if isinstance(part, dict):
            if len(part) > _MOST_KEYS:
                return location, f"has {len(part):,} keys, and may have {_MOST_KEYS}"
            events = part.get("events")
            for number, event in enumerate(events if isinstance(events, list) else ()):
                if not isinstance(event, str | dict) or (isinstance(event, dict) and len(event) != 1):
                    return [
                        *location,
                        "events",
                        number,
                    ], "should be text, or a mapping with one 'frame'"
    return [], ""


def _first_problem(error: ValidationError, tree: Tree) -> tuple[list[str | int], str]:
    """Return where the first problem is, as keys and indexes of the file, and what it is."""
    problems = error.errors(include_url=False, include_input=False)
    # A key that is misspelt explains the one that is missing.
    first = problems[0]
    if first["type"] == "missing":
        first = next((each for each in problems if each["type"] == "unexpected_keyword_argument"), first)
    location: list[str | int] = []
    for step in first["loc"]:
        if isinstance(tree, list) and isinstance(step, int):
            tree = tree[step]
        elif isinstance(tree, dict) and (step in tree or first["type"] == "missing"):
            tree = tree.get(step)
        else:
            continue  # pydantic's name for one of the types that would do
        location.append(step)
    told = first.get("ctx", {})
    problem = _PROBLEMS.get(first["type"], "is not part of the cassette format here")
    if first["type"] == "literal_error":
        problem = f"should be {told['expected']}"
    cause = told.get("error")
    if isinstance(cause, FieldError):
        location.append(cause.name)
        problem = cause.problem
    elif cause is not None:
        problem = str(cause)
    return location, problem
