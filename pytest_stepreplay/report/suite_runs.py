"""What a pytest run did in its suite, as a value that the runs of several machines add up to.

Plain facts go in, those of a run or of all its parts; the same totals come out, however the suite was divided.
Paths are relative to the rootdir, so that another machine's mean the same.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import StepReplayError
from ..settings import MODES
from ..settings.prices import Prices
from ..texts import plural
from ..texts.escaping import escape_for_terminal
from ..value_classes import dataclass, values_of
from . import causes, token_costs, totals
from .totals import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .totals import Totals

NOT_RUN: Final = "not run"
"""How a test has ended that was collected, and left out."""
_RAN: Final = ("passed", "failed")
_SHOWN: Final = 10
_ELSEWHERE: Final = frozenset({"verified", "asked"})


@dataclass(frozen=True)
class SuiteRun:
    """A run of a suite, or of a part of it.

    Attributes:
        tests: by their ids, how each has ended.
        outcomes: `session.outcome.Outcome` as mappings, without what the report tells elsewhere.
        causes: of failures, as in `report.causes`.
        owned: the cassettes of all tests that were collected.
        strays: cassettes on the disk that none of these tests owns, each with the module that would have to be known
            to say that nothing uses it; `EVERYTHING` for all of them, nothing for none.
        modules: the test modules that were collected.
        uncollected: those on the disk that were not.
        narrowed: why the run did not see every test, where another part may have; empty if it did.
        broken: why it did not, where that is no part of a plan.
        unseen: what the tests of some module are is not known, as where it skips itself.
        unused: what becomes of what was not used, as in the setting.
        prices: what tokens cost, as in the setting.
    """

    tests: Mapping[str, str]
    outcomes: Sequence[Mapping[str, Any]]
    causes: Sequence[Mapping[str, Any]] = ()
    owned: Sequence[str] = ()
    strays: Mapping[str, str] | None = None
    modules: Sequence[str] = ()
    uncollected: Sequence[str] = ()
    narrowed: str = ""
    broken: str = ""
    unseen: bool = False
    unused: str = "warn"
    prices: Sequence[tuple[str, str]] = ()

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many tests have ended how."""
        found = Counter(self.tests.values())
        return {ending: found[ending] for ending in ("passed", "failed", "skipped", NOT_RUN)}

    @cached_property
    def failed(self) -> list[str]:
        """The ids of the tests that failed."""
        return sorted(test for test, ending in self.tests.items() if ending == "failed")

    @cached_property
    def totals(self) -> Totals:
        """What became of the requests, and what was not used."""
        complete = not self.narrowed and not self.broken
        strays = [
            path
            for path, module in (self.strays or {}).items()
            if (not self.unseen if module == EVERYTHING else not module or module in self.modules)
        ]
        return totals.add_up(self.outcomes, on_disk=strays, owned=self.owned, complete=complete)

    @property
    def fails(self) -> bool:
        """Whether a test has failed, a part was ended early, or what was not used makes the run fail."""
        return bool(self.failed or self.broken) or (self.unused == "error" and self.totals.unused > 0)

    @property
    def why_incomplete(self) -> str:
        """Why what no test uses is not known; empty where it is."""
        return self.broken or self.narrowed

    def lines(self) -> list[str]:
        """Returns the run as a summary of text."""
        counts = ", ".join(f"{count:,} {ending}" for ending, count in self.counts.items() if count)
        lines = [f"{plural(len(self.tests), 'test')}: {counts or 'none'}"]
        lines += [f"  failed: {escape_for_terminal(test)}" for test in self.failed[:_SHOWN]]
        if len(self.failed) > _SHOWN:
            lines.append(f"  ... and {len(self.failed) - _SHOWN:,} more")
        prices = Prices(self.prices) if self.prices else None
        lines += totals.render_totals(self.totals, Path(), unused=self.unused, costs=prices, details=True)
        return lines + causes.render_causes(self.causes)


