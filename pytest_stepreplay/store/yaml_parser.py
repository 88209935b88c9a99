"""The shapes of YAML that cassettes are written in -> trees of JSON values.

`parse` reads what `yaml_text.render_yaml` writes, and what vcrpy does, whose scalars go on over many lines,
many times faster than a general YAML parser can; for text of any other shape it gives up at once, and `yaml_events`
reads it instead.
"""

from __future__ import annotations

import json
import math
import re
from sys import intern
from typing import TYPE_CHECKING, Any, TypeAlias

from ..lazy import late_pattern
from ..wire.json_values import MAX_DEPTH, Tree
from . import repeated_lists
from .yaml_text import ESCAPED, MAX_KEY, TAG_PREFIX, is_plain, is_row

if TYPE_CHECKING:
    from collections.abc import Callable

_COLUMNS = 2 * MAX_DEPTH
_MAX_REMEMBERED = 64  # characters
_MOST_REMEMBERED = 4096
_BLOCK_LINES = 64
_LARGE = 1 << 15
"""So many characters make a text one in which lists may repeat what was in lists before them."""

_CONSTANTS: dict[str, bool | None] = {"null": None, "true": True, "false": False}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+(?:[eE][-+]?[0-9]+)?)?")

# Characters that must be escaped are ruled out for the whole text at once, so these are simple, and fast.
_ODD = late_pattern(f"[{ESCAPED}]")
# Unrolled: a loop over one class of characters runs many times faster than one over alternatives.
_USUAL = b"\t\n" + bytes(range(ord(" "), ord("~") + 1))  # all of ASCII that is not odd
_SINGLE_QUOTED = r"'[^'\t]*+(?:''[^'\t]*+)*+'"
_ESCAPE = (
    r'(?:["\\bfnrt 0aevNLP_]|x[0-9A-Fa-f]{2}|u(?![Dd][89A-Fa-f])[0-9A-Fa-f]{4}'
    r"|U(?:000(?!0[Dd][89A-Fa-f])[0-9A-Fa-f]|0010)[0-9A-Fa-f]{4})"
)
_DOUBLE_QUOTED = rf'"[^"\\\t]*+(?:\\{_ESCAPE}[^"\\\t]*+)*+"'
_SINGLE = late_pattern(_SINGLE_QUOTED)
_DOUBLE = late_pattern(_DOUBLE_QUOTED)
# What YAML escapes otherwise than JSON, where no backslash stands before it.
_NOT_JSON = late_pattern(r"\\(?:x(..)|U(.{8})|([ 0aevNLP_]))")
_NOT_IN_JSON = dict(zip(" 0aevNLP_", " \0\a\x1b\v\x85\u2028\u2029\xa0", strict=True))
_BREAKS = late_pattern("\n+")
# A scalar without quotes begins with nothing that means something to YAML, and has none of the pairs that end it.
_PLAIN = re.compile(r"""(?:[^\s\-?:,\[\]{}#&*!|>'"%@`]|-(?=[^\s\-])).*""")
_ENDS_PLAIN = re.compile(r": |:\Z| #|\t| \Z|\A[ #]")
# What stands before a value, which may be long, and need not be looked through to see where it begins.
_LEAD = re.compile(r"( *+)((?:- )*+)(?:((?!\d)[\w$/][^:#]*+):(?: (?=.)|\Z))?")
_QUOTED_KEYS = {
    "'": late_pattern(rf"({_SINGLE_QUOTED}):(?: (?=.)|\Z)"),
    '"': late_pattern(rf"({_DOUBLE_QUOTED}):(?: (?=.)|\Z)"),
}
_LITERAL = frozenset({"|", "|-", "|+", "|2", "|2-", "|2+"})
_BINARY = "!!binary |"
_BLOCK = object()  # stands for a value that begins on the next line
_Line: TypeAlias = tuple[int, int, str | None, Any]


_known: dict[str, _Line] = {}
"""Short lines as they were read: they repeat a lot, in one file and in all files of a suite."""


class UnusualTextError(Exception):
    """The text has another shape than cassettes have, and may be good YAML nevertheless."""


