"""Verifies stored answers: each request is sent once more in the background, and the two answers are compared.

A `Verifier` takes requests while the test runs and gives frozen `Verdict`s when it has ended. Nothing of it reaches
the client.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from traceback import format_exception_only
from typing import TYPE_CHECKING, Any, Final, Literal

from ..drift import changes, comparison
from ..drift.keeping import body_of
from ..endpoints import endpoint_of_url
from ..errors import StepReplayError
from ..interception.sending import Answered, Outgoing, Unanswered, send
from ..wire.bodies import response_from_wire
from ..wire.encodings import EncodingError, undo_encoding
from ..wire.headers import kept_headers
from .drift_policy import policy_for

if TYPE_CHECKING:
    from ..models import Interaction, Response
    from ..redaction.redactor import Redactor
    from ..settings import Settings

Status = Literal["same", "drifted", "unverified"]

AT_ONCE: Final = 4
"""How many requests are sent at the same time."""
ERROR_STATUS: Final = 400

_places = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the answer of today differs from the stored one.

    Attributes:
        position: of the interaction in the cassette, from 0.
        status: ``unverified`` where the server gave nothing to compare with.
        drift: how the two differ; None where unverified.
        reason: why it is unverified.
        response: the new one, redacted; None where unverified.
    """

    position: int
    status: Status
    drift: changes.Drift | None = None
    reason: str = ""
    response: Response | None = None


def result_of(verdict: Verdict, *, test: str, path: str) -> dict[str, Any]:
    """Returns a verdict as plain values, as reports take it and xdist carries it."""
    return {
        "test": test,
        "path": path,
        "interaction": verdict.position + 1,
        "status": verdict.status,
        "drift": verdict.drift.to_json() if verdict.drift else None,
        "reason": verdict.reason,
        "known": False,
    }


def compare_interactions(settings: Settings, stored: Interaction, new: Interaction, position: int) -> Verdict:
    """Returns how a response that was recorded anew differs from the one it replaces."""
    return _verdict_on(settings, stored, new.response, position)


def _verdict_on(settings: Settings, stored: Interaction, new: Response, position: int) -> Verdict:
    try:
        policy = policy_for(settings, stored.request.url)
        endpoint = endpoint_of_url(stored.request.url)
        found = comparison.compare(body_of(stored.response), body_of(new), policy, endpoint=endpoint)
    except Exception as problem:  # noqa: BLE001 - whatever goes wrong here, nothing is known of the drift
        return Verdict(position, "unverified", reason=f"the two answers cannot be compared: {_told(problem)}")
    return Verdict(position, "drifted" if found.changes else "same", drift=found, response=new)


def _told(problem: Exception) -> str:
    return (
        str(problem) if isinstance(problem, StepReplayError) else format_exception_only(problem)[-1].strip()
    )


class Verifier:
    """The requests of one test that are being verified."""

    def __init__(self, settings: Settings, redactor: Redactor) -> None:
        self._settings = settings
        self._redactor = redactor
        self._running: list[tuple[int, Interaction, Future[Answered | Unanswered]]] = []

    def start(self, position: int, stored: Interaction, outgoing: Outgoing) -> None:
        """Sends a request in the background; the stored interaction has answered it."""
        future: Future[Answered | Unanswered] = Future()
        self._running.append((position, stored, future))
        # A daemon thread, so that Ctrl-C does not wait for a server.
        threading.Thread(target=_send_into, args=(future, outgoing), daemon=True).start()

    def verdicts(self) -> tuple[Verdict, ...]:
        """Waits for the answers, and returns one verdict for each request, in the order of the cassette."""
        found = [self._judge(position, stored, future) for position, stored, future in self._running]
        return tuple(sorted(found, key=lambda verdict: verdict.position))

    def _judge(self, position: int, stored: Interaction, future: Future[Answered | Unanswered]) -> Verdict:
        try:
            answer = future.result()
        except Exception as problem:  # noqa: BLE001 - as above
            return Verdict(position, "unverified", reason=f"it could not be sent: {_told(problem)}")
        if isinstance(answer, Unanswered):
            return Verdict(position, "unverified", reason=answer.reason)
        if answer.status >= ERROR_STATUS > stored.response.status:
            return Verdict(position, "unverified", reason=_refusal(answer))
        try:
            new = self._redactor.redact_response(_response_of(answer, self._settings.keep_headers))
        except EncodingError as error:
            return Verdict(position, "unverified", reason=str(error))
        return _verdict_on(self._settings, stored, new, position)


def _send_into(future: Future[Answered | Unanswered], outgoing: Outgoing) -> None:
    with _places:
        try:
            future.set_result(send(outgoing))
        except BaseException as error:  # noqa: BLE001 - whoever waits for the answer must hear of it
            future.set_exception(error)


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
