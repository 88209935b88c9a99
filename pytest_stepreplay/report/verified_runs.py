"""What is said of verified and rewritten interactions: at the end of a run, in a file, and in a test's failure.

One plain mapping per interaction goes in, so that xdist can carry it: ``test`` (its id), ``path`` (of the
cassette, as a person would type it), ``interaction`` (from 1), ``status`` (``same``, ``drifted`` or
``unverified``), ``drift`` (`Drift.to_json`, or None), ``reason`` (why it is unverified), ``known`` (it
stands in the baseline), and, where later requests quote the stored answer, ``quoted`` (who, in words) and
``again`` (the tests to record anew, as a person types them). Text that is safe to print comes out, or JSON.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from ..commands import pytest_command, review_command, stepreplay_command
from ..settings import VERIFY
from ..settings.levels import FAIL_ON
from ..texts.escaping import code_for_markdown, escape_for_markdown, escape_for_terminal
from ..texts.words import diff_words
from .grouping import deciding_command, group_by_cause, rewriting_command, shared_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..drift.changes import Change, Drift
    from ..settings.levels import FailOn

    Result = Mapping[str, Any]
    from ..settings import Mode

REPORT_VERSION: Final = 1
"""The version of the schema that `render_verification_json` returns."""

_LEVELS: Final = tuple(level for level in FAIL_ON if level != "never")
_MEANING: Final = {
    "contract": "the response breaks the documented object",
    "behavior": "the model does something different",
    "content": "the text differs",
    "metadata": "only other fields differ",
}
_ROWS = 10
_MANY = 3
_PAGE_ROWS = 50
_PAGE_WIDTH = 200
_SECTION_LINES = 200
_FACT_WIDTH = 28
_NOTE_WIDTH = 24
_CONTEXT = 40
_PLACE_WIDTH = 160


# ---------------------------------------------------------------- the end of a run


def render_verification(
    results: Iterable[Result],
    *,
    fail_on: FailOn | str,
    mode: Mode = VERIFY,
    pending: bool = True,
    width: int = 80,
    waiting: Iterable[str] = (),
) -> list[str]:
    """Returns the lines for the terminal: the numbers, a table per level with the worst first, what to run.

    Args:
        results: the interactions of all processes, in any order.
        fail_on: the level from which on drift fails in this run; of no account in a rewrite.
        mode: whether the cassettes were verified or rewritten.
        pending: the new responses were left in pending files.
        width: the columns of the terminal.
        waiting: the paths of all cassettes and snapshots for which a decision is pending, of earlier runs too.
    """
    ordered, waiting = _ordered(results), [*waiting]
    if not ordered:
        return []
    new, known = _drifted(ordered)
    lines = [_numbers(ordered, mode)]
    if not mode.rewrites and (new or known):
        lines.append(_verdict(new, str(fail_on)))
    if known:
        lines.append(f"{_interactions(len(known))} with known drift, not listed: it is in the baseline")
    lines = [part for line in lines for part in textwrap.wrap(line, width, subsequent_indent="  ")]
    for level, group in _by_level(new):
        decide: Callable[[Sequence[Result]], str] | None = None
        if pending and not mode.rewrites:
            decide = lambda group: deciding_command(group, new, waiting)  # noqa: E731 - with what is known here
        table = _table(group, _fact_of, width, decide)
        lines += ["", f"{level} ({len(group)}): {_MEANING[level]}", *table]
    unverified = [each for each in ordered if each["status"] == "unverified"]
    if unverified:
        heading = f"{_unverified(mode)} ({len(unverified)})"
        lines += ["", heading, *_table(unverified, _reason_of, width)]
    if new:
        lines += ["", *_commands(new, mode, pending=pending)]
    return [escape_for_terminal(line) for line in lines]


def _unverified(mode: Mode) -> str:
    if mode.rewrites:
        return "not compared with the old cassette"
    return "could not verify: there was no answer to compare"


def _ordered(results: Iterable[Result]) -> list[Result]:
    return sorted(results, key=lambda each: (each["path"], each["interaction"], each["test"]))


def _drifted(results: Iterable[Result]) -> tuple[list[Result], list[Result]]:
    """Returns what drifted anew, and what the baseline knows."""
    drifted = [each for each in results if each["status"] == "drifted"]
    return [each for each in drifted if not each["known"]], [each for each in drifted if each["known"]]


def _by_level(results: Sequence[Result]) -> Iterable[tuple[str, list[Result]]]:
    """Yields each level that something drifted at, the worst first, with the interactions whose worst it is."""
    for level in _LEVELS:
        group = [each for each in results if each["drift"]["level"] == level]
        if group:
            yield level, group


def _numbers(results: Sequence[Result], mode: Mode) -> str:
    counts = Counter(each["status"] for each in results)
    compared = len(results) - counts["unverified"]
    of_all = f" of {len(results)}" if compared < len(results) else ""
    cassettes = len({each["path"] for each in results})
    return (
        f"{'rewrote' if mode.rewrites else 'verified'} {compared}{of_all} "
        f"{'interaction' if len(results) == 1 else 'interactions'} in "
        f"{cassettes} {'cassette' if cassettes == 1 else 'cassettes'}: "
        f"{counts['same']} unchanged, {counts['drifted']} drifted"
    )


def _verdict(new: Sequence[Result], fail_on: str) -> str:
    if fail_on == "never":
        return "no interactions fail (fail-on: never)"
    failed = sum(not each["drift"]["passes"] for each in new)
    fails = "1 interaction fails" if failed == 1 else f"{failed or 'no'} interactions fail"
    return f"{fails} (fail-on: {fail_on})"


def _commands(new: Sequence[Result], mode: Mode, *, pending: bool) -> list[str]:
    if mode.rewrites:
        return ["git diff shows what changed in the cassettes"]
    if not pending:
        return [
            f"no pending files were written here; to get them, run: {pytest_command('--stepreplay=verify')}"
        ]
    quoted = [each for each in new if each.get("quoted")]
    lines = [_breaking(quoted), f"  {rewriting_command(quoted)}"] if quoted else []
    told = {review_command(): "look at each change, accept or reject it"}
    if len(quoted) < len(new):
        after = ", once those are recorded" if quoted else ""
        told[review_command("accept", "--all")] = f"accept all of them{after}"
    width = max(map(len, told)) + 4
    return [*lines, *(f"{command:{width}}{meaning}" for command, meaning in told.items())]


def _breaking(quoted: Sequence[Result]) -> str:
    one = quoted[0]
    told = f"{one['path']}#{one['interaction']}: {one['quoted']}"
    others = len(quoted) - 1
    more = f", and {others:,} more are quoted" if others > 1 else ", and 1 more is quoted" if others else ""
    return f"{told}{more}. To accept that alone breaks the tests; record them anew:"


def _interactions(count: int) -> str:
    return f"{count} {'interaction' if count == 1 else 'interactions'}"


# ---------------------------------------------------------------- tables


def _fact_of(group: Sequence[Result], columns: int) -> str:
    """Returns the leading change of drifts that have one cause, in so many columns."""
    shared = shared_change(group)
    change, more = shared.change, f" (+{shared.more})" if shared.more else ""
    summary = change["summary"]
    room = columns - len(more) - 2
    selector = _shortened(escape_for_terminal(change["selector"]), room - min(_columns(summary), _FACT_WIDTH))
    room -= _columns(selector)
    if _columns(summary) > room and change["kind"] not in ("contract", "replaced", "words"):
        # What stands behind the values says more than their ends.
        note = f"; {escape_for_terminal(change['note'])}" if "note" in change else ""
        summary, tail = summary.removesuffix(note), _clipped(note, _NOTE_WIDTH)
        if change["kind"] == "text":
            tail = f" (similarity {int(change['similarity'] * 100) / 100:.2f}){tail}"
            summary = diff_words(change["old"], change["new"], width=room - _columns(tail) + _CONTEXT)
            summary = _from_change(escape_for_terminal(summary), room - _columns(tail))
        summary = _clipped(summary, max(room - _columns(tail), 1)) + tail
    return f"{selector}: {_clipped(escape_for_terminal(summary), room)}{more}"


def _from_change(text: str, columns: int) -> str:
    """Returns a word-level diff without what stays before its first change, where it takes more columns."""
    start = min((at for at in map(text.find, ("[-", "{+")) if at >= 0), default=0)
    return f"…{text[start:]}" if start and _columns(text) > columns else text


def _reason_of(group: Sequence[Result], columns: int) -> str:
    return _clipped(escape_for_terminal(group[0]["reason"]), columns)


def _table(
    results: Sequence[Result],
    tell: Callable[[Sequence[Result], int], str],
    width: int,
    decide: Callable[[Sequence[Result]], str] | None = None,
) -> Iterable[str]:
    """Yields the rows: first what many have in common, told once, then the others.

    Args:
        results: of one level, or unverified.
        tell: returns the fact of some with one cause in so many columns.
        width: of the terminal.
        decide: returns the command that decides about some with one cause, if anything does.
    """
    many, few = _many_and_few(results)
    for group in many[:_ROWS]:
        yield from _told_once(group, tell(group, max(width, 60) - 2), decide(group) if decide else "")
    shown = few[: max(_ROWS - len(many), 0)]
    if shown:
        yield from _rows(shown, tell, width)
    left = len(results) - sum(map(len, many[:_ROWS])) - len(shown)
    if left:
        yield f"  ... and {left:,} more; --stepreplay-report=FILE.json lists all"


def _many_and_few(results: Sequence[Result]) -> tuple[list[list[Result]], list[Result]]:
    """Returns the groups of one cause that are told once, the largest first, and what has no such group."""
    groups = group_by_cause(results)
    few = {id(each) for group in groups if len(group) < _MANY for each in group}
    many = sorted((group for group in groups if len(group) >= _MANY), key=len, reverse=True)
    return many, [each for each in results if id(each) in few]


def _told_once(group: Sequence[Result], fact: str, command: str) -> Iterable[str]:
    """Yields a fact with the interactions that have it in common."""
    yield f"  {_who(group)}: {fact}"
    yield from (f"    {_place(each)}" for each in group[:_MANY])
    if len(group) > _MANY:
        yield f"    ... and {len(group) - _MANY:,} more"
    if command:
        yield f"    {command}"


def _who(group: Sequence[Result]) -> str:
    tests = len({each["test"] for each in group})
    return f"{tests:,} tests" if tests == len(group) else f"{len(group):,} interactions"


def _rows(shown: Sequence[Result], tell: Callable[[Sequence[Result], int], str], width: int) -> Iterable[str]:
    """Yields two columns where all of them fit into the terminal, else the place above the fact."""
    places = [_place(each) for each in shown]
    widest = max(map(_columns, places))
    beside = all(widest + 4 + _columns(tell([each], _PLACE_WIDTH)) <= width for each in shown)
    for place, each in zip(places, shown, strict=True):
        if beside:
            yield f"  {place}{' ' * (widest - _columns(place))}  {tell([each], _PLACE_WIDTH)}"
        else:
            yield f"  {place}"
            yield f"    {tell([each], max(width, 60) - 4)}"


def _place(result: Result) -> str:
    return f"{_clipped(escape_for_terminal(result['path']), _PLACE_WIDTH)}#{result['interaction']}"


def _columns(text: str) -> int:
    """Returns how many columns of a terminal a text takes; Chinese, Japanese and Korean take two each."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    return 0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")


