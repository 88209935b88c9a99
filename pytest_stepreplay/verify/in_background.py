"""Verifies stored answers while a test runs: each request is sent once more in the background, and judged afterwards.

A `Verifier` takes requests while the test runs and gives frozen `Verdict`s when it has ended. Nothing of it reaches
the client.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from ..interception.sending import Answered, Outgoing, Unanswered, send
from ..value_classes import dataclass, field
from . import sampling
from .judging import Verdict, new_response, tell_problem, verdict_on

if TYPE_CHECKING:
    from ..models import Interaction, Response
    from ..redaction.redactor import Redactor
    from ..settings import Settings

AT_ONCE: Final = 4
"""How many requests are sent at the same time."""

_places = threading.BoundedSemaphore(AT_ONCE)


@dataclass(slots=True, eq=False)
class _Sent:
    """A recorded request that is sent again, once or several times.

    Attributes:
        position: of the interaction in the cassette.
        stored: the interaction.
        outgoing: the request as the client made it.
        answers: one for each time it was sent.
        several: what is made of them where there may be several.
    """

    position: int
    stored: Interaction
    outgoing: Outgoing
    answers: list[Future[Answered | Unanswered]] = field(default_factory=list)
    several: sampling.Sampling | None = None

    def send(self) -> None:
        """Sends it in the background."""
        future: Future[Answered | Unanswered] = Future()
        self.answers.append(future)
        # A daemon thread, so that Ctrl-C does not wait for a server.
        threading.Thread(target=_send_into, args=(future, self.outgoing), daemon=True).start()


class Verifier:
    """The requests of one test that are being verified."""

    def __init__(self, settings: Settings, redactor: Redactor) -> None:
        self._settings = settings
        self._redactor = redactor
        self._running: list[_Sent] = []

    def start(self, position: int, stored: Interaction, outgoing: Outgoing) -> None:
        """Sends a request in the background; the stored interaction has answered it."""
        sent = _Sent(position, stored, outgoing)
        self._running.append(sent)
        sent.send()

    def verdicts(self) -> tuple[Verdict, ...]:
        """Waits for the answers, and returns one verdict for each request, in the order of the cassette.

        Where it is not sure after one answer, and may ask more often, it does so now.
        """
        if self._settings.samples > 1:
            self._ask_again()
        found = [self._judge(each) for each in self._running]
        return tuple(sorted(found, key=lambda verdict: verdict.position))

    def _ask_again(self) -> None:
        """Sends all requests again and again, side by side, until each is sure or was sent as often as may be."""
        for each in self._running:
            each.several = sampling.Sampling(self._settings, each.stored)
        while True:
            open_ones = [
                (each, each.several) for each in self._running if each.several and not each.several.is_over
            ]
            if not open_ones:
                return
            for each, several in open_ones:
                while len(each.answers) < several.wanted:
                    each.send()
            for each, several in open_ones:
                several.take([self._answer(each, future) for future in each.answers[several.asked :]])

    def _judge(self, sent: _Sent) -> Verdict:
        if sent.several is not None:
            return sent.several.verdict(sent.position)
        new = self._answer(sent, sent.answers[0])
        if isinstance(new, str):
            return Verdict(sent.position, "unverified", reason=new)
        answer = sent.answers[0].result()
        seconds = answer.seconds if isinstance(answer, Answered) else None
        return verdict_on(self._settings, sent.stored, new, sent.position, seconds=seconds)

    def _answer(self, sent: _Sent, future: Future[Answered | Unanswered]) -> Response | str:
        """Returns an answer once it is there, or why there is none."""
        try:
            answer = future.result()
        except Exception as problem:  # noqa: BLE001 - whatever went wrong, the request has no answer
            return f"it could not be sent: {tell_problem(problem)}"
        return new_response(answer, sent.stored.response, self._settings, self._redactor)


def _send_into(future: Future[Answered | Unanswered], outgoing: Outgoing) -> None:
    with _places:
        try:
            future.set_result(send(outgoing))
        except BaseException as error:  # noqa: BLE001 - whoever waits for the answer must hear of it
            future.set_exception(error)
