"""`stepreplay list`: the cassettes of a project, one line each."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..commands import pytest_command
from ..errors import StepReplayError
from ..housekeeping.ages import age_in_words, moment_of
from ..machine import clock
from ..settings.prices import Prices
from ..store.cassettes import read_cassette
from ..store.paths import iter_cassettes
from ..store.pending import read_new_version
from ..value_classes import dataclass
from . import printing
from .command import AS_JSON, Command, Operand, Option, existing_paths
from .conversation import model_of, read_turns
from .naming import adopted_folders
from .project import cassette_folder, display, project_settings
from .statistics import Statistics, print_statistics
from .terminal import echo, json_text, plural, safe

WIDE: Final = 76
"""Columns of a terminal below which only the path and the number of interactions are listed."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from ..models import Cassette


@dataclass(frozen=True, slots=True)
class Row:
    """One cassette. What is not known of an unreadable one is 0 or None, and `error` says why."""

    path: str
    size: int
    format: str | None = None
    test: str | None = None
    interactions: int = 0
    models: tuple[str, ...] = ()
    tokens: int = 0
    recorded_at: str | None = None
    error: str | None = None


def _run(paths: tuple[Path, ...], stats: bool, as_json: bool) -> int:
    searched = paths or (cassette_folder(), *adopted_folders())
    if stats:
        return _add_up(searched, as_json=as_json)
    rows = [_read_row(path) for path in _cassettes_under(searched)]
    if as_json:
        total = {"interactions": sum(it.interactions for it in rows), "tokens": sum(it.tokens for it in rows)}
        echo(json_text({"cassettes": [asdict(row) for row in rows], "total": total}))
    elif rows:
        _print_rows(rows)
    else:
        _say_that_there_is_none(searched)
    return 1 if any(row.error for row in rows) else 0


def _say_that_there_is_none(searched: Iterable[Path]) -> None:
    places = " or ".join(display(path) for path in searched)
    echo(
        f"There is no cassette in {places}: record some with {pytest_command('--stepreplay=record')}",
        err=True,
    )


LIST: Final = Command(
    name="list",
    description="""
    List cassettes: how many interactions, how old, which models, how many tokens, how large.

    PATHS are cassettes, tests (by name or by id) and folders; by default the project's folder (stepreplay_dir in
    its pytest settings, else cassettes/). A cassette that cannot be read is listed with the reason, and makes the
    exit status 1.
    """,
    examples=(
        "stepreplay list",
        "stepreplay list cassettes/test_chat --json",
        "stepreplay list --stats",
    ),
    operands=(Operand("paths", "any", existing_paths, spreads=True),),
    options=(Option("--stats", "Show totals: tokens, models, hosts, ages, sizes."), AS_JSON),
    run=_run,
)


def _add_up(searched: Sequence[Path], *, as_json: bool) -> int:
    prices = project_settings("prices").get("prices")
    found, broken = Statistics(clock.now(), Prices(prices) if prices else None), dict[str, str]()
    paths = [*_cassettes_under(searched)]
    for path in paths:
        shown = display(path)
        try:
            found.add(shown, path.stat().st_size, _read(Path(shown))[0])
        except (StepReplayError, OSError) as error:
            broken[shown] = str(error)
    if as_json:
        echo(json_text({"stats": found.to_json(), "unreadable": broken}))
    elif not paths:
        _say_that_there_is_none(searched)
    else:
        console = printing.open_console()
        print_statistics(console, found)
        for problem in broken.values():
            console.print(printing.Text(safe(f"unreadable: {problem}"), "red"), soft_wrap=True)
    return 1 if broken else 0


def age_of(recorded_at: str | None, now: datetime) -> str:
    """Returns how long ago that was: ``3 days``; nothing where it is not known."""
    moment = moment_of(recorded_at)
    return age_in_words(moment, now) if moment else ""


def _cassettes_under(paths: Iterable[Path]) -> Iterator[Path]:
    seen = set()
    for path in paths:
        for each in [path] if path.is_file() else sorted(iter_cassettes(path)):
            if each.resolve() not in seen:
                seen.add(each.resolve())
                yield each


def _read(path: Path) -> tuple[Cassette, str]:
    """Returns a cassette, or the version that a pending file holds, and its format."""
    if not path.name.endswith(".new"):
        read = read_cassette(path)
        return read.cassette, read.format
    new = read_new_version(path)
    if isinstance(new, dict):
        raise StepReplayError(f"{path} holds snapshots, and no interaction")
    return new, "stepreplay"


def _read_row(path: Path) -> Row:
    size = 0
    try:
        size = path.stat().st_size
        found, form = _read(Path(display(path)))  # as an error should name it
    except (StepReplayError, OSError) as error:
        return Row(display(path), size, error=str(error))
    turns = list(read_turns(found.interactions))
    return Row(
        path=display(path),
        size=size,
        format=form,
        test=found.test,
        interactions=len(turns),
        models=tuple(sorted({model for turn in turns if (model := model_of(turn))})),
        tokens=sum(turn.tokens.sum for turn in turns),
        recorded_at=max((it for turn in turns if (it := turn.interaction.recorded_at)), default=None),
    )


def _print_rows(rows: list[Row]) -> None:
    console, now = printing.open_console(), clock.now()
    table = printing.Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("cassette", overflow="fold")
    wide = console.width >= WIDE
    table.add_column("interactions" if wide else "no.", justify="right")
    if wide:
        table.add_column("models", overflow="fold")
        table.add_column("tokens", justify="right")
        table.add_column("age", justify="right")
        table.add_column("size", justify="right")
    for row in rows:
        if row.error is None:
            cells = [f"{row.interactions:,}", safe(", ".join(row.models)), f"{row.tokens:,}"]
            cells += [age_of(row.recorded_at, now), printing.decimal(row.size)]
            table.add_row(printing.Text(safe(row.path)), *map(printing.Text, cells if wide else cells[:1]))
    if table.row_count:
        console.print(table)
    broken = [row for row in rows if row.error is not None]
    for row in broken:
        console.print(printing.Text(safe(f"unreadable: {row.error}"), "red"), soft_wrap=True)
    told = [plural(len(rows), "cassette"), plural(sum(it.interactions for it in rows), "interaction")]
    told.append(plural(sum(it.tokens for it in rows), "token"))
    if broken:
        told.append(f"{len(broken):,} unreadable")
    console.print(printing.Text(", ".join(told), "dim"), soft_wrap=True)
