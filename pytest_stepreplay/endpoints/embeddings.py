"""Embeddings: ``POST .../embeddings``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from ..texts import plural
from ..wire import vectors
from . import error_object, openai_models
from .chat_reading import tokens_in
from .endpoint import Contract, Endpoint, Paired
from .reading import Reading, Remark, objects_of, remarks

if TYPE_CHECKING:
    from collections.abc import Mapping


def _is_answer(tree: Mapping[str, Any]) -> bool:
    data = tree.get("data")
    return isinstance(data, list) and any(isinstance(it, dict) and "embedding" in it for it in data)


def _index_of(item: Any) -> Any:
    return item.get("index") if isinstance(item, dict) else None


def _asked(body: Mapping[str, Any]) -> tuple[Remark, ...] | None:
    given = body.get("input")
    tokens = isinstance(given, list) and bool(given) and all(isinstance(it, int) for it in given)
    inputs = [given] if tokens or not isinstance(given, list) else given
    return None if given is None else tuple(Remark("input", _told(it)) for it in inputs)


def _told(given: Any) -> str:
    if isinstance(given, list):
        return f"[{len(given):,} tokens]"
    return given if isinstance(given, str) else "[input]"


def _answered(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
    found = (vectors.Vector.read(it.get("embedding")) for it in objects_of(tree.get("data")))
    return remarks("vector", [str(it or "no vector") for it in found])


def _end(tree: Mapping[str, Any]) -> str:
    return plural(len(objects_of(tree.get("data"))), "embedding")


EMBEDDINGS: Final = Endpoint(
    name="embeddings",
    paths=("/embeddings",),
    # OpenAI's API reference, "Create embeddings".
    optional={(): {"encoding_format": ("float",)}},
    telling=("input", "model", "dimensions", "encoding_format", "input_type", "task"),
    noun="a list of embeddings",
    marks=frozenset({"model", "input", "object", "usage"}),
    sort_of=error_object.sort_by(_is_answer),
    reading=Reading(_asked, _answered, _end, ("input",)),
    levels={
        "*": Level.METADATA,
        "data": Level.BEHAVIOR,
        "data[*].*": Level.METADATA,
        "data[*].embedding": Level.CONTENT,
        **error_object.LEVELS,
    },
    fleeting=("id", "created", "service_tier", "usage.**.cached_tokens", *error_object.FLEETING),
    # The same text gives vectors that differ a little from call to call: by the batch that it was in, by the machine.
    tolerances={"data[*].embedding": "cosine>=0.999"},
    paired={"data": Paired((_index_of,))},
    contracts=Contract(
        lambda: (openai_models.Embeddings, openai_models.Embeddings),
        "the OpenAI-compatible API reference, the list of embeddings",
    ).of_all_hosts(),
    tokens_in=tokens_in,
    measured=("usage",),
)
