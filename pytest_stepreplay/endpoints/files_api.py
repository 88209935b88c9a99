"""Files, what is made of them, and batches: ``.../files``, ``.../vector_stores``, ``.../batches`` and what is below.

Anthropic's files and batches have the same paths, and objects that are named by `type`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from ..texts import plural
from . import batch_results, binary, error_object, files_models
from .endpoint import Contract, Endpoint
from .ids import Ids
from .reading import Reading, Remark, number, object_of, objects_of

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


def _told(
    role: str, *facts: Callable[[Mapping[str, Any]], str]
) -> Callable[[Mapping[str, Any]], tuple[Remark, ...]]:
    """Returns what says what an object of this kind is, or each in a list of them, by some facts."""

    def told(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
        items = objects_of(tree.get("data")) if "data" in tree else [tree]
        texts = (", ".join(filter(None, (fact(it) for fact in facts))) for it in items)
        return tuple(Remark(role, text or str(it.get("id"))) for it, text in zip(items, texts, strict=True))

    return told


def _field(name: str, form: str = "{}") -> Callable[[Mapping[str, Any]], str]:
    return lambda it: form.format(it[name]) if it.get(name) is not None else ""


def _done(name: str, what: str) -> Callable[[Mapping[str, Any]], str]:
    """Returns what says how many of them are done, by the counts under a name."""

    def done(it: Mapping[str, Any]) -> str:
        counts = object_of(it.get(name))
        whole = number(counts, "total")
        if whole is None:
            return ", ".join(f"{count} {sort}" for sort, count in counts.items())
        failed = number(counts, "failed")
        return f"{number(counts, 'completed')} of {plural(whole, what)}" + (
            f", {failed} failed" if failed else ""
        )

    return done


def _end(tree: Mapping[str, Any]) -> str:
    """Returns how things stand, in a few words."""
    if "data" in tree:
        return f"{len(objects_of(tree['data'])):,} of them"
    if tree.get("deleted") or str(tree.get("type")).endswith("_deleted"):
        return "deleted"
    return str(tree.get("status") or tree.get("processing_status") or "stored")


_FILE_TOLD = _told(
    "file",
    _field("filename"),
    _field("bytes", "{:,} bytes"),
    _field("size_bytes", "{:,} bytes"),
    _field("mime_type"),
    _field("purpose", "for {}"),
)


def _said_in_file(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
    return tuple(batch_results.told_in(tree)) if batch_results.are_results(tree) else _FILE_TOLD(tree)


def _end_of_file(tree: Mapping[str, Any]) -> str:
    results = tree.get("results_by_custom_id")
    return plural(len(results), "result") if isinstance(results, dict) else _end(tree)


FILES: Final = Endpoint(
    name="files",
    paths=("/files", "/files/*", "/files/*/content", "/messages/batches/*/results"),
    noun="a file",
    sort_of=error_object.sort_by(_is_file),
    are_chunks=batch_results.are_lines,
    fold=batch_results.fold,
    reading=Reading(lambda _: None, _said_in_file, _end_of_file),
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
    reading=Reading(
        lambda _: None, _told("batch", _field("endpoint"), _done("request_counts", "request")), _end
    ),
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
    reading=Reading(lambda _: None, _told("store", _field("name"), _done("file_counts", "file")), _end),
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
