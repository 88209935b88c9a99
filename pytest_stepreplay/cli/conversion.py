"""One cassette file of any tool -> one of ours, or of another tool's: what becomes of it, and where it goes.

A source and what to do go in; a frozen `Conversion` comes out, and the new file stands in one step or not at all.
A file that takes its source's place must hold all of it, and no other file is ever replaced.
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import StrEnum
from operator import is_
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from ..commands import stepreplay_command
from ..errors import CassetteError, StepReplayError, display_path
from ..formats import REQUEST_ALONE, WRITABLE, Foreign, Hints, Skipped, batch_requests
from ..models import Cassette
from ..redaction.redactor import Redactor
from ..redaction.shapes import PLACEHOLDER
from ..store import codec, files
from ..store.cassettes import parse_source, write_cassette
from ..store.files import read_bytes, write_bytes
from ..store.paths import READ_SUFFIXES
from ..store.pending import pending_path
from ..value_classes import dataclass, field
from .checking import find_differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..models import Interaction

OURS: Final = "stepreplay"
SUFFIXES: Final = {OURS: ".yaml"} | {name: each.suffix for name, each in WRITABLE.items()}
"""How the names of files end, by the format that is written."""

_LINES: Final = re.compile(r"\.(?:jsonl|ndjson)(?:\.gz)?$", re.IGNORECASE)
_ORDINARY: Final = re.compile(r"\.(?:ya?ml|json)$", re.IGNORECASE)
_FOREIGN: Final = re.compile(
    rf"(?:{'|'.join(re.escape(each.removesuffix('.gz')) for each in READ_SUFFIXES)})(?:\.gz)?$|\.gz$",
    re.IGNORECASE,
)
_ANY_SUFFIX: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$")
_NO_CASSETTE: Final = (".snapshots.yaml", ".new", ".tmp")


class Result(StrEnum):
    """What became of a source."""

    CONVERTED = "converted"
    PARTLY = "partly"
    REFUSED = "refused"
    UNCHANGED = "unchanged"
    USED = "used"


@dataclass(frozen=True, slots=True)
class Source:
    """A file to convert.

    Attributes:
        path: the file.
        below: its path under the folder that was named; its name, if it was named itself.
    """

    path: Path
    below: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with every source.

    Attributes:
        to: the folder for the new files; None for beside, or in place of, their sources.
        format: of the new files.
        check: whether to replay each new file before it is written.
        dry_run: whether to leave the disk alone.
        base_url: where requests went of which a log does not say it.
        redact_fields: of the project.
        keep_headers: of the project.
        batch: lines of OpenAI's batch input files, by ``custom_id``.
    """

    to: Path | None = None
    format: str = OURS
    check: bool = False
    dry_run: bool = False
    base_url: str = ""
    redact_fields: tuple[str, ...] = ()
    keep_headers: tuple[str, ...] = ()
    batch: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of one source.

    Attributes:
        source: the file.
        result: see `Result`.
        format: whose file it was; None where nobody knows.
        target: the new file; None where there is none.
        interactions: how many the new file holds.
        redacted: how many values were replaced in them.
        skipped: what of the source is not in the new file, with the reasons.
        reason: why it was refused, or left as it is.
        line: of the source, where the reason lies; None where it lies nowhere.
        checked: how many interactions were replayed; None where none should be.
    """

    source: Path
    result: Result
    format: str | None = None
    target: Path | None = None
    interactions: int = 0
    redacted: int = 0
    skipped: tuple[Skipped, ...] = ()
    reason: str | None = None
    line: int | None = None
    checked: int | None = None


def find_sources(paths: Iterable[Path], to: Path | None = None) -> Iterator[Source]:
    """Yield the files that were named, and those in folders that may be cassettes by their names; each once.

    Hidden files, snapshots and pending files are none, nor is what ends as other kinds of files do.

    Args:
        paths: files and folders.
        to: where the new files go: what lies there already, below one of the folders, is no source.
    """
    seen = set()
    for path in paths:
        found = _walk(path, to) if path.is_dir() else [Source(path, Path(path.name))]
        for source in found:
            if (real := source.path.resolve()) not in seen:
                seen.add(real)
                yield source


def _walk(folder: Path, to: Path | None) -> Iterator[Source]:
    apart = to.resolve() if to and to.resolve() != folder.resolve() else None
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in below.parts)
        if not hidden and _may_be_cassette(path) and not (apart and path.resolve().is_relative_to(apart)):
            yield Source(path, below)


def _may_be_cassette(path: Path) -> bool:
    if not path.is_file() or path.name.lower().endswith(_NO_CASSETTE):
        return False
    return bool(_FOREIGN.search(path.name)) or not _ANY_SUFFIX.search(path.name)


def read_batches(sources: Iterable[Source]) -> dict[str, Any]:
    """Return the requests of all batch input files among the sources, by ``custom_id``; None where two differ."""
    found: dict[str, Any] = {}
    for source in sources:
        if _LINES.search(source.path.name):
            try:
                tree, _ = codec.decode(read_bytes(source.path), source.path)
            except CassetteError:
                continue  # it is refused in its turn
            for key, row in batch_requests(tree).items():
                found[key] = row if found.get(key, row) == row else None
    return found


def convert_source(source: Source, plan: Plan) -> Conversion:
    """Convert one file, as the plan says; whatever is wrong with it is in the outcome."""
    shown = Path(display_path(source.path.absolute()))
    try:
        return _convert(source, shown, plan)
    except CassetteError as error:
        where = f"{display_path(error.path)}:{error.line}: " if error.line else f"{shown}: "
        return Conversion(source.path, Result.REFUSED, reason=str(error).removeprefix(where), line=error.line)
    except StepReplayError as error:
        return Conversion(source.path, Result.REFUSED, reason=str(error))
    except MemoryError:
        return Conversion(source.path, Result.REFUSED, reason="is too large for the memory of this machine")


def target_of(source: Source, plan: Plan) -> Path:
    """Return where the new file goes: under the plan's folder, else in place of its source or beside it."""
    named = source.path if plan.to is None else plan.to / source.below
    if plan.format == OURS and _ORDINARY.search(named.name):
        return named
    return named.with_name(_FOREIGN.sub("", named.name) + SUFFIXES[plan.format])


