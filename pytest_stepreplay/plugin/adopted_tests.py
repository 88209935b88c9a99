"""What the plugin for adopted markers needs of the run: it asks, and tells, by its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .run import ADOPTED, SESSION, WRONG

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from ..errors import StepReplayError
    from ..session.sessions import Session
    from ..settings import Mode, Settings
    from .run import Run


class AdoptedTests:
    """The pytest run, as `vcr.marker.AdoptingRun` has it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.mode_is_given = run.settings.is_typed("mode")
        self.mode: Mode = run.settings.of_run.mode
        self.note = run.unreported.note
        self.id_of = run.places.id_of
        self.typed = run.places.typed

    def settings_of(self, item: pytest.Item, given: Mapping[str, object]) -> Settings:
        """Returns what is set for a test, without its markers."""
        home = self._run.places.home_of(item.path)
        return self._run.settings.with_secrets(self._run.settings.merged(home, given))

    def adopt(self, item: pytest.Item) -> None:
        """Notes that a test is served by the fixture `stepreplay`, for another plugin's marker."""
        item.stash[ADOPTED] = True

    def is_adopted(self, item: pytest.Item) -> bool:
        """Whether that was noted."""
        return ADOPTED in item.stash

    def refuse(self, item: pytest.Item, error: StepReplayError) -> None:
        """Fails a test, when it is its turn, by what is wrong with its marker."""
        item.stash[WRONG] = error

    def session_of(self, item: pytest.Item) -> Session | None:
        """Returns the open session of a test."""
        return item.stash.get(SESSION, None)

    def own(self, path: Path, test: str, *, beside: bool = False) -> None:
        """Notes whose a cassette is; and, if it lies beside the tests, that its folder holds cassettes."""
        self._run.owners.own(path, test)
        if beside:
            self._run.owners.folders.add(path.parent)
