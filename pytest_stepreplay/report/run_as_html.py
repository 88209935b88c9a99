"""A verified run as a page for a browser: what changed, by level and by cause, each interaction as a conversation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from . import sampled
from .drift_history import since_when
from .grouping import group_by_cause, shared_change
from .pages import render_page
from .plots import HEIGHT, WIDTH, bars_of, plots_of
from .verified_runs import LEVELS, MEANING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .verified_runs import Result, VerifiedRun


def render_as_html(run: VerifiedRun) -> str:
    """Returns the page."""
    return render_page(
        "run.html.jinja",
        ["page.js"],
        run=run,
        levels=[(level, MEANING[level], _causes(group)) for level, group in run.by_level],
        names=LEVELS,
        counts={level: sum(each["drift"]["level"] == level for each in run.new) for level in LEVELS},
        unverified=[(each[0]["reason"], each) for each in group_by_cause(run.unverified)],
        plots=plots_of(run),
        bars=bars_of(run),
        size=(WIDTH, HEIGHT),
        since_when=partial(since_when, run) if run.earlier else None,
        unchanged=sum(each["status"] == "same" for each in run.results),
        suite=run.suite.lines() if run.suite is not None else [],
        sampled=[
            (each, sampled.verdict_of(each["samples"]), sampled.class_rows(each["samples"]))
            for each in run.sampled
        ],
        sampled_numbers=sampled.numbers_of(run.sampled),
    )


def _causes(group: Sequence[Result]) -> list[tuple[Mapping[str, Any], str, list[Result]]]:
    """Returns what changed, how much else did, and the interactions, by cause; the one with the most comes first."""
    causes = sorted(group_by_cause(group), key=len, reverse=True)
    shared = [shared_change(each) for each in causes]
    return [(it.change, it.more, each) for it, each in zip(shared, causes, strict=True)]