def _clipped(text: str, columns: int) -> str:
    """Returns the text, or its start with an ellipsis where it takes more columns."""
    head = text[: 4 * columns]
    if head == text and _columns(text) <= columns:
        return text
    ends = accumulate(map(_columns_of, head), initial=1)
    return head[: sum(end <= columns for end in ends) - 1] + "…"


def _shortened(text: str, columns: int) -> str:
    """Returns the text, or both its ends with an ellipsis between them where it takes more columns."""
    if _columns(text) <= columns:
        return text
    tail = _clipped(text[: -4 * columns - 1 : -1], columns // 2)[::-1]
    return _clipped(text, columns - columns // 2) + tail.removeprefix("…")


# ---------------------------------------------------------------- files


def render_verification_markdown(
    results: Iterable[Result], *, mode: Mode = VERIFY, pending: bool = True
) -> str:
    """Returns a page for a file, a pull request or a CI system's summary; it ends with a newline.

    What many interactions have in common is told once. At most fifty rows stand under each heading, so that the page
    stays far below what GitHub takes.

    Args:
        results: the interactions of all processes, in any order.
        mode: whether the cassettes were verified or rewritten.
        pending: the new responses were left in pending files.
    """
    ordered = _ordered(results)
    title = "## stepreplay: rewritten" if mode.rewrites else "## stepreplay: verified against the API"
    if not ordered:
        return f"{title}\n\nNothing was {'rewritten' if mode.rewrites else 'verified'}.\n"
    new, known = _drifted(ordered)
    lines = [title, "", f"{_numbers(ordered, mode)}."]
    if known:
        lines += ["", f"{_interactions(len(known))} with known drift, not listed: it is in the baseline."]
    for level, group in _by_level(new):
        lines += ["", f"### {level} ({len(group)}): {_MEANING[level]}", ""]
        lines += _page_table("what changed", group, _page_fact)
    unverified = [each for each in ordered if each["status"] == "unverified"]
    if unverified:
        lines += ["", f"### {_unverified(mode)} ({len(unverified)})", ""]
        lines += _page_table("why", unverified, lambda group: _page_text(group[0]["reason"]))
    if new and not mode.rewrites:
        lines += _page_commands(new, pending=pending)
    return "\n".join(lines) + "\n"


def _page_commands(new: Sequence[Result], *, pending: bool) -> Iterable[str]:
    quoted = [each for each in new if each.get("quoted")] if pending else []
    if quoted:
        yield ""
        yield f"{_page_text(_breaking(quoted))} {_command(rewriting_command(quoted))}"
    yield ""
    if not pending:
        verify = _command(pytest_command("--stepreplay=verify"))
        yield f"No pending files were written there. To get them, run {verify}."
        return
    review = f"Review with {_command(review_command())}"
    accept = f", or accept all with {_command(review_command('accept', '--all'))}"
    yield f"{review}{accept if len(quoted) < len(new) else ''}."


def _page_table(
    heading: str, results: Sequence[Result], tell: Callable[[Sequence[Result]], str]
) -> Iterable[str]:
    yield f"| interaction | {heading} | test |"
    yield "|---|---|---|"
    many, few = _many_and_few(results)
    groups = [*many, *([each] for each in few)]
    for group in groups[:_PAGE_ROWS]:
        places = [f"{_code(each['path'])}#{each['interaction']}" for each in group]
        tests = [*dict.fromkeys(_code(each["test"]) for each in group)]
        yield f"| {_page_list(places)} | {tell(group)} | {_page_list(tests)} |"
    left = sum(map(len, groups[_PAGE_ROWS:]))
    if left:
        yield ""
        yield f"... and {left:,} more"


def _page_list(told: Sequence[str]) -> str:
    more = f" and {len(told) - _MANY:,} more" if len(told) > _MANY else ""
    return ", ".join(told[:_MANY]) + more


def _page_fact(group: Sequence[Result]) -> str:
    shared = shared_change(group)
    also = f" (and {shared.more})" if shared.more else ""
    return f"{_code(shared.change['selector'])}: {_code(shared.change['summary'])}{also}"


def _command(text: str) -> str:
    return code_for_markdown(text)


def _code(text: str) -> str:
    return code_for_markdown(_clipped(text, _PAGE_WIDTH), cell=True)


def _page_text(text: str) -> str:
    return escape_for_markdown(_clipped(escape_for_terminal(text), _PAGE_WIDTH))


def render_verification_json(results: Iterable[Result], *, mode: Mode = VERIFY) -> dict[str, Any]:
    """Returns the whole run as a value that any JSON writer takes.

    ::

        {"stepreplay_report": 1,                          the version of this schema
         "mode": "verify",                                or "rewrite"
         "counts": {"same": 7, "drifted": 4,              interactions by status
                    "unverified": 1,
                    "known": 1, "failed": 2},             of those that drifted
         "levels": {"contract": 0, "behavior": 2,         those that drifted, known ones too, by their
                    "content": 1, "metadata": 1},         worst level
         "interactions": [
           {"test": "tests/test_chat.py::test_weather",
            "path": "cassettes/test_chat/test_weather.yaml",
            "interaction": 2,                             its number in the cassette, from 1
            "status": "drifted",                          or "same", "unverified"
            "drift": {"level": "behavior",                null unless it drifted
                      "fail_on": "behavior",
                      "passes": false,
                      "changes": [{"selector": ..., "level": ..., "kind": ..., "summary": ...,
                                   "old": ..., "new": ...}]},
            "reason": "",                                 why it is unverified
            "known": false,                               its drift stands in the baseline
            "failed": true}]}                             it drifted, is not known, and does not pass

    Args:
        results: the interactions of all processes, in any order; here they stand by path and number.
        mode: whether the cassettes were verified or rewritten.
    """
    listed = [_listed(each, mode) for each in _ordered(results)]
    statuses = Counter(each["status"] for each in listed)
    levels = Counter(each["drift"]["level"] for each in listed if each["status"] == "drifted")
    counts = {status: statuses[status] for status in ("same", "drifted", "unverified")}
    counts |= {name: sum(each[name] for each in listed) for name in ("known", "failed")}
    return {
        "stepreplay_report": REPORT_VERSION,
        "mode": mode.name,
        "counts": counts,
        "levels": {level: levels[level] for level in _LEVELS},
        "interactions": listed,
    }


def _listed(result: Result, mode: Mode) -> dict[str, Any]:
    drift = result["drift"] if result["status"] == "drifted" else None
    return {
        "test": result["test"],
        "path": result["path"],
        "interaction": result["interaction"],
        "status": result["status"],
        "drift": drift,
        "reason": result["reason"],
        "known": bool(drift and result["known"]),
        "failed": bool(not mode.rewrites and drift and not drift["passes"] and not result["known"]),
    }


# ---------------------------------------------------------------- one test


def failure_text(
    drifts: Sequence[tuple[int, Drift]],
    *,
    path: str,
    test: str,
    pending: bool = True,
    quoted: str = "",
    again: Sequence[str] | None = None,
) -> str:
    """Returns why a test fails in verify, in at most twelve lines; the first is the fact itself.

    Args:
        drifts: the numbers of the interactions, from 1, with the drift that fails the test; one at least.
        path: of the cassette, as a person would type it.
        test: the id of the test.
        pending: the new responses were left in a pending file.
        quoted: who quotes the stored answers, in words; then accepting a new one alone breaks the test.
        again: what to run again, if not the test: the tests of a fixture.
    """
    number, drift = max(drifts, key=lambda each: each[1].level)
    others = [(number, change) for change in drift.changes[1:]]
    others += [(n, change) for n, other in drifts if n != number for change in other.changes]
    others.sort(key=lambda each: -each[1].level)
    worst = drift.changes[0]
    source = f" ({worst.source})" if worst.source else ""
    lines = [
        _fact(worst),
        "",
        f"  drift     {worst.level}: {_MEANING[str(worst.level)]}{source}",
        f"  cassette  {path}, interaction {number}",
        f"  test      {test}",
        *_also(others, number),
        "",
        *_accepting(path, [test] if again is None else again, pending=pending, quoted=quoted),
    ]
    return "\n".join(escape_for_terminal(line) for line in lines)


def _fact(change: Change) -> str:
    return f"{_shortened(change.selector, _PLACE_WIDTH)}: {change.summary}"


def _also(others: Sequence[tuple[int, Change]], number: int) -> list[str]:
    lines = []
    for n, change in others[:2]:
        where = "" if n == number else f"interaction {n}: "
        lines.append(f"{where}{_fact(change)} ({change.level})")
    if len(others) > 2:
        counts = Counter(str(change.level) for _, change in others[1:])
        told = ", ".join(f"{counts[level]:,} {level}" for level in _LEVELS if counts[level])
        lines[1:] = [f"... and {len(others) - 1:,} more: {told}"]
    return [f"  {'also' if i == 0 else '':8}  {line}" for i, line in enumerate(lines)]


def _accepting(path: str, tests: Sequence[str], *, pending: bool, quoted: str) -> list[str]:
    accept = stepreplay_command("accept", path)
    if quoted:
        return [
            f"  Fix: {quoted}.",
            "       If the new answer is as good as the stored one, record anew:",
            f"         {pytest_command('--stepreplay=rewrite', tests=tests)}",
            *(["       to look at each change first:", f"         {review_command()}"] if pending else []),
        ]
    if pending:
        return [
            "  Fix: if the new answer is as good as the stored one, accept it:",
            f"         {accept}",
            "       to look at each change first:",
            f"         {review_command()}",
        ]
    return [
        "  Fix: no pending file was written here. If the new answer is as good, run this where you can commit:",
        f"         {pytest_command('--stepreplay=verify', tests=tests)}",
        f"         {accept}",
    ]


def section_text(drifts: Sequence[tuple[int, Drift]], *, path: str) -> str:
    """Returns the full diff for a section of a test's report: each interaction with all its changes.

    What goes beyond two hundred lines is counted.

    Args:
        drifts: the numbers of the interactions, from 1, with their drift.
        path: of the cassette, as a person would type it.
    """
    lines: list[str] = []
    for number, drift in drifts:
        head, *changes = drift.full().split("\n")
        lines += ["", f"{path}#{number}  {head}", *(f"  {line}".rstrip() for line in changes)]
    left = len(lines) - _SECTION_LINES
    if left > 0:
        lines = [
            *lines[:_SECTION_LINES],
            f"... and {left:,} more lines; --stepreplay-report=FILE.json lists all",
        ]
    return "\n".join(escape_for_terminal(line) for line in lines[1:])
