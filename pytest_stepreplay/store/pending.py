"""Pending files: `NAME.yaml.new` beside `NAME.yaml`, a new version that waits for a person.

A pending file holds the whole new version, of a cassette or of a file of snapshots, and last of all which
version it was made from. Units, which are interactions or snapshots, are accepted or rejected one by one or
all at once. What no longer belongs to the file beside it is an error, and changes nothing.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..commands import pytest_command, stepreplay_command
from ..errors import CassetteError, CassetteReadError, CassetteWriteError, display_path
from ..machine import disk
from ..matching import quoting
from ..models import Cassette, Interaction
from ..value_classes import dataclass, field
from . import body_files, codec
from .cassettes import parse_cassette
from .files import PENDING_SUFFIX, exists, read_bytes, remove_cassette, write_bytes
from .locks import locked
from .paths import SNAPSHOTS_SUFFIX, SUFFIXES, check_inside
from .schema import tree_of
from .snapshot_files import parse_snapshots

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ..models import RawFrame, Request, Response
    from ..wire.json_values import Tree

WHOLE = "all"
"""The name of the only unit of a cassette that is new as a whole."""

Kind = Literal["cassette", "snapshots"]
_Units: TypeAlias = dict[str, Any]  # by name; an `Interaction`, several of them, or a snapshot's tree

_NO_FILE = "none"
_MARK = re.compile(rb"^pending:\r?\n +base: ['\"]?([0-9a-f]{64}|none)['\"]?\s*\Z", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Unit:
    """What is accepted or rejected on its own: one interaction, or one snapshot.

    Attributes:
        name: the number of the interaction, from 1, or the name of the snapshot. A cassette that is new as a
            whole is one unit, `WHOLE`.
        change: whether the new version changes it, adds it or removes it.
        old: the `Interaction` or the snapshot's value; None where it is added.
        new: the same; None where it is removed, and all interactions of a cassette that is new as a whole.
        later: the requests that stand behind it in the cassette.
    """

    name: str
    change: Literal["changed", "added", "removed"]
    old: Interaction | Tree
    new: Interaction | tuple[Interaction, ...] | Tree
    later: tuple[Request, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided about units of one pending file, and how both files were before.

    Attributes:
        path: the pending file.
        left: the names of the units that are still pending.
    """

    path: Path
    left: tuple[str, ...]
    _before: tuple[bytes | None, ...] = field(repr=False)
    _after: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending file.

    Attributes:
        path: its own.
        target: the file that it is a new version of, which need not exist.
        kind: what both hold.
        test: the id of the test that it was made by.
        units: those that differ, in the order of the file.
        total: how many units the new version has.
        stale: the target has changed since; it can only be rejected as a whole, and `units` is empty.
    """

    path: Path
    target: Path
    kind: Kind
    test: str | None
    units: tuple[Unit, ...]
    total: int
    stale: bool


def pending_path(path: Path) -> Path:
    """Return the path of the pending file of a cassette or of a file of snapshots."""
    return path.with_name(path.name + PENDING_SUFFIX)


def write_pending(
    path: Path, new: Cassette | Mapping[str, Tree], *, beside: bytes | None = None
) -> Path | None:
    """Write the new version of a file beside it, in one step, over an older one.

    Args:
        path: the cassette, or the file of snapshots (`SNAPSHOTS_SUFFIX`); it need not exist.
        new: the whole new version: a cassette with the same requests, or the tree of a file of snapshots.
        beside: what the file will hold, where it is about to be written; by default what it holds.

    Returns:
        The pending file; None where nothing differs, and then there is none any more.

    Raises:
        CassetteReadError: the file beside it cannot be read.
        CassetteWriteError: it could not be written, or the file beside it is another one by now.
    """
    pending = _checked(pending_path(path))
    with locked(path):
        before = _Version.read(path) if beside is None else _Version.parse(beside, path)
        after = _Version(new) if isinstance(new, Cassette) else _Version(dict(new))
        try:
            units = _differing(before, after)
        except ValueError as error:
            raise CassetteWriteError(
                pending, f"was not written: {error}", fix="Run the test again: it changed while the test ran"
            ) from None
        if units:
            _write_version(pending, after, base=before)
            return pending
        remove_cassette(pending)
        return None


def read_pending(path: Path) -> Pending:
    """Return what waits in a pending file.

    Raises:
        CassetteReadError: it, or the file beside it, cannot be read, or the two do not belong together.
    """
    return _Opened(path).value


def read_new_version(path: Path) -> Cassette | dict[str, Tree]:
    """Return what a pending file holds, whatever is beside it: a cassette, or a tree of snapshots.

    Raises:
        CassetteReadError: it cannot be read.
    """
    content = read_bytes(_checked(path))
    mark = _MARK.search(content)
    return _Version.parse(content[: mark.start()] if mark else content, path).content or {}


def iter_pending(root: Path) -> Iterator[Path]:
    """Yield all pending files under a folder, sorted; nothing where there is no such folder.

    Hidden files are not among them, and nothing that a symbolic link leads to outside of the folder.
    """
    inside = Path(disk.real_path(root))
    is_inside: dict[Path, bool] = {}
    for place in sorted((each.path for each in disk.walk(root) if _is_pending(each)), key=_parts_of):
        path = Path(place)
        target = _target_of(path)
        if disk.is_link(target):
            found = Path(disk.real_path(target)).is_relative_to(inside)
        else:  # its folder tells
            folder = path.parent
            if folder not in is_inside:
                is_inside[folder] = Path(disk.real_path(folder)).is_relative_to(inside)
            found = is_inside[folder]
        if found:
            yield path


def _parts_of(place: str) -> list[str]:
    return place.split(os.sep)  # noqa: PTH206 - a path of thousands, as it is


def decide_pending(path: Path, verb: Literal["accept", "reject"], units: Collection[Unit]) -> Decided:
    """Accept or reject units as a person was shown them, so that it can be undone.

    Raises:
        CassetteError: as for `accept_pending`, and where a unit is another one by now.
        CassetteWriteError: a file could not be written.
    """
    decide = accept_pending if verb == "accept" else reject_pending
    with locked(path):
        before = _contents(path)
        left = decide(path, units)
        return Decided(path, left, before, _digests(_contents(path)))


def undo_decision(decided: Decided) -> None:
    """Put both files back as they were before a decision.

    Raises:
        CassetteError: one of them is another one by now; nothing has changed.
        CassetteWriteError: a file could not be written.
    """
    path = decided.path
    with locked(path):
        if _digests(_contents(path)) != decided._after:
            raise CassetteError(_target_of(path), "has changed since it was decided about, so that stands")
        # The pending file first: if the other one cannot be written, it is out of date, but not lost.
        for file, content in zip((path, _target_of(path)), decided._before, strict=True):
            if content is None:
                remove_cassette(file)
            else:
                write_bytes(file, content)


def accept_pending(path: Path, units: Collection[str | Unit] | None = None) -> tuple[str, ...]:
    """Put new units in the place of the old ones, and drop them from the pending file.

    Later interactions that quote an answer which is replaced are marked as stale.

    Args:
        path: the pending file.
        units: their names, or they themselves as they were shown; by default all.

    Returns:
        The names of the units that are still pending. Without any, the pending file is gone.

    Raises:
        CassetteError: one of the files cannot be read, the file beside it has changed since or is not ours,
            there is no such unit pending, or it is another one than was shown; nothing has changed.
        CassetteWriteError: a file could not be written.
    """
    if not exists(_checked(path)):
        read_bytes(path)  # raises what there is to say
    with locked(path):
        opened = _Opened(path)
        opened.refuse_stale()
        if opened.is_foreign:
            raise CassetteError(
                opened.value.target,
                "is a cassette of another tool; it can be replayed and verified, but is never written",
                fix=f"Convert it with: {stepreplay_command('convert', display_path(opened.value.target))}\n"
                "and verify again, or delete it and its pending file, and record the test again: "
                f"{pytest_command('--stepreplay=record')}",
            )
        chosen = opened.chosen(units)
        before, after = opened.before, opened.after
        if len(chosen) == len(opened.value.units):
            accepted = after
        else:
            accepted = before.with_units(_replaced(before.units, after.units, chosen), after)
        if chosen:
            taken = [unit for unit in opened.value.units if unit.name in chosen]
            _write_version(opened.value.target, accepted.with_stale(before, taken))
        return opened.keep_others(_Version.read(opened.value.target), after.units, chosen)


def reject_pending(path: Path, units: Collection[str | Unit] | None = None) -> tuple[str, ...]:
    """Drop new units from the pending file; the file beside it stays as it is.

    Args:
        path: the pending file.
        units: their names, or they themselves as they were shown; by default all, and then neither file need
            be readable.

    Returns:
        The names of the units that are still pending. Without any, the pending file is gone.

    Raises:
        CassetteError: for one of several units: as for `accept_pending`.
        CassetteWriteError: a file could not be written.
    """
    if not exists(_checked(path)):
        if units is None:
            return ()
        read_bytes(path)  # raises what there is to say
    with locked(path):
        if units is None:
            remove_cassette(path)
            return ()
        opened = _Opened(path)
        opened.refuse_stale()
        chosen = opened.chosen(units)
        kept = _replaced(opened.after.units, opened.before.units, chosen)
        return opened.keep_others(opened.before, kept, chosen)


# ---------------------------------------------------------------- a file as units


@dataclass(frozen=True, slots=True)
class _Version:
    """What a cassette or a file of snapshots holds; both have units with names.

    Attributes:
        content: the cassette, or the tree of the file of snapshots; None where there is no file.
        digest: of the bytes it was read from.
        foreign: it is a cassette of another tool.
    """

    content: Cassette | dict[str, Tree] | None
    digest: str = _NO_FILE
    foreign: bool = False

    @classmethod
    def read(cls, path: Path) -> _Version:
        return cls.parse(read_bytes(path), path) if exists(path) else cls(None)

    @classmethod
    def parse(cls, content: bytes, path: Path) -> _Version:
        digest = sha256(content).hexdigest()
        if _kind_of(path) == "snapshots":
            return cls(parse_snapshots(content, path), digest)
        read = parse_cassette(content, path)
        return cls(read.cassette, digest, read.format != "stepreplay")

    @property
    def units(self) -> _Units:
        if isinstance(self.content, Cassette):
            return {str(number): each for number, each in enumerate(self.content.interactions, 1)}
        return self.content["snapshots"] if self.content else {}

    @property
    def test(self) -> str | None:
        test = self.content.test if isinstance(self.content, Cassette) else (self.content or {}).get("test")
        return test if isinstance(test, str) else None

    def with_units(self, units: _Units, other: _Version) -> _Version:
        """Return this version with other units; what stands around them is the other version's if this has none."""
        content = self.content or other.content
        if isinstance(content, Cassette):
            return _Version(replace(content, interactions=tuple(units.values())))
        return _Version({**(content or {}), "snapshots": units})

    def with_stale(self, before: _Version, accepted: Collection[Unit]) -> _Version:
        """Return this version with a mark on each interaction that quotes an answer which is gone.

        Args:
            before: the version that this one replaces; what is marked there stays marked.
            accepted: the units that this one has from the new version.
        """
        if not isinstance(self.content, Cassette):
            return self
        turns = list(self.content.interactions)
        for i, each in enumerate(turns):
            old = before.units.get(str(i + 1))
            if old is not None and old.stale:
                turns[i] = replace(each, stale=old.stale)
        for unit in accepted:
            if isinstance(unit.old, Interaction) and isinstance(unit.new, Interaction):
                for position in quoting.find_quoting(unit.old.response, unit.new.response, unit.later):
                    at = int(unit.name) + position
                    reason = f"quotes an answer that interaction {unit.name} no longer gives"
                    turns[at] = replace(turns[at], stale=reason)
        return _Version(replace(self.content, interactions=tuple(turns)))

    def tree(self) -> dict[str, Tree]:
        return tree_of(self.content) if isinstance(self.content, Cassette) else self.content or {}