def suite_to_json(suite: SuiteRun) -> dict[str, Any]:
    """Returns a run as a value that any JSON writer takes.

    ::

        {"complete": true,                      every test of the suite was run, so that what nothing uses is known
         "why_incomplete": "",
         "tests": {"passed": 40, "failed": 1, "skipped": 2, "not run": 0},
         "failed": ["tests/test_chat.py::test_x"],
         "replayed": 80, "recorded": 0,         requests
         "missed": 1, "sent": 0,
         "unplayed": [{"path": "cassettes/test_chat/test_x.yaml", "unplayed": 1, "total": 3}],
         "orphans": ["cassettes/test_chat/test_gone.yaml"],
         "census": {"cassettes": 40, "interactions": 81,
                    "endpoints": {"chat": 80}, "models": {"step-3.5-flash": 80}},  by requests
         "ledger": [...],                       as `ledger_to_json` has it
         "parts": {...}}                        the facts that `stepreplay merge` adds up
    """
    found = suite.totals
    return {
        "complete": not suite.why_incomplete,
        "why_incomplete": suite.why_incomplete,
        "tests": suite.counts,
        "failed": suite.failed,
        "replayed": found.replayed,
        "recorded": found.recorded,
        "missed": found.missed,
        "sent": found.live,
        "unplayed": [
            {"path": path, "unplayed": missing, "total": total}
            for path, (missing, total) in (found.unplayed or {}).items()
        ],
        "orphans": [*found.orphans],
        "census": _census(suite),
        "ledger": token_costs.ledger_to_json(found.ledger, suite.prices),
        "parts": values_of(suite) | _shortened(suite.outcomes),
    }


def _census(suite: SuiteRun) -> dict[str, Any]:
    """Returns how much there is in the cassettes that were used, and what was asked of which API and model."""
    sizes = {path: max(found) for path, found in _sizes_in(suite).items()}
    counts = {"endpoints": Counter[str](), "models": Counter[str]()}
    for row in suite.totals.ledger:
        counts["endpoints"][row.endpoint] += row.requests
        counts["models"][row.model] += row.requests
    asked = {what: dict(sorted(found.items())) for what, found in counts.items()}
    return {"cassettes": len(sizes), "interactions": sum(sizes.values()), **asked}


