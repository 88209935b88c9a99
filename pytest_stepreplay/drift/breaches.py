"""What pydantic finds wrong in an answer, in the words of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from ..errors import SettingsError
from ..selectors import format_path
from ..wire.json_values import name_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from ..selectors import Path

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


def check(tree: Any, model: type[BaseModel], source: str, prefix: Path = ()) -> Iterator[Breach]:
    """Yields where a tree breaks a model.

    Args:
        tree: an answer, or one chunk of it.
        model: what is documented.
        source: where that is.
        prefix: the place of the tree.

    Raises:
        SettingsError: if the model fails other than by refusing the value.
    """
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
