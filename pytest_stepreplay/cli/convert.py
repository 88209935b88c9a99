"""`stepreplay convert`: cassettes of other tools become ours, ours become theirs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ..formats import WRITABLE
from ..store.codec import written_location
from . import printing
from .command import AS_JSON, Command, Operand, Option, UsageError, existing_paths, folder_path, one_of
from .conversion import Conversion, Plan, Result, convert_source, find_sources, read_batches, target_of
from .project import guarded_by_project, project_settings
from .terminal import echo, plural, safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .conversion import Source

SHOWN: Final = 3
"""How many skipped parts of a file are told; `--json` tells all."""


def _run(
    *,
    sources: tuple[Path, ...],
    to: Path | None,
    check: bool,
    dry_run: bool,
    format_: str,
    base_url: str,
    as_json: bool,
) -> int:
    if base_url and not base_url.startswith(("http://", "https://")):
        raise UsageError("--base-url: it should start with https:// or http://")
    found = list(find_sources(sources, to))
    settings: dict[str, Any] = project_settings("redact_fields", "keep_headers")
    plan = Plan(to, format_, check, dry_run, base_url, **settings, batch=read_batches(found))
    with guarded_by_project():
        outcomes = _without_idle_batches(list(_outcomes(found, plan)))
    if as_json:
        echo(json.dumps(_as_tree(outcomes, plan), indent=2))
    elif found:
        _print(outcomes, plan)
    else:
        echo(f"There is no cassette in {' or '.join(map(str, sources))}", err=True)
    failed = any(outcome.result in ("refused", "partly") for outcome in outcomes)
    return 1 if failed or not found else 0


TARGETS: Final = ("stepreplay", *WRITABLE)
"""What can be written: our own format, and those of other tools that have a writer."""

CONVERT: Final = Command(
    name="convert",
    description="""
    Convert cassettes of other tools to ours, or ours to theirs.

    SOURCES are files and folders: cassettes of vcrpy (YAML, JSON, gzip) and cassetter (YAML, TOML), HTTP archives
    (HAR), and logs of requests and responses (JSON Lines). The format is recognized by the content.

    Without --to, a new file replaces its source if it can have the same name, and is written next to it otherwise.
    Ours are then left as they are, but for streams that an earlier version has written, or whose answer was edited.
    Secrets are redacted, and headers that no client needs are left out. The exit status is 1 if a file was refused,
    or converted only partly.
    """,
    examples=(
        "stepreplay convert tests/cassettes --to cassettes --check",
        "stepreplay convert cassettes/old.yaml",
        "stepreplay convert cassettes --to exported --format vcr",
    ),
    operands=(Operand("sources", "some", existing_paths, spreads=True),),
    options=(
        Option("--to DIR", "Write the new files under this folder.", {"type": folder_path}),
        Option(
            "--check", "Replay each interaction through a real client first, and compare it with the old one."
        ),
        Option("--dry-run", "Show what each file would become, and write nothing."),
        Option(
            f"--format [{'|'.join(TARGETS)}]",
            "The format of the new files. [default: stepreplay]",
            {"dest": "format_", "type": one_of(TARGETS), "default": "stepreplay"},
        ),
        Option("--base-url URL", "Where the requests were sent, for logs that do not say.", {"default": ""}),
        AS_JSON,
    ),
    run=_run,
)


def _outcomes(sources: list[Source], plan: Plan) -> Iterator[Conversion]:
    """Yields what becomes of each source, with a progress bar if somebody is looking."""
    taken: dict[Path, Path] = {}
    for source in _watched(sources):
        target = target_of(source, plan)
        first = source.path if target == source.path else taken.setdefault(target, source.path)
        if first != source.path:
            reason = f"{first} becomes {target} already; convert one of them into another folder with --to"
            yield Conversion(source.path, Result.REFUSED, reason=reason)
        else:
            yield convert_source(source, plan)


def _without_idle_batches(outcomes: list[Conversion]) -> list[Conversion]:
    """Returns the outcomes; files with the requests of a batch are refused if none has the responses."""
    if any(outcome.target and outcome.format == "jsonl" for outcome in outcomes):
        return outcomes
    reason = "it holds only the requests of a batch; name the file with the responses, too"
    return [
        replace(outcome, result=Result.REFUSED, reason=reason) if outcome.result is Result.USED else outcome
        for outcome in outcomes
    ]


def _watched(sources: list[Source]) -> Iterable[Source]:
    if not sys.stderr.isatty():
        return sources

    return printing.track(sources, "Converting", console=printing.Console(stderr=True), transient=True)


def _totals(outcomes: list[Conversion]) -> dict[str, int]:
    files = {result.value: sum(outcome.result is result for outcome in outcomes) for result in Result}
    return {
        **files,
        "interactions": sum(outcome.interactions for outcome in outcomes if outcome.target),
        "redacted": sum(outcome.redacted for outcome in outcomes if outcome.target),
        "checked": sum(outcome.checked or 0 for outcome in outcomes),
    }


def _as_tree(outcomes: list[Conversion], plan: Plan) -> dict[str, Any]:
    files = [
        {
            "source": str(outcome.source),
            "result": outcome.result.value,
            "format": outcome.format,
            "target": str(outcome.target) if outcome.target else None,
            "interactions": outcome.interactions,
            "redacted": outcome.redacted,
            "skipped": [
                {"place": written_location(each.location), "line": each.line, "reason": each.reason}
                for each in outcome.skipped
            ],
            "reason": outcome.reason,
            "line": outcome.line,
            "checked": outcome.checked,
        }
        for outcome in outcomes
    ]
    return {"files": files, "total": _totals(outcomes), "dry_run": plan.dry_run}


def _print(outcomes: list[Conversion], plan: Plan) -> None:
    console = printing.open_console()

    def say(line: str, style: str = "") -> None:
        console.print(printing.Text(safe(line), style), soft_wrap=True)

    for outcome in outcomes:
        if outcome.result is Result.REFUSED:
            where = f"{outcome.source}:{outcome.line}" if outcome.line else str(outcome.source)
            say(f"refused: {where}: {_indented(outcome.reason or '')}", "red")
            _say_skipped(outcome, say)
        elif outcome.result is Result.PARTLY:
            what = f"{outcome.interactions} of {outcome.interactions + len(outcome.skipped)} interactions"
            where = f" -> {outcome.target}" if outcome.target else f"; {outcome.reason}"
            say(f"partly: {outcome.source}: {what}{where}", "yellow")
            _say_skipped(outcome, say)
        elif len(outcomes) <= SHOWN and outcome.target:
            say(f"{outcome.source} ({outcome.format}) -> {outcome.target}")
    total = _totals(outcomes)
    done = "would be converted" if plan.dry_run else "converted"
    partly = sum(outcome.result is Result.PARTLY and outcome.target is not None for outcome in outcomes)
    told = [f"{plural(total['converted'] + partly, 'file')} {done}"]
    if partly:
        told.append(f"{partly:,} of them partly")
    if total["partly"] > partly:
        told.append(
            f"{total['partly'] - partly:,} left as {'it is' if total['partly'] - partly == 1 else 'they are'}"
        )
    told += [f"{total[key]:,} {key}" for key in ("refused", "unchanged") if total[key]]
    if total["used"]:
        told.append(f"{plural(total['used'], 'file')} of requests used")
    told.append(plural(total["interactions"], "interaction"))
    if plan.check:
        told[-1] += f" ({total['checked']:,} checked)"
    told.append(f"{plural(total['redacted'], 'value')} redacted")
    say(", ".join(told), "dim")
    kept = sum(outcome.target not in (None, outcome.source) and not plan.to for outcome in outcomes)
    if kept:
        say(f"{plural(kept, 'source')} left beside the new {'file' if kept == 1 else 'files'}", "dim")


def _say_skipped(outcome: Conversion, say: Any) -> None:
    for each in outcome.skipped[:SHOWN]:
        place = written_location(each.location)
        where = f"line {each.line}" + (f", {place}" if place else "") if each.line else place
        say(f"  skipped {where}: {each.reason}")
    if len(outcome.skipped) > SHOWN:
        say(f"  and {len(outcome.skipped) - SHOWN} more (--json lists all)")


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
