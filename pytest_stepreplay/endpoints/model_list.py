"""The models that an API has: ``GET .../models``, and one of them, ``GET .../models/NAME``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from ..texts import plural
from . import error_object, openai_models
from .endpoint import Contract, Endpoint, Paired
from .reading import Reading, Remark, objects_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def _is_answer(tree: Mapping[str, Any]) -> bool:
    items = objects_of(tree.get("data")) if tree.get("object") == "list" else [tree]
    return bool(items) and all(it.get("object") == "model" and "id" in it for it in items)


def _name_of(model: Any) -> Any:
    return model.get("id") if isinstance(model, dict) else None


def _told(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
    items = objects_of(tree.get("data")) if "data" in tree else [tree]
    return tuple(Remark("model", str(it.get("id"))) for it in items)


def _end(tree: Mapping[str, Any]) -> str:
    return plural(len(_told(tree)), "model")


MODELS: Final = Endpoint(
    name="models",
    paths=("/models", "/models/*"),
    noun="a list of models",
    reading=Reading(lambda _: None, _told, _end),
    sort_of=error_object.sort_by(_is_answer),
    levels={
        "*": Level.METADATA,
        "id": Level.BEHAVIOR,
        "data": Level.CONTENT,
        "data[*].*": Level.METADATA,
        "data[*].id": Level.CONTENT,
        "deleted": Level.BEHAVIOR,
        **error_object.LEVELS,
    },
    volatile=("created", "data[*].created"),
    fleeting=("permission", "data[*].permission", *error_object.FLEETING),
    paired={"data": Paired((_name_of,))},
    contracts=Contract(
        lambda: (openai_models.ModelAnswer, openai_models.ModelAnswer),
        "the OpenAI-compatible API reference, the model object",
    ).of_all_hosts(),
)
