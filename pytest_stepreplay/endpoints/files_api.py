"""Files and batches: ``.../files``, ``.../files/ID/content``, ``.../batches`` and what is below them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from . import binary, error_object, files_models
from .endpoint import Contract, Endpoint
from .ids import Ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from .ids import Keys


def _is(kind: str, *keys: str) -> Callable[[Mapping[str, Any]], bool]:
    """Returns what says whether an object is one of this kind, a list of them, or what became of one."""

    def is_one(tree: Mapping[str, Any]) -> bool:
        data = tree.get("data")
        items = data if tree.get("object") == "list" and isinstance(data, list) else [tree]
        return bool(items) and all(isinstance(it, dict) and it.get("object") in (kind, *keys) for it in items)

    return is_one


def _is_file(tree: Mapping[str, Any]) -> bool:
    return binary.is_binary(tree) or _is("file")(tree)


def _file_models() -> tuple[type[BaseModel], type[BaseModel]]:
    return files_models.FileAnswer, files_models.FileAnswer


def _batch_models() -> tuple[type[BaseModel], type[BaseModel]]:
    return files_models.BatchAnswer, files_models.BatchAnswer


def _in_lists(*names: str) -> tuple[str, ...]:
    """Returns the places of these fields, in an object and in each of a list of them."""
    return (*names, *(f"data[*].{name}" for name in names))


def _keys_in(value: Mapping[str, Any], under: str) -> Keys:
    if under:
        return ()
    made: Keys = (("id", "made"),) if value.get("object") in ("file", "batch") else ()
    return (*made, ("input_file_id", "cited"), ("output_file_id", "made"), ("error_file_id", "made"))


_IDS: Final = Ids(_keys_in, are_kept=True)

_PAGES: Final = ("first_id", "last_id")

FILES: Final = Endpoint(
    name="files",
    paths=("/files", "/files/*", "/files/*/content"),
    noun="a file",
    sort_of=error_object.sort_by(_is_file),
    levels={
        "*": Level.METADATA,
        "data": Level.CONTENT,
        "data[*].*": Level.METADATA,
        "filename": Level.CONTENT,
        "purpose": Level.BEHAVIOR,
        "status": Level.BEHAVIOR,
        "deleted": Level.BEHAVIOR,
        **binary.LEVELS,
        **error_object.LEVELS,
    },
    volatile=_in_lists("id", "created_at"),
    ids=_IDS,
    fleeting=(*_in_lists("expires_at"), *_PAGES, *error_object.FLEETING),
    contracts=Contract(_file_models, "the OpenAI-compatible API reference, the file object").of_all_hosts(),
)

_MOMENTS: Final = """
    in_progress_at finalizing_at completed_at failed_at expired_at cancelling_at cancelled_at expires_at
    output_file_id error_file_id
"""

BATCHES: Final = Endpoint(
    name="batches",
    paths=("/batches", "/batches/*", "/batches/*/cancel"),
    noun="a batch",
    sort_of=error_object.sort_by(_is("batch")),
    levels={
        "*": Level.METADATA,
        "data": Level.CONTENT,
        "data[*].*": Level.METADATA,
        "endpoint": Level.BEHAVIOR,
        "status": Level.BEHAVIOR,
        "errors": Level.BEHAVIOR,
        **error_object.LEVELS,
    },
    volatile=_in_lists("id", "created_at", "input_file_id"),
    ids=_IDS,
    fleeting=(*_in_lists(*_MOMENTS.split()), *_PAGES, *error_object.FLEETING),
    contracts=Contract(_batch_models, "the OpenAI-compatible API reference, the batch object").of_all_hosts(),
)
