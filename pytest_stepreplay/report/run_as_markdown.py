"""A verified run as a page of Markdown: a file, a comment on a pull request, a CI system's summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..commands import pytest_command, review_command
from ..texts.columns import clipped
from ..texts.escaping import code_for_markdown, escape_for_markdown, escape_for_terminal
from . import sampled
from .grouping import rewriting_command, shared_change
from .verified_runs import MANY, MEANING, many_and_few

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .suite_runs import SuiteRun
    from .verified_runs import Result, VerifiedRun

_PAGE_ROWS: Final = 50
_PAGE_WIDTH: Final = 200


def render_as_markdown(run: VerifiedRun) -> str:
    """Returns a page for a file, a pull request or a CI system's summary; it ends with a newline.

    What many interactions have in common is told once. At most fifty rows stand under each heading, so that the page
    stays far below what GitHub takes.
    """
    if run.suite is not None and not run.results:
        return "\n".join([f"## stepreplay: {run.mode}", "", *_suite(run.suite)]) + "\n"
    title = "## stepreplay: rewritten" if run.mode.rewrites else "## stepreplay: verified against the API"
    if not run.results:
        return f"{title}\n\nNothing was {'rewritten' if run.mode.rewrites else 'verified'}.\n"
    lines = [title, "", f"{run.numbers}."]
    if run.known:
        lines += ["", f"{run.known_in_words}."]
    for level, group in run.by_level:
        lines += ["", f"### {level} ({len(group)}): {MEANING[level]}", ""]
        lines += _table("what changed", group, _fact)
    if run.unverified:
        lines += ["", f"### {run.why_unverified} ({len(run.unverified)})", ""]
        lines += _table("why", run.unverified, lambda group: _text(group[0]["reason"]))
    if run.sampled:
        lines += ["", f"### {sampled.numbers_of(run.sampled)}", "", *_sampled(run.sampled)]
    if run.new and not run.mode.rewrites:
        lines += _commands(run)
    if run.suite is not None:
        lines += ["", "### The suite", "", *_suite(run.suite)]
    return "\n".join(lines) + "\n"


def _suite(suite: SuiteRun) -> Iterable[str]:
    """Yields the summary of the suite as a list, as in the terminal."""
    for line in suite.lines():
        yield f"{'  ' * line.startswith('  ')}- {_text(line.strip())}"


def _commands(run: VerifiedRun) -> Iterable[str]:
    quoted = run.quoted if run.pending else []
    if quoted:
        yield ""
        yield f"{_text(run.breaking)} {code_for_markdown(rewriting_command(quoted))}"
    yield ""
    if not run.pending:
        verify = code_for_markdown(pytest_command("--stepreplay=verify"))
        yield f"No pending files were written there. To get them, run {verify}."
        return
    review = f"Review with {code_for_markdown(review_command())}"
    accept = f", or accept all with {code_for_markdown(review_command('accept', '--all'))}"
    yield f"{review}{accept if len(quoted) < len(run.new) else ''}."


def _table(heading: str, results: Sequence[Result], tell: Callable[[Sequence[Result]], str]) -> Iterable[str]:
    yield f"| interaction | {heading} | test |"
    yield "|---|---|---|"
    many, few = many_and_few(results)
    groups = [*many, *([each] for each in few)]
    for group in groups[:_PAGE_ROWS]:
        places = [f"{_code(each['path'])}#{each['interaction']}" for each in group]
        tests = [*dict.fromkeys(_code(each["test"]) for each in group)]
        yield f"| {_list(places)} | {tell(group)} | {_list(tests)} |"
    left = sum(map(len, groups[_PAGE_ROWS:]))
    if left:
        yield ""
        yield f"... and {left:,} more"


def _sampled(results: Sequence[Result]) -> Iterable[str]:
    yield "| interaction | verdict | answers | recorded | now |"
    yield "|---|---|---|---|---|"
    for each in results[:_PAGE_ROWS]:
        rows = sampled.class_rows(each["samples"])
        columns = [
            "<br>".join(told) for told in zip(*((_code(it[0]), it[1], it[2]) for it in rows), strict=True)
        ]
        place = f"{_code(each['path'])}#{each['interaction']}"
        yield f"| {place} | {_text(sampled.verdict_of(each['samples']))} | {' | '.join(columns)} |"
    left = len(results) - _PAGE_ROWS
    if left > 0:
        yield ""
        yield f"... and {left:,} more"


def _list(told: Sequence[str]) -> str:
    more = f" and {len(told) - MANY:,} more" if len(told) > MANY else ""
    return ", ".join(told[:MANY]) + more


def _fact(group: Sequence[Result]) -> str:
    shared = shared_change(group)
    also = f" (and {shared.more})" if shared.more else ""
    return f"{_code(shared.change['selector'])}: {_code(shared.change['summary'])}{also}"


def _code(text: str) -> str:
    return code_for_markdown(clipped(text, _PAGE_WIDTH), cell=True)


def _text(text: str) -> str:
    return escape_for_markdown(clipped(escape_for_terminal(text), _PAGE_WIDTH))
