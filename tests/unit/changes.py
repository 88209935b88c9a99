"""Single changes to an answer, for the tables of what each of them amounts to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Change = Callable[[Any], Any]


def at(*path: str | int, to: Any) -> Change:
    """Returns the change that puts a value at a place."""

    def change(response: Any) -> Any:
        place = response
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        return response

    return change


def without(*path: str | int) -> Change:
    """Returns the change that takes out what stands at a place."""

    def change(response: Any) -> Any:
        place = response
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]
        return response

    return change
