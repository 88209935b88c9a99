"""Colored text and tables for people. Nothing else here imports rich: only what is printed with it pays for it."""

from __future__ import annotations

import os
from typing import Any, Final

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, track
from rich.table import Table
from rich.text import Text

from ..report.marks import marked_words

__all__ = [
    "Console",
    "Table",
    "Text",
    "colored",
    "decimal",
    "open_console",
    "print_block",
    "progress_bar",
    "track",
]

PIPE_WIDTH: Final = 10_000  # nobody wraps lines for a program
NARROW: Final = 50
INDENT: Final = 12


class _PipedConsole(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def open_console(color: str = "auto") -> Console:
    """Returns a console on stdout that takes no markup and leaves a closed pipe to `main`.

    Args:
        color: ``yes`` and ``no`` for always and never; ``auto`` for a terminal that does not set ``NO_COLOR``.
    """
    settings: dict[str, Any] = {}
    if color != "auto":
        wanted = color == "yes"
        settings = {"no_color": not wanted, "color_system": "standard" if wanted else None}
        settings |= {"force_terminal": True} if wanted else {}
    console = _PipedConsole(markup=False, emoji=False, highlight=False, **settings)
    if not console.file.isatty() and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    return console


def progress_bar(label: str, told: str) -> Progress:
    """Returns a bar on stderr that is gone at its end.

    Args:
        label: before it.
        told: behind it, a format of its `task`.
    """
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TextColumn(told, markup=False))
    return Progress(*columns, console=Console(stderr=True), transient=True)


def colored(text: str) -> Text:
    """Returns a text with the words that went in red and those that came in green."""
    return Text.assemble(*((stretch, _STYLES[mark]) for stretch, mark in marked_words(text)))


_STYLES: Final = {"": "", "removed": "red", "added": "green"}


def print_block(console: Console, label: str, body: Text, style: str = "") -> None:
    """Prints a label with a text beside it, or below it where there is no room.

    Args:
        console: where to.
        label: a few letters.
        body: printed as it is where there is no terminal, else wrapped.
        style: of the label.
    """
    indent = 2 if console.width < NARROW else INDENT
    below = len(label) >= indent
    if below:
        console.print(Text(label, style))
    lines = body.split(allow_blank=True)
    if console.file.isatty():  # in a log, a wrapped line could start with what its service obeys
        lines = body.wrap(console, max(console.width - indent, 10), tab_size=4)
    for number, line in enumerate(lines):
        line.rstrip()
        start = Text(label.ljust(indent), style) if number == 0 and not below else Text(" " * indent)
        console.print(start + line, soft_wrap=True)
