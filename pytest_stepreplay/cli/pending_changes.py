"""`stepreplay pending`, `accept` and `reject`: pending changes, and what becomes of them.

What is pending is found and judged here for `review` too: `find_pending`, `read_all` and `PendingDrift`.
"""

from __future__ import annotations

import glob
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..commands import pytest_command, stepreplay_command
from ..drift import keeping
from ..drift.comparison import compare
from ..endpoints import contract_of_url, endpoint_of_url
from ..errors import CassetteError, StepReplayError
from ..housekeeping.quoted_answers import find_quotes_of
from ..models import LARGE_TEXT, Interaction
from ..report.grouping import cause_of
from ..report.renderers import render
from ..settings.levels import Level
from ..settings.policy import Policy
from ..store.pending import WHOLE, accept_pending, iter_pending, pending_path, read_pending, reject_pending
from ..texts.escaping import escape_for_terminal
from ..value_classes import dataclass
from ..wire.json_values import texts_below
from ..wire.vectors import shorten
from . import printing
from .command import AS_JSON, COLOR, Command, Operand, Option, UsageError, number_from_1
from .conversation import body_shown, summary_of
from .naming import adopted_folders, find_named, nearest_names
from .project import cassette_folder, display, guarded_by_project, typed_test
from .terminal import echo, json_text, plural, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from ..drift.changes import Drift
    from ..housekeeping.quoted_answers import Quoting
    from ..models import Request, Response
    from ..store.pending import Pending, Unit

SNAPSHOTS: Final = ".snapshots.yaml"
SHOWN_VALUE: Final = 160  # characters of a value that is new or removed, in one line
PATHS: Final = Operand("paths", "any")  # not checked here: a name may be short, or a glob


def _list(paths: tuple[str, ...], color: str, as_json: bool) -> int:
    found = read_all(find_pending(paths))
    if as_json:
        echo(json_text({"pending": [_as_json(each) for each in found]}))
    else:
        print_list(found, color)
    return 1 if found else 0


PENDING: Final = Command(
    name="pending",
    description="""
    List pending changes: how much each one matters, and its most important part.

    PATHS are cassettes, pending files (NAME.yaml.new), folders or globs; by default the project's folder. The
    exit status is 1 if anything is pending.
    """,
    examples=("stepreplay pending", "stepreplay pending cassettes/test_chat --json"),
    operands=(PATHS,),
    options=(COLOR, AS_JSON),
    run=_list,
)


def _accept(**choice: Any) -> int:
    with guarded_by_project():
        return _decide("accepted", accept_pending, **choice)


def _reject(**choice: Any) -> int:
    with guarded_by_project():
        return _decide("rejected", reject_pending, **choice)


_DECIDING: Final = (
    Option("--all", "Everything that is pending in the project's folder.", {"dest": "everything"}),
    Option(
        "-n, --interaction N",
        "Only this interaction of the cassette, counted from 1.",
        {"dest": "interactions", "type": number_from_1, "action": "append", "default": []},
    ),
    Option(
        "-s, --snapshot NAME",
        "Only this snapshot of the file.",
        {"dest": "snapshots", "action": "append", "default": []},
    ),
)
ACCEPT: Final = Command(
    name="accept",
    description="""
    Accept pending changes: the new versions replace the old ones.

    PATHS are cassettes, pending files (NAME.yaml.new), folders or globs. A pending file whose cassette has
    changed since is refused, and makes the exit status 1; the others are still accepted.
    """,
    examples=(
        "stepreplay accept cassettes/test_chat/test_greeting.yaml --interaction 2",
        "stepreplay accept 'cassettes/test_chat/*'",
        "stepreplay accept --all",
    ),
    operands=(PATHS,),
    options=_DECIDING,
    run=_accept,
)
REJECT: Final = Command(
    name="reject",
    description="""
    Reject pending changes: the cassettes stay as they are, and the new versions are deleted.

    PATHS are cassettes, pending files (NAME.yaml.new), folders or globs. If a cassette has changed since,
    its pending file can only be rejected as a whole; a part of it is refused, and makes the exit status 1.
    """,
    examples=tuple(example.replace("accept", "reject") for example in ACCEPT.examples),
    operands=(PATHS,),
    options=_DECIDING,
    run=_reject,
)


