"""A run of the mode mutate as a page for a browser: what survived, by level, and what each test noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .mutated_runs import headline_of, survivor_line, survivors_by_level, told_apart
from .pages import render_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .mutated_runs import MutatedRun


def mutants_as_html(run: MutatedRun) -> str:
    """Returns the page."""
    survived = [
        (level, [(mutant["known"], survivor_line(test, mutant)) for test, mutant in found])
        for level, found in survivors_by_level(run)
    ]
    return render_page(
        "mutants.html.jinja",
        ["page.js"],
        headline=headline_of(run),
        survived=survived,
        counts={level: len(found) for level, found in survived},
        apart=told_apart(run),
        tests=[(each["test"], _numbers(each)) for each in run.ordered if each["status"] == "mutated"],
    )


def _numbers(result: Mapping[str, Any]) -> list[int]:
    """Returns how many mutants a test noticed, how many survived, and how many the conversation noticed."""
    results = [mutant["result"] for mutant in result["mutants"]]
    return [results.count(each) for each in ("killed", "survived", "conversation")]
