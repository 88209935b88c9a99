"""The one shape of YAML that cassettes are written in -> trees of JSON values.

`parse` reads what `yaml_text.render` writes, many times faster than a general YAML parser can; for text of
any other shape it gives up at once, and `yaml_events` reads it instead.
"""

from __future__ import annotations

import json
import math
import re
from sys import intern
from typing import Any, TypeAlias

from ..wire.trees import MAX_DEPTH, Tree
from .yaml_text import ESCAPED, MAX_KEY, is_plain, is_row

_COLUMNS = 2 * MAX_DEPTH
_MAX_REMEMBERED = 64  # characters
_MOST_REMEMBERED = 4096
_BLOCK_LINES = 64

_CONSTANTS: dict[str, bool | None] = {"null": None, "true": True, "false": False}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+(?:[eE][-+]?[0-9]+)?)?")

# Characters that must be escaped are ruled out for the whole text at once, so these are simple, and fast.
_ODD = re.compile(f"[{ESCAPED}]")
# Unrolled: a loop over one class of characters runs many times faster than one over alternatives.
_USUAL = bytes(code for code in range(128) if not _ODD.match(chr(code)))
_SINGLE_QUOTED = r"'[^'\t]*+(?:''[^'\t]*+)*+'"
_DOUBLE_QUOTED = r'"[^"\\\t]*+(?:\\(?:["\\bfnrt]|u(?!d[89a-f])[0-9a-f]{4})[^"\\\t]*+)*+"'
_SINGLE = re.compile(_SINGLE_QUOTED)
_DOUBLE = re.compile(_DOUBLE_QUOTED)
_LINE = re.compile(
    rf"( *+)((?:- )*+)(?:((?!\d)[\w$/][^:#]*+|{_SINGLE_QUOTED}|{_DOUBLE_QUOTED}):(?: (.++))?|(.++))"
)
_LITERAL = frozenset({"|", "|-", "|+", "|2", "|2-", "|2+"})
_BLOCK = object()  # stands for a value that begins on the next line
_Line: TypeAlias = tuple[int, int, str | None, Any]


_known: dict[str, _Line] = {}
"""Short lines as they were read: they repeat a lot, in one file and in all files of a suite."""


class UnusualTextError(Exception):
    """The text has another shape than `render` gives it, and may be good YAML nevertheless."""


def parse(text: str) -> Tree:
    """Return the tree that `render` made this text from.

    Raises:
        UnusualTextError: it has another shape; a general YAML parser must read it.
    """
    lines = text.split("\n")
    if lines.pop() or not lines or _is_odd(text):
        raise UnusualTextError
    root: dict[str, Tree] = {}
    # What is open at each column: the mapping whose keys stand there, and the list whose dashes do.
    mappings: list[dict[str, Tree] | None] = [root, *[None] * _COLUMNS]
    lists: list[list[Tree] | None] = [None] * (_COLUMNS + 1)
    deepest = 0
    waiting: tuple[dict[str, Tree], str] | None = None  # a mapping and its key whose block must come next
    known = _known
    here, end = 0, len(lines)
    while here < end:
        line = lines[here]
        here += 1
        parsed = known.get(line)
        if parsed is None:
            parsed = _parse_line(line)
            if len(line) < _MAX_REMEMBERED and parsed[3].__class__ not in (dict, list):
                if len(known) >= _MOST_REMEMBERED:
                    known.clear()
                known[line] = parsed
        column, dashes, key, value = parsed

        mapping: dict[str, Tree] | None
        if not dashes:
            if waiting is None:
                mapping = mappings[column] if column <= deepest else None
            else:
                mapping = waiting[0][waiting[1]] = {}
                waiting = None
                if column != deepest + 2:
                    raise UnusualTextError
                mappings[column] = mapping
        else:
            items: list[Tree] | None
            if waiting is None:
                items = lists[column] if column <= deepest else None
            else:
                items = waiting[0][waiting[1]] = []
                waiting = None
                if column != deepest:
                    raise UnusualTextError
                lists[column] = items
            if items is None:
                raise UnusualTextError
            for _ in range(dashes - 1):
                column += 2
                inner: list[Tree] = []
                items.append(inner)
                items = lists[column] = inner
                mappings[column] = None
            if key is None:
                deepest = column
                if value.__class__ is _Unfinished:
                    value, here = _parse_lines(value, lines, here, column + 2)
                items.append(value)
                here = _take_quoted(lines, here, f"{' ' * column}- '", items)
                continue
            column += 2
            mapping = mappings[column] = {}
            items.append(mapping)
        if mapping is None or key is None or key in mapping:
            raise UnusualTextError
        lists[column] = None
        deepest = column
        if value is _BLOCK:
            waiting = mapping, key
        elif value.__class__ is _Unfinished:
            mapping[key], here = _parse_lines(value, lines, here, column + 2)
        else:
            mapping[key] = value
    if waiting is not None:
        raise UnusualTextError
    return root


