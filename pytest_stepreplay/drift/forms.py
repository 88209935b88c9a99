"""What a change and a drift say of themselves: text of any length, a JSON value, and Markdown.

The fact comes first, then how much it matters. `report.renderers` builds on this; further forms stand there.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from ..endpoints import read_call
from ..texts import words
from ..texts.escaping import code_for_markdown, escape_for_markdown, escape_for_terminal
from .values import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .values import Fact

NO_DRIFT: Final = "no drift"

_LINE_WIDTH = 200
_SHORT_LINES = 8
_FULL_WIDTH = 2000
_PAGE_CHANGES = 50
_PAGE_WIDTH = 600

# A string that is not mistaken for another value stands without quotes.
_BARE = re.compile(r"(?!(?:true|false|null|none|nan|infinity)$)(?=[^\W\d])[\w./-]+", re.IGNORECASE)
_LARGE_INT = 10**30


def summarize_change(change: Fact, *, width: int = _LINE_WIDTH) -> str:
    """Returns what happened at the place, in one line that is safe to print.

    Args:
        change: one change.
        width: about how many characters the values may take.
    """
    return escape_for_terminal(_summary(change, width))


def sides_of(change: Fact, *, width: int = _LINE_WIDTH) -> tuple[str, str]:
    """Returns the stored value and the new one, as a person would write them, safe to print.

    One that is not there is empty; both are where the change is no matter of two values.
    """
    if change.kind in ("contract", "replaced"):
        return "", ""
    if change.kind == "order":
        return escape_for_terminal(_names(change.old, width)), escape_for_terminal(_names(change.new, width))
    tell = _typed if change.kind == "type" and None not in (change.old, change.new) else _value
    old, new = (
        "" if each is ABSENT else escape_for_terminal(tell(each, width)) for each in (change.old, change.new)
    )
    return old, new


def describe_change(change: Fact, *, width: int = _LINE_WIDTH) -> str:
    """Returns the place, what happened there, and the level, in one line that is safe to print."""
    source = f": {escape_for_terminal(change.source)}" if change.source else ""
    return f"{_fact(change, width)} ({change.level}{source})"


def as_line(changes: Sequence[Fact]) -> str:
    """Returns the worst change and the number of the others, in one line."""
    if not changes:
        return NO_DRIFT
    others = len(changes) - 1
    return describe_change(changes[0]) + (f" and {others} more" if others else "")


def as_short(changes: Sequence[Fact]) -> str:
    """Returns at most eight lines: the level, and the worst changes."""
    room = _SHORT_LINES - 1
    shown = changes if len(changes) <= room else changes[: room - 1]
    lines = [_headline(changes), *(f"  {describe_change(change)}" for change in shown)]
    if len(shown) < len(changes):
        lines.append(f"  … and {_count(changes[len(shown) :])} more")
    return "\n".join(lines)


def as_full(changes: Sequence[Fact]) -> str:
    """Returns every change under its level, with texts word by word."""
    lines = [_headline(changes)]
    for level, group in groupby(changes, key=lambda change: change.level):
        lines += ["", f"{level}:"]
        for change in group:
            source = f" ({escape_for_terminal(change.source)})" if change.source else ""
            lines.append(f"  {_fact(change, _FULL_WIDTH)}{source}")
    return "\n".join(lines)


def as_markdown(changes: Sequence[Fact]) -> str:
    """Returns a headline and a list of the changes, worst first, at most fifty."""
    lines = [f"**{_headline(changes)}**"]
    shown = changes[:_PAGE_CHANGES]
    if shown:
        lines.append("")
    for change in shown:
        place = code_for_markdown(_clipped(change.selector, _LINE_WIDTH))
        summary = code_for_markdown(_summary(change, _PAGE_WIDTH))
        source = f": {escape_for_markdown(change.source)}" if change.source else ""
        lines.append(f"- {place}: {summary} ({change.level}{source})")
    if len(shown) < len(changes):
        lines.append(f"- … and {_count(changes[len(shown) :])} more")
    return "\n".join(lines)


def _headline(changes: Sequence[Fact]) -> str:
    return f"drift: {changes[0].level} ({_count(changes)})" if changes else NO_DRIFT


def _count(changes: Iterable[Fact]) -> str:
    """Returns the number of changes by level: ``1 behavior, 2 metadata``."""
    counts = Counter(change.level for change in changes)
    return ", ".join(f"{counts[level]} {level}" for level in sorted(counts, reverse=True))


def _fact(change: Fact, width: int) -> str:
    place = escape_for_terminal(_clipped(change.selector, _LINE_WIDTH))
    return f"{place}: {summarize_change(change, width=width)}"


def _summary(change: Fact, width: int) -> str:
    note = _clipped(change.note, _LINE_WIDTH)
    if change.kind in ("contract", "replaced"):
        return note
    fact = _SUMMARIES.get(change.kind, _changed)(change, width)
    return f"{fact}; {note}" if note else fact


def _changed(change: Fact, width: int) -> str:
    return f"{_value(change.old, width // 2)} -> {_value(change.new, width // 2)}"


def _retyped(change: Fact, width: int) -> str:
    if change.old is None or change.new is None:
        return _changed(change, width)
    return f"{_typed(change.old, width // 2)} -> {_typed(change.new, width // 2)}"


def _reworded(change: Fact, width: int) -> str:
    text = words.diff_words(change.old, change.new, width=width)
    # Rounded down: only equal texts are 1.00 similar.
    similarity = math.floor((change.similarity or 0.0) * 100) / 100
    return f"{text} (similarity {similarity:.2f})"


_SUMMARIES = {
    "added": lambda change, width: f"added {_value(change.new, width)}",
    "removed": lambda change, width: f"removed {_value(change.old, width)}",
    "order": lambda change, width: (
        f"order: {_names(change.old, width // 2)} -> {_names(change.new, width // 2)}"
    ),
    "type": _retyped,
    "text": _reworded,
}


def _names(names: list[str], width: int) -> str:
    return _clipped(", ".join(names), width)


def _typed(value: Any, width: int) -> str:
    """Returns a value with JSON's name for its type; an object or array by its type alone."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if type(value) is str:
        return f"{_quoted(value, width)} (a string)"
    if isinstance(value, str):  # the name of a volatile value's type
        return str(value)
    return f"{_value(value, width)} ({_NUMBERS.get(type(value), 'a value')})"


