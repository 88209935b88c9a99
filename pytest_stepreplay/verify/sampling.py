"""Asks one request several times, and tells a change from a model's own variance.

Recorded answers and new ones are sorted into classes: two answers are of one class where `compare` finds nothing
between them that counts. How often each class was recorded, and is answered now, goes to `chances`, which says when
it is sure. A `Verdict` comes out, as from one answer, with a `Sampled` in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..drift import comparison
from ..drift.keeping import body_of
from ..endpoints import endpoint_of_url
from ..report import conversations
from ..settings.levels import Level, read_fail_on
from ..texts import plural
from . import chances, judging
from .drift_policy import policy_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..drift.changes import Drift
    from ..models import Interaction, Response
    from ..settings import Settings
    from .judging import Decided, Sampled, Status, Verdict


class _Class:
    """Answers that do the same."""

    def __init__(self, first: Response) -> None:
        self.first = first
        self.recorded: list[Response] = []
        self.new: list[Response] = []


class Sampling:
    """One request, while it is asked again and again."""

    def __init__(self, settings: Settings, stored: Interaction, *, to_the_end: bool = False) -> None:
        """Begins with what was recorded.

        Args:
            settings: how often to ask, at which error rate, and what counts as a difference.
            stored: the interaction.
            to_the_end: ask as often as that, unless something has changed: the answers are to be kept.
        """
        self._to_the_end = to_the_end
        self._settings = settings
        self._stored = stored
        self._most = settings.samples
        self._looks = chances.looks(self._most)
        self._chances = chances.Chances()
        self._classes: list[_Class] = []
        self._answered = 0
        self._reasons: list[str] = []
        self._problem = ""
        self._is_ended = False
        self._is_silent = False
        for each in stored.answers:
            self._sort(each, is_new=False)

    @property
    def asked(self) -> int:
        """How often it was asked."""
        return self._answered + len(self._reasons)

    @property
    def wanted(self) -> int:
        """How often it shall have been asked by the next look; no more often than now where that is enough."""
        if self._problem or self._is_ended or self._is_changed or self._is_silent:
            return self.asked
        if self._is_unchanged and not self._to_the_end:
            return self.asked
        return next((each for each in self._looks if each > self.asked), self.asked)

    @property
    def is_over(self) -> bool:
        """Whether it need not be asked again."""
        return self.wanted == self.asked

    def take(self, answers: Sequence[Response | str]) -> None:
        """Takes the answers up to the next look.

        Args:
            answers: those that came, or why none came.
        """
        self._add(answers)
        if self.asked in self._looks and not self._problem:
            recorded, new = ([len(it) for it in side] for side in self._sides())
            self._chances = self._chances.after(self.asked, self._most, recorded, new)

    def end(self, answers: Sequence[Response | str]) -> None:
        """Takes what came since the last look: it is asked no more, whatever is known."""
        if not self._is_ended:
            self._is_ended = True
            self._add(answers)

    def verdict(self, position: int, *, left: str = "") -> Verdict:
        """Returns what is known now.

        Args:
            position: of the interaction in its cassette.
            left: why it was not asked again.
        """
        if self._problem:
            return judging.Verdict(position, "unverified", reason=self._problem)
        if not self._answered:
            reason = (*self._reasons, left, "not asked")
            return judging.Verdict(position, "unverified", reason=next(filter(None, reason)))
        if self._is_changed:
            return self._changed(position)
        decided: Decided = "not changed" if self._is_unchanged else "not decided"
        is_cut = bool(left or (self._reasons and (self._to_the_end or not self._is_unchanged)))
        is_plain = self._is_unchanged or self._to_the_end
        why = "" if is_plain and not is_cut else self._why_undecided(left)
        sampled = self._sampled(decided, why)
        if is_cut or (self._is_unheard_of and not is_plain):
            told = f"{'incomplete' if self._is_unchanged else decided} after "
            told += f"{self.asked:,} of {self._most:,} answers: {why}"
            return judging.Verdict(position, "unverified", reason=told, sampled=sampled)
        return self._unchanged(position, sampled)

    @property
    def _is_changed(self) -> bool:
        return self._chances.alarm <= self._settings.error_rate

    @property
    def _is_unchanged(self) -> bool:
        return self._chances.miss <= chances.MISSED

    @property
    def _is_unheard_of(self) -> bool:
        """Whether something was answered that was never recorded."""
        return any(not each.recorded for each in self._classes)

    def _why_undecided(self, left: str) -> str:
        told = left or next(iter(self._reasons), "")
        if told:
            return told
        unheard = sum(len(each.new) for each in self._classes if not each.recorded)
        answers = plural(len(self._stored.answers), "recorded answer")
        if unheard:
            return f"{unheard:,} do what none of {answers} does; ask more often, or record more answers"
        return f"{answers} and {self._answered:,} new ones are too few to tell"

    def _add(self, answers: Sequence[Response | str]) -> None:
        self._is_silent = bool(answers) and all(isinstance(each, str) for each in answers)
        for each in answers:
            if isinstance(each, str):
                self._reasons.append(each)
            else:
                self._answered += 1
                self._sort(each, is_new=True)

    def _sides(self) -> tuple[list[list[Response]], list[list[Response]]]:
        return [each.recorded for each in self._classes], [each.new for each in self._classes]

    def _changed(self, position: int) -> Verdict:
        """Returns the verdict with the answer that has become more frequent, beside the one that has become rarer."""
        recorded, new = sum(map(len, self._sides()[0])), self._answered
        grown = max(self._classes, key=lambda it: len(it.new) / new - len(it.recorded) / recorded)
        shrunk = min(self._classes, key=lambda it: len(it.new) / new - len(it.recorded) / recorded)
        return judging.Verdict(
            position,
            "drifted",
            drift=self._drift(shrunk.first, grown.new[0]),
            response=grown.new[0],
            beside=shrunk.first,
            sampled=self._sampled("changed", ""),
        )

    def _unchanged(self, position: int, sampled: Sampled) -> Verdict:
        """Returns the verdict with how an answer that does what the stored one does differs from it."""
        alike = self._classes[0].new
        if not alike:
            return judging.Verdict(position, "same", sampled=sampled)
        found = self._drift(self._stored.response, alike[0])
        status: Status = "drifted" if found.changes else "same"
        return judging.Verdict(position, status, drift=found, response=alike[0], sampled=sampled)

    def _sampled(self, verdict: Decided, why: str) -> Sampled:
        ordered = sorted(self._classes, key=lambda it: (-len(it.recorded), -len(it.new)))
        return judging.Sampled(
            verdict,
            why,
            self.asked,
            self._most,
            min(self._chances.alarm, 1.0),
            self._settings.error_rate,
            tuple(
                (
                    conversations.told_answer(self._stored.request, each.first),
                    len(each.recorded),
                    len(each.new),
                )
                for each in ordered
            ),
            tuple(answer for each in self._classes for answer in each.new),
        )

    def _sort(self, answer: Response, *, is_new: bool) -> None:
        try:
            found = next((each for each in self._classes if self._is_alike(each.first, answer)), None)
        except Exception as problem:  # noqa: BLE001 - whatever goes wrong here, nothing is known of the drift
            self._problem = f"the answers cannot be compared: {judging.tell_problem(problem)}"
            return
        if found is None:
            found = _Class(answer)
            self._classes.append(found)
        (found.new if is_new else found.recorded).append(answer)

    def _is_alike(self, one: Response, other: Response) -> bool:
        limit = read_fail_on(self._settings.fail_on or Level.BEHAVIOR)
        counts = Level.BEHAVIOR if limit == "never" else min(Level.BEHAVIOR, limit)
        if self._settings.judge is not None:
            counts = min(counts, Level.CONTENT)
        return one.status == other.status and self._drift(one, other).level < counts

    def _drift(self, one: Response, other: Response) -> Drift:
        policy = policy_for(self._settings, self._stored.request.url)
        endpoint = endpoint_of_url(self._stored.request.url)
        return comparison.compare(body_of(one), body_of(other), policy, endpoint=endpoint)
