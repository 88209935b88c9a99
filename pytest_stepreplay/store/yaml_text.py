"""Trees of JSON values -> the one shape of YAML that cassettes are written in.

`render_yaml` writes a tree so that every YAML 1.1 and 1.2 parser reads the same values from it, and the same
tree always gives the same text. `yaml_parser` reads exactly that shape back.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ..lazy import late_pattern
from ..wire.json_values import BLOCKS, MAX_DEPTH

if TYPE_CHECKING:
    from ..wire.json_values import Tree

TAG_PREFIX = "tag:yaml.org,2002:"
"""What YAML's own tags begin with, in full."""

MAX_KEY = 1000
"""How long a key may be beside its colon; YAML ends that at 1024 characters, quotes and escapes included."""

ROW = 16
"""So many numbers, or more, stand on one line."""

_NUMBERS = frozenset({int, float})

# Never written raw, beside tab and line feed: controls, what YAML 1.1 takes for a line break, the byte order
# mark and noncharacters, and what turns the direction in which a reviewer sees the text.
ESCAPED = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff"

# A plain scalar begins with a letter, "_", "$" or "/", as no number, date or indicator of YAML does, and has
# none of the pairs that end it.
_PLAIN_START = re.compile(r"(?!\d)[\w$/]")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def is_plain(text: str) -> bool:
    """Tell whether one line of text may stand without quotes."""
    return (
        _PLAIN_START.match(text) is not None
        and "\t" not in text
        and ": " not in text
        and " #" not in text
        and text[-1] not in " :"
        and not (len(text) <= 5 and text.lower() in _WORDS)
    )


_NEEDS_ESCAPE = late_pattern(rf"[\t\n{ESCAPED}]")
_PRINTABLE = bytes(range(ord(" "), ord("~") + 1))
_NEEDS_QUOTES_IN_LINES = late_pattern(rf"[{ESCAPED}]|[ \t](?:\n|\Z)")
_UNKNOWN_TO_JSON = late_pattern(rf"(?![\x00-\x1f])[{ESCAPED}]")
_SEGMENT = late_pattern(r"[^\n]*\n|[^\n]+")


def render_yaml(tree: dict[str, Tree]) -> str:
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
            if value.__class__ is str and len(value) <= _SHORT and "\n" not in value and len(name) <= MAX_KEY:
                out.append(f"{lead}{name}: {_render_short_line(value)}\n")  # as most are
                lead = pad
                continue
            if value.__class__ is int and len(name) <= MAX_KEY:  # or this
                out.append(f"{lead}{name}: {value}\n")
                lead = pad
                continue
            out.append(f"{lead}? {name}\n{pad}:" if len(name) > MAX_KEY else f"{lead}{name}:")
            if not value or not isinstance(value, BLOCKS):
                out.append(f" {_render_scalar(value, inner, at_end=at_end and not left)}\n")
            elif is_row(value):
                out.append(f" {_render_row(value)}\n")
            else:
                out.append("\n")
                # The dashes of a list stand right under its key.
                below = inner if isinstance(value, dict) else pad
                _render_block(out, value, below, below, depth + 1, at_end=at_end and not left)
            lead = pad
    else:
        for item in block:
            left -= 1
            if is_row(item):
                out.append(f"{lead}- {_render_row(item)}\n")
            elif item and isinstance(item, BLOCKS):
                _render_block(out, item, inner, f"{lead}- ", depth + 1, at_end=at_end and not left)
            else:
                out.append(f"{lead}- {_render_scalar(item, inner, at_end=at_end and not left)}\n")
            lead = pad


def is_row(value: Tree) -> bool:
    """Tell whether a value is written on one line: many numbers, such as an embedding, which no one reads."""
    return isinstance(value, list | tuple) and len(value) >= ROW and _NUMBERS.issuperset(map(type, value))


def _render_row(numbers: Tree) -> str:
    return f"[{', '.join([_render_scalar(each, '', at_end=False) for each in numbers])}]"


@lru_cache(maxsize=1024)  # interactions repeat their keys
def _render_key(key: object) -> str:
    if not isinstance(key, str):
        raise ValueError(f"a key is of the type {type(key).__name__}, not text")  # noqa: TRY004 -- one kind for all
    if key and is_plain(key) and ":" not in key and "#" not in key and not _needs_escape(key):
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
        return _render_short_line(text) if len(text) <= _SHORT else _render_line(text)
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


def _render_line(text: str) -> str:
    return text if text and is_plain(text) and not _needs_escape(text) else _quote(text)


def _needs_escape(text: str) -> bool:
    if text.isascii():  # ten times faster so
        return bool(text.encode().translate(None, _PRINTABLE))
    return _NEEDS_ESCAPE.search(text) is not None


_SHORT = 48
_render_short_line = lru_cache(maxsize=1024)(
    _render_line
)  # interactions repeat their models, roles and types


def _quote(text: str) -> str:
    return f'"{_escape(text)}"' if _needs_escape(text) else "'" + text.replace("'", "''") + "'"


def _escape(text: str) -> str:
    """Return the text with the escapes that JSON and YAML have in common."""
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return _UNKNOWN_TO_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped)
