"""What a test's report says of its cassette: a miss fails the test, whatever became of it in the client."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from traceback import format_exception_only
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from ..commands import project_command
from ..drift import baseline
from ..errors import NetworkBlockedError, NotPulledError, StepReplayError, TestOutcomeError, display_path
from ..housekeeping import quoted_answers
from ..interception import clients, failures
from ..report import failing_tests
from ..texts import escaping
from .run import ADOPTED, INTERRUPTIONS, RUN, Run, marker_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..drift.changes import Drift
    from ..session.sessions import Session

PACKAGE = Path(__file__).parents[1]
NO_CASSETTE = (
    "this test is marked with @pytest.mark.{}, but has no cassette: no request was replayed or recorded.\n"
    "The marker was added after its set-up had begun. Add it while tests are collected, "
    "in pytest_collection_modifyitems."
)

ONE_MORE = "stepreplay: one more request without an answer"
VERBOSE = 2
"""From this verbosity on (`-vv`), the clients' own tracebacks are shown as they are."""

_SHOWN: pytest.StashKey[list[TestOutcomeError]] = pytest.StashKey()


def _nothing_intercepted() -> StepReplayError:
    return StepReplayError(
        "stepreplay intercepted no request of this test, so its cassette tests nothing.\n"
        f"It intercepts {_listed(clients.intercepted())}, and recognizes what {_listed(clients.recognized())} "
        "answer. Remove the marker if the test sends no request."
    )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def judge(
    item: pytest.Item, call: pytest.CallInfo[None], session: Session | None
) -> list[tuple[str, str]] | None:
    """Returns None where the test's own verdict stands, else sections to add to the failed report.

    Args:
        item: the test.
        call: one phase of it; its exception is replaced by the verdict.
        session: the test's, if it has one; a fixture that it shares may have another.
    """
    if session is None and call.when == "call" and call.excinfo is None and (marker := marker_of(item)):
        _replace(call, failure(StepReplayError(NO_CASSETTE.format(marker))))
        return []
    if session is not None:
        session.explain()
        missed = session.failures
        misses = _not_shown(item, missed) if missed else []
        if misses:
            return _show_misses(item, call, misses)
        # Elsewhere, whole modules are marked, whether a test asks something or not.
        adopted = ADOPTED in item.stash
        asked_nothing = not session.intercepted and not session.mocked
        if call.when == "call" and call.excinfo is None and asked_nothing and not adopted:
            _replace(call, failure(_nothing_intercepted()))
            return []
    if call.excinfo is not None:
        shown_instead = _show_cause(item, call, call.excinfo, session)
        if shown_instead is not None:
            return shown_instead
    if call.excinfo is not None and isinstance(call.excinfo.value, TestOutcomeError):
        return _show_misses(item, call, [call.excinfo.value])
    if session is not None and call.when == "call" and session.settings.mode.verifies:
        return _judge_drift(item, call, session)
    return None


def verdict_of_fixture(run: Run, session: Session) -> BaseException | None:
    """Returns what fails the tests of a fixture that has a cassette of its own: a miss, or drift; None if nothing."""
    session.explain()
    if session.failures:
        return session.failures[0]
    why = why_unverified(run, session, session.test, again=()) if session.settings.mode.verifies else None
    return failure(StepReplayError(why)) if why else None


def cause_in_fixture(config: pytest.Config, session: Session, error: BaseException) -> BaseException | None:
    """Returns what to show of a fixture that has a cassette of its own, in place of the error it ended with.

    That is a miss which its code has wrapped, or why nothing came back; None where the error says it all.
    """
    if isinstance(error, (*INTERRUPTIONS, TestOutcomeError)):
        return None
    if session.failures:
        return session.failures[0]
    why = _why_unsent(session, error)
    return failure(StepReplayError(why)) if why and config.get_verbosity() < VERBOSE else None


def _why_unsent(session: Session, error: BaseException) -> str:
    """Returns why nothing came back, where an error came of that; else nothing."""
    if not isinstance(error, Exception) or isinstance(error, AssertionError) or not session.unsent:
        return ""

    behind = {id(each) for each in failures.all_behind(error)}
    why = next((each.why for each in session.unsent if id(each.error) in behind), "")
    if not why:
        return ""
    recorded = len(session.recorded)
    if not session.settings.mode.records:
        return f"no answer: {why}"
    return f"recorded {recorded}, then nothing: {why}" if recorded else f"nothing recorded: {why}"