class _Opened:
    """A pending file with the file beside it, both read once."""

    def __init__(self, path: Path) -> None:
        target = _target_of(_checked(path))
        content = read_bytes(path)
        mark = _MARK.search(content)
        self.after = _Version.parse(content[: mark.start()] if mark else content, path)
        if mark is None or self.after.foreign:
            raise CassetteReadError(
                path, "has no 'pending:' with a base at its end, so it is not a pending file", fix=_verify()
            )
        self.before = _Version.read(target)
        units: list[Unit] = []
        stale = mark[1].decode() != self.before.digest
        if not stale:
            try:
                units = _differing(self.before, self.after)
            except ValueError as error:
                raise CassetteReadError(
                    path, f"does not belong to {target}: {error}", fix=_verify()
                ) from None
        self.value = Pending(
            path, target, _kind_of(path), self.after.test, tuple(units), len(self.after.units), stale
        )

    @property
    def is_foreign(self) -> bool:
        return self.before.foreign

    def refuse_stale(self) -> None:
        if self.value.stale:
            raise CassetteError(
                self.value.path,
                f"was made from another version of {self.value.target}, which has changed since",
                fix=f"{_verify()}\nOr drop it: {stepreplay_command('reject', display_path(self.value.path))}",
            )

    def chosen(self, units: Collection[str | Unit] | None) -> list[str]:
        waiting = {unit.name: unit for unit in self.value.units}
        pending = [*waiting]
        names = None if units is None else [each if isinstance(each, str) else each.name for each in units]
        unknown = [name for name in names or () if name not in waiting]
        if unknown:
            what = "interaction" if self.value.kind == "cassette" else "snapshot"
            there_are = f"there are {', '.join(pending)}" if pending else "there is none"
            raise CassetteError(self.value.path, f"has no pending {what} {unknown[0]!r:.60}; {there_are}")
        for each in units or ():
            if isinstance(each, Unit) and each != waiting[each.name]:
                raise CassetteError(
                    self.value.path, f"has changed since {each.name} was shown; look at it again"
                )
        return pending if names is None else [name for name in pending if name in names]

    def keep_others(self, base: _Version, units: _Units, decided: Collection[str]) -> tuple[str, ...]:
        """Write the pending file without the units that are decided, or remove it with the last one."""
        left = tuple(unit.name for unit in self.value.units if unit.name not in decided)
        if left:
            _write_version(self.value.path, self.after.with_units(units, self.after), base=base)
        else:
            remove_cassette(self.value.path)
        return left


