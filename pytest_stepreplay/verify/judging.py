"""Judges a new answer by the stored one: an interaction and what the server says today become a frozen `Verdict`.

The same judgement holds whether a test asked in verify mode, a rewrite recorded anew, or a whole folder was asked.
"""

from __future__ import annotations

from http import HTTPStatus
from importlib.util import find_spec
from traceback import format_exception_only
from typing import TYPE_CHECKING, Any, Final, Literal

from ..drift import changes, comparison
from ..drift.keeping import body_of
from ..endpoints import endpoint_of_url
from ..errors import SettingsError, StepReplayError
from ..interception.sending import Answered, Unanswered
from ..report import conversations, ledger
from ..value_classes import dataclass
from ..wire.bodies import response_from_wire
from ..wire.encodings import EncodingError, undo_encoding
from ..wire.headers import kept_headers
from .drift_policy import policy_for

if TYPE_CHECKING:
    from ..models import Interaction, Response
    from ..redaction.redactor import Redactor
    from ..settings import Settings

Status = Literal["same", "drifted", "unverified"]
Decided = Literal["changed", "not changed", "not decided"]

ERROR_STATUS: Final = 400


@dataclass(frozen=True, slots=True)
class Sampled:
    """What several answers to one request have come to.

    Attributes:
        verdict: what is known.
        why: why nothing is known, where that is so.
        asked: how often it was asked.
        most: how often it might have been.
        chance: the lowest error rate at which this would be a change.
        error_rate: how often a change may be reported where there is none.
        classes: what the answers do, with how often that was recorded and is answered now.
        answers: the new ones.
    """

    verdict: Decided
    why: str
    asked: int
    most: int
    chance: float
    error_rate: float
    classes: tuple[tuple[str, int, int], ...]
    answers: tuple[Response, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns it as plain values, as results hold it."""
        return {
            "verdict": self.verdict,
            "why": self.why,
            "asked": self.asked,
            "of": self.most,
            "chance": self.chance,
            "error_rate": self.error_rate,
            "classes": [
                {"answer": name, "recorded": recorded, "new": new} for name, recorded, new in self.classes
            ],
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the answer of today differs from the stored one.

    Attributes:
        position: of the interaction in the cassette, from 0.
        status: ``unverified`` where the server gave nothing to compare with.
        drift: how the two differ; None where unverified.
        reason: why it is unverified.
        response: the new one, redacted; None where unverified.
        seconds: from the request to the end of the response, as far as that is known.
        beside: the recorded answer that the new one is compared with, where it is not the one that is replayed.
        sampled: what several answers have come to, where there were several.
    """

    position: int
    status: Status
    drift: changes.Drift | None = None
    reason: str = ""
    response: Response | None = None
    seconds: float | None = None
    beside: Response | None = None
    sampled: Sampled | None = None

    @property
    def answers(self) -> tuple[Response, ...]:
        """All new responses."""
        if self.sampled is not None:
            return self.sampled.answers
        return () if self.response is None else (self.response,)


def check_samples() -> None:
    """Does nothing where the library is there that tells a change from chance.

    Raises:
        SettingsError: it is not.
    """
    if find_spec("scipy") is None:
        raise SettingsError(
            "samples needs scipy, which is not installed.\n"
            "Install it with: pip install 'pytest-stepreplay[samples]'"
        )


def result_of(verdict: Verdict, stored: Interaction, *, test: str, path: str) -> dict[str, Any]:
    """Returns a verdict as plain values, as reports take it and xdist carries it.

    Args:
        verdict: on the answer of today.
        stored: the interaction as it is recorded.
        test: the id of its test.
        path: of its cassette, as a person would type it.
    """
    said, tokens = None, None
    if verdict.response is not None:
        endpoint = endpoint_of_url(stored.request.url)
        tokens = [ledger.tokens_of(each, endpoint).output for each in (stored.response, verdict.response)]
    if verdict.status == "drifted" and verdict.response is not None:
        said = _conversation_in(stored, verdict.beside or stored.response, verdict.response)
    sampled = {"samples": verdict.sampled.to_json()} if verdict.sampled else {}
    return sampled | {
        "test": test,
        "path": path,
        "interaction": verdict.position + 1,
        "status": verdict.status,
        "drift": verdict.drift.to_json() if verdict.drift else None,
        "reason": verdict.reason,
        "known": False,
        "said": said,
        "tokens": tokens,
        "seconds": None if verdict.response is None else [stored.elapsed, verdict.seconds],
    }


def _conversation_in(stored: Interaction, old: Response, new: Response) -> dict[str, Any] | None:
    try:
        return conversations.conversation_of(stored.request, old, new)
    except Exception:  # noqa: BLE001 - whatever cannot be read in an answer, its drift is known
        return None


def compare_interactions(settings: Settings, stored: Interaction, new: Interaction, position: int) -> Verdict:
    """Returns how a response that was recorded anew differs from the one it replaces."""
    return verdict_on(settings, stored, new.response, position, seconds=new.elapsed)


def verdict_on(
    settings: Settings, stored: Interaction, new: Response, position: int, *, seconds: float | None = None
) -> Verdict:
    """Returns how a redacted response, which took some seconds, differs from the stored one of an interaction."""
    try:
        policy = policy_for(settings, stored.request.url)
        endpoint = endpoint_of_url(stored.request.url)
        found = comparison.compare(body_of(stored.response), body_of(new), policy, endpoint=endpoint)
    except Exception as problem:  # noqa: BLE001 - whatever goes wrong here, nothing is known of the drift
        return Verdict(
            position, "unverified", reason=f"the two answers cannot be compared: {tell_problem(problem)}"
        )
    status: Status = "drifted" if found.changes else "same"
    return Verdict(position, status, drift=found, response=new, seconds=seconds)


def tell_problem(problem: Exception) -> str:
    """Returns what went wrong, in a line."""
    return (
        str(problem) if isinstance(problem, StepReplayError) else format_exception_only(problem)[-1].strip()
    )


def new_response(
    answer: Answered | Unanswered, stored: Response, settings: Settings, redactor: Redactor
) -> Response | str:
    """Returns today's response, redacted, as it is compared with the stored one; or why there is none to compare."""
    if isinstance(answer, Unanswered):
        return answer.reason
    if answer.status >= ERROR_STATUS > stored.status:
        return _refusal(answer)
    try:
        return redactor.redact_response(_response_of(answer, settings.keep_headers))
    except EncodingError as error:
        return str(error)


def _response_of(answer: Answered, keep: tuple[str, ...]) -> Response:
    encoding = ", ".join(value for name, value in answer.headers if name.lower() == "content-encoding")
    body = undo_encoding(answer.body, encoding)
    return response_from_wire(answer.status, kept_headers(answer.headers, keep), body)


def _refusal(answer: Answered) -> str:
    try:
        name = HTTPStatus(answer.status).phrase
    except ValueError:
        name = ""
    tries = f", after {answer.tries} tries" if answer.tries > 1 else ""
    return f"the server answered {answer.status} {name}".rstrip() + tries
