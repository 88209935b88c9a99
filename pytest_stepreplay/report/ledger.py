"""What requests cost in tokens: interactions go in, and plain entries come out, as xdist carries them."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..drift import answers, keeping
from ..endpoints import Tokens, endpoint_of_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..endpoints import Endpoint
    from ..models import Request, Response

Entry = tuple[str, str, str, int, int, int, int, int]
"""Whether it was ``saved`` or ``spent``, the endpoint, the model, then numbers: of requests, and of tokens in the
requests, in the answers, cached, and in all."""


def entries(use: str, answered: Iterable[tuple[Request, Response]]) -> Iterator[Entry]:
    """Yields an entry for each endpoint and model.

    Args:
        use: ``saved`` or ``spent``.
        answered: requests with their answers.
    """
    sums: dict[tuple[str, str], list[int]] = {}
    for request, response in answered:
        endpoint = endpoint_of_url(request.url)
        found = tokens_of(response, endpoint)
        entry = sums.setdefault((endpoint.name, endpoint.model_of(request) or ""), [0] * 5)
        entry[0] += 1
        entry[1] += found.input or 0
        entry[2] += found.output or 0
        entry[3] += found.cached or 0
        entry[4] += found.sum
    for (name, model), (requests, asked, answered_with, cached, total) in sums.items():
        yield use, name, model, requests, asked, answered_with, cached, total


def tokens_of(response: Response, endpoint: Endpoint) -> Tokens:
    """Returns the tokens that an answer cost; in a stream the last chunk that says so is right."""
    if isinstance(response.json, dict):  # as most are
        return endpoint.tokens_in(response.json) or Tokens()
    tokens: Tokens | None = None
    for tree in _telling(response, endpoint):
        told = endpoint.tokens_in(tree) if isinstance(tree, dict) else None
        if told is not None:
            tokens = told if tokens is None else tokens | told
            if tokens.are_told:
                break
    return tokens or Tokens()


def _telling(response: Response, endpoint: Endpoint) -> Iterator[Any]:
    """Yields an answer, or the chunks of a stream that may say what it cost, the last one first."""
    if (response.text or "")[:1] in ("{", "["):
        yield answers.read_answer(keeping.body_of(response), endpoint).tree
    elif response.events is None:
        yield from reversed(response.json) if isinstance(response.json, list) else [response.json]
    for event in reversed(response.events or ()):
        text = event if isinstance(event, str) else event.frame.partition("data:")[2]
        if "usage" in text:
            with suppress(ValueError):  # a person may have edited it
                yield json.loads(text)