def _differing(before: _Version, after: _Version) -> list[Unit]:
    """Return the units in which two versions differ.

    Raises:
        ValueError: they are not versions of the same cassette.
    """
    old, new = before.units, after.units
    if isinstance(after.content, Cassette):
        if before.content is None:
            return [Unit(WHOLE, "added", None, after.content.interactions)] if new else []
        if len(old) != len(new):
            raise ValueError(f"it has {len(new)} interactions, and the cassette has {len(old)}")
        for name in new:
            if not _is_same(old[name].request, new[name].request):
                raise ValueError(f"its interaction {name} has another request than the cassette's")
        requests = tuple(each.request for each in after.content.interactions)
        return [
            Unit(name, "changed", old[name], new[name], requests[number:])
            for number, name in enumerate(new, 1)
            if not _is_same(old[name].answers, new[name].answers)
        ]
    changed = [
        Unit(name, "changed", old[name], new[name])
        for name in old
        if name in new and not _is_same(old[name], new[name])
    ]
    added = [Unit(name, "added", None, new[name]) for name in new if name not in old]
    removed = [Unit(name, "removed", old[name], None) for name in old if name not in new]
    return [*changed, *added, *removed]


def _is_same(one: Any, other: Any) -> bool:
    # Python takes 1, 1.0 and true for the same.
    return bool(one == other) and _canonical(one) == _canonical(other)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=_fields)


