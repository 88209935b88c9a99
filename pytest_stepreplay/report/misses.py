"""The text of a miss: which request has no answer, what differs in the conversation, why, and what to run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from ..commands import project_command, pytest_command, stepreplay_command
from ..endpoints import base_of_url
from ..errors import Explanation
from ..texts import plural
from ..texts.escaping import escape_for_terminal
from ..texts.varying import KINDS
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..matching.nearness import Nearest
    from ..models import Request

SHOWN_DIFFERENCES = 6
_MEANT = (
    "messages",
    "model",
    "tool",
    "stream",
    "temperature",
    "top_p",
    "max_",
    "response_format",
    "reasoning",
    "stop",
)
"""What a request asks for: a difference there is never suggested to be ignored."""


_CAUSES = {
    "absent_equals": "fields that are null or empty on one side and absent on the other",
    "ignore_order": "the order of a list",
}
"""What makes two requests differ that are equal under a setting."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A request that nothing recorded answers, and what is known about it.

    Attributes:
        test: the id of the test; empty outside of pytest.
        typed: what a person types to run it; empty for a fixture.
        cassette: its path, as a person would type it.
        exists: the cassette does.
        writable: it can be recorded into; one of another tool cannot.
        recorded: how many interactions it holds.
        played: how many of them have been played.
        times_recorded: how often this very request was recorded; all of them have been played.
        nearest: the recorded request that is most like it.
        elsewhere: another cassette of the suite that answers it.
        normalized: what of the request is not compared as it stands, such as ``2 dates``.
        stale: why the test no longer sends the nearest request, if the cassette says so.
        served: the command that serves the cassette, where no test and no code of Python opened it.
        is_behind: the cassette is kept outside of git, and others have recorded it again.
        moved: where the test has no cassette, that of a test of the same name which is gone.
    """

    request: Request
    test: str
    cassette: str
    exists: bool
    writable: bool
    recorded: int
    played: int
    times_recorded: int
    nearest: Nearest | None
    elsewhere: str | None
    moved: str | None = None
    typed: str = ""
    normalized: str = ""
    stale: str = ""
    served: str = ""
    is_behind: bool = False


NO_CASSETTE: Final = "there is no cassette yet"
"""The cause of a miss in a test that was never recorded."""


def explain_miss(miss: Miss) -> Explanation:
    """Returns the whole explanation; its first line stands for itself in pytest's short summary."""
    shown = _shown_differences(miss.nearest) if miss.nearest else []
    holds = f"{miss.recorded} recorded, {miss.played} played" if miss.exists else "does not exist"
    lines = [
        _headline(miss),
        "",
        *([f"  test      {miss.test}"] if miss.test else []),
        f"  cassette  {miss.cassette} ({holds})",
        f"  request   {miss.request.method} {miss.request.url}",
        *([f"            normalized: {miss.normalized}"] if miss.normalized else []),
        "",
        *_differences(miss, shown),
        f"  Why: {_reason(miss)}",
        "",
        *_fixes(miss),
    ]
    text, cause = (escape_for_terminal("\n".join(each), lines=True) for each in (lines, _cause(miss, shown)))
    return Explanation(text, cause, records="ignore_order" not in _remedy(miss))


def _cause(miss: Miss, shown: list[str]) -> list[str]:
    """Returns what a miss has in common with those of other tests that one change has brought about."""
    if miss.times_recorded:
        return ["asked once more than recorded"]
    if not miss.exists:
        return [NO_CASSETTE]
    if miss.nearest and miss.nearest.differences:
        return shown
    return ["the cassette holds nothing like this request"]


def _headline(miss: Miss) -> str:
    if miss.times_recorded:
        return (
            f"asked once more than recorded: {plural(miss.times_recorded, 'recorded answer')}, already played"
        )
    if not miss.exists:
        return f"not recorded: {NO_CASSETTE}"
    if miss.nearest and miss.nearest.differences:
        return f"not recorded: {miss.nearest.differences[0].selector} differs"
    return "not recorded: the cassette holds nothing like this request"


def _differences(miss: Miss, shown: list[str]) -> list[str]:
    if miss.nearest is None:
        return []
    lines = [f"  The nearest recorded request is interaction {miss.nearest.position + 1}. What differs:"]
    return [*lines, *(f"    {line}" for line in shown), ""]


def _shown_differences(nearest: Nearest) -> list[str]:
    shown = nearest.differences[:SHOWN_DIFFERENCES]
    lines = [line for each in shown for line in str(each).splitlines()]
    if len(nearest.differences) > len(shown):
        lines.append(f"... and {len(nearest.differences) - len(shown)} more")
    return lines


