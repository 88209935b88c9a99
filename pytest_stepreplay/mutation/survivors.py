"""Known survivors, so that only new ones fail: what a baseline of the mode mutate holds.

It is JSON, sorted, one mutant a line, so that a pull request shows what became known. Results are the mappings that
`report.mutated_runs` describes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

Survivor = tuple[str, int, str]
"""The test, the number of the answer, and what was changed in it."""

SURVIVORS_VERSION: Final = 1
_FIX: Final = "Fix it, or delete it and write it anew."


def survivors_in(results: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Survivor, Any]]:
    """Yields the mutants that survived, each with what it is known by: the test, the answer, and the change."""
    for result in results:
        for mutant in result["mutants"]:
            if mutant["result"] == "survived":
                yield (result["test"], mutant["answer"], f"{mutant['operator']} {mutant['place']}"), mutant


def with_known(results: Iterable[Mapping[str, Any]], known: Collection[Survivor]) -> list[dict[str, Any]]:
    """Returns the results, in which each mutant says under ``known`` whether it is among the known survivors."""
    judged = [
        {**each, "mutants": [{**mutant, "known": False} for mutant in each["mutants"]]} for each in results
    ]
    for survivor, mutant in survivors_in(judged):
        mutant["known"] = survivor in known
    return judged


def render_survivors(results: Iterable[Mapping[str, Any]]) -> str:
    """Returns the file that makes the survivors of these results known: the same text for the same survivors."""
    found = defaultdict[tuple[str, int], set[str]](set)
    for (test, answer, change), _ in survivors_in(results):
        found[test, answer].add(change)
    survivors = [
        {"test": test, "answer": answer, "mutants": sorted(changes)}
        for (test, answer), changes in sorted(found.items())
    ]
    return json.dumps({"stepreplay_survivors": SURVIVORS_VERSION, "survivors": survivors}, indent=2) + "\n"


def read_survivors(text: str, path: Path) -> frozenset[Survivor]:
    """Returns the survivors that a baseline file says are known.

    Args:
        text: the file's content.
        path: the file, for messages.

    Raises:
        SettingsError: it is no such file; the message names it, and says what to do.
    """
    try:
        tree = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise SettingsError(f"{path}:{error.lineno}: is not valid JSON ({error.msg}). {_FIX}") from None
    except (ValueError, RecursionError):
        raise SettingsError(f"{path}: is not a baseline of survivors. {_FIX}") from None
    if isinstance(tree, dict) and "stepreplay_baseline" in tree:
        raise SettingsError(
            f"{path}: is a baseline of drift, as verify writes it. Name another file for the survivors of mutate: "
            "--stepreplay-baseline=survivors.json"
        )
    if not isinstance(tree, dict) or tree.get("stepreplay_survivors") != SURVIVORS_VERSION:
        wanted = f'"stepreplay_survivors": {SURVIVORS_VERSION}'
        raise SettingsError(f"{path}: is not a baseline of survivors: it has no {wanted} at the top. {_FIX}")
    known = set[Survivor]()
    entries = tree.get("survivors")
    for i, entry in enumerate(entries if isinstance(entries, list) else [None]):
        match entry:
            case {"test": str(test), "answer": int(answer), "mutants": list(changes)}:
                known.update((test, answer, str(change)) for change in changes)
            case _:
                wanted = 'should be {"test": ID, "answer": NUMBER, "mutants": [...]}'
                raise SettingsError(f"{path}: survivors[{i}] {wanted}. {_FIX}")
    return frozenset(known)
