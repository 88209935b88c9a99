"""Pending changes as a page for a browser, with what decides about them: the look of a run's page.

One plain mapping per change goes in: ``id``, ``path``, ``interaction`` (its name), ``test``, ``level``, ``line`` (the
leading change), ``cause`` (hashable), ``drift`` (`Drift.to_json`, or None), ``said`` (as `conversations` has it, or
None), ``around`` (what differs around the body), ``value`` (what is new or gone as a whole), ``quoted`` (who quotes
the old answer), and ``rewrite`` (the command that records that anew).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .grouping import shared_change
from .pages import render_page
from .verified_runs import LEVELS, MEANING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    Change = Mapping[str, Any]

_MEANING: Final = MEANING | {
    "added": "what was not there before",
    "removed": "what is there no longer",
    "none": "only volatile values differ",
}


def changes_as_html(changes: Sequence[Change], problems: Sequence[str], *, more: int = 0) -> str:
    """Returns the page.

    Args:
        changes: what is to be decided.
        problems: why other files cannot be decided about.
        more: how many changes are to be decided after these.
    """
    names = [*LEVELS, *(name for name in _MEANING if name not in LEVELS)]
    levels = {name: [each for each in changes if each["level"] == name] for name in names}
    return render_page(
        "review.html.jinja",
        ["page.js", "review.js"],
        connect=True,
        changes=changes,
        problems=problems,
        more=more,
        levels=[
            (name, _MEANING[name], [(_head_of(each), each) for each in _causes(group)])
            for name, group in levels.items()
            if group
        ],
    )


def _causes(group: Iterable[Change]) -> list[list[Change]]:
    """Returns the changes by their cause; the one with the most comes first."""
    causes: dict[Hashable, list[Change]] = {}
    for each in group:
        causes.setdefault(each["cause"], []).append(each)
    return sorted(causes.values(), key=len, reverse=True)


def _head_of(group: Sequence[Change]) -> tuple[Mapping[str, Any] | None, str]:
    """Returns what changed in all of a group, and how much else; or, without a place, that in words."""
    if any(each["around"] or not each["drift"] or not each["drift"]["changes"] for each in group):
        return None, group[0]["line"] if len(group) == 1 else ""
    shared = shared_change(group)
    return shared.change, shared.more
