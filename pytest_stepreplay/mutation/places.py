"""Places in a JSON tree: found by selectors, and changed in a copy that shares all the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..selectors import Path, Selectors


def find_places(tree: Any, selectors: Selectors) -> Iterator[tuple[Path, Any]]:
    """Yields each place that a selector names, with what stands there, in the order of the document."""
    pending: list[tuple[Path, Any, Any]] = [((), tree, selectors.start)]
    while pending:
        path, value, state = pending.pop()
        if state.hits:
            yield path, value
        if not state.alive:
            continue
        if isinstance(value, dict):
            pending += [((*path, key), it, state.step(key)) for key, it in reversed(value.items())]
        elif isinstance(value, list):
            pending += [((*path, i), value[i], state.step(i)) for i in reversed(range(len(value)))]


def value_at(tree: Any, path: Path) -> Any:
    """Returns what stands at a place; None where there is no such place."""
    for step in path:
        if isinstance(tree, dict) and isinstance(step, str):
            tree = tree.get(step)
        elif isinstance(tree, list) and isinstance(step, int) and step < len(tree):
            tree = tree[step]
        else:
            return None
    return tree


def with_value(tree: Any, path: Path, value: Any) -> Any:
    """Returns a tree with another value at a place."""
    return _changed(tree, path, lambda holder, step: _put(holder, step, value)) if path else value


def without_value(tree: Any, path: Path) -> Any:
    """Returns a tree without what stands at a place; a list closes the gap."""
    return _changed(tree, path, _drop)


def with_next(tree: Any, path: Path, value: Any) -> Any:
    """Returns a tree with one more value in a list, behind the one at a place."""
    return _changed(
        tree, path, lambda holder, step: [*holder[: int(step) + 1], value, *holder[int(step) + 1 :]]
    )


def _changed(tree: Any, path: Path, change: Callable[[Any, str | int], Any]) -> Any:
    *way, last = path
    holders = [tree]
    for step in way:
        holders.append(holders[-1][step])
    changed = change(holders.pop(), last)
    for step in reversed(way):
        changed = _put(holders.pop(), step, changed)
    return changed


def _put(holder: Any, step: str | int, value: Any) -> Any:
    if isinstance(holder, dict):
        return {**holder, step: value}
    return [*holder[: int(step)], value, *holder[int(step) + 1 :]]


def _drop(holder: Any, step: str | int) -> Any:
    if isinstance(holder, dict):
        return {key: it for key, it in holder.items() if key != step}
    return [*holder[: int(step)], *holder[int(step) + 1 :]]
