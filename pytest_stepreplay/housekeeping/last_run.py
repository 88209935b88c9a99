"""What the last pytest run knows of the cassettes: which it played, which nothing uses, which are missing.

The outcomes of a run go in, and a `LastRun` comes out; as JSON it lies in pytest's cache folder, where
`stepreplay prune` and `stepreplay relink` find it. Nothing heavy is imported: this runs at the end of a run.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from ..machine import disk
from ..settings import MODES
from ..value_classes import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A cassette as the run has seen it; another size or time of change means that it has changed since."""

    path: str
    size: int
    changed_at: int
    total: int = 0
    played: tuple[int, ...] = ()

    def is_unchanged(self) -> bool:
        """Whether the file on disk is still the one that the run has seen."""
        try:
            found = disk.status(self.path)
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.changed_at)


@dataclass(frozen=True, slots=True)
class Missing:
    """A test whose cassette is not there.

    Attributes:
        path: where the cassette should be.
        test: its id.
        keys: of the requests that it asked in vain, as a `Matcher` of these settings makes them.
        whole_keys: the same with their bodies, where the settings do not compare those.
    """

    path: str
    test: str
    keys: tuple[str, ...] = ()
    whole_keys: tuple[str, ...] = ()
    match_on: tuple[str, ...] = ()
    ignore_request: tuple[str, ...] = ()
    ignore_order: tuple[str, ...] = ()
    absent_equals: str = "default"
    normalize: tuple[str, ...] = ()
    redact_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LastRun:
    """What one run has left for the commands.

    Attributes:
        unfit: why it does not tell what is still needed; empty for a whole, passing run in replay.
        complete: no test was left out, so that what no test uses is known.
        folders: those of the cassettes.
        unplayed: cassettes of which something was not played.
        orphans: cassettes that no test uses.
        missing: tests without their cassette.
        elsewhere: the ids of tests by their cassettes, for those that lie in no folder of ours.
    """

    unfit: tuple[str, ...]
    complete: bool
    folders: tuple[str, ...]
    owned: tuple[str, ...]
    unplayed: tuple[SeenFile, ...] = ()
    orphans: tuple[SeenFile, ...] = ()
    missing: tuple[Missing, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)


def sum_up(
    outcomes: Sequence[Mapping[str, Any]],
    *,
    owned: Mapping[str, str],
    on_disk: Iterable[str],
    folders: Iterable[str],
    unfit: Sequence[str],
    complete: bool,
    elsewhere: Mapping[str, str] | None = None,
) -> LastRun:
    """Returns what is to be remembered of a run.

    Args:
        outcomes: `session.outcome.Outcome` as mappings, of all processes.
        owned: the cassettes of the collected tests, with the id of a test for each.
        on_disk: the cassettes of the suite, or those of them that no collected test owns.
        folders: where they lie.
        unfit: why the run does not tell what is still needed.
        complete: no test was left out.
        elsewhere: those of the cassettes that lie in no folder of ours, with the id of a test for each.
    """
    outcomes = [each for each in outcomes if each["path"]]  # the others are of tests without a cassette
    modes = sorted({each["mode"] for each in outcomes if not MODES[each["mode"]].replays})
    if modes:
        unfit = [*unfit, f"it ran in {' and '.join(modes)}; only replay shows what is still played"]
    played: dict[str, set[int]] = {}
    totals: dict[str, int] = {}
    doubtful = set[str]()
    used = set(owned)
    for each in outcomes:
        answered = [(each["path"], each["total"], each["replayed"]), *each["borrowed"]]
        for path, total, positions in answered:
            used.add(path)
            played.setdefault(path, set()).update(positions)
            totals[path] = max(total, totals.get(path, 0))
            if not each["passed"] or (path == each["path"] and each["ownerless"]):
                doubtful.add(path)
    left = [path for path in sorted(totals) if path not in doubtful and len(played[path]) < totals[path]]
    asked = {each["path"]: each["asked"] for each in outcomes if each.get("asked")}
    return LastRun(
        unfit=tuple(unfit),
        complete=complete,
        folders=tuple(sorted(folders)),
        owned=tuple(sorted(used)),
        unplayed=tuple(seen for path in left if (seen := _see(path, totals[path], played[path]))),
        orphans=tuple(seen for path in sorted({*on_disk} - used) if complete and (seen := _see(path))),
        missing=tuple(
            Missing(path, test, **asked.get(path, {}))
            for path, test in sorted(owned.items())
            if not totals.get(path) and not disk.exists(path)  # what was played from is there
        ),
        elsewhere={**(elsewhere or {})},
    )


def render_last_run(run: LastRun) -> dict[str, Any]:
    """Returns the run as a JSON value."""
    return {"version": VERSION, **asdict(run)}


def read_last_run(path: Path) -> LastRun | None:
    """Returns what the last run left in a file; None where there is none, or nothing that this version reads."""
    try:
        tree = json.loads(disk.read(path), object_hook=_frozen)
        if tree.pop("version") != VERSION:
            return None
        unplayed, orphans = (
            tuple(SeenFile(**each) for each in tree.pop(name)) for name in ("unplayed", "orphans")
        )
        missing = tuple(Missing(**each) for each in tree.pop("missing"))
        return LastRun(**tree, unplayed=unplayed, orphans=orphans, missing=missing)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _frozen(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in tree.items()}


def _see(path: str, total: int = 0, played: Iterable[int] = ()) -> SeenFile | None:
    try:
        found = disk.status(path)
    except OSError:
        return None
    return SeenFile(path, found.st_size, found.st_mtime_ns, total, tuple(sorted(played)))