def _convert(source: Source, shown: Path, plan: Plan) -> Conversion:
    content = read_bytes(shown)
    found = parse_source(content, shown, Hints(plan.base_url, plan.batch))
    skipped: tuple[Skipped, ...] = ()
    if isinstance(found, Cassette):
        renews = plan.format == OURS and plan.to is None
        if renews and not codec.is_renewable(codec.decode_text(content, shown), shown):
            return Conversion(source.path, Result.UNCHANGED, OURS, interactions=len(found.interactions))
        if renews and files.exists(pending_path(source.path)):
            reason = f"something is pending for it; decide first: {stepreplay_command('review')}"
            return Conversion(source.path, Result.REFUSED, OURS, reason=reason)
        found_format = OURS
        if plan.format != OURS:
            found, skipped = _finished(found)
        raw = found.interactions
    else:
        found_format, skipped = found.format, found.skipped
        raw = tuple(each.interaction(plan.keep_headers) for each in found.exchanges)
    if not raw and skipped:
        if all(each.reason == REQUEST_ALONE for each in skipped):
            return Conversion(source.path, Result.USED, found_format)
        reason = "nothing in it can be converted"
        return Conversion(source.path, Result.REFUSED, found_format, skipped=skipped, reason=reason)
    redactor = Redactor(fields=plan.redact_fields)
    interactions = tuple(_redacted(each, redactor) for each in raw)
    whole = found if isinstance(found, Cassette) else Cassette()
    cassette = replace(whole, interactions=interactions)
    outcome = Conversion(
        source=source.path,
        result=Result.PARTLY if skipped else Result.CONVERTED,
        format=found_format,
        target=target_of(source, plan),
        interactions=len(interactions),
        redacted=sum(map(_count_redacted, raw, interactions)),
        skipped=skipped,
    )
    return _write(outcome, found, cassette, plan)


