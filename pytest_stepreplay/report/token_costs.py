"""What a run has saved and spent in tokens, and in money where the project says what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..settings import prices as price_tables
from ..texts import plural
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from ..settings.prices import Prices


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What one model was asked at one endpoint, in tokens."""

    use: str
    endpoint: str
    model: str
    requests: int
    input: int
    output: int
    cached: int
    total: int

    def cost(self, prices: Prices) -> Decimal | None:
        """Returns what it cost; None where the table does not say."""
        return prices.cost(self.model, input=self.input, output=self.output, cached=self.cached)


def rows_of(outcomes: Iterable[Any]) -> tuple[LedgerRow, ...]:
    """Returns the rows of a run, the largest first, from the outcomes of all processes."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for outcome in outcomes:
        for use, endpoint, model, *numbers in outcome["ledger"]:
            entry = sums.setdefault((use, endpoint, model), [0] * len(numbers))
            entry[:] = [so_far + number for so_far, number in zip(entry, numbers, strict=True)]
    found = (LedgerRow(*key, *numbers) for key, numbers in sums.items())
    return tuple(sorted(found, key=lambda row: (-row.total, row.endpoint, row.model)))


def amount(rows: Sequence[LedgerRow], prices: Prices | None) -> str:
    """Returns what the rows come to, such as ``1,200 tokens, $0.03``."""
    tokens = f"{sum(row.total for row in rows):,} tokens"
    costs = [row.cost(prices) for row in rows] if prices else []
    known = [cost for cost in costs if cost is not None]
    if not prices or not known:
        return tokens
    unknown = sorted({row.model or "no model" for row, cost in zip(rows, costs, strict=True) if cost is None})
    return f"{tokens}, {prices.render(sum(known, start=known[0] * 0))}" + (
        f" (no price for {', '.join(unknown)})" if unknown else ""
    )


def details(rows: Sequence[LedgerRow], prices: Prices | None) -> list[str]:
    """Returns a line for each row."""
    return [
        f"  {row.model or 'no model'} ({row.endpoint}): {plural(row.requests, 'request')}, "
        f"{row.input:,} + {row.output:,} tokens"
        + (f", {prices.render(cost)}" if prices and (cost := row.cost(prices)) is not None else "")
        for row in rows
    ]


def ledger_to_json(rows: Iterable[LedgerRow], prices: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Returns the rows as a value that any JSON writer takes.

    ::

        [{"use": "saved", "endpoint": "chat", "model": "step-3.5-flash",    or "spent"
          "requests": 80, "input": 6640, "output": 900, "cached": 0, "total": 7540,
          "cost": "$0.002"}]                                null where the project's prices do not say
    """
    costs = price_tables.Prices(prices)
    found = [(row, row.cost(costs)) for row in rows]
    return [
        {name: getattr(row, name) for name in LedgerRow.__slots__}
        | {"cost": None if cost is None else costs.render(cost)}
        for row, cost in found
    ]
