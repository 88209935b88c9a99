"""`stepreplay relink`: give a test that was renamed or moved its cassette back."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

from ..commands import pytest_command
from ..errors import CassetteError
from ..housekeeping.relinking import find_links
from ..housekeeping.relinking import relink as move
from ..remote import transfers
from .command import Command
from .deciding import CONSENT, check_consent, is_agreed, last_run_of_project
from .project import cassette_folder, display, guarded_by_project, project_root
from .terminal import echo, plural, safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..housekeeping.relinking import Link


def _run(dry_run: bool, yes: bool, as_json: bool) -> int:
    check_consent(dry_run=dry_run, yes=yes, as_json=as_json)
    links = find_links(last_run_of_project(), project_root())
    sure = [each for each in links if each.source]
    unsure = len(links) > len(sure)
    if as_json:
        refused = {} if dry_run else _carry_out(sure)
        echo(json.dumps(_as_json(links, refused, dry_run=dry_run), indent=2))
        return 1 if refused or unsure or (dry_run and sure) else 0
    _print_links(links)
    if not sure:
        return 1 if unsure else 0
    if not is_agreed("Move them?", dry_run=dry_run, yes=yes):
        return 1
    refused = _carry_out(sure)
    for problem in refused.values():
        echo(f"refused: {problem}", err=True)
    echo(f"Moved {plural(len(sure) - len(refused), 'cassette')}. Run the tests: {pytest_command()}")
    return 1 if refused or unsure else 0


RELINK: Final = Command(
    name="relink",
    description="""
    Move the cassettes of tests that were renamed or moved to where these look for them.

    Run pytest first: this looks at the tests that failed because they had no cassette. It finds their cassettes
    among those that no test uses, by the requests of the tests and by the ids of the tests that recorded them.
    If several would fit, all are listed and none is moved. The exit status is 1 if something is left to be
    moved.
    """,
    examples=("pytest; stepreplay relink --dry-run", "stepreplay relink --yes"),
    options=CONSENT,
    run=_run,
)


def _carry_out(links: Sequence[Link]) -> dict[str, str]:
    """Moves the cassettes, and returns for each test why it was refused."""
    refused = {}
    with guarded_by_project(), transfers.removals_listed(cassette_folder()):
        for each in links:
            try:
                move(each)
            except CassetteError as error:
                refused[each.test] = safe(str(error))
    return refused


def _print_links(links: Sequence[Link]) -> None:
    if not links:
        echo("Nothing to relink: no test of the last run misses a cassette that is somewhere else.")
    for each in links:
        target = display(each.target)
        echo(safe(each.test))
        if each.source:
            echo(safe(f"  {display(each.source)} -> {target}\n  {each.why}"))
            continue
        why = "" if each.is_sure else f", since {each.why}"
        echo(safe(f"  not sure{why}; move one yourself:"))
        for source in each.sources:
            echo(safe(f"    mv {shlex.quote(display(source))} {shlex.quote(target)}"))
        if each.rivals:
            echo(safe(f"  {', '.join(each.rivals)} may also own it"))


def _as_json(links: Sequence[Link], refused: dict[str, str], *, dry_run: bool) -> dict[str, Any]:
    return {
        "relinked": not dry_run,
        "tests": [
            {
                "test": each.test,
                "to": display(each.target),
                "from": display(each.source) if each.source else None,
                "candidates": [display(source) for source in each.sources],
                "rivals": [*each.rivals],
                "why": each.why,
                "refused": refused.get(each.test),
            }
            for each in links
        ],
    }
