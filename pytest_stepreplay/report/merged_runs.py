"""Reports of several runs that add up to one: the parts of a suite, or of a folder that was asked again.

JSON reports go in, as `run_as_json` writes them, each with the name of its file; one `VerifiedRun` comes out. What
does not add up, such as a shard that came twice, is an error that names the files.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from ..errors import StepReplayError
from ..settings import MODES
from ..value_classes import dataclass
from .run_as_json import REPORT_VERSION
from .sampled import is_sampled
from .suite_runs import merge_suites, suite_from_json
from .token_costs import LedgerRow, rows_of
from .verified_runs import Spent, VerifiedRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SHARD: Final = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})")
_KEYS: Final = ("test", "path", "interaction", "status", "drift", "reason", "known")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of a run.

    Attributes:
        number: from 1.
        total: how many there are.
    """

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def holds(self, digest: str) -> bool:
        """Whether something belongs to this part, by a digest of what it is, in hexadecimal digits."""
        return int(digest, 16) % self.total == self.number - 1


def read_shard(text: str) -> Shard:
    """Returns the shard that a text such as ``2/3`` names.

    Raises:
        ValueError: it names none.
    """
    found = _SHARD.fullmatch(text)
    if not found or int(found[1]) > int(found[2]):
        raise ValueError(f"{text!r:.40} is not a shard such as 2/3")
    return Shard(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Merged:
    """What several reports come to.

    Attributes:
        run: all of it.
        missing: the shards that are not there.
    """

    run: VerifiedRun
    missing: tuple[Shard, ...]


def merge_reports(reports: Iterable[tuple[str, str]]) -> Merged:
    """Returns what reports come to.

    Args:
        reports: the name of each file, and its text.

    Raises:
        StepReplayError: one is no report, or they do not belong together.
    """
    read = [(name, read_report(name, text)) for name, text in reports]
    for what in ("mode", "fail_on"):
        values = {tree[what]: name for name, tree in read}
        if len(values) > 1:
            told = " and ".join(f"{value} in {name}" for value, name in values.items())
            raise StepReplayError(f"the reports are not of one run: {what.replace('_', '-')} is {told}")
    _check_kinds(read)
    missing = _missing([(name, tree["shard"]) for name, tree in read])
    suites = [(name, suite) for name, tree in read if (suite := tree["suite"]) is not None]
    # Two reports of pytest that hold the same tests are told by the tests.
    suite = merge_suites(suites) if suites else None
    owners: dict[tuple[str, str, int], str] = {}
    results: list[Mapping[str, Any]] = []
    for name, tree in read:
        for each in tree["interactions"]:
            key = (each["test"], each["path"], each["interaction"])
            if key in owners:
                place = f"{each['path']}#{each['interaction']}"
                raise StepReplayError(f"{place} is in {owners[key]} and in {name}; give each report once")
            owners[key] = name
            results.append(each)
    mode, fail_on = read[0][1]["mode"], read[0][1]["fail_on"]
    run = VerifiedRun(
        results,
        fail_on=fail_on,
        mode=MODES[mode],
        pending=False,
        commit=next((tree["commit"] for _, tree in read if tree["commit"]), ""),
        suite=suite,
        spent=_add_up([spent for _, tree in read if (spent := tree["spent"]) is not None]),
    )
    return Merged(run, missing)


def _check_kinds(read: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Checks that reports are of one kind and of one commit.

    Raises:
        StepReplayError: they are not.
    """
    kinds = {tree["suite"] is not None: name for name, tree in read}
    if len(kinds) > 1:
        raise StepReplayError(
            f"the reports are not of one run: {kinds[True]} is of pytest, {kinds[False]} of stepreplay verify"
        )
    commits = {tree["commit"]: name for name, tree in reversed(read) if tree["commit"]}
    if len(commits) > 1:
        told = " and ".join(f"{commit:.12} in {name}" for commit, name in commits.items())
        raise StepReplayError(f"the reports are not of one run: the commit is {told}")


def _add_up(spent: Sequence[Spent]) -> Spent | None:
    if not spent:
        return None
    entries = [
        (*(getattr(row, name) for name in LedgerRow.__slots__),) for each in spent for row in each.rows
    ]
    return Spent(
        sum(each.calls for each in spent),
        sum(each.tokens for each in spent),
        sum(each.left for each in spent),
        rows_of([{"ledger": sorted(entries)}]),
        spent[0].prices,
    )


def _read_spent(tree: Mapping[str, Any]) -> Spent | None:
    """Returns what a report says was spent.

    Raises:
        ValueError: it is not as it is written.
    """
    if "calls" not in tree:
        return None
    try:
        rows = [LedgerRow(*(each[name] for name in LedgerRow.__slots__)) for each in tree["ledger"]]
        prices = tuple((model, price) for model, price in tree["prices"])
        found = Spent(int(tree["calls"]), int(tree["tokens"]), int(tree["left"]), rows, prices)
        _ = found.line
    except (KeyError, TypeError, ValueError, StepReplayError) as error:
        raise ValueError("what it says was spent is not as it was written") from error
    return found


def _missing(shards: list[tuple[str, str]]) -> tuple[Shard, ...]:
    named: dict[Shard, str] = {}
    for name, text in shards:
        if not text:
            continue
        shard = read_shard(text)
        if shard in named:
            raise StepReplayError(f"shard {shard} is in {named[shard]} and in {name}; give each report once")
        named[shard] = name
    if not named:
        return ()
    totals = {shard.total for shard in named}
    whole = [name for name, text in shards if not text]
    if len(totals) > 1 or whole:
        told = ", ".join(f"{name} is {text or 'no shard'}" for name, text in shards)
        raise StepReplayError(f"the reports are not of one run: {told}")
    total = totals.pop()
    return tuple(each for n in range(1, total + 1) if (each := Shard(n, total)) not in named)


def read_report(name: str, text: str) -> dict[str, Any]:
    """Returns what a report in JSON holds.

    Raises:
        StepReplayError: it is no report of a verified run, or it is broken.
    """
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict) or "stepreplay_report" not in tree:
        raise StepReplayError(
            f"{name} is no report in JSON, as --report FILE.json or --stepreplay-report writes it"
        )
    if tree["stepreplay_report"] != REPORT_VERSION:
        raise StepReplayError(
            f"{name} is a report of version {tree['stepreplay_report']!r:.20}, not {REPORT_VERSION}"
        )
    tree = {"fail_on": "behavior", "shard": "", "commit": "", "suite": None, **tree}
    try:
        tree["suite"] = suite_from_json(tree["suite"]) if tree["suite"] is not None else None
        tree["spent"] = _read_spent(tree)
        is_right = _is_right(tree)
    except ValueError:
        is_right = False
    if not is_right:
        raise StepReplayError(f"{name} is broken: it is not as a report is written. Make it anew")
    return tree


def _is_right(tree: Mapping[str, Any]) -> bool:
    listed = tree.get("interactions")
    return (
        tree.get("mode") in MODES
        and isinstance(tree["fail_on"], str)
        and isinstance(tree["shard"], str)
        and isinstance(tree["commit"], str)
        and (not tree["shard"] or bool(_SHARD.fullmatch(tree["shard"])))
        and isinstance(listed, list)
        and all(isinstance(each, dict) and all(key in each for key in _KEYS) for each in listed)
        and all(isinstance(each["interaction"], int) and isinstance(each["path"], str) for each in listed)
        and all(_is_drift(each["drift"]) for each in listed if each["status"] == "drifted")
        and all(is_sampled(each["samples"]) for each in listed if each.get("samples"))
    )


def _is_drift(drift: Any) -> bool:
    return (
        isinstance(drift, dict)
        and {"level", "passes", "fail_on"} <= drift.keys()
        and isinstance(drift.get("changes"), list)
        and bool(drift["changes"])
        and all(
            isinstance(each, dict) and {"selector", "level", "kind", "summary"} <= each.keys()
            for each in drift["changes"]
        )
    )