_NUMBERS: dict[type, str] = {bool: "a boolean", int: "an integer", float: "a number"}


def _value(value: Any, width: int) -> str:
    """Returns a value as a person would write it: ``search``, ``"two words"``, ``search({"q": "x"})``."""
    if isinstance(value, str):
        bare = type(value) is not str or (len(value) <= width and _BARE.fullmatch(value))
        return _clipped(value, width) if bare else _quoted(value, width)
    call = read_call(value)
    if call:
        return _clipped(f"{call.tool}({'' if call.given is None else _compact(call.given)})", width)
    return _clipped(_compact(value), width)


def _quoted(text: str, width: int) -> str:
    text = _clipped(text, max(width - 2, 10))
    quote = "'" if '"' in text and "'" not in text else '"'
    return f"{quote}{text}{quote}"


def _compact(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    if isinstance(value, str):
        return value
    return json.dumps(_jsonable(value), ensure_ascii=False)


def _clipped(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def change_as_json(change: Fact) -> dict[str, Any]:
    """Returns a change as a value that any JSON writer takes."""
    found = {
        "selector": change.selector,
        "level": str(change.level),
        "kind": change.kind,
        "summary": summarize_change(change),
        "old": change.old,
        "new": change.new,
        "note": change.note or ABSENT,
        "source": change.source or ABSENT,
        "similarity": ABSENT if change.similarity is None else change.similarity,
    }
    return {name: _jsonable(value) for name, value in found.items() if value is not ABSENT}


def _jsonable(value: Any) -> Any:
    if isinstance(value, str):
        # A plain one that any encoding takes, so that files and xdist can carry it.
        return str(value) if value.isascii() else value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_jsonable(key): _jsonable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_jsonable(child) for child in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) >= _LARGE_INT:
        return hex(value)
    return value
