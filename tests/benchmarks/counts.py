"""The guard against getting slower: what each work makes our code do, counted, and held against a stored table.

The works go in, run by pytest under `inside.counting`; what has grown beyond its tolerance comes out. What is counted is
the same on every machine, however busy that is, under every Python and every version of other packages.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

from pytest_stepreplay.upstream import ReceivedRequest, ScriptedAnswer, Upstream, answer

from .environments import Environments
from .measuring import BenchmarkError, run
from .snapshots import KINDS, SnapshotSuite
from .suites import OUR_TOOL, Project, Suite

TABLE: Final = Path(__file__).with_name("counts.json")
TOLERANCE: Final[Mapping[str, float]] = {"calls": 0.02, "calls of a further test": 0.02}
"""By what share a count may grow. What is not named here may not grow at all."""
_FILL: Final = 1750
_SHOWN: Final = 3

Counts: TypeAlias = dict[str, int]


@dataclass(frozen=True)
class Counted:
    """What one work came to.

    Attributes:
        counts: by what was counted.
        rooms: the calls of each room's functions.
        functions: the calls of each function.
    """

    counts: Counts
    rooms: Counts
    functions: Counts


class _Place:
    """A folder for one work, in which pytest is run as it is, or counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._result = folder.with_suffix(".json")
        self.plain = Environments(folder, here=True)

    def counting(self, status: int = 0) -> Environments:
        """Returns what counts a run of pytest, which is to end with a status."""
        module = ("tests.benchmarks.inside.counting", self._result, status)
        return Environments(self.folder, here=True, module=module)

    def counted(self) -> Counted:
        """Returns what the last counted run came to."""
        told: dict[str, Any] = json.loads(self._result.read_text(encoding="utf-8"))
        functions: Counts = told.pop("functions")
        rooms = Counter[str]()
        for name, count in functions.items():
            rooms[name.partition(":")[0].partition("/")[0].removesuffix(".py")] += count
        return Counted(told, dict(sorted(rooms.items())), functions)


def _idle(place: _Place) -> None:
    place.folder.mkdir()
    (place.folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
    (place.folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    environments = place.counting()
    run(environments.pytest(OUR_TOOL.environment), folder=place.folder, environment=environments.variables)


def _recorded(suite: Suite, place: _Place, environments: Environments) -> None:
    """Records a suite, every time from the same answers."""

    def reply(received: ReceivedRequest) -> ScriptedAnswer:
        prompt = received.json["messages"][-1]["content"]
        usage = {"prompt_tokens": 9, "completion_tokens": 300, "total_tokens": 309}
        return answer(f"{prompt} {suite.text}", id="chat-1", created=1763800000, usage=usage)

    with Upstream(reply) as upstream:
        Project(place.folder, suite, OUR_TOOL, environments).record(upstream)


def _suite(suite: Suite, place: _Place, *, missing: bool = False) -> None:
    _recorded(suite, place, place.plain)
    for path in place.folder.glob("cassettes/**/*.yaml"):
        text = path.read_text(encoding="utf-8")
        # A time that is written for the second time is read as it was before.
        text = re.sub("(?m)^(- recorded_at: ).*", r"\g<1>'2026-11-22T17:00:00Z'", text)
        text = re.sub("(?m)^(  elapsed: ).*", r"\g<1>0.25", text)
        times = " ".join(str(10 * number) for number in range(text.count("\n    - '")))
        path.write_text(re.sub("(?m)^( +chunks: ).*", rf"\g<1>'{times}'", text), encoding="utf-8")
    project = Project(place.folder, suite, OUR_TOOL, place.counting(status=1 if missing else 0))
    project.miss() if missing else project.replay()


def _snapshots(place: _Place) -> None:
    kind = next(each for each in KINDS if each.environment == OUR_TOOL.environment)
    SnapshotSuite(place.folder, kind, 6, _FILL, place.counting()).run()


_PLAIN: Final = Suite("plain", 6, 3, _FILL)
WORKS: Final[Mapping[str, Callable[[_Place], None]]] = {
    "idle": _idle,
    "replay": lambda place: _suite(_PLAIN, place),
    "conversations": lambda place: _suite(Suite("conversation", 3, 12, _FILL), place),
    "streams": lambda place: _suite(Suite("streamed", 3, 1, _FILL), place),
    "snapshots": _snapshots,
    "recording": lambda place: _recorded(_PLAIN, place, place.counting()),
    "misses": lambda place: _suite(Suite("plain", 4, 1, _FILL), place, missing=True),
}


def count(works: Sequence[str]) -> dict[str, Counted]:
    """Does works, two at a time, and returns what each came to.

    Raises:
        BenchmarkError: one was not done as it should be.
    """

    def counted(name: str) -> Counted:
        place = _Place(Path(folder).resolve() / name)
        WORKS[name](place)
        return place.counted()

    with TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        return dict(zip(works, pool.map(counted, works), strict=True))


def check(found: Mapping[str, Counted], table: Path = TABLE) -> tuple[list[str], bool]:
    """Returns what to say of the counts, line by line, and whether none has grown beyond its tolerance.

    Args:
        found: by work.
        table: the file that holds what they were.

    Raises:
        BenchmarkError: the table lacks a work, or cannot be read.
    """
    stored = _stored(table)
    grown, fallen = list[str](), list[str]()
    for work, counted in found.items():
        if work not in stored:
            raise BenchmarkError(f"{table.name} has no {work}; add it with --check --renew")
        before = stored[work]["counts"]
        for name, now in counted.counts.items():
            then = before.get(name, 0)
            share = TOLERANCE.get(name, 0)
            if now > then * (1 + share):
                calls = name in TOLERANCE
                grown.append(f"{work}: {name}: {_change(then, now)}")
                grown += (
                    [f"  {each}" for each in _where(stored[work]["rooms"], counted.rooms)] if calls else ()
                )
            elif now < then * (1 - share):
                fallen.append(f"{work}: {name}: {_change(then, now)}")
    lines = [f"{len(found)} works counted"] if not grown and not fallen else []
    if fallen:
        lines += ["fell:", *fallen]
    if grown:
        lines += [
            "GREW:",
            *grown,
            "If that is what it has to cost, say why in the commit that renews the table:",
        ]
    elif fallen:
        lines.append("So that they stay low, renew the table:")
    if grown or fallen:
        lines.append("  python -m tests.benchmarks --check --renew")
    return lines, not grown


def renew(found: Mapping[str, Counted], table: Path = TABLE) -> None:
    """Writes the counts into the table, beside those of works that were not counted now."""
    stored = _stored(table) if table.exists() else {}
    new = stored | {work: {"counts": each.counts, "rooms": each.rooms} for work, each in found.items()}
    ordered = {work: new[work] for work in WORKS if work in new}
    table.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def _stored(table: Path) -> dict[str, dict[str, Counts]]:
    try:
        stored: dict[str, dict[str, Counts]] = json.loads(table.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problem = f"{table} cannot be read ({error}); make it anew with --check --renew"
        raise BenchmarkError(problem) from None
    return stored


def _where(before: Counts, now: Counts) -> list[str]:
    """Returns the rooms whose calls have grown most."""
    grown = sorted((now[room] - before.get(room, 0), room) for room in now)[::-1]
    return [
        f"calls of {room}: {_change(before.get(room, 0), now[room])}"
        for more, room in grown[:_SHOWN]
        if more > 0
    ]


def _change(then: int, now: int) -> str:
    return f"{then:,} -> {now:,}" + (f" ({(now - then) / then:+.1%})" if then else "")
