"""Text rules: when a changed text counts as the same.

What a user writes goes in: a name, a number, a pattern or a callable. A frozen `TextRule` comes out. A new rule is
one entry: in `TEXT_RULES`, or in `RULES_WITH_ARGUMENT`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

from ..texts import fuzzy, words
from ..value_classes import dataclass

TextRuleInput = str | float | re.Pattern[str] | Callable[[str, str], object]

_NUMBER: Final = re.compile(r"(\d*\.?\d+)\s*(%?)", re.ASCII)


@dataclass(frozen=True)
class TextRule:
    """When a changed text counts as the same.

    Attributes:
        name: as a user writes it.
        accepts: takes the old text and the new one. None where the texts are to be compared as JSON.
        problem: says what is wrong where it does not accept.
    """

    name: str
    accepts: Callable[[str, str], object] | None
    problem: str = ""

    @classmethod
    def parse(cls, value: object) -> TextRule:
        """Returns the rule that `value` stands for.

        Raises:
            ValueError: if it stands for none; the message lists the valid ones.
        """
        if isinstance(value, TextRule):
            return value
        if isinstance(value, str):
            return _read_rule(value.strip())
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _similar(float(value))
        if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
            return _matching(value)
        if callable(value):
            name = getattr(value, "__name__", type(value).__name__)
            return cls(name, value, f"{name}(old, new) is false")
        raise ValueError(f"{value!r:.60} is not a text rule; write {_list_rules()}")


TEXT_RULES: Final[dict[str, TextRule]] = {
    rule.name: rule
    for rule in (
        TextRule("exact", lambda old, new: old == new),
        TextRule("whitespace", lambda old, new: old.split() == new.split(), "more than white space differs"),
        TextRule("json", None),
    )
}
"""The rules that have a name and no argument."""


def _list_rules() -> str:
    with_argument = [shown for _, shown in RULES_WITH_ARGUMENT.values()]
    names = [f'"{name}"' for name in TEXT_RULES]
    return ", ".join([*names, *with_argument, "or a callable that takes the old text and the new one"])


def _read_rule(text: str) -> TextRule:
    if text in TEXT_RULES:
        return TEXT_RULES[text]
    for start, (read, _) in RULES_WITH_ARGUMENT.items():
        named, end, argument = text.partition(start[-1])
        if "".join([*named.split(), end]) == start:
            return read(argument.strip() if start[-1] == "=" else argument)
    raise ValueError(f"{text!r:.60} is not a text rule; write {_list_rules()}")


def _read_similar(argument: str) -> TextRule:
    return _similar(_share(argument, f"similarity>={argument}"))


def _read_fuzzy(argument: str) -> TextRule:
    least = _checked(_share(argument, f"fuzzy>={argument}"))
    if find_spec("rapidfuzz") is None:
        raise ValueError(
            f"fuzzy>={least:g} needs rapidfuzz, which is not installed. "
            "Install it with: pip install 'pytest-stepreplay[fuzzy]'"
        )
    return TextRule(
        f"fuzzy>={least:g}",
        lambda old, new: fuzzy.likeness(old, new) >= least,
        f"less alike than {least:g}, whatever the order of words",
    )


def _share(argument: str, written: str) -> float:
    read = _NUMBER.fullmatch(argument)
    if read is None:
        raise ValueError(f"{written!r:.60} is not a text rule; write {_list_rules()}")
    return float(read[1]) / (100 if read[2] else 1)


def _checked(least: float) -> float:
    if not 0 < least <= 1:
        raise ValueError(f"a similarity is more than 0 and at most 1, not {least:g}")
    return least


def _read_matching(argument: str) -> TextRule:
    try:
        return _matching(re.compile(argument))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{f'regex:{argument}'!r:.60} is not a regular expression: {error}") from None


def _similar(least: float) -> TextRule:
    _checked(least)
    return TextRule(
        f"similarity>={least:g}",
        lambda old, new: words.similarity(old, new) >= least,
        f"less similar than {least:g}",
    )


def _matching(pattern: re.Pattern[str]) -> TextRule:
    return TextRule(
        f"regex:{pattern.pattern}",
        lambda _, new: pattern.search(new),
        f"does not match /{pattern.pattern}/",
    )


RULES_WITH_ARGUMENT: Final[dict[str, tuple[Callable[[str], TextRule], str]]] = {
    "similarity>=": (_read_similar, '"similarity>=0.9" (or the number 0.9)'),
    "fuzzy>=": (_read_fuzzy, '"fuzzy>=0.9"'),
    "regex:": (_read_matching, '"regex:PATTERN" (or a compiled pattern)'),
}
"""By how they begin: what reads the rest, and how they are shown in messages."""