def _is_odd(text: str) -> bool:
    if text.isascii():  # five times faster so
        return bool(text.encode().translate(None, _USUAL))
    return _ODD.search(text) is not None


def _take_quoted(lines: list[str], here: int, lead: str, items: list[Tree]) -> int:
    """Append the items that stand quoted on a line each, and return the first line that holds none.

    The events of a stream are hundreds of such lines, which `_parse_line` reads many times slower.
    """
    while True:
        end = here
        while end < len(lines) and end < here + _BLOCK_LINES and lines[end].startswith(lead):
            end += 1
        found = _unquoted(lines[here:end], lead)
        items += found
        here += len(found)
        if not found or here < end:
            return here


def _unquoted(block: list[str], lead: str) -> list[str]:
    """Return what stands quoted on each of these lines, up to the first on which it does not."""
    text = "\n".join(block)
    found = text[len(lead) : -1].split(f"'\n{lead}")
    # With just two quotes on each line, at its ends, no quote stands for one.
    if (
        len(found) == len(block)
        and text.count("'") == 2 * len(block)
        and text[-1] == "'"
        and "\t" not in text
    ):
        return found
    found = []
    for line in block:
        item = line[len(lead) : -1]
        if line[len(lead) :][-1:] != "'" or "\t" in item or "'" in item.replace("''", ""):
            break
        found.append(item.replace("''", "'"))
    return found


class _Unfinished(str):
    """A scalar of several lines: what of it stands on the first."""

    __slots__ = ()


def _parse_line(line: str) -> _Line:
    """Return the column, number of dashes, key and value of a line."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise UnusualTextError
    spaces, dashes, name, value, item = found.groups()
    column = len(spaces)
    if column % 2 or column + len(dashes) >= _COLUMNS:
        raise UnusualTextError
    if name is None:
        return column, len(dashes) // 2, None, _parse_scalar(item)
    key = _parse_scalar(name)
    if key.__class__ is not str or len(name) > MAX_KEY:
        raise UnusualTextError
    return column, len(dashes) // 2, intern(key), _BLOCK if value is None else _parse_scalar(value)


def _parse_scalar(text: str) -> Tree:
    if is_plain(text):
        return text
    if text[0] == "'" and _SINGLE.fullmatch(text):
        return text[1:-1].replace("''", "'")
    if text[0] == '"':
        if _DOUBLE.fullmatch(text):
            return json.loads(text)
        if text[-1] == "\\":
            return _Unfinished(text)
    if text in _LITERAL:
        return _Unfinished(text)
    if text == "{}":
        return {}
    if text[0] == "[":
        return _parse_row(text)
    value = resolve_plain(text)
    if isinstance(value, str):
        raise UnusualTextError
    return value


def _parse_row(text: str) -> list[Tree]:
    """Return the numbers that stand on one line; nothing else does."""
    if text == "[]":
        return []
    numbers: list[Tree] = [resolve_plain(each) for each in text[1:-1].split(", ")]
    if text[-1] != "]" or not is_row(numbers):
        raise UnusualTextError
    return numbers


def _parse_lines(first: str, lines: list[str], here: int, column: int) -> tuple[str, int]:
    """Return the text of a scalar that goes on in line `here` at `column`, and the line after it."""
    pad = " " * column
    if first in _LITERAL:
        start = here
        while here < len(lines) and (lines[here].startswith(pad) or not lines[here]):
            here += 1
        text = "\n".join([line[column:] for line in lines[start:here]])
        content = text.rstrip("\n")
        if not content or (text[0] in " \t\n" and "2" not in first):
            raise UnusualTextError
        return (f"{text}\n" if "+" in first else content if "-" in first else f"{content}\n"), here

    pieces = [first]
    while pieces[-1][-1:] == "\\":
        piece = pieces[-1]
        goes_on = (len(piece) - len(piece.rstrip("\\"))) % 2
        following = lines[here] if here < len(lines) else ""
        here += 1
        if not goes_on or not following.startswith(pad) or following[column : column + 1] in {"", " "}:
            raise UnusualTextError
        pieces[-1] = piece[:-1]
        pieces.append(following[column + following.startswith("\\ ", column) :])
    quoted = "".join(pieces)
    if not _DOUBLE.fullmatch(quoted):
        raise UnusualTextError
    return json.loads(quoted), here


def resolve_plain(text: str) -> Tree:
    """Return what a scalar without quotes stands for: a constant or number of JSON, else the text itself.

    So ``no``, ``12:30`` and ``2001-01-01`` are text, whatever YAML 1.1 makes of them.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    number = _NUMBER.fullmatch(text)
    if number is None:
        return text
    try:
        if number[1] is None:
            return int(text)
    except ValueError:  # more digits than Python is set to convert
        return text
    value = float(text)
    return value if math.isfinite(value) else text
