"""What a run did with its cassettes, added up from the outcomes of all processes, and as lines of text."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..commands import pytest_command
from ..settings import MODES
from ..texts import plural
from ..texts.escaping import escape_for_terminal
from ..value_classes import dataclass
from . import token_costs
from .token_costs import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..settings.prices import Prices
    from .token_costs import LedgerRow

EVERYTHING: Final = "*"
"""What must be known of modules to judge a cassette whose own is gone: all of them."""
SHOWN_PATHS: Final = 10
"""How many cassettes one list of the summary names at most."""


@dataclass(frozen=True, slots=True)
class Totals:
    """The numbers of the summary. Paths are those of cassettes."""

    replayed: int = 0
    recorded: int = 0
    written: int = 0
    missed: int = 0
    live: int = 0
    errors_not_recorded: tuple[str, ...] = ()
    refused_keys: tuple[str, ...] = ()
    unsent: tuple[str, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    seconds_saved: float = 0.0
    not_written: Mapping[str, str] | None = None
    unplayed: Mapping[str, tuple[int, int]] | None = None
    orphans: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    stale: Mapping[str, str] | None = None
    otherwise: Mapping[str, int] | None = None
    answered_otherwise: int = 0
    faults: tuple[str, ...] = ()

    @property
    def unused(self) -> int:
        """How many cassettes were not used, or not wholly."""
        return len(self.unplayed or ()) + len(self.orphans)


def add_up(
    outcomes: Iterable[Mapping[str, Any]], *, on_disk: Iterable[str], owned: Iterable[str], complete: bool
) -> Totals:
    """Returns the totals of a run.

    Args:
        outcomes: `session.outcome.Outcome` as mappings, of all processes.
        on_disk: the cassettes of the suite, or those of them that no collected test owns.
        owned: those that a collected test uses.
        complete: nothing narrowed the run. Only then is what nothing used reported; a test's own cassette is
            judged by its own run.
    """
    outcomes = list(outcomes)
    replays = [each for each in outcomes if (mode := MODES.get(each["mode"])) and mode.replays]
    played: dict[str, set[int]] = {}
    for each in replays:
        for path, _, positions in ((each["path"], each["total"], each["replayed"]), *each["borrowed"]):
            played.setdefault(path, set()).update(positions)
    judged = {each["path"]: each["total"] for each in replays if complete or not each["shared"]}
    used = {*owned, *(each["path"] for each in outcomes)}
    used.update(path for each in outcomes for path, _, _ in each["borrowed"])
    failed = {each["path"] for each in replays if not each["passed"]}
    ownerless = {each["path"] for each in replays if each["ownerless"]}  # others may need the rest of it
    return Totals(
        replayed=sum(
            len(positions)
            for each in outcomes
            for positions in (each["replayed"], *(borrowed for _, _, borrowed in each["borrowed"]))
        ),
        recorded=sum(each["recorded"] for each in outcomes),
        written=len({each["path"] for each in outcomes if each["written"]}),
        missed=sum(each["missed"] for each in outcomes),
        live=sum(each["sent"] for each in outcomes if (mode := MODES.get(each["mode"])) and mode.passes_by),
        errors_not_recorded=tuple(error for each in outcomes for error in each["errors_not_recorded"]),
        refused_keys=tuple(dict.fromkeys(each for outcome in outcomes for each in outcome["refused_keys"])),
        unsent=tuple(_unsent(outcomes)),
        ledger=rows_of(outcomes),
        seconds_saved=sum(each["seconds_saved"] for each in outcomes),
        not_written={each["path"]: each["not_written"] for each in outcomes if each["not_written"]},
        unplayed={
            path: (total - len(played[path]), total)
            for path, total in sorted(judged.items())
            if path not in failed | ownerless and len(played[path]) < total
        },
        orphans=tuple(sorted(set(on_disk) - used)) if complete else (),
        unmatched=_unmatched(outcomes),
        late=tuple(dict.fromkeys(each for outcome in outcomes for each in outcome["late"])),
        stale={each["path"]: each["stale"] for each in outcomes if each["stale"]},
        otherwise=Counter(cause for each in outcomes if each["passed"] for cause in each["otherwise"]),
        answered_otherwise=sum(each["passed"] and bool(each["otherwise"]) for each in outcomes),
        faults=tuple(each for outcome in outcomes for each in outcome["faults"]),
        blocked=tuple(sorted({attempt for each in outcomes for attempt in each["blocked"]})),
    )


def _unsent(outcomes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields each reason for which nothing came back, and in which tests."""
    tests: dict[str, dict[str, None]] = {}
    for each in outcomes:
        for why, name in each["unsent"]:
            tests.setdefault(why, {})[name] = None
    for why, names in tests.items():
        first, others = next(iter(names)), len(names) - 1
        yield f"{why}, in {first}" + (f" and {others} more" if others else "")


