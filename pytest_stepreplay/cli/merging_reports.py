"""`stepreplay merge`: the reports of several machines become one, as if one had done all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import StepReplayError
from ..housekeeping import publishing
from ..report import merged_runs, renderers
from ..report.verified_runs import VerifiedRun
from .command import AS_JSON, HISTORY_OF_REPORT, Command, Operand, Option, UsageError, existing_path
from .project import display
from .terminal import echo, safe

if TYPE_CHECKING:
    from collections.abc import Sequence


def _run(
    *, results: tuple[Path, ...], report: str | None, history: Sequence[str] | None, as_json: bool
) -> int:
    form = renderers.form_for(report, VerifiedRun) if report else ""
    if history and form != "html":
        raise UsageError("--history: only a report for a browser shows it; add --report FILE.html")
    merged = merged_runs.merge_reports((display(path), report_text(path)) for path in results)
    earlier = publishing.read_earlier(history or (), Path.cwd())
    try:
        told = renderers.render(merged.run, "json").rstrip("\n") if as_json else _told(merged.run)
        page = renderers.render(replace(merged.run, earlier=earlier), form) if form else ""
    except Exception as problem:
        raise StepReplayError(
            f"the reports cannot be rendered ({type(problem).__name__}): one of them is not as it was written"
        ) from problem
    echo(told.replace("##", "\\u0023#") if as_json else told or "nothing was verified")
    if report:
        Path(report).parent.mkdir(parents=True, exist_ok=True)
        Path(report).write_text(page, encoding="utf-8")
        if not as_json:
            echo(safe(f"report written to {report}"))
    suite = merged.run.suite
    if suite is not None and suite.why_incomplete:
        echo(safe(f"what no test uses is not known: {suite.why_incomplete}"), err=True)
    if merged.missing:
        shards = ", ".join(map(str, merged.missing))
        echo(f"missing: {'shard' if len(merged.missing) == 1 else 'shards'} {shards}", err=True)
    return 1 if merged.missing or _has_failed(merged.run) else 0


def _told(run: VerifiedRun) -> str:
    """Returns what the terminal shows: the summary of the suite, and then what was verified."""
    parts = ["\n".join(run.suite.lines())] if run.suite is not None else []
    parts.append(renderers.render(run, "terminal").rstrip("\n"))
    told = "\n\n".join(filter(None, parts))
    return "\n".join(filter(None, [told, run.spent.line if run.spent is not None else ""]))


def report_text(path: Path) -> str:
    """Returns the text of a report; nothing for what is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def _has_failed(run: VerifiedRun) -> bool:
    if run.suite is not None and run.suite.fails:
        return True
    if run.mode.rewrites or run.fail_on == "never":
        return False
    failing: list[Any] = [each for each in run.new if not each["drift"]["passes"]]
    return bool(failing or run.unverified)


MERGE: Final = Command(
    name="merge",
    description="""
    Make one report of those of several machines.

    RESULTS are reports in JSON, of `stepreplay verify --shard` or of pytest with --stepreplay-report=FILE.json. What
    a cassette holds is unused if no machine has used it. The exit status is 1 if something fails in one of the
    reports, a shard is missing, or something is unused and the runs had --stepreplay-unused=error.
    """,
    examples=(
        "stepreplay merge suite-*.json",
        "stepreplay merge drift-*.json --report drift.html",
    ),
    operands=(Operand("results", "some", existing_path),),
    options=(
        Option("--report FILE", "Write all of it to this file, in the form that its name ends in.", {}),
        HISTORY_OF_REPORT,
        AS_JSON,
    ),
    run=_run,
)
