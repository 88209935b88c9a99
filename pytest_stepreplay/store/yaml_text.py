"""Trees of JSON values <-> the one shape of YAML that cassettes are written in.

`render` writes a tree so that every YAML 1.1 and 1.2 parser reads the same values from it, and the same
tree always gives the same text. `parse` reads exactly that shape back, many times faster than a general
YAML parser can; for text of any other shape it gives up at once, and `yaml_events` reads it instead.
"""

from __future__ import annotations

import json
import math
import re
from itertools import chain
from sys import intern
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Tree: TypeAlias = Any
"""A JSON value: a dict with text keys, a list, str, int, float, bool or None."""

MAX_DEPTH = 500
"""How deep the mappings and lists of a cassette may be nested."""

_MAX_KEY = 1000  # YAML ends what can be an implicit key at 1024 characters, quotes and escapes included
_COLUMNS = 2 * MAX_DEPTH
_MAX_REMEMBERED = 64  # characters

# Never written raw, beside tab and line feed: controls, what YAML 1.1 takes for a line break, the byte order
# mark and noncharacters, and what turns the direction in which a reviewer sees the text.
_ESCAPED = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff"

# ---------------------------------------------------------------- what both directions agree on

# A plain scalar begins with a letter, "_", "$" or "/", as no number, date or indicator of YAML does, and has
# none of the pairs that end it.
_PLAIN_START = re.compile(r"(?!\d)[\w$/]")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_CONSTANTS: dict[str, bool | None] = {"null": None, "true": True, "false": False}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+(?:[eE][-+]?[0-9]+)?)?")


def _is_plain(text: str) -> bool:
    """Tell whether one line of text may stand without quotes."""
    return (
        _PLAIN_START.match(text) is not None
        and "\t" not in text
        and ": " not in text
        and " #" not in text
        and text[-1] not in " :"
        and not (len(text) <= 5 and text.lower() in _WORDS)
    )


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


def is_deeper_than(tree: Tree, levels: int) -> bool:
    """Tell whether mappings and lists are nested in more levels than these."""
    layer = _blocks([tree])
    for _ in range(levels):
        layer = _blocks(
            chain.from_iterable(each.values() if isinstance(each, dict) else each for each in layer)
        )
    return bool(layer)


def _blocks(values: Iterable[Tree]) -> list[Tree]:
    return [value for value in values if isinstance(value, dict | list | tuple)]


# ---------------------------------------------------------------- writing

_NEEDS_ESCAPE = re.compile(rf"[\t\n{_ESCAPED}]")
_NEEDS_QUOTES_IN_LINES = re.compile(rf"[{_ESCAPED}]|[ \t](?:\n|\Z)")
_UNKNOWN_TO_JSON = re.compile(rf"(?![\x00-\x1f])[{_ESCAPED}]")
_SEGMENT = re.compile(r"[^\n]*\n|[^\n]+")


def render(tree: dict[str, Tree]) -> str:
    """Return the tree as block-style YAML, ending with one newline.

    Raises:
        ValueError: the tree is nested too deeply, or holds what JSON cannot.
    """
    out: list[str] = []
    _render_block(out, tree, "", "", 1, at_end=True)
    return "".join(out)


