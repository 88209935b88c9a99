"""How likely it is that a model that has not changed answers so differently: the statistics of samples, on scipy.

Counts go in: how often each class of behavior was recorded, and how often it is answered now. Chances come out. Two
errors are bounded, each over all the times at which a run looks at its answers:

- To report a change where there is none. If nothing has changed, recorded and new answers are draws from the same
  model, and every way to divide them is equally likely. So the chance of a division as unlikely as the one found is
  exact, for any number of classes and answers (Fisher 1935; Freeman and Halton 1951, Biometrika 38, 141-149).
- To report that nothing has changed where the shares are now `SMALLEST_CHANGE` away from the recorded ones. Then
  there is a set of classes whose share has grown by that much, and the number of answers in it is binomial.

What may go wrong is spent on the looks in advance (Lan and DeMets 1983, Biometrika 70, 659-663): the chances of all
looks add up to no more than was allowed, however they depend on each other.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special, stats

from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALLEST_CHANGE: Final = 0.3
"""A change of behavior is one by so much of all answers, or more."""
MISSED: Final = 0.1
"""How often such a change may be taken for none."""

_FIRST_LOOK: Final = 5
_GROWTH: Final = 1.5
"""Each look has so many times the answers of the one before."""
_ALARMS_SPENT: Final = 3
"""The power of the share of answers by which false alarms are spent: late, when there is most to see."""
_MISSES_SPENT: Final = 1
"""And misses: evenly, since most models have not changed, and need not be asked for long."""
_FINEST: Final = 0.01
_STEPS: Final = 4000
"""Logarithms of chances are told apart by the first, or by that part of their range."""


def looks(most: int) -> tuple[int, ...]:
    """Returns after how many answers to look, where at most so many are asked for."""
    found = [most]
    while (before := round(found[-1] / _GROWTH)) >= _FIRST_LOOK and before < found[-1]:
        found.append(before)
    return tuple(reversed(found))


@dataclass(frozen=True, slots=True)
class Chances:
    """What is known after some looks.

    Attributes:
        alarm: the lowest error rate at which a change would be reported. None was found where it is above that.
        miss: the lowest rate of misses at which it would be reported that nothing has changed.
    """

    alarm: float = 1.0
    miss: float = 1.0

    def after(self, look: int, most: int, recorded: Sequence[int], new: Sequence[int]) -> Chances:
        """Returns what is known after one more look.

        Args:
            look: after so many answers; one of `looks`.
            most: how many are asked for at most.
            recorded: how often each class was recorded.
            new: how often each is answered now; less than `look` in all where there was no answer.
        """
        if not any(new):
            return self
        before = max((each for each in looks(most) if each < look), default=0)
        alarms, misses = (
            (look / most) ** power - (before / most) ** power for power in (_ALARMS_SPENT, _MISSES_SPENT)
        )
        return Chances(
            min(self.alarm, _chance_of_division(tuple(recorded), tuple(new)) / alarms),
            min(self.miss, _chance_of_likeness(tuple(recorded), tuple(new)) / misses),
        )


@lru_cache(4096)
def _chance_of_division(recorded: tuple[int, ...], new: tuple[int, ...]) -> float:
    """Returns the chance of a division of all answers into recorded and new ones as unlikely as this one, or more so.

    A division is as likely as there are ways to make it: the product of the binomial coefficients of its classes.
    Their logarithms are added up in small steps, for all divisions at once.
    """
    totals = [one + other for one, other in zip(recorded, new, strict=True)]
    smaller = min(recorded, new, key=sum)
    size = sum(smaller)
    longest = sum(_log_ways(total, total // 2) for total in totals)
    step = max(_FINEST, longest / _STEPS)
    # Ways to divide, by how many answers are on the smaller side, and by the steps of their logarithm.
    ways = np.zeros((size + 1, int(longest / step) + len(totals) + 2))
    ways[0, 0] = 1.0
    for total in totals:
        added = np.zeros_like(ways)
        for taken in range(min(total, size) + 1):
            steps = round(_log_ways(total, taken) / step)
            rows, columns = ways.shape[0] - taken, ways.shape[1] - steps
            added[taken:, steps:] += special.binom(total, taken) * ways[:rows, :columns]
        ways = added
    found = sum(round(_log_ways(total, taken) / step) for total, taken in zip(totals, smaller, strict=True))
    return min(float(ways[size, : found + 1].sum() / ways[size].sum()), 1.0)


def _log_ways(total: int, taken: int) -> float:
    return float(-special.betaln(total - taken + 1, taken + 1) - np.log(total + 1))


@lru_cache(4096)
def _chance_of_likeness(recorded: tuple[int, ...], new: tuple[int, ...]) -> float:
    """Returns the chance of answers so like the recorded ones, if their shares were `SMALLEST_CHANGE` away.

    The recorded shares are taken as they are. Of all sets of classes, the one counts by which the chance is largest.
    """
    had, has = sum(recorded), sum(new)
    away = sum(max(other / has - one / had, 0.0) for one, other in zip(recorded, new, strict=True))
    sums = 1  # a bit for each number of recorded answers that a set of classes can have
    for each in recorded:
        sums |= sums << each
    shares = np.array([each / had for each in range(had + 1) if sums >> each & 1])
    shares = shares[shares <= 1 - SMALLEST_CHANGE + 1e-9]
    most = np.floor(has * (shares + away) + 1e-9)
    return float(stats.binom.cdf(most, has, np.minimum(shares + SMALLEST_CHANGE, 1.0)).max())
