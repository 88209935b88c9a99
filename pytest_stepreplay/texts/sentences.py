"""A text with a line for each sentence, so that git shows the sentence that has changed."""

from __future__ import annotations

import re
from typing import Final

_AFTER_SENTENCE: Final = re.compile(
    r"""((?:[.!?\u2026]["'\u201d\u2019)*]*(?= ))|[\u3002\uff01\uff1f]["\u201d\u2019\uff09]*(?=\S)) *"""
)


def in_sentences(text: str) -> str:
    """Returns the text with a line break after each sentence, in place of the spaces there."""
    return _AFTER_SENTENCE.sub("\\1\n", text)
