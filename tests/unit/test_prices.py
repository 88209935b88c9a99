"""What tokens cost by a project's own table, and what a run says of them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pytest_stepreplay.errors import SettingsError
from pytest_stepreplay.report.totals import add_up, render_totals
from pytest_stepreplay.settings import read_values
from pytest_stepreplay.settings.prices import Prices

TABLE = [("step-*", "$1 $4 $0.5"), ("step-2", "$100 $100"), ("free", "$0 $0")]


@pytest.mark.parametrize(
    ("model", "tokens", "cost"),
    [
        ("step-3.5-flash", {"input": 1_000_000, "output": 1_000_000}, "5"),
        ("step-3.5-flash", {"input": 1_000_000, "output": 0, "cached": 500_000}, "0.75"),
        ("step-2", {"input": 1_000_000, "output": 0}, "1"),  # the first line that fits
        ("free", {"input": 9, "output": 9}, "0"),
        ("other", {"input": 9, "output": 9}, None),
    ],
)
def test_a_cost(model: str, tokens: dict[str, int], cost: str | None) -> None:
    assert Prices(TABLE).cost(model, **tokens) == (None if cost is None else Decimal(cost))


@pytest.mark.parametrize(
    ("table", "amount", "text"),
    [
        ([("a", "$1 $2")], "0", "$0.00"),
        ([("a", "$1 $2")], "12345.678", "$12,345.68"),
        ([("a", "$1 $2")], "0.1", "$0.10"),
        ([("a", "$1 $2")], "0.000123456", "$0.00012"),
        ([("a", "1€ 2€")], "1.005", "1.01€"),
        ([("a", "1 2")], "0.5", "0.50"),
        ([], "0.5", "0.50"),
    ],
)
def test_an_amount(table: list[tuple[str, str]], amount: str, text: str) -> None:
    assert Prices(table).render(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("step-2", "': step-2' is not MODEL: INPUT OUTPUT \\[CACHED\\]"),
        ("step-2: $1", "'step-2: \\$1' is not MODEL"),
        ("step-2: $1 $2 $3 $4", "is not MODEL"),
        ("step-2: $1 -$2", "is not MODEL"),
        ("step-2: $1 ten", "is not MODEL"),
        ("step-2: $1 $1e9", "is not MODEL"),
        ("a: $1 $2\nb: 1€ 2€", "\\$1 and 1€ are two currencies"),
        ({"a": ("$1", "$2")}, "is not MODEL"),
        (7, "7 is neither a mapping nor lines"),
    ],
)
def test_a_table_that_is_none(value: Any, problem: str) -> None:
    with pytest.raises(SettingsError, match=f"stepreplay_prices, prices: .*({problem})"):
        read_values("stepreplay_prices", {"prices": value})


def test_a_name_may_hold_a_colon() -> None:
    values = read_values("x", {"prices": "ft:step:me: $1 $2\n\nb: $1 $2"})
    assert values["prices"] == (("ft:step:me", "$1 $2"), ("b", "$1 $2"))
    assert read_values("x", {"prices": {"b": "$1 $2"}})["prices"] == (("b", "$1 $2"),)


OUTCOME: dict[str, Any] = {
    "path": "a.yaml", "mode": "replay", "shared": False, "passed": True, "total": 1, "replayed": (0,), "recorded": 0,
    "missed": 0, "sent": 0, "errors_not_recorded": (), "refused_keys": (), "unsent": (), "written": False,
    "not_written": "", "ledger": (), "seconds_saved": 0.0, "blocked": (), "selectors": (), "matched": (), "late": (),
    "borrowed": (), "stale": "", "ownerless": False, "otherwise": (), "faults": (),
}  # fmt: skip


def told(*entries: tuple[Any, ...], prices: Prices | None = None, details: bool = False) -> list[str]:
    """Returns what the summary of two tests with these entries says after its first line."""
    outcomes = [OUTCOME | {"ledger": entries}, OUTCOME | {"ledger": [list(each) for each in entries]}]
    totals = add_up(outcomes, on_disk=(), owned=("a.yaml",), complete=True)
    return render_totals(totals, Path(), unused="warn", costs=prices, details=details)[1:]


SAVED = ("saved", "chat", "step-2.5", 1, 1000, 500, 0, 1500)
SPENT = ("spent", "embeddings", "other", 2, 10, 0, 0, 10)


def test_what_a_run_saved_and_spent() -> None:
    assert told(SAVED, SPENT) == ["saved 3,000 tokens, 0.0 s", "spent 20 tokens"]
    assert told() == []
    assert told(("saved", "chat", "", 1, 0, 0, 0, 0)) == []


def test_money_is_told_where_prices_are() -> None:
    prices = Prices(TABLE)
    assert told(SAVED, SPENT, prices=prices) == ["saved 3,000 tokens, $0.0060, 0.0 s", "spent 20 tokens"]
    unknown = ("saved", "chat", "", 1, 1, 1, 0, 2)
    assert told(SAVED, unknown, prices=prices) == [
        "saved 3,004 tokens, $0.0060 (no price for no model), 0.0 s"
    ]


def test_details_by_model_and_endpoint() -> None:
    assert told(SAVED, SPENT, prices=Prices(TABLE), details=True) == [
        "saved 3,000 tokens, $0.0060, 0.0 s",
        "  step-2.5 (chat): 2 requests, 2,000 + 1,000 tokens, $0.0060",
        "spent 20 tokens",
        "  other (embeddings): 4 requests, 20 + 0 tokens",
    ]
