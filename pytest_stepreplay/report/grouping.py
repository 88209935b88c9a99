"""Results of `verify` that one change has brought about: what they have in common, and what decides about them all.

Results go in, as in `report.verified_runs`; groups of them come out, what changed in all of a group, and a command.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from ..commands import pytest_command, review_command, stepreplay_command
from ..texts.words import changed_words
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    Result = Mapping[str, Any]

_POSITION: Final = re.compile(r"\[\d+\]")
_NAMED: Final = 10
"""How many cassettes or tests a command names at most."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What changed in all results of a group.

    Attributes:
        change: the leading change, as all of them have it.
        more: how many other changes they have, in words; empty for none.
    """

    change: Mapping[str, Any]
    more: str


def group_by_cause(results: Iterable[Result]) -> list[list[Result]]:
    """Returns the results in groups of one cause, in the order in which the first of each stands."""
    groups: dict[Hashable, list[Result]] = {}
    for each in results:
        groups.setdefault(cause_of(each), []).append(each)
    return [*groups.values()]


def cause_of(result: Result) -> Hashable:
    """Returns what a result has in common with others of its cause: where something changed, and what.

    What matters less than the worst change of a drift comes with it, and may differ.
    """
    drift = result["drift"] if result["status"] == "drifted" else None
    if drift is None:
        return str(result["reason"])
    worst = [each for each in drift["changes"] if each["level"] == drift["level"]]
    return frozenset((_anywhere(each["selector"]), *_change_of(each)) for each in worst)


def _change_of(change: Mapping[str, Any]) -> tuple[Hashable, ...]:
    kind, note = change["kind"], change.get("note", "")
    if kind == "text":
        return (kind, note, frozenset(changed_words(change["old"], change["new"])))
    if _is_incidental(change):
        return (kind, note)
    return (kind, note, change["summary"])


def _is_incidental(change: Mapping[str, Any]) -> bool:
    """Whether the values are each answer's own: a count of tokens, or a field that nobody documents."""
    if change["level"] != "metadata":
        return False
    values = change.get("old"), change.get("new")
    counted = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return change["kind"] in ("added", "removed") or (change["kind"] == "changed" and counted)


def _anywhere(selector: str) -> str:
    return _POSITION.sub("[*]", selector)


def shared_change(group: Sequence[Result]) -> Shared:
    """Returns what changed in all results of a group, without the words around it where they differ."""
    leading = [each["drift"]["changes"][0] for each in group]
    change = dict(leading[0])
    if len({each["selector"] for each in leading}) > 1:
        change["selector"] = _anywhere(change["selector"])
    if len({each["summary"] for each in leading}) > 1:
        if change["kind"] == "text":
            words = "…".join(changed_words(change["old"], change["new"]))
            note = f"; {change['note']}" if "note" in change else ""
            change |= {"kind": "words", "summary": f"…{words}…{note}"}
        else:
            change["summary"] = f"{change['summary']}, or another value"
    others = {len(each["drift"]["changes"]) - 1 for each in group}
    least, most = min(others), max(others)
    count = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    return Shared(change, f"{count} more" if most else "")


def deciding_command(group: Sequence[Result], others: Iterable[Result], waiting: Iterable[str]) -> str:
    """Returns the command that decides about all of a group and nothing else, or shows each for a decision.

    Args:
        group: results that are pending.
        others: all that have drifted in the run, the group among them.
        waiting: the paths of all cassettes and snapshots for which a decision is pending.
    """
    if any(each.get("quoted") for each in group):
        return rewriting_command(group)
    own = {id(each) for each in group}
    rest = {each["path"] for each in others if id(each) not in own}
    paths = [*dict.fromkeys(each["path"] for each in group)]
    if not rest.isdisjoint(paths):  # to accept a cassette would accept what is not of the group
        return _reviewing(paths)
    left = rest | {*waiting} - {*paths}
    if len(paths) > _NAMED and not left:
        return review_command("accept", "--all")
    folders = _folders_of(paths, left)
    return stepreplay_command("accept", *folders) if len(folders) <= _NAMED else _reviewing(paths)


def _reviewing(paths: list[str]) -> str:
    """Returns the command that shows the changes of these cassettes one by one, of many those of their folders."""
    folders = _folders_of(paths, ())
    return stepreplay_command("review", *folders) if len(folders) <= _NAMED else review_command()


def _folders_of(paths: list[str], left: Iterable[str]) -> list[str]:
    """Returns the paths, or the folders of them where they are many and nothing that is left lies in there too."""
    shared = {folder for path in left for folder in PurePath(path).parents}
    while len(paths) > _NAMED:
        folders = [
            folder.as_posix() if folder.name not in ("", "..") and folder not in shared else path
            for path, folder in ((path, PurePath(path).parent) for path in paths)
        ]
        if folders == paths:
            break
        paths = [*dict.fromkeys(folders)]
    return paths


def rewriting_command(results: Iterable[Result]) -> str:
    """Returns the command that records the tests of results anew, or those that quote the answers of a fixture."""
    tests = [*dict.fromkeys(test for each in results for test in each.get("again", ()))]
    if len(tests) > _NAMED:
        tests = [*dict.fromkeys(test.partition("::")[0] for test in tests)]
    return pytest_command("--stepreplay=rewrite", tests=tests if len(tests) <= _NAMED else ())
