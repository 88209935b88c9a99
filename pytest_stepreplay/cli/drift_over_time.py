"""`stepreplay history`: when each drift was first and last seen, and how often it came and went."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from ..report import drift_history
from . import merging_reports
from .command import AS_JSON, Command, Operand, existing_path
from .project import display
from .terminal import echo, json_text, plural, safe

if TYPE_CHECKING:
    from pathlib import Path


def _run(*, reports: tuple[Path, ...], as_json: bool) -> int:
    found = drift_history.read_history((display(path), merging_reports.report_text(path)) for path in reports)
    if as_json:
        echo(json_text({"reports": list(map(display, reports)), "drift": [asdict(each) for each in found]}))
    elif not found:
        echo(f"nothing has drifted in {plural(len(reports), 'report')}")
    for each in () if as_json else found:
        state = "since" if each.is_there else "gone; from"
        to = f" {each.first}" if each.is_there else f" {each.first} to {each.last}"
        flickers = f", came back {plural(each.flickers, 'time')}" if each.flickers else ""
        echo(safe(f"{each.level}: {each.path}#{each.interaction} {each.selector}"))
        echo(safe(f"  {state}{to}: in {each.seen:,} of {each.compared:,} reports{flickers}"))
    return 1 if any(each.is_there for each in found) else 0


HISTORY: Final = Command(
    name="history",
    description="""
    Tell when each drift was first and last seen, and how often it came and went.

    REPORTS are reports in JSON of `stepreplay verify` or pytest --stepreplay=verify, the oldest first. The exit
    status is 1 if the last report of some interaction has drift.
    """,
    examples=("stepreplay history nightly/*.json",),
    operands=(Operand("reports", "some", existing_path),),
    options=(AS_JSON,),
    run=_run,
)
