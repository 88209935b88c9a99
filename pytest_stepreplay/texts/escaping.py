"""What a model wrote, made harmless: for a terminal or a CI log, and for a page of Markdown or HTML."""

from __future__ import annotations

import re
from typing import Final

from ..lazy import late_pattern

# C0 and C1 controls with DEL; marks that turn the direction of writing; line and paragraph separators; what
# nobody sees, the tag characters included; and lone surrogates, which no terminal's encoding can write.
_INVISIBLE: Final = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff"
)
_UNSAFE = late_pattern(f"[{_INVISIBLE}]")
_UNSAFE_BUT_LINES = late_pattern(f"(?![\\n\\t])[{_INVISIBLE}]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

# GitHub reads commands from lines that start with ::, whatever white space stands before it; it, Azure and
# TeamCity read ##[...], ##vso[...] and ##teamcity[...] anywhere in a line.
_COMMAND_START = late_pattern(r"^([^\S\n]*):(?=:)", re.MULTILINE)
_COMMAND_MARK = late_pattern(r"##(\w*)\[")

# What GitHub's Markdown or HTML acts on inside of a line, where it does: an underscore between two letters and
# a colon before a space are text.
_MARKUP = late_pattern(
    r"""
    [<>`|*~\[\]@$] | & (?= [\#\w] ) | \\ (?= [!-/:-@\[-`{-~] | \Z )
    | (?<! [^\W_] ) _ | _ (?! [^\W_] )
    | : (?= // | [\w+-]+ : ) | \# (?= \w ) | (?<= www ) \.
    """,
    re.VERBOSE | re.IGNORECASE,
)
_TICKS = late_pattern("`+")


def escape_for_terminal(text: str, *, lines: bool = False) -> str:
    r"""Returns `text` made harmless: what could move a cursor, hide text, or command a CI system is visible.

    An escape character becomes the four characters ``\x1b``, and so on.

    Args:
        text: anything.
        lines: keep line feeds and tabs; without it the result is one line.
    """
    if not (text.isascii() and text.isprintable()):
        text = (_UNSAFE_BUT_LINES if lines else _UNSAFE).sub(_visible, text)
    if "::" in text:
        text = _COMMAND_START.sub(r"\1\\x3a", text)
    return _COMMAND_MARK.sub(r"##\1\\x5b", text) if "##" in text else text


def escape_for_markdown(text: str) -> str:
    """Returns text for the inside of a line, in which Markdown and HTML find nothing to act on.

    Where they would, markup, links, mentions and the bars of tables are written as character references,
    which are text to both.
    """
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", escape_for_terminal(text))


def code_for_markdown(text: str, *, cell: bool = False) -> str:
    """Returns a code span that shows `text` as it is, what a terminal or a CI log would obey made visible.

    Text with a ``<`` goes into HTML's element, escaped: not every reader of Markdown keeps to its rules.

    Args:
        text: anything.
        cell: it is for the cell of a table, where a bar would end the span: then it is HTML's too.
    """
    text = escape_for_terminal(text)
    if not text.strip() or "<" in text or (cell and "|" in text):
        return f"<code>{escape_for_markdown(text)}</code>"
    fence = "`" * (1 + max(map(len, _TICKS.findall(text)), default=0))
    room = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{room}{text}{room}{fence}"


def _visible(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
