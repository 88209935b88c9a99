"""What tokens cost, by a project's own table: none is built in, since prices change and discounts differ.

Lines such as ``step-*: $0.10 $0.40`` go in, and the cost of some tokens comes out.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

_MILLION: Final = Decimal(1_000_000)
_FORM: Final = "MODEL: INPUT OUTPUT [CACHED], for a million tokens each, such as step-*: $0.10 $0.40"
_CURRENCY: Final = "[A-Z]{0,3}[$€£¥₩₹]?"
_AMOUNT: Final = re.compile(
    rf"(?P<before>{_CURRENCY})(?P<number>\d{{1,9}}(?:\.\d{{1,9}})?)(?P<after>{_CURRENCY})"
)


class Price(NamedTuple):
    """What a million tokens of a model cost."""

    input: Decimal
    output: Decimal
    cached: Decimal


class Prices:
    """A table of prices, by the names of models or patterns of them; the first one that fits counts."""

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        """Reads the lines, each a model and its prices.

        Raises:
            SettingsError: a line is not in the form, or two name different currencies.
        """
        self._before = self._after = ""
        self._prices: dict[str, Price] = {}
        currencies = set[tuple[str, str]]()
        for model, written in lines:
            amounts = [_AMOUNT.fullmatch(word) for word in written.split()]
            if not model or len(amounts) not in {2, 3} or not all(amounts):
                raise SettingsError(f"{f'{model}: {written}'!r:.80} is not {_FORM}")
            found = [each for each in amounts if each]
            currencies |= {(each["before"], each["after"]) for each in found}
            numbers = [Decimal(each["number"]) for each in found]
            self._prices[model] = Price(
                numbers[0], numbers[1], numbers[-1] if len(numbers) > 2 else numbers[0]
            )
        if len(currencies) > 1:
            names = sorted(f"{before}1{after}" for before, after in currencies)
            raise SettingsError(f"{' and '.join(names)} are two currencies; use one for all models")
        for self._before, self._after in currencies:
            pass

    def cost(self, model: str, *, input: int, output: int, cached: int = 0) -> Decimal | None:  # noqa: A002 - the field's word
        """Returns what tokens of a model cost; None where the table does not say.

        Args:
            model: its name, as the API says it.
            input: tokens of the request, with those that were cached.
            output: tokens of the answer.
            cached: tokens of the request that the API had in its cache.
        """
        price = next((each for name, each in self._prices.items() if fnmatchcase(model, name)), None)
        if price is None:
            return None
        return ((input - cached) * price.input + cached * price.cached + output * price.output) / _MILLION

    def render(self, cost: Decimal) -> str:
        """Returns an amount with its currency: to the cent, or to two digits that are not zero if it is smaller."""
        places = 2 if not cost or abs(cost) >= 1 else max(2, 1 - cost.adjusted())
        rounded = cost.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        return f"{self._before}{rounded:,}{self._after}"
