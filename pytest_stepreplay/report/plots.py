"""What a page draws: how long the answers are and how long they took, beside the stored ones, and how many drifted.

A verified run goes in; frozen values come out, whose numbers are places in a drawing.
"""

from __future__ import annotations

from collections import Counter
from math import ceil, floor, log10
from statistics import median
from typing import TYPE_CHECKING, Final

from ..value_classes import dataclass
from .verified_runs import LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .verified_runs import Result, VerifiedRun

WIDTH: Final = 300
HEIGHT: Final = 180
"""Of what is drawn in, without the names around it."""
_GRID: Final = 2
"""Dots that would be nearer to each other than this are one."""
_LEAST: Final = 0.001
_MOST_RUNS: Final = 40
_FEW_DECADES: Final = 2


@dataclass(frozen=True, slots=True)
class Dot:
    """Interactions whose numbers are about the same.

    Attributes:
        x: where the stored number is.
        y: where the new one is, from above.
        level: of the worst of them; empty where nothing drifted.
        told: which they are, in words.
    """

    x: float
    y: float
    level: str
    told: str


@dataclass(frozen=True, slots=True)
class Plot:
    """The new numbers over the stored ones.

    Attributes:
        title: what is counted.
        told: what is to be seen, in words.
        dots: what changed last, so that it is on top.
        ticks: where which number is, on both sides.
    """

    title: str
    told: str
    dots: Sequence[Dot]
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Bar:
    """One run.

    Attributes:
        name: of its report.
        x: where it begins.
        width: how wide it is.
        parts: by level, where each begins from above, and how high it is.
        counts: how many interactions drifted, by level.
        compared: how many were compared.
    """

    name: str
    x: float
    width: float
    parts: Sequence[tuple[str, float, float]]
    counts: Mapping[str, int]
    compared: int


def plots_of(run: VerifiedRun) -> list[Plot]:
    """Returns the plots of a run; none of what nothing is known about."""
    found = [
        _plot(run, "tokens", "tokens of an answer", "{:,.0f} tokens".format),
        _plot(run, "seconds", "seconds until its end", "{:,.2f} s".format),
    ]
    return [each for each in found if each is not None]


def _plot(run: VerifiedRun, what: str, title: str, shown: Callable[[float], str]) -> Plot | None:
    pairs = [(each, *pair) for each in run.ordered if (pair := _pair(each, what)) is not None]
    if not pairs:
        return None
    numbers = [number for _, *both in pairs for number in both]
    least, most = max(min(numbers), _LEAST), max(*numbers, _LEAST)
    low, high = floor(log10(least)), ceil(log10(most))
    high += low == high

    def place(number: float, size: int) -> float:
        return (log10(max(number, _LEAST)) - low) / (high - low) * size

    groups: dict[tuple[int, int], list[tuple[Result, float, float]]] = {}
    for each, old, new in pairs:
        spot = round(place(old, WIDTH) / _GRID), round(place(new, HEIGHT) / _GRID)
        groups.setdefault(spot, []).append((each, old, new))
    dots = []
    for (x, y), group in groups.items():
        first, old, new = group[0]
        more = f", and {len(group) - 1:,} more" if len(group) > 1 else ""
        told = f"{first['path']}#{first['interaction']}: {shown(old)} → {shown(new)}{more}"
        level = min((level_of(each) for each, _, _ in group), key=_rank)
        dots.append(Dot(x * _GRID, HEIGHT - y * _GRID, level, told))
    steps = (1, 2, 5) if high - low <= _FEW_DECADES else (1,)
    marks = [step * 10.0**power for power in range(low, high) for step in steps] + [10.0**high]
    ticks = [((log10(mark) - low) / (high - low), f"{mark:,g}") for mark in marks]
    olds, news = [old for _, old, _ in pairs], [new for _, _, new in pairs]
    told = f"median {shown(median(olds))} → {shown(median(news))}, in all {shown(sum(olds))} → {shown(sum(news))}"
    return Plot(title, told, sorted(dots, key=lambda dot: -_rank(dot.level)), ticks)


def _pair(result: Result, what: str) -> tuple[float, float] | None:
    """Returns the stored number and the new one; None where one is not known, or an old report says nonsense."""
    pair = result.get(what)
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return None
    if not all(isinstance(each, int | float) and 0 <= each < 1e12 for each in pair):
        return None
    return pair[0], pair[1]


def level_of(result: Result) -> str:
    """Returns the level of a result; empty where nothing drifted."""
    return str(result["drift"]["level"]) if result["status"] == "drifted" else ""


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def bars_of(run: VerifiedRun) -> list[Bar]:
    """Returns the last of the earlier runs and this one, the oldest first; nothing without earlier ones."""
    if not run.earlier:
        return []
    runs = [(each.name, [*each.levels.values()]) for each in run.earlier[-_MOST_RUNS + 1 :]]
    runs.append(("this run", [level_of(each) for each in run.ordered if each["status"] != "unverified"]))
    counted = [Counter(levels) for _, levels in runs]
    most = max(*(sum(each[level] for level in LEVELS) for each in counted), 1)
    step = WIDTH / len(runs)
    bars = []
    for i, ((name, levels), counts) in enumerate(zip(runs, counted, strict=True)):
        parts, bottom = [], float(HEIGHT)
        for level in LEVELS:
            height = counts[level] / most * HEIGHT
            bottom -= height
            if height:
                parts.append((level, round(bottom, 2), round(height, 2)))
        width = min(step * 0.8, 24.0)
        known = {level: counts[level] for level in LEVELS}
        bars.append(
            Bar(name, round(step * i + (step - width) / 2, 2), round(width, 2), parts, known, len(levels))
        )
    return bars
