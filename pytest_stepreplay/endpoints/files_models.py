"""The documented objects of files and batches, as frozen pydantic models.

Source: OpenAI's API reference, "The file object", "The batch object", and their lists.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, RootModel, Tag

from .documented import Documented


def _sort_of(value: Any) -> str:
    tree = value if isinstance(value, dict) else {}
    sorts = {
        "a page": tree.get("object") == "list",
        "a deletion": "deleted" in tree,
        "bytes of it": "sha256" in tree,
    }
    return next((name for name, holds in sorts.items() if holds), "one")


class File(Documented):
    """What was uploaded."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: str


class Deleted(Documented):
    """What became of something that was deleted."""

    id: str
    object: str
    deleted: bool


class Bytes(Documented):
    """What stands for the bytes of a file."""

    bytes: int
    sha256: str


class FileList(Documented):
    """A page of files."""

    object: Literal["list"]
    data: list[File]


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


class BatchList(Documented):
    """A page of batches."""

    object: Literal["list"]
    data: list[Batch]


class FileAnswer(
    RootModel[
        Annotated[
            Annotated[File, Tag("one")]
            | Annotated[FileList, Tag("a page")]
            | Annotated[Deleted, Tag("a deletion")]
            | Annotated[Bytes, Tag("bytes of it")],
            Discriminator(_sort_of),
        ]
    ]
):
    """Whatever is answered about files."""


class BatchAnswer(
    RootModel[
        Annotated[Annotated[Batch, Tag("one")] | Annotated[BatchList, Tag("a page")], Discriminator(_sort_of)]
    ]
):
    """Whatever is answered about batches."""
