"""Text for people and programs: a drift as one line, a few lines, in full, as JSON or as Markdown.

Values go in, text comes out; nothing is printed here. What a model wrote is data: whatever is returned for a
terminal, a CI log or a page has been through `escape_for_terminal` or `escape_for_markdown`. Names are
imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import importer

if TYPE_CHECKING:
    from .drifts import (
        describe_change,
        render_full,
        render_json,
        render_line,
        render_markdown,
        render_short,
        summarize_change,
    )
    from .escaping import code_for_markdown, escape_for_markdown, escape_for_terminal
    from .marks import marked_words

__all__ = [
    "code_for_markdown",
    "describe_change",
    "escape_for_markdown",
    "escape_for_terminal",
    "marked_words",
    "render_full",
    "render_json",
    "render_line",
    "render_markdown",
    "render_short",
    "summarize_change",
]

__getattr__ = importer(
    __name__,
    {
        "drifts": (
            "describe_change",
            "render_full",
            "render_json",
            "render_line",
            "render_markdown",
            "render_short",
            "summarize_change",
        ),
        "escaping": ("code_for_markdown", "escape_for_markdown", "escape_for_terminal"),
        "marks": ("marked_words",),
    },
)