def parse(text: str, construct: Callable[[str, Any], Any] | None = None) -> Tree:
    """Return the tree that `render_yaml`, or vcrpy, made this text from.

    Args:
        text: of a file.
        construct: what a tag means, as `yaml_events.parse_any` takes it. Without it there is no binary value.

    Raises:
        UnusualTextError: it has another shape; a general YAML parser must read it.
    """
    if text[-1:] != "\n":
        raise UnusualTextError
    pieces = repeated_lists.Pieces(text) if len(text) >= _LARGE else None
    root: dict[str, Tree] = {}
    # What is open at each column: the mapping whose keys stand there, and the list whose dashes do.
    mappings: dict[int, dict[str, Tree] | None] = {0: root}
    lists: dict[int, list[Tree] | None] = {0: None}
    deepest = 0
    waiting: tuple[dict[str, Tree], str] | None = None  # a mapping and its key whose block must come next
    known = _known
    here_too: dict[str, _Line] = {}  # long lines, as those that each turn of a conversation repeats
    lines: list[str] = []
    here = end = 0
    left = iter(pieces or (text[:-1].split("\n"),))
    while True:
        if here >= end:
            lines = next(left, [])
            if not lines:
                break
            if _is_odd("\n".join({*lines})):
                raise UnusualTextError
            here, end = 0, len(lines)
        line = lines[here]
        here += 1
        parsed = known.get(line) or here_too.get(line)
        if parsed is None:
            if waiting is None and line[: deepest + 2].isspace():
                here = _go_on(lines, here - 1, mappings[deepest], lists[deepest], deepest)
                continue
            if pieces is not None and isinstance(line, repeated_lists.Repeated):
                if waiting is None or line.column != deepest:
                    raise UnusualTextError
                lists[deepest] = waiting[0][waiting[1]] = line.items
                waiting = None
                pieces.begin(here - 1, line.items)
                continue
            parsed = _parse_line(line)
            if parsed[3].__class__ not in (dict, list):
                if len(line) >= _MAX_REMEMBERED:
                    here_too[line] = parsed
                else:
                    if len(known) >= _MOST_REMEMBERED:
                        known.clear()
                    known[line] = parsed
        column, dashes, key, value = parsed
        if column > deepest and waiting is None:
            here = _go_on(lines, here - 1, mappings[deepest], lists[deepest], deepest)
            continue

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
                if pieces is not None:
                    pieces.begin(here - 1, items)
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
                    value, here = _parse_lines(value, lines, here, column + 2, construct)
                items.append(value)
                if line[-1] == "'":
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
            mapping[key], here = _parse_lines(value, lines, here, column + 2, construct)
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
    found: Any = _LEAD.match(line)  # there always is something, be it nothing
    spaces, dashes, name = found.groups()
    value = line[found.end() :]
    if name is None and (quoted := _QUOTED_KEYS.get(value[:1])) and (key_found := quoted.match(value)):
        name, value = key_found[1], value[key_found.end() :]
    column = len(spaces)
    if column % 2 or column + len(dashes) >= _COLUMNS:
        raise UnusualTextError
    if name is None:
        if not value:
            raise UnusualTextError
        return column, len(dashes) // 2, None, _parse_scalar(value)
    key = _parse_scalar(name)
    if key.__class__ is not str or len(name) > MAX_KEY:
        raise UnusualTextError
    return column, len(dashes) // 2, intern(key), _parse_scalar(value) if value else _BLOCK


def _parse_scalar(text: str) -> Tree:
    if is_plain(text):
        return text
    if text[0] == "'":
        inner = text[1:-1]
        if len(text) == 1 or text[-1] != "'" or "\t" in inner:
            return _Unfinished(text)
        if "'" not in inner:  # as in most; to search a text for two characters takes forty times longer
            return inner
        return _Unfinished(text) if "'" in inner.replace("''", "") else inner.replace("''", "'")
    if text[0] == '"':
        return _unescape(text) if _DOUBLE.fullmatch(text) else _Unfinished(text)
    if text in _LITERAL or text == _BINARY:
        return _Unfinished(text)
    if text == "{}":
        return {}
    if text[0] == "[":
        return _parse_row(text)
    if not _PLAIN.fullmatch(text) or _ENDS_PLAIN.search(text):
        raise UnusualTextError
    return resolve_plain(text)