def _decide(
    done: str,
    decide: Callable[[Path, Sequence[str] | None], tuple[str, ...]],
    *,
    paths: tuple[str, ...],
    everything: bool,
    interactions: list[int],
    snapshots: list[str],
) -> int:
    if everything == bool(paths):
        raise UsageError("give PATHS or --all, not both" if paths else "give PATHS, or --all")
    files = find_pending(paths, must_exist=True)
    chosen = None
    if interactions or snapshots:
        files, chosen = _chosen_units(files, interactions, snapshots)
    if not files:
        echo("Nothing is pending.")
    refused = False
    for read in read_all(files):
        path = read.path
        units = chosen or ([] if isinstance(read, Unreadable) else [unit.name for unit in read.units])
        broken = [] if done != "accepted" or isinstance(read, Unreadable) else _quoted_units(read, units)
        try:
            left = decide(path, chosen)
        except CassetteError as error:
            refused = True
            echo(f"refused: {safe(str(error))}", err=True)
        else:
            echo(f"{done} {tell_units(path, units)}" + (f", {len(left)} still pending" if left else ""))
            for finding in broken:
                echo(f"  {safe(finding.quoted)}")
            if broken:
                tests = list(dict.fromkeys(test for finding in broken for test in finding.tests_again))
                told = pytest_command("--stepreplay=record", tests=tests)
                echo(
                    f"  so they send requests that are no longer recorded; record the rest again:\n    {told}"
                )
    return 1 if refused else 0


def _quoted_units(pending: Pending, names: Sequence[str]) -> list[PendingDrift]:
    """Returns those of the units whose old answer is quoted, and goes."""
    return [each for each in findings_of(pending) if each.unit.name in names and each.quoted]


def _chosen_units(
    files: Sequence[Path], interactions: Sequence[int], snapshots: Sequence[str]
) -> tuple[list[Path], list[str]]:
    """Returns the one file whose units the options name, and the names of the units."""
    noun = "interaction" if interactions else "snapshot"
    of_kind = [path for path in files if noun_for(path) == noun]
    if interactions and snapshots:
        raise UsageError("--interaction is for cassettes and --snapshot for snapshots; use one of them")
    if len(of_kind) != 1:
        raise UsageError(f"--{noun} needs one pending file with {noun}s; PATHS name {len(of_kind)}")
    return of_kind, [*map(str, interactions), *snapshots]


