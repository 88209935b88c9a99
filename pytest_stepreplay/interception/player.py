"""What the interception sees of an open cassette, and asks of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..models import Request, Response
    from ..wire.last_body import LastBody
    from .pauses import Disturbance
    from .sending import Outgoing


class Recording(Protocol):
    """A response that is on its way, as the open cassette sees it."""

    def stop(self) -> None:
        """Takes down no more: what has come so far is what the client wanted."""


class PlayerExchange(Protocol):
    """One request on its way."""

    @property
    def response(self) -> Response | None:
        """The stored response; None where the request must be sent."""

    @property
    def verifies(self) -> bool:
        """Whether a request that the stored response answers is to be sent once more."""

    @property
    def pace(self) -> float:
        """What the recorded times of a stream are multiplied with; 0 for no pauses."""

    @property
    def disturbance(self) -> Disturbance | None:
        """What goes wrong on the way of the stored response; None for nothing."""

    def verify(self, outgoing: Outgoing) -> None:
        """Takes the request as the client made it, to be sent once more."""

    def elapsed(self) -> float:
        """Seconds since the request began."""

    def records(self, status: int, recording: Recording) -> bool:
        """Whether the response that has begun to come is to be taken down; if so, `finish` will be called once."""

    def finish(self, response: Response) -> None:
        """Takes the response of a request that was sent."""

    def lack_key(self, names: str) -> None:
        """Takes the environment variables, one of which the client was to have its key from, but none is set."""

    def fail(self, error: Exception, url: str) -> None:
        """Takes the error with which a request ended that was sent to this URL, before anything came back."""

    def read_past_the_end(self, length: int) -> BaseException:
        """Returns the error for a client that reads on where the recorded one had stopped, after `length` bytes."""


class Player(Protocol):
    """An open cassette, as the interception sees it."""

    @property
    def sends_nothing(self) -> bool:
        """Whether the cassette alone answers."""

    @property
    def last_body(self) -> LastBody:
        """What a long request may go on from."""

    def passes_by(self, host: str) -> bool:
        """Whether requests to this host are left alone."""

    def keep_headers(self) -> tuple[str, ...]:
        """The response headers to store besides the usual ones."""

    def next_sent_so(self, method: str, url: str, body: bytes) -> Request | None:
        """Returns the recorded request that a client sends to the letter, if it is the next one."""

    def begin(self, request: Request) -> PlayerExchange:
        """Returns the exchange for a request; raises where nothing recorded may answer it."""

    def stop(self, problem: str) -> BaseException:
        """Returns the error for a request that cannot go on; whatever the client does with it, the test fails."""

    def note_mocked(self) -> None:
        """Notes that a mock has answered a request, which is then nothing of this cassette's."""


Patch = tuple[type, str, Callable[[Any], Any]]
"""A method to replace: the class, the method's name, and a function that wraps the method."""

Received = tuple[int, Sequence[tuple[str, str]], bytes]
"""What a client was given: the status, the headers and the body."""

Ask = Callable[[str, str, dict[str, str], bytes], Received]
"""Sends a method, a URL, headers and a body just as they are."""

Route = Callable[[], Player | None]
