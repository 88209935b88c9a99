"""Where a response breaks the documented object: which field, what was expected, and what came.

The trees of both answers go in; what comes out is what the new one breaks and the stored one did not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..errors import SettingsError
from ..selectors import format_path
from ..wire.json_values import name_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from ..selectors import Path
    from .answers import Answer

# pydantic's error types, in the words of JSON.
_EXPECTED = {
    "string_type": "a string",
    "string_unicode": "Unicode text",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "a boolean",
    "list_type": "an array",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
}

MISSING: Final = "required, but missing"


class Breach(NamedTuple):
    """One place where the documented object is broken.

    Attributes:
        path: the place.
        expected: what should stand there; nothing where something required is missing.
        got: what does; nothing where it is missing.
        source: what documents the object.
    """

    path: Path
    expected: str
    got: str
    source: str

    @property
    def sort(self) -> tuple[str, str, str]:
        """What makes two breaches the same, in whichever item of a list they stand."""
        return (
            format_path(tuple("*" if isinstance(step, int) else step for step in self.path)),
            self.expected,
            self.got,
        )


def new_breaches(stored: Answer, new: Answer, contract: str | type[Any] | None) -> list[Breach]:
    """Returns what the new answer breaks in a way that the stored one does not.

    Args:
        stored: the stored answer; what it breaks in the same way is how this server is.
        new: the answer to judge. The chunks of a streamed one are checked too; of those that break alike only
            the first is returned.
        contract: the name of the documented object, or a pydantic model class.

    Raises:
        SettingsError: if a model class of the user's fails other than by refusing the value.
    """
    known = {breach.sort for breach in breaches_of(stored, contract)}
    fresh: list[Breach] = []
    told: set[tuple[object, str, str]] = set()
    for breach in breaches_of(new, contract):
        field = (breach.path[-1:], breach.expected, breach.got)
        if breach.sort not in known and not (breach.path[:1] == ("chunks",) and field in told):
            fresh.append(breach)
            told.add(field)
    return fresh


def breaches_of(answer: Answer, contract: str | type[Any] | None) -> Iterator[Breach]:
    """Yields every place where an answer breaks the documented object, its chunks' included.

    Args:
        answer: the answer.
        contract: the name of the documented object, or a pydantic model class; None finds nothing.

    Raises:
        SettingsError: if a model class of the user's fails other than by refusing the value.
    """
    if isinstance(contract, type):
        yield from _check(answer.tree, contract, f"the model {contract.__name__}")
    elif answer.sort == "answer" and answer.endpoint.is_documented(answer.tree, answer.chunks):
        documented = answer.endpoint.contracts.get(contract or "")
        if documented is None:
            return
        model, chunk_model = documented.models()
        yield from _check(answer.tree, model, documented.source)
        for i, chunk in enumerate(answer.chunks):
            if "error" not in chunk:
                yield from _check(chunk, chunk_model, documented.chunk_source, ("chunks", i))


def _check(tree: Any, model: type[BaseModel], source: str, prefix: Path = ()) -> Iterator[Breach]:
    from pydantic import ValidationError  # noqa: PLC0415 - as above

    try:
        model.model_validate(tree)
    except ValidationError as refused:
        for error in refused.errors(include_url=False):
            missing = error["type"] == "missing"
            path = _located(tree, error["loc"], missing=missing)
            context = error.get("ctx", {})
            value = "" if missing else context.get("got") or _told(error["type"], error["input"])
            wanted = context.get("expected") or _EXPECTED.get(error["type"], error["msg"])
            expected = "" if missing else wanted
            yield Breach((*prefix, *path), str(expected).replace("'", '"'), value, source)
    except Exception as error:  # a validator of the user's own may raise anything
        raise SettingsError(
            f"contract: the model {model.__name__} failed with {type(error).__name__}"
        ) from error


def _located(tree: Any, location: tuple[str | int, ...], *, missing: bool) -> Path:
    """Returns the steps of a pydantic location that lead into the tree.

    Its other steps name validators and members of unions.
    """
    path: list[str | int] = []
    for i, step in enumerate(location):
        last = missing and i == len(location) - 1
        if isinstance(tree, list) and isinstance(step, int) and step < len(tree):
            tree = tree[step]
        elif isinstance(tree, dict) and isinstance(step, str) and (step in tree or last):
            tree = tree.get(step)
        else:
            continue
        path.append(step)
    return tuple(path)


def _told(error_type: str, value: Any) -> str:
    """Returns what came: a short text itself where only some texts are allowed, else the type alone."""
    if error_type in ("literal_error", "enum") and isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else "another string"
    return "half of a surrogate pair" if error_type == "string_unicode" else name_type(value)
