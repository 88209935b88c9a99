"""Which headers of a response are stored: an allow-list, extended by the project, and what no list extends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..lazy import late_pattern

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

KEPT_RESPONSE_HEADERS: Final[frozenset[str]] = frozenset(
    {
        "content-type",
        "link",
        "location",
        "operation-location",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
    }
)
"""The response headers a client's behaviour depends on, in lower case. No other header is stored."""

NEVER_KEPT: Final = late_pattern(
    r"(?:proxy-)?authorization|(?:set-)?cookie2?|(?:x-)?api-key"
    # What describes the bytes on the wire: the stored body is a decoded one.
    r"|content-(?:length|encoding)|transfer-encoding|connection|keep-alive"
)
"""Headers that are never stored, whatever a project asks for."""


def kept_headers(headers: Iterable[tuple[str, str]], extra: Collection[str] = ()) -> dict[str, str]:
    """Returns the response headers to store, by lower-case name; several values of one joined with ``", "``.

    Args:
        headers: the response's, in order.
        extra: names to keep besides `KEPT_RESPONSE_HEADERS`. Cookies and credentials are never kept.
    """
    names = KEPT_RESPONSE_HEADERS.union(name.lower() for name in extra)
    kept: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in names and not NEVER_KEPT.fullmatch(lower):
            kept[lower] = f"{kept[lower]}, {value}" if lower in kept else value
    return kept
