"""Moderations: ``POST .../moderations``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from . import error_object, openai_models
from .endpoint import Contract, Endpoint
from .reading import Reading, Remark, object_of, objects_of, remarks

if TYPE_CHECKING:
    from collections.abc import Mapping


def _is_answer(tree: Mapping[str, Any]) -> bool:
    return any("flagged" in it and "categories" in it for it in objects_of(tree.get("results")))


def _asked(body: Mapping[str, Any]) -> tuple[Remark, ...] | None:
    given = body.get("input")
    inputs = given if isinstance(given, list) else [given]
    return None if given is None else tuple(Remark("input", _given(it)) for it in inputs)


def _given(part: Any) -> str:
    if isinstance(part, str):
        return part
    held = object_of(part)
    return str(held.get("text") or f"[{held.get('type')}]")


def _answered(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
    return remarks("result", [_told(it) for it in objects_of(tree.get("results"))])


def _told(result: Mapping[str, Any]) -> str:
    flagged = [name for name, value in object_of(result.get("categories")).items() if value]
    return f"flagged: {', '.join(flagged) or 'yes'}" if result.get("flagged") else "not flagged"


def _end(tree: Mapping[str, Any]) -> str:
    flagged = sum(bool(it.get("flagged")) for it in objects_of(tree.get("results")))
    return f"{flagged} of {len(objects_of(tree.get('results')))} flagged"


MODERATIONS: Final = Endpoint(
    name="moderations",
    paths=("/moderations",),
    telling=("input", "model"),
    noun="a moderation",
    sort_of=error_object.sort_by(_is_answer),
    reading=Reading(_asked, _answered, _end, ("input",)),
    levels={
        "*": Level.METADATA,
        "results": Level.BEHAVIOR,
        "results[*].*": Level.METADATA,
        "results[*].flagged": Level.BEHAVIOR,
        "results[*].categories": Level.BEHAVIOR,
        "results[*].category_scores": Level.CONTENT,
        "results[*].category_applied_input_types": Level.CONTENT,
        **error_object.LEVELS,
    },
    volatile=("id",),
    fleeting=error_object.FLEETING,
    # How sure the model is differs a little from call to call.
    tolerances={"results[*].category_scores.*": "0.05"},
    contracts=Contract(
        lambda: (openai_models.Moderation, openai_models.Moderation),
        "the OpenAI-compatible API reference, the moderation object",
    ).of_all_hosts(),
)
