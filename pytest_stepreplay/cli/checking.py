"""Whether a new cassette file replays as its source did: every interaction is asked for through a real client.

What the source holds goes in, as it went over the wire and before anything was redacted, so that redaction,
matching, storing and the interception are all on trial; what differs comes out, without any value.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import TestOutcomeError
from ..formats import ForeignExchange
from ..interception.asking import Asker, open_asker
from ..models import Cassette
from ..network import guard
from ..redaction.shapes import PLACEHOLDER
from ..session.routing import use_cassette
from ..wire.bodies import body_bytes
from ..wire.headers import kept_headers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from ..formats import Foreign
    from ..models import Interaction

_WITHOUT_BODY = frozenset({204, 205, 304})


def find_differences(
    path: Path,
    source: Cassette | Foreign,
    *,
    keep_headers: Collection[str] = (),
    redact_fields: Collection[str] = (),
) -> list[str]:
    """Return where the replayed answers differ from those of the source, as sentences.

    Args:
        path: the new file, in any format that is read.
        source: what it was made of.
        keep_headers: response headers that the new file keeps besides the usual ones.
        redact_fields: fields that are redacted besides the usual ones.

    Raises:
        StepReplayError: the new file cannot be read, or no client is installed.
    """
    ours = source.interactions if isinstance(source, Cassette) else ()
    exchanges = tuple(map(_exchange, ours)) if isinstance(source, Cassette) else source.exchanges
    unfinished = {i for i, each in enumerate(ours, 1) if each.response.stream and each.response.stream.end}
    differences: list[str] = []
    try:
        opened = use_cassette(path, mode="replay", redact_fields=tuple(redact_fields))
        with guard.blocked([]), opened, open_asker() as asker:
            for number, exchange in enumerate(exchanges, 1):
                found = [*_ask(asker, exchange, keep_headers)]
                if number in unfinished:  # whoever reads it to its end must be told that it has none
                    found = [] if found else ["the stream, which now comes to an end"]
                differences += (f"interaction {number}, {what}" for what in found)
    except TestOutcomeError:
        pass  # said above, for its interaction
    return differences


def _exchange(interaction: Interaction) -> ForeignExchange:
    request, response = interaction.request, interaction.response
    return ForeignExchange(
        method=request.method,
        url=request.url,
        request_type="application/json" if request.body_kind == "json" else None,
        request_body=body_bytes(request),
        status=response.status,
        headers=tuple(response.headers.items()),
        body=body_bytes(response),
    )


def _ask(asker: Asker, exchange: ForeignExchange, keep_headers: Collection[str]) -> Iterator[str]:
    if not urlsplit(exchange.url).netloc:
        yield "its URL has no scheme or no host, so no client can request it; give them with --base-url"
        return
    try:
        got = asker.ask(exchange.method, exchange.url, exchange.request_type, exchange.request_body)
    except TestOutcomeError:
        yield "no recorded request answers it"
        return
    except Exception as error:  # noqa: BLE001 - whatever a client makes of what the file holds
        yield f"the client cannot send it or read the answer ({type(error).__name__})"
        return
    if got.status != exchange.status:
        yield f"the status: {got.status} instead of {exchange.status}"
    old, new = kept_headers(exchange.headers, keep_headers), kept_headers(got.headers, keep_headers)
    for name in sorted(old.keys() | new.keys()):
        if name not in new or name not in old or not _is_same_text(old[name].strip(), new[name].strip()):
            yield f"the header {name}"
    has_body = exchange.method.upper() != "HEAD" and exchange.status not in _WITHOUT_BODY
    if has_body and not _is_same_body(exchange.body, got.body):
        yield "the body"


def _is_same_body(old: bytes, new: bytes) -> bool:
    if old == new:
        return True
    try:
        return _is_same_tree(json.loads(old), json.loads(new))
    except (ValueError, RecursionError):
        pass
    try:
        return _is_same_text(old.decode(), new.decode())
    except UnicodeDecodeError:
        return False


def _is_same_tree(old: Any, new: Any) -> bool:
    """Tell whether two JSON trees are equal, but for what was redacted in the new one."""
    if isinstance(new, str) and PLACEHOLDER in new:
        return isinstance(old, str) and _is_same_text(old, new)
    if isinstance(new, dict) and isinstance(old, dict) and len(old) == len(new):
        pairs = zip(old.items(), new.items(), strict=True)
        return all(_is_same_text(a, b) and _is_same_tree(x, y) for (a, x), (b, y) in pairs)
    if isinstance(new, list) and isinstance(old, list) and len(old) == len(new):
        return all(map(_is_same_tree, old, new))
    return type(old) is type(new) and bool(old == new)


def _is_same_text(old: str, new: str) -> bool:
    """Tell whether two texts are equal, but for what was redacted in the new one."""
    first, *others = new.split(PLACEHOLDER)
    if not others:
        return old == new
    *middle, last = others
    if not old.startswith(first) or not old.endswith(last):
        return False
    at, end = len(first), len(old) - len(last)
    for piece in middle:
        found = old.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return at <= end
