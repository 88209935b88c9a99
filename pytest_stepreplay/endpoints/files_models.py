"""The documented objects of files and batches, as frozen pydantic models.

Source: OpenAI's API reference, "The file object", "The batch object", and their lists; Anthropic's, where it says so.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, RootModel, Tag

from .documented import Documented


def _sort_of(value: Any) -> str:
    tree = value if isinstance(value, dict) else {}
    sorts = {
        "a page": isinstance(tree.get("data"), list),
        "a deletion": "deleted" in tree or str(tree.get("type")).endswith("_deleted"),
        "bytes of it": "sha256" in tree,
        "results": "results_by_custom_id" in tree,
        "Anthropic's": "object" not in tree and tree.get("type") in ("file", "message_batch"),
    }
    return next((name for name, holds in sorts.items() if holds), "one")


_SORTS = Discriminator(_sort_of)


class File(Documented):
    """What was uploaded."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: str


class AnthropicFile(Documented):
    """What was uploaded, as Anthropic tells it.

    Source: Anthropic's API reference, "Files".
    """

    id: str
    type: Literal["file"]
    created_at: str
    filename: str
    mime_type: str
    size_bytes: int


class Deleted(Documented):
    """What became of something that was deleted."""

    id: str


class Results(Documented):
    """What stands for the lines of a batch's results."""

    results_by_custom_id: dict[str, Any]


class BatchResult(Documented):
    """One line of a batch's results, as OpenAI or as Anthropic tells it."""

    custom_id: str
    response: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    result: dict[str, Any] | None = None


class Bytes(Documented):
    """What stands for the bytes of a file."""

    bytes: int
    sha256: str


class FileList(Documented):
    """A page of files."""

    data: list[Annotated[Annotated[File, Tag("one")] | Annotated[AnthropicFile, Tag("Anthropic's")], _SORTS]]


class RequestCounts(Documented):
    """How far a batch has come."""

    total: int
    completed: int
    failed: int


class Batch(Documented):
    """Many requests in a file."""

    id: str
    object: Literal["batch"]
    endpoint: str
    input_file_id: str
    completion_window: str
    status: Literal[
        "validating",
        "failed",
        "in_progress",
        "finalizing",
        "completed",
        "expired",
        "cancelling",
        "cancelled",
    ]
    created_at: int
    request_counts: RequestCounts | None = None


class MessageBatch(Documented):
    """Many requests for messages.

    Source: Anthropic's API reference, "Message batches".
    """

    id: str
    type: Literal["message_batch"]
    processing_status: Literal["in_progress", "canceling", "ended"]
    request_counts: dict[str, int]
    created_at: str


class BatchList(Documented):
    """A page of batches."""

    data: list[Annotated[Annotated[Batch, Tag("one")] | Annotated[MessageBatch, Tag("Anthropic's")], _SORTS]]


class FileAnswer(
    RootModel[
        Annotated[
            Annotated[File, Tag("one")]
            | Annotated[FileList, Tag("a page")]
            | Annotated[Deleted, Tag("a deletion")]
            | Annotated[Bytes, Tag("bytes of it")]
            | Annotated[Results, Tag("results")]
            | Annotated[AnthropicFile, Tag("Anthropic's")],
            _SORTS,
        ]
    ]
):
    """Whatever is answered about files."""


class BatchAnswer(
    RootModel[
        Annotated[
            Annotated[Batch, Tag("one")]
            | Annotated[BatchList, Tag("a page")]
            | Annotated[Deleted, Tag("a deletion")]
            | Annotated[MessageBatch, Tag("Anthropic's")],
            _SORTS,
        ]
    ]
):
    """Whatever is answered about batches."""
