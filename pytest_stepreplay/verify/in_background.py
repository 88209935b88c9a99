"""Verifies stored answers while a test runs: each request is sent once more in the background, and judged afterwards.

A `Verifier` takes requests while the test runs and gives frozen `Verdict`s when it has ended. Nothing of it reaches
the client.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from ..interception.sending import Answered, Outgoing, Unanswered, send
from .judging import Verdict, new_response, tell_problem, verdict_on

if TYPE_CHECKING:
    from ..models import Interaction
    from ..redaction.redactor import Redactor
    from ..settings import Settings

AT_ONCE: Final = 4
"""How many requests are sent at the same time."""

_places = threading.BoundedSemaphore(AT_ONCE)


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
            return Verdict(position, "unverified", reason=f"it could not be sent: {tell_problem(problem)}")
        new = new_response(answer, stored.response, self._settings, self._redactor)
        if isinstance(new, str):
            return Verdict(position, "unverified", reason=new)
        seconds = answer.seconds if isinstance(answer, Answered) else None
        return verdict_on(self._settings, stored, new, position, seconds=seconds)


def _send_into(future: Future[Answered | Unanswered], outgoing: Outgoing) -> None:
    with _places:
        try:
            future.set_result(send(outgoing))
        except BaseException as error:  # noqa: BLE001 - whoever waits for the answer must hear of it
            future.set_exception(error)
