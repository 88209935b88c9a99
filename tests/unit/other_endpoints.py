"""Single changes to the answers of the endpoints beside chat, for `docs/drift-levels.md`."""

from __future__ import annotations

import random
from typing import Any

from .changes import Change, at, without


def vector(seed: int, noise: float = 0) -> list[float]:
    same, fresh = random.Random(seed), random.Random(1)
    return [round(same.gauss(0, 0.1) + fresh.uniform(-noise, noise), 6) for _ in range(96)]


EMBEDDINGS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": vector(1)}],
    "model": "step-embed-1",
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}
EMBEDDING = ("data", 0, "embedding")

TABLE: dict[str, tuple[Any, list[tuple[str, Change]]]] = {
    "Embeddings": (
        EMBEDDINGS,
        [
            ("its values differ a little", at(*EMBEDDING, to=vector(1, 0.001))),
            ("it is another vector", at(*EMBEDDING, to=vector(2))),
            ("it has fewer dimensions", at(*EMBEDDING, to=vector(1)[:48])),
            (
                "there is one embedding more",
                lambda it: it | {"data": [*it["data"], {**it["data"][0], "index": 1}]},
            ),
            ("a number is not finite", at(*EMBEDDING, 7, to=float("nan"))),
            ("another model answers", at("model", to="step-embed-2")),
            ("`usage` is gone", without("usage")),
        ],
    ),
}
