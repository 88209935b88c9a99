"""Trees of JSON values, and how deep they may be."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Tree: TypeAlias = Any
"""A JSON value: a dict with text keys, a list, str, int, float, bool or None."""

MAX_DEPTH: Final = 500
"""How deep the mappings and lists of a cassette may be nested."""

TAG_PREFIX: Final = "tag:yaml.org,2002:"
"""What YAML's own tags begin with, in full."""

BLOCKS: Final = (dict, list, tuple)
"""What may hold other values."""


def is_deeper_than(tree: Tree, levels: int) -> bool:
    """Tell whether mappings and lists are nested in more levels than these."""
    layer = _blocks([tree])
    for _ in range(levels):
        layer = _blocks(
            chain.from_iterable(each.values() if isinstance(each, dict) else each for each in layer)
        )
    return bool(layer)


def _blocks(values: Iterable[Tree]) -> list[Tree]:
    return [value for value in values if isinstance(value, BLOCKS)]
