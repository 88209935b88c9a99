"""Failures of one cause in pytest's own output: the first is shown in full, and the others refer to it.

Reports go in as they came from the tests' processes. They are changed only in what a terminal shows of them, once all
other plugins have seen them: a report in a file tells each failure in full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .verdicts import ONE_MORE

if TYPE_CHECKING:
    import pytest


def shorten_repeats(reporter: pytest.TerminalReporter) -> None:
    """Shortens what was told before, in the order in which the failures are shown; at ``-vv`` nothing is short."""
    if reporter.config.get_verbosity() > 1:
        return
    told: dict[str, str] = {}
    for report in (each for name in ("error", "failed") for each in reporter.stats.get(name, ())):
        causes = [each["cause"] for each in getattr(report, "stepreplay_causes", ())]
        if not causes:
            continue
        if causes[0] in told:
            _shorten(report.longrepr, told[causes[0]])
        further = iter(causes[1:])
        for at, (title, _) in enumerate(report.sections):
            if title == ONE_MORE and (cause := next(further, "")) in told:
                report.sections[at] = (title, f"as in {told[cause]}: {cause.partition(chr(10))[0]}")
        told.update((cause, told.get(cause, report.nodeid)) for cause in causes if cause)


def _shorten(longrepr: Any, example: str) -> None:
    """Leaves the line of the test, the headline, and where the rest is told."""
    traceback = getattr(longrepr, "reprtraceback", None)
    entries = getattr(traceback, "reprentries", [])
    lines = getattr(entries[-1], "lines", []) if entries else []
    headline = next((line for line in lines if line.startswith("E ")), None)
    if headline is None:
        return
    last = entries[-1]
    last.lines = [headline, f"E       as in {example}"]
    last.reprfuncargs = last.reprlocals = None
    traceback.reprentries = [last]  # type: ignore[union-attr] # it has entries