def _show_cause(
    item: pytest.Item,
    call: pytest.CallInfo[None],
    excinfo: pytest.ExceptionInfo[BaseException],
    session: Session | None,
) -> list[tuple[str, str]] | None:
    """Shows why nothing came back, or what was blocked, without the pages of the clients that it went through."""
    error = excinfo.value
    if not isinstance(error, Exception) or item.get_closest_marker("xfail") is not None:
        return None

    why = _why_unsent(session, error) if session is not None else ""
    blocked = next(
        (each for each in failures.all_behind(error) if isinstance(each, NetworkBlockedError)), None
    )
    if item.config.get_verbosity() >= VERBOSE:
        return [("stepreplay", why)] if why else None
    if isinstance(error, StepReplayError) and error is not blocked:
        _replace(call, failure(error, _own_frames(item, excinfo.tb)))
        return []
    if why:
        _replace(call, failure(StepReplayError(why)))
    elif blocked is not None:
        frames = _own_frames(item, excinfo.tb)
        alone = NetworkBlockedError(str(blocked)).with_traceback(frames)
        _replace(call, alone if frames else failure(blocked))
    return [] if why or blocked is not None else None


def close_fixture(
    item: pytest.Item, call: pytest.CallInfo[None], session: Session
) -> list[tuple[str, str]] | None:
    """Closes the cassette of a fixture that was torn down in this phase, and fails the phase by what it did not have.

    Returns:
        None where that changes nothing, else sections to add to the failed report.
    """
    run, ended = item.config.stash[RUN], call.excinfo.value if call.excinfo else None
    passed = ended is None or isinstance(ended, pytest.skip.Exception)
    try:
        run.unreported.add(session.close(passed=passed, why="its teardown failed"))
    except StepReplayError as error:
        _replace(call, failure(error))
        return []
    verdict = verdict_of_fixture(run, session)
    if verdict is None or (ended is not None and _is_miss(ended)):
        return None
    if session.failures:
        return _show_misses(item, call, session.failures)
    _replace(call, verdict)
    return []


def _judge_drift(
    item: pytest.Item, call: pytest.CallInfo[None], session: Session
) -> list[tuple[str, str]] | None:
    """Fails a test whose stored answers have drifted too far, or could not be verified."""
    levels = [drift.level for drift in session.drift]
    item.user_properties.append(("stepreplay_drift", str(max(levels, default="none"))))
    failing = _failing(item.config.stash[RUN], session)
    sections = []
    if failing:
        full = _said(lambda: failing_tests.section_text(failing, path=display_path(session.path)))
        sections.append(("stepreplay: how the answers differ", full))
    if call.excinfo is not None:  # the test has failed by itself, as it may be expected to
        for title, text in sections:
            item.add_report_section("call", title, text)
        return None
    run = item.config.stash[RUN]
    why = why_unverified(run, session, run.places.typed(item))
    if why is None:
        return None
    _replace(call, failure(StepReplayError(why)))
    return sections


def why_unverified(
    run: Run, session: Session, test: str, *, again: Sequence[str] | None = None
) -> str | None:
    """Returns why `verify` fails the owner of a cassette: drift, or no answer to compare; None if it does not.

    Args:
        run: the run.
        session: of the cassette.
        test: what a person types to run the owner, or the name of a fixture.
        again: what to run again, if not the owner, unless others quote its answers.
    """
    path, failing = display_path(session.path), _failing(run, session)
    unverified = [each for each in session.verdicts if each.status == "unverified"]
    if session.settings.fail_on == "never":
        return None
    if failing:
        pending = session.settings.leaves_pending()
        return _said(
            lambda: failing_tests.failure_text(
                failing, path=path, test=test, pending=pending, **_quoted(run, session, failing, again)
            ),
            f"{path} has drifted",
        )
    if unverified:
        reasons = [f"  interaction {each.position + 1}: {each.reason}" for each in unverified]
        return "\n".join([f"could not verify {path}", *reasons])
    return None


def _said(make: Callable[[], str], short: str = "") -> str:
    """Returns a text, or in short what it would say where it cannot be made: that hides no verdict."""
    try:
        return make()
    except Exception as problem:  # noqa: BLE001 - whatever goes wrong here, the verdict stands
        return (
            f"{short}\ncould not be explained in full: {format_exception_only(problem)[-1].strip()}".strip()
        )


def _quoted(
    run: Run, session: Session, failing: Sequence[tuple[int, Drift]], again: Sequence[str] | None
) -> dict[str, Any]:
    """Returns who quotes the answers of interactions that have drifted, in words, and what to run again."""
    stored, numbers = session.interactions, {number for number, _ in failing}
    for verdict in session.verdicts:
        if verdict.response is None or verdict.position + 1 not in numbers:
            continue
        found = quoted_answers.find_quotes(
            stored[verdict.position].response,
            verdict.response,
            [each.request for each in stored[verdict.position + 1 :]],
            first=verdict.position + 2,
            cassette=session.path,
            test=session.test,
        )
        if found:
            if again is not None:
                again = [run.places.typed_id(each, session.path) for each in found.tests]
            return {"quoted": found.told, "again": again}
    return {"again": again}


