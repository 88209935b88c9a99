"""Series of measures as Markdown tables, and as JSON.

A line holds one measure of one tool: the median, the least and the most, and the ratio to the base of the table.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from .measuring import Series


def render_table(series: Iterable[Series], base: str) -> str:
    """Returns a Markdown table.

    Args:
        series: of one work.
        base: the tool that the others are held against, round by round.
    """
    held = list(series)
    lines = [
        "| measure | tool | median | least to most | above the base | ratio to the base |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for measure in dict.fromkeys(each.measure for each in held):
        of_measure = [each for each in held if each.measure == measure]
        floor = next((each for each in of_measure if each.tool == base), None)
        for each in of_measure:
            spread = f"{_number(min(each.values))} to {_number(max(each.values))}"
            cells = [measure, each.tool, _number(each.median), spread, *_against(each, floor)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _against(each: Series, base: Series | None) -> tuple[str, str]:
    if base is None or base is each:
        return "", "1" if base is each else ""
    above = statistics.median(mine - its for mine, its in zip(each.values, base.values, strict=True))
    if min(each.values) <= 0 or min(base.values) <= 0:
        return _number(above), ""  # as where a difference is within the noise
    ratios = each.ratios_to(base)
    told = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return _number(above), told


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