# ---------------------------------------------------------------- what is pending


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A pending file that cannot be read, and why."""

    path: Path
    problem: str


def find_pending(names: Iterable[str], *, must_exist: bool = False) -> list[Path]:
    """Returns the pending files that the names stand for, each once; without a name, the project's.

    Args:
        names: cassettes, tests, pending files, folders or globs; ``.yaml`` may be left out. A name with
            brackets is a name first, and then a glob.
        must_exist: something must be pending for each name that is no folder.

    Raises:
        StepReplayError: for a name of nothing, or for which nothing is pending.
    """
    folder = cassette_folder()
    names = list(names)
    found = [] if names else [each for one in (folder, *adopted_folders()) for each in _pending_of(one)]
    for name in names:
        files = [*_pending_of(Path(name))] or [*_pending_of(folder / name)]
        named = [] if files or not name or Path(name).is_dir() else find_named(name)
        files = files or [file for each in named for file in each.files if file.name.endswith(".new")]
        if not files and not named and glob.has_magic(name):
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob refuses absolute ones
            files = [file for each in matches for file in _pending_of(Path(each))]
        if not files and not Path(name).is_dir() and (must_exist or not Path(name).exists()):
            raise StepReplayError(
                f"{name}: nothing is pending for it, neither here nor in {display(folder)}"
                f"{'' if named else nearest_names(name)}\nList what is pending: {stepreplay_command('pending')}"
            )
        found += files
    folders = {folder: display(folder) for folder in {path.parent for path in found}}
    # As an error should name them; to find out where each of thousands leads takes a second.
    return list(dict.fromkeys(Path(folders[path.parent], path.name) for path in found))


def _pending_of(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from iter_pending(path)
    elif path.name.endswith(".new") and path.is_file():
        yield path
    elif path.name:
        names = (path.name, f"{path.name}.yaml", f"{path.name}{SNAPSHOTS}")
        candidates = [pending_path(path.with_name(name)) for name in names]
        yield from (each for each in candidates if each.is_file())


def read_all(paths: Iterable[Path]) -> list[Pending | Unreadable]:
    """Returns what waits in the pending files."""
    found: list[Pending | Unreadable] = []
    for path in paths:
        try:
            found.append(read_pending(path))
        except CassetteError as error:
            found.append(Unreadable(path, str(error)))
    return found


class PendingDrift:
    """One pending unit as a person is shown it. All texts are safe to print."""

    def __init__(self, pending: Pending, unit: Unit) -> None:
        self.pending = pending
        self.unit = unit

    @property
    def name(self) -> str:
        """``interaction 2 of 5``, ``snapshot plan``, or what is new as a whole."""
        if isinstance(self.unit.new, tuple):
            return f"a new cassette with {plural(len(self.unit.new), 'interaction')}"
        if self.pending.kind == "cassette":
            return f"interaction {self.unit.name} of {self.pending.total:,}"
        return safe(f"snapshot {self.unit.name}".replace("\n", " "))

    @property
    def request(self) -> Request | None:
        """The request of an interaction."""
        return self.unit.new.request if isinstance(self.unit.new, Interaction) else None

    @property
    def _responses(self) -> tuple[Response, ...]:
        """The old one and the new one, of an interaction that is changed."""
        return tuple(
            each.response for each in (self.unit.old, self.unit.new) if isinstance(each, Interaction)
        )

    @cached_property
    def drift(self) -> Drift | None:
        """How the new version differs; None where only one of them is there."""
        if self.unit.change != "changed":
            return None
        if self.request is None:
            return compare(self.unit.old, self.unit.new)
        old, new = (keeping.body_of(response) for response in self._responses)
        policy = Policy(contract=contract_of_url(self.request.url))
        endpoint = endpoint_of_url(self.request.url)
        return compare("" if old is None else old, "" if new is None else new, policy, endpoint=endpoint)

    @cached_property
    def around(self) -> list[str]:
        """What differs around the body of a response."""
        if not self._responses:
            return []
        old, new = self._responses
        found = [f"status: {old.status} -> {new.status}"] if old.status != new.status else []
        for name in sorted({*old.headers, *new.headers}):
            one, other = (each.headers.get(name, "nothing") for each in (old, new))
            if one != other:
                found.append(escape_for_terminal(f"header {name}: {one} -> {other}"))
        samples = [each.samples for each in (self.unit.old, self.unit.new) if isinstance(each, Interaction)]
        if len(samples) == 2 and samples[0] != samples[1]:
            found.append(f"samples: {len(samples[0])} -> {len(samples[1])} others")
        return found

    @property
    def quoted(self) -> str:
        """Who quotes the old answer, in words, and is a miss once that is gone; nothing where nobody does."""
        return self._quoting.told

    @cached_property
    def _quoting(self) -> Quoting:

        return find_quotes_of(self.pending, self.unit)

    @cached_property
    def cause(self) -> Hashable:
        """What it has in common with other changes that one cause has brought about."""
        if sum(map(_letters_of, self._responses)) > LARGE_TEXT:  # to compare it takes seconds
            return (self.pending.path, self.unit.name)
        if self.drift is None:
            return (self.pending.kind, self.unit.change)
        drift = {"status": "drifted", "drift": self.drift.to_json()}
        return (tuple(self.around), cause_of(drift) if self.drift else None)

    @property
    def level(self) -> str:
        """The level of the drift; ``added`` or ``removed`` where there is nothing to compare."""
        if self.drift is None:
            return self.unit.change
        around = (Level.BEHAVIOR if each.startswith("status") else Level.METADATA for each in self.around)
        return str(max(self.drift.level, *around, Level.NONE))

    @cached_property
    def line(self) -> str:
        """The leading change, with its level."""
        if self.drift is None:
            value = "" if isinstance(self.unit.new, tuple) else self.value(indent=None)
            shown = value if len(value) <= SHOWN_VALUE else f"{value[:SHOWN_VALUE]}…"
            return escape_for_terminal(f"{self.unit.change} {shown}".rstrip())
        told = list(self.around)
        if self.drift:
            told.append(render(self.drift, "line"))
        elif told:
            told[-1] += f" ({self.level})"
        return "; ".join(told) or "only volatile values differ"

    @property
    def rewrite(self) -> str:
        """The command that records the whole test anew, or those tests that quote a fixture."""
        return pytest_command("--stepreplay=rewrite", tests=self.tests_again)

    @property
    def rest(self) -> str:
        """The command that records what stands behind the new answer, once that is accepted."""
        return pytest_command("--stepreplay=record", tests=self.tests_again)

    @property
    def tests_again(self) -> list[str]:
        """The tests that quote the old answer, as a person types them."""
        return [each for each in map(typed_test, self._quoting.tests) if each]

    @property
    def owner(self) -> str:
        """The test that the answer was recorded for, as a person types it; empty for a fixture."""
        return typed_test(self.pending.test) if self.pending.test else ""

    def to_json(self) -> dict[str, Any]:
        """Returns the finding as a value that any JSON writer takes."""
        return {
            "unit": self.unit.name,
            "change": self.unit.change,
            "level": self.level,
            "request": {"method": self.request.method, "url": self.request.url} if self.request else None,
            "around": self.around,
            "quoted": self.quoted,
            "drift": None if self.drift is None else self.drift.to_json(),
        }

    def value(self, indent: int | None) -> str:
        """Returns what was added or removed, as JSON; not yet safe to print."""
        value = self.unit.old if self.unit.change == "removed" else self.unit.new
        if isinstance(value, tuple):
            value = [summary_of(each.response) or body_shown(each.response) for each in value]
        return json.dumps(shorten(value), ensure_ascii=False, indent=indent)


def _letters_of(response: Response) -> int:
    events = (each if isinstance(each, str) else each.frame for each in response.events or ())
    json_texts = texts_below(response.json) if response.body_kind == "json" else ()
    return sum(map(len, (response.text or "", *events, *json_texts)))


def findings_of(pending: Pending) -> list[PendingDrift]:
    """Returns the units of a pending file."""
    return [PendingDrift(pending, unit) for unit in pending.units]


def noun_for(path: Path) -> str:
    """Returns what a pending file holds, as the option that names one: ``interaction`` or ``snapshot``."""
    return "snapshot" if path.name.endswith(f"{SNAPSHOTS}.new") else "interaction"


def tell_units(path: Path, units: Sequence[str]) -> str:
    """Returns ``cassettes/a.yaml: interactions 1, 3``, safe to print; the file alone for all of a new one."""
    if noun_for(path) == "interaction" and units == [WHOLE]:
        units = []
    noun = noun_for(path) + ("" if len(units) == 1 else "s")
    return safe(f"{path.with_suffix('')}" + (f": {noun} {', '.join(units)}" if units else ""))


# ---------------------------------------------------------------- printing it


def print_list(found: Sequence[Pending | Unreadable], color: str = "auto") -> None:
    """Prints what is pending, one file after another, with one line for each change.

    Args:
        found: the pending files.
        color: as `open_console` takes it.
    """
    console = printing.open_console(color)

    def say(text: str, style: str = "") -> None:
        console.print(printing.Text(text, style), soft_wrap=True)

    if not found:
        say("Nothing is pending.")
        return
    count = 0
    for each in found:
        if isinstance(each, Unreadable):
            say(safe(f"unreadable: {each.problem}"), "red")
            continue
        say(safe(f"{each.target}" + (f"  {each.test}" if each.test else "")), "bold")
        if each.stale:
            say("  stale: the file has changed since; verify it again, or reject this", "yellow")
        for finding in findings_of(each):
            line = f"  {finding.name}  {finding.line}"
            console.print(
                printing.Text(line) if finding.drift is None else printing.colored(line), soft_wrap=True
            )
            if finding.quoted:
                say(f"    {safe(finding.quoted)}", "yellow")
                say(f"    rather than accept it, record anew: {finding.rewrite}", "yellow")
            count += 1
    say(
        f"{plural(count, 'change')} in {plural(len(found), 'file')}. Decide: {stepreplay_command('review')}",
        "dim",
    )


def commands_for(found: Iterable[Pending | Unreadable]) -> list[str]:
    """Returns the commands that decide what `review` would ask."""
    commands = []
    for each in found:
        if isinstance(each, Unreadable):
            continue
        one: list[str] = []
        if len(each.units) > 1:
            name = each.units[0].name
            option = f"--{noun_for(each.path)}"
            # Behind a space it would look like an option.
            one = [f"{option}={name}"] if name.startswith("-") else [option, name]
        for verb in ("reject",) if each.stale else ("accept", "reject"):
            commands.append(stepreplay_command(verb, str(each.path)))
            if one:
                commands.append(stepreplay_command(verb, str(each.path), *one))
    return commands


def _as_json(each: Pending | Unreadable) -> dict[str, Any]:
    if isinstance(each, Unreadable):
        return {"path": str(each.path), "error": each.problem}
    findings = findings_of(each)
    levels = [finding.drift.level for finding in findings if finding.drift is not None]
    return {
        "path": str(each.path),
        "target": str(each.target),
        "kind": each.kind,
        "test": each.test,
        "stale": each.stale,
        "level": str(max(levels)) if levels else None,
        "total": each.total,
        "changes": [finding.to_json() for finding in findings],
    }
