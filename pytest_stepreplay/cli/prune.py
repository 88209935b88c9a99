"""`stepreplay prune`: remove the interactions and cassettes that the last run did not play."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ..commands import pytest_command
from ..errors import CassetteError, StepReplayError
from ..housekeeping.pruning import plan, remove_uncited, uncited_files
from ..housekeeping.pruning import prune as remove
from ..remote import transfers
from .command import Command
from .deciding import CONSENT, check_consent, is_agreed, last_run_of_project
from .project import cassette_folder, display, guarded_by_project
from .terminal import echo, plural, safe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..housekeeping.last_run import LastRun
    from ..housekeeping.pruning import Needless


def _run(dry_run: bool, yes: bool, as_json: bool) -> int:
    check_consent(dry_run=dry_run, yes=yes, as_json=as_json)
    run = last_run_of_project()
    if run.unfit:
        raise StepReplayError(
            f"nothing was pruned: the last run does not show what is still needed: {run.unfit[0]}.\n"
            f"Run the whole suite in replay until it passes: {pytest_command()}"
        )
    needless = plan(run)
    going = [each for each in needless if not each.kept]
    files = uncited_files(run, going)
    if as_json:
        refused = {} if dry_run else _carry_out(going, run)
        echo(json.dumps(_as_json(needless, files, refused, dry_run=dry_run), indent=2))
        return 1 if refused or (dry_run and (going or files)) else 0
    _print_plan(needless, files)
    if not (going or files):
        return 0
    if not is_agreed("Remove this?", dry_run=dry_run, yes=yes):
        return 1
    refused = _carry_out(going, run)
    for problem in refused.values():
        echo(f"refused: {problem}", err=True)
    told = [f"from {plural(len(going) - len(refused), 'cassette')}"] if going else []
    told += [plural(len(files), "file") + " beside them"] if files else []
    echo(f"Removed {' and '.join(told)}.")
    return 1 if refused else 0


PRUNE: Final = Command(
    name="prune",
    description="""
    Remove interactions that no test plays, and cassettes that no test uses.

    Files beside cassettes are removed too if no cassette refers to them any more.

    The last pytest run shows what is needed. Nothing is removed after a run that failed, left tests out or did
    not replay. Cassettes that have changed since that run, or have pending changes, are kept. The exit status is
    1 if something is left to be removed.
    """,
    examples=("pytest && stepreplay prune --dry-run", "stepreplay prune --yes"),
    options=CONSENT,
    run=_run,
)


def _carry_out(going: Sequence[Needless], run: LastRun) -> dict[str, str]:
    """Prunes, and returns why what was refused was."""
    refused = {}
    with guarded_by_project(), transfers.removals_listed(cassette_folder()):
        for each in going:
            try:
                remove(each, run.folders)
            except CassetteError as error:
                refused[each.seen.path] = safe(str(error))
        try:
            remove_uncited(run)
        except CassetteError as error:
            refused["files"] = safe(str(error))
    return refused


def _print_plan(needless: Sequence[Needless], files: Sequence[Path]) -> None:
    if not (needless or files):
        echo("Nothing to prune: the last run played all that is recorded.")
    size, interactions, cassettes = 0, 0, 0
    for each in needless:
        where = safe(display(each.path))
        if each.kept:
            echo(f"{where}: {each.why}; kept, since {each.kept}")
            continue
        echo(f"{where}: {each.why}")
        interactions += len(each.interactions or ())
        if each.interactions is None:
            cassettes, size = cassettes + 1, size + each.seen.size
    for path in files:
        echo(f"{safe(display(path))}: no cassette cites it")
    if interactions or cassettes or files:
        told = [plural(cassettes, "cassette") + f" of {size:,} bytes"] if cassettes else []
        other = " of other cassettes" if cassettes else ""
        told += [f"{plural(interactions, 'interaction')}{other}"] if interactions else []
        told += [f"{plural(len(files), 'file')} beside them"] if files else []
        echo(f"To be removed: {', and '.join(told)}.")


def _as_json(
    needless: Sequence[Needless], files: Sequence[Path], refused: dict[str, str], *, dry_run: bool
) -> dict[str, Any]:
    return {
        "pruned": not dry_run,
        "cassettes": [
            {
                "path": display(each.path),
                "interactions": None if each.interactions is None else [i + 1 for i in each.interactions],
                "why": each.why,
                "kept": refused.get(each.seen.path) or each.kept or None,
            }
            for each in needless
        ],
        "files": [display(path) for path in files],
    }
