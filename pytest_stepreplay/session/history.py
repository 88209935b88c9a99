"""What came by while a cassette was open: its exchanges and misses, those of forked children among them.

In the process that opened the cassette, a `History` takes what forked copies did as if it had been done here. In a
copy it hands over what happens, since nobody would ever close that one.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property, partial
from traceback import format_exception_only
from typing import TYPE_CHECKING, Any, Final

from ..errors import Explanation, RequestStoppedError, UnrecordedRequestError
from ..models import Interaction, Request
from ..store import body_files, locks
from ..store.schema import interaction_of, request_of, tree_of
from ..value_classes import dataclass
from ..verify import in_background
from .exchange import Exchange, Unsent, too_late
from .host import host
from .outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..errors import TestOutcomeError
    from ..interception.player import Recording
    from ..interception.sending import Outgoing
    from ..redaction.redactor import Redactor
    from ..settings import Settings
    from .answering import Answers
    from .exchange import Filters
    from .forks import Forks

_UNKNOWN: Final = Request(method="", url="")
_LATER: Final = "The report after the test says what is recorded, what differs and what to do."


@dataclass(frozen=True, slots=True)
class Failure:
    """What fails the test, noted while its client still waits; what is said of it is made when the test has ended.

    Attributes:
        error: what the client is told.
        explain: returns what a person is told.
        request: what was missed, if something was.
    """

    error: TestOutcomeError
    explain: Callable[[], Explanation]
    request: Request | None = None


class History:
    """The requests of one session, in their order, and what was missed: what its exchanges report to.

    Attributes:
        settings: the test's.
        filters: what the project changes before a request is matched or recorded.
        redactor: what replaces that which must not be stored.
        closed: the test has ended: nothing is answered or recorded any more.
        mocked: how many requests a mock has answered.
        exchanges: the requests that were answered or sent; `hear` adds those of forked children.
        gone: how many exchanges were let go, by the position of what has answered them; None for what was sent.
        missed: one failure for each different request that was not recorded, by its key.
    """

    def __init__(
        self,
        settings: Settings,
        path: Path,
        *,
        name: str,
        shared: bool,
        filters: Filters,
        redactor: Redactor,
        answers: Answers,
        forks: Forks,
    ) -> None:
        """Begins with nothing that came by.

        Args:
            settings: the test's.
            path: the cassette file.
            name: of the test, for messages; without one of the cassette.
            shared: other tests use the cassette too.
            filters: what the project changes before a request is matched or recorded.
            redactor: what replaces that which must not be stored.
            answers: what may answer.
            forks: the way to forked copies, and theirs to this process.
        """
        self.settings = settings
        self.filters = filters
        self.redactor = redactor
        self.closed = False
        self.mocked = 0
        self.exchanges: list[Exchange] = []
        self.gone = Counter[int | None]()
        self.missed: dict[str, Failure] = {}
        self._overread: dict[int, Failure] = {}
        self._stopped: dict[str, Failure] = {}
        self._explained: set[TestOutcomeError] = set()
        self._path = path
        self._name = name
        self._shared = shared
        self._answers = answers
        self._forks = forks

    @property
    def played(self) -> tuple[Interaction, ...]:
        """The recorded interactions that answered a request, in the order of the requests."""
        self.hear()
        gone = (self._answers.at(each) for each in self.gone.elements() if each is not None)
        return (*gone, *(exchange.answer for exchange in tuple(self.exchanges) if exchange.answer))

    @property
    def recorded(self) -> tuple[Interaction, ...]:
        """The interactions recorded since the cassette was opened, in the order of the requests."""
        self.hear()
        return tuple(exchange.recorded for exchange in tuple(self.exchanges) if exchange.recorded)

    @property
    def unsent(self) -> tuple[Unsent, ...]:
        """The requests to which nothing came back, in their order."""
        self.hear()
        return tuple(exchange.unsent for exchange in tuple(self.exchanges) if exchange.unsent)

    @property
    def misses(self) -> tuple[TestOutcomeError, ...]:
        """One error for each different request, and each end of a stream, that was not recorded."""
        return tuple(each.error for each in self._failures(self.missed, self._overread))

    @property
    def failures(self) -> tuple[TestOutcomeError, ...]:
        """The misses, and one error for each different problem that stopped a request."""
        return tuple(each.error for each in self._failures(self.missed, self._overread, self._stopped))

    @property
    def intercepted(self) -> int:
        """How many requests were intercepted, whatever happened to them."""
        self.hear()
        return len(self.exchanges) + self.gone.total() + len(self.missed) + len(self._stopped)

    def miss(self, key: str, request: Request) -> TestOutcomeError:
        """Returns the error for a request that was not recorded: one for all of this key."""
        if key not in self.missed:
            error = UnrecordedRequestError(f"not recorded: {request.method} {request.url}\n{_LATER}")
            self.missed[key] = Failure(error, partial(self._answers.explain_miss, request), request)
            self.tell("missed", request)
        return self.missed[key].error

    def overread(self, position: int, length: int) -> TestOutcomeError:
        """Returns the error for a stream that is read on after the bytes where the recorded one had stopped."""
        with self._forks.lock:
            if position not in self._overread:
                error = RequestStoppedError(f"more is read of a stream than was recorded.\n{_LATER}")
                explain = partial(self._answers.explain_overread, position, length)
                self._overread[position] = Failure(error, explain)
                self.tell("overread", [position, length])
            return self._overread[position].error

    def stop(self, problem: str) -> TestOutcomeError:
        """Returns the error for a request that cannot go on: one for all that are stopped by the same problem."""
        with self._forks.lock:
            if problem not in self._stopped:
                self._stopped[problem] = Failure(RequestStoppedError(problem), partial(Explanation, problem))
                self.tell("stopped", problem)
            if self.closed:  # its outcome is known already
                self._refuse(problem)
            return self._stopped[problem].error

    @cached_property
    def verifier(self) -> in_background.Verifier:
        """What sends requests once more in `verify`, and compares."""
        return in_background.Verifier(self.settings, self.redactor)

    def verify(self, position: int, stored: Interaction, outgoing: Outgoing) -> None:
        """Sends a request once more, beside the client that has its stored answer."""
        self.verifier.start(position, stored, outgoing)

    def comes(self, exchange: Exchange, recording: Recording) -> bool:
        """Whether a response that has begun to come is taken down: it is not once the test has ended."""
        with self._forks.lock:
            if not self.closed:
                exchange.coming = recording
                return True
        self._miss_answer(exchange)
        return False

    def take(self, exchange: Exchange, interaction: Interaction) -> None:
        """Keeps what was recorded, unless the test has ended: then it is said that it is not."""
        with self._forks.lock:
            if not self.closed:
                exchange.recorded = interaction
                self.tell("recorded", interaction)
                return
        self._miss_answer(exchange)

    def _miss_answer(self, exchange: Exchange) -> None:
        with self._forks.lock:
            told, exchange.told = exchange.told, True
        if not told:
            self.report(late=(exchange.not_come(self._name),))

    def too_late(self, request: Request, by: str = "") -> RequestStoppedError:
        """Returns the error for a request that is made when the test has ended, and tells the run of it."""
        self._refuse(f"{request.method} {request.url}", by)
        return too_late(request, self._name, by)

    def let_go(self, exchange: Exchange) -> None:
        """Keeps of an exchange no more than what has answered it."""
        if exchange in self.exchanges:
            self.exchanges.remove(exchange)
            self.gone[exchange.position] += 1

    def _refuse(self, asked: str, by: str = "") -> None:
        whose = f"{by}, for {self._name}," if by else f"a thread of {self._name}"
        self.report(late=(f"refused: {asked}, asked by {whose} after it had ended",))

    def report(self, *, late: tuple[str, ...] = (), blocked: tuple[str, ...] = ()) -> None:
        """Tells the run what happened after the outcome of this session was known."""
        run = host()
        if run is not None:
            total, mode = len(self._answers.own), self.settings.mode.name
            run.report(Outcome(str(self._path), mode, self._shared, total=total, late=late, blocked=blocked))

    def explain(self) -> None:
        """Says in each error what a person needs to know: the client, which may be an event loop, waits no more."""
        for each in self._failures(self.missed, self._overread, self._stopped):
            if each.error in self._explained:
                continue
            self._explained.add(each.error)
            try:
                explanation = each.explain()
            except Exception as problem:  # noqa: BLE001 - whatever goes wrong here, the request was not answered
                explanation = Explanation(f"{str(each.error).removesuffix(_LATER)}{_unexplained(problem)}")
            each.error.explain(explanation)

    def _failures(self, *kinds: Mapping[Any, Failure]) -> tuple[Failure, ...]:
        self.hear()
        if not any(kinds):
            return ()
        with self._forks.lock:  # a thread may be adding one
            return tuple(failure for kind in kinds for failure in kind.values())

    def tell(self, what: str, fact: Interaction | Request | list[int] | str | int | None) -> None:
        """In a forked child, hands what happened to the process that opened the cassette.

        Raises:
            RequestStoppedError: that is not possible, and what is recorded here would be lost.
        """
        if not self._forks.is_copy:
            return
        try:
            if isinstance(fact, Interaction) and (fact.request.files or fact.response.files):
                with locks.locked(self._path):
                    body_files.write_files([fact], self._path)  # the note holds but their names
            self._forks.tell({what: tree_of(fact) if isinstance(fact, Interaction | Request) else fact})
        except OSError as error:
            raise RequestStoppedError(
                f"what this forked process did cannot be handed to its parent: {error}\n"
                "Make some room in the folder for temporary files, then run it again."
            ) from None

    def hear(self) -> None:
        """Takes what forked children did as if it had been done here."""
        if not self._forks.may_tell:
            return
        with self._forks.lock:
            for note in self._forks.notes():
                self._take(note)

    def _take(self, note: dict[str, Any]) -> None:
        match note:
            case {"played": int(position)}:
                answer = self._answers.play(position)
                self._add(answer.request, position=position, answer=answer)
            case {"recorded": tree} if recorded := interaction_of(tree, self._path):
                self._answers.note_miss(recorded.request)
                self._add(recorded.request, recorded=recorded)
            case {"missed": tree}:
                request = request_of(tree) or _UNKNOWN
                self.miss(self._answers.matcher.key(request), request)
            case {"overread": [int(position), int(length)]}:
                self.overread(position, length)
            case {"stopped": str(problem)}:
                self.stop(problem)
            case {"unsent": str(why)}:
                self._add(_UNKNOWN, unsent=Unsent(why))
            case {"error": status}:
                self._add(_UNKNOWN, error_status=status)
            case {"sent": _}:
                self._add(_UNKNOWN)
            case {"mocked": _}:
                self.mocked += 1

    def _add(self, request: Request, **known: Any) -> None:
        self.exchanges.append(Exchange(self, request, **known))


def _unexplained(problem: Exception) -> str:
    """Returns what is said where the explanation of a verdict cannot be made."""
    what = format_exception_only(problem)[-1].strip()
    return (
        f"\n  The rest of the explanation could not be made: {what}\n"
        "  If the test replaces a part of Python that this needs, let it do so only around its own code. "
        "Otherwise this is a bug in pytest-stepreplay."
    )
