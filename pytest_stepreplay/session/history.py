"""What came by while a cassette was open: its exchanges and misses, those of forked children among them.

In the process that opened the cassette, a `History` takes what forked copies did as if it had been done here. In a
copy it hands over what happens, since nobody would ever close that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from ..errors import RequestStoppedError, UnrecordedRequestError
from ..models import Interaction, Request
from ..store.schema import interaction_of, tree_of
from .exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..errors import TestOutcomeError
    from .answers import Answers
    from .cassette import Session
    from .forks import Forks

_UNKNOWN: Final = Request(method="", url="")


class History:
    """The requests of one session, in their order, and what was missed.

    Attributes:
        exchanges: the requests that were answered or sent; `hear` adds those of forked children.
        missed: one error for each different request that was not recorded, by its key.
    """

    def __init__(self, session: Session, answers: Answers, forks: Forks) -> None:
        self.exchanges: list[Exchange] = []
        self.missed: dict[object, UnrecordedRequestError] = {}
        self._overread: dict[int | None, RequestStoppedError] = {}
        self._session = ref(session)  # it holds this, and nothing else would then let go of the two
        self._answers = answers
        self._forks = forks

    @property
    def played(self) -> tuple[Interaction, ...]:
        """The recorded interactions that answered a request, in the order of the requests."""
        self.hear()
        return tuple(exchange.answer for exchange in tuple(self.exchanges) if exchange.answer)

    @property
    def recorded(self) -> tuple[Interaction, ...]:
        """The interactions recorded since the cassette was opened, in the order of the requests."""
        self.hear()
        return tuple(exchange.recorded for exchange in tuple(self.exchanges) if exchange.recorded)

    @property
    def misses(self) -> tuple[TestOutcomeError, ...]:
        """One error for each different request that was not recorded, and each stream that was not to its end."""
        self.hear()
        with self._forks.lock:  # a thread may be adding one
            return (*self.missed.values(), *self._overread.values())

    @property
    def intercepted(self) -> int:
        """How many requests came by, whatever became of them."""
        self.hear()
        return len(self.exchanges) + len(self.missed)

    def miss(self, key: str, explain: Callable[[], str]) -> UnrecordedRequestError:
        """Returns the error for a request that was not recorded: one for all that are equal to it.

        Args:
            key: of the request.
            explain: returns the message; called for the first of them.
        """
        if key not in self.missed:
            self.missed[key] = UnrecordedRequestError(explain())
            self.tell("missed", str(self.missed[key]))
        return self.missed[key]

    def overread(self, position: int | None, error: RequestStoppedError) -> RequestStoppedError:
        """Returns the error for a stream that is read on where the recorded one had stopped, and keeps the first."""
        self.tell("missed", str(error))
        with self._forks.lock:
            return self._overread.setdefault(position, error)

    def tell(self, what: str, fact: Interaction | str | int | None) -> None:
        """In a forked child, hands what happened to the process that opened the cassette.

        Raises:
            RequestStoppedError: that is not possible, and what is recorded here would be lost.
        """
        if not self._forks.is_copy:
            return
        try:
            self._forks.tell({what: tree_of(fact) if isinstance(fact, Interaction) else fact})
        except OSError as error:
            raise RequestStoppedError(
                f"what this forked process did cannot be handed to its parent: {error}\n"
                "Make some room in the folder for temporary files, then run it again."
            ) from None

    def hear(self) -> None:
        """Takes what forked children did as if it had been done here."""
        with self._forks.lock:
            for note in self._forks.notes():
                self._take(note)

    def _take(self, note: dict[str, Any]) -> None:
        match note:
            case {"played": int(position)}:
                answer = self._answers.play(position)
                self._add(answer.request, position, answer)
            case {"recorded": tree} if recorded := interaction_of(tree):
                self._answers.note_miss(recorded.request)
                self._add(recorded.request, recorded=recorded)
            case {"missed": str(text)}:
                self.missed[text] = UnrecordedRequestError(text)
            case {"error": status}:
                self._add(_UNKNOWN, error_status=status)
            case {"sent": _}:
                self._add(_UNKNOWN)

    def _add(
        self,
        request: Request,
        position: int | None = None,
        answer: Interaction | None = None,
        recorded: Interaction | None = None,
        error_status: int | None = None,
    ) -> None:
        session = self._session()
        if session is not None:
            self.exchanges.append(Exchange(session, request, position, answer, recorded, error_status))
