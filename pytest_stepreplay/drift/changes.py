"""What a comparison returns: a `Drift`, its `Change`s and their `Level`. Frozen values, nothing else.

What they say of themselves is made by `forms`; further forms stand in `report.renderers`.
"""

from __future__ import annotations

from typing import Any

from ..settings.levels import FailOn, Level, read_fail_on
from ..value_classes import dataclass
from . import forms
from .values import Fact


@dataclass(frozen=True, slots=True)
class Change(Fact):
    """One place where the new response differs."""

    @property
    def summary(self) -> str:
        """What happened, in one line that is safe to print: ``search -> fetch``."""
        return forms.summarize_change(self)

    def __str__(self) -> str:
        return forms.describe_change(self)


@dataclass(frozen=True, slots=True)
class Drift:
    """How a new response differs from the stored one. It is false if only volatile values differ.

    Attributes:
        changes: worst first.
        fail_on: the lowest level that fails by the policy.
        matched: the selectors of the policy that named a place in either response; one that never does,
            in a whole run, is a typo.
    """

    changes: tuple[Change, ...] = ()
    fail_on: FailOn = Level.CONTENT
    matched: frozenset[str] = frozenset()

    @property
    def level(self) -> Level:
        """The level of the worst change, or `Level.NONE` if there is none."""
        return max((change.level for change in self.changes), default=Level.NONE)

    def passes(self, fail_on: FailOn | str | None = None) -> bool:
        """Whether the drift is below the level that fails.

        Args:
            fail_on: a level or ``"never"``; by default what the policy said.

        Raises:
            SettingsError: for an unknown level.
        """
        limit = self.fail_on if fail_on is None else read_fail_on(fail_on)
        return limit == "never" or self.level < limit

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        return self.line()

    def line(self) -> str:
        """Returns the worst change and the number of the others, in one line."""
        return forms.as_line(self.changes)

    def short(self) -> str:
        """Returns at most eight lines."""
        return forms.as_short(self.changes)

    def full(self) -> str:
        """Returns every change, with texts word by word."""
        return forms.as_full(self.changes)

    def to_json(self) -> dict[str, Any]:
        """Returns the drift as a value that any JSON writer takes.

        ``old`` and ``new`` are missing where there was no value. A number that JSON cannot hold is a string, and
        half of a surrogate pair its escape.
        """
        return {
            "level": str(self.level),
            "fail_on": str(self.fail_on),
            "passes": self.passes(),
            "changes": [forms.change_as_json(change) for change in self.changes],
        }

    def to_markdown(self) -> str:
        """Returns Markdown, for a summary page or a comment on a pull request."""
        return forms.as_markdown(self.changes)
