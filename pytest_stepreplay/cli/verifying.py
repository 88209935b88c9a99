"""`stepreplay verify`: asks what is recorded again, without the tests, within a rate and a budget."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..commands import stepreplay_command
from ..drift.baseline import is_known
from ..errors import StepReplayError
from ..housekeeping import publishing
from ..interception import async_sending
from ..interception.sending import TIMEOUT
from ..machine import clock
from ..redaction.redactor import Redactor
from ..remote import lock_file
from ..report import ledger, renderers, token_costs
from ..report.merged_runs import Shard, read_shard
from ..report.verified_runs import Spent, VerifiedRun
from ..settings import FIELDS, VERIFY, Settings, read_values
from ..store.paths import iter_cassettes
from ..verify import budget_stores, judging, pacing, recorded_requests, shared_budget, whole_folder
from ..verify import journal as journals
from ..verify.budget import Budget, Limits
from . import printing
from .command import (
    AS_JSON,
    HISTORY_OF_REPORT,
    Command,
    Operand,
    Option,
    existing_paths,
    number_from_1,
    one_of,
)
from .naming import adopted_folders
from .project import (
    cache_folder,
    cassette_folder,
    display,
    guarded_by_project,
    project_root,
    project_settings,
)
from .terminal import echo, json_text, plural, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..interception.async_sending import AsyncSender
    from ..verify.recorded_requests import AskedCassette
    from ..verify.shared_budget import SharedBudget

AT_ONCE: Final = 4
SHOWN_UNREADABLE: Final = 5
BETWEEN_LINES: Final = 30.0
"""Seconds between two lines about the progress, where there is no terminal."""
SHORTEST_BAR: Final = 15
"""Columns of a bar that still tells something, and of the spaces between."""
WIDE: Final = 200
INTERRUPTED: Final = 130
FAILING: Final = ("contract", "behavior", "content", "metadata", "never")


def _run(
    *,
    cassettes: tuple[Path, ...],
    concurrency: int,
    rpm: int | None,
    tpm: int | None,
    max_calls: int | None,
    max_tokens: int | None,
    timeout: float,
    base_url: Sequence[str],
    fail_on: str | None,
    samples: int | None,
    error_rate: str | None,
    keep_samples: bool,
    judge: str | None,
    report: str | None,
    history: Sequence[str] | None,
    shard: Shard | None,
    budget: str | None,
    fresh: bool,
    as_json: bool,
) -> int:
    if find_spec("aiohttp") is None:
        raise StepReplayError(
            "stepreplay verify needs aiohttp, which is not installed.\n"
            "Install it with: pip install 'pytest-stepreplay[watch]'"
        )
    # The path of a report is one of the command line, and not of the ini file.
    given = {
        "fail_on": fail_on,
        "samples": samples,
        "error_rate": error_rate,
        "judge": judge,
        "report": str(Path(report).absolute()) if report else None,
        "history": [str(Path(each).absolute()) for each in history] if history else None,
    }
    settings = Settings.merge(
        {**project_settings(), "report": None}, read_values("command line", given, FIELDS)
    )
    settings = replace(settings, mode=VERIFY)
    if settings.samples > 1:
        judging.check_samples()
    elif keep_samples:
        raise StepReplayError("--keep-samples needs --samples N, with an N of 2 or more: how many to keep")
    if settings.report:
        publishing.check_report_file(settings, "command line")
    publishing.check_history(settings, project_root(), asked=bool(history))
    limits = Limits(rpm, tpm, max_calls, max_tokens)
    if budget is not None and limits == Limits():
        raise StepReplayError("--budget shares a limit: add --rpm, --tpm, --max-calls or --max-tokens")
    store = budget_stores.store_at(budget) if budget is not None else None
    known = publishing.read_known(settings, project_root()) if settings.baseline else None
    rebased = recorded_requests.read_rebased(base_url)
    if settings.store is not None and not cassettes:
        lock_file.check_all_pulled(cassette_folder())
    asked, unreadable = _read_all(cassettes or (cassette_folder(), *adopted_folders()), settings)
    if not asked and not unreadable:
        raise StepReplayError(
            f"there is no cassette in {' or '.join(map(display, cassettes or (cassette_folder(),)))}"
        )
    requests = [
        each for each in recorded_requests.requests_of(asked) if shard is None or shard.holds(each.key)
    ]
    what = " ".join(map(display, cassettes)) or "all cassettes"
    what += f", shard {shard}" if shard else ""
    # Tests that were run elsewhere, or a project, may share the cache: the journal says whose it is.
    name = f"verify-{sha256(what.encode()).hexdigest()[:12]}.jsonl"
    place = cache_folder() / "d" / "stepreplay" / name
    with (
        guarded_by_project(),
        journals.open_journal(place, root=project_root(), what=what, fresh=fresh) as journal,
    ):
        if journal.past:
            echo(f"going on with a run that has sent {plural(_sent(journal), 'call')}", err=True)
        pacer, sender = pacing.ClockPacer(), async_sending.AsyncSender(timeout)
        sent_before = journal.calls(pacer.now())
        shared = shared_budget.SharedBudget(limits, pacer, *store, sent_before) if store is not None else None
        run = whole_folder.FolderRun(
            requests,
            recorded_requests.Sendable(settings, os.environ, rebased),
            sender,
            shared or Budget(limits, pacer, sent_before),
            journal,
            settings,
            Redactor(fields=settings.redact_fields, values=settings.secrets),
            pacer,
            keeps_samples=keep_samples,
        )
        interrupted = _ask_all(run, sender, concurrency, limits=limits, shared=shared)
        judged = run.judge(known=interrupted)
        problems, written = [*unreadable], 0
        if keep_samples and not interrupted:
            before, (judged, unkept) = judged, whole_folder.keep_all_samples(judged)
            written = len(judged.keys() - before.keys())
            problems += unkept
        if settings.leaves_pending() and not interrupted:
            problems += whole_folder.leave_all_pending(judged.items())
        results = [
            judging.result_of(
                each, cassette.interactions[each.position], test=cassette.test, path=cassette.name
            )
            for cassette, verdicts in judged.items()
            for each in verdicts
        ]
        if known is not None:
            results = [each | {"known": is_known(each, known)} for each in results]
        around = publishing.Surroundings(
            Path.cwd(), project_root(), (cassette_folder(),), lambda test, _: test
        )
        told = replace(settings, report=None) if interrupted else settings
        spent = Spent(
            run.budget.calls,
            run.budget.tokens,
            len(requests) - run.answered,
            _rows_of(judged),
            settings.prices,
        )
        lines = publishing.publish(results, told, around, shard=str(shard or ""), spent=spent)
        if run.is_done and not interrupted:
            journal.remove()
    if as_json:
        verified = VerifiedRun(
            results, fail_on=settings.fail_on or "behavior", shard=str(shard or ""), spent=spent
        )
        tree = json.loads(renderers.render(verified, "json"))
        echo(json_text(tree | {"problems": problems}))
    else:
        told_kept = [f"samples kept in {plural(written, 'cassette')}"] if written else []
        echo("\n".join([*lines, *told_kept, spent.line]))
    for problem in problems[:SHOWN_UNREADABLE]:
        echo(safe(problem), err=True)
    if len(problems) > SHOWN_UNREADABLE:
        echo(f"and {len(problems) - SHOWN_UNREADABLE:,} more", err=True)
    if not run.is_done:
        # What it was not to exceed, it is not to exceed then.
        kept = {"--shard": shard, "--rpm": rpm, "--tpm": tpm}
        part = [word for name, value in kept.items() if value for word in (name, str(value))]
        part += [word for each in base_url for word in ("--base-url", each)]
        part += ["--budget", "..."] if budget else []  # its password is nobody's business
        part += ["--samples", str(samples)] if samples else []
        part += ["--keep-samples"] if keep_samples else []
        again = stepreplay_command("verify", *map(display, cassettes), *part)
        left = plural(len(requests) - run.answered, "request")
        echo(f"{left} left; --fresh begins anew. To go on: {again}", err=True)
    if interrupted:
        return INTERRUPTED
    return 1 if problems or _fails(results, settings) else 0


def _fails(results: Sequence[dict[str, Any]], settings: Settings) -> bool:
    if settings.fail_on == "never":
        return False
    return any(
        each["status"] == "unverified"
        or (each["drift"] and not each["drift"]["passes"] and not each["known"])
        for each in results
    )


def _read_all(searched: Sequence[Path], settings: Settings) -> tuple[list[AskedCassette], list[str]]:
    """Returns the cassettes, and why others cannot be read."""
    found, unreadable = list[Any](), list[str]()
    paths = (path for each in searched for path in (iter_cassettes(each) if each.is_dir() else (each,)))
    for path in dict.fromkeys(path.absolute() for path in paths):
        try:
            found.append(recorded_requests.read_asked(path, display(path), settings))
        except StepReplayError as error:
            unreadable.append(str(error))
    return found, unreadable


def _sent(journal: journals.Journal) -> int:
    return sum(each.tries for each in journal.past.values())


def _rows_of(judged: dict[AskedCassette, tuple[judging.Verdict, ...]]) -> tuple[token_costs.LedgerRow, ...]:
    answered = [
        (cassette.interactions[each.position].request, answer)
        for cassette, verdicts in judged.items()
        for each in verdicts
        for answer in each.answers
    ]
    return token_costs.rows_of([{"ledger": [*ledger.entries("spent", answered)]}])


def _ask_all(
    run: whole_folder.FolderRun,
    sender: AsyncSender,
    at_once: int,
    *,
    limits: Limits,
    shared: SharedBudget | None,
) -> bool:
    """Sends what is to be sent, and shows how far that is; returns whether Ctrl-C has ended it."""

    async def ask() -> None:
        async with shared or nullcontext(), sender:
            await run.ask_all(at_once)

    with ExitStack() as stack:
        run.watch = _bar(stack, limits) if sys.stderr.isatty() else _lines(limits)
        try:
            asyncio.run(ask())
        except KeyboardInterrupt:
            return True
        except OSError as error:
            raise StepReplayError(
                f"{display(run.journal.path)} cannot be written: {error.strerror or error}. Nothing more was sent"
            ) from None
    return False


class _TimedTally:
    """How far a run is, as text: what it says of the time goes on while nothing comes back."""

    def __init__(self, limits: Limits, room: Callable[[whole_folder.Tally], int]) -> None:
        self._limits = limits
        self._room = room
        self._began = clock.seconds()
        self.tally: whole_folder.Tally | None = None

    def __str__(self) -> str:
        if self.tally is None:
            return ""
        passed = clock.seconds() - self._began
        return told_of(self.tally, passed, self._limits, self._room(self.tally))


def _bar(stack: ExitStack, limits: Limits) -> Callable[[whole_folder.Tally], None]:
    """Returns what shows the progress as a bar, with the rate, the spend and the time left."""
    bar = stack.enter_context(printing.progress_bar("Asking", "{task.fields[told]}"))

    def room(tally: whole_folder.Tally) -> int:
        return bar.console.width - len(f"Asking {tally.done}/{tally.total}") - SHORTEST_BAR

    told = _TimedTally(limits, room)
    task = bar.add_task("", total=None, told=told)

    def show(tally: whole_folder.Tally) -> None:
        told.tally = tally
        bar.update(task, total=tally.total, completed=tally.done)

    return show


def _lines(limits: Limits) -> Callable[[whole_folder.Tally], None]:
    """Returns what tells the progress in a line, now and then."""
    told = _TimedTally(limits, lambda _: WIDE)
    told_at = clock.seconds()

    def show(tally: whole_folder.Tally) -> None:
        nonlocal told_at
        told.tally = tally
        if clock.seconds() - told_at >= BETWEEN_LINES:
            told_at = clock.seconds()
            echo(f"{tally.done:,} of {tally.total:,}: {told}", err=True)

    return show


def told_of(tally: whole_folder.Tally, passed: float, limits: Limits, room: int) -> str:
    """Returns the rate, the spend and the time left; where there is no room for all of it, what matters most.

    Args:
        tally: how far the run is.
        passed: seconds since it began.
        limits: that it keeps to, and so will.
        room: the columns.
    """
    parts = [f"{plural(tally.calls, 'call')}, {plural(tally.tokens, 'token')}"]
    if tally.asked and passed > 1:
        rate = 60 * tally.asked / passed
        rate = min(rate, limits.calls_a_minute or rate)
        if limits.tokens_a_minute and tally.tokens:
            rate = min(rate, limits.tokens_a_minute * tally.calls / tally.tokens)
        left = int(60 * (tally.total - tally.done) / rate)
        parts.insert(0, f"{rate:,.0f} a minute")
        parts.append(f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02} left")
    while len(parts) > 1 and len(", ".join(parts)) > room:
        del parts[0]
    return ", ".join(parts)


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86_400:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of seconds above 0")
    return seconds


def _shard(word: str) -> Shard:
    try:
        return read_shard(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _limit(label: str, text: str) -> Option:
    return Option(label, text, {"type": number_from_1})


VERIFY_COMMAND: Final = Command(
    name="verify",
    description="""
    Send what is recorded again, without the tests, and compare the answers.

    CASSETTES are cassettes, tests (by name or by id) and folders; by default the project's folder. What drifted is
    left as pending changes for `stepreplay review`, unless CI is set. A run that was ended goes on where it was, and
    sends no call twice. Exit status 1 means that something has drifted, or could not be verified; 130, that Ctrl-C
    ended it.
    """,
    examples=(
        "stepreplay verify",
        "stepreplay verify cassettes/test_chat --rpm 60 --max-tokens 200000",
        "stepreplay verify --report drift.json --fail-on contract",
        "stepreplay verify --samples 60 --keep-samples",
    ),
    operands=(Operand("cassettes", "any", existing_paths, spreads=True),),
    options=(
        Option(
            "--concurrency N",
            f"How many requests to send at the same time. [default: {AT_ONCE}]",
            {"type": number_from_1, "default": AT_ONCE},
        ),
        _limit("--rpm N", "Send at most N calls in any minute."),
        _limit("--tpm N", "Use at most N tokens in any minute."),
        _limit("--max-calls N", "Send at most N calls in all, those included that are tried again."),
        _limit("--max-tokens N", "Use at most N tokens in all."),
        Option(
            "--timeout SECONDS",
            f"How long to wait for the next byte of an answer. [default: {TIMEOUT:g}]",
            {"type": _seconds, "default": TIMEOUT},
        ),
        Option(
            "--base-url FROM=TO",
            "Send to TO what was recorded from URLs that begin with FROM; can be given several times.",
            {"action": "append", "default": []},
        ),
        Option(
            f"--fail-on [{'|'.join(FAILING)}]",
            "The lowest level of drift that fails. [default: stepreplay_fail_on, or behavior]",
            {"type": one_of(FAILING)},
        ),
        Option(
            "--samples N",
            "Ask each request up to N times, and tell a change from a model's own variance. "
            "[default: stepreplay_samples, or 1]",
            {"type": number_from_1},
        ),
        Option(
            "--error-rate RATE",
            "How often a change may be reported where there is none, such as 0.01. "
            "[default: stepreplay_error_rate, or 0.05]",
            {},
        ),
        Option(
            "--keep-samples",
            "Store the answers in the cassettes, as the samples that later runs compare with.",
        ),
        Option(
            "--judge MODULE:FUNCTION",
            "What says whether two texts mean the same: a function of both, or of one that returns its vector. "
            "[default: stepreplay_judge]",
            {},
        ),
        Option("--report FILE", "Write what was found to this file, in the form that its name ends in.", {}),
        HISTORY_OF_REPORT,
        Option(
            "--shard I/N",
            "Ask only this part of the requests, as one of N machines; `stepreplay merge` adds their reports up.",
            {"type": _shard},
        ),
        Option(
            "--budget URL",
            "Share the limits with all that name the same budget, as redis://HOST/0/NAME or s3://BUCKET/NAME.",
            {},
        ),
        Option("--fresh", "Begin anew, whatever an earlier run has sent."),
        AS_JSON,
    ),
    run=_run,
)