def _shortened(outcomes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns outcomes as what they usually hold, which is told once, and for each what it holds beside that."""
    usual: dict[str, Any] = {}
    for name in sorted({name for each in outcomes for name in each}):
        written = Counter(json.dumps(each[name]) for each in outcomes)
        usual[name] = json.loads(max(sorted(written), key=written.__getitem__))
    others = [{name: it for name, it in each.items() if it != usual[name]} for each in outcomes]
    return {"usual": usual, "outcomes": others}


def suite_from_json(tree: Mapping[str, Any]) -> SuiteRun:
    """Returns the run that such a value is of.

    Raises:
        ValueError: it is of none.
    """
    try:
        parts = dict(tree["parts"])
        usual = parts.pop("usual")
        parts["outcomes"] = [usual | each for each in parts["outcomes"]]
        _ = [each["path"].strip() + each["mode"].strip() for each in parts["outcomes"]]
        for name in ("owned", "modules", "uncollected"):
            parts[name] = tuple(map(str, parts[name]))
        parts["prices"] = tuple((model, price) for model, price in parts["prices"])
        suite = SuiteRun(**parts)
        json.dumps(suite_to_json(suite))
        suite.lines()
    except (KeyError, TypeError, ValueError, AttributeError, StepReplayError) as error:
        raise ValueError("its part on the suite is not as it was written") from error
    return suite


def merge_suites(suites: Sequence[tuple[str, SuiteRun]]) -> SuiteRun:
    """Returns the run that parts of it come to.

    Args:
        suites: the name of each part's file, and the part.

    Raises:
        StepReplayError: they are no parts of one run.
    """
    _check_parts(suites)
    parts = [suite for _, suite in suites]
    tests: dict[str, str] = {}
    for part in parts:
        for test, ending in part.tests.items():
            if tests.get(test, NOT_RUN) == NOT_RUN or ending in _RAN:
                tests[test] = ending
    modules = sorted({each for part in parts for each in part.modules})
    uncollected = sorted(set.intersection(*(set(part.uncollected) for part in parts)) - {*modules})
    owned = {each for part in parts for each in part.owned}
    strays = {path: module for part in parts for path, module in (part.strays or {}).items()}
    narrowed = next((part.narrowed for part in parts if part.narrowed), "")
    if len(parts) > 1 and narrowed:
        narrowed = _left_out(tests, uncollected)
    return ordered(
        SuiteRun(
            tests=tests,
            outcomes=[each for part in parts for each in part.outcomes],
            causes=[each for part in parts for each in part.causes],
            owned=[*owned],
            strays={path: module for path, module in strays.items() if path not in owned},
            modules=modules,
            uncollected=uncollected,
            narrowed=narrowed,
            broken=next((f"{name}: {part.broken}" for name, part in suites if part.broken), ""),
            unseen=any(part.unseen for part in parts),
            unused=parts[0].unused,
            prices=parts[0].prices,
        )
    )


def ordered(suite: SuiteRun) -> SuiteRun:
    """Returns a run with its facts in an order that does not depend on who came first."""
    found = values_of(suite)
    for name in ("owned", "modules", "uncollected"):
        found[name] = sorted(found[name])
    for name in ("tests", "strays"):
        found[name] = dict(sorted((found[name] or {}).items()))
    for name in ("outcomes", "causes"):
        found[name] = sorted(found[name], key=lambda each: json.dumps(each, sort_keys=True))
    return SuiteRun(**found)


def _left_out(tests: Mapping[str, str], uncollected: Sequence[str]) -> str:
    """Returns what no part has run; nothing if together they have run all."""
    left = sorted(test for test, ending in tests.items() if ending == NOT_RUN)
    if left:
        return f"{_count(left, 'test')} collected and run in no report, such as {left[0]}"
    if uncollected:
        return f"{_count(uncollected, 'test module')} collected in no report, such as {uncollected[0]}"
    return ""


def _count(found: Sequence[str], noun: str) -> str:
    return f"{plural(len(found), noun)} {'was' if len(found) == 1 else 'were'}"


def _check_parts(suites: Sequence[tuple[str, SuiteRun]]) -> None:
    ran: dict[str, tuple[int, str]] = {}
    sizes: dict[str, tuple[set[int], str]] = {}
    for number, (name, suite) in enumerate(suites):
        for what in ("unused", "prices"):
            if getattr(suite, what) != getattr(suites[0][1], what):
                raise StepReplayError(
                    f"the reports are not of one run: {what} is set in another way in {name} than in {suites[0][0]}"
                )
        for test, ending in suite.tests.items():
            earlier, where = ran.setdefault(test, (number, name)) if ending in _RAN else (number, name)
            if earlier != number:
                raise StepReplayError(
                    f"{escape_for_terminal(test)} has run in {where} and in {name}; give each report once"
                )
        for path, found in _sizes_in(suite).items():
            known, first = sizes.setdefault(path, (found, name))
            if not known & found:
                raise StepReplayError(
                    f"the reports are not of one run: {escape_for_terminal(path)} has {max(known):,} interactions in "
                    f"{first} and {max(found):,} in {name}"
                )


def _sizes_in(suite: SuiteRun) -> dict[str, set[int]]:
    """Returns how many interactions each cassette has had from which a test was answered."""
    found: dict[str, set[int]] = {}
    for each in suite.outcomes:
        mode = MODES.get(each["mode"])
        if each["total"] and mode is not None and mode.answers and not mode.records:
            found.setdefault(each["path"], set()).add(each["total"])
    return found


def plain_outcomes(outcomes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns outcomes as plain JSON has them, without what the report tells elsewhere."""
    told = [{name: it for name, it in each.items() if name not in _ELSEWHERE} for each in outcomes]
    return json.loads(json.dumps(told))  # type: ignore[no-any-return]
