"""What a run has verified or rewritten, as a value that every form of its report is made of.

One plain mapping per interaction goes in, so that xdist can carry it: ``test`` (its id), ``path`` (of the
cassette, as a person would type it), ``interaction`` (from 1), ``status`` (``same``, ``drifted`` or
``unverified``), ``drift`` (`Drift.to_json`, or None), ``reason`` (why it is unverified), ``known`` (it
stands in the baseline), ``said`` (what was asked and answered, as `conversations` has it, or None),
``tokens`` and ``seconds`` (of the stored answer and of the new one, each None where unknown); where it was
asked several times, ``samples`` (what came of that, as `sampled` takes it); and, where later requests quote
the stored answer, ``quoted`` (who, in words) and ``again`` (the tests to record anew, as a person types
them).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ..settings import VERIFY, Mode
from ..settings.levels import FAIL_ON, FailOn
from ..settings.prices import Prices
from ..texts import plural
from ..value_classes import dataclass
from .grouping import group_by_cause
from .sampled import sampled_in
from .token_costs import amount

if TYPE_CHECKING:
    from .suite_runs import SuiteRun
    from .token_costs import LedgerRow

Result = Mapping[str, Any]

LEVELS: Final = tuple(level for level in FAIL_ON if level != "never")
MEANING: Final = {
    "contract": "the response breaks the documented object",
    "behavior": "the model does something different",
    "content": "the text differs",
    "metadata": "only other fields differ",
}
MANY: Final = 3
"""So many interactions with one cause are reported as one."""


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """What an earlier report says.

    Attributes:
        name: of its file.
        levels: of each interaction that it compares, by path, number and test; empty where nothing drifted.
    """

    name: str
    levels: Mapping[tuple[str, int, str], str]


@dataclass(frozen=True, slots=True)
class Spent:
    """What it took to ask a folder again.

    Attributes:
        calls: that were sent, those included that were tried again.
        tokens: that they have cost.
        left: how many requests were not asked.
        rows: what each model was asked, and what that cost in tokens.
        prices: what tokens cost, as in the setting.
    """

    calls: int
    tokens: int
    left: int
    rows: Sequence[LedgerRow] = ()
    prices: Sequence[tuple[str, str]] = ()

    @property
    def line(self) -> str:
        """What was sent, in one line."""
        told = amount(self.rows, Prices(self.prices) if self.prices else None)
        if sum(row.total for row in self.rows) < self.tokens:  # some answers could not be compared
            told = f"{self.tokens:,} tokens"
        return f"sent {plural(self.calls, 'call')}, {told}"


@dataclass(frozen=True)
class VerifiedRun:
    """A run that verified or rewrote cassettes.

    Attributes:
        results: the interactions of all processes, in any order.
        fail_on: the level from which on drift fails in this run; of no account in a rewrite.
        mode: whether the cassettes were verified or rewritten.
        pending: the new responses were left in pending files.
        waiting: the paths of all cassettes and snapshots for which a decision is pending, of earlier runs too.
        width: the columns of the terminal.
        shard: which of several parts of a run this is, such as ``2/3``; empty for all of it.
        earlier: earlier runs, the oldest first.
        commit: of the repository; empty where that is not known.
        suite: what the tests of a run of pytest did; None for a folder that was asked without them.
        spent: what was sent to ask a folder; None for a run of pytest, whose suite says it.
    """

    results: Sequence[Result]
    fail_on: FailOn | str = "behavior"
    mode: Mode = VERIFY
    pending: bool = True
    waiting: Sequence[str] = ()
    width: int = 80
    shard: str = ""
    earlier: Sequence[EarlierRun] = ()
    commit: str = ""
    suite: SuiteRun | None = None
    spent: Spent | None = None

    @cached_property
    def ordered(self) -> list[Result]:
        """The interactions by path and number."""
        return sorted(self.results, key=lambda each: (each["path"], each["interaction"], each["test"]))

    @cached_property
    def new(self) -> list[Result]:
        """What drifted anew."""
        return [each for each in self.ordered if each["status"] == "drifted" and not each["known"]]

    @cached_property
    def known(self) -> list[Result]:
        """What drifted as the baseline knows."""
        return [each for each in self.ordered if each["status"] == "drifted" and each["known"]]

    @cached_property
    def unverified(self) -> list[Result]:
        """What there was no answer for."""
        return [each for each in self.ordered if each["status"] == "unverified"]

    @cached_property
    def quoted(self) -> list[Result]:
        """What drifted anew although later requests quote the stored answer."""
        return [each for each in self.new if each.get("quoted")]

    @cached_property
    def sampled(self) -> list[Result]:
        """What was asked several times; what has changed stands first."""
        return sampled_in(self.ordered)

    @property
    def by_level(self) -> Iterable[tuple[str, list[Result]]]:
        """Each level that something drifted anew at, the worst first, with the interactions whose worst it is."""
        for level in LEVELS:
            group = [each for each in self.new if each["drift"]["level"] == level]
            if group:
                yield level, group

    @property
    def numbers(self) -> str:
        """How many interactions were compared, and what came of it, in one line."""
        counts = Counter(each["status"] for each in self.ordered)
        compared = len(self.ordered) - counts["unverified"]
        of_all = f" of {len(self.ordered)}" if compared < len(self.ordered) else ""
        cassettes = len({each["path"] for each in self.ordered})
        return (
            f"{'rewrote' if self.mode.rewrites else 'verified'} {compared}{of_all} "
            f"{'interaction' if len(self.ordered) == 1 else 'interactions'} in {plural(cassettes, 'cassette')}: "
            f"{counts['same']} unchanged, {counts['drifted']} drifted"
        )

    @property
    def known_in_words(self) -> str:
        """How many interactions are not listed, since the baseline knows their drift."""
        return f"{plural(len(self.known), 'interaction')} with known drift, not listed: it is in the baseline"

    @property
    def why_unverified(self) -> str:
        """What it means that interactions are unverified."""
        if self.mode.rewrites:
            return "not compared with the old cassette"
        return "could not verify: there was no answer to compare"

    @property
    def breaking(self) -> str:
        """What would break if the new answers alone were accepted where others quote the old ones."""
        one, others = self.quoted[0], len(self.quoted) - 1
        told = f"{one['path']}#{one['interaction']}: {one['quoted']}"
        more = (
            f", and {others:,} more are quoted" if others > 1 else ", and 1 more is quoted" if others else ""
        )
        return f"{told}{more}. To accept that alone breaks the tests; record them anew:"


def many_and_few(results: Sequence[Result]) -> tuple[list[list[Result]], list[Result]]:
    """Returns the groups of one cause that are told once, the largest first, and what has no such group."""
    groups = group_by_cause(results)
    few = {id(each) for group in groups if len(group) < MANY for each in group}
    many = sorted((group for group in groups if len(group) >= MANY), key=len, reverse=True)
    return many, [each for each in results if id(each) in few]
