"""`Mode`: what a run does with requests, as a value that the rest of the code asks for what it can do.

A mode is one entry in `MODES`. Nobody compares the name of one; it is for users.
"""

from __future__ import annotations

from typing import Final, Literal

from ..value_classes import dataclass


class Writes:
    """What a run leaves on the disk."""

    NOTHING: Final = "nothing"
    PENDING: Final = "pending"
    NEW: Final = "new"
    ALL: Final = "all"


class OnMiss:
    """What becomes of a request that no recorded one answers."""

    FAIL: Final = "fail"
    RECORD: Final = "record"
    PASS_BY: Final = "pass by"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Mode:
    """What a run does with requests.

    Attributes:
        name: what users call it.
        on_miss: what becomes of a request that is not recorded.
        answers: a recorded request is answered from the cassette.
        sends: a recorded request is sent, whether it is answered from the cassette or not.
        writes: what the run leaves: nothing, pending files, new interactions, or all of them anew.
        compares: new responses are compared with the stored ones.
        guards: the network is kept away from tests.
        mutates: tests that pass run again, each time with one recorded answer changed; a mode of whole runs.
    """

    name: str
    on_miss: Literal["fail", "record", "pass by"]
    answers: bool = False
    sends: bool = False
    writes: Literal["nothing", "pending", "new", "all"] = Writes.NOTHING
    compares: bool = False
    guards: bool = False
    mutates: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def reads(self) -> bool:
        """Whether the cassette is read."""
        return self.answers or self.compares

    @property
    def adds(self) -> bool:
        """Whether what is recorded joins what the cassette holds."""
        return self.writes == Writes.NEW

    @property
    def rewrites(self) -> bool:
        """Whether what is recorded takes the place of what the cassette holds."""
        return self.writes == Writes.ALL

    @property
    def records(self) -> bool:
        """Whether responses are recorded into the cassette."""
        return self.adds or self.rewrites

    @property
    def verifies(self) -> bool:
        """Whether a recorded request is answered from the cassette and sent as well, to compare the two."""
        return self.answers and self.compares

    @property
    def replays(self) -> bool:
        """Whether the cassette alone answers, so that a run tells what of it is still needed."""
        return self.answers and not self.sends and self.on_miss == OnMiss.FAIL

    @property
    def passes_by(self) -> bool:
        """Whether requests are sent, and nothing is recorded or compared."""
        return self.on_miss == OnMiss.PASS_BY


REPLAY: Final = Mode("replay", OnMiss.FAIL, answers=True, guards=True)
RECORD: Final = Mode("record", OnMiss.RECORD, answers=True, writes=Writes.NEW)
REWRITE: Final = Mode("rewrite", OnMiss.RECORD, sends=True, writes=Writes.ALL, compares=True)
VERIFY: Final = Mode("verify", OnMiss.FAIL, answers=True, sends=True, writes=Writes.PENDING, compares=True)
LIVE: Final = Mode("live", OnMiss.PASS_BY, sends=True)
MUTATE: Final = Mode("mutate", OnMiss.FAIL, answers=True, guards=True, mutates=True)

MODES: Final[dict[str, Mode]] = {mode.name: mode for mode in (REPLAY, RECORD, REWRITE, VERIFY, LIVE, MUTATE)}
"""Every mode by its name."""
