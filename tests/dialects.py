"""What the endpoints beside chat say: each in its own dialect, with fresh ids, times and counts on every call.

`Dialects()` is what an `Upstream` says: a request goes in, a response comes out. What it shall say otherwise is set on
it, as a model is changed behind an API.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import random
import secrets
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pytest_stepreplay.upstream import Raw, Received, error, raw

DIMENSIONS = 256


@dataclass
class Dialects:
    """An API of many endpoints.

    Attributes:
        tool: that the model calls where it is offered any.
        text: what it says.
        noise: how far the values of an embedding are from those of the last call.
        seed: of the embedding model; another one gives other vectors.
    """

    tool: str = "get_weather"
    text: str = "It is sunny in Paris today."
    noise: float = 1e-5
    seed: int = 0
    paths: list[str] = field(default_factory=list)

    def __call__(self, received: Received) -> Raw:
        """Answers a request."""
        path = urlsplit(received.path).path
        self.paths.append(path)
        for end, say in self._by_path().items():
            if path.endswith(end):
                return say(received)
        return error(404, "not_found", f"there is no {path}")

    def _by_path(self) -> Mapping[str, Callable[[Received], Raw]]:
        return {
            "/embeddings": self.embeddings,
        }

    def embeddings(self, received: Received) -> Raw:
        asked = received.json
        inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        vectors = [self.vector(text, asked.get("dimensions", DIMENSIONS)) for text in inputs]
        as_text = asked.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": i, "embedding": encoded(vector) if as_text else vector}
            for i, vector in enumerate(vectors)
        ]
        return reply(
            {
                "object": "list",
                "data": data,
                "model": asked["model"],
                "usage": {"prompt_tokens": 7, "total_tokens": 7},
            }
        )

    def vector(self, text: str, dimensions: int) -> list[float]:
        """Returns the embedding of a text, a little different each time."""
        same, fresh = random.Random(f"{self.seed} {text}"), random.Random()
        values = [same.gauss(0, 1) for _ in range(dimensions)]
        norm = math.hypot(*values)
        return [value / norm + fresh.uniform(-self.noise, self.noise) for value in values]


def encoded(vector: list[float]) -> str:
    """Returns a vector as the API writes it in base64."""
    return base64.b64encode(array("f", vector).tobytes()).decode()


def reply(value: Any, **headers: str) -> Raw:
    """Returns a response with a JSON body, and a name of its own."""
    named = {"Content-Type": "application/json", "x-request-id": f"req_{secrets.token_hex(8)}"}
    return raw(200, named | headers, json.dumps(value).encode())


def events(values: Iterator[Any] | list[Any], *, done: bool = True) -> Raw:
    """Returns a stream of server-sent events."""
    frames = [f"data: {json.dumps(value)}\n\n".encode() for value in values]
    last = [b"data: [DONE]\n\n"] if done else []
    return raw(200, {"Content-Type": "text/event-stream"}, iter([*frames, *last]))


_counter = itertools.count(1)


def fresh(prefix: str) -> str:
    """Returns an id that no call had before."""
    return f"{prefix}{next(_counter)}{secrets.token_hex(10)}"


def now() -> int:
    """Returns the time of a call; no two have the same."""
    return int(time.time()) + next(_counter)
