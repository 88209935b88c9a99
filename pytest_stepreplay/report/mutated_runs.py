"""What is said of the mode mutate at the end of a run, and in a file: which tests notice which changes.

One plain mapping per test goes in, so that xdist can carry it: ``test`` (its id), ``path`` (of its cassette),
``status`` (``mutated``, ``brittle``, ``flaky`` or ``unmutated``), ``reason`` (why it is not mutated, or what went
wrong), and ``mutants``: mappings with ``operator``, ``level``, ``answer`` (from 1, among ``answers``), ``place``,
``told``, and ``result`` (``killed``, ``survived``, ``conversation`` or ``unreached``). Text that is safe to print
comes out, or JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from ..commands import pytest_command
from ..settings.levels import FAIL_ON
from ..texts.escaping import code_for_markdown, escape_for_markdown, escape_for_terminal
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Result = Mapping[str, Any]

REPORT_VERSION: Final = 1
"""The version of the schema that `mutants_as_json` returns."""

_LEVELS: Final = FAIL_ON[:-1]
_MOST_OF_A_TEST: Final = 10
_APART: Final = {"flaky": "flaky", "brittle": "brittle", "unmutated": "not mutated"}


@dataclass(frozen=True)
class MutatedRun:
    """A run of the mode mutate.

    Attributes:
        results: the tests of all processes, in any order; each mutant has ``known``.
        fail_on: from which level on a survivor fails the run, or never.
        baseline: the file of known survivors, if there is one.
        details: leave nothing out in the terminal.
    """

    results: Sequence[Result]
    fail_on: str = "behavior"
    baseline: str | None = None
    details: bool = False

    @property
    def ordered(self) -> list[Result]:
        """The results in the order of the tests' ids."""
        return _ordered(self.results)

    @property
    def fails(self) -> bool:
        """Whether a survivor fails the run."""
        survived = (mutant for each in self.results for mutant in _survivors(each))
        return any(_fails_at(mutant, self.fail_on) for mutant in survived)


def _fails_at(mutant: Result, fail_on: str) -> bool:
    """Whether a mutant that survived fails the run."""
    return not mutant["known"] and fail_on in _LEVELS and _rank(mutant) <= _LEVELS.index(fail_on)


def _rank(mutant: Result) -> int:
    return _LEVELS.index(mutant["level"])


def score_of(results: Iterable[Result]) -> tuple[int, int]:
    """Returns how many mutants were noticed by a test's own assertions, and how many could have been."""
    counted = _numbers(results)
    return counted["killed"], counted["killed"] + counted["survived"]


def _numbers(results: Iterable[Result]) -> Counter[str]:
    return Counter(
        mutant["result"] for each in results if each["status"] == "mutated" for mutant in each["mutants"]
    )


def _ordered(results: Iterable[Result]) -> list[Result]:
    return sorted(results, key=lambda each: each["test"])


def _survivors(result: Result) -> list[Result]:
    """Returns what survived a test, the worst level first, in the order in which it was tried."""
    return sorted((each for each in result["mutants"] if each["result"] == "survived"), key=_rank)


def survivor_line(result: Result, mutant: Result) -> str:
    """Returns what a person acts on: the test, and what it did not notice."""
    where = f", in answer {mutant['answer']}," if result["answers"] > 1 else ""
    return f"{result['test']} stays green when{where} {mutant['told']}"


def headline_of(run: MutatedRun) -> str:
    """Returns the numbers of a run."""
    return _headline(run.ordered)


def survivors_by_level(run: MutatedRun) -> Iterable[tuple[str, list[tuple[Result, Result]]]]:
    """Yields each level at which something survived, the worst first, with the tests and their mutants."""
    found = [(each, it) for each in run.ordered for it in _survivors(each)]
    for level in _LEVELS:
        here = [(each, it) for each, it in found if it["level"] == level]
        if here:
            yield level, here


def told_apart(run: MutatedRun) -> list[str]:
    """Returns a line for each test that is not counted, with the reason."""
    return [f"{_APART[each['status']]}: {each['test']} {each['reason']}" for each in _apart(run.ordered)]


