"""Values in a text that differ from run to run without meaning anything: dates, fresh ids, temporary paths.

`KINDS` names them. A text goes through a `Normalizer`, and each such value comes out as the name of its kind, so that
two texts with other values are equal. Nothing else in the text changes.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..errors import SettingsError
from ..value_classes import dataclass
from . import spelling

if TYPE_CHECKING:
    from collections.abc import Iterable

REGEX: Final = "regex:"
"""Begins a pattern of the user's own."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Values of one kind.

    Attributes:
        pattern: finds them; what its group ``keep`` holds stays as it is.
        one: what one of them is called.
        many: what several are.
        identifies: such a value stands for one thing. Equal ones stay equal, and different ones different.
        numbers: returns whether a JSON number is one.
    """

    pattern: str
    one: str
    many: str
    identifies: bool = False
    numbers: range | None = None


_MONTH: Final = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_WEEKDAY: Final = "(?:mon|tue(?:s)?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_ORDINAL: Final = _DAY + r"(?:st|nd|rd|th)?\b"
_YEAR: Final = r"(?:19|20)\d\d"
_CLOCK: Final = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d{1,9})?)?"
_ZONE: Final = r"(?: ?(?:z\b|utc\b|gmt\b|[+-]\d\d:?\d\d\b))?"
_ISO: Final = rf"{_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:[t ]{_CLOCK}{_ZONE})?(?![0-9])"
_WRITTEN: Final = (
    rf"(?:{_WEEKDAY}[,.]? )?(?:"
    rf"{_MONTH} {_ORDINAL},? {_YEAR}|{_ORDINAL}\.? (?:of )?{_MONTH},? {_YEAR}"
    rf"|{_MONTH} {{1,2}}{_DAY} {_CLOCK} (?:[a-z]{{3,4}} )?{_YEAR}"
    rf"|{_DAY}(?P<dot>[/.]){_DAY}(?P=dot){_YEAR}|{_YEAR}(?P<slash>[/.]){_DAY}(?P=slash){_DAY})(?![0-9])"
)
# The model gpt-4o-2024-08-06 is another one than gpt-4o-2024-11-20: a date is no part of a name.
_NO_NAME: Final = r"(?<![0-9a-z-])"
_WORD_EDGE: Final = ("(?<![0-9a-z])", "(?![0-9a-z])")
_STEP: Final = r"(?:/|\\{1,2})"
_FOLDER: Final = r"[^\\/\s\"'`<>|:*?]{1,255}"
# Bounded, so that a text that is all slashes costs no more than its length.
_ROOT: Final = rf"(?:\b[a-z]:)?(?:{_STEP}{_FOLDER}){{0,24}}"

KINDS: Final[dict[str, Kind]] = {
    "tmp-path": Kind(
        rf"{_ROOT}{_STEP}(?:pytest-of-{_FOLDER}{_STEP}pytest-[0-9a-z]+(?:{_STEP}popen-gw\d+)?{_STEP}[\w-]{{1,255}}"
        r"|tmp[0-9a-z_]{8}\b)",
        "temporary path",
        "temporary paths",
        identifies=True,
    ),
    "uuid": Kind(
        "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}".join(_WORD_EDGE), "UUID", "UUIDs", identifies=True
    ),
    "hex-id": Kind(
        r"(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{16,64}".join(_WORD_EDGE),
        "hexadecimal id",
        "hexadecimal ids",
        identifies=True,
    ),
    "address": Kind(
        r"(?<=\bat )0x[0-9a-f]{6,16}\b", "address in memory", "addresses in memory", identifies=True
    ),
    "local-port": Kind(
        r"(?P<keep>(?<![\w.])(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\]):)\d{2,5}\b",
        "local port",
        "local ports",
        identifies=True,
    ),
    "iso-date": Kind(_NO_NAME + _ISO, "date", "dates"),
    "date": Kind(f"{_NO_NAME}(?:{_ISO}|{_WRITTEN})", "date", "dates"),
    "time": Kind(rf"(?<![0-9:.]){_CLOCK}(?: ?[ap]\.?m\b\.?)?{_ZONE}(?![0-9:])", "time", "times"),
    "timestamp": Kind(
        r"(?<![\w.-])1[5-9]\d{8}(?:\d{3}){0,3}(?:\.\d{1,9})?(?!\w)",
        "timestamp",
        "timestamps",
        numbers=range(1_500_000_000, 2_000_000_000),
    ),
}
"""By name; those that would take a part of another one stand behind it."""


def _check(name: str) -> None:
    if name.startswith(REGEX):
        try:
            empty = re.compile(name.removeprefix(REGEX)).match("")
        except re.error as error:
            raise SettingsError(f"{name!r:.80} is not a regular expression: {error}") from None
        if empty:
            raise SettingsError(f"{name!r:.80} also finds an empty text; it must find at least one character")
    elif name not in KINDS:
        hint = spelling.did_you_mean(name, KINDS)
        raise SettingsError(f"{name!r:.80} is not one of {', '.join(KINDS)} or {REGEX}PATTERN{hint}")


class Normalizer:
    """Replaces values of some kinds, in all texts of one request."""

    def __init__(self, names: Iterable[str]) -> None:
        """Takes names of `KINDS`, and patterns that begin with `REGEX`; these are sought first.

        Raises:
            SettingsError: a name is unknown, or a pattern is none.
        """
        chosen = set(names)
        for name in chosen:
            _check(name)
        own = {
            name: Kind(name.removeprefix(REGEX), "match", "matches") for name in sorted(chosen - set(KINDS))
        }
        known = {name: kind for name, kind in KINDS.items() if name in chosen}
        self._kinds = {
            **{name: (kind, re.compile(kind.pattern)) for name, kind in own.items()},
            **{name: (kind, re.compile(kind.pattern, re.IGNORECASE)) for name, kind in known.items()},
        }

    def start(self) -> Normalizing:
        """Returns what normalizes one request."""
        return Normalizing(self._kinds)


class Normalizing:
    """The values of one request that were replaced so far."""

    def __init__(self, kinds: dict[str, tuple[Kind, re.Pattern[str]]]) -> None:
        self._kinds = kinds
        self._numbers: dict[str, dict[str, int]] = {}
        self._found = Counter[str]()

    def __call__(self, value: Any) -> Any:
        """Returns a JSON value that is no list and no object, normalized."""
        if isinstance(value, str):
            return self._write(value, self._kinds)
        if isinstance(value, int | float) and not isinstance(value, bool):
            for name, (kind, _) in self._kinds.items():
                if kind.numbers and any(_is_in(value / scale, kind.numbers) for scale in (1, 1e3, 1e6, 1e9)):
                    self._found[name] += 1
                    return f"<{name}>"
        return value

    def in_url(self, text: str) -> str:
        """Returns a part of a URL, normalized but for dates: ``?api-version=2024-10-21`` is not today's."""
        return self._write(
            text, [name for name, (kind, _) in self._kinds.items() if kind.identifies or name not in KINDS]
        )

    def _write(self, text: str, names: Iterable[str]) -> str:
        for name in names:
            kind, pattern = self._kinds[name]
            text = pattern.sub(partial(self._replace, name, kind), text)
        return text

    def _replace(self, name: str, kind: Kind, found: re.Match[str]) -> str:
        self._found[name] += 1
        keep = found["keep"] if "keep" in found.re.groupindex else ""
        if not kind.identifies:
            return f"{keep}<{name if name in KINDS else 'match'}>"
        value = found[0].removeprefix(keep).lower()
        numbers = self._numbers.setdefault(name, {})
        return f"{keep}<{name} {numbers.setdefault(value, len(numbers) + 1)}>"

    def describe(self) -> str:
        """Returns what was replaced, such as ``2 dates, 1 UUID``; nothing where nothing was."""
        counts = Counter[tuple[str, str]]()
        for name, number in self._found.items():
            kind = self._kinds[name][0]
            counts[kind.one, kind.many] += number
        return ", ".join(f"{number} {one if number == 1 else many}" for (one, many), number in counts.items())


def _is_in(value: float, numbers: range) -> bool:
    return numbers.start <= value < numbers.stop