def _fields(model: Request | Response | RawFrame) -> dict[str, Any]:
    # Not even a body of null is the same as no body.
    return {"fields": tree_of(model), "kind": type(model).__name__}


def _replaced(units: _Units, others: _Units, names: Collection[str]) -> _Units:
    """Return the units, but those with these names as they are among the others, or missing as there."""
    kept = {
        name: others[name] if name in names else value
        for name, value in units.items()
        if name not in names or name in others
    }
    return kept | {name: others[name] for name in names if name in others and name not in units}


# ---------------------------------------------------------------- on disk


def _write_version(path: Path, version: _Version, *, base: _Version | None = None) -> None:
    """Write a version to its own file, which goes without units, or to the pending one with its base."""
    if not base and not version.units:
        remove_cassette(path)
        return
    # The base stands last, so that a file that was cut off has none.
    mark = {"pending": {"base": base.digest}} if base else {}
    content = codec.encode(version.tree() | mark, path)
    if isinstance(version.content, Cassette):
        body_files.write_files(version.content.interactions, path)
    write_bytes(path, content)


def _checked(path: Path) -> Path:
    """Return the path of a pending file, if it may be one."""
    if not _is_pending_name(path.name):
        raise CassetteReadError(path, f"is not a pending file; its name would end with .yaml{PENDING_SUFFIX}")
    if disk.is_link(path):
        raise CassetteReadError(
            path, "is a symbolic link, and a pending file may not be one", fix="Delete it"
        )
    target = _target_of(path)
    check_inside(target, target.parent)
    return path


def _target_of(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(PENDING_SUFFIX))


def _contents(path: Path) -> tuple[bytes | None, ...]:
    """Return what a pending file holds, and the one beside it; None for one that is not there."""
    return tuple(read_bytes(each) if exists(each) else None for each in (path, _target_of(path)))


def _digests(contents: tuple[bytes | None, ...]) -> tuple[str, ...]:
    return tuple(_NO_FILE if each is None else sha256(each).hexdigest() for each in contents)


def _is_pending(entry: os.DirEntry[str]) -> bool:
    return _is_pending_name(entry.name) and entry.is_file(follow_symlinks=False)


def _is_pending_name(name: str) -> bool:
    return name.lower().endswith(tuple(suffix + PENDING_SUFFIX for suffix in SUFFIXES)) and name[0] != "."


def _kind_of(path: Path) -> Kind:
    name = path.name.removesuffix(PENDING_SUFFIX).lower()
    return "snapshots" if name.endswith(SNAPSHOTS_SUFFIX) else "cassette"


def _verify() -> str:
    return f"Make it anew: {pytest_command('--stepreplay=verify')}"
