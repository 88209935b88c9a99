"""Cassettes that lost their test: the last run goes in, and which test each one belongs to comes out.

A test that was renamed or moved asks for a cassette that is not there. Its old one is a cassette that no test
uses, and that answers what the test asked, or was recorded by a test of the same name.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..commands import review_command
from ..errors import CassetteError, CassetteWriteError
from ..machine import disk
from ..matching.keys import Matcher
from ..redaction.redactor import Redactor
from ..store import cassettes, files, paths, pending, snapshot_files
from ..store.files import read_bytes, write_bytes
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..models import Cassette
    from .last_run import LastRun, Missing


_LOOKED_AT: Final = 4
_LOOKED_THROUGH: Final = 64 << 10
"""How many cassettes of one name, and of how many bytes, are opened for a test that has none."""


@dataclass(frozen=True, slots=True)
class Link:
    """A test without a cassette, and the cassettes that may be its own.

    Attributes:
        test: the id of the test.
        target: where its cassette should be.
        sources: the best candidate, or several that are equally good.
        rivals: other tests for which the same cassette is as good.
        why: what speaks for them, in words.
        is_sure: more than the URLs of the requests speaks for them.
    """

    test: str
    target: Path
    sources: tuple[Path, ...]
    rivals: tuple[str, ...]
    why: str
    is_sure: bool = True

    @property
    def source(self) -> Path | None:
        """The one cassette that is meant; None where that is not sure."""
        return self.sources[0] if self.is_sure and len(self.sources) == 1 and not self.rivals else None


@dataclass(frozen=True, slots=True)
class _Lost:
    path: Path
    cassette: Cassette


@dataclass(frozen=True, slots=True, order=True)
class _Score:
    """What speaks for a pair, the strongest first."""

    content: bool
    name: bool
    url: bool
    near: int

    @property
    def is_sure(self) -> bool:
        """Whether more than the URLs of the requests speaks for it."""
        return self.content or self.name

    def __str__(self) -> str:
        told = [
            ("it answers what the test asks", self.content),
            ("a test of that name recorded it", self.name),
            ("it answers requests to the same URLs, with other bodies", self.url and not self.content),
        ]
        return ", and ".join(text for text, holds in told if holds)


def find_links(run: LastRun, root: Path) -> list[Link]:
    """Returns the tests of the run that miss a cassette for which there is a candidate.

    Args:
        run: the last one.
        root: the rootdir of the tests, to see whether the test that recorded a cassette is still there.
    """
    lost = [*_lost_cassettes(run, root)]
    scores: list[tuple[_Score, Missing, _Lost]] = []
    for missing in run.missing:
        if files.exists(Path(missing.path)):
            continue
        keys = _Keys(missing)
        folder = _folder_of(run, Path(missing.path))
        for each in lost:
            if _folder_of(run, each.path) != folder:
                continue  # it is another project's
            url, content = keys.answered_by(each.cassette)
            score = _Score(
                content,
                _has_name(each, missing.test),
                url,
                _nearness(each.path, Path(missing.path)),
            )
            if score.is_sure or score.url:
                scores.append((score, missing, each))
    return sorted(_assigned(scores), key=lambda link: link.test)


def relink(link: Link) -> None:
    """Moves a cassette, with its snapshots, to where its test looks for it, and names the test in it.

    Raises:
        CassetteError: it could not be moved. Nothing is ever overwritten.
    """
    source = link.source
    if source is None:
        raise CassetteWriteError(link.target, "was not made: more than one cassette or test may be meant")
    if files.exists(pending.pending_path(source)):
        raise CassetteWriteError(
            source, "was not moved: it has pending changes", fix=f"Decide: {review_command()}"
        )
    if files.exists(link.target):
        raise CassetteWriteError(link.target, "was not replaced: it exists by now")
    read = cassettes.read_cassette(source)
    if read.format == "stepreplay":
        cassettes.write_cassette(link.target, replace(read.cassette, test=link.test))
    else:
        write_bytes(link.target, read_bytes(source))
    old, new = paths.snapshots_path(source), paths.snapshots_path(link.target)
    if files.exists(old) and not files.exists(new):
        snapshot_files.write_snapshots(new, link.test, snapshot_files.read_snapshots(old))
        _remove(old)
    _remove(source)


def moved_cassette(root: Path, same_named: Iterable[str]) -> Path | None:
    """Returns a cassette that lost its test, for a test whose cassette is not there.

    Args:
        root: the folder of the cassettes, inside of the rootdir of the tests.
        same_named: cassettes of the name that the test's would have.
    """
    for each in map(Path, islice(same_named, _LOOKED_AT)):
        try:
            if disk.status(each).st_size > _LOOKED_THROUGH:
                continue
            test = cassettes.read_cassette(each).cassette.test
        except (OSError, CassetteError):
            continue
        if test and all(_is_gone(test, folder) for folder in root.parents):
            return each
    return None


def _lost_cassettes(run: LastRun, root: Path) -> Iterator[_Lost]:
    """Yields the cassettes that no test uses, as far as the run can tell."""
    orphans = [Path(each.path) for each in run.orphans]
    if not run.complete:
        owned = set(run.owned)
        found = {path for folder in run.folders for path in paths.iter_cassettes(Path(folder))}
        orphans = sorted(path for path in found if str(path) not in owned)
    for path in orphans:
        try:
            cassette = cassettes.read_cassette(path).cassette
        except CassetteError:
            continue
        roots = [root, *Path(_folder_of(run, path)).parents]
        if run.complete or (cassette.test and all(_is_gone(cassette.test, each) for each in roots)):
            yield _Lost(path, cassette)


def _folder_of(run: LastRun, path: Path) -> str:
    """Returns the folder of cassettes that a file is in."""
    return max((each for each in run.folders if path.is_relative_to(each)), key=len, default="")


def _is_gone(test: str, root: Path) -> bool:
    """Whether the source of a test is no longer there, by a look at the text of its module."""
    module, *names = test.removesuffix(" (fixture)").partition("[")[0].split("::")
    try:
        text = disk.read(root / module).decode(errors="replace")
    except OSError:
        return True
    return not all(re.search(rf"\b(?:def|class) {re.escape(name)}\b", text) for name in names)


class _Keys:
    """The requests that a test asked in vain."""

    def __init__(self, missing: Missing) -> None:
        self._keys = set(missing.keys)
        if self._keys:
            self._matcher = Matcher.of(missing)
            compared = missing.match_on if "body" in missing.match_on else (*missing.match_on, "body")
            self._whole_matcher = Matcher.of(replace(missing, match_on=compared))
            self._whole_keys = set(missing.whole_keys) or self._keys
            self._redactor = Redactor(fields=missing.redact_fields)

    def answered_by(self, cassette: Cassette) -> tuple[bool, bool]:
        """Returns whether a cassette answers one of them by the settings of the test, and whether by its body too."""
        if not self._keys:
            return False, False
        requests = [self._redactor.redact_request(each.request) for each in cassette.interactions]
        return (
            any(self._matcher.key(each) in self._keys for each in requests),
            any(self._whole_matcher.key(each) in self._whole_keys for each in requests),
        )


def _has_name(lost: _Lost, test: str) -> bool:
    name = test.rpartition("::")[2]
    if lost.cassette.test is not None:
        return lost.cassette.test.rpartition("::")[2] == name
    return lost.path.stem.rpartition(".")[2] == name  # the cassette of another tool


def _nearness(one: Path, other: Path) -> int:
    """Returns how many parts two paths have in common, from the front and from the back."""
    pairs = [(one.parts, other.parts), (one.parts[::-1], other.parts[::-1])]
    return sum(_common(first, second) for first, second in pairs)


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _assigned(scores: list[tuple[_Score, Missing, _Lost]]) -> Iterator[Link]:
    """Yields one link for each test, the surest first; a cassette is given to one test only."""
    left = sorted(scores, key=lambda it: it[0], reverse=True)
    while left:
        best, first, lost = left[0]
        equal = [it for it in left if it[0] == best]
        sources = tuple(sorted({it[2].path for it in equal if it[1] is first}))
        rivals = [it[1] for it in equal if it[2] is lost]
        for each in rivals:
            others = tuple(it.test for it in rivals if it is not each)
            yield Link(each.test, Path(each.path), sources, others, str(best), best.is_sure)
        sure = len(sources) == len(rivals) == 1
        left = [it for it in left if it[1] not in rivals and not (sure and it[2] is lost)]


def _remove(path: Path) -> None:
    try:
        disk.remove(path)
    except OSError as error:
        raise CassetteWriteError(path, f"was copied, but could not be removed: {error.strerror}") from None
