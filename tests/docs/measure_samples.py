"""Writes the table of `docs/samples.md`: how often a change is found, and how often one is reported where there is none.

Run by hand, from the repository, after the test has been changed: ``python -m tests.docs.measure_samples``. Each cell
is 200 runs with answers that are drawn with a seed, so it comes out the same everywhere.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_stepreplay.verify import chances

PAGE: Final = Path(__file__).parents[2] / "docs" / "samples.md"
TABLE: Final = re.compile(r"^\| recorded answers .*?(?=\n\n)", re.DOTALL | re.MULTILINE)
RUNS: Final = 200
ERROR_RATE: Final = 0.05
ROWS: Final = ((1, 30), (20, 20), (40, 40), (60, 40), (60, 60), (100, 60))
HEAD: Final = (
    "recorded answers",
    "`--samples`",
    "still 90 % of the time: reported as changed",
    "calls",
    "now 60 %: found",
    "calls",
    "still every time: calls",
)


@dataclass(frozen=True)
class Ended:
    """How one run ended."""

    verdict: str
    asked: int


def draws(seed: str, count: int, share: float) -> list[bool]:
    """Returns whether each of so many answers does what the model mostly does."""
    drawn = random.Random(seed)
    return [drawn.random() < share for _ in range(count)]


def counts(answers: list[bool]) -> tuple[int, int]:
    return sum(answers), len(answers) - sum(answers)


def run(number: int, recorded: int, most: int, before: float, now: float) -> Ended:
    """Returns what becomes of a model that did something with one share, and does it with another now."""
    had = counts(draws(f"recorded {number}", recorded, before))
    answers = draws(f"new {number}", most, now)
    known = chances.Chances()
    for look in chances.looks(most):
        known = known.after(look, most, had, counts(answers[:look]))
        if known.alarm <= ERROR_RATE:
            return Ended("changed", look)
        if known.miss <= chances.MISSED:
            return Ended("not changed", look)
    return Ended("not decided", most)


def runs(recorded: int, most: int, before: float, now: float) -> list[Ended]:
    return [run(number, recorded, most, before, now) for number in range(RUNS)]


def share_of(verdict: str, ended: list[Ended]) -> float:
    return sum(each.verdict == verdict for each in ended) / len(ended)


def calls_of(ended: list[Ended]) -> float:
    return sum(each.asked for each in ended) / len(ended)


def row(recorded: int, most: int) -> str:
    """Returns one row of the table."""
    same, other, certain = (runs(recorded, most, *shares) for shares in ((0.9, 0.9), (0.9, 0.6), (1.0, 1.0)))
    cells = (
        recorded,
        most,
        f"{share_of('changed', same):.1%}",
        f"{calls_of(same):.0f}",
        f"{share_of('changed', other):.1%}",
        f"{calls_of(other):.0f}",
        f"{calls_of(certain):.0f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def table() -> str:
    head = f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}"
    return "\n".join([head, *(row(*each) for each in ROWS)])


def main() -> None:
    """Writes the table into the page."""
    text, found = TABLE.subn(lambda _: table(), PAGE.read_text(encoding="utf-8"))
    if found != 1:
        raise SystemExit(f"{PAGE} has no place for the table")
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
