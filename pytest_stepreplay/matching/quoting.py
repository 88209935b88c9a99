"""Which later requests quote an answer: they are no longer asked once another answer takes its place.

The old response and the new one go in, with the requests that were recorded after it; the positions of those that
hold what only the old one says come out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ..endpoints import endpoint_of_answer
from ..wire import arrays
from ..wire.bodies import body_bytes
from ..wire.events import json_chunks_of
from ..wire.json_values import texts_below
from .canonical import canonical_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..models import Request, Response

_LONG: Final = 20
"""Characters from which on a text is looked for inside of others, too."""


def find_quoting(old: Response, new: Response, later: Iterable[Request]) -> tuple[int, ...]:
    """Returns the positions of the requests that say again what the old response says, and the new one does not.

    Args:
        old: the stored response.
        new: the one that would take its place.
        later: the requests that were recorded after it, in order.
    """
    lost = _said_by(old) - _said_by(new)
    long = [text for text in lost if len(text) >= _LONG]
    return tuple(i for i, request in enumerate(later) if lost and _quotes(request, lost, long))


def _quotes(request: Request, lost: set[str], long: list[str]) -> bool:
    if request.body_kind == "json":
        said = set(texts_below(request.json))
    else:
        said = {request.text or "", *(part.text for part in request.parts or () if part.text)}
    if not lost.isdisjoint(said) or any(text in each for each in said for text in long):
        return True
    return not lost.isdisjoint(_as_json(text) for text in said)


def _said_by(response: Response) -> set[str]:
    """Returns what a response says; JSON in a text, as arguments are, in one form whatever its spaces."""
    if response.events is not None:
        chunks = json_chunks_of(body_bytes(response).decode())
        fold = endpoint_of_answer(chunks).fold
        tree: Any = fold(chunks) if fold else chunks
    else:
        text = response.text or ""
        chunks = arrays.items_of(text) if response.stream else []
        fold = endpoint_of_answer(chunks).fold if chunks else None
        tree = fold(chunks) if fold else response.json if response.body_kind == "json" else text
    return {_as_json(text) for text in texts_below(tree) if text.strip()}


def _as_json(text: str) -> str:
    if text[:1] not in ("{", "["):
        return text
    try:
        return canonical_text(json.loads(text))
    except (ValueError, RecursionError):
        return text