def _render_block(out: list[str], block: Tree, pad: str, lead: str, depth: int, *, at_end: bool) -> None:
    """Append a block that is not empty.

    Args:
        out: what is written so far.
        block: a dict or list.
        pad: stands before each line.
        lead: stands before the first line instead.
        depth: in how many blocks this one stands, itself included.
        at_end: nothing is written behind it.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
    inner = pad + "  "
    left = len(block)
    if isinstance(block, dict):
        for key, value in block.items():
            left -= 1
            name = _render_key(key)
            out.append(f"{lead}? {name}\n{pad}:" if len(name) > _MAX_KEY else f"{lead}{name}:")
            if not value or not isinstance(value, dict | list | tuple):
                out.append(f" {_render_scalar(value, inner, at_end=at_end and not left)}\n")
            else:
                out.append("\n")
                # The dashes of a list stand right under its key.
                below = inner if isinstance(value, dict) else pad
                _render_block(out, value, below, below, depth + 1, at_end=at_end and not left)
            lead = pad
    else:
        for item in block:
            left -= 1
            if item and isinstance(item, dict | list | tuple):
                _render_block(out, item, inner, f"{lead}- ", depth + 1, at_end=at_end and not left)
            else:
                out.append(f"{lead}- {_render_scalar(item, inner, at_end=at_end and not left)}\n")
            lead = pad


def _render_key(key: object) -> str:
    if not isinstance(key, str):
        raise ValueError(f"a key is of the type {type(key).__name__}, not text")  # noqa: TRY004 -- one kind for all
    if key and _is_plain(key) and ":" not in key and "#" not in key and not _NEEDS_ESCAPE.search(key):
        return key
    return _quote(key)


def _render_scalar(value: Tree, pad: str, *, at_end: bool) -> str:
    if isinstance(value, str):
        return _render_text(value, pad, at_end=at_end)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _render_float(value)
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    raise ValueError(f"a value is of the type {type(value).__name__}, which JSON does not have")


def _render_float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    digits = float.__repr__(value)
    # For YAML 1.1 a float has a point: 1e+16 would be text.
    return digits if "." in digits else digits.replace("e", ".0e")


def _render_text(text: str, pad: str, *, at_end: bool) -> str:
    if "\n" not in text:
        return text if text and _is_plain(text) and not _NEEDS_ESCAPE.search(text) else _quote(text)
    # Editors strip spaces at the end of a line and empty lines at the end of a file: those need quotes too.
    fragile = at_end and text.endswith("\n\n")
    if fragile or not text.strip("\n") or _NEEDS_QUOTES_IN_LINES.search(text):
        first, *others = (_escape(segment) for segment in _SEGMENT.findall(text))
        visible = (f"\\{other}" if other[0] == " " else other for other in others)
        return '"' + f"\\\n{pad}".join([first, *visible]) + '"'
    indentation = "2" if text[0] in " \t\n" else ""
    chomping = "+" if text.endswith("\n\n") else "" if text.endswith("\n") else "-"
    lines = text.removesuffix("\n").split("\n")
    return f"|{indentation}{chomping}\n" + "\n".join(pad + line if line else "" for line in lines)


def _quote(text: str) -> str:
    return f'"{_escape(text)}"' if _NEEDS_ESCAPE.search(text) else "'" + text.replace("'", "''") + "'"


def _escape(text: str) -> str:
    """Return the text with the escapes that JSON and YAML have in common."""
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return _UNKNOWN_TO_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped)


# ---------------------------------------------------------------- reading

# Characters that must be escaped are ruled out for the whole text at once, so these are simple, and fast.
_ODD = re.compile(f"[{_ESCAPED}]")
_SINGLE_QUOTED = r"'(?:[^'\t]|'')*+'"
_DOUBLE_QUOTED = r'"(?:[^"\\\t]|\\["\\bfnrt]|\\u(?!d[89a-f])[0-9a-f]{4})*+"'
_SINGLE = re.compile(_SINGLE_QUOTED)
_DOUBLE = re.compile(_DOUBLE_QUOTED)
_LINE = re.compile(
    rf"( *+)((?:- )*+)(?:((?!\d)[\w$/][^:#]*+|{_SINGLE_QUOTED}|{_DOUBLE_QUOTED}):(?: (.++))?|(.++))"
)
_LITERAL = frozenset({"|", "|-", "|+", "|2", "|2-", "|2+"})
_BLOCK = object()  # stands for a value that begins on the next line
_Line: TypeAlias = tuple[int, int, str | None, Any]


class UnusualTextError(Exception):
    """The text has another shape than `render` gives it, and may be good YAML nevertheless."""


def parse(text: str) -> Tree:
    """Return the tree that `render` made this text from.

    Raises:
        UnusualTextError: it has another shape; a general YAML parser must read it.
    """
    lines = text.split("\n")
    if lines.pop() or not lines or _ODD.search(text):
        raise UnusualTextError
    root: dict[str, Tree] = {}
    # What is open at each column: the mapping whose keys stand there, and the list whose dashes do.
    mappings: list[dict[str, Tree] | None] = [root, *[None] * _COLUMNS]
    lists: list[list[Tree] | None] = [None] * (_COLUMNS + 1)
    deepest = 0
    waiting: tuple[dict[str, Tree], str] | None = None  # a mapping and its key whose block must come next
    known: dict[str, _Line] = {}  # short lines repeat a lot
    here, end = 0, len(lines)
    while here < end:
        line = lines[here]
        here += 1
        parsed = known.get(line)
        if parsed is None:
            parsed = _parse_line(line)
            if len(line) < _MAX_REMEMBERED and parsed[3].__class__ not in (dict, list):
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
    if key.__class__ is not str or len(name) > _MAX_KEY:
        raise UnusualTextError
    return column, len(dashes) // 2, intern(key), _BLOCK if value is None else _parse_scalar(value)


def _parse_scalar(text: str) -> Tree:
    if _is_plain(text):
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
    if text == "[]":
        return []
    value = resolve_plain(text)
    if isinstance(value, str):
        raise UnusualTextError
    return value


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