def _failing(run: Run, session: Session) -> list[tuple[int, Drift]]:
    drifted = [
        (each.position + 1, each.drift) for each in session.verdicts if each.drift and each.drift.changes
    ]
    results = session.drifted()
    return [
        (number, drift)
        for (number, drift), result in zip(drifted, results, strict=True)
        if not drift.passes() and not (run.baseline and baseline.is_known(result, run.baseline))
    ]


def _not_shown(item: pytest.Item, misses: Sequence[TestOutcomeError]) -> list[TestOutcomeError]:
    """Returns the misses that no phase of the test has shown yet."""
    shown = item.stash.setdefault(_SHOWN, [])
    new = [miss for miss in misses if not any(miss is each for each in shown)]
    shown += new
    return new


def _show_misses(
    item: pytest.Item, call: pytest.CallInfo[None], misses: Sequence[TestOutcomeError]
) -> list[tuple[str, str]]:
    first, sections = misses[0], list[tuple[str, str]]()
    run = item.config.stash[RUN]
    if call.excinfo is not None and not _is_miss(call.excinfo.value):
        ended_with = call.excinfo.exconly().partition("\n")[0]
        sections.append(("stepreplay: the client went on, and the test then ended with", ended_with))
    told: dict[str, int] = {}
    for miss in misses:
        cause = miss.explanation.cause
        told[cause] = told.get(cause, 0) + 1
        if cause and told[cause] > 1:
            continue
        if miss is not first:
            sections.append((ONE_MORE, str(failure(miss))))
        run.unreported.add_cause(cause, run.places.typed(item), records=miss.explanation.records)
    again = {cause: number - 1 for cause, number in told.items() if cause and number > 1}
    if again:
        lines = [f"{number} of them: {cause.splitlines()[0]}" for cause, number in again.items()]
        sections.append((f"stepreplay: {sum(again.values())} more for the same reasons", "\n".join(lines)))
    _replace(call, failure(first, _own_frames(item, first.__traceback__)))
    return sections


def _is_miss(error: BaseException) -> bool:
    """Whether an error is a miss, or a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_miss(each) for each in error.exceptions)
    return isinstance(error, TestOutcomeError)


def setup_failure(item: pytest.Item, error: StepReplayError) -> BaseException:
    """Returns the error as `failure` does, and notes what other tests have in common with it."""
    if isinstance(error, NotPulledError):
        run = item.config.stash[RUN]
        cause = f"their cassettes are not here yet: {project_command('pull')}"
        run.unreported.add_cause(cause, run.places.typed(item), records=False)
    return failure(error)


def failure(error: BaseException, traceback: TracebackType | None = None) -> BaseException:
    """Returns the error as pytest shows a failure: its message, and the frames where there are any.

    What a file, or its name, could have brought into the message moves no cursor and commands no CI system.
    """
    message = escaping.escape_for_terminal(str(error), lines=True)
    return pytest.fail.Exception(message, pytrace=traceback is not None).with_traceback(traceback)


def _replace(call: pytest.CallInfo[None], error: BaseException) -> None:
    try:
        raise error  # noqa: TRY301 - it is raised for its traceback alone
    except BaseException:  # noqa: BLE001 - to give it a traceback, without which pytest cannot show it
        call.excinfo = pytest.ExceptionInfo.from_current()


def _own_frames(item: pytest.Item, traceback: TracebackType | None) -> TracebackType | None:
    """Returns the traceback without the frames of client libraries and of this package."""
    if traceback is None or item.config.getoption("fulltrace", False):
        return traceback
    roots = (item.config.rootpath, item.config.stash[RUN].places.home_of(item.path).root)
    return _frames_of(traceback, item.path, roots)


def _frames_of(
    traceback: TracebackType | None, test_file: Path, roots: tuple[Path, ...]
) -> TracebackType | None:
    if traceback is None:
        return None
    rest = _frames_of(traceback.tb_next, test_file, roots)
    if not _is_own(traceback.tb_frame.f_code.co_filename, test_file, roots):
        return rest
    return TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)


@lru_cache(maxsize=1024)
def _is_own(filename: str, test_file: Path, roots: tuple[Path, ...]) -> bool:
    """Whether a file holds the project's own code, and not a client library's or ours."""
    path = Path(filename)
    inside = path == test_file or any(path.is_relative_to(root) for root in roots)
    inside = inside and not path.is_relative_to(PACKAGE)
    return inside and "site-packages" not in path.parts
