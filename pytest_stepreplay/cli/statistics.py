"""`stepreplay list --stats`: what a suite's cassettes add up to, by model, endpoint, host and age.

Cassettes go in one by one; their sums come out, for a table or as JSON.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..housekeeping.ages import age_in_words, moment_of
from ..value_classes import dataclass, field
from . import printing
from .conversation import is_streamed, model_of, read_turns
from .terminal import plural, safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from decimal import Decimal

    from rich.console import Console

    from ..models import Cassette
    from ..settings.prices import Prices
    from .conversation import Turn

AGES: Final = (("up to 30 days", 30), ("up to 90 days", 90), ("up to a year", 365), ("older", None))
UNKNOWN: Final = "not known"
LARGEST: Final = 5
"""How many of the largest cassettes are named."""

_TOKENS: Final = ("prompt", "completion", "total")


@dataclass(slots=True)
class Share:
    """What one model, endpoint or host has of it all; `cost` is None where no price is known."""

    interactions: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cost: Decimal | None = None

    def add(self, turn: Turn, prices: Prices | None) -> None:
        """Adds one interaction."""
        if prices is not None:
            tokens = turn.tokens
            cost = prices.cost(
                model_of(turn) or "",
                input=tokens.input or 0,
                output=tokens.output or 0,
                cached=tokens.cached or 0,
            )
            if cost is not None:
                self.cost = cost if self.cost is None else self.cost + cost
        self.interactions += 1
        self.prompt_tokens += turn.tokens.input or 0
        self.completion_tokens += turn.tokens.output or 0
        self.total_tokens += turn.tokens.sum

    def to_json(self) -> dict[str, Any]:
        """Returns the numbers by their names; `cost` only where one is known."""
        numbers = {f"{kind}_tokens": getattr(self, f"{kind}_tokens") for kind in _TOKENS}
        cost = {} if self.cost is None else {"cost": float(self.cost)}
        return {"interactions": self.interactions, **numbers, **cost}


@dataclass(slots=True)
class Statistics:
    """What the cassettes that were added hold together."""

    now: datetime
    prices: Prices | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    all: Share = field(default_factory=Share)
    models: dict[str, Share] = field(default_factory=dict)
    endpoints: dict[str, Share] = field(default_factory=dict)
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
            for share in (
                self.all,
                self.models.setdefault(model_of(turn) or UNKNOWN, Share()),
                self.endpoints.setdefault(turn.endpoint.name, Share()),
                self.hosts.setdefault(host, Share()),
            ):
                share.add(turn, self.prices)
            self.streamed += is_streamed(response)
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
            "endpoints": {name: share.to_json() for name, share in _by_number(self.endpoints)},
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

    columns = ["interactions", "prompt", "completion", "tokens", *(["cost"] if found.prices else [])]
    for title, shares in (("model", found.models), ("endpoint", found.endpoints), ("host", found.hosts)):
        table(title, *columns, rows=[*_cells(shares, found.prices)])
    table(
        "age", "interactions", rows=[(name, f"{number:,}") for name, number in found.ages_in_order().items()]
    )
    table("largest", "size", rows=[(path, printing.decimal(size)) for path, size in found.largest().items()])
    told = [plural(len(found.sizes), "cassette"), plural(found.all.interactions, "interaction")]
    told += [plural(found.all.total_tokens, "token"), printing.decimal(sum(found.sizes.values()))]
    told += [found.prices.render(found.all.cost)] if found.prices and found.all.cost is not None else []
    told += [f"{found.streamed:,} streamed"] if found.streamed else []
    told += [f"{found.errors:,} errors"] if found.errors else []
    if found.oldest and found.newest:
        ages = [age_in_words(moment, found.now) for moment in (found.oldest, found.newest)]
        told.append(f"recorded {' to '.join(dict.fromkeys(ages))} ago".replace("just now ago", "just now"))
    console.print(printing.Text(", ".join(told), "dim"), soft_wrap=True)


def _cells(shares: Mapping[str, Share], prices: Prices | None) -> Iterator[tuple[str, ...]]:
    for name, share in _by_number(shares):
        numbers = (share.interactions, share.prompt_tokens, share.completion_tokens, share.total_tokens)
        cost = [prices.render(share.cost) if share.cost is not None else "?"] if prices else []
        yield (name, *(f"{number:,}" for number in numbers), *cost)


def _by_number(shares: Mapping[str, Share]) -> list[tuple[str, Share]]:
    return sorted(shares.items(), key=lambda it: (-it[1].interactions, it[0]))
