"""`stepreplay list --stats`: what a suite's cassettes add up to, by model, host and age.

Cassettes go in one by one; their sums come out, for a table or as JSON.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..housekeeping.ages import age_in_words, moment_of
from . import printing
from .conversation import model_of, read_turns
from .terminal import plural, safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from rich.console import Console

    from ..models import Cassette
    from .conversation import Turn

AGES: Final = (("up to 30 days", 30), ("up to 90 days", 90), ("up to a year", 365), ("older", None))
UNKNOWN: Final = "not known"
LARGEST: Final = 5
"""How many of the largest cassettes are named."""

_TOKENS: Final = ("prompt", "completion", "total")


@dataclass(slots=True)
class Share:
    """What one model, or one host, has of it all."""

    interactions: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0

    def add(self, turn: Turn) -> None:
        """Adds one interaction."""
        self.interactions += 1
        self.prompt_tokens += turn.tokens.input or 0
        self.completion_tokens += turn.tokens.output or 0
        self.total_tokens += turn.tokens.sum

    def to_json(self) -> dict[str, int]:
        """Returns the numbers by their names."""
        return {"interactions": self.interactions} | {
            f"{kind}_tokens": getattr(self, f"{kind}_tokens") for kind in _TOKENS
        }


@dataclass(slots=True)
class Statistics:
    """What the cassettes that were added hold together."""

    now: datetime
    sizes: dict[str, int] = field(default_factory=dict)
    all: Share = field(default_factory=Share)
    models: dict[str, Share] = field(default_factory=dict)
    hosts: dict[str, Share] = field(default_factory=dict)
    ages: Counter[str] = field(default_factory=Counter)
    oldest: datetime | None = None
    newest: datetime | None = None
    streamed: int = 0
    errors: int = 0

    def add(self, path: str, size: int, cassette: Cassette) -> None:
        """Adds one cassette."""
        self.sizes[path] = size
        for turn in read_turns(cassette.interactions):
            response = turn.interaction.response
            host = urlsplit(turn.interaction.request.url).netloc or UNKNOWN
            self.all.add(turn)
            self.models.setdefault(model_of(turn) or UNKNOWN, Share()).add(turn)
            self.hosts.setdefault(host, Share()).add(turn)
            self.streamed += response.events is not None
            self.errors += response.status >= 400
            self._add_age(moment_of(turn.interaction.recorded_at))

    def _add_age(self, moment: datetime | None) -> None:
        if moment is None:
            self.ages[UNKNOWN] += 1
            return
        days = (self.now - moment).total_seconds() / 86_400
        self.ages[next(name for name, most in AGES if most is None or days <= most)] += 1
        self.oldest = min(self.oldest or moment, moment)
        self.newest = max(self.newest or moment, moment)

    def ages_in_order(self) -> dict[str, int]:
        """Returns how many interactions are how old, the youngest first."""
        names = [*(name for name, _ in AGES), UNKNOWN]
        return {name: self.ages[name] for name in names if self.ages[name]}

    def largest(self) -> dict[str, int]:
        """Returns the sizes of the largest cassettes."""
        return dict(sorted(self.sizes.items(), key=lambda it: (-it[1], it[0]))[:LARGEST])

    def to_json(self) -> dict[str, Any]:
        """Returns all of it as a JSON value."""
        return {
            "cassettes": len(self.sizes),
            "size": sum(self.sizes.values()),
            **self.all.to_json(),
            "streamed": self.streamed,
            "errors": self.errors,
            "models": {name: share.to_json() for name, share in _by_number(self.models)},
            "hosts": {name: share.to_json() for name, share in _by_number(self.hosts)},
            "ages": self.ages_in_order(),
            "oldest": self.oldest.isoformat() if self.oldest else None,
            "newest": self.newest.isoformat() if self.newest else None,
            "largest": self.largest(),
        }


def print_statistics(console: Console, found: Statistics) -> None:
    """Prints tables of models, hosts and ages, and a line of totals."""

    def table(title: str, *columns: str, rows: list[tuple[str, ...]]) -> None:
        grid = printing.Table(box=None, pad_edge=False, header_style="dim")
        grid.add_column(title, overflow="fold")
        for column in columns:
            grid.add_column(column, justify="right")
        for row in rows:
            grid.add_row(*(printing.Text(safe(cell)) for cell in row))
        console.print(grid)
        console.print()

    for title, shares in (("model", found.models), ("host", found.hosts)):
        table(title, "interactions", "prompt", "completion", "tokens", rows=[*_cells(shares)])
    table(
        "age", "interactions", rows=[(name, f"{number:,}") for name, number in found.ages_in_order().items()]
    )
    table("largest", "size", rows=[(path, printing.decimal(size)) for path, size in found.largest().items()])
    told = [plural(len(found.sizes), "cassette"), plural(found.all.interactions, "interaction")]
    told += [plural(found.all.total_tokens, "token"), printing.decimal(sum(found.sizes.values()))]
    told += [f"{found.streamed:,} streamed"] if found.streamed else []
    told += [f"{found.errors:,} errors"] if found.errors else []
    if found.oldest and found.newest:
        ages = [age_in_words(moment, found.now) for moment in (found.oldest, found.newest)]
        told.append(f"recorded {' to '.join(dict.fromkeys(ages))} ago".replace("just now ago", "just now"))
    console.print(printing.Text(", ".join(told), "dim"), soft_wrap=True)


def _cells(shares: Mapping[str, Share]) -> Iterator[tuple[str, ...]]:
    for name, share in _by_number(shares):
        yield (name, *(f"{number:,}" for number in share.to_json().values()))


def _by_number(shares: Mapping[str, Share]) -> list[tuple[str, Share]]:
    return sorted(shares.items(), key=lambda it: (-it[1].interactions, it[0]))
