"""A `Drift` in every form that somebody wants to read: a table of renderers, each a function from a drift to text.

A new form is one module with one such function, and one entry in `RENDERERS`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..drift.changes import Drift

    Renderer = Callable[[Drift], str]


def _json_text(drift: Drift) -> str:
    return json.dumps(drift.to_json(), indent=2, ensure_ascii=False)


RENDERERS: Final[dict[str, Renderer]] = {
    "line": lambda drift: drift.line(),
    "short": lambda drift: drift.short(),
    "full": lambda drift: drift.full(),
    "json": _json_text,
    "markdown": lambda drift: drift.to_markdown(),
}
"""By name; each returns text that is safe where it is read."""


def render(drift: Drift, form: str) -> str:
    """Returns a drift in one of its forms.

    Args:
        drift: how an answer differs.
        form: a name in `RENDERERS`.

    Raises:
        ValueError: there is no such form; the message lists those there are.
    """
    if form not in RENDERERS:
        raise ValueError(f"there is no renderer {form!r:.60}; there are {', '.join(RENDERERS)}")
    return RENDERERS[form](drift)