def _reason(miss: Miss) -> str:
    if miss.times_recorded:
        asked = _times(miss.times_recorded + 1)
        return f"it was recorded {_times(miss.times_recorded)}, and {_asker(miss)} has sent it {asked}."
    if remedy := _remedy(miss):
        return (
            f"it differs only by {_enumerate([_name_cause(name, value) for name, value in remedy.items()])}."
        )
    if miss.stale and miss.nearest:
        return f"interaction {miss.nearest.position + 1} is stale: it {miss.stale}."
    if miss.elsewhere:
        return f"it was recorded for another test, in {miss.elsewhere}."
    return "it was never recorded."


def _fixes(miss: Miss) -> list[str]:
    if miss.test:
        record = pytest_command("--stepreplay=record", tests=[miss.typed] if miss.typed else ())
    elif miss.served:
        record = f"{miss.served} --mode record --upstream {''.join(base_of_url(miss.request.url))}"
    else:
        record = f'use_cassette("{miss.cassette}", mode="record")'
    remedy = _remedy(miss)
    meant = f"  Fix: if {_asker(miss)} means to ask this,"
    lines = [f"{meant} record it:", f"         {record}"]
    if miss.is_behind:
        lines = [
            "  Fix: others have recorded this cassette again, and you have the one before:",
            f"         {project_command('pull')}",
            lines[0].replace("  Fix: ", "       "),
            lines[1],
        ]
    if not miss.writable:
        lines[:1] = [
            f"{meant} convert the cassette, which another tool wrote, and record it:",
            f"         {stepreplay_command('convert', miss.cassette)}",
        ]
    if remedy:
        settings = ", ".join(f"{name}={_literal(value)}" for name, value in remedy.items())
        advice = [_advice(remedy), f"         {_setting(miss, settings)}"]
        # What comes in another order each time, does so after the next recording too.
        if "ignore_order" in remedy:
            return [f"  Fix: {advice[0]}", advice[1]]
        lines += [f"       {advice[0]}", advice[1]]
    candidate = miss.elsewhere or miss.moved
    if candidate and not miss.exists and miss.test:
        lines += [
            f"       if the test was renamed or moved, {candidate} may be its own:",
            f"         {project_command('relink')}",
        ]
    if miss.times_recorded:
        lines += [
            "       if the same answer may be used again:",
            f"         {_setting(miss, 'allow_repeats=True')}",
        ]
    volatile = _ignorable(miss)
    if volatile:
        setting = _setting(miss, f'ignore_request=["{volatile}"]')
        lines += [f"       if {volatile} differs on every run:", f"         {setting}"]
    return lines


def _remedy(miss: Miss) -> Mapping[str, str | tuple[str, ...]]:
    return miss.nearest.remedy if miss.nearest else {}


def _name_cause(name: str, value: str | tuple[str, ...]) -> str:
    return _CAUSES[name] if name in _CAUSES else _enumerate(_varying(value))


def _varying(value: Iterable[str]) -> list[str]:
    """Returns what the values of some kinds are called; those of a user's own pattern are known to the user."""
    return list(dict.fromkeys(KINDS[kind].many for kind in value if kind in KINDS))


def _advice(remedy: Mapping[str, str | tuple[str, ...]]) -> str:
    if "normalize" in remedy:
        return f"if {_enumerate(_varying(remedy['normalize']))} differ on every run, do not compare them:"
    if "ignore_order" not in remedy:
        return "if your API treats both alike:"
    also = " (and leave out what is null or empty)" if "absent_equals" in remedy else ""
    return (
        f"sort {_enumerate(remedy['ignore_order'])} where the request is made{also}, or do not compare that:"
    )


def _literal(value: str | tuple[str, ...]) -> str:
    return json.dumps(value if isinstance(value, str) else list(value))


def _enumerate(items: Sequence[str]) -> str:
    return " and ".join([*filter(None, [", ".join(items[:-1])]), items[-1]])


def _setting(miss: Miss, argument: str) -> str:
    if miss.test:
        return f"@pytest.mark.stepreplay({argument})"
    if not miss.served:
        return f"use_cassette(..., {argument})"
    name, _, value = argument.partition("=")
    return (
        f"{miss.served} --allow-repeats"
        if value == "True"
        else f"pyproject.toml: stepreplay_{name} = {value}"
    )


def _asker(miss: Miss) -> str:
    return "the client" if miss.served else "the test"


def _ignorable(miss: Miss) -> str:
    """Returns the first differing place that a person would not have changed on purpose, else nothing."""
    for each in miss.nearest.differences if miss.nearest else ():
        if each.in_body and not each.selector.startswith(_MEANT):
            return each.selector
    return ""


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
