"""Files, what is made of them, and batches: ``.../files``, ``.../vector_stores``, ``.../batches`` and what is below.

Anthropic's files and batches have the same paths, and objects that are named by `type`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from . import batch_results, binary, error_object, files_models
from .endpoint import Contract, Endpoint
from .ids import Ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .ids import Keys


def _is(*kinds: str) -> Callable[[Mapping[str, Any]], bool]:
    """Returns what says whether an object is of one of these kinds, or a list of them."""

    def is_one(tree: Mapping[str, Any]) -> bool:
        data = tree.get("data")
        items = data if isinstance(data, list) and tree.get("object", "list") == "list" else [tree]
        return bool(items) and all(isinstance(it, dict) and _kind_of(it) in kinds for it in items)

    return is_one


def _kind_of(tree: Mapping[str, Any]) -> Any:
    return tree.get("object", tree.get("type"))


_is_stored = _is("file", "file_deleted")


def _is_file(tree: Mapping[str, Any]) -> bool:
    return binary.is_binary(tree) or batch_results.are_results(tree) or _is_stored(tree)


def _in_lists(*names: str) -> tuple[str, ...]:
    """Returns the places of these fields, in an object and in each of a list of them."""
    return (*names, *(f"data[*].{name}" for name in names))


_KINDS: Final = ("file", "batch", "message_batch", "vector_store", "vector_store.file")


def _keys_in(value: Mapping[str, Any], under: str) -> Keys:
    if under not in ("", "data"):
        return ()
    made: Keys = (("id", "made"),) if _kind_of(value) in _KINDS else ()
    return (*made, *_CITED)


_CITED: Final[Keys] = (
    ("input_file_id", "cited"),
    ("file_id", "cited"),
    ("file_ids", "cited"),
    ("vector_store_id", "cited"),
    ("output_file_id", "made"),
    ("error_file_id", "made"),
)

_IDS: Final = Ids(_keys_in, are_kept=True)

_PAGES: Final = ("first_id", "last_id")

FILES: Final = Endpoint(
    name="files",
    paths=("/files", "/files/*", "/files/*/content", "/messages/batches/*/results"),
    noun="a file",
    sort_of=error_object.sort_by(_is_file),
    are_chunks=batch_results.are_lines,
    fold=batch_results.fold,
    tokens_in=batch_results.tokens_in,
    levels={
        "*": Level.METADATA,
        "data": Level.CONTENT,
        "data[*].*": Level.METADATA,
        "filename": Level.CONTENT,
        "mime_type": Level.BEHAVIOR,
        "purpose": Level.BEHAVIOR,
        "status": Level.BEHAVIOR,
        "deleted": Level.BEHAVIOR,
        **batch_results.LEVELS,
        **binary.LEVELS,
        **error_object.LEVELS,
    },
    volatile=_in_lists("id", "created_at"),
    ids=_IDS,
    fleeting=(
        *_in_lists("expires_at"),
        *_PAGES,
        *batch_results.FLEETING,
        *error_object.FLEETING,
    ),
    json_texts=batch_results.JSON_TEXTS,
    content=batch_results.CONTENT,
    tolerances=batch_results.TOLERANCES,
    paired=batch_results.PAIRED,
    contracts=Contract(
        lambda: (files_models.FileAnswer, files_models.BatchResult),
        "the OpenAI-compatible API reference, the file object",
        "the OpenAI-compatible API reference, the results of a batch",
    ).of_all_hosts(),
)

_MOMENTS: Final = """
    in_progress_at finalizing_at completed_at failed_at expired_at cancelling_at cancelled_at expires_at
    output_file_id error_file_id ended_at archived_at cancel_initiated_at results_url
"""

BATCHES: Final = Endpoint(
    name="batches",
    paths=("/batches", "/batches/*", "/batches/*/cancel"),
    noun="a batch",
    sort_of=error_object.sort_by(_is("batch", "message_batch", "message_batch_deleted")),
    levels={
        "*": Level.METADATA,
        "data": Level.CONTENT,
        "data[*].*": Level.METADATA,
        "endpoint": Level.BEHAVIOR,
        "status": Level.BEHAVIOR,
        "processing_status": Level.BEHAVIOR,
        "errors": Level.BEHAVIOR,
        **error_object.LEVELS,
    },
    volatile=_in_lists("id", "created_at", "input_file_id"),
    ids=_IDS,
    fleeting=(*_in_lists(*_MOMENTS.split()), *_PAGES, *error_object.FLEETING),
    contracts=Contract(
        lambda: (files_models.BatchAnswer, files_models.BatchResult),
        "the OpenAI-compatible API reference, the batch object",
    ).of_all_hosts(),
)

VECTOR_STORES: Final = Endpoint(
    name="vector_stores",
    paths=(
        "/vector_stores",
        "/vector_stores/*",
        "/vector_stores/*/files",
        "/vector_stores/*/files/*",
    ),
    noun="a vector store",
    sort_of=error_object.sort_by(
        _is("vector_store", "vector_store.deleted", "vector_store.file", "vector_store.file.deleted")
    ),
    levels={
        "*": Level.METADATA,
        "data": Level.CONTENT,
        "data[*].*": Level.METADATA,
        "name": Level.CONTENT,
        "status": Level.BEHAVIOR,
        "deleted": Level.BEHAVIOR,
        "last_error": Level.BEHAVIOR,
        **error_object.LEVELS,
    },
    volatile=_in_lists("id", "created_at"),
    ids=_IDS,
    fleeting=(
        *_in_lists("vector_store_id", "last_active_at", "expires_at", "usage_bytes"),
        *_PAGES,
        *error_object.FLEETING,
    ),
)
