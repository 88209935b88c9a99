"""Three versions of a cassette, or of a file of snapshots -> one, as `git merge` wants it: unit by unit, and whole.

A unit is an interaction, known by its request, or a snapshot, known by its name. What one side has changed, added or
removed is so in the result; what both have changed stays as ours is, with theirs as what is pending. The text of what
nobody has changed stays as it is, to the byte.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from ..drift import keeping
from ..errors import CassetteReadError
from ..matching import keys
from ..models import FORMAT_VERSION, PLAIN_VERSION, Cassette, Interaction
from ..value_classes import dataclass, field
from . import codec
from .cassettes import parse_cassette
from .files import MAX_SIZE
from .paths import SNAPSHOTS_SUFFIX
from .schema import tree_of
from .snapshot_files import parse_snapshots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..wire.json_values import Tree

_Key = tuple[str, int] | str
_HEAD: Final = re.compile(r"(?:stepreplay: [12]\n)(?:test: [^\n]+\n)?interactions:\n(?=- )")
_ITEM: Final = re.compile(r"^- ", re.MULTILINE)
_VERSION: Final = re.compile(r"\Astepreplay: \d+$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Clash:
    """What two sides have done to one unit, each in another way.

    Attributes:
        name: the number of the interaction in the result, the name of the snapshot, or ``test``.
        what: what they have done.
    """

    name: str
    what: Literal["changed by both", "removed by us", "removed by them"]


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What became of three versions.

    Attributes:
        content: what the file shall hold.
        clashes: what a person must decide.
        theirs: the whole new version with their units where both have changed one; None where there are none.
    """

    content: bytes
    clashes: tuple[Clash, ...]
    theirs: Cassette | dict[str, Tree] | None


def merge_versions(base: bytes, ours: bytes, theirs: bytes, path: Path) -> MergeResult:
    """Return the result of merging two versions that were made from a third.

    Args:
        base: what both were made from; empty where there was nothing.
        ours: the version here.
        theirs: the version that comes in.
        path: the file, for its kind and for messages.

    Raises:
        CassetteReadError: one of them is no file of ours, or the result could not be read.
    """
    if path.name.lower().endswith(SNAPSHOTS_SUFFIX):
        return _merge_snapshots(
            _snapshots_of(base, path), _snapshots_of(ours, path), _snapshots_of(theirs, path), path
        )
    return _merge_cassettes(_Side.read(base, path), _Side.read(ours, path), _Side.read(theirs, path), path)


# ---------------------------------------------------------------- units


@dataclass(slots=True)
class _Units:
    """The units of the result, in order, with what both sides have done to one."""

    units: dict[_Key, Any] = field(default_factory=dict)
    both: dict[_Key, Any] = field(default_factory=dict)
    removed: dict[_Key, Literal["removed by us", "removed by them"]] = field(default_factory=dict)


def _merge_units(base: Mapping[_Key, Any], ours: Mapping[_Key, Any], theirs: Mapping[_Key, Any]) -> _Units:
    found = _Units()
    for key, mine in ours.items():
        its, before = theirs.get(key), base.get(key)
        if its is None:
            if before is None or not _is_same(before, mine):
                found.units[key] = mine
                if before is not None:
                    found.removed[key] = "removed by them"
        elif _is_same(mine, its) or (before is not None and _is_same(before, its)):
            found.units[key] = mine
        elif before is not None and _is_same(before, mine):
            found.units[key] = its
        else:
            found.units[key] = mine
            if not _are_alike(mine, its):
                found.both[key] = its
    left = {
        key: its
        for key, its in theirs.items()
        if key not in ours and (key not in base or not _is_same(base[key], its))
    }
    found.removed |= dict.fromkeys((key for key in left if key in base), "removed by us")
    found.units = _with_theirs(found.units, left, list(theirs), base)
    return found


def _with_theirs(
    units: dict[_Key, Any], left: Mapping[_Key, Any], order: Sequence[_Key], base: Mapping[_Key, Any]
) -> dict[_Key, Any]:
    """Return the units with what only they have, each behind what it follows there, and behind what we have added."""
    after: dict[_Key | None, list[_Key]] = {}
    before: _Key | None = None
    for key in order:
        if key in left:
            after.setdefault(before, []).append(key)
        elif key in units:
            before = key
    found: dict[_Key, Any] = {}
    due = after.get(None, [])
    for key, unit in units.items():
        if key in base or key in after:
            found |= {each: left[each] for each in due}
            due = []
        found[key] = unit
        due = due + after.get(key, [])
    return found | {each: left[each] for each in due}


def _is_same(one: Any, other: Any) -> bool:
    one, other = (each.value if isinstance(each, _Recorded) else each for each in (one, other))
    return bool(one == other) and _canonical(one) == _canonical(other)


def _canonical(value: Any) -> str:
    return json.dumps(tree_of(value) if isinstance(value, Interaction) else value, sort_keys=True)


def _are_alike(one: Any, other: Any) -> bool:
    """Tell whether two recordings of one request differ in nothing but what differs on every call."""
    if not isinstance(one, _Recorded):
        return False
    return keeping.keep_volatile([one.value], [other.value], [0])[0].response == one.value.response


