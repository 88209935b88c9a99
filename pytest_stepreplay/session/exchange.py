"""One request on its way, from the client's question to what the cassette keeps of it.

An `Exchange` holds the stored interaction that answers a request or, once it was sent, the new one. It tells its
sink what comes, and builds the interaction to keep; `Filters` are what the project changes before that.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..errors import RequestStoppedError
from ..interception import failures
from ..machine import clock
from ..models import Interaction
from ..value_classes import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..errors import TestOutcomeError
    from ..interception.pauses import Disturbance
    from ..interception.player import Recording
    from ..interception.sending import Outgoing
    from ..models import Request, Response
    from ..redaction.redactor import Redactor
    from ..settings import Settings

ERROR_STATUS: Final = 400


def as_it_is(request: Request) -> Request:
    """Changes nothing in a request."""
    return request


@dataclass(frozen=True, slots=True)
class Filters:
    """What a project changes in requests and responses before they are matched and recorded.

    Attributes:
        request: returns the request as it is to be seen; None to let it pass by.
        response: returns the response as it is to be recorded; None to record nothing.
        same: tells whether a request is a recorded one, where `match_on` says so too; None for no further word.
        parse: returns the tree of another tool's cassette, of its text; None for what vcrpy itself writes.
    """

    request: Callable[[Request], Request | None] = as_it_is
    response: Callable[[Response], Response | None] = lambda response: response
    same: Callable[[Request, Request], bool] | None = None
    parse: Callable[[str], Any] | None = None


@dataclass(frozen=True, slots=True)
class Unsent:
    """A request to which nothing came back.

    Attributes:
        why: what was wrong, and with whom.
        error: with which the client's transport ended; None for one of a forked child.
    """

    why: str
    error: Exception | None = None


class Sink(Protocol):
    """What an exchange reports to: it says what is to be kept, and keeps it."""

    settings: Settings
    filters: Filters
    redactor: Redactor

    def tell(self, what: str, fact: Interaction | str | int | None) -> None:
        """In a forked child, hands what happened to the process that opened the cassette."""

    def comes(self, exchange: Exchange, recording: Recording) -> bool:
        """Whether a response that has begun to come is taken down."""

    def take(self, exchange: Exchange, interaction: Interaction) -> None:
        """Keeps what was recorded."""

    def overread(self, position: int, length: int) -> TestOutcomeError:
        """Returns the error for a client that reads on after the bytes where the recorded one had stopped."""

    def verify(self, position: int, stored: Interaction, outgoing: Outgoing) -> None:
        """Sends a request once more, beside the client that has its stored answer."""


@dataclass(slots=True, eq=False)
class Exchange:
    """One request on its way: the recorded interaction that answers it, or, once sent, the new one."""

    sink: Sink
    request: Request
    position: int | None = None
    answer: Interaction | None = None
    served: Response | None = None
    disturbance: Disturbance | None = None
    recorded: Interaction | None = None
    error_status: int | None = None
    unsent: Unsent | None = None
    keyless: str = ""
    passes_by: bool = False
    started: float = field(default_factory=clock.seconds)
    coming: Recording | None = None
    thread: threading.Thread = field(default_factory=threading.current_thread)
    told: bool = False

    @property
    def response(self) -> Response | None:
        """The stored response, or what stands in its place; None where the request must be sent."""
        if self.served is not None:
            return self.served
        return self.answer.response if self.answer else None

    @property
    def is_open(self) -> bool:
        """Whether nothing is known yet of what answers the request."""
        return (
            self.answer is None
            and self.served is None
            and self.recorded is None
            and self.error_status is None
            and self.unsent is None
        )

    @property
    def verifies(self) -> bool:
        """Whether the stored response is compared with a new one."""
        return self.sink.settings.mode.verifies

    def verify(self, outgoing: Outgoing) -> None:
        """Sends the request once more, in the background."""
        if self.position is not None and self.answer is not None:
            self.sink.verify(self.position, self.answer, outgoing)

    @property
    def pace(self) -> float:
        """What the recorded times of a stream are multiplied with; 0 for no pauses."""
        return self.sink.settings.pace

    def elapsed(self) -> float:
        """Seconds since the request began."""
        return clock.seconds() - self.started

    def records(self, status: int, recording: Recording) -> bool:
        """Whether the response that has begun to come is to be taken down."""
        if self.passes_by:
            return False
        if self.sink.settings.mode.passes_by:
            self.sink.tell("sent", None)
            return False
        if status >= ERROR_STATUS and not self.sink.settings.record_errors:
            self.error_status = status
            self.sink.tell("error", status)
            return False
        return self.sink.comes(self, recording)

    def finish(self, response: Response) -> None:
        """Takes the response of a request that was sent."""
        self.coming = None
        filtered = self.sink.filters.response(response)
        if filtered is None:
            return
        recorded = Interaction(
            recorded_at=clock.stamp(self.started),
            elapsed=round(self.elapsed(), 3),
            request=self.request,
            response=self.sink.redactor.redact_response(filtered),
        )
        self.sink.take(self, recorded)

    def lack_key(self, names: str) -> None:
        """Takes the environment variables, one of which the client was to have its key from, but none is set."""
        self.keyless = names

    def fail(self, error: Exception, url: str) -> None:
        """Takes the error with which a request ended that was sent to this URL, before anything came back."""
        self.unsent = Unsent(failures.why_unanswered(error, url), error)
        self.sink.tell("unsent", self.unsent.why)

    def read_past_the_end(self, length: int) -> BaseException:
        """Returns the error for a client that reads on where the recorded one had stopped."""
        return self.sink.overread(self.position or 0, length)

    def not_come(self, name: str) -> str:
        """Returns what to tell of a request whose answer had not arrived when its test, of this name, ended."""
        request = self.request
        return f"not recorded: the answer to {request.method} {request.url} had not arrived when {name} ended"


def too_late(request: Request, name: str, by: str = "") -> RequestStoppedError:
    """Returns the error for a request that is made when the test of this name has ended.

    Args:
        request: redacted.
        name: of the test.
        by: who has sent it, if that is no thread of the test.
    """
    asked = f"{request.method} {request.url}"
    if by:
        return RequestStoppedError(
            f"{name} has ended, but {by} sends {asked}.\n"
            "The request is neither answered nor sent, since it could get into the cassette of another test.\n"
            "End the process before the test ends, or give it the base URL of the test that is running."
        )
    return RequestStoppedError(
        f"{name} has ended, but a thread that it started tries to send {asked}.\n"
        "The request is neither answered nor sent, since it could get into the cassette of another test.\n"
        "Wait for the thread before the test ends. Or start it in a fixture of a wider scope; then it works for "
        "whichever test is running."
    )