def _finished(cassette: Cassette) -> tuple[Cassette, tuple[Skipped, ...]]:
    """Return the interactions whose stream came to its end: elsewhere, the others would look whole.

    What another format cannot hold beside them is named.
    """
    kept: list[Interaction] = []
    skipped: list[Skipped] = []
    for i, each in enumerate(cassette.interactions):
        if each.response.stream and each.response.stream.end:
            reason = "its stream did not end, which no other format can express"
            skipped.append(Skipped(("interactions", i, "response", "stream"), reason))
            continue
        if each.samples:
            reason = "the samples of an interaction have no place in other formats"
            skipped.append(Skipped(("interactions", i, "samples"), reason))
        kept.append(each)
    return replace(cassette, interactions=tuple(kept)), tuple(skipped)


def _redacted(interaction: Interaction, redactor: Redactor) -> Interaction:
    request = redactor.redact_request(interaction.request)
    answers = tuple(map(redactor.redact_response, interaction.answers))
    if request is interaction.request and all(map(is_, answers, interaction.answers)):
        return interaction
    return replace(interaction, request=request, response=answers[0], samples=answers[1:])


def _count_redacted(before: Interaction, after: Interaction) -> int:
    if after is before:
        return 0
    return str(after).count(PLACEHOLDER) - str(before).count(PLACEHOLDER)


def _write(outcome: Conversion, found: Cassette | Foreign, cassette: Cassette, plan: Plan) -> Conversion:
    """Check and write the new file, unless something speaks against it."""
    target = outcome.target
    assert target is not None  # noqa: S101 - only an outcome that has one comes here
    if target == outcome.source or (target.exists() and target.samefile(outcome.source)):
        if plan.format != OURS:
            return _refused(outcome, "its new file would replace it and hold less; use --to DIR")
        if outcome.skipped:
            reason = (
                "left as it is, since the rest would be lost; use --to DIR to write what can be converted"
            )
            return replace(outcome, target=None, reason=reason)
    elif files.exists(target) and not _holds(target, cassette, plan):
        shown = display_path(target.absolute())
        return _refused(
            outcome, f"{shown} exists already and holds something else; delete it, or use --to DIR"
        )
    if plan.check:
        with TemporaryDirectory(prefix="stepreplay-") as folder:
            trial = Path(folder, f"trial{target.suffix}")
            try:
                _write_as(trial, cassette, plan.format)
                differences = find_differences(
                    trial, found, keep_headers=plan.keep_headers, redact_fields=plan.redact_fields
                )
            except CassetteError as error:
                raise error.about(target) from None
        if differences:
            more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
            return _refused(outcome, f"it would replay differently: {differences[0]}{more}")
        outcome = replace(outcome, checked=outcome.interactions)
    if not plan.dry_run:
        _write_as(target, cassette, plan.format)
    return outcome


def _refused(outcome: Conversion, reason: str) -> Conversion:
    return replace(outcome, result=Result.REFUSED, target=None, reason=reason)


def _write_as(path: Path, cassette: Cassette, format_: str) -> None:
    if format_ == OURS:
        write_cassette(path, cassette)
    else:
        write_bytes(path, _rendered(cassette, format_))


def _rendered(cassette: Cassette, format_: str) -> bytes:
    return WRITABLE[format_].render(cassette).encode()


def _holds(target: Path, cassette: Cassette, plan: Plan) -> bool:
    """Tell whether the file is what would be written, as it is when a conversion is run again."""
    try:
        if plan.format == OURS:
            return parse_source(read_bytes(target), target) == cassette
        return read_bytes(target) == _rendered(cassette, plan.format)
    except CassetteError:
        return False