# ---------------------------------------------------------------- cassettes


@dataclass(frozen=True, slots=True)
class _Recorded:
    """An interaction, and its text if it can be taken out of its file as it is."""

    value: Interaction
    text: str | None


@dataclass(frozen=True, slots=True)
class _Side:
    cassette: Cassette
    items: dict[_Key, _Recorded]
    version: int

    @classmethod
    def read(cls, content: bytes, path: Path) -> _Side:
        if not content.strip():
            return cls(Cassette(), {}, PLAIN_VERSION)
        read = parse_cassette(content, path)
        if read.format != "stepreplay":
            raise CassetteReadError(path, f"is a cassette of another tool ({read.format})")
        text = codec.decode_text(content, path)
        head = _HEAD.match(text)
        starts = [found.start() for found in _ITEM.finditer(text, head.end())] if head else []
        texts: list[str | None] = [None] * len(read.cassette.interactions)
        if starts and len(starts) == len(texts):
            texts = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
        known: dict[str, int] = {}
        items: dict[_Key, _Recorded] = {}
        for value, its in zip(read.cassette.interactions, texts, strict=True):
            key = keys.Matcher().key(value.request)
            known[key] = known.get(key, -1) + 1
            items[key, known[key]] = _Recorded(value, its)
        version = (
            FORMAT_VERSION if head and text.startswith(f"stepreplay: {FORMAT_VERSION}") else PLAIN_VERSION
        )
        return cls(read.cassette, items, version)


def _merge_cassettes(base: _Side, ours: _Side, theirs: _Side, path: Path) -> MergeResult:
    found = _merge_units(base.items, ours.items, theirs.items)
    names = {key: str(number) for number, key in enumerate(found.units, 1)}
    clashes = [Clash(names[key], "changed by both") for key in found.both]
    clashes += [Clash(names[key], what) for key, what in found.removed.items()]
    mine, its, before = (side.cassette.test for side in (ours, theirs, base))
    if mine != its and before not in (mine, its):
        clashes.append(Clash("test", "changed by both"))
    values = tuple(item.value for item in found.units.values())
    cassette = Cassette(test=its if mine == before else mine, interactions=values)
    version = max(ours.version, theirs.version)
    pending = None
    if found.both:
        # A pending file has the cassette's own requests; its ids of tool calls may be other ones.
        news = {key: _answered_as(found.units[key].value, item.value) for key, item in found.both.items()}
        pending = Cassette(
            test=cassette.test,
            interactions=tuple(news.get(key, item.value) for key, item in found.units.items()),
        )
    return MergeResult(_content_of(cassette, [*found.units.values()], version, path), tuple(clashes), pending)


def _answered_as(one: Interaction, other: Interaction) -> Interaction:
    return replace(other, request=one.request)


def _content_of(cassette: Cassette, items: Sequence[_Recorded], version: int, path: Path) -> bytes:
    """Return a cassette's file: of the texts that its interactions have in theirs, if they make it up."""
    content = codec.encode(tree_of(cassette), path)
    texts = [item.text for item in items]
    if texts and None not in texts and path.suffix.lower() != ".json":
        head = content.decode().partition("interactions:")[0]
        head = _VERSION.sub(f"stepreplay: {version}", head, count=1)
        taken = (head + "interactions:\n" + "".join(filter(None, texts))).encode()
        try:
            if parse_cassette(taken, path).cassette == cassette:
                content = taken
        except CassetteReadError:
            pass  # the last of one file may not stand before others as it is
    if len(content) > MAX_SIZE:
        raise CassetteReadError(path, "would be too large to be read")
    return content


# ---------------------------------------------------------------- snapshots


def _named(tree: dict[str, Any]) -> dict[_Key, list[Tree]]:
    """Return the snapshots by their names; each in a list, since a snapshot may be nothing."""
    return {name: [value] for name, value in tree.get("snapshots", {}).items()}


def _snapshots_of(content: bytes, path: Path) -> dict[str, Tree]:
    return parse_snapshots(content, path) if content.strip() else {}


def _merge_snapshots(
    base: dict[str, Tree], ours: dict[str, Tree], theirs: dict[str, Tree], path: Path
) -> MergeResult:
    found = _merge_units(_named(base), _named(ours), _named(theirs))
    clashes = [Clash(str(name), "changed by both") for name in found.both]
    clashes += [Clash(str(name), what) for name, what in found.removed.items()]
    mine, its, before = (each.get("test") for each in (ours, theirs, base))
    if mine != its and before not in (mine, its):
        clashes.append(Clash("test", "changed by both"))
    whole = ours | theirs if mine == before else theirs | ours
    merged = {**whole, "snapshots": {name: value[0] for name, value in found.units.items()}}
    pending = None
    if found.both:
        theirs_there = {name: found.both.get(name, value)[0] for name, value in found.units.items()}
        pending = {**merged, "snapshots": theirs_there}
    return MergeResult(codec.encode(merged, path), tuple(clashes), pending)
