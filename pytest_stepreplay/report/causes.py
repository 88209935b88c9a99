"""Failures that one change has brought about, told once: what they have in common, the tests, one command.

One plain mapping per failure goes in, so that xdist can carry it: ``cause`` and ``records``, as in
`errors.Explanation`, and ``test``, as a person types it. Lines for the end of a run come out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..commands import pytest_command
from ..texts.escaping import escape_for_terminal
from .misses import NO_CASSETTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TESTS: Final = 5
"""How many tests are listed for one cause."""
_NAMED: Final = 3
"""How many tests, or else modules, a command names."""


def render_causes(failures: Iterable[Mapping[str, Any]]) -> list[str]:
    """Returns what several tests have in common, the most frequent cause first; nothing for a test of its own."""
    tests: dict[str, dict[str, bool]] = {}
    for each in failures:
        if each["cause"]:
            tests.setdefault(each["cause"], {})[each["test"]] = each["records"]
    lines: list[str] = []
    for cause, found in sorted(tests.items(), key=lambda each: -len(each[1])):
        if len(found) > 1:
            lines += _group(cause, [*found], records=any(found.values()))
    if len(tests.get(NO_CASSETTE, ())) > 1:
        lines.append("an answer with status 400 or above is recorded only with record_errors=True")
    return [escape_for_terminal(line) for line in lines]


def _group(cause: str, tests: Sequence[str], *, records: bool) -> list[str]:
    first, *others = cause.splitlines()
    also = f" and {len(others)} more" if others else ""
    lines = [f"{len(tests)} tests: {first}{also}", *(f"  {test}" for test in tests[:_TESTS])]
    if len(tests) > _TESTS:
        lines.append(f"  ... and {len(tests) - _TESTS} more")
    if records:
        command = pytest_command("--stepreplay=record", tests=_arguments(tests))
        lines.append(f"  if they mean to ask this: {command}")
    return lines


def _arguments(tests: Sequence[str]) -> list[str]:
    """Returns the tests, or their modules, or nothing for all of the suite: what a person would type."""
    modules = [*dict.fromkeys(test.partition("::")[0] for test in tests)]
    named = tests if len(tests) <= _NAMED else modules if len(modules) <= _NAMED else []
    return [*named]