def _unmatched(outcomes: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Returns the selectors that named no place in any response of the run."""
    given, matched = set[str](), set[str]()
    for each in outcomes:
        given.update(each["selectors"])
        matched.update(each["matched"])
    return tuple(sorted(given - matched))


def render_totals(
    totals: Totals, root: Path, *, unused: str, costs: Prices | None = None, details: bool = False
) -> list[str]:
    """Returns the lines of the summary section.

    Args:
        totals: of the run.
        root: what paths are relative to.
        unused: the setting.
        costs: what tokens cost; None where the project does not say.
        details: tokens by model and endpoint, too.
    """
    counts = [
        f"replayed {totals.replayed}" if totals.replayed else "",
        f"recorded {totals.recorded} in {plural(totals.written, 'cassette')}" if totals.recorded else "",
        f"missed {totals.missed}" if totals.missed else "",
        f"sent {totals.live}" if totals.live else "",
    ]
    lines = [", ".join(filter(None, counts))] if any(counts) else []
    lines += _ledger(totals, costs, details=details)
    lines += _listed((f"no answer: {each}" for each in totals.unsent), "reasons")
    if totals.errors_not_recorded:
        lines += _listed(
            (f"error response not recorded: {error}" for error in totals.errors_not_recorded), "errors"
        )
        lines += [f"  {advice}" for advice in totals.refused_keys]
        if any(not error.endswith(": the API refused the key") for error in totals.errors_not_recorded):
            lines.append("  to record such answers: @pytest.mark.stepreplay(record_errors=True)")
    lines += _listed(
        (f"not written, {why}: {_relative(path, root)}" for path, why in (totals.not_written or {}).items()),
        "cassettes",
    )
    lines += _listed(totals.late, "requests that came late")
    if unused != "ignore":
        lines += _listed(
            (
                f"unplayed: {missing} of {plural(total, 'interaction')} in {_relative(path, root)}"
                for path, (missing, total) in (totals.unplayed or {}).items()
            ),
            "cassettes",
        )
        lines += _listed((f"no test uses {_relative(path, root)}" for path in totals.orphans), "cassettes")
    lines += _listed(
        (f"too old: {what} in {_relative(path, root)}" for path, what in (totals.stale or {}).items()),
        "cassettes",
    )
    lines += _listed(totals.faults, "tests with faults")
    lines += _otherwise(totals)
    lines += _listed((f"blocked: {attempt}" for attempt in totals.blocked), "attempts")
    lines += _listed((f"matched nothing (a typo?): {selector}" for selector in totals.unmatched), "selectors")
    if unused == "error" and totals.unused:
        lines.append(
            f"ERROR: {plural(totals.unused, 'cassette')} not used as recorded (--stepreplay-unused=error)"
        )
        lines.append(f"  delete what is stale, or record again: {pytest_command('--stepreplay=rewrite')}")
    return [escape_for_terminal(line) for line in lines]


def _ledger(totals: Totals, costs: Prices | None, *, details: bool) -> list[str]:
    """Returns what was saved, and what was spent."""
    lines = []
    for use in ("saved", "spent"):
        rows = [row for row in totals.ledger if row.use == use]
        seconds = totals.seconds_saved if use == "saved" else 0.0
        if any(row.total for row in rows) or seconds:
            also = f", {seconds:.1f} s" if use == "saved" else ""
            lines.append(f"{use} {token_costs.amount(rows, costs)}{also}")
            lines += _listed(token_costs.details(rows, costs), "models") if details else []
    return lines


def _otherwise(totals: Totals) -> list[str]:
    """Returns how many tests passed with the answer to another request, by what was different in it."""
    number = totals.answered_otherwise
    if not totals.otherwise or not number:
        return []
    causes = sorted(totals.otherwise.items(), key=lambda each: (-each[1], each[0]))
    return [
        f"{plural(number, 'test')} passed with another request than the recorded one, since bodies are not compared:",
        *_listed((f"  {plural(tests, 'test')}: {cause} differs" for cause, tests in causes), "causes"),
        '  to make them fail, add "body" to match_on (stepreplay_match_on, or the one that the suite has set)',
    ]


def _listed(lines: Iterable[str], noun: str) -> list[str]:
    lines = list(lines)
    more = len(lines) - SHOWN_PATHS
    return lines[:SHOWN_PATHS] + ([f"  ... and {more} more {noun}"] if more > 0 else [])


def _relative(path: str, root: Path) -> str:
    try:
        return Path(path).relative_to(root).as_posix()
    except ValueError:
        return path
