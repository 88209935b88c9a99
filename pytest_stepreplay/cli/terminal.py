"""How the commands print: what a model wrote is escaped, a terminal's lines fit it, a pipe's stay whole."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

PIPE_WIDTH: Final = 10_000  # nobody wraps lines for a program
NARROW: Final = 50
INDENT: Final = 12


def open_console(color: str = "auto") -> Console:
    """Returns a console on stdout that takes no markup and leaves a closed pipe to `main`.

    Args:
        color: ``yes`` and ``no`` for always and never; ``auto`` for a terminal that does not set ``NO_COLOR``.
    """
    from rich.console import Console  # noqa: PLC0415 - `stepreplay --help` does without

    class PipedConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    settings: dict[str, Any] = {}
    if color != "auto":
        wanted = color == "yes"
        settings = {"no_color": not wanted, "color_system": "standard" if wanted else None}
        settings |= {"force_terminal": True} if wanted else {}
    console = PipedConsole(markup=False, emoji=False, highlight=False, **settings)
    if not console.file.isatty() and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    return console


def colored(text: str) -> Text:
    """Returns a text with the words that went in red and those that came in green."""
    from rich.text import Text  # noqa: PLC0415 - as above

    from ..report import marked_words  # noqa: PLC0415 - as above

    return Text.assemble(*((stretch, STYLES[mark]) for stretch, mark in marked_words(text)))


STYLES: Final = {"": "", "removed": "red", "added": "green"}


def print_block(console: Console, label: str, body: Text, style: str = "") -> None:
    """Prints a label with a text beside it, or below it where there is no room.

    Args:
        console: where to.
        label: a few letters.
        body: printed as it is where there is no terminal, else wrapped.
        style: of the label.
    """
    from rich.text import Text  # noqa: PLC0415 - as above

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


def echo(text: str, *, err: bool = False) -> None:
    """Prints a text, on stderr if need be, so that it is seen before whatever comes next."""
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def safe(text: str) -> str:
    """Returns `text` with what a terminal or a CI log would obey, or not show, written as an escape."""
    from ..texts.escaping import escape_for_terminal  # noqa: PLC0415 - as above

    return escape_for_terminal(text, lines=True)


def json_text(value: object) -> str:
    """Returns a value as JSON for a program, in which a CI log that shows it finds no command either."""
    return json.dumps(value, indent=2).replace("##", "\\u0023#")  # it stands nowhere but in texts


def plural(number: int, noun: str) -> str:
    """Returns a number with its noun: ``1 message``, ``12,000 tokens``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