def mutants_in_terminal(run: MutatedRun) -> str:
    """Returns the lines for the terminal: the numbers, a line for each survivor, and what else a person must know."""
    fail_on, baseline, details = run.fail_on, run.baseline, run.details
    ordered = _ordered(run.results)
    lines = [_headline(ordered)]
    found = [(each, it) for each in ordered for it in _survivors(each)]
    new = [(each, it) for each, it in found if not it["known"]]
    if new:
        lines.append(_verdict([it for _, it in new], fail_on))
    if len(new) < len(found):
        lines.append(f"{_mutants(len(found) - len(new))} of the baseline survived again, not listed")
    told = Counter[str]()
    by_test = sorted(
        new, key=lambda pair: (min(_rank(it) for each, it in new if each is pair[0]), pair[0]["test"])
    )
    for result, mutant in by_test:
        told[result["test"]] += 1
        if details or told[result["test"]] <= _MOST_OF_A_TEST:
            lines.append(f"survived ({mutant['level']}): {survivor_line(result, mutant)}")
    hidden = sum(number - _MOST_OF_A_TEST for number in told.values() if number > _MOST_OF_A_TEST)
    if hidden and not details:
        lines.append(f"… and {hidden} more; -v lists them all")
    lines += told_apart(run)
    if new:
        known = baseline or "survivors.json"
        write = pytest_command(
            "--stepreplay=mutate", "--stepreplay-fail-on=never", f"--stepreplay-baseline={known}"
        )
        lines += [
            "Assert what a survivor changes, and its test notices it. To fail only for new ones from now on:",
            f"  {write}",
        ]
    return "\n".join(escape_for_terminal(line) for line in lines)


def _apart(results: Iterable[Result]) -> list[Result]:
    """Returns the tests that are told for themselves, those that were not mutated last."""
    order = (*_APART,)
    return sorted(
        (each for each in results if each["status"] in order), key=lambda each: order.index(each["status"])
    )


def _headline(results: Sequence[Result]) -> str:
    numbers = _numbers(results)
    noticed, tried = score_of(results)
    tests = sum(each["status"] == "mutated" for each in results)
    parts = [f"{numbers['killed']} noticed", f"{numbers['survived']} survived"]
    if numbers["conversation"]:
        parts.append(
            f"{numbers['conversation']} noticed by the conversation alone: its next request is another"
        )
    if numbers["unreached"]:
        parts.append(f"{numbers['unreached']} not reached")
    told = f"{_mutants(sum(numbers.values()))} of {tests} test{'s' * (tests != 1)}: {', '.join(parts)}"
    return f"{told}; score {_percent(noticed, tried)}" if tried else told


def _percent(noticed: int, tried: int) -> str:
    return f"{100 * noticed // tried}% ({noticed} of {tried})"


def _mutants(number: int) -> str:
    return f"{number} mutant{'s' * (number != 1)}"


def _verdict(survived: Sequence[Result], fail_on: str) -> str:
    failing = sum(_fails_at(each, fail_on) for each in survived)
    if fail_on == "never":
        return "survivors do not fail this run: fail_on is never"
    return f"{failing} of the survivors fail this run: they are of the level {fail_on} or above"


def mutants_as_json(run: MutatedRun) -> str:
    """Returns a run's results as JSON."""
    ordered = _ordered(run.results)
    noticed, tried = score_of(ordered)
    tree = {
        "stepreplay_mutants": REPORT_VERSION,
        "score": {"noticed": noticed, "of": tried},
        "numbers": dict(sorted(_numbers(ordered).items())),
        "tests": ordered,
    }
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def mutants_as_markdown(run: MutatedRun) -> str:
    """Returns a run's results as a page in Markdown."""
    ordered = _ordered(run.results)
    lines = ["# What the tests notice", "", escape_for_markdown(_headline(ordered)), ""]
    for level, here in survivors_by_level(run):
        lines += [f"## Survived: {level} ({len(here)})", ""]
        lines += [f"- {_known(it)}{_marked(each, it)}" for each, it in here]
        lines.append("")
    apart = _apart(ordered)
    if apart:
        lines += ["## Not counted", ""]
        lines += [
            f"- {_APART[each['status']]}: {code_for_markdown(each['test'])} {escape_for_markdown(each['reason'])}"
            for each in apart
        ]
        lines.append("")
    lines += [
        "## Tests",
        "",
        "| test | noticed | survived | by the conversation |",
        "| --- | --- | --- | --- |",
    ]
    for each in ordered:
        if each["status"] == "mutated":
            numbers = _numbers([each])
            counted = " | ".join(str(numbers[name]) for name in ("killed", "survived", "conversation"))
            lines.append(f"| {code_for_markdown(each['test'], cell=True)} | {counted} |")
    return "\n".join(lines) + "\n"


def _known(mutant: Result) -> str:
    return "(known) " if mutant["known"] else ""


def _marked(result: Result, mutant: Result) -> str:
    where = f", in answer {mutant['answer']}," if result["answers"] > 1 else ""
    told = "".join(_code_and_text(f"{where} {mutant['told']}", code_for_markdown))
    return f"{code_for_markdown(result['test'])} survived: it stays green when{told}"


def _code_and_text(text: str, code: Callable[[str], str]) -> Iterable[str]:
    """Yields a sentence in which what stands between back quotes is code."""
    for i, part in enumerate(text.split("`")):
        yield code(part) if i % 2 else escape_for_markdown(part)