def _parse_row(text: str) -> list[Tree]:
    """Return the numbers that stand on one line; nothing else does."""
    if text == "[]":
        return []
    numbers: list[Tree] = [resolve_plain(each) for each in text[1:-1].split(", ")]
    if text[-1] != "]" or not is_row(numbers):
        raise UnusualTextError
    return numbers


def _parse_lines(
    first: str, lines: list[str], here: int, column: int, construct: Callable[[str, Any], Any] | None
) -> tuple[Any, int]:
    """Return the text of a scalar that goes on in line `here` at `column`, and the line after it."""
    pad = " " * column
    start = here
    while here < len(lines) and (lines[here].startswith(pad) or not lines[here]):
        here += 1
    others = [line[column:] for line in lines[start:here]]
    if first[0] in "'\"":
        return _parse_quoted("\n".join([first, *others])), here
    text = "\n".join(others)
    content = text.rstrip("\n")
    if not content or (text[0] in " \t\n" and "2" not in first):
        raise UnusualTextError
    if first == _BINARY:
        return _construct_binary(content, construct), here
    return (f"{text}\n" if "+" in first else content if "-" in first else f"{content}\n"), here


def _construct_binary(text: str, construct: Callable[[str, Any], Any] | None) -> Any:
    if construct is None:
        raise UnusualTextError
    try:
        return construct(f"{TAG_PREFIX}binary", text)
    except ValueError:
        raise UnusualTextError from None


def _parse_quoted(text: str) -> str:
    """Return the text of a quoted scalar of several lines: a break is a space, and each further one is a break."""
    if "\n " in text or "\t" in text:  # white space that does not count
        raise UnusualTextError
    if text[0] == "'":
        text = _fold(text, "\n")
        if not _SINGLE.fullmatch(text):
            raise UnusualTextError
        return text[1:-1].replace("''", "'")
    if "\\\n" in text:
        if "\\\n\n" in text:
            raise UnusualTextError
        text = "\\\\".join([part.replace("\\\n", "") for part in text.split("\\\\")])
    text = _fold(text, "\\n")
    if not _DOUBLE.fullmatch(text):
        raise UnusualTextError
    return _unescape(text)


def _fold(text: str, line_break: str) -> str:
    if " \n" in text:  # as above
        raise UnusualTextError
    if "\n\n" not in text:
        return text.replace("\n", " ")
    return _BREAKS.sub(lambda breaks: line_break * (len(breaks[0]) - 1) or " ", text)


def _unescape(quoted: str) -> str:
    """Return what stands between double quotes."""
    if _NOT_JSON.search(quoted):  # or two backslashes, which are one, and escape nothing
        quoted = "\\\\".join([_NOT_JSON.sub(_escape_as_json, part) for part in quoted.split("\\\\")])
    text: str = json.loads(quoted)
    return text


def _escape_as_json(found: re.Match[str]) -> str:
    digits = found[1] or found[2]
    return json.dumps(chr(int(digits, 16)) if digits else _NOT_IN_JSON[found[3]])[1:-1]


def _go_on(
    lines: list[str],
    here: int,
    mapping: dict[str, Tree] | None,
    items: list[Tree] | None,
    column: int,
) -> int:
    """Add the lines from `here` on to the scalar without quotes before them, and return the line after them.

    Args:
        lines: of the text.
        here: the line that is further right than any that may begin something.
        mapping: whose last value came last, unless there are items.
        items: whose last one came last.
        column: of its key or its dash.
    """
    block: Any = mapping if items is None else items
    place = (next(reversed(block)) if items is None else -1) if block else None
    before = None if place is None else block[place]
    if not isinstance(before, str) or not lines[here - 1].endswith((f": {before}", f"- {before}")):
        raise UnusualTextError  # it stood in quotes, or was no text
    pad = " " * (column + 2)
    pieces = [before]
    while here < len(lines) and lines[here].startswith(pad):
        piece = lines[here][column + 2 :]
        if not piece or _ENDS_PLAIN.search(piece):
            raise UnusualTextError
        pieces.append(piece)
        here += 1
    if len(pieces) == 1 or lines[here : here + 1] == [""]:  # an empty line would be a break in the scalar
        raise UnusualTextError
    block[place] = " ".join(pieces)
    return here


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
