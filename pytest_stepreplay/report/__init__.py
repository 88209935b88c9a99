"""Text for people and programs: drifts, misses, verified runs and totals.

Values go in, text comes out; nothing is printed here. What a model wrote is data: whatever is returned for a
terminal, a CI log or a page has been made harmless by `texts.escaping`. Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import importer

if TYPE_CHECKING:
    from .marks import marked_words
    from .renderers import RENDERERS, render

__all__ = ["RENDERERS", "marked_words", "render"]

__getattr__ = importer(__name__, {"marks": ("marked_words",), "renderers": ("RENDERERS", "render")})
